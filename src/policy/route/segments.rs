//! A path's segments, cut off and looked up.
//!
//! Only the operator's patterns are ever put into a table, so that nobody can fill it with what collides; and how
//! long one look takes depends on the table, not on what is looked for. The hash can therefore be one without a key.

use std::hash::{BuildHasher, Hasher};

/// The first segment, and what follows its slash, if there is one.
pub(in crate::policy) fn first(path: &str) -> (&str, Option<&str>) {
    // Segments are short: looking at each octet is done before a search for many at a time is set up.
    let slash = path.bytes().position(|octet| octet == b'/');
    match slash.and_then(|at| Some((path.get(..at)?, path.get(at + 1..)?))) {
        Some((segment, after)) => (segment, Some(after)),
        None => (path, None),
    }
}

/// Hashes for tables by segment.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::policy) struct BySegment;

/// Eight octets at a time, each time with a rotation, an exclusive or and a multiplication.
#[derive(Debug)]
pub(in crate::policy) struct Mixed(u64);

/// Odd, and with as many bits set as not: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

impl BuildHasher for BySegment {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(0)
    }
}

impl Mixed {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Mixed {
    fn write(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet));
        // With the length, lest zeros at the end count for nothing.
        self.mix(rest ^ (octets.len() as u64) << 56);
    }

    /// What ends a text tells it from a longer one, of which no table has two parts.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        // A multiplication moves differences up, and the table looks at the lowest bits first.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests;
