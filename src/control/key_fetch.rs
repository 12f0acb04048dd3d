//! One issuer's fetched keys: a task that keeps them fresh, and the answer to whoever misses one.
//!
//! The data plane reads snapshots only. What it cannot decide with one it asks [`KeyFetch::ask`], which waits no
//! longer than `miss_wait` and never begins more than [`schedule`] allows. Each issuer has a task, a client's
//! patience and a memory of its own: one provider's trouble is never another issuer's.
//!
//! Why not fetch again when a signature does not verify under a known kid: whoever can send tokens could then
//! force fetches, and a provider that puts a new key under an old kid breaks every verifier that caches.

#[cfg(test)]
mod tests;

pub mod client;
pub mod mirror;
pub mod schedule;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use reqwest::header::HeaderValue;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Issuer, KeySource};
use crate::control::clock;
use crate::control::key_fetch::client::{Client, FetchError, Place};
use crate::control::key_fetch::mirror::Mirror;
use crate::control::key_fetch::schedule::{Ask, Due, Outcome, Schedule, Timing};
use crate::gate::evidence::KeysAnswer;
use crate::keys::KeySet;
use crate::keys::jwk::{self, KeySetError, SkippedKey};
use crate::metrics::Metrics;
use crate::snapshot::Keys;
use crate::token::NumericDate;

/// One issuer's fetched keys, shared by its task and by whoever asks.
#[derive(Debug)]
pub struct KeyFetch {
    state: Mutex<State>,
    /// A fetch was begun by a miss, or the configuration changed.
    work: Notify,
    /// Counts fetches that ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    issuer: Arc<Issuer>,
    /// `limits.key_set`.
    limit: usize,
    schedule: Schedule,
    /// The last good set, stale or not.
    keys: Option<Arc<KeySet>>,
    /// Whether the snapshot has it.
    published: bool,
    last_success: Option<NumericDate>,
    last_error: Option<String>,
}

/// A key set that was at hand before the first fetch: the mirror's.
#[derive(Debug, Clone)]
pub struct AtHand {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// When they were last fetched or confirmed.
    pub fetched_at: NumericDate,
    /// How long ago that was.
    pub age: Duration,
}

/// What the task works with.
#[derive(Debug)]
pub struct Means {
    /// The HTTP client.
    pub client: Arc<Client>,
    /// Where good sets are kept, if anywhere.
    pub mirror: Option<Mirror>,
    /// To the one writer.
    pub arrivals: mpsc::Sender<Arrival>,
    /// Which task of this issuer this is: an older one's keys are not published.
    pub task: u64,
    /// Fetches and their outcomes are counted here.
    pub metrics: Arc<Metrics>,
}

/// Keys (or their end) on the way to the one writer.
#[derive(Debug)]
pub struct Arrival {
    /// The issuer's name.
    pub issuer: Box<str>,
    /// Who sends them.
    pub task: u64,
    /// What to publish.
    pub keys: Keys,
    /// Told once it is published; dropped if it never will be.
    pub published: oneshot::Sender<()>,
}

/// What is known of an issuer's fetches, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How old the keys are.
    pub age: Option<Duration>,
    /// When they last arrived or were confirmed.
    pub last_success: Option<NumericDate>,
    /// Why the latest fetch failed, if it did.
    pub last_error: Option<String>,
    /// Failures since the last success.
    pub failures: u32,
    /// Fetches begun.
    pub fetches: u64,
}

/// What the task remembers between fetches.
#[derive(Debug, Clone)]
struct Remembered {
    /// Where discovery said the keys are, and when.
    discovered: Option<(Place, Instant)>,
    /// The validator of the set at hand, and where it was fetched.
    etag: Option<(Place, HeaderValue)>,
    /// The text of the set at hand, for the mirror.
    text: Arc<str>,
}

/// What one successful fetch brings.
#[derive(Debug)]
struct Brought {
    /// The set and its unusable keys; `None` if the one at hand was confirmed.
    set: Option<(KeySet, Vec<SkippedKey>)>,
    max_age: Option<Duration>,
    remembered: Remembered,
}

/// The one writer is gone or serves another task by now.
struct Obsolete;

/// Whether keys of this source are fetched.
pub fn is_fetched(source: &KeySource) -> bool {
    match source {
        KeySource::Discovery | KeySource::JwksUrl(_) => true,
        KeySource::JwksFile(_)
        | KeySource::JwksInline(_)
        | KeySource::PemFile(_)
        | KeySource::PemEnv(_)
        | KeySource::PemInline(_)
        | KeySource::Secret { .. }
        | KeySource::Managed
        | KeySource::SigningPem(_)
        | KeySource::Records(_) => false,
    }
}

/// Whether keys fetched for one are good for the other: same issuer, source and algorithms.
pub fn same_source(one: &Issuer, other: &Issuer) -> bool {
    one.name == other.name
        && one.issuer == other.issuer
        && one.keys.value == other.keys.value
        && one.algorithms == other.algorithms
        && one.dangerous_http == other.dangerous_http
}

impl KeyFetch {
    /// Makes it; its first fetch has begun, as far as misses are concerned, and runs when [`KeyFetch::run`] does.
    pub fn new(issuer: Arc<Issuer>, limit: usize, at_hand: Option<AtHand>) -> Self {
        let age = at_hand.as_ref().map(|at_hand| at_hand.age);
        let schedule = Schedule::begin(timing(&issuer), age, Instant::now());
        let last_success = at_hand.as_ref().map(|at_hand| at_hand.fetched_at);
        let keys = at_hand.map(|at_hand| at_hand.keys);
        let published = keys.is_some();
        let state = State { issuer, limit, schedule, keys, published, last_success, last_error: None };
        Self { state: Mutex::new(state), work: Notify::new(), ended: watch::Sender::new(0) }
    }

    /// The issuer as configured now.
    pub fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.lock().issuer)
    }

    /// Takes over a new configuration of the same issuer and source.
    pub fn reconfigure(&self, issuer: Arc<Issuer>, limit: usize) {
        let mut state = self.lock();
        state.schedule.retime(timing(&issuer), Instant::now());
        state.issuer = issuer;
        state.limit = limit;
        drop(state);
        self.work.notify_one();
    }

    /// Answers a key miss within `miss_wait`. `key_id` is empty when the issuer had no keys at all.
    pub async fn ask(&self, key_id: &str) -> KeysAnswer {
        let mut ended = self.ended.subscribe();
        let deadline = Instant::now() + self.lock().issuer.miss_wait.min(LONGEST_WAIT);
        loop {
            // Marked before the state is read: a fetch that ends in between wakes us.
            ended.borrow_and_update();
            match self.lock().ask(key_id) {
                Ask::Settled => return KeysAnswer::Fetched,
                Ask::Refuse => return KeysAnswer::Unavailable,
                Ask::Begin => self.work.notify_one(),
                Ask::Wait => {}
            }
            if !matches!(timeout_at(deadline, ended.changed()).await, Ok(Ok(()))) {
                return KeysAnswer::Unavailable;
            }
        }
    }

    /// What is known of the fetches.
    pub fn health(&self) -> Health {
        let state = self.lock();
        Health {
            age: state.schedule.age(Instant::now()),
            last_success: state.last_success,
            last_error: state.last_error.clone(),
            failures: state.schedule.failures(),
            fetches: state.schedule.begun(),
        }
    }

    /// Fetches when it is time, until whoever runs it drops it or the one writer has no use for it any more.
    pub async fn run(self: Arc<Self>, means: Means) {
        let mut remembered = Remembered { discovered: None, etag: None, text: Arc::from("") };
        self.gauge(&means.metrics);
        while self.step(&means, &mut remembered).await.is_ok() {}
    }

    async fn step(&self, means: &Means, remembered: &mut Remembered) -> Result<(), Obsolete> {
        let now = Instant::now();
        let due = self.lock().schedule.due(now);
        self.expire(means).await?;
        match due {
            Due::Fetch => self.fetch(means, remembered).await,
            Due::Nothing(until) => {
                // Either way: look again.
                let _ = timeout_at(until, self.work.notified()).await;
                Ok(())
            }
        }
    }

    /// Withdraws keys that are past `max_stale`.
    async fn expire(&self, means: &Means) -> Result<(), Obsolete> {
        let issuer = {
            let state = self.lock();
            if !state.published || !state.schedule.is_stale(Instant::now()) {
                return Ok(());
            }
            Arc::clone(&state.issuer)
        };
        means.publish(&issuer, Keys::Unavailable).await?;
        self.lock().published = false;
        self.gauge(&means.metrics);
        tracing::error!(issuer = &*issuer.name, "keys are older than max_stale: no longer used");
        Ok(())
    }

    /// Runs the fetch that has begun and ends it, whatever comes of it.
    async fn fetch(&self, means: &Means, remembered: &mut Remembered) -> Result<(), Obsolete> {
        let (issuer, limit) = {
            let state = self.lock();
            (Arc::clone(&state.issuer), state.limit)
        };
        let attempt = attempt(Arc::clone(&means.client), Arc::clone(&issuer), limit, remembered.clone());
        // On a task of its own: a panic in there is one failed fetch.
        let result = match tokio::spawn(timeout(FETCH_TIME, attempt)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(FetchError::Timeout(FETCH_TIME)),
            Err(_) => Err(FetchError::Panicked),
        };
        match result {
            Ok(brought) => {
                *remembered = brought.remembered;
                let result = if brought.set.is_some() { "success" } else { "not_modified" };
                let fetched_at = clock::now();
                self.arrive(means, &issuer, brought.set).await?;
                self.end(Outcome::Success { max_age: brought.max_age }, Ok(fetched_at));
                means.metrics.jwks_fetch(&issuer.name, result);
                self.gauge(&means.metrics);
                means.keep(&issuer, &remembered.text, fetched_at).await;
            }
            Err(error) => {
                remembered.discovered = None;
                let failures = self.end(Outcome::Failure, Err(error.to_string()));
                means.metrics.jwks_fetch(&issuer.name, "failed");
                let issuer = &*issuer.name;
                tracing::warn!(issuer, failures, %error, "keys cannot be fetched: the last good ones stay");
            }
        }
        Ok(())
    }

    /// Publishes what a fetch brought, unless the snapshot has it. Nobody is told of the success before: whoever
    /// decides again finds the keys.
    async fn arrive(
        &self,
        means: &Means,
        issuer: &Issuer,
        set: Option<(KeySet, Vec<SkippedKey>)>,
    ) -> Result<(), Obsolete> {
        let (old, published) = {
            let state = self.lock();
            (state.keys.clone(), state.published)
        };
        let keys = match set {
            Some((set, skipped)) => match old.as_ref().filter(|old| old.same_keys(&set)) {
                Some(old) => Arc::clone(old),
                None => {
                    report(issuer, &set, &skipped);
                    Arc::new(set)
                }
            },
            None => match &old {
                Some(old) => Arc::clone(old),
                // Not reached: a validator is only sent for a set at hand.
                None => return Ok(()),
            },
        };
        if !published || old.is_none_or(|old| !Arc::ptr_eq(&old, &keys)) {
            means.publish(issuer, Keys::Ready { set: Arc::clone(&keys), fetched: true }).await?;
        }
        let mut state = self.lock();
        state.keys = Some(keys);
        state.published = true;
        Ok(())
    }

    /// Ends the fetch, wakes whoever waits for it, and says how many failed in a row.
    fn end(&self, outcome: Outcome, result: Result<NumericDate, String>) -> u32 {
        let mut state = self.lock();
        match result {
            Ok(fetched_at) => {
                state.last_success = Some(fetched_at);
                state.last_error = None;
            }
            Err(error) => state.last_error = Some(error),
        }
        state.schedule.end(outcome, jitter(), Instant::now());
        let failures = state.schedule.failures();
        drop(state);
        self.ended.send_modify(|ended| *ended += 1);
        failures
    }

    fn gauge(&self, metrics: &Metrics) {
        let state = self.lock();
        let keys = state.keys.as_ref().filter(|_| state.published);
        let name = &state.issuer.name;
        metrics.jwks_state(name, keys.map_or(0, |keys| keys.len()), state.last_success.map(|date| date.0));
        if let Some(keys) = keys {
            metrics.key_ids(name, keys.key_ids());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, key_id: &str) -> Ask {
        let known = self.published
            && (key_id.is_empty()
                || self.keys.as_ref().is_some_and(|keys| keys.key_ids().any(|id| id == key_id)));
        self.schedule.ask(key_id, known, Instant::now())
    }
}

impl Means {
    async fn publish(&self, issuer: &Issuer, keys: Keys) -> Result<(), Obsolete> {
        let (published, done) = oneshot::channel();
        let arrival = Arrival { issuer: issuer.name.clone(), task: self.task, keys, published };
        self.arrivals.send(arrival).await.map_err(|_| Obsolete)?;
        done.await.map_err(|_| Obsolete)
    }

    /// Mirrors a good set; one that was confirmed is written again, for its age.
    async fn keep(&self, issuer: &Issuer, text: &Arc<str>, fetched_at: NumericDate) {
        let Some(mirror) = self.mirror.clone() else { return };
        let text = Arc::clone(text);
        let kept = tokio::task::spawn_blocking(move || mirror.write(&text, fetched_at)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(issuer = &*issuer.name, %error, "fetched keys cannot be kept for the next start");
        }
    }
}

/// One fetch from beginning to end: discovery if it is due, the set, and its keys.
async fn attempt(
    client: Arc<Client>,
    issuer: Arc<Issuer>,
    limit: usize,
    remembered: Remembered,
) -> Result<Brought, FetchError> {
    let now = Instant::now();
    let (place, discovered) = match &issuer.keys.value {
        KeySource::JwksUrl(url) => (Place::new(url, issuer.dangerous_http)?, None),
        KeySource::Discovery
        | KeySource::JwksFile(_)
        | KeySource::JwksInline(_)
        | KeySource::PemFile(_)
        | KeySource::PemEnv(_)
        | KeySource::PemInline(_)
        | KeySource::Secret { .. }
        | KeySource::Managed
        | KeySource::SigningPem(_)
        | KeySource::Records(_) => match remembered.discovered {
            Some((place, at)) if now.duration_since(at) < DISCOVERY_LIFE => {
                (place.clone(), Some((place, at)))
            }
            Some(_) | None => {
                let place = client.discover(&issuer.issuer, issuer.dangerous_http).await?;
                (place.clone(), Some((place, now)))
            }
        },
    };
    let etag = remembered.etag.filter(|(from, _)| *from == place).map(|(_, etag)| etag);
    let fetched = client.key_set(&place, etag.as_ref(), limit).await?;
    let mut known = remembered.text;
    let set = match fetched.text {
        Some(text) => {
            let (set, skipped) = jwk::parse_jwks(&text, issuer.algorithms.as_deref())?;
            // A set that shrinks to nothing is a provider's mistake: the last good one stays (threats K6).
            if set.is_empty() {
                return Err(KeySetError::NoUsableKey(skipped).into());
            }
            known = String::from_utf8_lossy(&text).into();
            Some((set, skipped))
        }
        None => None,
    };
    let etag = fetched.etag.map(|etag| (place, etag));
    Ok(Brought { set, max_age: fetched.max_age, remembered: Remembered { discovered, etag, text: known } })
}

fn report(issuer: &Issuer, keys: &KeySet, skipped: &[SkippedKey]) {
    tracing::info!(issuer = &*issuer.name, keys = keys.len(), "new keys");
    for key in skipped {
        let (index, why) = (key.index, &*key.why);
        tracing::warn!(
            issuer = &*issuer.name,
            index,
            kid = key.key_id.as_deref(),
            why,
            "a key is not usable"
        );
    }
}

fn timing(issuer: &Issuer) -> Timing {
    Timing { refresh: issuer.refresh, cooldown: issuer.cooldown, max_stale: issuer.max_stale }
}

/// Random in 0..=1, so that gateways that started together do not fetch together. Not a secret: where there is
/// no randomness, the middle will do.
fn jitter() -> f64 {
    let mut octets = [0; 4];
    match rand::fill(&mut octets) {
        Ok(()) => f64::from(u32::from_be_bytes(octets)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// For one fetch in all: connecting, discovery, redirects, the last octet.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// How long the place that discovery named is used without asking again. A fetch that fails asks at once.
const DISCOVERY_LIFE: Duration = Duration::from_secs(3_600);
/// Whatever `miss_wait` is, a fetch does not take longer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
