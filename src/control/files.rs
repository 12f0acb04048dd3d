//! The files a configuration is made of: read whole and bounded, remembered by digest.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

/// What was read, by path.
#[derive(Default)]
pub struct Files {
    found: BTreeMap<PathBuf, Found>,
}

impl fmt::Debug for Files {
    /// The paths alone: a digest of a short secret would give it away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.paths()).finish()
    }
}

/// A file's content and permissions.
pub struct Content {
    /// All of it; wiped when dropped.
    pub octets: Zeroizing<Vec<u8>>,
    /// The mode bits.
    pub mode: u32,
}

struct Found {
    limit: usize,
    /// SHA-256 of the content; `None` if it could not be read.
    digest: Option<[u8; 32]>,
    /// The file itself, to see whether it is being written, and how it was when it was read.
    open: Option<(File, Stamp)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Files {
    /// Reads a regular file of at most `limit` octets. The error is what is wrong, without the path.
    pub fn read(&mut self, path: &Path, limit: usize) -> Result<Content, String> {
        let read = open(path, limit);
        let found = match &read {
            Ok((content, file, stamp)) => {
                let open = file.try_clone().ok().map(|file| (file, *stamp));
                Found { limit, digest: Some(sha256(&content.octets)), open }
            }
            Err(_) => Found { limit, digest: None, open: None },
        };
        self.found.insert(path.to_owned(), found);
        read.map(|(content, _, _)| content)
    }

    /// Every path that was asked for, readable or not.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.found.keys().map(PathBuf::as_path)
    }

    /// Whether some file was written to within [`FRESH`] before `now`: it may be half-written.
    pub fn are_fresh(&self, now: SystemTime) -> bool {
        self.found.values().filter_map(|found| found.open.as_ref()).any(|(_, stamp)| {
            // A modification time ahead of the clock, or none at all, tells nothing: wait.
            stamp.modified.and_then(|at| now.duration_since(at).ok()).is_none_or(|age| age < FRESH)
        })
    }

    /// Whether no file was written to in place since it was read. One that was replaced since is whole, and its
    /// successor another matter.
    pub fn are_settled(&self) -> bool {
        self.found
            .values()
            .filter_map(|found| found.open.as_ref())
            .all(|(file, stamp)| file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == *stamp))
    }

    /// Whether any path holds something else than what was read.
    pub fn have_changed(&self) -> bool {
        self.found.iter().any(|(path, found)| {
            let now = open(path, found.limit).ok().map(|(content, _, _)| sha256(&content.octets));
            now != found.digest
        })
    }

    /// Lets go of the files, and takes over what only `older` knows of: after an attempt that failed, the files
    /// that it did not come to are still of interest.
    #[must_use]
    pub fn closed(mut self, older: Option<&Self>) -> Self {
        for (path, found) in older.into_iter().flat_map(|older| &older.found) {
            let found = Found { limit: found.limit, digest: found.digest, open: None };
            self.found.entry(path.clone()).or_insert(found);
        }
        self.found.values_mut().for_each(|found| found.open = None);
        self
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok() }
    }
}

fn open(path: &Path, limit: usize) -> Result<(Content, File, Stamp), String> {
    // Asked first: opening a pipe waits for a writer.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("not a regular file".into());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let stamp = Stamp::of(&metadata);
    let room = usize::try_from(stamp.length).unwrap_or(usize::MAX).min(limit).saturating_add(1);
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    let all = limit as u64 + 1;
    Read::by_ref(&mut &file).take(all).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() > limit {
        return Err(format!("larger than {limit} octets"));
    }
    Ok((Content { octets, mode: metadata.mode() }, file, stamp))
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, octets).as_ref().first_chunk().copied().unwrap_or_default()
}

/// A file this young may still be written to.
const FRESH: Duration = Duration::from_secs(2);
