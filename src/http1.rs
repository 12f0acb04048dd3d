//! HTTP/1.1 framing (RFC 9112), both sides, pure over buffers; the edge does the I/O.
//!
//! A gateway and the servers around it must agree on where each message begins and ends: a disagreement is
//! request smuggling. So a message that is not fully understood is refused, never repaired, and what is
//! understood is sent on in one canonical framing. [`head`] reads heads as places in the caller's buffer,
//! [`body`] takes bodies apart as they arrive, [`mod@write`] makes the heads that are sent, [`websocket`] knows the one
//! upgrade that is offered.
//!
//! httparse splits a head into lines; everything it lets pass and RFC 9112 does not (bare LF, doubled lengths,
//! odd methods) is checked here. Invariant, held by tests and fuzzing: what hyper refuses is refused here,
//! and what both accept means the same.

pub mod body;
pub mod head;
pub mod websocket;
pub mod write;

#[cfg(test)]
mod tests;
