//! What must survive a restart: revocations, kept where a crash, a full disk and an upgrade cannot lose them.
//!
//! The store is never on the path of a request: decisions read local memory, and only what operators and their
//! machines change comes here. An append is answered once it is on the disk.
//!
//! **A set with a log in it.** An entry is added under an id of its own and, perhaps, lifted: a tombstone that names
//! the id. Each change has a place in one order, and a [`Cursor`] names a place: what came behind it can be asked for
//! again and again ([`Store::changes`]). An entry that is there already, that was lifted before, and an id that is
//! not there, change nothing. So a change may be applied twice, and the order in which entries arrive does not matter
//! as long as a tombstone wins. A lifted entry's row becomes its tombstone: who follows from the very beginning hears
//! what is so, not all that ever was.
//!
//! **The seam.** Callers know [`Store`] and the values it takes and gives, nothing of SQLite: another engine goes
//! behind it without touching them, and has to pass the suite in `store/tests/conformance.rs`. What waits for a commit
//! is `async`; what reads blocks for as long as the disk does, and belongs on a thread that may.
//!
//! **Records** stand beside the log: what is kept whole and replaced whole ([`records`]). They share the thread that
//! writes, its commits and its bounds with the revocations.
//!
//! No secret and no subject stands in it: what an entry is about is a hash that its caller made. Whose tokens it means,
//! the issuer, stands beside it.
//!
//! What it costs (release build, ext4, two busy cores; an fsync there takes 0.3 ms when nothing else does one): 600 to
//! 1,600 appends a second one after the other, 20,000 to 34,000 from a thousand callers at once, 80,000 to 130,000
//! entries a second in batches of 1,000. Ten million entries are 1.1 GB, and are read back in nine seconds.
//!
//! Why SQLite: operators can read it, back it up and repair it with tools they have, and its record with crashes is
//! the longest there is. Why not one table for entries and one for the log: an entry has exactly one row, so that the
//! two can never disagree.

pub mod error;
mod lock;
mod place;
pub mod records;
mod schema;
mod sqlite;
pub mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::store::error::{OpenError, StoreError};
use crate::store::sqlite::Sqlite;

/// The name of an entry: 128 bits that no other has ([`Id::new`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 16]);

/// Octets of what an entry is about, hashed by its maker.
pub type Key = [u8; 16];

/// One entry. All dates are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: Id,
    /// A word of the revocations' vocabulary; at most [`KIND_OCTETS`].
    pub kind: Box<str>,
    /// What it is about.
    pub key: Key,
    /// Whose tokens, for people, who look for entries by it; at most [`ISSUER_OCTETS`].
    pub issuer: Box<str>,
    /// What was issued before this is revoked; `None` is everything.
    pub not_before: Option<i64>,
    /// When it can be forgotten; `None` is never.
    pub expires: Option<i64>,
    /// Why, for people; at most [`REASON_OCTETS`].
    pub reason: Box<str>,
    /// Who asked for it; at most [`ACTOR_OCTETS`].
    pub actor: Box<str>,
    /// When.
    pub created: i64,
}

/// What of an entry decides whether a token counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its name.
    pub id: Id,
    /// Its kind; all entries of a chunk share the text.
    pub kind: Arc<str>,
    /// What it is about.
    pub key: Key,
    /// What was issued before this is revoked; `None` is everything.
    pub not_before: Option<i64>,
    /// When it can be forgotten; `None` is never.
    pub expires: Option<i64>,
}

/// The lifting of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Which.
    pub id: Id,
    /// The entry's kind, for who follows: what the store says of it is the entry's.
    pub kind: Box<str>,
    /// What the entry was about, likewise.
    pub key: Key,
    /// Who asked for it; at most [`ACTOR_OCTETS`].
    pub actor: Box<str>,
    /// When, in seconds since 1970.
    pub at: i64,
}

/// What is appended, and what a follower hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An entry, from now on.
    Added(Entry),
    /// It no longer counts.
    Lifted(Tombstone),
}

/// A place in the order of changes. Its octets mean nothing to anybody but the store that gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Box<[u8]>);

/// What an append came to, once it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The place behind it.
    pub cursor: Cursor,
    /// Its changes that changed something: the others were so already.
    pub effective: usize,
}

/// Changes in order, and the place behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// None, if there are no more.
    pub changes: Vec<Change>,
    /// Where to go on.
    pub cursor: Cursor,
}

/// Entries for people, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whole ones.
    pub entries: Vec<Entry>,
    /// Where to go on; none when there are no more.
    pub next: Option<Cursor>,
}

/// Which entries are asked for; what is `None` is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind: its word, whatever comes behind a colon.
    pub kind: Option<Box<str>>,
    /// Of this issuer, exactly.
    pub issuer: Option<Box<str>>,
}

/// The store, open. Dropping it commits what was appended.
#[derive(Debug)]
pub struct Store {
    engine: Sqlite,
}

impl Store {
    /// Opens the store at `path`, or makes it, and holds it alone. Blocks.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { engine: Sqlite::open(path)? })
    }

    /// Opens the store that another process holds, with the descriptor that its [`Store::hand_over`] gave. It can be
    /// read at once, and refuses appends until [`Store::resume`]. Blocks.
    pub fn inherit(path: &Path, lock: OwnedFd) -> Result<Self, OpenError> {
        Ok(Self { engine: Sqlite::inherit(path, lock)? })
    }

    /// Appends changes, all or none of them, at most [`BATCH`], and returns once they would survive a crash. An error
    /// means that nothing changed; a [`StoreError::Io`] may mean that a crash right now would bring the changes back.
    pub async fn append(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        if changes.len() > BATCH {
            return Err(StoreError::Refused("more changes at once than a batch has"));
        }
        changes.iter().try_for_each(within_bounds)?;
        self.engine.append(changes).await
    }

    /// Forgets entries and records that expired long before `now`, and tombstones that nobody waits for any more, a batch a commit.
    /// Returns how many. While the clock is behind where it has been, nothing is forgotten.
    pub async fn purge(&self, now: i64) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            match self.engine.purge(now).await? {
                0 => return Ok(purged),
                more => purged += more,
            }
        }
    }

    /// Gives every entry that counts at `now` to `each`, and returns the place from which to follow. Changes that are
    /// made meanwhile are behind that place, whether `each` has seen them or not. Blocks, a chunk at a time.
    pub fn snapshot(&self, now: i64, each: &mut dyn FnMut(Live)) -> Result<Cursor, StoreError> {
        let from = self.engine.end()?;
        let mut after = 0;
        while let Some((entries, last)) = self.engine.live(now, after, CHUNK)? {
            entries.into_iter().for_each(&mut *each);
            after = last;
        }
        Ok(from)
    }

    /// Entries that count at `now`, whole, at most `most` and never more than [`CHUNK`], behind what `after` gave. Blocks,
    /// and where few entries are as `filter` says, looks at all of them.
    pub fn list(
        &self,
        now: i64,
        filter: &Filter,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Listed, StoreError> {
        self.engine.list(now, filter, after, most.min(CHUNK))
    }

    /// The changes behind a place, at most `most`, and never more than [`CHUNK`]. Blocks.
    pub fn changes(&self, since: &Cursor, most: usize) -> Result<Page, StoreError> {
        self.engine.changes(since, most.min(CHUNK))
    }

    /// An entry, unless it was lifted or never was. Blocks.
    pub fn find(&self, id: Id) -> Result<Option<Entry>, StoreError> {
        self.engine.find(id)
    }

    /// Remembers how long each issuer's tokens have ever lived, in seconds by `iss`: of two values the larger. On the disk once
    /// it returns. Of issuers more than [`LIVES`] have ever been, those that come last share the place of the empty `iss`,
    /// which holds for each; and so has one that is longer than [`ISSUER_OCTETS`].
    pub async fn remember(&self, lives: BTreeMap<Box<str>, i64>) -> Result<(), StoreError> {
        self.engine.remember(lives).await
    }

    /// What [`Store::remember`] was told. Blocks.
    pub fn lives(&self) -> Result<BTreeMap<Box<str>, i64>, StoreError> {
        self.engine.lives()
    }

    /// The descriptor that holds the store, for the process that takes over: the store is held until both have closed
    /// it, so that there is no moment for a third. Nothing else changes: [`Store::pause`] does that.
    pub fn hand_over(&self) -> io::Result<OwnedFd> {
        self.engine.hand_over()
    }

    /// Commits all that was appended before, and refuses appends from here on.
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.engine.writing(false).await
    }

    /// Takes appends, from here on: the process before has paused, or is gone.
    pub async fn resume(&self) -> Result<(), StoreError> {
        self.engine.writing(true).await
    }

    /// Commits all that was appended, and lets go. Blocks.
    pub fn close(self) {
        drop(self);
    }
}

/// Holds what is kept to its bounds, whatever the engine.
fn within_bounds(change: &Change) -> Result<(), StoreError> {
    let (kind, issuer, reason, actor) = match change {
        Change::Added(entry) => (&*entry.kind, &*entry.issuer, &*entry.reason, &*entry.actor),
        Change::Lifted(tombstone) => ("lifted", "", "", &*tombstone.actor),
    };
    if kind.is_empty() || kind.len() > KIND_OCTETS {
        Err(StoreError::Refused("a kind that is empty or too long"))
    } else if issuer.len() > ISSUER_OCTETS {
        Err(StoreError::Refused("an issuer that is too long"))
    } else if reason.len() > REASON_OCTETS {
        Err(StoreError::Refused("a reason that is too long"))
    } else if actor.len() > ACTOR_OCTETS {
        Err(StoreError::Refused("an actor that is too long"))
    } else {
        Ok(())
    }
}

impl Cursor {
    /// From octets that [`Cursor::octets`] gave, perhaps to another process.
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }

    /// To be kept.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Id {
    /// A new one, made at this time (milliseconds since 1970): its first 48 bits, so that those of one minute lie side
    /// by side in the index, which makes batches four times as fast. The other 80 are random.
    pub fn new(milliseconds: u64) -> Result<Self, StoreError> {
        let mut octets = [0; 16];
        let (time, random) = octets.split_at_mut(6);
        time.copy_from_slice(&milliseconds.to_be_bytes()[2..]);
        let drawn = aws_lc_rs::rand::fill(random);
        drawn.map(|()| Self(octets)).map_err(|_| StoreError::Io("no randomness".to_owned()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Id {
    type Err = StoreError;

    /// Thirty-two hexadecimal digits, in lower case.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let digits = text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits && text.len() == 32);
        number.map(|number| Self(number.to_be_bytes())).ok_or(StoreError::Refused("no id"))
    }
}

/// Changes of one append: what `POST /v1/revocations` takes.
pub const BATCH: usize = 1_000;
/// Octets of a kind: the longest word there is and the name of a declared claim.
pub const KIND_OCTETS: usize = 64;
/// Octets of an issuer: longer than any address of one.
pub const ISSUER_OCTETS: usize = 1_024;
/// Octets of a reason: a sentence or two, and the number of a ticket.
pub const REASON_OCTETS: usize = 512;
/// Octets of an actor: a name, or the identity in a certificate.
pub const ACTOR_OCTETS: usize = 256;
/// Issuers whose tokens' lives are remembered each by itself.
pub const LIVES: usize = 1_000;
/// Entries read at once: some megabytes, some milliseconds.
pub const CHUNK: usize = 10_000;
