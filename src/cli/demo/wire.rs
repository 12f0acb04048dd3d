//! As much HTTP as the demonstration needs on both sides of the gateway: one request a connection, no pool, no
//! runtime, and the gateway's own reader of heads.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::http1::head::{self, HeadLimits, RequestHead, Span};

/// A request, as far as the servers here look at it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Serves JSON on a loopback port of the system's choice for as long as the process lives.
pub(crate) fn serve(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // What goes wrong on one connection is seen at its other end.
            thread::spawn(move || exchange(stream, &*answer).unwrap_or_default());
        }
    });
    Ok(address)
}

/// Sends one request and reads the whole answer.
pub(crate) fn ask(to: SocketAddr, method: &str, path: &str, token: Option<&str>) -> io::Result<Answer> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
    send(to, &format!("{method} {path}"), &format!("{authorization}{length}"), "")
}

/// Posts a form, whose values need no escapes, as a client (RFC 6749 section 2.3.1).
pub(crate) fn post(
    to: SocketAddr,
    path: &str,
    (id, secret): (&str, &str),
    pairs: &[(&str, &str)],
) -> io::Result<Answer> {
    let client = base64_simd::STANDARD.encode_to_string(format!("{id}:{secret}"));
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = pairs.join("&");
    let lines = format!(
        "Authorization: Basic {client}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    send(to, &format!("POST {path}"), &lines, &body)
}

fn send(to: SocketAddr, start: &str, lines: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("{start} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut text = String::new();
    stream.take(SIZE as u64).read_to_string(&mut text)?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok(Answer { status, body: body.to_owned() })
}

fn exchange(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let limits = HeadLimits { line: SIZE, total: SIZE, lines: 100 };
    let (mut buffer, mut head) = (Vec::new(), RequestHead::default());
    while !head.read(&buffer, &limits).map_err(io::Error::other)? {
        more(&mut stream, &mut buffer)?;
    }
    let body = head.declared_length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    while buffer.len() < head.length.saturating_add(body) {
        more(&mut stream, &mut buffer)?;
    }
    let text = |span: &Span| head::text(&buffer, span).to_owned();
    let headers = head.lines.iter().map(|line| (text(&line.name).to_ascii_lowercase(), text(&line.value)));
    let asked = Asked { method: text(&head.method), path: text(&head.path), headers: headers.collect() };
    let Answer { status, body } = answer(&asked);
    let lines = "Content-Type: application/json\r\nConnection: close\r\n";
    write!(stream, "HTTP/1.1 {status} \r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 4096];
    let length = stream.read(&mut piece)?;
    if length == 0 || buffer.len() > SIZE {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.extend_from_slice(&piece[..length]);
    Ok(())
}

/// Octets of a message, far more than any here has.
const SIZE: usize = 256 * 1024;

/// For one step of an exchange over loopback.
const PATIENCE: Duration = Duration::from_secs(10);
