//! Shaking hands: with clients as a TLS server, with peers as a TLS client.
//!
//! Bounded in number (`limits.handshakes`, all workers together) and in time (`limits.header_time` with clients,
//! `connect_timeout` with peers). What fails is closed, and why is told in words of ours, never with an octet of what was
//! sent.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::proxy::deadline::{Deadline, Elapsed};
use crate::proxy::downstream::Version;
use crate::proxy::judge::from_now;
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::{Worker, now};
use crate::tls::HTTP2;
use crate::tls::facts::TlsFacts;
use crate::tls::server::ServerTls;
use crate::tls::why::why;

/// Octets that rustls may hold for a receiver that takes none: two full records.
const HELD: usize = 32 * 1024;

/// A client's connection whose handshake is done.
pub(in crate::proxy) struct Shaken {
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) facts: TlsFacts,
    pub(in crate::proxy) version: Version,
}

/// Handshakes under way, all workers together.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Handshakes(AtomicUsize);

/// One handshake's place, given back when dropped.
struct UnderWay<'h>(&'h Handshakes);

impl Handshakes {
    fn begin(&self, most: usize) -> Option<UnderWay<'_>> {
        let place = UnderWay(self);
        (self.0.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a client's handshake came to nothing.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) enum Failed {
    /// As many are under way as there may be.
    Bound,
    /// This.
    Why(&'static str),
}

/// Shakes hands with a client. Until its first octet `idle` says that it can be closed without loss, and it is none of
/// those that are under way.
pub(in crate::proxy) async fn accept(
    worker: &Worker,
    socket: Socket,
    tls: &ServerTls,
    idle: &Cell<bool>,
) -> Result<Shaken, Failed> {
    let limits = worker.limits();
    let (mut deadline, until) = (Deadline::new(), from_now(limits.header_time));
    let late = |Elapsed| Failed::Why("not done within header_time");
    idle.set(!worker.draining.get());
    let first = deadline.within(until, poll_fn(|context| socket.poll_readable(context))).await;
    idle.set(false);
    first.map_err(late)?.map_err(|error| Failed::Why(reason(&error)))?;
    let _under_way = worker.shared.handshakes.begin(limits.handshakes).ok_or(Failed::Bound)?;
    let acceptor = TlsAcceptor::from(Arc::clone(tls.config()));
    let shaking = acceptor.accept_with(socket, |connection| connection.set_buffer_limit(Some(HELD)));
    let shaken = deadline.within(until, shaking).await.map_err(late)?;
    let stream = shaken.map_err(|error| Failed::Why(reason(&error)))?;
    let connection = stream.get_ref().1;
    let facts = TlsFacts::of(connection).ok_or(Failed::Why("the client's certificate cannot be read"))?;
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    // The certificate was verified when the session began; its time may have ended since.
    if resumed && facts.client.as_ref().is_some_and(|client| client.not_after < now().0) {
        return Err(Failed::Why("the session outlived the client's certificate"));
    }
    let version = match connection.alpn_protocol() {
        Some(HTTP2) => Version::Http2,
        Some(_) | None => Version::Http1,
    };
    Ok(Shaken { stream: Stream::Tls(Box::new(TlsStream::Server(stream))), facts, version })
}

/// Shakes hands with a peer as `name`. The caller bounds the wait; the error says why, in words of ours.
pub(in crate::proxy) async fn connect(
    socket: Socket,
    tls: &Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<TlsStream<Socket>, &'static str> {
    let connector = TlsConnector::from(Arc::clone(tls));
    let shaking = connector.connect_with(name, socket, |connection| connection.set_buffer_limit(Some(HELD)));
    shaking.await.map(TlsStream::Client).map_err(|error| reason(&error))
}

/// Why it failed: rustls' reason, or the socket's.
fn reason(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => why(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the other side went away",
        None => "the connection broke",
    }
}
