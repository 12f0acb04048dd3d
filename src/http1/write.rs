//! Heads to send: the lines of the one that was read, with small edits.
//!
//! Lines that stay are copied as they came, neighbours at once; everything else is written here in one
//! spelling. What a caller passes as text to send must be fit for the wire: no CR, LF or NUL.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::http1::head::{Framing, Known, Line, RequestHead, ResponseHead, may_trail, octets};

/// Edits to a request head on its way upstream. `Host`, hop-by-hop fields, `Content-Length`,
/// `Transfer-Encoding`, `Expect`, forwarding fields and `Via` of the client are never copied.
pub struct RequestEdits<'a> {
    /// The path to send: exactly what was matched.
    pub path: &'a str,
    /// The query to send.
    pub query: Option<&'a str>,
    /// Octets of the body, where another is sent than came.
    pub length: Option<u64>,
    /// The `Host` to send.
    pub host: &'a str,
    /// The client's host, for `X-Forwarded-Host`.
    pub original_host: &'a str,
    /// The client's address, for `X-Forwarded-For` and `Forwarded`.
    pub client: IpAddr,
    /// The proxies between the client and us, for the same, ours the last.
    pub through: &'a [IpAddr],
    /// `http` or `https`, for `X-Forwarded-Proto`.
    pub scheme: &'a str,
    /// The version that the request was received in, for `Via` (RFC 9110 section 7.6.3).
    pub received: &'a str,
    /// `Authorization` is copied.
    pub authorization: bool,
    /// Drops any other line by its name and value: credentials, and every identity header.
    pub drop: &'a dyn Fn(&[u8], &[u8]) -> bool,
    /// Lines to add: identity headers. Already fit for the wire.
    pub add: &'a [(&'a str, &'a [u8])],
}

/// Edits to a response head on its way downstream.
pub struct ResponseEdits<'a> {
    /// How the body will be delimited.
    pub framing: Framing,
    /// The value of `Content-Length` where the body is absent but its length declared (0, `HEAD`, 304).
    pub declared_length: Option<u64>,
    /// Says `Connection: close`; [`Framing::UntilClose`] says it too.
    pub close: bool,
    /// Leaves out the upstream's `Access-Control-*` and `Vary: Origin` is added by the caller: the route's
    /// CORS is ours.
    pub own_cors: bool,
    /// Lines to add.
    pub add: &'a [(&'a str, &'a str)],
}

/// Appends the head to send upstream to `out`.
pub fn request_head(out: &mut Vec<u8>, buffer: &[u8], head: &RequestHead, edits: &RequestEdits<'_>) {
    let added: usize = edits.add.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let rebuilt = edits.path.len() + edits.host.len() + 2 * edits.original_host.len() + 320;
    out.reserve(head.length + rebuilt + added);

    out.extend_from_slice(octets(buffer, &head.method));
    out.push(b' ');
    out.extend_from_slice(edits.path.as_bytes());
    if let Some(query) = edits.query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(out, "Host", edits.host.as_bytes());
    copy(out, buffer, &head.lines, head.length, |line| match line.known {
        Known::Authorization => edits.authorization,
        Known::Other | Known::Origin | Known::Cookie | Known::Cors => {
            !(edits.drop)(octets(buffer, &line.name), octets(buffer, &line.value))
        }
        Known::Host | Known::HopByHop | Known::ContentLength | Known::TransferEncoding => false,
        Known::Expect | Known::Forwarding | Known::Via => false,
    });
    forwarding(out, edits);
    for part in [b"Via: ", edits.received.as_bytes(), b" portcullis\r\n"] {
        out.extend_from_slice(part);
    }
    if head.websocket.is_some() {
        out.extend_from_slice(SWITCH);
    }
    framing(out, edits.length.map_or(head.framing, Framing::Length), head.declared_length);
    for (name, value) in edits.add {
        line(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head to send downstream to `out`.
pub fn response_head(out: &mut Vec<u8>, buffer: &[u8], head: &ResponseHead, edits: &ResponseEdits<'_>) {
    let added: usize = edits.add.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    out.reserve(head.length + added + 96);

    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(head.status));
    out.push(b' ');
    out.extend_from_slice(octets(buffer, &head.reason));
    out.extend_from_slice(b"\r\n");
    copy(out, buffer, &head.lines, head.length, |line| match line.known {
        Known::HopByHop | Known::ContentLength | Known::TransferEncoding => false,
        Known::Cors => !edits.own_cors,
        Known::Host | Known::Authorization | Known::Cookie | Known::Origin | Known::Expect => true,
        Known::Forwarding | Known::Via | Known::Other => true,
    });
    // It was accepted as the answer to a WebSocket handshake and to nothing else.
    if head.status == 101 {
        out.extend_from_slice(SWITCH);
    }
    // RFC 9112 section 6.1 and RFC 9110 section 8.6: neither field in a 1xx or 204.
    if head.status >= 200 && head.status != 204 {
        framing(out, edits.framing, edits.declared_length);
    }
    if edits.close || edits.framing == Framing::UntilClose {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    for (name, value) in edits.add {
        line(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer of ours that opens a WebSocket, in this protocol of those that its handshake offers.
pub fn switching(out: &mut Vec<u8>, accept: &[u8], protocol: &str, add: &[(&str, &str)]) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    out.extend_from_slice(SWITCH);
    line(out, "Sec-WebSocket-Accept", accept);
    line(out, "Sec-WebSocket-Protocol", protocol.as_bytes());
    for (name, value) in add {
        line(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The one upgrade there is, in its one spelling (RFC 6455 section 4.1).
const SWITCH: &[u8] = b"Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// Appends the last chunk and the trailers that may follow it: those lines of `section`
/// ([`crate::http1::body::BodyReader::trailers`]) that an answer may end with, and the empty line.
pub fn last_chunk(out: &mut Vec<u8>, section: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    for line in section.split_inclusive(|octet| *octet == b'\n') {
        let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
        if may_trail(name) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a chunk's size line.
pub fn chunk_size(out: &mut Vec<u8>, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut left = length;
    for (index, slot) in digits.iter_mut().enumerate().rev() {
        *slot = DIGITS[left & 15];
        left >>= 4;
        at = index;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// Copies the lines that `keep` keeps, as they came. Lines of a head stand side by side, so a run of them is
/// one copy; `length` is the head's, with its empty line.
fn copy(out: &mut Vec<u8>, buffer: &[u8], lines: &[Line], length: usize, keep: impl Fn(&Line) -> bool) {
    let mut run: Option<usize> = None;
    for line in lines {
        let start = line.name.start as usize;
        match (run, keep(line)) {
            (None, true) => run = Some(start),
            (Some(begins), false) => {
                out.extend_from_slice(buffer.get(begins..start).unwrap_or_default());
                run = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    if let Some(begins) = run {
        out.extend_from_slice(buffer.get(begins..length.saturating_sub(2)).unwrap_or_default());
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// How the request came, in the fields everybody reads and in the standard one (RFC 7239).
fn forwarding(out: &mut Vec<u8>, edits: &RequestEdits<'_>) {
    let client = edits.client.to_canonical();
    out.extend_from_slice(b"X-Forwarded-For: ");
    let begins = out.len();
    address(out, client);
    let text = begins..out.len();
    for proxy in edits.through {
        out.extend_from_slice(b", ");
        address(out, proxy.to_canonical());
    }
    let (host, scheme) = (edits.original_host.as_bytes(), edits.scheme.as_bytes());
    for part in [b"\r\nX-Forwarded-Proto: ", scheme, b"\r\nX-Forwarded-Host: ", host] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\nForwarded: for=");
    node(out, client, |out| out.extend_from_within(text));
    let token = host.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'));
    let quote: &[u8] = if token { b"" } else { b"\"" };
    for part in [b";host=", quote, host, quote, b";proto=", scheme] {
        out.extend_from_slice(part);
    }
    for proxy in edits.through {
        out.extend_from_slice(b", for=");
        let proxy = proxy.to_canonical();
        node(out, proxy, |out| address(out, proxy));
    }
    out.extend_from_slice(b"\r\n");
}

/// An address that `write` appends, as RFC 7239 section 6 has it: one of IPv6 is bracketed, and so quoted.
fn node(out: &mut Vec<u8>, address: IpAddr, write: impl FnOnce(&mut Vec<u8>)) {
    if address.is_ipv4() {
        return write(out);
    }
    out.extend_from_slice(b"\"[");
    write(out);
    out.extend_from_slice(b"]\"");
}

fn framing(out: &mut Vec<u8>, framing: Framing, declared_length: Option<u64>) {
    let length = match framing {
        Framing::Chunked => return out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::UntilClose => return,
        Framing::Length(length) => Some(length),
        Framing::None => declared_length,
    };
    if let Some(length) = length {
        out.extend_from_slice(b"Content-Length: ");
        decimal(out, length);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends an address. Its octets are written here: `write!` costs several times as much.
fn address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else { return out.extend_from_slice(address.to_string().as_bytes()) };
    let [first, rest @ ..] = address.octets();
    octet(out, first);
    for part in rest {
        out.push(b'.');
        octet(out, part);
    }
}

/// Appends a number below 256 in decimal.
fn octet(out: &mut Vec<u8>, number: u8) {
    if number >= 100 {
        out.push(b'0' + number / 100);
    }
    if number >= 10 {
        out.push(b'0' + number / 10 % 10);
    }
    out.push(b'0' + number % 10);
}

/// Appends `number` in decimal: `write!` costs several times as much, twice a request.
fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut left = number;
    for (index, slot) in digits.iter_mut().enumerate().rev() {
        *slot += (left % 10) as u8;
        left /= 10;
        at = index;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}
