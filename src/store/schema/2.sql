-- How long after its issue a token of an issuer has ever been accepted, in seconds: the largest of all configurations. What
-- has no issuer is of those for whom there was no place.
CREATE TABLE life (
  issuer TEXT PRIMARY KEY,
  longest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
