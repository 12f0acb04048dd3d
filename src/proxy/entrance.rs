//! From an accepted socket to a served connection: what stands before the first request, each step within
//! `limits.header_time`.
//!
//! ```text
//! accepted → a place for it → (PROXY header) → (TLS) → HTTP/1.1 | HTTP/2
//! ```

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::config::{Listener, ProxyProtocol};
use crate::metrics::connection::{ConnectionMetrics, Unserved};
use crate::proxy::admission::Place;
use crate::proxy::connection::Connection;
use crate::proxy::downstream::{Downstream, Version};
use crate::proxy::h2::server;
use crate::proxy::handshake::{self, Failed};
use crate::proxy::proxy_header::{self, Origin, Progress};
use crate::proxy::refuse;
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::Worker;

/// Who is at the other end of a Unix socket: somebody on this machine.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A listener, as its connections know it.
#[derive(Debug)]
pub(in crate::proxy) struct Door {
    /// Its place in the configuration.
    pub(in crate::proxy) index: usize,
    /// What is configured.
    pub(in crate::proxy) listener: Listener,
    /// Where its connections are counted.
    pub(in crate::proxy) metrics: ConnectionMetrics,
}

/// An accepted connection.
pub(in crate::proxy) struct Arrived {
    pub(in crate::proxy) socket: Socket,
    /// The socket's other end; a Unix socket has no address.
    pub(in crate::proxy) peer: Option<IpAddr>,
    pub(in crate::proxy) door: Rc<Door>,
    /// Its place, which it gives back at its end.
    pub(in crate::proxy) place: Place,
    /// It can be closed without loss.
    pub(in crate::proxy) idle: Rc<Cell<bool>>,
}

impl Door {
    /// Whether connections say themselves where they come from.
    pub(in crate::proxy) fn is_proxied(&self) -> bool {
        self.listener.proxy_protocol == ProxyProtocol::Required
    }
}

/// Serves an accepted socket to its end.
pub(in crate::proxy) async fn enter(worker: Rc<Worker>, arrived: Arrived) {
    let Arrived { mut socket, peer, door, mut place, idle } = arrived;
    socket.prepare();
    // A socket of the service manager's may be of both families: an IPv4 client is one, however its address is written.
    let mut address = peer.map_or(LOCAL, |peer| peer.to_canonical());
    if door.is_proxied() {
        let origin = match announced(&worker, &mut socket, &idle).await {
            Ok(origin) => origin,
            Err(what) => return unannounced(&worker, &door, address, &what),
        };
        if let Origin::Client(client) = origin {
            address = client.to_canonical();
            // What the balancer asks for itself is not bounded by address: it is everybody's.
            if !place.count(address) {
                return turn_away(&worker, &socket, &door, Unserved::ConnectionsPerAddress);
            }
        }
    }
    let tls = worker.shared.parts.reader.load().listeners.get(door.index).cloned().flatten();
    let (stream, tls, version) = match tls {
        None => (Stream::Plain(socket), None, Version::Http1),
        // Boxed: every connection would else carry the room for it.
        Some(tls) => match Box::pin(handshake::accept(&worker, socket, &tls, &idle)).await {
            Ok(shaken) => (shaken.stream, Some(Rc::new(shaken.facts)), shaken.version),
            Err(failed) => return unshaken(&worker, &door, address, failed),
        },
    };
    let downstream = Downstream::new(address, version, tls, door);
    match version {
        Version::Http1 => Connection::new(worker, stream, downstream, idle).serve().await,
        // Boxed too: most connections speak HTTP/1.1, and wait for most of their time.
        Version::Http2 => Box::pin(server::serve(worker, stream, Bytes::new(), downstream, idle)).await,
    }
}

/// Closes a connection that there is no room for, and says so where it can be read: who waits for a handshake is closed
/// without a word.
pub(in crate::proxy) fn turn_away(worker: &Worker, socket: &Socket, door: &Door, why: Unserved) {
    door.metrics.unserved(why);
    if !worker.shared.parts.reader.load().speaks_tls(door.index) {
        refuse::turn_away(socket, &worker.ids.next());
    }
}

/// Reads the PROXY header, and not an octet of what follows it.
async fn announced(worker: &Worker, socket: &mut Socket, idle: &Cell<bool>) -> io::Result<Origin> {
    let reading = async {
        let mut octets = Vec::new();
        idle.set(!worker.draining.get());
        loop {
            match proxy_header::read(&octets).map_err(io::Error::other)? {
                Progress::Whole(origin) => return Ok(origin),
                Progress::Missing(missing) => {
                    let have = octets.len();
                    octets.resize(have + missing, 0);
                    let read = socket.read(&mut octets[have..]).await?;
                    idle.set(false);
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    octets.truncate(have + read);
                }
            }
        }
    };
    timeout(worker.limits().header_time, reading)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A connection without a PROXY header ends without an answer: who it is from is not known, and an answer would tell
/// a scanner what listens here.
fn unannounced(worker: &Worker, door: &Door, peer: IpAddr, what: &io::Error) {
    door.metrics.unserved(Unserved::ProxyHeader);
    if let Some(left_out) = worker.shared.unannounced.due() {
        let listener = &door.listener.address;
        tracing::debug!(%peer, %listener, left_out, "a connection without a PROXY header: {what}");
    }
}

/// A connection whose handshake came to nothing is closed: what could be said of it was an alert.
fn unshaken(worker: &Worker, door: &Door, peer: IpAddr, failed: Failed) {
    let (counted, why) = match failed {
        Failed::Bound => (Unserved::Handshakes, "too many are under way"),
        Failed::Why(why) => (Unserved::Handshake, why),
    };
    door.metrics.unserved(counted);
    if let Some(left_out) = worker.shared.unshaken.due() {
        let listener = &door.listener.address;
        tracing::debug!(%peer, %listener, left_out, why, "a TLS handshake failed");
    }
}
