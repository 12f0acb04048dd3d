//! Connections to peers that speak HTTP/2, each shared by many requests.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::proxy::address::PeerAddress;
use crate::proxy::h2::io::Watched;
use crate::proxy::h2::peer::PeerStream;
use crate::proxy::pool::Secured;
use crate::proxy::stream::Stream;

/// Octets of an answer that a stream may hold unread.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Requests that share a connection, where the peer takes as many.
const STREAMS: usize = 64;

/// Requests that are sent before the peer has said how many it takes: more could be refused.
const UNTOLD: usize = 1;

/// Octets that all streams of a connection may hold: one client that does not read its answer holds up no other.
const CONNECTION_WINDOW: u32 = STREAMS as u32 * STREAM_WINDOW;

/// Octets of a request that a stream may hold unsent.
const SEND_BUFFER: usize = 32 * 1024;

/// Octets of a decoded answer's head: as many as in HTTP/1.1.
const ANSWER_HEAD: u32 = 64 * 1024;

/// Connections to one peer, a worker. When all are full, requests wait for each other.
const CONNECTIONS: usize = 8;

/// How long a connection that nothing uses is kept.
const KEPT_FOR: Duration = Duration::from_secs(55);

/// A request that has heard nothing for so long, on a connection that has heard nothing either, says something of the
/// connection.
const SILENCE: Duration = Duration::from_secs(1);

/// A worker's connections by peer.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Sharing {
    peers: RefCell<HashMap<PeerAddress, Rc<SharedPeer>>>,
}

/// The connections to one peer.
#[derive(Debug, Default)]
pub(in crate::proxy) struct SharedPeer {
    /// One opens a connection, the others wait for it.
    opening: Mutex<()>,
    open: RefCell<Vec<Shared>>,
}

/// One connection.
#[derive(Debug)]
struct Shared {
    secured: Option<Secured>,
    sender: SendRequest<Bytes>,
    state: Rc<State>,
}

/// What requests tell of the connection that they share.
#[derive(Debug)]
struct State {
    /// Requests that use it now.
    busy: Cell<usize>,
    used: Cell<Instant>,
    /// Counts what was read.
    heard: Rc<Cell<u64>>,
    /// It may be dead: nothing came when something should have.
    doubtful: Cell<bool>,
}

/// One request's part in a connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    state: Rc<State>,
    /// When the request was sent, and what had been heard by then, while nothing was heard of its answer.
    awaits: Option<(Instant, u64)>,
}

impl Sharing {
    /// The connections to this peer, if it is one that has had any.
    pub(in crate::proxy) fn known(&self, peer: &PeerAddress) -> Option<Rc<SharedPeer>> {
        self.peers.borrow().get(peer).map(Rc::clone)
    }

    /// The connections to this peer.
    pub(in crate::proxy) fn of(&self, peer: &PeerAddress) -> Rc<SharedPeer> {
        Rc::clone(self.peers.borrow_mut().entry(peer.clone()).or_default())
    }

    /// Drops what was closed or has not been used for long, and peers with nothing open.
    pub(in crate::proxy) fn sweep(&self) {
        self.peers.borrow_mut().retain(|_, peer| {
            let mut open = peer.open.borrow_mut();
            open.retain_mut(|shared| {
                let state = Rc::clone(&shared.state);
                shared.is_usable() && (state.busy.get() > 0 || state.used.get().elapsed() < KEPT_FOR)
            });
            // Whoever waits to open one holds the peer.
            !open.is_empty() || Rc::strong_count(peer) > 1
        });
    }
}

impl SharedPeer {
    /// A stream on a connection whose peer was verified so, unless another connection had better be opened.
    pub(in crate::proxy) fn lend(&self, secured: Option<&Secured>) -> Option<PeerStream> {
        let mut open = self.open.borrow_mut();
        open.retain_mut(Shared::is_usable);
        // Those that were verified otherwise, before a reload, are not counted: they end with their last request.
        let fitting = || open.iter().filter(|shared| shared.secured.as_ref() == secured);
        let least = fitting().min_by_key(|shared| shared.state.busy.get())?;
        (least.has_room() || fitting().count() >= CONNECTIONS).then(|| least.lend())
    }

    /// Waits until nobody else is opening a connection.
    pub(in crate::proxy) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.opening.lock().await
    }

    /// Makes a connection of this stream, and gives its first request's part. The error says why not.
    pub(in crate::proxy) async fn open(
        &self,
        stream: Stream,
        secured: Option<Secured>,
    ) -> Result<PeerStream, &'static str> {
        let io = Watched::new(stream, Bytes::new());
        let heard = io.heard();
        let (sender, connection) =
            builder().handshake(io).await.map_err(|_| "the peer does not speak HTTP/2")?;
        tokio::task::spawn_local(async move {
            // Whatever ends it, the requests on it hear of it.
            let _ = connection.await;
        });
        let state =
            State { busy: Cell::new(0), used: Cell::new(Instant::now()), heard, doubtful: Cell::new(false) };
        let shared = Shared { secured, sender, state: Rc::new(state) };
        let stream = shared.lend();
        let mut open = self.open.borrow_mut();
        // One more than may be kept serves this request and ends with it.
        let alike = open.iter().filter(|other| other.secured == shared.secured).count();
        if alike < CONNECTIONS {
            open.push(shared);
        }
        Ok(stream)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(UNTOLD)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(ANSWER_HEAD)
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

impl Shared {
    /// Whether the peer takes requests on it, as far as that is known (RFC 9113 section 6.8).
    fn is_usable(&mut self) -> bool {
        let ready = self.sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        !self.state.doubtful.get() && matches!(ready, Poll::Ready(Ok(())))
    }

    fn has_room(&self) -> bool {
        // As long as the peer has not said how many it takes, requests wait for that in a queue of `h2`'s.
        let told = self.state.heard.get() > 0;
        let most = if told { self.sender.current_max_send_streams().min(STREAMS) } else { STREAMS };
        self.state.busy.get() < most
    }

    fn lend(&self) -> PeerStream {
        self.state.busy.set(self.state.busy.get() + 1);
        let lease = Lease { state: Rc::clone(&self.state), awaits: None };
        PeerStream::new(self.sender.clone(), lease, self.secured.is_some())
    }
}

impl Lease {
    /// The request was sent.
    pub(super) fn sent(&mut self) {
        self.awaits = Some((Instant::now(), self.state.heard.get()));
    }

    /// Something of its answer has come.
    pub(super) fn answered(&mut self) {
        self.awaits = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.busy.set(self.state.busy.get().saturating_sub(1));
        let now = Instant::now();
        self.state.used.set(now);
        if let Some((sent, heard)) = self.awaits
            && self.state.heard.get() == heard
            && now.duration_since(sent) >= SILENCE
        {
            self.state.doubtful.set(true);
        }
    }
}
