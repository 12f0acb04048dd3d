//! The one thread that writes: appends, and changes of records, that arrive together share a transaction and its wait for
//! the disk.
//!
//! An append is answered after the commit, with what it came to. When a transaction fails, everybody in it hears why
//! and nothing of it has happened.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::store::error::StoreError;
use crate::store::records::{self, RecordChange};
use crate::store::{Change, Committed, Cursor, Entry, ISSUER_OCTETS, LIVES, Tombstone};

/// Whoever asks the thread. Dropping it waits for what was asked.
#[derive(Debug)]
pub(crate) struct Writer {
    commands: Option<mpsc::Sender<Command>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is asked for.
#[derive(Debug)]
enum Command {
    Write { work: Work, answer: Answer<Committed>, _room: OwnedSemaphorePermit },
    Purge { now: i64, answer: Answer<u64> },
    Remember { lives: BTreeMap<Box<str>, i64>, answer: Answer<()> },
    Writing { on: bool, answer: Answer<()> },
}

/// What can share a transaction.
#[derive(Debug)]
enum Work {
    Changes(Vec<Change>),
    Records(Vec<RecordChange>),
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// The state row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    pub(crate) epoch: [u8; 8],
    pub(crate) last: i64,
    pub(crate) floor: i64,
    pub(crate) clock: i64,
}

/// The thread's own.
struct Scribe {
    connection: Connection,
    commands: mpsc::Receiver<Command>,
    file: Place,
    writing: bool,
}

/// Which file the connection has open.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    inode: (u64, u64),
}

impl Place {
    /// The file that is at `path` now.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        let file = fs::metadata(&path)?;
        Ok(Self { path, inode: (file.dev(), file.ino()) })
    }

    fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.inode)
    }
}

impl Writer {
    /// Starts the thread with a connection of its own.
    pub(crate) fn start(connection: Connection, file: Place, writing: bool) -> io::Result<Self> {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let scribe = Scribe { connection, commands, file, writing };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || scribe.run())?;
        let room = Arc::new(Semaphore::new(CHANGES));
        Ok(Self { commands: Some(sender), room, thread: Some(thread) })
    }

    pub(crate) async fn append(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let size = changes.len();
        self.write(Work::Changes(changes), size).await
    }

    pub(crate) async fn keep(&self, changes: Vec<RecordChange>) -> Result<(), StoreError> {
        let size = records::weight(&changes);
        self.write(Work::Records(changes), size).await.map(|_committed| ())
    }

    async fn write(&self, work: Work, size: usize) -> Result<Committed, StoreError> {
        let size = u32::try_from(size).map_err(|_| StoreError::Busy)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(size).map_err(|_| StoreError::Busy)?;
        self.ask(|answer| Command::Write { work, answer, _room: room }).await
    }

    pub(crate) async fn purge(&self, now: i64) -> Result<u64, StoreError> {
        self.ask(|answer| Command::Purge { now, answer }).await
    }

    pub(crate) async fn remember(&self, lives: BTreeMap<Box<str>, i64>) -> Result<(), StoreError> {
        self.ask(|answer| Command::Remember { lives, answer }).await
    }

    pub(crate) async fn writing(&self, on: bool) -> Result<(), StoreError> {
        self.ask(|answer| Command::Writing { on, answer }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        commands.try_send(command(answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        // A thread that panicked has said so.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

impl Scribe {
    fn run(mut self) {
        let mut next = None;
        while let Some(command) = next.take().or_else(|| self.commands.blocking_recv()) {
            // An answer that nobody waits for any more is dropped.
            match command {
                Command::Writing { on, answer } => {
                    self.writing = on;
                    let _ = answer.send(Ok(()));
                }
                Command::Purge { now, answer } => {
                    let _ = answer.send(self.alone(|transaction, state| purge(transaction, state, now)));
                }
                Command::Remember { lives, answer } => {
                    let _ = answer.send(self.alone(|transaction, _| remember(transaction, &lives)));
                }
                Command::Write { work, answer, _room } => next = self.together(&work, answer),
            }
        }
    }

    /// Commits an append and those that wait behind it, and gives the first command that is none.
    fn together(&mut self, work: &Work, answer: Answer<Committed>) -> Option<Command> {
        let (mut answers, mut next) = (vec![answer], None);
        let result = self.may_write().and_then(|()| {
            let begun = Instant::now();
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut state = State::read(&transaction)?;
            let mut done = vec![work.apply(&transaction, &mut state)?];
            while answers.len() < COMMIT && begun.elapsed() < COMMIT_TIME {
                match self.commands.try_recv() {
                    Ok(Command::Write { work, answer, _room }) => {
                        answers.push(answer);
                        done.push(work.apply(&transaction, &mut state)?);
                    }
                    Ok(other) => {
                        next = Some(other);
                        break;
                    }
                    Err(_) => break,
                }
            }
            state.write(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        match result {
            Ok(done) => answers.into_iter().zip(done).for_each(|(answer, committed)| {
                let _ = answer.send(Ok(committed));
            }),
            Err(error) => {
                self.recover();
                answers.into_iter().for_each(|answer| {
                    let _ = answer.send(Err(error.clone()));
                });
            }
        }
        next
    }

    /// Commits one piece of work.
    fn alone<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = self.may_write().and_then(|()| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut state = State::read(&transaction)?;
            let done = work(&transaction, &mut state)?;
            state.write(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        if result.is_err() {
            self.recover();
        }
        result
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if !self.writing {
            Err(StoreError::Paused)
        } else if !self.file.is_there() {
            Err(StoreError::Gone)
        } else {
            Ok(())
        }
    }

    /// A transaction that could not even be rolled back must not take the next one in.
    fn recover(&self) {
        if !self.connection.is_autocommit() {
            let _rolled_back_or_not = self.connection.execute_batch("ROLLBACK");
        }
    }
}

impl Work {
    fn apply(&self, transaction: &Transaction<'_>, state: &mut State) -> Result<Committed, StoreError> {
        match self {
            Self::Changes(changes) => apply(transaction, state, changes),
            Self::Records(changes) => {
                let effective = records::apply(transaction, changes)?;
                Ok(Committed { cursor: state.cursor(), effective })
            }
        }
    }
}

impl State {
    pub(crate) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let row = connection.query_row("SELECT epoch, last, floor, clock FROM state", [], |row| {
            Ok(Self { epoch: row.get(0)?, last: row.get(1)?, floor: row.get(2)?, clock: row.get(3)? })
        });
        row.optional()?.ok_or_else(|| StoreError::Damaged("its state is missing".to_owned()))
    }

    fn write(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let state = "UPDATE state SET last = ?1, floor = ?2, clock = ?3";
        transaction.execute(state, params![self.last, self.floor, self.clock])?;
        Ok(())
    }

    /// The place behind the latest change.
    pub(crate) fn cursor(&self) -> Cursor {
        self.at(self.last)
    }

    /// The place behind the change at `place`.
    pub(crate) fn at(&self, place: i64) -> Cursor {
        Cursor([self.epoch, place.to_be_bytes()].concat().into())
    }
}

/// Applies changes in order. What is so already stays as it is, so that applying twice is applying once.
fn apply(
    transaction: &Transaction<'_>,
    state: &mut State,
    changes: &[Change],
) -> Result<Committed, StoreError> {
    let mut add = transaction.prepare(ADD)?;
    let mut lift = transaction.prepare(LIFT)?;
    let mut effective = 0;
    for change in changes {
        let place = state.last + 1;
        let changed = match change {
            Change::Added(entry) => {
                let Entry { id, kind, key, issuer, not_before, expires, reason, actor, created } = entry;
                add.execute(params![
                    place, id.0, kind, key, not_before, expires, reason, actor, created, issuer
                ])?
            }
            Change::Lifted(Tombstone { id, kind: _, key: _, actor, at }) => {
                lift.execute(params![place, id.0, at, actor])?
            }
        };
        if changed > 0 {
            state.last = place;
            effective += 1;
        }
    }
    Ok(Committed { cursor: state.cursor(), effective })
}

const ADD: &str = "INSERT INTO revocation
  (place, id, kind, key, not_before, expires, reason, actor, created, issuer)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING";

const LIFT: &str =
    "UPDATE revocation SET place = ?1, lifted = ?3, lifted_by = ?4 WHERE id = ?2 AND lifted IS NULL";

/// Keeps the larger of two values, and no more places than there may be.
fn remember(transaction: &Transaction<'_>, lives: &BTreeMap<Box<str>, i64>) -> Result<(), StoreError> {
    let mut is_there = transaction.prepare("SELECT EXISTS (SELECT 1 FROM life WHERE issuer = ?1)")?;
    let mut write = transaction.prepare(
        "INSERT INTO life (issuer, longest) VALUES (?1, ?2)
         ON CONFLICT (issuer) DO UPDATE SET longest = max(longest, excluded.longest)",
    )?;
    let mut count: i64 = transaction.query_row("SELECT count(*) FROM life", [], |row| row.get(0))?;
    for (issuer, longest) in lives {
        let is_known: bool = is_there.query_row([issuer], |row| row.get(0))?;
        let has_place = is_known || (count < LIVES as i64 && issuer.len() <= ISSUER_OCTETS);
        count += i64::from(has_place && !is_known);
        write.execute(params![if has_place { &**issuer } else { "" }, longest])?;
    }
    Ok(())
}

/// Forgets a batch of what is over: entries, then records, then tombstones.
fn purge(transaction: &Transaction<'_>, state: &mut State, now: i64) -> Result<u64, StoreError> {
    // A clock that was set back says of nothing how long it is over.
    if now < state.clock {
        return Ok(0);
    }
    state.clock = now;
    let entries = "DELETE FROM revocation WHERE place IN (
        SELECT place FROM revocation WHERE lifted IS NULL AND expires < ?1 LIMIT ?2)";
    let purged = transaction.execute(entries, params![now.saturating_sub(GRACE), PURGE])?;
    if purged > 0 {
        return Ok(purged as u64);
    }
    let purged = records::purge(transaction, now.saturating_sub(GRACE), PURGE)?;
    if purged > 0 {
        return Ok(purged);
    }
    let mut purged = 0;
    let tombstones = "DELETE FROM revocation WHERE place IN (
        SELECT place FROM revocation WHERE lifted < ?1 LIMIT ?2) RETURNING place";
    let mut tombstones = transaction.prepare(tombstones)?;
    let mut rows = tombstones.query(params![now.saturating_sub(TOMBSTONE), PURGE])?;
    while let Some(row) = rows.next()? {
        state.floor = state.floor.max(row.get(0)?);
        purged += 1;
    }
    Ok(purged)
}

/// Commands that may wait; one more finds the store busy.
const COMMANDS: usize = 4_096;
/// Changes that may wait, in all of them: some 60 MiB at their longest.
const CHANGES: usize = 65_536;
/// Appends of one commit.
const COMMIT: usize = 1_000;
/// How long a commit collects appends that wait already. It waits for none: while it is on its way to the disk, the
/// next ones come together by themselves.
const COMMIT_TIME: Duration = Duration::from_millis(2);
/// Rows that a commit forgets: some ten milliseconds in which nobody can append.
const PURGE: i64 = 5_000;
/// Seconds for which an entry is kept once it is over, for clocks that differ.
const GRACE: i64 = 600;
/// Seconds for which a tombstone is kept: who has not followed for thirty days takes a snapshot.
const TOMBSTONE: i64 = 30 * 86_400;
