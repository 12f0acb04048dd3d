//! Time that this thread has computed for: how busy the machine is otherwise has no part in it.

use std::time::{Duration, Instant};

/// Since a moment of this thread.
pub(in crate::config) struct Spent {
    ticks: Option<u64>,
    begun: Instant,
}

impl Spent {
    /// From now on.
    pub(in crate::config) fn since_now() -> Self {
        Self { ticks: computed(), begun: Instant::now() }
    }

    /// What was computed since; the time that has passed, where the system does not tell.
    pub(in crate::config) fn so_far(&self) -> Duration {
        match (self.ticks, computed()) {
            (Some(before), Some(now)) => Duration::from_nanos(now - before),
            _ => self.begun.elapsed(),
        }
    }
}

/// Nanoseconds of this thread on a processor.
fn computed() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
