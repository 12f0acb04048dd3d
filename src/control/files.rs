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

/// A file of a directory: its name without the ending, and what it holds.
pub type Member = (Box<str>, Content);

/// What is read of a directory: regular files of these endings, so many, and so many octets together.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "said above")]
pub struct Directory {
    pub endings: &'static [&'static str],
    pub files: usize,
    pub octets: usize,
}

struct Found {
    what: What,
    /// SHA-256 of the content; `None` if it could not be read.
    digest: Option<[u8; 32]>,
    /// The file itself, to see whether it is being written, and how it was when it was read.
    open: Option<(File, Stamp)>,
    /// The same of a directory's files, which may be more than can be open at once.
    members: Vec<(PathBuf, Stamp)>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    File { limit: usize },
    Directory(Directory),
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
        let what = What::File { limit };
        let found = match &read {
            Ok((content, file, stamp)) => {
                let open = file.try_clone().ok().map(|file| (file, *stamp));
                Found { what, digest: Some(sha256(&content.octets)), open, members: Vec::new() }
            }
            Err(_) => Found { what, digest: None, open: None, members: Vec::new() },
        };
        self.found.insert(path.to_owned(), found);
        read.map(|(content, _, _)| content)
    }

    /// Reads a directory's own files, in the order of their names; not those of directories in it, nor hidden ones. The
    /// error is what is wrong, without the directory's path.
    pub fn read_directory(&mut self, path: &Path, bounds: Directory) -> Result<Vec<Member>, String> {
        let read = members(path, bounds);
        let found = Found {
            what: What::Directory(bounds),
            digest: read.as_ref().ok().map(|read| sha256_of(read)),
            open: None,
            members: read.iter().flatten().map(|(path, _, stamp)| (path.clone(), *stamp)).collect(),
        };
        self.found.insert(path.to_owned(), found);
        let named = |(path, content, _): (PathBuf, Content, Stamp)| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            (Box::from(&*name), content)
        };
        Ok(read?.into_iter().map(named).collect())
    }

    /// Every path that was asked for, readable or not.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.found.keys().map(PathBuf::as_path)
    }

    /// Whether some file was written to within [`FRESH`] before `now`: it may be half-written.
    pub fn are_fresh(&self, now: SystemTime) -> bool {
        let opened = self.found.values().filter_map(|found| found.open.as_ref()).map(|(_, stamp)| stamp);
        let members = self.found.values().flat_map(|found| &found.members).map(|(_, stamp)| stamp);
        opened.chain(members).any(|stamp| {
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
            && self
                .found
                .values()
                .flat_map(|found| &found.members)
                .all(|(path, stamp)| path.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == *stamp))
    }

    /// Whether any path holds something else than what was read.
    pub fn have_changed(&self) -> bool {
        self.found.iter().any(|(path, found)| {
            let now = match found.what {
                What::File { limit } => open(path, limit).ok().map(|(content, _, _)| sha256(&content.octets)),
                What::Directory(bounds) => members(path, bounds).ok().map(|read| sha256_of(&read)),
            };
            now != found.digest
        })
    }

    /// Lets go of the files, and takes over what only `older` knows of: after an attempt that failed, the files
    /// that it did not come to are still of interest.
    #[must_use]
    pub fn closed(mut self, older: Option<&Self>) -> Self {
        for (path, found) in older.into_iter().flat_map(|older| &older.found) {
            let found = Found { what: found.what, digest: found.digest, open: None, members: Vec::new() };
            self.found.entry(path.clone()).or_insert(found);
        }
        self.found.values_mut().for_each(|found| (found.open, found.members) = (None, Vec::new()));
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

/// The files of a directory, sorted by their names.
fn members(path: &Path, bounds: Directory) -> Result<Vec<(PathBuf, Content, Stamp)>, String> {
    let mut paths = Vec::new();
    let entries = path.read_dir().map_err(|error| error.to_string())?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || !bounds.endings.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        if paths.len() == bounds.files {
            return Err(format!("more than {} files", bounds.files));
        }
        paths.push(path);
    }
    paths.sort_unstable();
    let mut room = bounds.octets;
    let mut members = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (content, _, stamp) = open(&path, room).map_err(|why| format!("{name}: {why}"))?;
        room -= content.octets.len().min(room);
        members.push((path, content, stamp));
    }
    Ok(members)
}

/// Of names and contents, no two of which can be taken for others.
fn sha256_of(members: &[(PathBuf, Content, Stamp)]) -> [u8; 32] {
    let mut all = Vec::with_capacity(members.len() * 64);
    for (path, content, _) in members {
        all.extend(sha256(path.as_os_str().as_encoded_bytes()));
        all.extend(sha256(&content.octets));
    }
    sha256(&all)
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, octets).as_ref().first_chunk().copied().unwrap_or_default()
}

/// A file this young may still be written to.
const FRESH: Duration = Duration::from_secs(2);
