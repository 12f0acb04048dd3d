//! Who did what: a line of JSON for everything that is asked of the admin listener and changes something, in a file
//! that only grows.
//!
//! A change has two lines with one `request_id`. The first says what is `asked`, and is on the disk before anything
//! changes: if it cannot be written, nothing does. The second says how it ended, `done`, `failed` or `refused`, and is
//! written without waiting for the disk: where a crash took it, what was asked for may have happened, and the ids in
//! the first line tell by the store. What is refused at once has the second line alone, and so has who is turned away
//! at the door (a wrong token), of whom only so many a minute are written down; the next line says how many were left
//! out.
//!
//! What no request asked for has one line, once it has ended, without a request and a peer: a reload by a signal or by a file
//! that changed, and another process that took over.
//!
//! No token, no subject and no value stands in it: entries are named by the hash that they are kept by.
//!
//! A line is one write to a file that is opened for appending, so that two processes may write to it (as they do in an
//! upgrade). A line that a crash or a full disk has cut is ended before the next one begins. Whoever renames the file
//! away finds the next line in a new one: before each line it is asked which file has the name.

#[cfg(test)]
mod tests;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use serde::{Serialize, Serializer};

/// The file, open.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    /// The file that had the name when the last line was written.
    file: Mutex<File>,
    turned_away: Mutex<TurnedAway>,
}

/// Who asks, and in which request.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The id that the answer carries.
    pub request_id: Arc<str>,
    /// Where the request came from.
    pub peer: SocketAddr,
    /// Who it is; nobody where that was not proven.
    pub actor: Option<&'static str>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Entries are to be added.
    Revoke,
    /// An entry is to be lifted.
    Lift,
    /// The configuration is to be read again.
    Reload,
    /// Another process took over.
    Upgrade,
    /// An API key is to be made.
    MakeKey,
    /// An API key, or one of its secrets, is to be changed.
    ChangeKey,
    /// An API key is to be removed.
    RemoveKey,
    /// Signing keys are to be replaced.
    RotateKeys,
    /// A person is to be let in.
    MakePerson,
    /// A person is to be changed.
    ChangePerson,
    /// A person is to be removed.
    RemovePerson,
    /// Something is to be shown: written down only where that was refused at the door.
    Read,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was done.
    Done,
    /// It could not be done.
    Failed,
    /// It was not to be done.
    Refused,
}

/// An entry, as far as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// Its name.
    pub id: String,
    /// Its kind; of a claim, `claim:` and its name.
    pub kind: Box<str>,
    /// What it is about: the hash that it is kept by.
    #[serde(serialize_with = "hexadecimal")]
    pub key: [u8; 16],
    /// Whose tokens.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub issuer: Box<str>,
    /// What was issued before this is revoked, in Unix seconds; `None` is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// When it ends, in Unix seconds; `None` is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Why, as it was said.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: Box<str>,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    time_ms: u64,
    event: Event,
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(skip_serializing_if = "<[About]>::is_empty")]
    entries: &'a [About],
    #[serde(skip_serializing_if = "is_none_at_all")]
    left_out: u64,
}

/// Those who are turned away at the door, of this minute.
#[derive(Debug, Default)]
struct TurnedAway {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Audit {
    /// Opens the file at `path`, or makes it, for us alone. Blocks.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = Mutex::new(open(path)?);
        Ok(Self { path: path.to_owned(), file, turned_away: Mutex::default() })
    }

    /// Says what is going to be done, on the disk once this returns. An error means that it must not be done. Blocks.
    pub fn asked(&self, by: &Asker, event: Event, entries: &[About]) -> io::Result<()> {
        let count = (!entries.is_empty()).then_some(entries.len());
        let line = Line { count, entries, ..line(by, event, "asked", None) };
        self.append(&line)?.sync_data()
    }

    /// The same of somebody who holds a credential of this name: an API key's id, or the hash of a person's name. What is
    /// made has no id before.
    pub fn asked_of(&self, by: &Asker, event: Event, credential: &str, holder: &str) -> io::Result<()> {
        let said = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let (credential, holder) = (said(credential), said(holder));
        let line = Line { credential, holder, ..line(by, event, "asked", None) };
        self.append(&line)?.sync_data()
    }

    /// Says how it ended, and `why` if it was not done: a word. Blocks for as long as writing does.
    pub fn ended(&self, by: &Asker, event: Event, end: End, why: Option<&str>) -> io::Result<()> {
        self.append(&line(by, event, end.name(), why)).map(drop)
    }

    /// Says how something ended that was asked for by no request, and by what: a word. Blocks for as long as writing does.
    pub fn happened(&self, actor: &str, event: Event, end: End, why: Option<&str>) -> io::Result<()> {
        let line = Line { actor: Some(actor), ..unasked(event, end.name(), why) };
        self.append(&line).map(drop)
    }

    /// Says that somebody was turned away, unless that was said too often of late. Blocks for as long as writing does.
    pub fn turned_away(&self, by: &Asker, event: Event, why: &str) -> io::Result<()> {
        let Some(left_out) = self.turn(Instant::now()) else { return Ok(()) };
        self.append(&Line { left_out, ..line(by, event, End::Refused.name(), Some(why)) }).map(drop)
    }

    /// Whether another one may be written down, and how many were not since the last.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut turned = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if turned.since.is_none_or(|since| now.duration_since(since) >= MINUTE) {
            (turned.since, turned.written) = (Some(now), 0);
        }
        if turned.written >= TURNED_AWAY {
            turned.left_out += 1;
            return None;
        }
        turned.written += 1;
        Some(std::mem::take(&mut turned.left_out))
    }

    /// Writes a line, and gives the file it is in.
    fn append(&self, line: &Line<'_>) -> io::Result<File> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if !has_name(&file, &self.path) {
            *file = open(&self.path)?;
        }
        let mut octets = Vec::with_capacity(TYPICAL_LINE);
        if is_torn(&file)? {
            octets.push(b'\n');
        }
        serde_json::to_writer(&mut octets, line)?;
        octets.push(b'\n');
        // What does not fit is not written after it: another process may have written meanwhile.
        if file.write(&octets)? < octets.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // The disk is waited for by the caller alone.
        file.try_clone()
    }
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Not waiting: a pipe that nobody reads is refused, not waited for.
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(at_once);
    let file = options.open(path)?;
    let is = file.metadata()?;
    if !is.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if is.mode() & 0o002 != 0 {
        return Err(io::Error::other("it is world-writable (chmod o-w)"));
    }
    if is.len() == 0 {
        // A new file's name has to last as long as its lines do.
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(file)
}

/// Whether the name is still this file's.
fn has_name(file: &File, path: &Path) -> bool {
    let which = |is: Metadata| (is.dev(), is.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => which(there) == which(here),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Whether the last line has no end.
fn is_torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut octet = [0];
    file.read_exact_at(&mut octet, last)?;
    Ok(octet != *b"\n")
}

fn line<'a>(by: &'a Asker, event: Event, step: &'static str, why: Option<&'a str>) -> Line<'a> {
    Line {
        request_id: Some(&by.request_id),
        actor: by.actor,
        peer: Some(by.peer),
        ..unasked(event, step, why)
    }
}

fn unasked<'a>(event: Event, step: &'static str, why: Option<&'a str>) -> Line<'a> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Line {
        time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        event,
        step,
        request_id: None,
        actor: None,
        peer: None,
        credential: None,
        holder: None,
        why,
        count: None,
        entries: &[],
        left_out: 0,
    }
}

fn hexadecimal<S: Serializer>(key: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{:032x}", u128::from_be_bytes(*key)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none_at_all(count: &u64) -> bool {
    *count == 0
}

/// Of those who are turned away, so many are written down in [`MINUTE`].
const TURNED_AWAY: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// Octets of a line about one entry.
const TYPICAL_LINE: usize = 512;
