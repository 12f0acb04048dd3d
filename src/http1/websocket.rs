//! WebSocket over HTTP/1.1 (RFC 6455), as far as a gateway has to know it: the handshake, and where a frame ends.
//!
//! A tunnel is opened for a handshake that is whole and for no other `Upgrade`, and only by the upstream's 101 with
//! the answer to the very key that was sent (threats H1). What flows in it is the two ends' own; only the frames'
//! boundaries are followed, so that a goodbye of ours can stand between two of them. Where messages have to be read,
//! [`messages`] does, strictly, and [`sieve`] takes some out.

pub mod frame;
pub mod messages;
pub mod sieve;

#[cfg(test)]
mod tests;
mod utf8;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::http1::head::{Line, octets};
use crate::http1::websocket::frame::{Beginning, CLOSE, CONTROL_MAX, Frame, Header, PONG, TEXT};

/// The value of `Sec-WebSocket-Accept`: base64 of a SHA-1 (RFC 6455 section 4.2.2).
pub type Accept = [u8; 28];

/// A Close frame's status, as a reason to end a connection (RFC 6455 section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// 1001: this endpoint goes away.
    GoingAway,
    /// Some other code, and a short reason in words for whoever looks at it.
    Because {
        /// One that may be sent (RFC 6455 section 7.4).
        code: u16,
        /// At most 123 octets of it are sent.
        reason: &'static str,
    },
}

/// Follows the frames of one direction by their headers (RFC 6455 section 5.2). It keeps no payload, and a few octets
/// of state however long a frame is.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    beginning: Beginning,
    /// Octets of payload to come.
    left: u64,
    /// Fragments have gone by, and the last of their message has not.
    open: bool,
    closed: bool,
}

/// What is appended to a key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

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

/// A text message to a client, in one frame.
pub fn text_to_client(message: &str) -> Frame {
    text_frame(message, None)
}

/// A text message in one frame, masked with these octets as a client's is (RFC 6455 section 5.3).
pub fn text_frame(message: &str, mask: Option<[u8; 4]>) -> Frame {
    frame::whole(TEXT, message.as_bytes(), mask)
}

/// A ping that brings nothing, to a client (RFC 6455 section 5.5.2).
pub fn ping_to_client() -> Frame {
    frame::whole(frame::PING, &[], None)
}

/// The answer to a ping that brought this (RFC 6455 section 5.5.3).
pub fn pong_frame(payload: &[u8], mask: Option<[u8; 4]>) -> Frame {
    frame::whole(PONG, payload.get(..CONTROL_MAX).unwrap_or(payload), mask)
}

/// A Close frame that says what somebody else said: as much of the reason as there is room for. A `code` of `None` says
/// nothing.
pub fn close_frame(code: Option<u16>, reason: &str, mask: Option<[u8; 4]>) -> Frame {
    let Some(code) = code else { return frame::whole(CLOSE, &[], mask) };
    let mut payload = Frame::from_slice(&code.to_be_bytes());
    let end = reason.floor_char_boundary(CONTROL_MAX - payload.len());
    payload.extend_from_slice(reason.as_bytes().get(..end).unwrap_or_default());
    frame::whole(CLOSE, &payload, mask)
}

impl Close {
    /// Its code.
    pub fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::Because { code, reason: _ } => code,
        }
    }

    /// The frame as a server sends it: not masked.
    pub fn to_client(self) -> Frame {
        self.frame(None)
    }

    /// The frame as a client sends it, masked with these octets (RFC 6455 section 5.3: unpredictable ones).
    pub fn to_server(self, mask: [u8; 4]) -> Frame {
        self.frame(Some(mask))
    }

    fn frame(self, mask: Option<[u8; 4]>) -> Frame {
        let reason = match self {
            Self::GoingAway => "",
            Self::Because { code: _, reason } => reason,
        };
        close_frame(Some(self.code()), reason, mask)
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
        self.left == 0 && self.beginning.is_empty()
    }

    /// Whether the last octet was the last of a message too: another message may stand here.
    pub fn is_between_messages(&self) -> bool {
        self.is_between() && !self.open
    }

    /// Whether a Close frame has gone by: no frame may follow it (RFC 6455 section 5.5.1).
    pub fn is_closed(&self) -> bool {
        self.closed && self.is_between()
    }

    /// How many of `octets` the frame that is on its way still needs: none between two frames.
    pub fn to_end(&self, octets: &[u8]) -> usize {
        self.until(octets, Self::is_between)
    }

    /// How many of `octets` the message that is on its way still needs, with what stands between its fragments: none
    /// between two messages.
    pub fn to_message_end(&self, octets: &[u8]) -> usize {
        self.until(octets, Self::is_between_messages)
    }

    fn until(&self, octets: &[u8], reached: impl Fn(&Self) -> bool) -> usize {
        let mut ahead = self.clone();
        let mut rest = octets;
        while !rest.is_empty() && !reached(&ahead) {
            rest = ahead.step(rest);
        }
        octets.len() - rest.len()
    }

    /// Takes one octet of a header, or as much payload as is there; what is left.
    fn step<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        if self.left > 0 {
            let here = usize::try_from(self.left).map_or(octets.len(), |left| left.min(octets.len()));
            self.left -= here as u64;
            return octets.get(here..).unwrap_or_default();
        }
        let Some((octet, rest)) = octets.split_first() else { return &[] };
        if let Some(header) = self.beginning.take(*octet) {
            self.begin(header);
        }
        rest
    }

    fn begin(&mut self, header: Header) {
        self.left = header.length;
        self.closed |= header.opcode() == CLOSE;
        if !header.is_control() {
            self.open = !header.is_final();
        }
    }
}
