//! Every bound.

use std::time::Duration;

/// Every bound on what a client, an upstream or a key server can make us hold or wait for. Defaults and their
/// reasons are in [`crate::config::defaults`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a token.
    pub token: usize,
    /// Octets of one header line.
    pub header_line: usize,
    /// Octets of a whole request head.
    pub header_total: usize,
    /// Header lines.
    pub headers: usize,
    /// Octets of a decoded HTTP/2 field list, 32 added for each field (RFC 9113 section 6.5.2).
    pub h2_header_list: u32,
    /// HTTP/2 streams open at once, a connection.
    pub h2_streams: u32,
    /// Connections open at once.
    pub connections: usize,
    /// Of which from one address.
    pub connections_per_address: usize,
    /// TLS handshakes under way at once.
    pub handshakes: usize,
    /// Requests before a connection is closed.
    pub requests_per_connection: u64,
    /// From a request's first octet to the end of its head.
    pub header_time: Duration,
    /// Between requests.
    pub idle_time: Duration,
    /// Least octets of body a second.
    pub body_rate: u64,
    /// Longest wait for a client to take octets.
    pub write_stall: Duration,
    /// Octets of a refused body that are read so that the connection can go on.
    pub drain: usize,
    /// Octets of memory for verified tokens, all workers together.
    pub verified_cache: usize,
    /// Tokens whose signatures wait to be verified, a worker.
    pub signatures_in_flight: usize,
    /// Octets of a request's body that is read whole.
    pub inspected_body: usize,
    /// Octets of all such bodies held at once.
    pub inspected_total: usize,
    /// Octets of a fetched key set.
    pub key_set: usize,
}
