//! A body taken apart into lines as it arrives.

use bytes::{Buf, Bytes};

use crate::revocation::written::json::LINE;

/// What is left of a line while the rest of it is on its way, and where that line is.
#[derive(Debug, Default)]
pub(in crate::admin::api) struct Lines {
    carried: Vec<u8>,
    /// Lines that ended so far.
    number: u64,
}

/// A line with something on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admin::api) struct Line {
    /// Counted from 1.
    pub(in crate::admin::api) number: u64,
    /// Without white space around it. Of one that is too long there are [`LINE`] octets and one, for its reader to see.
    pub(in crate::admin::api) octets: Bytes,
}

impl Lines {
    /// The next line that ends in `piece`, which is left with what stands behind it. Without one all of it is consumed.
    pub(in crate::admin::api) fn next(&mut self, piece: &mut Bytes) -> Option<Line> {
        loop {
            let Some(end) = memchr::memchr(b'\n', piece) else {
                self.carry(piece);
                piece.clear();
                return None;
            };
            self.carry(&piece[..end]);
            piece.advance(end + 1);
            if let Some(line) = self.end() {
                return Some(line);
            }
        }
    }

    /// What stands behind the last end of a line, when nothing comes any more.
    pub(in crate::admin::api) fn rest(&mut self) -> Option<Line> {
        if self.carried.is_empty() { None } else { self.end() }
    }

    /// Lines that ended so far.
    pub(in crate::admin::api) fn number(&self) -> u64 {
        self.number
    }

    fn carry(&mut self, octets: &[u8]) {
        let room = (LINE + 1).saturating_sub(self.carried.len());
        self.carried.extend_from_slice(&octets[..octets.len().min(room)]);
    }

    fn end(&mut self) -> Option<Line> {
        self.number += 1;
        // One over the bound stays over it, whatever its last octets are.
        let octets = if self.carried.len() > LINE { &*self.carried } else { self.carried.trim_ascii() };
        let octets = Bytes::copy_from_slice(octets);
        self.carried.clear();
        (!octets.is_empty()).then_some(Line { number: self.number, octets })
    }
}

#[cfg(test)]
mod tests;
