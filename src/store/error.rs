//! What can go wrong with a store: while it is opened, which an operator mends, and while it serves.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why an append or a read came to nothing. Everything but [`StoreError::Refused`] and [`StoreError::Forgotten`] is a
/// dependency that failed: callers answer 503, and nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the bound on the store's size, is full.
    #[error("the store's disk is full")]
    Full,
    /// The file or its file system cannot be written any more.
    #[error("the store cannot be written")]
    ReadOnly,
    /// More waits to be written than may, or another program keeps the database locked.
    #[error("the store is busy")]
    Busy,
    /// A successor has it, or the process before has not let go yet.
    #[error("the store is with another process, which takes over")]
    Paused,
    /// The file was removed or replaced while it was open: what is written would be lost.
    #[error("the store's file is gone")]
    Gone,
    /// The store has been closed, or its thread has died.
    #[error("the store is closed")]
    Closed,
    /// What is in the file is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Any other failure of the disk or the database.
    #[error("the store failed: {0}")]
    Io(String),
    /// What was asked for is beyond a bound: the caller's mistake.
    #[error("{0}")]
    Refused(&'static str),
    /// What came behind this cursor is not known any more: take a snapshot, keep what is at hand, and follow from there.
    #[error("the cursor is of another store, or too old")]
    Forgotten,
}

/// Why a store was not opened, made, restored or migrated; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error(
        "the store {} is in use by {holder}: stop that one first, or let `run --upgrade` take over from it; \
         gateways that share their revocations will need `store: {{postgres: …}}`, which this version does not have",
        path.display()
    )]
    Held {
        /// Which.
        path: PathBuf,
        /// Which process, as far as it is known.
        holder: String,
    },
    /// Its directory is not on this machine, or may not be.
    #[error(
        "the store {} is on a {system} file system: SQLite needs a local disk, because locks and shared memory do not \
         work over a network; give `store` a path on one",
        path.display()
    )]
    NotLocal {
        /// Which.
        path: PathBuf,
        /// What kind of file system.
        system: &'static str,
    },
    /// A file of something else.
    #[error(
        "{} is no store of Portcullis: {why}; nothing was changed; give `store` another path",
        path.display()
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// How that is known.
        why: String,
    },
    /// A store that is torn or overwritten.
    #[error(
        "the store {} is damaged: {why}; nothing was changed; `portcullis store restore` puts a backup in its place",
        path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How that is known.
        why: String,
    },
    /// A later version of the program has written it.
    #[error(
        "the store {} has version {found} and this program knows versions up to {known}: \
         use the program that wrote it, or `portcullis store restore` with a backup of before",
        path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest known.
        known: i64,
    },
    /// A store that has to be migrated while another process serves from it.
    #[error(
        "the store {} has version {found} and this program needs {known}: \
         stop the running gateway and start this one; it migrates the store (`portcullis store migrate`)",
        path.display()
    )]
    Older {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The one that is needed.
        known: i64,
    },
    /// The file or its directory cannot be written, or not even read.
    #[error("the store {} cannot be used: {what}: {source}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Any other failure of the database.
    #[error("the store {} failed: {why}", path.display())]
    Failed {
        /// Which.
        path: PathBuf,
        /// What it says.
        why: StoreError,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // No value of a row is ever part of a message: all of them are bound.
        let is = |codes: &[ErrorCode]| error.sqlite_error_code().is_some_and(|code| codes.contains(&code));
        if is(&[ErrorCode::DiskFull]) {
            Self::Full
        } else if is(&[ErrorCode::ReadOnly, ErrorCode::PermissionDenied, ErrorCode::CannotOpen]) {
            Self::ReadOnly
        } else if is(&[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked]) {
            Self::Busy
        } else if is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase]) {
            Self::Damaged(error.to_string())
        } else {
            Self::Io(error.to_string())
        }
    }
}
