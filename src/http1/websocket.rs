//! WebSocket over HTTP/1.1 (RFC 6455), as far as a gateway has to know it: the handshake, and where a frame ends.
//!
//! A tunnel is opened for a handshake that is whole and for no other `Upgrade`, and only by the upstream's 101 with
//! the answer to the very key that was sent (threats H1). What flows in it is the two ends' own; only the frames'
//! boundaries are followed, so that a goodbye of ours can stand between two of them.

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::http1::head::{Line, octets};

/// The value of `Sec-WebSocket-Accept`: base64 of a SHA-1 (RFC 6455 section 4.2.2).
pub type Accept = [u8; 28];

/// A Close frame's status, as a reason to end a connection (RFC 6455 section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// 1001: this endpoint goes away.
    GoingAway,
    /// The token that it was opened with does not count any more; the code is the route's.
    TokenOver(u16),
}

/// Follows the frames of one direction by their headers (RFC 6455 section 5.2). It keeps no payload, and a few octets
/// of state however long a frame is.
#[derive(Debug, Clone)]
pub struct Frames {
    state: State,
    closed: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// So many octets of a header are there; the first two, and what they say the length is so far.
    Header { there: u8, first: [u8; 2], length: u64 },
    /// Octets of mask and payload to come.
    Payload(u64),
}

const START: State = State::Header { there: 0, first: [0; 2], length: 0 };

/// What is appended to a key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The opcode of a Close frame, and the bits where an opcode stands.
const CLOSE: u8 = 0x8;
const OPCODE: u8 = 0x0f;

/// The bit that says a frame is masked, and that it is the last of its message.
const MASKED: u8 = 0x80;
const FINAL: u8 = 0x80;

/// The `Sec-WebSocket-Key` of a handshake's lines; `None` where something of a handshake is missing, doubled or not
/// what version 13 says it is (RFC 6455 section 4.2.1).
pub(in crate::http1) fn key<'b>(buffer: &'b [u8], lines: &[Line]) -> Option<&'b [u8]> {
    let one = only(buffer, lines, b"sec-websocket-version")?;
    let key = only(buffer, lines, b"sec-websocket-key")?;
    (one == b"13" && is_key(key)).then_some(key)
}

/// The value of the one line of this name.
pub(in crate::http1) fn only<'b>(buffer: &'b [u8], lines: &[Line], name: &[u8]) -> Option<&'b [u8]> {
    let mut values = lines
        .iter()
        .filter(|line| octets(buffer, &line.name).eq_ignore_ascii_case(name))
        .map(|line| octets(buffer, &line.value));
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Base64 of 16 octets, in its one spelling: the last digit has four bits to spare, and they are 0.
fn is_key(key: &[u8]) -> bool {
    let [digits @ .., last, b'=', b'='] = key else { return false };
    digits.len() == 21
        && digits.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
        && matches!(last, b'A' | b'Q' | b'g' | b'w')
}

/// What a server that understood the handshake with this key answers.
pub fn accept(key: &[u8]) -> Accept {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    let digest = context.finish();
    let mut accept = [b'='; 28];
    for (group, digits) in digest.as_ref().chunks(3).zip(accept.chunks_mut(4)) {
        let octet = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        // The last group has two octets: three digits, and one `=` that stays.
        for (at, digit) in digits.iter_mut().enumerate().take(group.len() + 1) {
            *digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
        }
    }
    accept
}

impl Close {
    /// Its code.
    pub fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::TokenOver(code) => code,
        }
    }

    /// The frame as a server sends it: not masked.
    pub fn to_client(self) -> [u8; 4] {
        let [high, low] = self.code().to_be_bytes();
        [FINAL | CLOSE, 2, high, low]
    }

    /// The frame as a client sends it, masked with these octets (RFC 6455 section 5.3: unpredictable ones).
    pub fn to_server(self, mask: [u8; 4]) -> [u8; 8] {
        let [high, low] = self.code().to_be_bytes();
        [FINAL | CLOSE, MASKED | 2, mask[0], mask[1], mask[2], mask[3], high ^ mask[0], low ^ mask[1]]
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self { state: START, closed: false }
    }
}

impl Frames {
    /// Follows `octets`, the next of the direction.
    pub fn pass(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = self.step(rest);
        }
    }

    /// Whether the last octet was the last of a frame, or none has come yet: another frame may stand here.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Header { there: 0, .. })
    }

    /// Whether a Close frame has gone by: no frame may follow it (RFC 6455 section 5.5.1).
    pub fn is_closed(&self) -> bool {
        self.closed && self.is_between()
    }

    /// How many of `octets` the frame that is on its way still needs: none between two frames.
    pub fn to_end(&self, octets: &[u8]) -> usize {
        let mut ahead = self.clone();
        let mut rest = octets;
        while !rest.is_empty() && !ahead.is_between() {
            rest = ahead.step(rest);
        }
        octets.len() - rest.len()
    }

    /// Takes one octet of a header, or as much payload as is there; what is left.
    fn step<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        match self.state {
            State::Payload(left) => {
                let here = usize::try_from(left).map_or(octets.len(), |left| left.min(octets.len()));
                self.state = match left - here as u64 {
                    0 => START,
                    left => State::Payload(left),
                };
                octets.get(here..).unwrap_or_default()
            }
            State::Header { there, first, length } => {
                let Some((octet, rest)) = octets.split_first() else { return &[] };
                self.header(there, first, length, *octet);
                rest
            }
        }
    }

    fn header(&mut self, there: u8, first: [u8; 2], length: u64, octet: u8) {
        let (first, length) = match there {
            0 => ([octet, 0], 0),
            1 => ([first[0], octet], u64::from(octet & !MASKED)),
            // The first octets of an extended length replace what stood for it.
            2 => (first, u64::from(octet)),
            _ => (first, length << 8 | u64::from(octet)),
        };
        let there = there + 1;
        let whole = match first[1] & !MASKED {
            127 => 10,
            126 => 4,
            _ => 2,
        };
        if there < 2 || there < whole {
            self.state = State::Header { there, first, length };
            return;
        }
        self.closed |= first[0] & OPCODE == CLOSE;
        let mask = if first[1] & MASKED == 0 { 0 } else { 4 };
        self.state = match length.saturating_add(mask) {
            0 => START,
            left => State::Payload(left),
        };
    }
}
