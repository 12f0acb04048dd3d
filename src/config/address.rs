//! Where a listener is: an address and port, or a Unix socket's file.

use std::fmt::{Display, Formatter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::net;
use crate::config::problems::Wrong;

#[cfg(test)]
mod tests;

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port; port 0 is one that the system chooses.
    Ip(SocketAddr),
    /// The file of a Unix socket; absolute, or resolved against the configuration's directory.
    Unix(PathBuf),
}

impl Address {
    /// Reads `IP:PORT` or `unix:PATH`; a relative path begins at `directory`.
    pub fn read(text: &str, directory: &Path) -> Result<Self, Wrong> {
        let Some(path) = text.strip_prefix(UNIX) else {
            return net::address(text).map(Self::Ip);
        };
        socket_file(path, directory).map(Self::Unix)
    }

    /// Whether listening on both would put two servers in one place.
    pub fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(other)) => net::collide(*one, *other),
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Ip(_), Self::Unix(_)) | (Self::Unix(_), Self::Ip(_)) => false,
        }
    }

    /// The same for the admin listener, whose `[::]` is every IPv4 address too.
    pub fn collides_with_admin(&self, admin: SocketAddr) -> bool {
        self.ip().is_some_and(|address| net::collides_with_admin(admin, address))
    }

    /// The IP address and port, if it has them.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// As the file writes it.
impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Reads the path of a socket's file; a relative one begins at `directory`.
pub fn socket_file(text: &str, directory: &Path) -> Result<PathBuf, Wrong> {
    if text.is_empty() || text.ends_with('/') {
        return Err(Wrong::is("names no file"));
    }
    let path = directory.join(text);
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(Wrong::is(format!("is {length} octets long with its directory"))
            .hint(format!("a socket's path has at most {LONGEST_PATH}")));
    }
    if text.contains('\0') {
        return Err(Wrong::is("is no path"));
    }
    Ok(path)
}

const UNIX: &str = "unix:";

/// What `sun_path` holds, less the zero at its end (unix(7)).
const LONGEST_PATH: usize = 107;
