//! Waiting on a condition, bounded. The only place in these tests where a thread waits for time to pass.

use std::time::{Duration, Instant};

/// Long enough for two loaded cores; a passing test never waits it out.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds and fails the test when it does not within [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(eventually(PATIENCE, &mut condition), "waited {PATIENCE:?} in vain: {what}");
}

/// Waits until `probe` gives a value.
#[track_caller]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(what, || {
        found = probe();
        found.is_some()
    });
    found.expect("wait_until returns only when the probe gave a value")
}

/// Whether `condition` comes to hold within `deadline`.
pub fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        pause();
    }
}

/// Whether `condition` holds all through `window`: for what must *not* happen.
pub fn holds(window: Duration, mut condition: impl FnMut() -> bool) -> bool {
    !eventually(window, || !condition())
}

/// Lets `time` pass, for a peer that is slow on purpose: nothing else waits for it.
pub fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// One step of patience between two looks at a condition. Parking, not sleeping: nothing depends on its
/// length.
pub fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}
