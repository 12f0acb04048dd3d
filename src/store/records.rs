//! Records: what is kept whole and replaced whole, beside the log of revocations. API keys, people, opaque tokens,
//! families of refresh tokens, signing keys.
//!
//! Nobody follows them: the one process that writes them has all of them in memory, and reads them when it starts, once
//! the process before has paused. A body is its owner's: JSON, and no secret in clear.

use rusqlite::{Connection, Transaction, params};

use crate::store::error::StoreError;
use crate::store::{BATCH, CHUNK, Key, Store};

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// An API key.
    ApiKey,
    /// A person.
    Person,
    /// An opaque token.
    Opaque,
    /// A family of refresh tokens.
    Family,
    /// A key that signs, sealed.
    SigningKey,
}

impl RecordKind {
    /// As it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Person => "person",
            Self::Opaque => "opaque",
            Self::Family => "family",
            Self::SigningKey => "signing_key",
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Of what.
    pub kind: RecordKind,
    /// Its name among those of its kind: 1 to [`RECORD_ID_OCTETS`] octets.
    pub id: Box<[u8]>,
    /// Whom it is about, for who looks for what somebody has: a hash.
    pub subject: Option<Key>,
    /// When it can be forgotten, in seconds since 1970; `None` is never.
    pub expires: Option<i64>,
    /// All else: at most [`BODY_OCTETS`].
    pub body: Vec<u8>,
}

/// A change of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// This one, in the place of the one of its kind and id.
    Keep(Record),
    /// None of this kind and id, whether there was one or not.
    Remove {
        /// Of what.
        kind: RecordKind,
        /// Its name.
        id: Box<[u8]>,
    },
}

impl Store {
    /// Makes changes of records, in order, all or none of them, at most [`BATCH`], and returns once they would survive a
    /// crash. An error means that nothing changed; a [`StoreError::Io`] may mean that a crash right now would bring the
    /// changes about.
    pub async fn keep(&self, changes: Vec<RecordChange>) -> Result<(), StoreError> {
        if changes.len() > BATCH {
            return Err(StoreError::Refused("more records at once than a batch has"));
        }
        changes.iter().try_for_each(within_bounds)?;
        if changes.is_empty() {
            return Ok(());
        }
        self.engine.keep(changes).await
    }

    /// Gives every record of a kind to `each`, those too that are over and have not been purged. One that is changed
    /// meanwhile is seen as it was or as it is. Blocks, a chunk at a time.
    pub fn kept(&self, kind: RecordKind, each: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        let mut after: Box<[u8]> = Box::default();
        loop {
            let records = self.engine.kept(kind, &after, RECORDS)?;
            let Some(last) = records.last() else { return Ok(()) };
            after = last.id.clone();
            records.into_iter().for_each(&mut *each);
        }
    }
}

/// Holds what is kept to its bounds, whatever the engine.
fn within_bounds(change: &RecordChange) -> Result<(), StoreError> {
    let (id, body) = match change {
        RecordChange::Keep(record) => (&record.id, record.body.len()),
        RecordChange::Remove { id, .. } => (id, 0),
    };
    if id.is_empty() || id.len() > RECORD_ID_OCTETS {
        Err(StoreError::Refused("a record's id that is empty or too long"))
    } else if body > BODY_OCTETS {
        Err(StoreError::Refused("a record that is too long"))
    } else {
        Ok(())
    }
}

/// What changes take of the room of those that wait, which is counted in changes of revocations: some KiB each.
pub(in crate::store) fn weight(changes: &[RecordChange]) -> usize {
    let of = |change: &RecordChange| match change {
        RecordChange::Keep(record) => 1 + record.body.len() / 1_024,
        RecordChange::Remove { .. } => 1,
    };
    changes.iter().map(of).sum()
}

/// Makes changes in order, and gives how many rows they changed.
pub(in crate::store) fn apply(
    transaction: &Transaction<'_>,
    changes: &[RecordChange],
) -> Result<usize, StoreError> {
    let mut keep = transaction.prepare(KEEP)?;
    let mut remove = transaction.prepare("DELETE FROM record WHERE kind = ?1 AND id = ?2")?;
    let mut changed = 0;
    for change in changes {
        changed += match change {
            RecordChange::Keep(Record { kind, id, subject, expires, body }) => {
                keep.execute(params![kind.name(), id, subject, expires, body])?
            }
            RecordChange::Remove { kind, id } => remove.execute(params![kind.name(), id])?,
        };
    }
    Ok(changed)
}

/// Records of a kind behind an id, in the order of their ids.
pub(in crate::store) fn read(
    connection: &Connection,
    kind: RecordKind,
    after: &[u8],
    most: usize,
) -> Result<Vec<Record>, StoreError> {
    let mut statement = connection.prepare(READ)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![kind.name(), after, most])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(Record {
            kind,
            id: row.get::<_, Vec<u8>>(0)?.into(),
            subject: row.get(1)?,
            expires: row.get(2)?,
            body: row.get(3)?,
        });
    }
    Ok(records)
}

/// Forgets a batch of what was over before a moment.
pub(in crate::store) fn purge(
    transaction: &Transaction<'_>,
    before: i64,
    most: i64,
) -> Result<u64, StoreError> {
    let purged = transaction.execute(PURGE, params![before, most])?;
    Ok(purged as u64)
}

const KEEP: &str = "INSERT INTO record (kind, id, subject, expires, body) VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT (kind, id) DO UPDATE
  SET subject = excluded.subject, expires = excluded.expires, body = excluded.body";

const READ: &str =
    "SELECT id, subject, expires, body FROM record WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

const PURGE: &str = "DELETE FROM record WHERE (kind, id) IN (
  SELECT kind, id FROM record WHERE expires < ?1 LIMIT ?2)";

/// Octets of a record's id: the name of a credential, and an id of somebody else's making.
pub const RECORD_ID_OCTETS: usize = 1_024;
/// Octets of a record's body: attributes that fit into a token's claims, many times over.
pub const BODY_OCTETS: usize = 64 * 1_024;
/// Records read at once: some megabytes, but for bodies that nobody has.
const RECORDS: usize = CHUNK / 10;
