//! WebSocket (RFC 6455) on both sides of the gateway: frames octet for octet, and nothing that mends them.

use std::io;

use crate::harness::client::{Connection, Outcome, Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::upstream::{Exchange, Then};
use crate::harness::wait::PATIENCE;

/// Opcodes (section 5.2).
pub const CONTINUATION: u8 = 0;
/// A text message.
pub const TEXT: u8 = 1;
/// A binary message.
pub const BINARY: u8 = 2;
/// The end of the conversation.
pub const CLOSE: u8 = 8;
/// A question whether one is there.
pub const PING: u8 = 9;
/// Its answer.
pub const PONG: u8 = 10;

/// The key of every handshake here, and its answer (section 1.3).
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server makes of [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The last of its message.
    pub last: bool,
    /// What it is.
    pub opcode: u8,
    /// Whether it came masked.
    pub masked: bool,
    /// Its payload, the mask taken off.
    pub payload: Vec<u8>,
}

/// An open WebSocket, as a client has it.
pub struct WebSocket {
    /// The connection under it.
    pub connection: Connection,
}

/// The same, as the upstream has it.
pub struct Served<'e> {
    exchange: &'e mut Exchange,
    buffer: Vec<u8>,
}

impl Frame {
    /// A whole message, masked as a client's is.
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { last: true, opcode, masked: true, payload: payload.as_ref().to_vec() }
    }

    /// Not the last of its message.
    pub fn more(mut self) -> Self {
        self.last = false;
        self
    }

    /// As a server sends it.
    pub fn plain(mut self) -> Self {
        self.masked = false;
        self
    }

    /// A Close frame with a status.
    pub fn close(code: u16) -> Self {
        Self::new(CLOSE, code.to_be_bytes())
    }

    /// The status of a Close frame.
    pub fn code(&self) -> Option<u16> {
        let code = self.payload.get(..2)?;
        (self.opcode == CLOSE).then(|| u16::from_be_bytes([code[0], code[1]]))
    }

    /// As octets.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = vec![u8::from(self.last) << 7 | self.opcode];
        let masked = u8::from(self.masked) << 7;
        match self.payload.len() {
            length @ 0..126 => octets.push(masked | u8::try_from(length).expect("below 126")),
            length @ 126..65536 => {
                octets.push(masked | 126);
                octets.extend_from_slice(&u16::try_from(length).expect("below 65536").to_be_bytes());
            }
            length => {
                octets.push(masked | 127);
                octets.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        if self.masked {
            octets.extend_from_slice(&mask);
        }
        let start = octets.len();
        octets.extend_from_slice(&self.payload);
        if self.masked {
            octets[start..].iter_mut().zip(mask.iter().cycle()).for_each(|(octet, mask)| *octet ^= mask);
        }
        octets
    }

    /// The frame that `octets` begin with, and how many of them it is; `None` where it is not all there.
    pub fn parse(octets: &[u8]) -> Option<(Self, usize)> {
        let mut at = 0;
        let frame = Self::take(|count| {
            let piece = octets.get(at..at + count)?.to_vec();
            at += count;
            Some(piece)
        })?;
        Some((frame, at))
    }

    /// Takes a frame out of what `read` gives, so many octets at a time; `None` where it gives none.
    fn take(mut read: impl FnMut(usize) -> Option<Vec<u8>>) -> Option<Self> {
        let head = read(2)?;
        let length = match head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(read(2)?.try_into().expect("two octets"))),
            127 => u64::from_be_bytes(read(8)?.try_into().expect("eight octets")),
            short => u64::from(short),
        };
        let masked = head[1] & 0x80 != 0;
        let mask = if masked { read(4)? } else { vec![0; 4] };
        let mut payload = read(usize::try_from(length).expect("a length"))?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(octet, mask)| *octet ^= mask);
        Some(Self { last: head[0] & 0x80 != 0, opcode: head[0] & 0x0f, masked, payload })
    }
}

/// A handshake for this target, as a program sends it: no `Origin`.
pub fn handshake(target: &str) -> Request {
    Request::get(target)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
}

impl WebSocket {
    /// Opens one on a new connection.
    #[track_caller]
    pub fn open(gateway: &Gateway, request: &Request) -> Self {
        let mut connection = gateway.connect();
        connection.write(&request.octets());
        Self::opened(connection)
    }

    /// The same where the handshake is on its way already.
    #[track_caller]
    pub fn opened(mut connection: Connection) -> Self {
        let answer = next_answer(&mut connection);
        assert_eq!(answer.status, 101, "{answer:?}");
        let lower = |name| answer.header(name).map(str::to_ascii_lowercase);
        assert_eq!(
            (lower("upgrade").as_deref(), lower("connection").as_deref()),
            (Some("websocket"), Some("upgrade"))
        );
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT), "{answer:?}");
        Self { connection }
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: &Frame) {
        self.connection.write(&frame.octets());
    }

    /// The next frame; `None` at the end of the connection.
    pub fn receive(&mut self) -> Option<Frame> {
        Frame::take(|count| self.connection.read_exactly(count))
    }

    /// Sends a text and waits for its echo.
    #[track_caller]
    pub fn echoes(&mut self, text: &str) {
        self.send(&Frame::new(TEXT, text));
        assert_eq!(self.receive(), Some(Frame::new(TEXT, text).plain()), "no echo of {text:?}");
    }
}

/// Any answer, 101 too.
#[track_caller]
pub fn next_answer(connection: &mut Connection) -> Response {
    match connection.wait("GET", PATIENCE) {
        Outcome::Answer(answer) => answer,
        outcome @ (Outcome::Closed | Outcome::Silence) => panic!("waited for an answer: {outcome:?}"),
    }
}

impl<'e> Served<'e> {
    /// What was answered already.
    pub fn new(exchange: &'e mut Exchange) -> Self {
        Self { exchange, buffer: Vec::new() }
    }

    /// Answers a handshake with its 101.
    pub fn accept(exchange: &'e mut Exchange) -> io::Result<Self> {
        let key = exchange.request.header("sec-websocket-key").unwrap_or_default().to_owned();
        exchange.write(switch(&key).as_bytes())?;
        Ok(Self { exchange, buffer: Vec::new() })
    }

    /// The next frame; `None` at the end of the connection.
    pub fn receive(&mut self) -> Option<Frame> {
        let Self { exchange, buffer } = self;
        Frame::take(|count| {
            while buffer.len() < count {
                let more = exchange.read_some().ok().filter(|more| !more.is_empty())?;
                buffer.extend_from_slice(&more);
            }
            Some(buffer.drain(..count).collect())
        })
    }

    /// Sends a frame, not masked.
    pub fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.exchange.write(&frame.plain().octets())
    }

    /// Sends octets.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.exchange.write(octets)
    }

    /// Resets the connection.
    pub fn reset(&mut self) -> Then {
        self.exchange.reset()
    }
}

/// The 101 for a handshake with this key.
pub fn switch(key: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nX-Upstream: yes\r\n\r\n",
        answer_to(key)
    )
}

/// What a server makes of a key (section 4.2.2).
pub fn answer_to(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64_simd::STANDARD.encode_to_string(digest.as_ref())
}

/// An upstream that sends every frame back, answers a ping, and ends where the client does.
pub fn echo(exchange: &mut Exchange) -> io::Result<Then> {
    let mut served = Served::accept(exchange)?;
    while let Some(frame) = served.receive() {
        let ends = frame.opcode == CLOSE;
        let opcode = if frame.opcode == PING { PONG } else { frame.opcode };
        served.send(Frame { opcode, ..frame })?;
        if ends {
            break;
        }
    }
    Ok(Then::Close)
}
