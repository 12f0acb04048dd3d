//! What a worker remembers of operations: their plans, and which tokens may run them.
//!
//! That a token may run an operation follows from its scopes and from the plan alone. Its scopes are what they are as
//! long as its fingerprint and its issuer's epoch; a plan never changes, and no other has its serial number. So a verdict
//! of yes holds for as long as it is remembered; a no is worked out each time, and costs what it costs.

use crate::gate::memo::fingerprint::Fingerprint;
use crate::graphql::asked::Documents;

/// Places for verdicts, a worker: some 200 KiB, taken when the first is remembered.
const PLACES: usize = 4096;

/// One worker's operations.
#[derive(Debug, Default)]
pub struct Operations {
    pub(in crate::gate) documents: Documents,
    granted: Box<[Verdict]>,
}

/// A token may run an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::gate) struct Verdict {
    /// The token, by its fingerprint.
    token: u128,
    /// Under this epoch of its issuer; 0 is none.
    epoch: u64,
    /// The document, by its plan.
    plan: u64,
    /// The operation's place in it.
    operation: usize,
}

impl Verdict {
    pub(in crate::gate) fn new(token: Fingerprint, epoch: u64, plan: u64, operation: usize) -> Self {
        Self { token: token.0, epoch, plan, operation }
    }

    fn place(&self) -> usize {
        // The fingerprint is a keyed hash, so that nobody can choose whose place is taken.
        let mixed = (self.token as u64)
            ^ self.plan.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
            ^ (self.operation as u64);
        (mixed as usize) % PLACES
    }
}

impl Operations {
    /// Whether this is known to be so.
    pub(in crate::gate) fn knows(&self, verdict: Verdict) -> bool {
        self.granted.get(verdict.place()) == Some(&verdict)
    }

    /// Remembers that this is so, in the place of another.
    pub(in crate::gate) fn remember(&mut self, verdict: Verdict) {
        if self.granted.is_empty() {
            self.granted = vec![Verdict::default(); PLACES].into_boxed_slice();
        }
        if let Some(place) = self.granted.get_mut(verdict.place()) {
            *place = verdict;
        }
    }
}
