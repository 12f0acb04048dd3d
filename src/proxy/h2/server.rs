//! A client's HTTP/2 connection: its streams accepted within bounds, each served as a connection of its own.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use crate::config::limits::Limits;
use crate::proxy::connection::Connection;
use crate::proxy::downstream::{Downstream, Version};
use crate::proxy::h2::io::Watched;
use crate::proxy::h2::is_well_formed;
use crate::proxy::h2::stream::ClientStream;
use crate::proxy::stream::Stream;
use crate::proxy::worker::Worker;

/// What a client sends first (RFC 9113 section 3.4), as far as it looks like a request's head.
pub(in crate::proxy) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Octets of body that a stream may hold unread: enough for 20 Mbit/s at 50 ms.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same of all streams of a connection together.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

/// Octets of an answer that a stream may hold unsent. A window that is closed holds none.
const SEND_BUFFER: usize = 32 * 1024;

/// Streams that are remembered after they were reset, on either side, so that what was on its way is ignored.
const REMEMBERED: usize = 32;

/// Streams that had to be reset for what the client did wrong, in a connection's life (threats D1: MadeYouReset).
const FAULTY: usize = 64;

/// Streams that a client may reset before they are answered, those let off that it did not (threats D1).
const RESET_EARLY: usize = 100;

/// How long a connection that was told to go may take to do so once nothing is open on it.
const GOODBYE: Duration = Duration::from_secs(1);

type Connected = h2::server::Connection<Watched, Bytes>;
type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// A connection being served.
struct Serving {
    worker: Rc<Worker>,
    downstream: Downstream,
    /// Nothing is open: it can be closed without loss.
    idle: Rc<Cell<bool>>,
    streams: JoinSet<()>,
    accepted: u64,
    reset_early: Rc<Cell<usize>>,
    stalled: Rc<Cell<Option<Instant>>>,
    /// Since when nothing is open.
    quiet: Instant,
    leaving: Leaving,
    timer: Pin<Box<Sleep>>,
}

/// Whether the connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The client was told; what it has begun goes on.
    Told,
    /// The client was told that it is unwelcome; nothing goes on.
    Thrown,
}

/// What happened next.
enum Event {
    Accepted(Box<Accepted>),
    /// A stream's task has ended.
    Served,
    Drain,
    /// The connection has waited long enough, for whatever.
    Overdue,
    /// The connection is over.
    Ended,
}

/// Serves a connection whose client speaks HTTP/2, by ALPN or prior knowledge, to its end. `ahead` was read of it
/// before that was known.
pub(in crate::proxy) fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    ahead: Bytes,
    downstream: Downstream,
    idle: Rc<Cell<bool>>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    // Boxed with its type forgotten: it serves connections that may become one of these.
    Box::pin(async move {
        let io = Watched::new(stream, ahead);
        let stalled = io.stalled();
        let handshake = builder(worker.limits()).handshake(io);
        let Ok(Ok(connection)) = tokio::time::timeout(worker.limits().header_time, handshake).await else {
            return;
        };
        let serving = Serving {
            worker,
            downstream: Downstream { version: Version::Http2, ..downstream },
            idle,
            streams: JoinSet::new(),
            accepted: 0,
            reset_early: Rc::default(),
            stalled,
            quiet: Instant::now(),
            leaving: Leaving::No,
            timer: Box::pin(tokio::time::sleep(GOODBYE)),
        };
        serving.run(connection).await;
    })
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(limits.h2_header_list)
        .max_concurrent_streams(limits.h2_streams)
        .max_concurrent_reset_streams(REMEMBERED)
        .max_pending_accept_reset_streams(REMEMBERED)
        .max_local_error_reset_streams(Some(FAULTY))
        .max_send_buffer_size(SEND_BUFFER)
        .enable_connect_protocol();
    builder
}

impl Serving {
    async fn run(mut self, mut connection: Connected) {
        let worker = Rc::clone(&self.worker);
        let mut drain = pin!(worker.drain_begins());
        loop {
            self.idle.set(self.streams.is_empty() && !connection.has_streams());
            let event = poll_fn(|context| self.poll_event(context, &mut connection, drain.as_mut())).await;
            match event {
                Event::Accepted(accepted) => self.accept(*accepted),
                Event::Served => {
                    if self.streams.is_empty() {
                        self.quiet = Instant::now();
                    }
                }
                Event::Drain => self.leave(&mut connection),
                Event::Overdue if self.leaving == Leaving::No && self.stalled.get().is_none() => {
                    self.leave(&mut connection);
                    self.quiet = Instant::now();
                }
                Event::Overdue | Event::Ended => break,
            }
            if self.accepted >= worker.limits().requests_per_connection {
                self.leave(&mut connection);
            }
            if self.reset_early.get() > RESET_EARLY && self.leaving != Leaving::Thrown {
                self.leaving = Leaving::Thrown;
                self.quiet = Instant::now();
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
        // What is still being served hears of the end by this.
        drop(connection);
        while self.streams.join_next().await.is_some() {}
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connected,
        drain: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<Event> {
        if let Poll::Ready(accepted) = connection.poll_accept(context) {
            return Poll::Ready(match accepted {
                Some(Ok(accepted)) => Event::Accepted(Box::new(accepted)),
                Some(Err(_)) | None => Event::Ended,
            });
        }
        if let Poll::Ready(Some(_)) = self.streams.poll_join_next(context) {
            return Poll::Ready(Event::Served);
        }
        if self.leaving == Leaving::No && drain.poll(context).is_ready() {
            return Poll::Ready(Event::Drain);
        }
        let Some(due) = self.due(connection.has_streams()) else { return Poll::Pending };
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(context).map(|()| Event::Overdue)
    }

    /// When waiting has been long enough, as things stand: for a client that takes nothing, for a request, for the
    /// end of a connection that was told to go. `unsent` says that something of an answer is still on its way: where its
    /// window was taken back, it may stay so.
    fn due(&self, unsent: bool) -> Option<Instant> {
        let limits = self.worker.limits();
        let stall = self.stalled.get().map(|since| since + limits.write_stall);
        let wait = match (self.leaving, self.streams.is_empty()) {
            (Leaving::No | Leaving::Told, false) => None,
            (Leaving::No | Leaving::Told, true) if unsent => Some(limits.write_stall),
            (Leaving::No, true) => Some(limits.idle_time),
            (Leaving::Told, true) | (Leaving::Thrown, _) => Some(GOODBYE),
        };
        let quiet = wait.map(|wait| self.quiet + wait);
        [stall, quiet].into_iter().flatten().min()
    }

    /// Tells the client to take further requests elsewhere (RFC 9113 section 6.8): what it has begun goes on.
    fn leave(&mut self, connection: &mut Connected) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Told;
            connection.graceful_shutdown();
        }
    }

    /// Serves a request, unless it is malformed.
    ///
    /// A fragment in its `:path` is not seen: `http`, which `h2` reads it into, has cut it off. What is decided on is
    /// what is forwarded, and that has none.
    fn accept(&mut self, (request, mut respond): Accepted) {
        self.accepted += 1;
        let (head, body) = request.into_parts();
        if !is_well_formed(&head.headers) {
            // The client made us reset it: that counts as its own (threats D1).
            self.reset_early.set(self.reset_early.get() + 1);
            return respond.send_reset(Reason::PROTOCOL_ERROR);
        }
        let stream = ClientStream::new(&head, body, respond, Rc::clone(&self.reset_early));
        let stream = Stream::Http2(Box::new(stream));
        let (worker, downstream) = (Rc::clone(&self.worker), self.downstream.clone());
        let connection = Connection::new(worker, stream, downstream, Rc::default());
        self.streams.spawn_local(connection.serve());
    }
}
