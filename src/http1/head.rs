//! Strict message heads (RFC 9112 sections 2 to 5), kept as places in the caller's buffer.

mod authority;
mod fields;
mod lines;
mod target;

#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::http1::head::fields::{Answered, Asked};
use crate::http1::head::lines::{Fault, LineEnds};
use crate::http1::websocket::{self, Accept};

/// A place in the buffer the head was read from.
pub type Span = Range<u32>;

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Octets of the start line, and of each field line.
    pub line: usize,
    /// Octets of the whole head.
    pub total: usize,
    /// Field lines; beyond 256 it is 256.
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
    /// An `Upgrade` to anything but WebSocket was asked for: 400 `malformed_request`.
    #[error("no such upgrade is offered")]
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
    /// What a client could pretend about the way its request came: `X-Forwarded-*`, `X-Original-*` and
    /// `X-Rewrite-*` of any ending, `Forwarded`, `X-Real-IP`, and their aliases with `_` or `.` for `-`.
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
    /// The host as sent, without port and without a trailing dot; an IPv6 address stands in its brackets.
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
    /// The `Sec-WebSocket-Key` of a whole WebSocket handshake (RFC 6455 section 4.2.1). Everything else about it is a
    /// request like any other.
    pub websocket: Option<Span>,
    /// The client takes trailers (`TE: trailers`, RFC 9110 section 10.1.4).
    pub takes_trailers: bool,
    /// The content is gRPC, whose clients look for a refusal in its own fields.
    pub grpc: bool,
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
    /// The value of `Content-Length`, also of an answer to `HEAD` or a 304. 1xx and 204 have none.
    pub declared_length: Option<u64>,
    /// It is an event stream, by its `Content-Type`.
    pub event_stream: bool,
    /// It is one whose content is encoded: nothing of ours can stand in it.
    pub encoded: bool,
    /// Whether the upstream connection may be used again after the body.
    pub keep_alive: bool,
    /// Octets of the head, with the empty line.
    pub length: usize,
}

/// The most field lines a head may have, whatever its limits say: they are split on the stack.
const LINES_MAX: usize = 256;

/// The longest head, whatever its limits say: places in it are 32 bits wide.
const TOTAL_MAX: usize = 16 << 20;

impl RequestHead {
    /// Reads a head from the start of `buffer` into `self`. `Ok(false)`: not all there yet (and nothing wrong
    /// so far). Leading empty lines: at most one CRLF is skipped (RFC 9112 section 2.2) and counted in
    /// `length`.
    ///
    /// An incomplete head costs one fast scan for its end, so a head that drips in is not parsed again and
    /// again. After `Ok(false)` and after an error the fields mean nothing.
    pub fn read(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<bool, RequestError> {
        self.lines.clear();
        let skipped = if buffer.starts_with(b"\r\n") { 2 } else { 0 };
        let rest = buffer.get(skipped..).unwrap_or_default();
        if rest.is_empty() || (skipped == 0 && rest == b"\r") {
            return Ok(false);
        }
        target::check_start(rest)?;
        let Some(window) = lines::complete(rest, limits.total.min(TOTAL_MAX), limits)? else {
            return Ok(false);
        };
        let mut room = [const { MaybeUninit::uninit() }; LINES_MAX];
        let room = room.get_mut(..limits.lines.min(LINES_MAX)).unwrap_or_default();
        let mut split = httparse::Request::new(&mut []);
        let length = lines::parsed(split.parse_with_uninit_headers(window, room))?;
        let (Some(method), Some(target), Some(version)) = (split.method, split.path, split.version) else {
            return Err(RequestError::Malformed("no request line"));
        };
        let place = Place { buffer };
        self.method = place.of(method.as_bytes());
        self.http10 = version == 0;
        self.length = skipped + length;

        let target = target::read(method.as_bytes(), target.as_bytes())?;
        self.path = place.of(target.path);
        self.query = target.query.map(|query| place.of(query));

        let mut ends = LineEnds::new(window, length, limits.line);
        let mut asked = Asked::default();
        for header in split.headers.iter() {
            ends.begins(header.name)?;
            let known = asked.line(header.name.as_bytes(), header.value)?;
            self.lines.push(place.line(header, known));
        }
        ends.finish()?;
        self.settle(&asked, &target, &place)
    }

    /// Whether this could stand in a `Host` line.
    pub fn is_authority(value: &[u8]) -> bool {
        authority::parse(value).is_some()
    }

    /// Draws the conclusions from all lines together.
    fn settle(
        &mut self,
        asked: &Asked<'_>,
        target: &target::Target<'_>,
        place: &Place<'_>,
    ) -> Result<bool, RequestError> {
        let value = asked.host.ok_or(RequestError::Malformed("no Host"))?;
        let host = authority::parse(value).ok_or(RequestError::Malformed("an invalid Host"))?;
        if target
            .authority
            .as_ref()
            .is_some_and(|authority| !authority.names_same(&host, target.default_port))
        {
            return Err(RequestError::Malformed("Host and target disagree"));
        }
        self.authority = place.of(value);
        self.host = place.of(host.name);

        self.framing = asked.framing(self.http10)?;
        self.declared_length = asked.content_length;
        // An HTTP/1.0 connection is never kept: its keep-alive was never standardised (RFC 9112 appendix C.2.2).
        self.keep_alive = !self.http10 && !asked.connection.close;
        // RFC 9110 section 10.1.1: the expectation of an HTTP/1.0 client is ignored.
        self.expects_continue = asked.expects_continue && !self.http10 && self.framing != Framing::None;
        self.grpc = asked.grpc;
        self.takes_trailers = asked.trailers && !self.http10;
        asked.connection.mark(place.buffer, &mut self.lines);
        self.websocket = None;
        if asked.connection.upgrade && asked.upgrade {
            self.websocket = Some(self.handshake(asked, place)?);
        }
        if asked.expects_other {
            return Err(RequestError::Expectation);
        }
        Ok(true)
    }

    /// The key of a handshake that is one, down to its last line; what asks for an upgrade and is not is refused.
    fn handshake(&self, asked: &Asked<'_>, place: &Place<'_>) -> Result<Span, RequestError> {
        let to = websocket::only(place.buffer, &self.lines, b"upgrade");
        if !to.is_some_and(|to| to.eq_ignore_ascii_case(b"websocket")) {
            return Err(RequestError::Upgrade);
        }
        let malformed = RequestError::Malformed("an incomplete WebSocket handshake");
        let is_get = octets(place.buffer, &self.method) == b"GET";
        let bare = self.framing == Framing::None && !asked.expects_continue;
        if !is_get || self.http10 || !bare || asked.connection.close {
            return Err(malformed);
        }
        websocket::key(place.buffer, &self.lines).map(|key| place.of(key)).ok_or(malformed)
    }
}

impl ResponseHead {
    /// Reads a head from the start of `buffer` into `self`; `Ok(false)`: not all there yet. `to_head` says
    /// that the request was `HEAD`. 1xx are returned like any other, with no body; 101 is an error.
    pub fn read(&mut self, buffer: &[u8], limits: &HeadLimits, to_head: bool) -> Result<bool, ResponseError> {
        self.read_answer(buffer, limits, to_head, None)
    }

    /// [`ResponseHead::read`] for the answer to a WebSocket handshake: 101 is an answer where it names the same
    /// protocol and is `accept`, what the key that was sent asks for (RFC 6455 section 4.1), and an error elsewhere.
    pub fn read_handshake(
        &mut self,
        buffer: &[u8],
        limits: &HeadLimits,
        accept: &Accept,
    ) -> Result<bool, ResponseError> {
        self.read_answer(buffer, limits, false, Some(accept))
    }

    fn read_answer(
        &mut self,
        buffer: &[u8],
        limits: &HeadLimits,
        to_head: bool,
        accept: Option<&Accept>,
    ) -> Result<bool, ResponseError> {
        self.lines.clear();
        let prefix = b"HTTP/1.";
        if !buffer.iter().zip(prefix).all(|(octet, expected)| octet == expected) {
            return Err(ResponseError("not HTTP/1"));
        }
        let Some(window) = lines::complete(buffer, limits.total.min(TOTAL_MAX), limits)? else {
            return Ok(false);
        };
        let mut room = [const { MaybeUninit::uninit() }; LINES_MAX];
        let room = room.get_mut(..limits.lines.min(LINES_MAX)).unwrap_or_default();
        let mut split = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = lines::parsed(config.parse_response_with_uninit_headers(&mut split, window, room))?;
        let (Some(status @ 100..=599), Some(version)) = (split.code, split.version) else {
            return Err(ResponseError("a status that is none"));
        };
        if status == 101 && accept.is_none() {
            return Err(ResponseError("101 without an upgrade"));
        }
        let place = Place { buffer };
        let mut ends = LineEnds::new(window, length, limits.line);
        let mut answered = Answered::default();
        for header in split.headers.iter() {
            ends.begins(header.name)?;
            let known = answered.line(header.name.as_bytes(), header.value)?;
            self.lines.push(place.line(header, known));
        }
        ends.finish()?;
        self.status = status;
        self.reason = lines::reason(window);
        self.length = length;
        let http10 = version == 0;
        self.framing = answered.framing(status, to_head, http10)?;
        self.event_stream = answered.event_stream;
        let encodes = |line: &Line| octets(buffer, &line.name).eq_ignore_ascii_case(b"content-encoding");
        self.encoded = self.event_stream && self.lines.iter().any(encodes);
        let bodiless = status < 200 || status == 204;
        self.declared_length = answered.content_length.filter(|_| !bodiless);
        // A body announced where none may be: whatever follows is not known to be a response.
        let announced = answered.chunked || answered.content_length.is_some_and(|length| length > 0);
        let ends = http10 || answered.connection.close || self.framing == Framing::UntilClose;
        self.keep_alive = !(ends || bodiless && announced);
        answered.connection.mark(buffer, &mut self.lines);
        if let (101, Some(accept)) = (status, accept) {
            let one = |name| websocket::only(buffer, &self.lines, name);
            let switches = one(b"upgrade").is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"))
                && answered.connection.upgrade
                && one(b"sec-websocket-accept") == Some(accept);
            if !switches || http10 || announced {
                return Err(ResponseError("101 that does not answer the handshake"));
            }
        }
        Ok(true)
    }
}

impl From<Fault> for RequestError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(what) => Self::Malformed(what),
            Fault::TooLarge => Self::TooLarge,
        }
    }
}

impl From<Fault> for ResponseError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(what) => Self(what),
            Fault::TooLarge => Self("response head past its bound"),
        }
    }
}

/// Turns slices of the buffer back into places in it.
struct Place<'b> {
    buffer: &'b [u8],
}

impl Place<'_> {
    /// `part` is a slice of the buffer.
    fn of(&self, part: &[u8]) -> Span {
        let start = part.as_ptr().addr().wrapping_sub(self.buffer.as_ptr().addr());
        span(start, part.len())
    }

    fn line(&self, header: &httparse::Header<'_>, known: Known) -> Line {
        let name = self.of(header.name.as_bytes());
        // An empty value is no slice of the buffer.
        let value = if header.value.is_empty() { name.end + 1..name.end + 1 } else { self.of(header.value) };
        Line { name, value, known }
    }
}

/// A place in a buffer whose used part is never longer than [`TOTAL_MAX`].
fn span(start: usize, length: usize) -> Span {
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    narrow(start)..narrow(start.saturating_add(length))
}

/// The text at `span`; a head's spans are always within the buffer it was read from, and UTF-8 (ASCII) but for
/// field values and reasons. Out of range is empty.
pub fn text<'b>(buffer: &'b [u8], span: &Span) -> &'b str {
    std::str::from_utf8(octets(buffer, span)).unwrap_or_default()
}

/// The octets at `span`.
pub fn octets<'b>(buffer: &'b [u8], span: &Span) -> &'b [u8] {
    buffer.get(span.start as usize..span.end as usize).unwrap_or_default()
}

/// Whether a field may stand in the trailers of an answer (RFC 9110 section 6.5.1): those that are none of this
/// gateway's business nor of a recipient's framing, routing, authentication, caching and CORS.
pub fn may_trail(name: &[u8]) -> bool {
    fields::may_trail(name)
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}
