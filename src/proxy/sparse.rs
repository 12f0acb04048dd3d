//! A log that one event cannot fill: at most one line a second of its kind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a kind of line rests after each.
const REST: Duration = Duration::from_secs(1);

/// One kind of line, of all workers together.
#[derive(Debug)]
pub(in crate::proxy) struct Sparse {
    begun: Instant,
    /// Milliseconds after `begun` from which on the next may be written.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Default for Sparse {
    fn default() -> Self {
        Self { begun: Instant::now(), next: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }
}

impl Sparse {
    /// Whether to write the line: then how many were left out since the last.
    pub(in crate::proxy) fn due(&self) -> Option<u64> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (now, next) = (millis(self.begun.elapsed()), self.next.load(Ordering::Relaxed));
        let later = now.saturating_add(millis(REST));
        let taken = now >= next
            && self.next.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if taken {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}
