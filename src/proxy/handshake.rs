//! Shaking hands: with clients as a TLS server, with peers as a TLS client.
//!
//! Bounded in number (`limits.handshakes`, all workers together) and in time (`limits.header_time` with clients,
//! `connect_timeout` with peers). What fails is closed; a debug line says why, so many a second and no more, and never
//! an octet of what was sent.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::proxy::deadline::Deadline;
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

/// Failed handshakes told of at most this often, a worker.
const TOLD_EVERY: Duration = Duration::from_secs(1);

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

/// When a worker last told of a failed handshake, and how many it has kept to itself since.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Told(Cell<Option<Instant>>, Cell<u64>);

impl Told {
    fn failed(&self, why: &str) {
        if self.0.get().is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            self.1.set(self.1.get().saturating_add(1));
            return;
        }
        self.0.set(Some(Instant::now()));
        let unsaid = self.1.replace(0);
        tracing::debug!(why, unsaid, "a TLS handshake failed");
    }
}

/// Shakes hands with a client; `None` where nothing comes of it.
pub(in crate::proxy) async fn accept(worker: &Worker, socket: Socket, tls: &ServerTls) -> Option<Shaken> {
    let limits = worker.limits();
    let Some(_under_way) = worker.shared.handshakes.begin(limits.handshakes) else {
        worker.told.failed("too many are under way");
        return None;
    };
    let acceptor = TlsAcceptor::from(Arc::clone(tls.config()));
    let shaking = acceptor.accept_with(socket, |connection| connection.set_buffer_limit(Some(HELD)));
    let stream = match Deadline::new().within(from_now(limits.header_time), shaking).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            worker.told.failed(reason(&error));
            return None;
        }
        Err(_) => {
            worker.told.failed("not done within header_time");
            return None;
        }
    };
    let connection = stream.get_ref().1;
    let Some(facts) = TlsFacts::of(connection) else {
        worker.told.failed("the client's certificate cannot be read");
        return None;
    };
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    // The certificate was verified when the session began; its time may have ended since.
    if resumed && facts.client.as_ref().is_some_and(|client| client.not_after < now().0) {
        worker.told.failed("the session outlived the client's certificate");
        return None;
    }
    let version = match connection.alpn_protocol() {
        Some(HTTP2) => Version::Http2,
        Some(_) | None => Version::Http1,
    };
    Some(Shaken { stream: Stream::Tls(Box::new(TlsStream::Server(stream))), facts, version })
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
