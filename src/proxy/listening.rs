//! Listening sockets: bound by us or given to us, dealt to the workers, accepted from.
//!
//! A TCP address is bound once a worker (`SO_REUSEPORT`): the kernel spreads connections, and no worker wakes for
//! another's. Sockets that are given to us are all accepted from, however many they are: one that nobody accepts
//! from would swallow its share of the connections. Workers that are left without one share with another; binding
//! more would be a promise to serve that is made before we serve.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Type};

use crate::config::Listener;
use crate::config::address::Address;
use crate::proxy::stream::Socket;

/// Connections that wait in a listener's queue, each socket's own.
const BACKLOG: i32 = 1024;

/// A listening socket that is accepted from without waiting.
#[derive(Debug)]
pub(in crate::proxy) enum Listening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// A listening socket on a worker's runtime.
#[derive(Debug)]
pub(in crate::proxy) enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// Who has bound a socket, and so removes the file of a Unix one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The gateway: this process, or the one that it takes over from.
    Own,
    /// A service manager, before us and beyond us.
    Manager,
}

/// A listening socket that somebody else has bound.
#[derive(Debug)]
pub struct Given {
    /// The listener it is for, as configured.
    pub listener: Address,
    /// Who has bound it.
    pub origin: Origin,
    /// The socket.
    pub socket: OwnedFd,
}

/// Bound listeners, not yet accepting: one set of sockets a worker.
#[derive(Debug)]
pub struct Bound {
    pub(in crate::proxy) workers: Vec<Vec<Dealt>>,
    addresses: Vec<Address>,
    files: SocketFiles,
}

/// A listening socket before it is dealt.
#[derive(Debug)]
struct Found {
    socket: Listening,
    origin: Origin,
}

/// A socket that a worker accepts from.
#[derive(Debug)]
pub(in crate::proxy) struct Dealt {
    /// The listener, by its place in the configuration.
    pub(in crate::proxy) listener: usize,
    /// Where it listens, with the port that the system chose.
    pub(in crate::proxy) address: Address,
    pub(in crate::proxy) socket: Listening,
    /// What it would be given on as; nothing if another worker has the same one.
    name: Option<(Address, Origin)>,
}

/// The files of the Unix sockets that are ours: removed when this is dropped, where they still are.
#[derive(Debug, Default)]
pub struct SocketFiles {
    ours: Vec<SocketFile>,
    /// Of the process that gives us its sockets, until it has let go.
    theirs: Vec<SocketFile>,
    /// The same, for listeners that we do not have.
    unwanted: Vec<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: Address,
    /// Why.
    pub source: io::Error,
}

impl Bound {
    /// Binds the listeners for so many workers, but for those that a socket is given for. A port that anybody
    /// else listens on, also with `SO_REUSEPORT`, is an error: two gateways on one port would share its
    /// connections at random. So is a Unix socket that is answered; a file whose owner is gone is removed.
    pub(in crate::proxy) fn bind(
        listeners: &[Listener],
        workers: usize,
        mut given: Vec<Given>,
    ) -> Result<Self, BindError> {
        let mut bound = Self {
            workers: (0..workers.max(1)).map(|_| Vec::new()).collect(),
            addresses: Vec::new(),
            files: SocketFiles::default(),
        };
        for (index, listener) in listeners.iter().enumerate() {
            let blame = |source| BindError { address: listener.address.clone(), source };
            let (ours, others) = given.into_iter().partition(|one| one.listener == listener.address);
            given = others;
            bound.listen(index, listener, ours).map_err(blame)?;
        }
        for one in given {
            bound.files.unwanted.extend(SocketFile::given(&one));
        }
        Ok(bound)
    }

    fn listen(&mut self, index: usize, listener: &Listener, given: Vec<Given>) -> io::Result<()> {
        let mut found: Vec<Found> = Vec::new();
        for one in given {
            self.files.theirs.extend(SocketFile::given(&one));
            found.push(Found { socket: Listening::of(&one.listener, one.socket)?, origin: one.origin });
        }
        if found.is_empty() {
            let sockets = match &listener.address {
                Address::Ip(address) => listen(*address, self.workers.len())?,
                Address::Unix(path) => {
                    let (socket, file) = listen_unix(path, listener.mode)?;
                    self.files.ours.push(file);
                    vec![socket]
                }
            };
            found.extend(sockets.into_iter().map(|socket| Found { socket, origin: Origin::Own }));
        }
        self.deal(index, &listener.address, found)
    }

    /// Every socket to some worker, and some socket to every worker.
    fn deal(&mut self, listener: usize, configured: &Address, found: Vec<Found>) -> io::Result<()> {
        let Some(first) = found.first() else { return Ok(()) };
        let address = first.socket.address(configured)?;
        for worker in found.len()..self.workers.len() {
            let socket = found[worker % found.len()].socket.try_clone()?;
            self.workers[worker].push(Dealt { listener, address: address.clone(), socket, name: None });
        }
        let workers = self.workers.len();
        for (index, Found { socket, origin }) in found.into_iter().enumerate() {
            let name = Some((configured.clone(), origin));
            self.workers[index % workers].push(Dealt { listener, address: address.clone(), socket, name });
        }
        self.addresses.push(address);
        Ok(())
    }

    /// How many workers there are to be.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Copies of every socket, to be given to a process that takes over.
    pub fn copies(&self) -> io::Result<Vec<Given>> {
        let mut copies = Vec::new();
        for Dealt { name, socket, .. } in self.workers.iter().flatten() {
            let Some((listener, origin)) = name.clone() else { continue };
            copies.push(Given { listener, origin, socket: socket.try_clone()?.into() });
        }
        Ok(copies)
    }

    /// The addresses, with real ports where 0 was asked for.
    pub fn addresses(&self) -> Vec<Address> {
        self.addresses.clone()
    }

    /// The files of Unix sockets, to be removed by dropping them.
    pub fn take_files(&mut self) -> SocketFiles {
        std::mem::take(&mut self.files)
    }
}

impl SocketFiles {
    /// Leaves the files where they are: somebody else answers there from now on.
    pub fn leave(&mut self) {
        self.ours.clear();
    }

    /// Takes over the files of the process that has given us its sockets, and removes those of listeners that we
    /// do not have: nobody will answer there.
    pub fn adopt(&mut self) {
        self.ours.append(&mut self.theirs);
        for file in self.unwanted.drain(..) {
            file.remove();
        }
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for file in &self.ours {
            file.remove();
        }
    }
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let is = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: is.dev(), inode: is.ino() })
    }

    /// That of a given socket, if the gateway has made it.
    fn given(given: &Given) -> Option<Self> {
        match (&given.listener, given.origin) {
            (Address::Unix(path), Origin::Own) => Self::at(path).ok(),
            (Address::Unix(_), Origin::Manager) | (Address::Ip(_), _) => None,
        }
    }

    /// Removes it. A file that is gone, or has become another's, is none of ours.
    fn remove(&self) {
        if Self::at(&self.path).is_ok_and(|now| (now.device, now.inode) == (self.device, self.inode)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listening {
    /// A socket that was given to us.
    fn of(address: &Address, socket: OwnedFd) -> io::Result<Self> {
        match address {
            Address::Ip(_) => {
                let socket = std::net::TcpListener::from(socket);
                socket.set_nonblocking(true)?;
                Ok(Self::Tcp(socket))
            }
            Address::Unix(_) => {
                let socket = std::os::unix::net::UnixListener::from(socket);
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(socket))
            }
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }

    /// Where it listens, which was configured so.
    fn address(&self, configured: &Address) -> io::Result<Address> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(Address::Ip),
            Self::Unix(_) => Ok(configured.clone()),
        }
    }

    /// The next connection that waits in the queue, if one does.
    pub(in crate::proxy) fn waiting(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Socket::Tcp(tokio::net::TcpStream::from_std(stream)?), Some(peer.ip())))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Socket::Unix(tokio::net::UnixStream::from_std(stream)?), None))
            }
        }
    }
}

impl From<Listening> for OwnedFd {
    fn from(socket: Listening) -> Self {
        match socket {
            Listening::Tcp(socket) => socket.into(),
            Listening::Unix(socket) => socket.into(),
        }
    }
}

impl Accepting {
    /// Puts a socket on the current runtime.
    pub(in crate::proxy) fn on_runtime(socket: Listening) -> io::Result<Self> {
        match socket {
            Listening::Tcp(socket) => tokio::net::TcpListener::from_std(socket).map(Self::Tcp),
            Listening::Unix(socket) => tokio::net::UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// The next connection, and the address it comes from if it has one.
    pub(in crate::proxy) async fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Socket::Tcp(stream), Some(peer.ip())))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }

    /// Takes it off the runtime again. The runtime knows of a connection only when it has looked; the socket
    /// itself always does.
    pub(in crate::proxy) fn off_runtime(self) -> io::Result<Listening> {
        match self {
            Self::Tcp(socket) => socket.into_std().map(Listening::Tcp),
            Self::Unix(socket) => socket.into_std().map(Listening::Unix),
        }
    }
}

/// Binds one socket a worker.
fn listen(mut address: SocketAddr, workers: usize) -> io::Result<Vec<Listening>> {
    probe(address)?;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = std::net::TcpListener::from(socket);
        // With port 0 the first socket finds the port that the others then share.
        address = socket.local_addr()?;
        sockets.push(Listening::Tcp(socket));
    }
    Ok(sockets)
}

/// Fails where somebody else listens already, `SO_REUSEPORT` or not.
fn probe(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

/// Binds a Unix socket. Nobody can connect before its file has its permissions: it does not listen yet.
fn listen_unix(path: &Path, mode: u32) -> io::Result<(Listening, SocketFile)> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            clear(path, &address)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let file = SocketFile::at(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok((Listening::Unix(socket.into()), file))
}

/// Removes a socket's file that nobody answers at any more.
fn clear(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    let caller = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    caller.set_nonblocking(true)?;
    match caller.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A queue that is full belongs to somebody, too.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}
