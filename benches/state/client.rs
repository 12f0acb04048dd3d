//! A client of few words: requests as octets, answers by their status.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// One connection, kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What has come and was not asked for yet.
    buffer: Vec<u8>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A frame (RFC 6455 section 5.2) of at most 125 octets.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        Self::of(stream)
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> Answer {
        self.write(request).await;
        self.answer().await
    }

    /// Reads a whole answer, by its length or to its last chunk.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status line");
        let body = match line(&head, "content-length") {
            Some(length) => {
                let length: usize = length.parse().unwrap();
                self.at_least(length).await;
                self.buffer.drain(..length).collect()
            }
            None if line(&head, "transfer-encoding").is_some() => {
                while !self.buffer.ends_with(b"0\r\n\r\n") {
                    self.more().await;
                }
                std::mem::take(&mut self.buffer)
            }
            None => Vec::new(),
        };
        Answer { status, body }
    }

    /// Reads to the end of a head, and no further.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                return String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
            }
            self.more().await;
        }
    }

    /// The next frame, its mask taken off.
    pub(crate) async fn frame(&mut self) -> Frame {
        self.at_least(2).await;
        let (opcode, masked) = (self.buffer[0] & 15, self.buffer[1] & 128 != 0);
        let length = usize::from(self.buffer[1] & 127);
        assert!(length < 126, "only short ones are sent here");
        let start = if masked { 6 } else { 2 };
        self.at_least(start + length).await;
        let frame: Vec<u8> = self.buffer.drain(..start + length).collect();
        let mask = |at: usize| if masked { frame[2 + at % 4] } else { 0 };
        let payload = frame[start..].iter().enumerate().map(|(at, octet)| octet ^ mask(at)).collect();
        Frame { opcode, payload }
    }

    async fn at_least(&mut self, count: usize) {
        while self.buffer.len() < count {
            self.more().await;
        }
    }

    async fn more(&mut self) {
        assert!(self.try_more().await, "closed: {}", String::from_utf8_lossy(&self.buffer));
    }

    /// Whether anything came before the end. Nothing that is waited for here takes long, but on a machine that stands still.
    async fn try_more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        read.expect("something comes").is_ok_and(|count| count > 0)
    }

    /// For one who sends while the answer is on its way.
    pub(crate) fn split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.stream.into_split()
    }

    /// Whether another request begins, for one who serves.
    pub(crate) async fn goes_on(&mut self) -> bool {
        !self.buffer.is_empty() || self.stream.read_buf(&mut self.buffer).await.is_ok_and(|count| count > 0)
    }
}

/// The value of a line of this name.
pub(crate) fn line<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

const PATIENCE: Duration = Duration::from_secs(60);
