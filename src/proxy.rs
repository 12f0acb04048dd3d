//! The data plane: listeners, connections, and the way upstream.
//!
//! One thread a worker, each with its own listeners (`SO_REUSEPORT`), runtime, memo and upstream pool: nothing
//! on a request's path is shared but the snapshot and the counters. A connection never leaves its worker.

mod access_log;
mod address;
mod admission;
mod balance;
mod buffer;
mod connection;
mod deadline;
mod downstream;
mod duplex;
mod entrance;
mod exchange;
mod forward;
mod judge;
mod pool;
mod proxy_header;
mod reach;
mod refuse;
mod relay;
mod request_id;
mod sparse;
mod stream;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use crate::config::{Limits, Listener};
use crate::gate::evidence::AskKeys;
use crate::metrics::Metrics;
use crate::proxy::admission::Admission;
use crate::proxy::balance::Balancers;
use crate::proxy::sparse::Sparse;
use crate::proxy::worker::{Shared, Worker};
use crate::snapshot::Reader;

/// Connections that wait in a listener's queue, each worker's own.
const BACKLOG: i32 = 1024;

/// What the data plane is built from.
pub struct Parts {
    /// What decisions read.
    pub reader: Reader,
    /// Who is asked for missing keys.
    pub ask_keys: AskKeys,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// Every bound.
    pub limits: Limits,
    /// Descriptors that the process may have open.
    pub descriptors: usize,
    /// Worker threads.
    pub workers: usize,
    /// Whether each request is one line in the log.
    pub access_log: bool,
    /// How long open requests may go on once draining has begun.
    pub shutdown_grace: Duration,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// The data plane.
#[derive(Debug)]
pub struct Proxy {
    parts: Parts,
}

/// Bound listeners, not yet accepting: one set of sockets a worker.
#[derive(Debug)]
pub struct Bound {
    workers: Vec<Vec<(SocketAddr, std::net::TcpListener)>>,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

impl Proxy {
    /// Wires the parts.
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Binds every listener with `SO_REUSEPORT`, one socket a worker. A port that anybody else listens on, also
    /// with `SO_REUSEPORT`, is an error: two gateways on one port would share its connections at random.
    pub fn bind(&self, listeners: &[Listener]) -> Result<Bound, BindError> {
        let mut workers: Vec<Vec<_>> = (0..self.parts.workers.max(1)).map(|_| Vec::new()).collect();
        for listener in listeners {
            let blame = |source| BindError { address: listener.address, source };
            probe(listener.address).map_err(blame)?;
            let mut address = listener.address;
            for sockets in &mut workers {
                let socket = listen(address).map_err(blame)?;
                // With port 0 the first socket finds the port that the others then share.
                address = socket.local_addr().map_err(blame)?;
                sockets.push((address, socket));
            }
        }
        Ok(Bound { workers })
    }

    /// Runs the workers until `drain` turns true and nothing is open any more, until that has lasted
    /// `shutdown_grace`, or until `stop` turns true. Resolves when every worker is done.
    pub async fn run(self, bound: Bound, drain: watch::Receiver<bool>, stop: watch::Receiver<bool>) {
        let workers = bound.workers.len();
        let shared = Arc::new(Shared {
            admission: Admission::new(&self.parts.limits, self.parts.descriptors),
            starved: Sparse::default(),
            unannounced: Sparse::default(),
            balancers: Balancers::new(tokio::runtime::Handle::current()),
            memo_capacity: self.parts.limits.verified_cache / workers.max(1),
            parts: self.parts,
        });
        let mut done = Vec::new();
        for (index, sockets) in bound.workers.into_iter().enumerate() {
            let (shared, drain, stop) = (Arc::clone(&shared), drain.clone(), stop.clone());
            let (finished, wait) = tokio::sync::oneshot::channel::<()>();
            let spawned = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                if let Err(error) = Worker::run(shared, sockets, drain, stop) {
                    tracing::error!(%error, "a worker could not start");
                }
                drop(finished);
            });
            match spawned {
                Ok(_) => done.push(wait),
                Err(error) => tracing::error!(%error, "a worker thread could not start"),
            }
        }
        for worker in done {
            // The sender is dropped, never used: an error is the end that is waited for.
            let _ = worker.await;
        }
    }
}

impl Bound {
    /// The addresses, with real ports where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.workers
            .first()
            .map(|sockets| sockets.iter().map(|(address, _)| *address).collect())
            .unwrap_or_default()
    }
}

/// Fails where somebody else listens already, `SO_REUSEPORT` or not.
fn probe(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
