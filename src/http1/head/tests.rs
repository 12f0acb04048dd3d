//! Heads by table; the ids are those of the threat list.

mod requests;
mod responses;

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
