//! An upgrade: every listening socket goes from the running process to a new one, and nobody is turned away.
//!
//! ```text
//! new ── "portcullis upgrade 2" ──▶ running          over `upgrade_socket`, whose directory is ours alone
//!     ◀── what the sockets are ───
//!     ◀── the sockets and the store's lock, 253 at a time, each batch acknowledged
//!     ⋮   the new one fetches its keys; the running one serves as if nothing happened
//!     ──▶ "still" ──────────────▶   if there is a store: the running one takes no change any more
//!     ◀── "still" ───────────────   and what it has answered can be read
//!     ──▶ "ready" ──────────────▶   its workers accept, from the very same queues
//!     ◀── "yours" ───────────────   the running one is read-only, and drains
//! ```
//!
//! Up to `ready` the running process keeps everything: if the new one dies, it goes on, and takes changes again. So at
//! no time do both write to the store, and no request meets a process that does not know what the other has answered.
//! Sockets are passed
//! as they are (`SCM_RIGHTS`), so that no queue is ever without a process that will accept from it.

pub(crate) mod predecessor;
pub(crate) mod words;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::admin::readiness::Readiness;
use crate::app::handover::words::{BATCH, Name};
use crate::app::holding;
use crate::audit::{Audit, Event};
use crate::store::Store;

/// The sockets that a successor would be given; nothing once the process drains.
#[derive(Debug, Default)]
pub(crate) struct Offer(Mutex<Option<Vec<Offered>>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) name: Name,
    pub(crate) socket: OwnedFd,
}

/// `upgrade_socket`, listened on.
pub(crate) struct Host {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
    inode: u64,
}

/// What a handover touches in the running process.
#[derive(Clone)]
pub(crate) struct Estate {
    pub(crate) offer: Arc<Offer>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) audit: Option<Arc<Audit>>,
    /// Turns true once a successor has everything.
    pub(crate) handed: Arc<watch::Sender<bool>>,
}

/// Why there was no handover.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandoverError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the other side took too long")]
    Slow,
    #[error("the other side belongs to another user")]
    Stranger,
    #[error("{0}")]
    Refused(String),
}

impl Offer {
    pub(crate) fn new(sockets: Vec<Offered>) -> Self {
        Self(Mutex::new(Some(sockets)))
    }

    /// Nothing is offered any more; our copies of the sockets are closed.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Copies, to be sent.
    fn copies(&self) -> io::Result<Option<Vec<Offered>>> {
        let sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |offered: &Offered| {
            Ok(Offered { name: offered.name.clone(), socket: offered.socket.try_clone()? })
        };
        sockets.as_ref().map(|sockets| sockets.iter().map(copy).collect()).transpose()
    }
}

impl Host {
    /// Listens, in the place of whoever listened there before. The directory has to be checked already.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let beside = path.with_file_name(format!(".{}", std::process::id()));
        // Left by a process of our number that died in between.
        let _none_left = fs::remove_file(&beside);
        let listener = std::os::unix::net::UnixListener::bind(&beside)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        let inode = fs::symlink_metadata(&beside)?.ino();
        fs::rename(&beside, path)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }

    /// Gives everything to the first successor that comes to be ready. Returns only then, or when it cannot
    /// listen.
    pub(crate) async fn serve(self, estate: Estate) {
        let Self { listener, path, inode } = self;
        let _file = File { path, inode, handed: Arc::clone(&estate.handed) };
        let listener = match UnixListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "upgrades cannot be listened for"),
        };
        let mut under_way: Option<tokio::task::JoinHandle<()>> = None;
        let mut handed = estate.handed.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = handed.wait_for(|handed| *handed) => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an upgrade was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if under_way.as_ref().is_some_and(|task| !task.is_finished()) {
                tracing::warn!("a second upgrade was refused: one is under way");
                let refusal = words::refused("another upgrade is under way");
                let _heard_or_not = timeout(STEP, answer(stream, &refusal)).await;
                continue;
            }
            let estate = estate.clone();
            under_way = Some(tokio::spawn(async move {
                if let Err(error) = hand_over(stream, &estate).await {
                    tracing::warn!(%error, "an upgrade was not completed; this process goes on");
                }
            }));
        }
    }
}

/// The socket's file; removed at the end, unless a successor's stands there.
struct File {
    path: PathBuf,
    inode: u64,
    handed: Arc<watch::Sender<bool>>,
}

impl Drop for File {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if ours && !*self.handed.borrow() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Reads a first word and answers it.
async fn answer(mut stream: UnixStream, answer: &[u8]) -> Result<(), HandoverError> {
    read(&mut stream).await?;
    Ok(stream.write_all(answer).await?)
}

async fn hand_over(mut stream: UnixStream, estate: &Estate) -> Result<(), HandoverError> {
    of_us(&stream)?;
    let hello = within(STEP, read(&mut stream)).await??;
    if let Err(why) = words::is_hello(&hello) {
        let _heard_or_not = stream.write_all(&words::refused(&why)).await;
        return Err(HandoverError::Refused(why));
    }
    let Some(sockets) = estate.offer.copies()? else {
        let why = "the running gateway is stopping";
        let _heard_or_not = stream.write_all(&words::refused(why)).await;
        return Err(HandoverError::Refused(why.to_owned()));
    };
    tracing::info!(sockets = sockets.len(), "a new process asks for the listeners");
    let names: Vec<&Name> = sockets.iter().map(|offered| &offered.name).collect();
    within(STEP, stream.write_all(&words::inventory(&names))).await??;
    for batch in sockets.chunks(BATCH) {
        within(STEP, send(&mut stream, batch)).await??;
    }
    drop(sockets);
    let mut word = within(PATIENCE, read(&mut stream)).await??;
    let mut still = Still(None);
    if word == words::STILL {
        still.keep(estate).await?;
        within(STEP, stream.write_all(&words::frame(words::STILL))).await??;
        word = within(STEP, read(&mut stream)).await??;
    }
    if word != words::READY {
        return Err(HandoverError::Refused(
            "the new process said something else than that it is ready".into(),
        ));
    }
    still.0 = None;
    // From here on the new process is the one that is asked to change anything.
    estate.readiness.hand_over();
    estate.offer.close();
    let written = holding::write(estate.audit.as_ref(), "successor", Event::Upgrade, true);
    // This process may end once it is said, but no disk keeps the other one waiting.
    let _written_or_not = timeout(LINE, written).await;
    estate.handed.send_replace(true);
    // It goes on without our word: it has everything.
    let _heard_or_not = within(STEP, stream.write_all(&words::frame(words::YOURS))).await;
    tracing::info!("the listeners are the new process's");
    Ok(())
}

/// Keeps the store as it is, until it is dropped: then a successor did not come to be.
struct Still(Option<Arc<Store>>);

impl Still {
    async fn keep(&mut self, estate: &Estate) -> Result<(), HandoverError> {
        let Some(store) = &estate.store else { return Ok(()) };
        let paused = store.pause().await;
        paused.map_err(|error| HandoverError::Refused(format!("the store does not pause: {error}")))?;
        self.0 = Some(Arc::clone(store));
        Ok(())
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if let Some(store) = self.0.take() {
            tokio::spawn(async move {
                if let Err(error) = store.resume().await {
                    tracing::error!(%error, "the store takes no changes any more");
                }
            });
        }
    }
}

async fn send(stream: &mut UnixStream, batch: &[Offered]) -> Result<(), HandoverError> {
    let sockets: Vec<BorrowedFd<'_>> = batch.iter().map(|offered| offered.socket.as_fd()).collect();
    stream.async_io(Interest::WRITABLE, || words::send(stream.as_fd(), &sockets)).await?;
    // Sockets that are under way count against a limit of the kernel's: one batch at a time.
    let mut taken = [0; 1];
    stream.read_exact(&mut taken).await?;
    Ok(())
}

/// Reads one length-prefixed text.
async fn read(stream: &mut UnixStream) -> Result<String, HandoverError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut text = vec![0; words::length(length)?];
    stream.read_exact(&mut text).await?;
    Ok(words::text(text)?)
}

async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, HandoverError> {
    timeout(time, work).await.map_err(|_| HandoverError::Slow)
}

/// Whether the other side is a process of our own user.
pub(crate) fn of_us(stream: impl AsFd) -> Result<(), HandoverError> {
    let other = socket_peercred(stream).map_err(io::Error::from)?;
    if other.uid == rustix::process::geteuid() { Ok(()) } else { Err(HandoverError::Stranger) }
}

/// Sees to it that nobody else can reach `upgrade_socket`: its directory is made, or has to be ours alone. The
/// error says what to do.
pub(crate) fn secure_directory(path: &Path) -> Result<(), String> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Err("`upgrade_socket` has no directory".to_owned());
    };
    let shown = directory.display();
    match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .map_err(|error| format!("the directory of `upgrade_socket`, {shown}, cannot be made: {error}")),
        Err(error) => {
            Err(format!("the directory of `upgrade_socket`, {shown}, cannot be looked at: {error}"))
        }
        Ok(is) if is.uid() != rustix::process::geteuid().as_raw() => Err(format!(
            "the directory of `upgrade_socket`, {shown}, belongs to another user; give it a directory of its own"
        )),
        Ok(is) if is.mode() & 0o077 != 0 => Err(format!(
            "the directory of `upgrade_socket`, {shown}, is open to others ({:04o}); \
             say `chmod 0700 {shown}`, or give it a directory of its own",
            is.mode() & 0o7777
        )),
        Ok(_) => Ok(()),
    }
}

/// Whether a gateway answers there.
pub(crate) fn is_answered(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_ok()
}

/// For one step that needs nothing but the other process's attention.
pub(crate) const STEP: Duration = Duration::from_secs(10);

/// For a line in the audit file.
const LINE: Duration = Duration::from_secs(1);

/// For a new process to become ready: longer than it waits for its keys itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// Before accepting again after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
