//! What the field lines of a head say about its framing and its way (RFC 9110 section 7, RFC 9112 section 6).

use crate::http1::head::lines::Fault;
use crate::http1::head::{Framing, Known, Line, RequestError, ResponseError, is_token, octets};

/// The fields that this gateway acts on, one finer than [`Known`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Host,
    Authorization,
    Cookie,
    Origin,
    ContentLength,
    ContentType,
    TransferEncoding,
    Connection,
    Upgrade,
    TransferCodings,
    HopByHop,
    Expect,
    Forwarding,
    Via,
    Cors,
    Other,
}

/// A field name, classified.
struct Name {
    field: Field,
    /// It only equals the field's name once `_`, `.` and the like are read as `-`, as CGI and its heirs do
    /// (threats S2).
    alias: bool,
}

fn classify(name: &[u8]) -> Name {
    let Some(first) = name.first() else { return Name { field: Field::Other, alias: false } };
    let (known, field): (&[u8], Field) = match (name.len(), first | 0x20) {
        (2, b't') => (b"te", Field::TransferCodings),
        (3, b'v') => (b"via", Field::Via),
        (4, b'h') => (b"host", Field::Host),
        (6, b'c') => (b"cookie", Field::Cookie),
        (6, b'o') => (b"origin", Field::Origin),
        (6, b'e') => (b"expect", Field::Expect),
        (7, b'u') => (b"upgrade", Field::Upgrade),
        (7, b't') => (b"trailer", Field::HopByHop),
        (9, b'f') => (b"forwarded", Field::Forwarding),
        (9, b'x') => (b"x-real-ip", Field::Forwarding),
        (10, b'c') => (b"connection", Field::Connection),
        (10, b'k') => (b"keep-alive", Field::HopByHop),
        (12, b'c') => (b"content-type", Field::ContentType),
        (13, b'a') => (b"authorization", Field::Authorization),
        (14, b'c') => (b"content-length", Field::ContentLength),
        (16, b'p') => (b"proxy-connection", Field::HopByHop),
        (17, b't') => (b"transfer-encoding", Field::TransferEncoding),
        (18, b'p') => (b"proxy-authenticate", Field::HopByHop),
        (19, b'p') => (b"proxy-authorization", Field::HopByHop),
        (11.., b'x') if FORWARDING.iter().any(|prefix| begins(name, prefix)) => {
            return Name { field: Field::Forwarding, alias: false };
        }
        (15.., b'a') if begins(name, b"access-control-") => {
            return Name { field: Field::Cors, alias: false };
        }
        _ => return Name { field: Field::Other, alias: false },
    };
    if is(name, known) {
        Name { field, alias: false }
    } else if name.len() == known.len() && begins(name, known) {
        Name { field, alias: true }
    } else {
        Name { field: Field::Other, alias: false }
    }
}

/// Whether a field name is `known`, a lower-case one of letters and `-`, but for case. Eight octets at a time: of those
/// that a token has, none but a letter becomes one by its case bit, and none becomes `-`.
pub(super) fn is(name: &[u8], known: &[u8]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    if name.len() != known.len() {
        return false;
    }
    let (words, rest) = name.as_chunks::<8>();
    let (known_words, known_rest) = known.as_chunks::<8>();
    let word = |octets: &[u8; 8]| u64::from_le_bytes(*octets);
    words.iter().zip(known_words).all(|(octets, known)| word(octets) | CASE == word(known))
        && rest.iter().zip(known_rest).all(|(octet, known)| octet | 0x20 == *known)
}

/// Beginnings of the names that tell how a request came, or that it is another one than it says: an upstream that
/// heeds `X-HTTP-Method-Override` would act otherwise than was decided (threats H12).
const FORWARDING: [&[u8]; 5] =
    [b"x-forwarded", b"x-original-", b"x-rewrite-", b"x-http-method", b"x-method-override"];

/// Whether `name` begins with `known` (lower case) when case is ignored and anything but a letter or a digit
/// is read as `-`.
fn begins(name: &[u8], known: &[u8]) -> bool {
    name.len() >= known.len()
        && name.iter().zip(known).all(|(octet, expected)| {
            if *expected == b'-' { !octet.is_ascii_alphanumeric() } else { octet | 0x20 == *expected }
        })
}

/// What the lines of a request asked for.
#[derive(Debug, Default)]
pub(super) struct Asked<'b> {
    pub(super) host: Option<&'b [u8]>,
    pub(super) content_length: Option<u64>,
    pub(super) connection: Options<'b>,
    /// An `Upgrade` to anything but `h2c`, which may be ignored (RFC 9113 section 3.1).
    pub(super) upgrade: bool,
    pub(super) expects_continue: bool,
    pub(super) expects_other: bool,
    /// The content is gRPC.
    pub(super) grpc: bool,
    /// `TE` says that trailers are taken.
    pub(super) trailers: bool,
    chunked: bool,
    authorization: bool,
    origin: bool,
    content_type: bool,
}

impl<'b> Asked<'b> {
    /// Takes one line in, and says what it is.
    pub(super) fn line(&mut self, name: &[u8], value: &'b [u8]) -> Result<Known, RequestError> {
        check_edges(value)?;
        let Name { field, alias } = classify(name);
        if alias {
            return alias_of(field);
        }
        match field {
            Field::Host => {
                let again = self.host.replace(read_by_us(value)?).is_some();
                once(again, Known::Host, "several Host lines")
            }
            Field::Authorization => {
                read_by_us(value)?;
                once(set(&mut self.authorization), Known::Authorization, "several Authorization lines")
            }
            Field::Cookie => Ok(Known::Cookie),
            Field::Origin => {
                read_by_us(value)?;
                once(set(&mut self.origin), Known::Origin, "several Origin lines")
            }
            Field::ContentLength => {
                let length = length(value).ok_or(RequestError::Malformed("an invalid Content-Length"))?;
                let again = self.content_length.replace(length).is_some();
                once(again, Known::ContentLength, "several Content-Length lines")
            }
            Field::TransferEncoding if value.eq_ignore_ascii_case(b"chunked") => {
                once(set(&mut self.chunked), Known::TransferEncoding, "several Transfer-Encoding lines")
            }
            Field::TransferEncoding => Err(RequestError::Malformed("a Transfer-Encoding other than chunked")),
            Field::ContentType => {
                self.grpc = is_grpc(value);
                once(set(&mut self.content_type), Known::Other, "several Content-Type lines")
            }
            Field::Connection => {
                self.connection.read(value, nominable)?;
                Ok(Known::HopByHop)
            }
            Field::Upgrade => {
                self.upgrade |= !value.eq_ignore_ascii_case(b"h2c");
                Ok(Known::HopByHop)
            }
            Field::TransferCodings => {
                let mut codings = read_by_us(value)?.split(|octet| *octet == b',');
                self.trailers |= codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
                Ok(Known::HopByHop)
            }
            Field::Expect => {
                let again = self.expects_continue || self.expects_other;
                self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                self.expects_other = !self.expects_continue;
                once(again, Known::Expect, "several Expect lines")
            }
            Field::HopByHop => Ok(Known::HopByHop),
            Field::Forwarding => Ok(Known::Forwarding),
            Field::Via => Ok(Known::Via),
            Field::Cors | Field::Other => Ok(Known::Other),
        }
    }

    /// How the body is delimited (RFC 9112 section 6.3, without its leniency).
    pub(super) fn framing(&self, http10: bool) -> Result<Framing, RequestError> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(RequestError::Malformed("Content-Length with Transfer-Encoding")),
            (true, None) if http10 => Err(RequestError::Malformed("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Ok(Framing::Chunked),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// What the lines of a response said.
#[derive(Debug, Default)]
pub(super) struct Answered<'b> {
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) event_stream: bool,
    pub(super) connection: Options<'b>,
}

impl<'b> Answered<'b> {
    /// Takes one line in, and says what it is.
    pub(super) fn line(&mut self, name: &[u8], value: &'b [u8]) -> Result<Known, ResponseError> {
        let Name { field, alias } = classify(name);
        match field {
            // No server means its framing by such a name; nobody behind us shall think so.
            Field::ContentLength | Field::TransferEncoding | Field::Connection if alias => {
                Ok(Known::HopByHop)
            }
            Field::ContentLength => {
                let length = length(value).ok_or(ResponseError("an invalid Content-Length"))?;
                let again = self.content_length.replace(length).is_some();
                if again {
                    Err(ResponseError("several Content-Length lines"))
                } else {
                    Ok(Known::ContentLength)
                }
            }
            Field::TransferEncoding => {
                if !value.eq_ignore_ascii_case(b"chunked") || set(&mut self.chunked) {
                    return Err(ResponseError("a Transfer-Encoding other than chunked"));
                }
                Ok(Known::TransferEncoding)
            }
            Field::Connection => {
                self.connection.read(value, |_| true)?;
                Ok(Known::HopByHop)
            }
            Field::Upgrade | Field::TransferCodings | Field::HopByHop => Ok(Known::HopByHop),
            Field::Via => Ok(Known::Via),
            Field::Cors => Ok(Known::Cors),
            Field::Host | Field::Authorization | Field::Cookie | Field::Origin => Ok(Known::Other),
            Field::ContentType => {
                self.event_stream = is_event_stream(value);
                Ok(Known::Other)
            }
            Field::Expect | Field::Forwarding | Field::Other => Ok(Known::Other),
        }
    }

    /// How the body is delimited (RFC 9112 section 6.3).
    pub(super) fn framing(&self, status: u16, to_head: bool, http10: bool) -> Result<Framing, ResponseError> {
        if self.chunked && self.content_length.is_some() {
            return Err(ResponseError("Content-Length with Transfer-Encoding"));
        }
        if self.chunked && http10 {
            return Err(ResponseError("Transfer-Encoding in HTTP/1.0"));
        }
        if to_head || status < 200 || matches!(status, 204 | 304) {
            return Ok(Framing::None);
        }
        Ok(match self.content_length {
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None if self.chunked => Framing::Chunked,
            None => Framing::UntilClose,
        })
    }
}

/// Whether a `Content-Type` is that of an event stream, whatever its parameters.
fn is_event_stream(value: &[u8]) -> bool {
    const KIND: &[u8] = b"text/event-stream";
    let (kind, rest) = value.split_at_checked(KIND.len()).unwrap_or((value, &[]));
    kind.eq_ignore_ascii_case(KIND) && matches!(rest.first(), None | Some(b';' | b' ' | b'\t'))
}

/// The options of all `Connection` lines (RFC 9110 section 7.6.1).
#[derive(Debug, Default)]
pub(super) struct Options<'b> {
    pub(super) close: bool,
    pub(super) upgrade: bool,
    count: usize,
    nominated: [&'b [u8]; Options::MAX],
}

impl<'b> Options<'b> {
    /// Empty ones count: a list of them costs work too.
    const MAX: usize = 16;

    fn read(&mut self, value: &'b [u8], nominable: fn(&[u8]) -> bool) -> Result<(), Fault> {
        for option in value.split(|octet| *octet == b',') {
            let option = option.trim_ascii();
            let slot = self.nominated.get_mut(self.count);
            let slot = slot.ok_or(Fault::Malformed("too many Connection options"))?;
            self.count += 1;
            if !option.iter().copied().all(is_token) {
                return Err(Fault::Malformed("a Connection option that is no token"));
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !nominable(option) {
                return Err(Fault::Malformed("Connection nominates a field that is not hop-by-hop"));
            } else {
                *slot = option;
            }
        }
        Ok(())
    }

    /// Marks the lines that were nominated: they end here, with the connection.
    pub(super) fn mark(&self, buffer: &[u8], lines: &mut [Line]) {
        for option in self.nominated.iter().take(self.count).filter(|option| !option.is_empty()) {
            for line in &mut *lines {
                let framing = matches!(line.known, Known::ContentLength | Known::TransferEncoding);
                if !framing && octets(buffer, &line.name).eq_ignore_ascii_case(option) {
                    line.known = Known::HopByHop;
                }
            }
        }
    }
}

/// Whether a client may have this field dropped: not one that the request's meaning, its route, its
/// credentials or its way hang on (threats S3).
fn nominable(option: &[u8]) -> bool {
    match classify(option).field {
        Field::Host | Field::Authorization | Field::Cookie | Field::Origin | Field::Expect => false,
        Field::ContentLength | Field::ContentType | Field::TransferEncoding => false,
        Field::Forwarding | Field::Via => false,
        Field::Connection | Field::Upgrade | Field::TransferCodings | Field::HopByHop | Field::Cors => true,
        // A handshake's own lines reach whoever answers it.
        Field::Other => !begins(option, b"content-") && !begins(option, b"sec-websocket-"),
    }
}

/// Whether a field may stand in the trailers of an answer: not one that framing, routing, authentication, caching
/// or the meaning of the content hang on (RFC 9110 section 6.5.1), for a recipient that merges trailers into the
/// head would act on it.
pub(super) fn may_trail(name: &[u8]) -> bool {
    const NEVER: [&[u8]; 14] = [
        b"age",
        b"allow",
        b"cache-control",
        b"clear-site-data",
        b"content-disposition",
        b"content-encoding",
        b"content-location",
        b"content-range",
        b"location",
        b"set-cookie",
        b"strict-transport-security",
        b"trailers",
        b"vary",
        b"www-authenticate",
    ];
    classify(name).field == Field::Other && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// Whether a `Content-Type` is that of gRPC itself: `application/grpc`, with or without a message format.
fn is_grpc(value: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let begins = value.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
    begins && matches!(value.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
}

/// What a request line is whose name only resembles one.
fn alias_of(field: Field) -> Result<Known, RequestError> {
    match field {
        Field::ContentLength | Field::TransferEncoding => {
            Err(RequestError::Malformed("a misspelt Content-Length or Transfer-Encoding"))
        }
        Field::Connection | Field::Upgrade | Field::TransferCodings | Field::HopByHop => Ok(Known::HopByHop),
        Field::Forwarding => Ok(Known::Forwarding),
        Field::Host | Field::Authorization | Field::Cookie | Field::Origin | Field::ContentType => {
            Ok(Known::Other)
        }
        Field::Expect | Field::Via | Field::Cors | Field::Other => Ok(Known::Other),
    }
}

fn once(again: bool, known: Known, several: &'static str) -> Result<Known, RequestError> {
    if again { Err(RequestError::Malformed(several)) } else { Ok(known) }
}

/// Sets `flag`, and says whether it was set.
fn set(flag: &mut bool) -> bool {
    std::mem::replace(flag, true)
}

/// Text that this gateway acts on is ASCII. Other fields may hold obs-text (RFC 9110 section 5.5).
fn read_by_us(value: &[u8]) -> Result<&[u8], RequestError> {
    if value.is_ascii() { Ok(value) } else { Err(RequestError::Malformed("octets beyond ASCII")) }
}

/// NEL and NBSP in Latin-1: white space to a server that trims by Unicode, so it would read another value.
fn check_edges(value: &[u8]) -> Result<(), RequestError> {
    let trimmed = |octet: Option<&u8>| matches!(octet, Some(0x85 | 0xa0));
    if trimmed(value.first()) || trimmed(value.last()) {
        return Err(RequestError::Malformed("white space beyond ASCII at the edge of a value"));
    }
    Ok(())
}

/// RFC 9110 section 8.6, in its one spelling: no sign, no leading zero, no list, at most 63 bits.
fn length(value: &[u8]) -> Option<u64> {
    let plain = matches!(value, [b'0'] | [b'1'..=b'9', ..]) && value.len() <= 19;
    if !plain {
        return None;
    }
    let length = value.iter().try_fold(0, |length: u64, octet| {
        octet.is_ascii_digit().then(|| length * 10 + u64::from(octet - b'0'))
    })?;
    (length <= i64::MAX.unsigned_abs()).then_some(length)
}
