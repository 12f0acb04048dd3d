//! Upstream connections that wait for their next request, a worker's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use crate::proxy::address::PeerAddress;
use crate::proxy::h2::client::Sharing;
use crate::proxy::stream::Stream;
use crate::tls::client::ClientTls;

/// Connections kept to one peer, a worker.
const KEPT: usize = 512;

/// How long one is kept: less than the 60 s that most servers keep theirs, so that we rarely write to one that
/// the other side is about to close.
const KEPT_FOR: Duration = Duration::from_secs(55);

/// Waiting connections by peer, the latest last.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Pool {
    /// Hashed by what costs little: no client chooses a peer's address.
    idle: RefCell<HashMap<PeerAddress, Vec<Idle>, RandomState>>,
    /// Those that requests share.
    pub(in crate::proxy) shared: Sharing,
}

/// How a connection's peer was verified: one that was verified otherwise, or as another, is no substitute.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Secured {
    pub(in crate::proxy) tls: Arc<ClientTls>,
    pub(in crate::proxy) name: ServerName<'static>,
}

impl PartialEq for Secured {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tls, &other.tls) && self.name == other.name
    }
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    secured: Option<Secured>,
    since: Instant,
}

impl Pool {
    /// A connection that was alive a moment ago: nothing to read and not closed.
    pub(in crate::proxy) fn take(
        &self,
        peer: &PeerAddress,
        secured: Option<&Secured>,
        now: Instant,
    ) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(peer)?;
        while let Some(at) = waiting.iter().rposition(|idle| idle.secured.as_ref() == secured) {
            let Idle { mut stream, since, .. } = waiting.remove(at);
            if stream.is_quiet() && now.saturating_duration_since(since) < KEPT_FOR {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection whose last answer ended exactly where it should.
    pub(in crate::proxy) fn keep(
        &self,
        peer: &PeerAddress,
        secured: Option<Secured>,
        stream: Stream,
        now: Instant,
    ) {
        let mut idle = self.idle.borrow_mut();
        let new = Idle { stream, secured, since: now };
        match idle.get_mut(peer) {
            Some(waiting) if waiting.len() < KEPT => waiting.push(new),
            Some(_) => {}
            None => drop(idle.insert(peer.clone(), vec![new])),
        }
    }

    /// Drops what was closed or has waited too long, and peers with nothing waiting.
    pub(in crate::proxy) fn sweep(&self, now: Instant) {
        self.shared.sweep();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, waiting| {
            waiting.retain_mut(|idle| {
                idle.stream.is_quiet() && now.saturating_duration_since(idle.since) < KEPT_FOR
            });
            !waiting.is_empty()
        });
    }
}
