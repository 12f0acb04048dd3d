//! What operators do to a store's file: keep a copy, put one back, bring it to this program's version.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

use crate::store::error::{OpenError, StoreError};
use crate::store::lock::Lock;
use crate::store::place::{self, Found, Use, with_suffix};
use crate::store::schema;
use crate::store::sqlite::{Bounds, connect, create, failed, log_ahead, private, sound, verify, version};

/// What became of a store that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Entries and tombstones that are now in it.
    pub rows: u64,
    /// Where the file that was there before is kept.
    pub kept: Option<PathBuf>,
    /// Entries of that file that the backup does not have: they are in force no more. `None` if it could not be read.
    pub missing: Option<u64>,
}

/// Versions, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The one it had; zero if there was no store.
    pub from: i64,
    /// The one it has.
    pub to: i64,
}

/// Writes a copy of the store at `store` to a new file, of one moment, while another process may be using it (not this
/// one: see [`place::look`]). Returns the copy's entries and tombstones.
pub fn backup(store: &Path, to: &Path) -> Result<u64, OpenError> {
    let store = &place::canonical(store)?;
    if place::look(store, Use::Read)? == Found::Nothing {
        return Err(unusable(store, "it cannot be found")(io::ErrorKind::NotFound.into()));
    }
    let connection = connect(store)?;
    version(store, &connection)?;
    let to = &place::canonical(to)?;
    absent(to)?;
    let new = &with_suffix(to, ".new");
    let written = copy(&connection, new).and_then(|rows| {
        let named = fs::rename(new, to).and_then(|()| place::sync_directory(to));
        named.map_err(unusable(to, "it cannot be written")).map(|()| rows)
    });
    if written.is_err() {
        let _none_left = fs::remove_file(new);
    }
    written
}

/// Puts a copy of the backup at `from` in the place of the store at `store`, which nobody may be using, and keeps the
/// file that was there beside it. The backup is looked through first; until the very end nothing has changed.
pub fn restore(store: &Path, from: &Path) -> Result<Restored, OpenError> {
    let store = &place::canonical(store)?;
    place::local(store)?;
    let lock = Lock::take(store)?;
    let from = &place::canonical(from)?;
    if place::look(from, Use::Read)? == Found::Nothing {
        return Err(unusable(from, "it cannot be found")(io::ErrorKind::NotFound.into()));
    }
    let new = &with_suffix(store, ".new");
    for left in ["", "-wal", "-shm", "-journal"] {
        // Of a crash; we have the lock.
        let _none_left = fs::remove_file(with_suffix(new, left));
    }
    let prepared = prepare(from, new);
    let restored = prepared.and_then(|rows| {
        let missing = missing(store, new);
        let kept = keep(store).map_err(unusable(store, "it cannot be kept under another name"))?;
        let named = File::open(new)
            .and_then(|file| place::own_like(&file, store))
            .and_then(|()| fs::rename(new, store))
            .and_then(|()| place::sync_directory(store));
        named.map_err(unusable(store, "the backup cannot be put in its place"))?;
        Ok(Restored { rows, kept, missing })
    });
    if restored.is_err() {
        let _none_left = fs::remove_file(new);
    }
    drop(lock);
    restored
}

/// Brings the store at `store`, which nobody may be using, to this program's version, or makes it.
pub fn migrate(store: &Path) -> Result<Migrated, OpenError> {
    let store = &place::canonical(store)?;
    place::local(store)?;
    let _lock = Lock::take(store)?;
    let from = match place::look(store, Use::Write)? {
        Found::Nothing => {
            create(store)?;
            0
        }
        Found::Store => {
            let mut connection = connect(store)?;
            verify(store, &connection, Bounds::default())?;
            schema::migrate(&mut connection).map_err(failed(store))?
        }
    };
    Ok(Migrated { from, to: schema::VERSION })
}

/// Copies the backup, which may be of an older version, and makes a store of it that is no other one: who followed the
/// old one must not go on from a place that means something else here.
fn prepare(from: &Path, new: &Path) -> Result<u64, OpenError> {
    let backup = connect(from)?;
    version(from, &backup)?;
    sound(from, &backup, "PRAGMA integrity_check(1)")?;
    copy(&backup, new)?;
    drop(backup);
    let mut connection = connect(new)?;
    let made = log_ahead(&connection)
        .and_then(|()| schema::migrate(&mut connection))
        .and_then(|_| Ok(connection.execute("UPDATE state SET epoch = randomblob(8)", [])?))
        .and_then(|_| rows(&connection));
    let rows = made.map_err(failed(new))?;
    // The log is folded in and removed.
    connection.close().map_err(|(_, error)| failed(new)(error.into()))?;
    File::open(new).and_then(|file| file.sync_all()).map_err(unusable(new, "it cannot be written"))?;
    Ok(rows)
}

/// Writes a database to a new file that nobody else can read, on the disk when this returns. Gives its rows.
fn copy(connection: &Connection, to: &Path) -> Result<u64, OpenError> {
    let file = private(to).map_err(unusable(to, "it cannot be made"))?;
    let name = to
        .to_str()
        .ok_or_else(|| unusable(to, "its name is no text")(io::ErrorKind::InvalidFilename.into()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(to)(error.into()))?;
    file.sync_all().map_err(unusable(to, "it cannot be written"))?;
    let copied = connect(to)?;
    rows(&copied).map_err(failed(to))
}

fn rows(connection: &Connection) -> Result<u64, StoreError> {
    let count: i64 = connection.query_row("SELECT count(*) FROM revocation", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// How many entries of the store are not in the copy; also folds the store's log in, as far as it can be read.
fn missing(store: &Path, copy: &Path) -> Option<u64> {
    if !matches!(place::look(store, Use::Write), Ok(Found::Store)) {
        return None;
    }
    let connection = connect(store).ok()?;
    version(store, &connection).ok()?;
    connection.execute("ATTACH ?1 AS copy", [copy.to_str()?]).ok()?;
    let count = "SELECT count(*) FROM main.revocation AS old WHERE lifted IS NULL
        AND NOT EXISTS (SELECT 1 FROM copy.revocation AS new WHERE new.id = old.id AND new.lifted IS NULL)";
    let count = connection.query_row(count, params![], |row| row.get::<_, i64>(0)).ok()?;
    Some(count.unsigned_abs())
}

/// Gives the file at `path` a second name, and its log the same: at no time is there no store. Nothing, if there is no
/// file.
fn keep(path: &Path) -> io::Result<Option<PathBuf>> {
    let log = with_suffix(path, "-wal");
    if fs::symlink_metadata(path).is_err() && fs::symlink_metadata(&log).is_err() {
        return Ok(None);
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kept = (0..KEPT).map(|number| with_suffix(path, &format!(".before-restore-{}", seconds + number)));
    let free = |kept: &PathBuf| {
        fs::symlink_metadata(kept).is_err() && fs::symlink_metadata(with_suffix(kept, "-wal")).is_err()
    };
    let Some(kept) = kept.into_iter().find(free) else { return Err(io::ErrorKind::AlreadyExists.into()) };
    if fs::symlink_metadata(path).is_ok() {
        fs::hard_link(path, &kept)?;
    }
    if fs::symlink_metadata(&log).is_ok() {
        fs::rename(&log, with_suffix(&kept, "-wal"))?;
    }
    match fs::remove_file(with_suffix(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(Some(kept)),
    }
}

fn absent(path: &Path) -> Result<(), OpenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(unusable(path, "it cannot be looked at")(source)),
        Ok(_) => Err(unusable(path, "there is a file already")(io::ErrorKind::AlreadyExists.into())),
    }
}

fn unusable(path: &Path, what: &'static str) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Unusable { path: path.clone(), what, source }
}

/// Names that are tried for a file that is kept.
const KEPT: u64 = 1_000;
