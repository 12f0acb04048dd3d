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

    pub(in crate::proxy) fn next(&self) -> RequestId {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        RequestId(self.worker, number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.0, self.1)
    }
}
