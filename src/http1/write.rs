//! Heads to send: the lines of the one that was read, with small edits.

use std::net::IpAddr;

use crate::http1::head::{Framing, RequestHead, ResponseHead};

/// Edits to a request head on its way upstream. `Host`, hop-by-hop fields, `Content-Length`,
/// `Transfer-Encoding`, `Expect`, forwarding fields and `Via` of the client are never copied.
pub struct RequestEdits<'a> {
    /// The path to send: exactly what was matched.
    pub path: &'a str,
    /// The query to send.
    pub query: Option<&'a str>,
    /// The `Host` to send.
    pub host: &'a str,
    /// The client's host, for `X-Forwarded-Host`.
    pub original_host: &'a str,
    /// The client's address, for `X-Forwarded-For` and `Forwarded`.
    pub client: IpAddr,
    /// `http` or `https`, for `X-Forwarded-Proto`.
    pub scheme: &'a str,
    /// Drops a line by its name and value: credentials, and every identity header.
    pub drop: &'a dyn Fn(&str, &[u8]) -> bool,
    /// Lines to add: identity headers. Already fit for the wire.
    pub add: &'a [(&'a str, &'a [u8])],
}

/// Edits to a response head on its way downstream.
pub struct ResponseEdits<'a> {
    /// How the body will be delimited.
    pub framing: Framing,
    /// The value of `Content-Length` where the body is absent but its length declared (`HEAD`, 304).
    pub declared_length: Option<u64>,
    /// Says `Connection: close`.
    pub close: bool,
    /// Leaves out the upstream's `Access-Control-*` and `Vary: Origin` is added by the caller: the route's
    /// CORS is ours.
    pub own_cors: bool,
    /// Lines to add.
    pub add: &'a [(&'a str, &'a str)],
}

/// Appends the head to send upstream to `out`.
pub fn request_head(out: &mut Vec<u8>, buffer: &[u8], head: &RequestHead, edits: &RequestEdits<'_>) {
    todo!()
}

/// Appends the head to send downstream to `out`.
pub fn response_head(out: &mut Vec<u8>, buffer: &[u8], head: &ResponseHead, edits: &ResponseEdits<'_>) {
    todo!()
}

/// Appends a chunk's size line.
pub fn chunk_size(out: &mut Vec<u8>, length: usize) {
    todo!()
}
