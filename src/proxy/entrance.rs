//! From an accepted socket to a served connection: what stands before the first request, each step within
//! `limits.header_time`.
//!
//! ```text
//! accepted → a place for it → (PROXY header) → (TLS) → HTTP/1.1 | HTTP/2
//! ```

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use bytes::Bytes;

use crate::proxy::connection::Connection;
use crate::proxy::downstream::{Downstream, Version};
use crate::proxy::h2::server;
use crate::proxy::handshake;
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::Worker;

/// Who is at the other end of a Unix socket: somebody on this machine.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where a socket was accepted.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Accepted {
    /// The client's address; a Unix socket has none.
    pub(in crate::proxy) peer: Option<IpAddr>,
    /// The listener, by its place in the configuration.
    pub(in crate::proxy) listener: usize,
}

/// Serves an accepted socket to its end. `idle` says that it can be closed without loss.
pub(in crate::proxy) async fn enter(
    worker: Rc<Worker>,
    socket: Socket,
    accepted: Accepted,
    idle: Rc<Cell<bool>>,
) {
    socket.prepare();
    let tls = worker.shared.parts.reader.load().listeners.get(accepted.listener).cloned().flatten();
    let (stream, tls, version) = match tls {
        None => (Stream::Plain(socket), None, Version::Http1),
        // Boxed: every connection would else carry the room for it.
        Some(tls) => match Box::pin(handshake::accept(&worker, socket, &tls)).await {
            Some(shaken) => (shaken.stream, Some(Rc::new(shaken.facts)), shaken.version),
            None => return,
        },
    };
    let downstream = Downstream { address: accepted.peer.unwrap_or(LOCAL), version, tls };
    match version {
        Version::Http1 => Connection::new(worker, stream, downstream, idle).serve().await,
        Version::Http2 => server::serve(worker, stream, Bytes::new(), downstream, idle).await,
    }
}
