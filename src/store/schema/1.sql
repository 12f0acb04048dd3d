-- What is true of the whole store. `epoch` tells it from every other one and from itself before a restore; `last` is the
-- place of the latest change, `floor` of the latest tombstone forgotten; `clock` is how far the clock has been.
CREATE TABLE state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch BLOB NOT NULL CHECK (length(epoch) = 8),
  last INTEGER NOT NULL,
  floor INTEGER NOT NULL,
  clock INTEGER NOT NULL
) STRICT;

INSERT INTO state VALUES (1, randomblob(8), 0, 0, 0);

-- An entry, or once it was lifted its tombstone: it then stands where its lifting does in the order of changes.
CREATE TABLE revocation (
  place INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  kind TEXT NOT NULL,
  key BLOB NOT NULL CHECK (length(key) = 16),
  issuer TEXT NOT NULL,
  not_before INTEGER,
  expires INTEGER,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  created INTEGER NOT NULL,
  lifted INTEGER,
  lifted_by TEXT
) STRICT;

CREATE INDEX revocation_expires ON revocation (expires) WHERE lifted IS NULL AND expires IS NOT NULL;
CREATE INDEX revocation_lifted ON revocation (lifted) WHERE lifted IS NOT NULL;
