//! Raw frames (RFC 9113 section 4.1), for what no honest client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::wait::PATIENCE;

/// Frame types.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection that sends frames as they are.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    /// Connects, and sends the preface and these settings.
    #[track_caller]
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_nodelay(true).ok();
        stream.set_write_timeout(Some(PATIENCE)).ok();
        let mut raw = Self { stream, buffer: Vec::new() };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        raw.send(SETTINGS, 0, 0, &payload);
        raw.send(SETTINGS, ACK, 0, &[]);
        raw
    }

    /// Sends a frame; `false` when the gateway has closed.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload))
    }

    /// Sends octets; `false` when the gateway has closed.
    pub fn write(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// Says that nothing of what is received is taken off the socket's buffer, which is small.
    pub fn shrink_receive_buffer(&self) {
        socket2::SockRef::from(&self.stream).set_recv_buffer_size(4096).ok();
    }

    /// Gives a write up, as if the gateway had closed, when it is not taken in this time.
    pub fn give_up_writing_after(&self, patience: Duration) {
        self.stream.set_write_timeout(Some(patience)).expect("a timeout");
    }

    /// Whether the gateway has ended the connection, as far as that is known without waiting.
    pub fn is_over(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a mode");
        let mut piece = [0; 16 << 10];
        let over = loop {
            match self.stream.read(&mut piece) {
                Ok(0) => break true,
                Ok(read) => self.buffer.extend_from_slice(&piece[..read]),
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).expect("a mode");
        over
    }

    /// The next frame; `None` at the end of the connection.
    #[track_caller]
    pub fn next(&mut self) -> Option<Frame> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "neither a frame nor the end of the connection");
            self.stream.set_read_timeout(Some(left)).expect("a timeout");
            let mut piece = [0; 16 << 10];
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(read) => self.buffer.extend_from_slice(&piece[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return None;
                }
                Err(_) => {}
            }
        }
    }

    /// The next frame of this kind; `None` when the connection ends before.
    #[track_caller]
    pub fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The code of the first GOAWAY, `None` when the connection ends without; frames before it are passed over.
    #[track_caller]
    pub fn goaway(&mut self) -> Option<u32> {
        let frame = self.next_of(GOAWAY)?;
        Some(u32::from_be_bytes(frame.payload[4..8].try_into().expect("eight octets at least")))
    }

    /// The code of the next RST_STREAM.
    #[track_caller]
    pub fn reset(&mut self) -> Option<u32> {
        let frame = self.next_of(RST_STREAM)?;
        Some(u32::from_be_bytes(frame.payload[..4].try_into().expect("four octets")))
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.buffer.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let kind = head[3];
        let stream = u32::from_be_bytes(head[5..9].try_into().expect("four octets")) & 0x7fff_ffff;
        let payload = self.buffer.get(9..9 + length)?.to_vec();
        self.buffer.drain(..9 + length);
        Some(Frame { kind, stream, payload })
    }
}

/// A frame's octets.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame of some size");
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field block without compression: literals that enter no table (RFC 7541 section 6.2.2).
pub fn fields(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 7, 0, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The pseudo-header fields of a request for `api.test`, and more.
pub fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut lines =
        vec![(":method", method), (":scheme", "http"), (":path", path), (":authority", "api.test")];
    lines.extend_from_slice(more);
    fields(&lines)
}

/// RFC 7541 section 5.1.
pub fn integer(block: &mut Vec<u8>, prefix: u8, flags: u8, value: usize) {
    let most = (1_usize << prefix) - 1;
    if value < most {
        return block.push(flags | value as u8);
    }
    block.push(flags | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}
