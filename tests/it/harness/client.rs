//! A client on raw sockets: it sends exactly the octets it is told to and reads answers strictly.

mod octets;

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::harness::audit;
use crate::harness::wait::PATIENCE;
use crate::harness::wire::Wire;

/// A request to be sent.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
    /// The body, its framing taken off.
    pub body: Vec<u8>,
    /// Trailer lines, as a client gets them that takes trailers.
    pub trailers: Vec<(String, String)>,
    /// Whether the body came to its declared end.
    pub whole: bool,
}

/// What came of waiting for an answer.
#[derive(Debug)]
pub enum Outcome {
    /// An answer, perhaps not whole.
    Answer(Response),
    /// The connection ended without another octet.
    Closed,
    /// Nothing, in that time.
    Silence,
}

/// One connection.
pub struct Connection {
    pub(in crate::harness) stream: Wire,
    pub(in crate::harness) buffer: Vec<u8>,
    pub(in crate::harness) audit: bool,
    /// Over TLS: it ended with a `close_notify`.
    pub(in crate::harness) ended_well: bool,
    pub(in crate::harness) trailers: bool,
}

impl Request {
    /// A request with `Host: api.test` and no body.
    pub fn new(method: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), "api.test".to_owned())];
        Self { method: method.to_owned(), target: target.to_owned(), headers, body: None }
    }

    /// `GET`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST` with a body.
    pub fn post(target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// One more header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another `Host`.
    pub fn host(mut self, host: &str) -> Self {
        self.headers[0].1 = host.to_owned();
        self
    }

    /// A body with its length.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// As octets.
    pub fn octets(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut octets = text.into_bytes();
        octets.extend_from_slice(self.body.as_deref().unwrap_or_default());
        octets
    }
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `reason` of a refusal; empty when it is none.
    pub fn reason(&self) -> String {
        let said = self.json();
        let of_an_operation = &said["errors"][0]["extensions"]["reason"];
        said["reason"].as_str().or(of_an_operation.as_str()).unwrap_or_default().to_owned()
    }

    /// Whether the gateway says that it closes the connection.
    pub fn closes(&self) -> bool {
        self.all("connection").iter().any(|value| value.to_ascii_lowercase().contains("close"))
    }
}

/// Without its headers, in which tokens are.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(self.body.as_deref().unwrap_or_default());
        write!(f, "{} {} {:?}", self.method, self.target, body.chars().take(400).collect::<String>())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        let start: String = text.chars().take(400).collect();
        write!(f, "{} {:?} {start:?} (whole: {})", self.status, self.headers, self.whole)
    }
}

impl Connection {
    /// Connects; every answer is audited.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::from_source(Ipv4Addr::LOCALHOST.into(), address).expect("the gateway accepts")
    }

    /// Connects from another loopback address.
    pub fn from_source(source: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if source != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        }
        socket.connect_timeout(&SockAddr::from(address), PATIENCE)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: Wire::Plain(stream),
            buffer: Vec::new(),
            audit: true,
            ended_well: false,
            trailers: false,
        })
    }

    /// The same without the audit of answers: for servers that are not the gateway's data plane.
    pub fn unaudited(mut self) -> Self {
        self.audit = false;
        self
    }

    /// Takes trailers, as its requests have to say.
    pub fn taking_trailers(mut self) -> Self {
        self.trailers = true;
        self
    }

    /// Sends octets. A gateway that has refused may have closed already, which is no failure here: what
    /// counts is what it answered.
    pub fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).ok();
    }

    /// Writes wait no longer than half a second from here on.
    pub fn set_write_timeout(&self) {
        self.stream.tcp().set_write_timeout(Some(Duration::from_millis(500))).expect("a time");
    }

    /// Sends octets and says whether they went out.
    pub fn try_write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Ends the sending half.
    pub fn finish_writing(&self) {
        self.stream.tcp().shutdown(Shutdown::Write).ok();
    }

    /// A receive buffer this small, so that the sender soon has to wait.
    pub fn shrink_receive_buffer(&self) {
        socket2::SockRef::from(self.stream.tcp()).set_recv_buffer_size(4096).ok();
    }

    /// Sends a request and waits for its final answer.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Response {
        self.write(&request.octets());
        self.answer_to(&request.method)
    }

    /// Waits for the final answer to a request that was not `HEAD`.
    #[track_caller]
    pub fn answer(&mut self) -> Response {
        self.answer_to("GET")
    }

    /// Waits for the final answer to a request of this method; interim ones are passed over.
    #[track_caller]
    pub fn answer_to(&mut self, method: &str) -> Response {
        loop {
            match self.wait(method, PATIENCE) {
                Outcome::Answer(response) if response.status < 200 => {}
                Outcome::Answer(response) => return response,
                outcome @ (Outcome::Closed | Outcome::Silence) => panic!("waited for an answer: {outcome:?}"),
            }
        }
    }

    /// Waits for any answer, also an interim one.
    pub fn wait(&mut self, method: &str, patience: Duration) -> Outcome {
        let end = Instant::now() + patience;
        loop {
            match parse(&self.buffer, method) {
                Parsed::Whole(response, length) => {
                    self.buffer.drain(..length);
                    return self.checked(response, method);
                }
                Parsed::Part(part) => match self.fill(end) {
                    Ok(true) => {}
                    Ok(false) if self.buffer.is_empty() => return Outcome::Closed,
                    Ok(false) => {
                        let octets = String::from_utf8_lossy(&self.buffer).into_owned();
                        self.buffer.clear();
                        let response = part.unwrap_or_else(|| panic!("half an answer head: {octets:?}"));
                        return self.checked(*response, method);
                    }
                    Err(_) => return Outcome::Silence,
                },
            }
        }
    }

    /// Whether `text` stands in what was read and not taken for an answer yet.
    pub fn has(&self, text: &str) -> bool {
        self.buffer.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// Reads, without any framing, until `text` has come; gives everything read.
    #[track_caller]
    pub fn read_until(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let read = String::from_utf8_lossy(&self.buffer).into_owned();
            if read.contains(text) {
                self.buffer.clear();
                return read;
            }
            assert!(matches!(self.fill(end), Ok(true)), "waited for {text:?}, got {read:?}");
        }
    }

    /// Fails unless the gateway ends the connection without another octet.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let outcome = self.wait("GET", PATIENCE);
        assert!(matches!(outcome, Outcome::Closed), "waited for the end of the connection, got {outcome:?}");
    }

    /// Whether the gateway ends the connection within `patience`, whatever it sends before.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        loop {
            self.buffer.clear();
            match self.fill(end) {
                Ok(true) => {}
                Ok(false) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Everything until the end of the connection, as it came.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        while matches!(self.fill(end), Ok(true)) {}
        std::mem::take(&mut self.buffer)
    }

    fn checked(&self, response: Response, method: &str) -> Outcome {
        assert!(self.trailers || response.trailers.is_empty(), "trailers nobody takes: {response:?}");
        if self.audit {
            audit::check(&response, method);
        }
        Outcome::Answer(response)
    }

    /// Reads more; `false` at the end of the connection, an error when the time is over.
    fn fill(&mut self, end: Instant) -> io::Result<bool> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.tcp().set_read_timeout(Some(left))?;
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                self.ended_well = true;
                Ok(false)
            }
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                Ok(true)
            }
            // A process that was stopped and goes on hears of it like this.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            // A close with unread octets of ours on the way arrives as a reset.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Sends octets on a connection of their own and gives every answer until the other side ends it.
pub fn send_raw(address: SocketAddr, octets: &[u8]) -> Vec<Response> {
    let mut connection = Connection::open(address);
    connection.write(octets);
    let mut answers = Vec::new();
    loop {
        match connection.wait("GET", PATIENCE) {
            Outcome::Answer(response) => answers.push(response),
            Outcome::Closed => return answers,
            Outcome::Silence => {
                panic!("neither an answer nor the end for {:?}", String::from_utf8_lossy(octets))
            }
        }
    }
}

enum Parsed {
    Whole(Response, usize),
    /// Not yet; what is there of an answer whose head is whole.
    Part(Option<Box<Response>>),
}

/// Reads one answer. What breaks the protocol fails the test: the gateway's framing is its own.
fn parse(buffer: &[u8], method: &str) -> Parsed {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Parsed::Part(None) };
    let head = std::str::from_utf8(&buffer[..end]).expect("an answer head is ASCII");
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    assert!(start.starts_with("HTTP/1.1 "), "not an HTTP/1.1 answer: {start:?}");
    let status = start.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default();
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field line: {line:?}"));
            assert!(!line.contains(['\r', '\n', '\0']) && !name.ends_with(' '), "not a field line: {line:?}");
            (name.to_owned(), value.trim().to_owned())
        })
        .collect();
    let response = Response { status, headers, whole: true, ..Response::default() };
    let rest = &buffer[end + 4..];
    body(response, rest, end + 4, method)
}

fn body(mut response: Response, rest: &[u8], start: usize, method: &str) -> Parsed {
    let bodiless = method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304);
    if bodiless {
        return Parsed::Whole(response, start);
    }
    let part = |mut response: Response, body: &[u8]| {
        response.body = body.to_vec();
        response.whole = false;
        Parsed::Part(Some(Box::new(response)))
    };
    let lengths = response.all("content-length");
    let coded = response.all("transfer-encoding");
    assert!(lengths.len() + coded.len() < 2, "an answer framed twice: {response:?}");
    if let Some(coding) = coded.first() {
        assert!(coding.eq_ignore_ascii_case("chunked"), "transfer coding {coding:?}");
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        return match chunks(rest, &mut body, &mut trailers) {
            Some(length) => {
                response.body = body;
                response.trailers = trailers;
                Parsed::Whole(response, start + length)
            }
            None => part(response, &body),
        };
    }
    let Some(length) = lengths.first().and_then(|length| length.parse::<usize>().ok()) else {
        panic!("an answer that only the end of the connection delimits: {response:?}");
    };
    match rest.get(..length) {
        Some(body) => {
            response.body = body.to_vec();
            Parsed::Whole(response, start + length)
        }
        None => part(response, rest),
    }
}

/// Appends chunks to `body`; the framed length when the last one has come.
fn chunks(rest: &[u8], body: &mut Vec<u8>, trailers: &mut Vec<(String, String)>) -> Option<usize> {
    let mut at = 0;
    loop {
        let line_end = at + rest.get(at..)?.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&rest[at..line_end]).expect("a chunk size is ASCII");
        let size = usize::from_str_radix(line, 16).unwrap_or_else(|_| panic!("chunk size {line:?}"));
        let start = line_end + 2;
        if size == 0 {
            let section = rest.get(start - 2..)?;
            let end = section.windows(4).position(|four| four == b"\r\n\r\n")?;
            let lines =
                std::str::from_utf8(section.get(2..end).unwrap_or_default()).expect("trailers are ASCII");
            trailers.extend(
                lines
                    .split("\r\n")
                    .filter_map(|line| line.split_once(':'))
                    .map(|(name, value)| (name.to_owned(), value.trim().to_owned())),
            );
            return Some(start - 2 + end + 4);
        }
        let available = rest.len().min(start + size);
        body.extend_from_slice(rest.get(start..available)?);
        let tail = rest.get(start + size..start + size + 2)?;
        assert_eq!(tail, b"\r\n", "a chunk ends with CRLF");
        at = start + size + 2;
    }
}
