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
use crate::proxy::downstream::{Downstream, Version};
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::Worker;

/// Serves an accepted socket to its end. `idle` says that it can be closed without loss.
pub(in crate::proxy) async fn enter(worker: Rc<Worker>, socket: Socket, peer: IpAddr, idle: Rc<Cell<bool>>) {
    socket.prepare();
    let downstream = Downstream { address: peer, version: Version::Http1 };
    Connection::new(worker, Stream::Plain(socket), downstream, idle).serve().await;
}
