//! As much of an HTTP client as the admin listener needs: one request a connection, and the gateway's own readers of
//! heads and bodies.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli;
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, HeadLimits, ResponseHead};

/// The admin listener of a configuration, and what it wants to be shown.
pub(crate) struct Admin {
    address: SocketAddr,
    token: Option<SecretString>,
}

/// A body to be sent.
pub(crate) enum Sent<'s> {
    Nothing,
    Json(&'s Value),
    /// Chunks of lines, to be written with [`Sending::write`].
    Lines,
}

/// A request that is on its way.
pub(crate) struct Sending {
    stream: TcpStream,
}

/// An answer that is being read.
pub(crate) struct Reading {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: BodyReader,
    /// Its status.
    pub(crate) status: u16,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Null if it is not JSON.
    pub(crate) body: Value,
}

impl Admin {
    /// As the configuration in this file says. The inner error is how to end.
    pub(crate) fn of(config: &Path, terminal: &mut Terminal<'_>) -> io::Result<Result<Self, Exit>> {
        let loaded = match cli::load(config, terminal)? {
            Ok(loaded) => loaded,
            Err(exit) => return Ok(Err(exit)),
        };
        let Some(admin) = &loaded.config.admin else {
            let why = format!(
                "{} has no `admin`, and revocations are sent to that listener: \
                 write `admin: {{address: 127.0.0.1:9900, token: {{env: PORTCULLIS_ADMIN_TOKEN}}}}`, \
                 or use the revocation file",
                config.display()
            );
            return terminal.end(Exit::Configuration, why).map(Err);
        };
        Ok(Ok(Self { address: reachable(admin.address), token: loaded.admin_token }))
    }

    /// Asks, and reads the whole answer. The inner error is how to end.
    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        sent: &Sent<'_>,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<Result<Answer, Exit>> {
        let asked = self.begin(method, target, sent).and_then(Sending::answer).and_then(Reading::whole);
        match asked {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => self.unreachable(&error, terminal).map(Err),
        }
    }

    /// Sends all of a request but a body of lines.
    pub(crate) fn begin(&self, method: &str, target: &str, sent: &Sent<'_>) -> io::Result<Sending> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut request = Zeroizing::new(format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: portcullis/{}\r\nConnection: close\r\n",
            self.address,
            env!("CARGO_PKG_VERSION")
        ));
        if let Some(token) = &self.token {
            let _infallible = write!(request, "Authorization: Bearer {}\r\n", token.expose_secret());
        }
        match sent {
            Sent::Nothing => request.push_str("\r\n"),
            Sent::Json(body) => {
                let body = Zeroizing::new(body.to_string());
                let length = body.len();
                let _infallible = write!(
                    request,
                    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{}",
                    *body
                );
            }
            Sent::Lines => {
                request.push_str("Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
            }
        }
        stream.write_all(request.as_bytes())?;
        Ok(Sending { stream })
    }

    /// Says that nobody answered.
    pub(crate) fn unreachable(&self, error: &io::Error, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
        let address = self.address;
        let why = if error.kind() == io::ErrorKind::InvalidData {
            format!("what answers on {address} is no gateway: {error}")
        } else {
            format!("no gateway answers on {address} ({error}); is it running with this configuration?")
        };
        terminal.end(Exit::Taken, why)
    }

    /// Says why something was refused, and how to end.
    pub(crate) fn refused(&self, answer: &Answer, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
        let (address, status) = (self.address, answer.status);
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        let (reason, detail) = (text("reason"), text("detail"));
        let why = match (status, self.token.is_some()) {
            (401, true) => format!(
                "the gateway on {address} does not take the admin token of this configuration: {detail}"
            ),
            (401, false) => format!(
                "the gateway on {address} wants an admin token, and this configuration has none: {detail}"
            ),
            _ if reason.is_empty() => {
                format!("what answers on {address} is no gateway, or another version: {status}")
            }
            _ => format!("refused with {status} {reason}: {detail}"),
        };
        for problem in answer.body["problems"].as_array().into_iter().flatten() {
            writeln!(terminal.err, "{}", visible(problem.as_str().unwrap_or_default()))?;
        }
        if let Some(more @ 1..) = answer.body["more"].as_u64() {
            writeln!(terminal.err, "and {more} more")?;
        }
        terminal.end(exit(status), visible(&why))
    }
}

/// How an answer that is no good one ends a command.
fn exit(status: u16) -> Exit {
    match status {
        429 | 500..=599 => Exit::Taken,
        _ => Exit::Refused,
    }
}

/// Where a listener that listens everywhere is reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Sending {
    /// The same connection, to read from while this is written to.
    pub(crate) fn both(self) -> io::Result<(Self, Self)> {
        let stream = self.stream.try_clone()?;
        Ok((self, Self { stream }))
    }

    /// Sends a chunk; an empty one is the last.
    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut chunk = format!("{:x}\r\n", octets.len()).into_bytes();
        chunk.extend_from_slice(octets);
        chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(&chunk)
    }

    /// Waits for the head of the answer.
    pub(crate) fn answer(mut self) -> io::Result<Reading> {
        let limits = HeadLimits { line: HEAD, total: HEAD, lines: 100 };
        let (mut buffer, mut head) = (Vec::new(), ResponseHead::default());
        loop {
            match head.read(&buffer, &limits, false) {
                Ok(true) if head.status < 200 => drop(buffer.drain(..head.length)),
                Ok(true) => break,
                Ok(false) => more(&mut self.stream, &mut buffer)?,
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        buffer.drain(..head.length);
        let framing = std::mem::replace(&mut head.framing, Framing::None);
        Ok(Reading { stream: self.stream, buffer, body: BodyReader::new(framing), status: head.status })
    }
}

impl Reading {
    /// The next octets of the body, until its end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let piece = self.body.next(&self.buffer);
            match piece.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
                Piece::Content { skip, length } => {
                    let content = self.buffer[skip..skip + length].to_vec();
                    self.buffer.drain(..skip + length);
                    return Ok(Some(content));
                }
                Piece::More { skip } => {
                    self.buffer.drain(..skip);
                    more(&mut self.stream, &mut self.buffer)?;
                }
                Piece::End { .. } => return Ok(None),
            }
        }
    }

    /// All of it, within bounds.
    pub(crate) fn whole(mut self) -> io::Result<Answer> {
        let mut body = Vec::new();
        while let Some(piece) = self.next()? {
            body.extend(piece);
            if body.len() > BODY {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without an end"));
            }
        }
        Ok(Answer { status: self.status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    match stream.read(&mut piece)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended")),
        length => {
            buffer.extend_from_slice(&piece[..length]);
            Ok(())
        }
    }
}

/// Text as it stands in a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            let _infallible = write!(encoded, "%{octet:02X}");
        }
        encoded
    })
}

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// For an answer, or for the next part of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets of a head.
const HEAD: usize = 64 * 1024;
/// Octets of an answer: far more than a page of entries has.
const BODY: usize = 16 * 1024 * 1024;
