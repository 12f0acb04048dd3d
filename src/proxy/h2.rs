//! HTTP/2 (RFC 9113), translated to HTTP/1.1 octets at its edges.
//!
//! Everything is judged by the one strict reader: each stream of a client is a connection of one request, whose
//! octets [`stream::ClientStream`] makes of the frames, and whose answer it takes apart again; a request to a peer
//! goes the same way in mirror, by [`peer::PeerStream`]. So HTTP/1.1 and
//! HTTP/2 are decided, forwarded, refused, timed and counted by the same code, in every combination, and what
//! HTTP/2 could smuggle into HTTP/1.1 has to pass as HTTP/1.1 (threats D5).
//!
//! The `h2` crate frames, compresses and keeps the windows. It is driven directly: a stream whose window stays
//! closed is a write that does not get on, and is timed as such by `limits.write_stall`.

pub(in crate::proxy) mod client;
pub(in crate::proxy) mod peer;
pub(in crate::proxy) mod server;
pub(in crate::proxy) mod stream;

mod inbound;
mod io;
mod outbound;

use http::HeaderMap;

use crate::http1::head::HeadLimits;

/// Bounds on the heads that we write ourselves: past those on what they are made of, at the most that `limits` can be set
/// to.
const OWN_HEAD: HeadLimits = HeadLimits { line: 2 * 1024 * 1024, total: 2 * 1024 * 1024, lines: 256 };

/// Whether no value begins or ends with white space: the message would be malformed (RFC 9113 section 8.2.1), and in
/// HTTP/1.1 the white space would be none of the value's. The rest of what makes a field malformed, `h2` refuses.
fn is_well_formed(fields: &HeaderMap) -> bool {
    let is_space = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    fields
        .values()
        .map(http::HeaderValue::as_bytes)
        .all(|value| !is_space(value.first()) && !is_space(value.last()))
}
