//! Where a head ends, and that each of its lines ends in CRLF within its bounds.

use crate::http1::head::{HeadLimits, Span, span};

/// What is wrong with the lines of a head, request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Malformed(&'static str),
    TooLarge,
}

const END: &[u8] = b"\r\n\r\n";

/// The octets that hold a whole head, when its end is there; at most `total` of them.
pub(super) fn complete<'b>(
    octets: &'b [u8],
    total: usize,
    limits: &HeadLimits,
) -> Result<Option<&'b [u8]>, Fault> {
    let window = octets.get(..total).unwrap_or(octets);
    // Most heads arrive alone and whole. A head has few lines: one octet is found sooner than four.
    let ends = |at: usize| window.get(at..at + END.len()) == Some(END);
    if window.ends_with(END) || memchr::memchr_iter(b'\r', window).any(ends) {
        return Ok(Some(window));
    }
    check_so_far(window, limits)?;
    if octets.len() >= total { Err(Fault::TooLarge) } else { Ok(None) }
}

/// Refuses early what no further octet could mend: a line that is too long, a line end that is no CRLF.
fn check_so_far(window: &[u8], limits: &HeadLimits) -> Result<(), Fault> {
    let mut begins = 0;
    let mut count = 0;
    for feed in memchr::memchr_iter(b'\n', window) {
        if feed == begins || window.get(feed - 1) != Some(&b'\r') {
            return Err(Fault::Malformed("a line that does not end in CRLF"));
        }
        count += 1;
        if feed - 1 - begins > limits.line || count > limits.lines.saturating_add(1) {
            return Err(Fault::TooLarge);
        }
        begins = feed + 1;
    }
    // The last octet may be the CR of a line that just fits.
    if window.len() - begins > limits.line.saturating_add(1) { Err(Fault::TooLarge) } else { Ok(()) }
}

/// What httparse's answer to a head that is all there means: its length.
pub(super) fn parsed(answer: httparse::Result<usize>) -> Result<usize, Fault> {
    match answer {
        Ok(httparse::Status::Complete(length)) => Ok(length),
        Ok(httparse::Status::Partial) => Err(Fault::Malformed("a head that does not end where it says")),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::TooLarge),
        Err(httparse::Error::HeaderName) => Err(Fault::Malformed("an invalid field name")),
        Err(httparse::Error::HeaderValue) => Err(Fault::Malformed("an invalid field value")),
        Err(httparse::Error::NewLine) => Err(Fault::Malformed("a line that does not end in CRLF")),
        Err(httparse::Error::Status) => Err(Fault::Malformed("an invalid status")),
        Err(httparse::Error::Token) => Err(Fault::Malformed("an invalid start line")),
        Err(httparse::Error::Version) => Err(Fault::Malformed("neither HTTP/1.0 nor HTTP/1.1")),
    }
}

/// Walks the line ends of a parsed head: httparse takes a bare LF for one, RFC 9112 section 2.2 lets it, and
/// every disagreement about that smuggles (threats H5).
pub(super) struct LineEnds<'b> {
    /// The head, with its empty line.
    head: &'b [u8],
    begins: usize,
    limit: usize,
}

impl<'b> LineEnds<'b> {
    /// For the first `length` octets of `window`.
    pub(super) fn new(window: &'b [u8], length: usize, limit: usize) -> Self {
        Self { head: window.get(..length).unwrap_or(window), begins: 0, limit }
    }

    /// The next field line begins with `name`, a slice of the head: checks the line before it.
    pub(super) fn begins(&mut self, name: &str) -> Result<(), Fault> {
        let at = name.as_ptr().addr().wrapping_sub(self.head.as_ptr().addr());
        self.ends(at)?;
        self.begins = at;
        Ok(())
    }

    /// Checks the last line and the empty one.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        if !self.head.ends_with(END) {
            return Err(Fault::Malformed("a line that does not end in CRLF"));
        }
        self.ends(self.head.len() - 2)
    }

    fn ends(&mut self, at: usize) -> Result<(), Fault> {
        let line = self.head.get(self.begins..at).and_then(|line| line.strip_suffix(b"\r\n"));
        let line = line.ok_or(Fault::Malformed("a line that does not end in CRLF"))?;
        if line.len() > self.limit { Err(Fault::TooLarge) } else { Ok(()) }
    }
}

/// The reason phrase of a parsed response head: what follows `HTTP/1.1 200 ` on its first line.
pub(super) fn reason(window: &[u8]) -> Span {
    const BEFORE: usize = b"HTTP/1.1 200 ".len();
    let end = memchr::memchr(b'\r', window).unwrap_or(0);
    if end > BEFORE { span(BEFORE, end - BEFORE) } else { span(0, 0) }
}
