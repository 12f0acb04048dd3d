-- What is kept for the gateway's own tokens, whole: API keys, people, families. What a body says its owner knows; it holds
-- no secret in clear. One row each: a change replaces it.
CREATE TABLE record (
  kind TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) > 0),
  subject BLOB CHECK (length(subject) = 16),
  expires INTEGER,
  body BLOB NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX record_expires ON record (expires) WHERE expires IS NOT NULL;
