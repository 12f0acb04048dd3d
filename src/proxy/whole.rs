//! Bodies that are read whole before anything is done with them, and what all of them may hold.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::gate::denial::{Denial, Reason};
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::Framing;
use crate::proxy::connection::Connection;
use crate::proxy::duplex::invite_body;
use crate::proxy::relay::{Fault, HeldTo, Pace};
use crate::proxy::worker::Worker;

/// What is held of bodies now, all workers together.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Bodies {
    octets: AtomicUsize,
    /// Calls of our own endpoints that are being answered.
    pub(in crate::proxy) calls: AtomicUsize,
}

/// One body's octets, given back when dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Held {
    bodies: Arc<Bodies>,
    most: usize,
    octets: usize,
}

/// Why a body could not be had.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Unread {
    TooLarge,
    NoRoom,
    Client(Fault),
}

/// Whether a body says from the start that it is larger.
pub(in crate::proxy) fn is_longer(framing: Framing, most: usize) -> bool {
    matches!(framing, Framing::Length(length) if length > most as u64)
}

/// Reads the body whole, behind the head, which is taken off the input with it. What follows it stays there.
pub(in crate::proxy) async fn read(
    connection: &mut Connection,
    most: usize,
    held: &mut Held,
) -> Result<Vec<u8>, Unread> {
    let mut reader = BodyReader::new(connection.head.framing);
    connection.input.consume(connection.head.length);
    if invite_body(connection).await.is_err() {
        return Err(Unread::Client(Fault::Gone));
    }
    let Connection { worker, stream, deadline, input, .. } = connection;
    let held_to = Cell::new(HeldTo::Rate);
    let mut pace = Pace::new(worker.limits(), &held_to);
    let mut body = Vec::new();
    loop {
        let piece = reader.next(input.filled()).map_err(|error| Unread::Client(Fault::Framing(error.0)))?;
        match piece {
            Piece::Content { skip, length } => {
                input.consume(skip);
                if body.len() + length > most {
                    return Err(Unread::TooLarge);
                }
                if !held.take(length) {
                    return Err(Unread::NoRoom);
                }
                body.extend_from_slice(&input.filled()[..length]);
                input.consume(length);
            }
            Piece::More { skip } => {
                input.consume(skip);
                pace.fill(deadline, input, stream).await.map_err(Unread::Client)?;
            }
            Piece::End { skip } => {
                input.consume(skip);
                return Ok(body);
            }
        }
    }
}

impl Unread {
    /// What the client is told; nothing where it has gone.
    pub(in crate::proxy) fn denial(self, too_large: impl FnOnce() -> Denial) -> Option<Denial> {
        Some(match self {
            Self::TooLarge => too_large(),
            Self::NoRoom => Denial::new(Reason::Overloaded, "limits.inspected_total is held already"),
            Self::Client(Fault::Slow) => {
                Denial::new(Reason::RequestTimeout, "the body came slower than body_rate")
            }
            Self::Client(Fault::Framing(what)) => Denial::new(Reason::MalformedRequest, what),
            Self::Client(Fault::Gone) => return None,
        })
    }
}

impl Held {
    /// Holds nothing yet.
    pub(in crate::proxy) fn on(worker: &Worker) -> Self {
        let bodies = Arc::clone(&worker.shared.bodies);
        Self { bodies, most: worker.limits().inspected_total, octets: 0 }
    }

    /// Takes so many more; `false` where that is more than all may hold.
    pub(in crate::proxy) fn take(&mut self, count: usize) -> bool {
        let before = self.bodies.octets.fetch_add(count, Ordering::Relaxed);
        self.octets += count;
        before.saturating_add(count) <= self.most
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.octets.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
