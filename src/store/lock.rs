//! One process a store: a lock on a file beside it, which goes along when another process takes over.
//!
//! The lock belongs to the open file, not to the process (flock(2)): a descriptor that is passed on holds it too, and
//! it is free once the last copy is closed, however its holders ended. The file stays, or two processes could hold
//! locks on two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::error::OpenError;
use crate::store::place;

/// The lock, held.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// Whether another process may hold it too.
    shared: AtomicBool,
}

impl Lock {
    /// Takes the lock of the store at `path`, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable =
            |what: &'static str| move |source| OpenError::Unusable { path: path.to_owned(), what, source };
        let beside = beside(path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&beside)
            .map_err(unusable("its lock, a file beside it, cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Held { path: path.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable("it cannot be locked")(source)),
        }
        // One that root has made for another user must not keep that user out.
        place::own_like(&file, path).map_err(unusable("its lock cannot be given to its owner"))?;
        let lock = Self { file, shared: AtomicBool::new(false) };
        lock.sign();
        Ok(lock)
    }

    /// The lock that another process holds too, by the descriptor it gave.
    pub(crate) fn inherit(path: &Path, descriptor: OwnedFd) -> Result<Self, OpenError> {
        let file = File::from(descriptor);
        let same = |there: std::fs::Metadata, here: std::fs::Metadata| {
            (there.dev(), there.ino()) == (here.dev(), here.ino())
        };
        let ours = std::fs::metadata(beside(path)).and_then(|there| Ok(same(there, file.metadata()?)));
        match ours {
            Ok(true) => Ok(Self { file, shared: AtomicBool::new(true) }),
            Ok(false) => Err(OpenError::Held {
                path: path.to_owned(),
                holder: "a process that is not the one that hands over".to_owned(),
            }),
            Err(source) => {
                Err(OpenError::Unusable { path: path.to_owned(), what: "its lock is not there", source })
            }
        }
    }

    /// A copy that holds it too.
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        self.shared.store(true, Ordering::Relaxed);
        Ok(self.file.try_clone()?.into())
    }

    /// Writes our number into it, for whoever finds it held. A disk that is full takes no number, and needs none.
    pub(crate) fn sign(&self) {
        let mut file = &self.file;
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = writeln!(file, "{}", std::process::id());
    }
}

impl Drop for Lock {
    /// Frees it at once where nobody else was given it. Closing alone would not do: a program that is being started by
    /// another thread has copies of our descriptors until it runs.
    fn drop(&mut self) {
        if !self.shared.load(Ordering::Relaxed) {
            let _ = self.file.unlock();
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    place::with_suffix(path, ".lock")
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(NUMBER_OCTETS).read_to_string(&mut text);
    let number = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
    number.map_or_else(|| "another process".to_owned(), |number| format!("process {number}"))
}

/// Octets of a process's number, and some.
const NUMBER_OCTETS: u64 = 32;
