//! Request ids: what a refusal, a log line and an operator have in common.

use std::cell::Cell;
use std::fmt;

/// A request's id: unique in all likelihood, and no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct RequestId(u64, u64);

/// Numbers a worker's requests after a random start.
#[derive(Debug)]
pub(in crate::proxy) struct RequestIds {
    worker: u64,
    next: Cell<u64>,
}

impl RequestIds {
    /// `seed` is random.
    pub(in crate::proxy) fn new(seed: u64) -> Self {
        Self { worker: seed, next: Cell::new(0) }
    }

    /// How many were given.
    pub(in crate::proxy) fn given(&self) -> u64 {
        self.next.get()
    }

    pub(in crate::proxy) fn next(&self) -> RequestId {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        RequestId(self.worker, number)
    }
}

/// An id as text: 16 digits for the worker, eight for the request, or more from the one on that has them.
#[derive(Debug)]
pub(in crate::proxy) struct Hex([u8; 32], usize);

impl RequestId {
    pub(in crate::proxy) fn hex(&self) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        let mut fill = |from: usize, to: usize, mut number: u64| {
            for octet in text[from..to].iter_mut().rev() {
                *octet = DIGITS[(number & 15) as usize];
                number >>= 4;
            }
        };
        let end = 16 + (16 - self.1.leading_zeros() as usize / 4).max(8);
        fill(0, 16, self.0);
        fill(16, end, self.1);
        Hex(text, end)
    }
}

impl Hex {
    pub(in crate::proxy) fn text(&self) -> &str {
        std::str::from_utf8(&self.0[..self.1]).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().text())
    }
}

#[cfg(test)]
mod tests;
