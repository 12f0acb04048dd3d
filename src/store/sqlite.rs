//! The engine: an SQLite database, one connection that writes and one that reads.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::store::error::{OpenError, StoreError};
use crate::store::lock::Lock;
use crate::store::place::{self, Found, Use, with_suffix};
use crate::store::records::{self, Record, RecordChange, RecordKind};
use crate::store::schema;
use crate::store::writer::{Place, State, Writer};
use crate::store::{Change, Committed, Cursor, Entry, Filter, Id, Listed, Live, Page, Tombstone};

/// A database, open.
#[derive(Debug)]
pub(crate) struct Sqlite {
    // In the order in which they are dropped: nobody else may hold the store while we still write.
    writer: Writer,
    reader: Mutex<Connection>,
    lock: Lock,
}

/// Bounds that tests make smaller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Pages of the database.
    pub(crate) pages: i64,
    /// Pages of a database that is looked through at every start.
    pub(crate) checked: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pages: PAGES, checked: CHECKED_PAGES }
    }
}

impl Sqlite {
    /// Opens the database at `path`, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_within(path, Bounds::default())
    }

    pub(crate) fn open_within(path: &Path, bounds: Bounds) -> Result<Self, OpenError> {
        let path = &place::canonical(path)?;
        place::local(path)?;
        let lock = Lock::take(path)?;
        match place::look(path, Use::Write)? {
            Found::Nothing => create(path)?,
            Found::Store => {}
        }
        let mut connection = connect(path)?;
        let found = verify(path, &connection, bounds)?;
        schema::migrate(&mut connection).map_err(failed(path))?;
        if found != schema::VERSION {
            tracing::info!(store = %path.display(), from = found, to = schema::VERSION, "the store was migrated");
        }
        Self::start(path, connection, lock, bounds, true)
    }

    /// Opens the database that another process holds, by the lock it gave.
    pub(crate) fn inherit(path: &Path, lock: OwnedFd) -> Result<Self, OpenError> {
        let path = &place::canonical(path)?;
        let lock = Lock::inherit(path, lock)?;
        let connection = connect(path)?;
        let found = version(path, &connection)?;
        if found != schema::VERSION {
            return Err(OpenError::Older { path: path.to_owned(), found, known: schema::VERSION });
        }
        Self::start(path, connection, lock, Bounds::default(), false)
    }

    fn start(
        path: &Path,
        connection: Connection,
        lock: Lock,
        bounds: Bounds,
        writing: bool,
    ) -> Result<Self, OpenError> {
        let unusable = |what| move |source| OpenError::Unusable { path: path.to_owned(), what, source };
        connection
            .pragma_update(None, "max_page_count", bounds.pages)
            .map_err(|error| failed(path)(error.into()))?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true).map_err(|error| failed(path)(error.into()))?;
        let reader = Mutex::new(reader);
        let file = Place::new(path.to_owned()).map_err(unusable("it cannot be looked at"))?;
        let writer =
            Writer::start(connection, file, writing).map_err(unusable("its thread cannot be started"))?;
        Ok(Self { writer, reader, lock })
    }

    pub(crate) async fn append(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        self.writer.append(changes).await
    }

    pub(crate) async fn purge(&self, now: i64) -> Result<u64, StoreError> {
        self.writer.purge(now).await
    }

    pub(crate) async fn remember(&self, lives: BTreeMap<Box<str>, i64>) -> Result<(), StoreError> {
        self.writer.remember(lives).await
    }

    pub(crate) async fn keep(&self, changes: Vec<RecordChange>) -> Result<(), StoreError> {
        self.writer.keep(changes).await
    }

    /// Records of a kind behind an id, in the order of their ids.
    pub(crate) fn kept(
        &self,
        kind: RecordKind,
        after: &[u8],
        most: usize,
    ) -> Result<Vec<Record>, StoreError> {
        records::read(&self.reader(), kind, after, most)
    }

    pub(crate) fn lives(&self) -> Result<BTreeMap<Box<str>, i64>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare("SELECT issuer, longest FROM life")?;
        let lives = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(lives.collect::<Result<_, _>>()?)
    }

    pub(crate) async fn writing(&self, on: bool) -> Result<(), StoreError> {
        self.writer.writing(on).await?;
        if on {
            self.lock.sign();
        }
        Ok(())
    }

    pub(crate) fn hand_over(&self) -> io::Result<OwnedFd> {
        self.lock.share()
    }

    /// The place behind the latest change.
    pub(crate) fn end(&self) -> Result<Cursor, StoreError> {
        Ok(State::read(&self.reader())?.cursor())
    }

    /// Entries that count at `now`, behind a place, and the place of the last; nothing when there are no more.
    pub(crate) fn live(
        &self,
        now: i64,
        after: i64,
        most: usize,
    ) -> Result<Option<(Vec<Live>, i64)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare(LIVE)?;
        let mut rows = statement.query(params![after, now, limit(most)])?;
        let (mut entries, mut last, mut kinds) = (Vec::new(), None, Vec::new());
        while let Some(row) = rows.next()? {
            last = Some(row.get(0)?);
            entries.push(Live {
                id: Id(row.get(1)?),
                kind: shared(&mut kinds, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?),
                key: row.get(3)?,
                not_before: row.get(4)?,
                expires: row.get(5)?,
            });
        }
        Ok(last.map(|last| (entries, last)))
    }

    pub(crate) fn list(
        &self,
        now: i64,
        filter: &Filter,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Listed, StoreError> {
        let mut reader = self.reader();
        let reader = reader.transaction()?;
        let state = State::read(&reader)?;
        let after = after.map_or(Ok(0), |after| after.of(&state))?;
        let mut statement = reader.prepare(LIST)?;
        let mut rows = statement.query(params![after, now, limit(most), filter.kind, filter.issuer])?;
        let (mut entries, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            last = Some(row.get(0)?);
            entries.push(entry(row)?);
        }
        Ok(Listed { entries, next: last.map(|last| state.at(last)) })
    }

    pub(crate) fn changes(&self, since: &Cursor, most: usize) -> Result<Page, StoreError> {
        let mut reader = self.reader();
        // The state and the changes of one moment.
        let reader = reader.transaction()?;
        let state = State::read(&reader)?;
        let place = since.place(&state)?;
        let mut statement = reader.prepare(CHANGES)?;
        let mut rows = statement.query(params![place, limit(most)])?;
        let (mut changes, mut last) = (Vec::new(), place);
        while let Some(row) = rows.next()? {
            changes.push(change(row)?);
            last = row.get(0)?;
        }
        Ok(Page { changes, cursor: state.at(last) })
    }

    pub(crate) fn find(&self, id: Id) -> Result<Option<Entry>, StoreError> {
        Ok(self.reader().query_row(FIND, [id.0], entry).optional()?)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cursor {
    /// The place it points at, if what came behind it is still known.
    fn place(&self, state: &State) -> Result<i64, StoreError> {
        let place = self.of(state)?;
        if place >= state.floor { Ok(place) } else { Err(StoreError::Forgotten) }
    }

    /// The place it points at, in the store with this state.
    fn of(&self, state: &State) -> Result<i64, StoreError> {
        let octets: [u8; 16] = self.octets().try_into().map_err(|_| StoreError::Forgotten)?;
        let place = i64::from_be_bytes(octets[8..].try_into().map_err(|_| StoreError::Forgotten)?);
        let known = octets.starts_with(&state.epoch) && (0..=state.last).contains(&place);
        if known { Ok(place) } else { Err(StoreError::Forgotten) }
    }
}

/// Opens a database that is there, in the one way in which all of them are opened.
pub(crate) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let settings = |connection: &Connection| -> Result<(), StoreError> {
        connection.busy_timeout(BUSY_TIME)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_PAGES * PAGE)?;
        connection.pragma_update(None, "cache_size", CACHE_PAGES)?;
        // Corruption is found where it is read, not where it has led to.
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(())
    };
    // To read is to take part in the log's shared memory, which is writing: so every connection may.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(path)(error.into()))?;
    settings(&connection).map_err(failed(path))?;
    Ok(connection)
}

/// Makes an empty store under another name and gives it its own: a crash in between leaves none.
pub(crate) fn create(path: &Path) -> Result<(), OpenError> {
    let unusable = |what| move |source| OpenError::Unusable { path: path.to_owned(), what, source };
    let new = &with_suffix(path, ".new");
    for left in ["", "-wal", "-shm", "-journal"] {
        // Of a crash; we have the lock.
        let _none_left = std::fs::remove_file(with_suffix(new, left));
    }
    let file = private(new).map_err(unusable("it cannot be made"))?;
    let mut connection = connect(new)?;
    let made = connection
        .pragma_update(None, "application_id", schema::APPLICATION)
        .map_err(StoreError::from)
        .and_then(|()| log_ahead(&connection))
        .and_then(|()| schema::migrate(&mut connection));
    made.map_err(failed(path))?;
    // The log is folded in and removed.
    connection.close().map_err(|(_, error)| failed(path)(error.into()))?;
    file.sync_all()
        .and_then(|()| std::fs::rename(new, path))
        .and_then(|()| place::sync_directory(path))
        .map_err(unusable("it cannot be made"))?;
    tracing::info!(store = %path.display(), "a new store was made");
    Ok(())
}

/// A new file that nobody else can read.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Turns the write-ahead log on, for good: it stands in the file.
pub(crate) fn log_ahead(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(StoreError::Io(format!("its journal is {mode}, not wal"))) }
}

/// The version of a store that this program can use.
pub(crate) fn version(path: &Path, connection: &Connection) -> Result<i64, OpenError> {
    let found = schema::version(connection).map_err(failed(path))?;
    if found > schema::VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: schema::VERSION });
    }
    Ok(found)
}

/// Looks through the file, and gives its version. A large one is left to those who read all of it anyway: what is
/// damaged there is [`StoreError::Damaged`] then.
pub(crate) fn verify(path: &Path, connection: &Connection, bounds: Bounds) -> Result<i64, OpenError> {
    let found = version(path, connection)?;
    let pages = connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0));
    if pages.map_err(|error| failed(path)(error.into()))? <= bounds.checked {
        sound(path, connection, "PRAGMA quick_check(1)")?;
    }
    log_ahead(connection).map_err(failed(path))?;
    Ok(found)
}

/// Asks the database whether it is sound.
pub(crate) fn sound(path: &Path, connection: &Connection, check: &str) -> Result<(), OpenError> {
    let said = connection.query_row(check, [], |row| row.get::<_, String>(0));
    match said.map_err(|error| failed(path)(error.into()))?.as_str() {
        "ok" => Ok(()),
        why => Err(OpenError::Damaged { path: path.to_owned(), why: why.to_owned() }),
    }
}

/// What a failure of the database comes to while it is opened.
pub(crate) fn failed(path: &Path) -> impl Fn(StoreError) -> OpenError {
    let path = path.to_owned();
    move |why| {
        if let StoreError::Damaged(why) = why {
            OpenError::Damaged { path: path.clone(), why }
        } else {
            OpenError::Failed { path: path.clone(), why }
        }
    }
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// The text, and only one of it.
fn shared(kinds: &mut Vec<Arc<str>>, kind: &str) -> Arc<str> {
    if let Some(known) = kinds.iter().find(|known| &***known == kind) {
        return Arc::clone(known);
    }
    let new: Arc<str> = kind.into();
    kinds.push(Arc::clone(&new));
    new
}

/// Reads the columns that [`LIST`], [`CHANGES`] and [`FIND`] begin with.
fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: Id(row.get(1)?),
        kind: row.get(2)?,
        key: row.get(3)?,
        not_before: row.get(4)?,
        expires: row.get(5)?,
        reason: row.get(6)?,
        actor: row.get(7)?,
        created: row.get(8)?,
        issuer: row.get(9)?,
    })
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(match row.get::<_, Option<i64>>(10)? {
        None => Change::Added(entry(row)?),
        Some(at) => {
            let (id, kind, key, actor) = (Id(row.get(1)?), row.get(2)?, row.get(3)?, row.get(11)?);
            Change::Lifted(Tombstone { id, kind, key, actor, at })
        }
    })
}

const LIVE: &str = "SELECT place, id, kind, key, not_before, expires FROM revocation
  WHERE place > ?1 AND lifted IS NULL AND (expires IS NULL OR expires >= ?2) ORDER BY place LIMIT ?3";

const LIST: &str = "SELECT place, id, kind, key, not_before, expires, reason, actor, created, issuer FROM revocation
  WHERE place > ?1 AND lifted IS NULL AND (expires IS NULL OR expires >= ?2)
    AND (?4 IS NULL OR kind = ?4 OR substr(kind, 1, length(?4) + 1) = ?4 || ':') AND (?5 IS NULL OR issuer = ?5)
  ORDER BY place LIMIT ?3";

const CHANGES: &str =
    "SELECT place, id, kind, key, not_before, expires, reason, actor, created, issuer, lifted, lifted_by
  FROM revocation WHERE place > ?1 ORDER BY place LIMIT ?2";

const FIND: &str =
    "SELECT place, id, kind, key, not_before, expires, reason, actor, created, issuer FROM revocation
  WHERE id = ?1 AND lifted IS NULL";

/// Pages of a database, of 4 KiB each: 64 GiB, many times what fits into memory.
const PAGES: i64 = 16 * 1024 * 1024;
/// Octets of a page: SQLite's own default.
const PAGE: i64 = 4096;
/// Pages of the log after which it is folded in, 32 MiB: a batch touches many pages, and the same ones again and again.
const LOG_PAGES: i64 = 8_192;
/// Pages that a connection keeps in memory, 16 MiB: what the changes of the last minutes touch.
const CACHE_PAGES: i64 = 4_096;
/// Pages of a database that is looked through at every start, 256 MiB: a second.
const CHECKED_PAGES: i64 = 64 * 1024;
/// How long another program may keep the database locked.
const BUSY_TIME: Duration = Duration::from_secs(5);
