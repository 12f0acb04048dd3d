//! Where a peer's octets go: an internet address or a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};

use crate::config::peer::Peer;
use crate::proxy::stream::Socket;

/// A peer's address, found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::proxy) enum PeerAddress {
    Inet(SocketAddr),
    Unix(Arc<Path>),
}

impl PeerAddress {
    /// That of a peer which needs no look-up.
    pub(in crate::proxy) fn literal(peer: &Peer) -> Option<Self> {
        match peer {
            Peer::Host { host, port, .. } => Some(Self::Inet(SocketAddr::new(host.parse().ok()?, *port))),
            Peer::Unix(path) => Some(Self::Unix(Arc::clone(path))),
        }
    }

    /// A new connection to it.
    pub(in crate::proxy) async fn connect(&self) -> io::Result<Socket> {
        let socket = match self {
            Self::Inet(address) => Socket::Tcp(TcpStream::connect(address).await?),
            Self::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        };
        socket.prepare();
        Ok(socket)
    }
}

impl fmt::Display for PeerAddress {
    /// As a `Host` value; what listens on a Unix socket is on this host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{address}"),
            Self::Unix(_) => f.write_str("localhost"),
        }
    }
}
