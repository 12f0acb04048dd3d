//! Where a store lies: what kind of file system, and what is in the file before SQLite opens it.
//!
//! SQLite takes an empty file for a new database and makes one where none is. A store that was cut to nothing, or
//! whose log was left alone, would come back without its revocations: so the file is looked at first.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::error::OpenError;
use crate::store::schema;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No file.
    Nothing,
    /// A store, as far as its head tells.
    Store,
}

/// The path by its one spelling, so that a store has one lock. The file need not be there, its directory must.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, OpenError> {
    let unusable = |what| move |source| OpenError::Unusable { path: path.to_owned(), what, source };
    if fs::symlink_metadata(path).is_ok() {
        return fs::canonicalize(path).map_err(unusable("it cannot be found"));
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = fs::canonicalize(directory.unwrap_or(Path::new(".")))
        .map_err(unusable("its directory cannot be found"))?;
    let name = path
        .file_name()
        .ok_or_else(|| unusable("it names no file")(io::ErrorKind::InvalidFilename.into()))?;
    Ok(directory.join(name))
}

/// Refuses a file system that is not this machine's own, or that may not be.
pub(crate) fn local(path: &Path) -> Result<(), OpenError> {
    let directory = path.parent().unwrap_or(path);
    let found = rustix::fs::statfs(directory).map_err(|error| OpenError::Unusable {
        path: path.to_owned(),
        what: "its file system cannot be asked what it is",
        source: error.into(),
    })?;
    // The kernel's numbers have 32 bits; the field is wider, and its sign is nobody's promise.
    let kind = u32::try_from(i128::from(found.f_type) & 0xffff_ffff).unwrap_or_default();
    match remote(kind) {
        Some(system) => Err(OpenError::NotLocal { path: path.to_owned(), system }),
        None => Ok(()),
    }
}

/// The name of a file system that is, or may be, another machine's, by its number (statfs(2)). FUSE and 9P can be
/// either (sshfs, GlusterFS, a share of the virtual machine's host), and nothing tells which: they are refused. What
/// several machines mount at once is refused too: a lock that only one of them sees protects nothing.
pub(crate) fn remote(kind: u32) -> Option<&'static str> {
    REMOTE.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

const REMOTE: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564c, "NCP"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x786f_4256, "VirtualBox shared"),
    (0xbacb_acbc, "VMware shared"),
];

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// To change it.
    Write,
    /// To read it, and perhaps to copy it.
    Read,
}

/// Looks at the file. Nothing of this process may have it open in SQLite: closing any descriptor of a file drops the
/// locks that the process has on it (fcntl(2)).
pub(crate) fn look(path: &Path, used: Use) -> Result<Found, OpenError> {
    let unusable = |what| move |source| OpenError::Unusable { path: path.to_owned(), what, source };
    let log = with_suffix(path, "-wal");
    let file = match OpenOptions::new().read(true).write(used == Use::Write).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::symlink_metadata(&log) {
                Ok(_) => Err(OpenError::Damaged {
                    path: path.to_owned(),
                    why: format!("it is missing, and its log {} is there", log.display()),
                }),
                Err(_) => Ok(Found::Nothing),
            };
        }
        Err(error) => return Err(unusable("it cannot be opened")(error)),
    };
    let size = file.metadata().map_err(unusable("it cannot be looked at"))?;
    if !size.is_file() {
        return Err(OpenError::Foreign { path: path.to_owned(), why: "it is no file".to_owned() });
    }
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head).map_err(unusable("it cannot be read"))?;
    let has_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    head_of(path, &head, size.len(), has_log).map(|()| Found::Store)
}

/// Octets of a database's head (the SQLite file format, section 1.3).
const HEAD: usize = 100;

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Judges the first octets of a file of this size. With a log beside it, the file may rightly be shorter than it says.
fn head_of(path: &Path, head: &[u8], size: u64, has_log: bool) -> Result<(), OpenError> {
    let path = path.to_owned();
    if head.is_empty() {
        return Err(OpenError::Damaged { path, why: "it is empty, which a store never is".to_owned() });
    }
    if !head.starts_with(MAGIC) {
        // A few octets of the right ones are a store that was cut; zeros are a file that lost its content.
        if MAGIC.starts_with(head) || head.iter().all(|&octet| octet == 0) {
            return Err(OpenError::Damaged { path, why: "its beginning is lost".to_owned() });
        }
        return Err(OpenError::Foreign { path, why: "it is no SQLite database".to_owned() });
    }
    let number = |at: usize| {
        let octets = head.get(at..at + 4).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        octets.map(u32::from_be_bytes)
    };
    let page = head.get(16..18).and_then(|octets| <[u8; 2]>::try_from(octets).ok());
    let (Some(page), Some(pages), Some(application)) = (page, number(28), number(68)) else {
        return Err(OpenError::Damaged { path, why: format!("it ends after {size} octets") });
    };
    if i64::from(application) != schema::APPLICATION {
        return Err(OpenError::Foreign {
            path,
            why: "it is the SQLite database of something else".to_owned(),
        });
    }
    // One stands for 65,536, which does not fit.
    let page = match u16::from_be_bytes(page) {
        1 => 65_536,
        octets => u64::from(octets),
    };
    let said = page * u64::from(pages);
    if size < said && !has_log {
        return Err(OpenError::Damaged { path, why: format!("it has {size} octets of {said}") });
    }
    Ok(())
}

/// The file beside it whose name is longer by `suffix`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Gives `file` to the owner of the file at `like`, if there is one and we are root, who may.
pub(crate) fn own_like(file: &File, like: &Path) -> io::Result<()> {
    match fs::metadata(like) {
        Ok(like) if rustix::process::geteuid().is_root() => {
            std::os::unix::fs::fchown(file, Some(like.uid()), Some(like.gid()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes what happened to names in the directory of `path` last.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}
