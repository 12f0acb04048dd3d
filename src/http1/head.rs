//! Strict message heads (RFC 9112 sections 2 to 5), kept as places in the caller's buffer.

use std::ops::Range;

/// A place in the buffer the head was read from.
pub type Span = Range<u32>;

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Octets of the start line, and of each field line.
    pub line: usize,
    /// Octets of the whole head.
    pub total: usize,
    /// Field lines.
    pub lines: usize,
}

/// Why a request head is refused. The connection is closed after each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not fully understood: 400 `malformed_request`. The text says what, for the log.
    #[error("{0}")]
    Malformed(&'static str),
    /// Past a bound: 431 `headers_too_large`.
    #[error("request head past its bound")]
    TooLarge,
    /// `CONNECT` or `TRACE`: 405 `method_not_allowed`.
    #[error("CONNECT and TRACE are never served")]
    Method,
    /// `Expect` other than `100-continue`: 417 `expectation_failed`.
    #[error("an expectation that cannot be met")]
    Expectation,
    /// An `Upgrade` was asked for: 400 `malformed_request` in this version.
    #[error("no upgrade is offered")]
    Upgrade,
}

/// Why a response head is refused: 502, the upstream connection is not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ResponseError(pub &'static str);

/// How a message's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// No body.
    #[default]
    None,
    /// This many octets (never 0: that is [`Framing::None`]; see [`RequestHead::declared_length`]).
    Length(u64),
    /// Chunked.
    Chunked,
    /// Until the connection closes: responses only.
    UntilClose,
}

/// What a field line is to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the fields'")]
pub enum Known {
    Host,
    Authorization,
    Cookie,
    Origin,
    ContentLength,
    TransferEncoding,
    /// `Connection`, and every hop-by-hop field: `Keep-Alive`, `Proxy-Connection`, `Proxy-Authenticate`,
    /// `Proxy-Authorization`, `TE`, `Trailer`, `Upgrade`, and those that `Connection` nominates.
    HopByHop,
    Expect,
    /// `X-Forwarded-*` of any ending, `Forwarded`, `X-Real-IP`, and their aliases with `_` or `.`.
    Forwarding,
    Via,
    /// The CORS fields of a response: `Access-Control-*`.
    Cors,
    Other,
}

/// One field line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name, as sent.
    pub name: Span,
    /// Its value without surrounding white space.
    pub value: Span,
    /// What it is.
    pub known: Known,
}

/// A request head. Reused from request to request: its vectors keep their room.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Span,
    /// The target's path as sent (of an absolute-form target: its path, `/` if empty).
    pub path: Span,
    /// What follows `?`.
    pub query: Option<Span>,
    /// The host as sent, without port.
    pub host: Span,
    /// Host and port as sent: the `Host` value.
    pub authority: Span,
    /// Field lines in order.
    pub lines: Vec<Line>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The value of `Content-Length`, also when 0.
    pub declared_length: Option<u64>,
    /// HTTP/1.0: answered in 1.1, closed after.
    pub http10: bool,
    /// Whether the connection may go on after the answer.
    pub keep_alive: bool,
    /// `Expect: 100-continue` was sent, and a body is to come.
    pub expects_continue: bool,
    /// Octets of the head, with the empty line.
    pub length: usize,
}

/// A response head.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: Span,
    /// Field lines in order.
    pub lines: Vec<Line>,
    /// How the body is delimited, the request's method considered.
    pub framing: Framing,
    /// The value of `Content-Length`, also of an answer to `HEAD` or a 304.
    pub declared_length: Option<u64>,
    /// Whether the upstream connection may be used again after the body.
    pub keep_alive: bool,
    /// Octets of the head, with the empty line.
    pub length: usize,
}

impl RequestHead {
    /// Reads a head from the start of `buffer` into `self`. `Ok(false)`: not all there yet (and nothing wrong
    /// so far). Leading empty lines: at most one CRLF is skipped (RFC 9112 section 2.2) and counted in
    /// `length`.
    pub fn read(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<bool, RequestError> {
        todo!()
    }
}

impl ResponseHead {
    /// Reads a head from the start of `buffer` into `self`; `Ok(false)`: not all there yet. `to_head` says
    /// that the request was `HEAD`. 1xx are returned like any other, with no body; 101 is an error.
    pub fn read(&mut self, buffer: &[u8], limits: &HeadLimits, to_head: bool) -> Result<bool, ResponseError> {
        todo!()
    }
}

/// The text at `span`; a head's spans are always within the buffer it was read from, and UTF-8 (ASCII) but for
/// field values. Out of range is empty.
pub fn text<'b>(buffer: &'b [u8], span: &Span) -> &'b str {
    std::str::from_utf8(octets(buffer, span)).unwrap_or_default()
}

/// The octets at `span`.
pub fn octets<'b>(buffer: &'b [u8], span: &Span) -> &'b [u8] {
    buffer.get(span.start as usize..span.end as usize).unwrap_or_default()
}
