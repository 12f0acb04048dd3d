//! Upstream connections that wait for their next request, a worker's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

/// Connections kept to one peer, a worker.
const KEPT: usize = 256;

/// How long one is kept: less than the 60 s that most servers keep theirs, so that we rarely write to one that
/// the other side is about to close.
const KEPT_FOR: Duration = Duration::from_secs(55);

/// Waiting connections by peer, the latest last.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Pool {
    idle: RefCell<HashMap<SocketAddr, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since: Instant,
}

impl Pool {
    /// A connection that was alive a moment ago: nothing to read and not closed.
    pub(in crate::proxy) fn take(&self, peer: SocketAddr) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(&peer)?;
        while let Some(Idle { stream, since }) = waiting.pop() {
            if is_quiet(&stream) && since.elapsed() < KEPT_FOR {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection whose last answer ended exactly where it should.
    pub(in crate::proxy) fn keep(&self, peer: SocketAddr, stream: TcpStream) {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(peer).or_default();
        if waiting.len() < KEPT {
            waiting.push(Idle { stream, since: Instant::now() });
        }
    }

    /// Drops what was closed or has waited too long, and peers with nothing waiting.
    pub(in crate::proxy) fn sweep(&self) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, waiting| {
            waiting.retain(|idle| is_quiet(&idle.stream) && idle.since.elapsed() < KEPT_FOR);
            !waiting.is_empty()
        });
    }
}

/// Whether the driver has heard nothing of this connection: no octets, no end. No system call, but where the
/// last read filled its buffer and left the question open.
fn is_quiet(stream: &TcpStream) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    if pin!(stream.readable()).poll(&mut context).is_pending() {
        return true;
    }
    let mut octet = [0; 1];
    match stream.try_read(&mut octet) {
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        Ok(_) => false,
    }
}
