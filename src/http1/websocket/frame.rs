//! One frame: its header, read octet by octet, and whole ones to send (RFC 6455 section 5.2).

use smallvec::SmallVec;

/// The opcodes there are (RFC 6455 section 11.8).
pub(in crate::http1) const CONTINUATION: u8 = 0x0;
pub(in crate::http1) const TEXT: u8 = 0x1;
pub(in crate::http1) const BINARY: u8 = 0x2;
pub(in crate::http1) const CLOSE: u8 = 0x8;
pub(in crate::http1) const PING: u8 = 0x9;
pub(in crate::http1) const PONG: u8 = 0xa;

/// The bit that says a frame is the last of its message, and those that nothing has given a meaning.
pub(in crate::http1) const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
/// Of the opcode: the frame stands for itself, also between the fragments of a message.
const CONTROL: u8 = 0x08;

/// The bit of the second octet that says a frame is masked; the others are a length, or say where it is.
pub(in crate::http1) const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// Octets of payload that a control frame has at most (RFC 6455 section 5.5).
pub(in crate::http1) const CONTROL_MAX: usize = 125;

/// Octets of the longest header: two, a length of eight, a mask.
const HEADER: usize = 14;

/// A frame that is written at once; a Close frame without words stays on the stack.
pub type Frame = SmallVec<[u8; 32]>;

/// The octets of a header that are there so far.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::http1) struct Beginning {
    octets: [u8; HEADER],
    there: u8,
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http1) struct Header {
    /// Its first octet.
    first: u8,
    /// Its second.
    second: u8,
    /// Of the payload, as it is written.
    pub(in crate::http1) length: u64,
    /// Of no meaning where the frame is not masked.
    pub(in crate::http1) mask: [u8; 4],
}

impl Beginning {
    /// Whether not one octet is there.
    pub(in crate::http1) fn is_empty(&self) -> bool {
        self.there == 0
    }

    /// The first octet, once it is there: all else is known to belong to such a frame.
    pub(in crate::http1) fn first(&self) -> Option<u8> {
        self.octets.first().copied().filter(|_| self.there > 0)
    }

    /// Takes the next octet; the header where it was the last. Then this is empty again.
    pub(in crate::http1) fn take(&mut self, octet: u8) -> Option<Header> {
        let at = usize::from(self.there);
        if let Some(place) = self.octets.get_mut(at) {
            *place = octet;
        }
        self.there += 1;
        let [first, second, ..] = self.octets;
        let extended = match second & !MASKED {
            LENGTH_64 => 8,
            LENGTH_16 => 2,
            _ => 0,
        };
        let mask = if second & MASKED == 0 { 0 } else { 4 };
        if self.there < 2 || at + 1 < 2 + extended + mask {
            return None;
        }
        let length = match extended {
            0 => u64::from(second & !MASKED),
            _ => self
                .octets
                .iter()
                .skip(2)
                .take(extended)
                .fold(0, |length, octet| length << 8 | u64::from(*octet)),
        };
        let mut header = Header { first, second, length, mask: [0; 4] };
        for (place, octet) in header.mask.iter_mut().zip(self.octets.iter().skip(2 + extended).take(mask)) {
            *place = *octet;
        }
        *self = Self::default();
        Some(header)
    }
}

impl Header {
    pub(in crate::http1) fn opcode(self) -> u8 {
        self.first & OPCODE
    }

    /// Whether it is the last of its message.
    pub(in crate::http1) fn is_final(self) -> bool {
        self.first & FINAL != 0
    }

    pub(in crate::http1) fn is_control(self) -> bool {
        is_control(self.first)
    }

    pub(in crate::http1) fn is_masked(self) -> bool {
        self.second & MASKED != 0
    }

    /// Whether a bit is set that only an extension could mean something by.
    pub(in crate::http1) fn has_reserved(self) -> bool {
        self.first & RESERVED != 0
    }

    /// Whether its length is one, in the shortest of its spellings.
    pub(in crate::http1) fn is_minimal(self) -> bool {
        match self.second & !MASKED {
            LENGTH_64 => self.length > 0xffff && self.length >> 63 == 0,
            LENGTH_16 => self.length >= u64::from(LENGTH_16),
            _ => true,
        }
    }
}

/// Whether a frame that begins with this octet is a control frame.
pub(in crate::http1) fn is_control(first: u8) -> bool {
    first & CONTROL != 0
}

/// Masks `octets`, or takes the mask off them, the first of which is the payload's octet `at`.
pub(in crate::http1) fn mask(octets: &mut [u8], mask: [u8; 4], at: u64) {
    let turned: [u8; 4] = std::array::from_fn(|index| mask[(index + (at & 3) as usize) & 3]);
    for chunk in octets.chunks_mut(4) {
        for (octet, mask) in chunk.iter_mut().zip(turned) {
            *octet ^= mask;
        }
    }
}

/// A whole, unfragmented frame; masked as a client's is where there is a mask.
pub(in crate::http1) fn whole(opcode: u8, payload: &[u8], masked: Option<[u8; 4]>) -> Frame {
    let mut frame = Frame::with_capacity(HEADER + payload.len());
    let bit = if masked.is_some() { MASKED } else { 0 };
    frame.push(FINAL | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..LENGTH_16), _) => frame.push(bit | length),
        (_, Ok(length)) => {
            frame.push(bit | LENGTH_16);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            frame.push(bit | LENGTH_64);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&masked.unwrap_or_default()[..if masked.is_some() { 4 } else { 0 }]);
    let start = frame.len();
    frame.extend_from_slice(payload);
    if let (Some(octets), Some(key)) = (frame.get_mut(start..), masked) {
        mask(octets, key, 0);
    }
    frame
}
