//! When one issuer's keys are fetched, and what a key miss is answered: a state machine without clock or I/O.
//!
//! What it promises (threats K3 to K6):
//!
//! - at most one fetch at a time;
//! - unknown kids force at most one fetch per `cooldown`, claimed before the fetch begins and whatever comes of
//!   it: N misses in time T begin at most 1 + T / `cooldown` fetches;
//! - "unknown" is proven, never presumed: only a fetch begun after a kid was first seen, and successful, says
//!   that the issuer has no such key;
//! - what it remembers of kids is bounded in number and time, and forgetting can only turn 401 into 503;
//! - failures back off, exponentially and with jitter, and never touch the keys at hand before `max_stale`.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::defaults::FETCH_PAUSE_MIN;

/// The times of an issuer's configuration that rule its fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between background fetches that succeed.
    pub refresh: Duration,
    /// Between fetches forced by unknown kids.
    pub cooldown: Duration,
    /// How long keys serve when no fetch succeeds.
    pub max_stale: Duration,
}

/// One issuer's fetches.
#[derive(Debug)]
pub struct Schedule {
    timing: Timing,
    /// Fetches begun so far: the number of the latest.
    begun: u64,
    /// Whether the latest is still running.
    in_flight: bool,
    /// The number of the latest fetch that succeeded; 0 is none.
    succeeded: u64,
    /// When a miss last forced a fetch.
    claimed: Option<Instant>,
    /// Failures since the last success.
    failures: u32,
    /// When the background fetches next.
    next: Instant,
    /// When keys last arrived, and how old they were then (those of the mirror are older than now).
    arrived: Option<(Instant, Duration)>,
    misses: Misses,
}

/// What a key miss is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Decide again: the key is there, or a fetch begun after the kid was first seen has succeeded without it.
    Settled,
    /// A fetch is running whose outcome may change the answer: ask again when it has ended.
    Wait,
    /// The same, and it was begun for this very miss: whoever fetches has to be woken.
    Begin,
    /// Nothing may be fetched now.
    Refuse,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Run the fetch that has begun.
    Fetch,
    /// Nothing before this moment.
    Nothing(Instant),
}

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Keys arrived, or the ones at hand were confirmed; `max_age` is what `Cache-Control` said.
    Success {
        /// How long the server says they may be kept.
        max_age: Option<Duration>,
    },
    /// They did not.
    Failure,
}

impl Schedule {
    /// A schedule whose first fetch has begun at `now`. `age` is how old the keys are that are at hand already,
    /// if any are.
    pub fn begin(timing: Timing, age: Option<Duration>, now: Instant) -> Self {
        Self {
            timing: timing.capped(),
            begun: 1,
            in_flight: true,
            succeeded: 0,
            claimed: None,
            failures: 0,
            next: now,
            arrived: age.map(|age| (now, age)),
            misses: Misses::default(),
        }
    }

    /// Takes over a changed configuration of the same issuer. A shorter refresh counts at once.
    pub fn retime(&mut self, timing: Timing, now: Instant) {
        self.timing = timing.capped();
        self.next = self.next.min(now + self.timing.refresh);
    }

    /// Answers a key miss. `kid` is empty when there are no keys at all; `known` says whether the keys of this
    /// moment have it (or, for the empty one, whether there are keys).
    pub fn ask(&mut self, kid: &str, known: bool, now: Instant) -> Ask {
        if known || (!kid.is_empty() && self.succeeded > self.misses.first_seen(kid, self.begun, now)) {
            return Ask::Settled;
        }
        if self.in_flight {
            return Ask::Wait;
        }
        let since = |claimed| now.saturating_duration_since(claimed);
        if self.claimed.is_some_and(|claimed| since(claimed) < self.timing.cooldown) {
            return Ask::Refuse;
        }
        self.claimed = Some(now);
        self.start();
        Ask::Begin
    }

    /// What there is to do at `now`; a background fetch that is due begins here. The moment it names is the
    /// next fetch's, or the one at which the keys turn stale.
    pub fn due(&mut self, now: Instant) -> Due {
        if self.in_flight {
            return Due::Fetch;
        }
        if self.next <= now {
            self.start();
            return Due::Fetch;
        }
        let stale_at = self.stale_at().filter(|&at| now < at);
        Due::Nothing(stale_at.map_or(self.next, |at| at.min(self.next)))
    }

    /// Ends the fetch that is running. `jitter` is random in 0..=1.
    pub fn end(&mut self, outcome: Outcome, jitter: f64, now: Instant) {
        self.in_flight = false;
        let pause = match outcome {
            Outcome::Success { max_age } => {
                self.succeeded = self.begun;
                self.failures = 0;
                self.arrived = Some((now, Duration::ZERO));
                self.interval(max_age).mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0))
            }
            Outcome::Failure => {
                self.failures = self.failures.saturating_add(1);
                self.backoff().mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
            }
        };
        self.next = now + pause;
    }

    /// How old the keys are; nothing if there are none.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.arrived.map(|(at, age)| age.saturating_add(now.saturating_duration_since(at)))
    }

    /// Whether the keys may no longer serve.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.age(now).is_none_or(|age| age > self.timing.max_stale)
    }

    /// How many fetches have begun.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn start(&mut self) {
        self.begun += 1;
        self.in_flight = true;
    }

    /// The first moment at which the keys are stale.
    fn stale_at(&self) -> Option<Instant> {
        let (at, age) = self.arrived?;
        // Older by any amount is stale: a millisecond is as fine as timers are.
        Some(at + self.timing.max_stale.saturating_sub(age) + Duration::from_millis(1))
    }

    /// Between two background fetches: `refresh`, which `Cache-Control` may shorten to a minute and never
    /// lengthens. Keys that may serve a short while only are renewed twice in it.
    fn interval(&self, max_age: Option<Duration>) -> Duration {
        let Timing { refresh, max_stale, .. } = self.timing;
        let refresh = refresh.min(max_stale / 2).max(LEAST_PAUSE);
        max_age.map_or(refresh, |age| refresh.min(age.max(LEAST_MAX_AGE)))
    }

    /// After failures in a row: 1 s, 2 s, 4 s, up to `refresh`.
    fn backoff(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(MOST_DOUBLINGS);
        FIRST_BACKOFF.saturating_mul(1 << doublings).min(self.timing.refresh).max(LEAST_PAUSE)
    }
}

impl Timing {
    /// A time beyond [`FOREVER`] would overflow the clock; without any cooldown a miss could fetch over and over.
    fn capped(self) -> Self {
        let Self { refresh, cooldown, max_stale } = self;
        Self {
            refresh: refresh.min(FOREVER),
            cooldown: cooldown.clamp(LEAST_PAUSE, FOREVER),
            max_stale: max_stale.min(FOREVER),
        }
    }
}

/// `Cache-Control: max-age` shortens `refresh` down to this.
const LEAST_MAX_AGE: Duration = Duration::from_secs(60);
/// The pause after a first failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// 2^16 s is beyond any refresh anybody configures.
const MOST_DOUBLINGS: u32 = 16;
/// Whatever is configured, a provider is not asked more often.
const LEAST_PAUSE: Duration = FETCH_PAUSE_MIN;
/// Ten years.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Unknown kids remembered, an issuer: of at most 256 octets each.
const MOST_MISSES: usize = 1_024;
/// For how long an unknown kid is remembered.
const MISS_LIFE: Duration = Duration::from_secs(300);

/// The unknown kids of late, oldest first, and how many fetches had begun when each was first seen.
#[derive(Debug, Default)]
struct Misses {
    begun: HashMap<Arc<str>, u64>,
    order: VecDeque<(Arc<str>, Instant)>,
}

impl Misses {
    /// How many fetches had begun when this kid was first seen; seen now for the first time, `begun` had.
    fn first_seen(&mut self, kid: &str, begun: u64, now: Instant) -> u64 {
        while let Some((oldest, seen)) = self.order.front()
            && now.saturating_duration_since(*seen) > MISS_LIFE
        {
            self.begun.remove(oldest);
            self.order.pop_front();
        }
        if let Some(&first) = self.begun.get(kid) {
            return first;
        }
        if self.order.len() >= MOST_MISSES
            && let Some((oldest, _)) = self.order.pop_front()
        {
            self.begun.remove(&oldest);
        }
        let kid: Arc<str> = kid.into();
        self.begun.insert(Arc::clone(&kid), begun);
        self.order.push_back((kid, now));
        begun
    }
}
