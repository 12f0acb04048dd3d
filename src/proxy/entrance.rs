//! From an accepted socket to a served connection: what stands before the first request, each step within
//! `limits.header_time`.
//!
//! ```text
//! accepted → a place for it → (PROXY header) → (TLS) → HTTP/1.1 | HTTP/2
//! ```

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::proxy::connection::Connection;
use crate::proxy::downstream::Downstream;
use crate::proxy::handshake;
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::Worker;

/// Where a socket was accepted.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Accepted {
    /// The client's address.
    pub(in crate::proxy) peer: IpAddr,
    /// The listener, by its place in the configuration.
    pub(in crate::proxy) listener: usize,
}

/// What is spoken once a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Protocol {
    Http1,
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
    let (stream, tls, protocol) = match tls {
        None => (Stream::Plain(socket), None, Protocol::Http1),
        // Boxed: every connection would else carry the room for it.
        Some(tls) => match Box::pin(handshake::accept(&worker, socket, &tls)).await {
            Some(shaken) => (shaken.stream, Some(Rc::new(shaken.facts)), shaken.protocol),
            None => return,
        },
    };
    let downstream = Downstream { address: accepted.peer, tls };
    match protocol {
        Protocol::Http1 => Connection::new(worker, stream, downstream, idle).serve().await,
    }
}
