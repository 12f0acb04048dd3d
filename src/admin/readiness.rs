//! Whether new traffic should come here, and if not, why.

use std::sync::atomic::{AtomicBool, Ordering};

/// What the process knows of itself. Whether the keys are there is control's to say.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    failed: AtomicBool,
}

impl Readiness {
    /// The process is to end: no new traffic.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// A part that keeps decisions current has ended: no new traffic.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Why not; empty is ready. `keys` says whether every issuer whose keys are fetched has some.
    pub fn reasons(&self, keys: bool) -> Vec<&'static str> {
        let checks = [
            (self.draining.load(Ordering::Acquire), "draining"),
            (self.failed.load(Ordering::Acquire), "keys and revocations are not updated any more"),
            (!keys, "an issuer has no keys yet"),
        ];
        checks.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
    }
}

#[cfg(test)]
mod tests;
