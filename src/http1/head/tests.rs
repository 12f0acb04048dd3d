//! Heads by table; the ids are those of the threat list.

mod fields;
mod handshake;
mod lines;
mod responses;
mod start;
mod whole;

use super::*;

const LIMITS: HeadLimits = HeadLimits { line: 16 << 10, total: 32 << 10, lines: 100 };

/// What a head says, in text.
fn known(buffer: &[u8], lines: &[Line]) -> Vec<(String, String, Known)> {
    let latin1 = |span: &Span| octets(buffer, span).iter().copied().map(char::from).collect();
    lines.iter().map(|line| (latin1(&line.name), latin1(&line.value), line.known)).collect()
}

/// The kinds of all lines in order.
fn kinds(lines: &[Line]) -> Vec<Known> {
    lines.iter().map(|line| line.known).collect()
}

fn read(octets: &[u8]) -> Result<Option<RequestHead>, RequestError> {
    read_within(octets, &LIMITS)
}

fn read_within(octets: &[u8], limits: &HeadLimits) -> Result<Option<RequestHead>, RequestError> {
    let mut head = RequestHead::default();
    Ok(head.read(octets, limits)?.then_some(head))
}

/// A request with a `Host` and these lines.
fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

#[track_caller]
fn check_malformed<T: AsRef<[u8]>>(heads: impl IntoIterator<Item = T>) {
    for head in heads {
        let head = head.as_ref();
        let outcome = read(head);
        assert!(matches!(outcome, Err(RequestError::Malformed(_))), "{}: {outcome:?}", head.escape_ascii());
    }
}

#[track_caller]
fn check_lines_malformed(lines: &[&str]) {
    check_malformed(lines.iter().map(|lines| with(lines)));
}

#[track_caller]
fn accepted(head: &str) -> RequestHead {
    read(head.as_bytes()).unwrap_or_else(|error| panic!("{head:?}: {error}")).expect("a whole head")
}
