//! A careless HTTP/1 parser, for the upstream only: what it believes is what smuggling exploits.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// Octets of the raw log that are kept.
const RAW_KEPT: usize = 4 << 20;

/// A request head as a careless backend reads it.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// First word of the start line.
    pub method: String,
    /// Second word of the start line.
    pub target: String,
    /// Last word of the start line.
    pub version: String,
    /// Names as received, values trimmed.
    pub headers: Vec<(String, String)>,
}

/// Reads requests from a connection.
pub struct Reader {
    input: BufReader<Tee>,
}

impl Head {
    /// The path without query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The first value of a header, its name compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_str()).collect()
    }

    /// Names of all headers that a CGI-like backend would read as this one: letters and digits compared
    /// without case, everything else alike.
    pub fn aliases(&self, name: &str) -> Vec<&str> {
        let fold = |name: &str| -> String {
            let one = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
            name.chars().map(one).collect()
        };
        let lines = self.headers.iter().filter(|(line, _)| fold(line) == fold(name));
        lines.map(|(line, _)| line.as_str()).collect()
    }
}

impl Reader {
    /// Reads from `stream` and keeps what it read in `raw`.
    pub fn new(stream: TcpStream, raw: Arc<Mutex<Vec<u8>>>) -> Self {
        Self { input: BufReader::with_capacity(16 << 10, Tee { stream, raw }) }
    }

    /// The next head; `None` at the end of the connection.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        let mut start = self.line()?;
        while start.as_deref() == Some("") {
            start = self.line()?;
        }
        let Some(start) = start else { return Ok(None) };
        let mut words = start.split(' ');
        let mut head = Head {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            version: words.next().unwrap_or_default().to_owned(),
            headers: Vec::new(),
        };
        while let Some(line) = self.line()?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            head.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(Some(head))
    }

    /// The body, to its end.
    pub fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let chunked = head.all("transfer-encoding").iter().any(|value| value.contains("chunked"));
        if chunked {
            return self.chunks();
        }
        // A broken length is no length: this is the backend of the advisory, to which the body is the next
        // request.
        let length = head.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.input.read_exact(&mut body)?;
        Ok(body)
    }

    /// Octets as they come.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        let octets = self.input.fill_buf()?.to_vec();
        self.input.consume(octets.len());
        Ok(octets)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let digits: String = line.trim().chars().take_while(char::is_ascii_hexdigit).collect();
            let length = u64::from_str_radix(&digits, 16).unwrap_or(0);
            if length == 0 {
                while self.line()?.is_some_and(|line| !line.is_empty()) {}
                return Ok(body);
            }
            let start = body.len();
            (&mut self.input).take(length).read_to_end(&mut body)?;
            if body.len() - start != usize::try_from(length).unwrap_or(usize::MAX) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.line()?;
        }
    }

    /// A line without its end, which may be a bare LF; `None` at the end of the connection.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

struct Tee {
    stream: TcpStream,
    raw: Arc<Mutex<Vec<u8>>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let mut raw = self.raw.lock().expect("no test panics in here");
        let room = RAW_KEPT.saturating_sub(raw.len());
        raw.extend_from_slice(&buffer[..read.min(room)]);
        Ok(read)
    }
}
