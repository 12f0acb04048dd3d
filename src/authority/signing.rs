//! With what tokens are signed: the key of the moment of every minted JWT, and those that are published for it.
//!
//! Keys that the gateway makes belong to a ring, one for each algorithm, which all tokens of that algorithm share. A new key
//! is kept, sealed, then published, then signs: `signing_keys.publish` later, but for the very first of its ring. One that was
//! replaced stays published until nothing that it signed counts any more. Whoever verifies sees every key before it sees a
//! token of it.

mod changing;
mod ring;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::authority::clock;
use crate::authority::means::Means;
use crate::authority::signing::ring::{Key, Ring, Unread};
use crate::authority::trouble::{LoadError, Trouble};
use crate::config::material::Material;
use crate::config::minted::{Format, Minted, Sign, SigningKeys};
use crate::config::problems::{Position, Problem};
use crate::config::{Config, Issuer};
use crate::keys::jwk;
use crate::keys::rotation::SigningKey;
use crate::mint::jwt;
use crate::mint::sealed::SealingKey;
use crate::snapshot::Keys;
use crate::store::error::StoreError;
use crate::store::records::RecordKind;
use crate::token::{Algorithm, NumericDate};

/// The keys that sign. One for the process; clones are the same.
#[derive(Clone)]
pub struct Signing {
    shared: Arc<Shared>,
}

struct Shared {
    means: Means,
    state: Mutex<State>,
    /// Keys are made, published and thrown away one at a time.
    changing: tokio::sync::Mutex<()>,
    /// What is due may have changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    tokens: BTreeMap<Box<str>, Signer>,
    rings: BTreeMap<Algorithm, Ring>,
    /// Rings that tokens sign with.
    used: BTreeMap<Algorithm, Use>,
    /// What the gate was last told to verify with, by the ids of the keys.
    told: BTreeMap<Algorithm, BTreeSet<Box<str>>>,
    /// What was replaced at once, and is to be revoked still.
    replaced: Vec<Replaced>,
    sealing: Option<Arc<SealingKey>>,
    /// What the store has was sealed with another key.
    to_seal: bool,
    /// Where the key that seals is named.
    at: Position,
    rotate: i64,
    publish: i64,
    /// `limits.token`.
    token_limit: usize,
}

/// What a token is signed with.
#[derive(Clone)]
enum Signer {
    /// A key or a secret that was given; none if it is no such thing.
    Given(Option<Arc<SigningKey>>, Box<str>),
    /// The ring of this algorithm.
    Ring(Algorithm, Box<str>),
}

/// A key that nothing counts of any more.
#[derive(Clone, PartialEq, Eq)]
struct Replaced {
    /// `iss` of what it has signed.
    issuer: Box<str>,
    key_id: Box<str>,
    /// When all of that is over.
    ends: i64,
}

/// Who uses a ring.
#[derive(Default, Clone)]
struct Use {
    /// Issuers by name, with the `iss` of each.
    issuers: Vec<(Box<str>, Box<str>)>,
    /// How long their tokens may count, at the most, in seconds.
    life: i64,
}

/// A key set to be answered with (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// `{"keys": […]}`, public members only.
    pub document: Value,
    /// For how long it may be taken as it is: `Cache-Control: public, max-age`.
    pub max_age: Duration,
}

/// A key that the gateway made, for operators: nothing of it that is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its `kid`: RFC 7638.
    pub key_id: Box<str>,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What it is now.
    pub state: KeyState,
    /// When it was made.
    pub created: NumericDate,
    /// When it signs first.
    pub signs_from: NumericDate,
    /// When the next one signs in its place, if there is one.
    pub signs_until: Option<NumericDate>,
    /// When it is published no longer, if that is known.
    pub published_until: Option<NumericDate>,
}

/// What becomes of a key, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and does not sign yet.
    Staged,
    /// Signs.
    Active,
    /// Published for as long as something that it signed may count.
    Retiring,
}

impl KeyState {
    /// As operators read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }
}

/// How keys are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The new one is published before it signs.
    Planned,
    /// The new one signs at once, and nothing counts that any key before it has signed or could sign.
    Emergency,
}

impl Signing {
    /// None yet.
    pub fn new(means: Means) -> Self {
        let (changing, changed) = (tokio::sync::Mutex::default(), Notify::new());
        Self { shared: Arc::new(Shared { means, state: Mutex::default(), changing, changed }) }
    }

    /// Takes on what a configuration signs with. Keys that are not there yet are made by [`Self::settle`].
    pub fn configure(&self, config: &Config, material: &Material) {
        let mut state = self.shared.lock();
        state.token_limit = config.limits.token;
        state.tokens.clear();
        state.used.clear();
        // The gate may have other issuers now.
        state.told.clear();
        for minted in &config.authority.tokens {
            let issuer = minted.issuer.and_then(|index| config.issuers.get(index));
            let given = material.signing.get(&minted.name).map(|octets| &octets[..]);
            state.add(minted, issuer.map(|issuer| &**issuer), given);
        }
        if let Some(SigningKeys { sealed_with, rotate, publish }) = &config.authority.signing_keys {
            (state.rotate, state.publish) = (seconds(*rotate), seconds(*publish));
            state.at = sealed_with.as_ref().map(|secret| secret.at).unwrap_or_default();
        }
        state.seal_with(material.sealed_with.as_deref().map(Vec::as_slice));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Reads the keys that the store has, in the place of those that were read before. Blocks.
    pub fn load(&self) -> Result<(), LoadError> {
        let (sealing, at, mut known) = {
            let state = self.shared.lock();
            let known = state.rings.values().flat_map(Ring::keys).filter(|key| key.published);
            let known: BTreeSet<Box<str>> = known.map(|key| key.key_id.clone()).collect();
            (state.sealing.clone(), state.at, known)
        };
        let Some(sealing) = sealing else { return Ok(()) };
        let (mut rings, mut unread) = (BTreeMap::<Algorithm, Ring>::new(), None);
        self.shared.means.kept(RecordKind::SigningKey, &mut |record| match Key::read(&record, &sealing) {
            Ok(mut key) => {
                key.published = known.remove(&key.key_id);
                rings.entry(key.key.algorithm()).or_default().insert(key);
            }
            Err(why) => unread = Some(why),
        })?;
        if let Some(why) = unread {
            return Err(LoadError::Sealed(Box::new(refusal(why, at))));
        }
        self.shared.lock().rings = rings;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Makes the keys that are due before anything is published for the first time: whoever publishes takes them from
    /// [`Self::keys`], so that they sign at once. A store that is another process's to write makes none.
    pub async fn prepare(&self, now: NumericDate) -> Result<(), Trouble> {
        match self.shared.make_due(now.0).await {
            Ok(_) | Err(Trouble::Store(StoreError::Paused)) => {}
            Err(error) => return Err(error),
        }
        let mut state = self.shared.lock();
        state.rings.values_mut().flat_map(Ring::keys_mut).for_each(|key| key.published = true);
        Ok(())
    }

    /// Makes the keys that are due, publishes what changed, and throws away what is over. Returns when there is something to
    /// do again. What fails has not happened, and is tried again the next time.
    pub async fn settle(&self, now: NumericDate) -> Result<NumericDate, Trouble> {
        let shared = Arc::clone(&self.shared);
        ended(tokio::spawn(async move {
            let _alone = shared.changing.lock().await;
            shared.settle(now.0).await
        }))
        .await
        .map(NumericDate)
    }

    /// Settles whenever something is due, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let now = clock::now();
            let wait = match self.settle(now).await {
                Ok(next) => Duration::from_secs(next.0.saturating_sub(now.0).unsigned_abs()),
                Err(error) => {
                    tracing::error!(%error, "signing keys cannot be made, kept or published");
                    AGAIN
                }
            };
            // Either way: look again.
            let _ = timeout(wait.clamp(AT_LEAST, AT_MOST), self.shared.changed.notified()).await;
        }
    }

    /// Replaces the keys of one algorithm, or of all, and says which are new. A key that is staged already is the new one.
    pub async fn rotate(
        &self,
        algorithm: Option<Algorithm>,
        manner: Manner,
        now: NumericDate,
    ) -> Result<Vec<Listed>, Trouble> {
        let shared = Arc::clone(&self.shared);
        ended(tokio::spawn(async move {
            let _alone = shared.changing.lock().await;
            let used: Vec<Algorithm> = shared.lock().used.keys().copied().collect();
            let (mut new, mut trouble) = (Vec::new(), None);
            // One that fails is no reason to leave the others as they are.
            for algorithm in used.into_iter().filter(|used| algorithm.is_none_or(|only| only == *used)) {
                let made = match manner {
                    Manner::Planned => shared.stage(algorithm, now.0).await,
                    Manner::Emergency => shared.replace(algorithm, now.0).await,
                };
                match made {
                    Ok(key_id) => new.push(key_id),
                    Err(error) => trouble = trouble.or(Some(error)),
                }
            }
            // What was begun is gone on with by [`Self::run`].
            shared.changed.notify_one();
            if let Some(trouble) = trouble {
                return Err(trouble);
            }
            let listed = shared.lock().list(now.0);
            Ok(listed.into_iter().filter(|listed| new.contains(&listed.key_id)).collect())
        }))
        .await
    }

    /// Signs claims as the token of this name, with its key of the moment.
    pub fn sign(&self, token: &str, claims: &Map<String, Value>) -> Result<Zeroizing<String>, Trouble> {
        let (key, typ, limit) = {
            let state = self.shared.lock();
            let (key, typ) = match state.tokens.get(token).ok_or(Trouble::NoKey)? {
                Signer::Given(key, typ) => (key.clone(), typ.clone()),
                Signer::Ring(algorithm, typ) => {
                    let active = state.rings.get(algorithm).and_then(|ring| ring.active(clock::now().0));
                    (active.map(|key| Arc::clone(&key.key)), typ.clone())
                }
            };
            (key, typ, state.token_limit)
        };
        let signed = jwt::sign(&*key.ok_or(Trouble::NoKey)?, &typ, claims)?;
        if signed.len() > limit { Err(Trouble::TooLong) } else { Ok(signed) }
    }

    /// The public keys of these tokens, by name: those that sign, those that will, and those that did.
    pub fn key_set<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) -> Published {
        let (now, state) = (clock::now().0, self.shared.lock());
        let mut keys = Vec::new();
        for signer in tokens.into_iter().filter_map(|token| state.tokens.get(token)) {
            let public = match signer {
                Signer::Given(key, _) => key.iter().filter_map(|key| key.public_jwk()).collect(),
                Signer::Ring(algorithm, _) => {
                    state.rings.get(algorithm).map(|ring| ring.public(now)).unwrap_or_default()
                }
            };
            let new: Vec<Value> = public.into_iter().filter(|key| !keys.contains(key)).collect();
            keys.extend(new);
        }
        // Whoever has taken it just before a key was made takes it again before that key signs.
        let max_age = Duration::from_secs(state.publish.unsigned_abs() / 2).min(MAX_AGE);
        Published { document: json!({ "keys": keys }), max_age }
    }

    /// What the gate verifies the tokens of this issuer with, if their keys are made here.
    pub fn keys(&self, issuer: &str) -> Keys {
        let (now, state) = (clock::now().0, self.shared.lock());
        let of = |(_, used): &(&Algorithm, &Use)| used.issuers.iter().any(|(name, _)| **name == *issuer);
        let algorithm = state.used.iter().find(of).map(|(algorithm, _)| *algorithm);
        algorithm
            .and_then(|algorithm| state.rings.get(&algorithm))
            .map_or(Keys::Unavailable, |ring| verifying(&ring.public(now)))
    }

    /// The keys that the gateway made, for operators, in the order of their algorithms and ages.
    pub fn list(&self, now: NumericDate) -> Vec<Listed> {
        self.shared.lock().list(now.0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, minted: &Minted, issuer: Option<&Issuer>, given: Option<&[u8]>) {
        let Format::Jwt { sign, typ, .. } = &minted.format else { return };
        let given = given.unwrap_or_default();
        let signer = match sign {
            Sign::Managed(algorithm) => {
                let used = self.used.entry(*algorithm).or_default();
                let leeway = issuer.map_or(0, |issuer| seconds(issuer.leeway));
                used.life = used.life.max(seconds(minted.lifetime.max.max(minted.lifetime.default)) + leeway);
                used.issuers.extend(issuer.map(|issuer| (issuer.name.clone(), issuer.issuer.clone())));
                Signer::Ring(*algorithm, typ.clone())
            }
            Sign::Pem { algorithm, .. } => {
                let key = SigningKey::from_pem(given, Some(*algorithm)).ok();
                Signer::Given(key.map(Arc::new), typ.clone())
            }
            Sign::Secret { algorithm, .. } => {
                let key = SigningKey::from_secret(given, *algorithm).ok().filter(|_| !given.is_empty());
                Signer::Given(key.map(Arc::new), typ.clone())
            }
        };
        self.tokens.insert(minted.name.clone(), signer);
    }

    /// Takes on the key that seals. What is no key leaves the one before in force.
    fn seal_with(&mut self, octets: Option<&[u8]>) {
        let Some(octets) = octets else { return };
        match SealingKey::new(octets) {
            Some(new) if self.sealing.as_deref() == Some(&new) => {}
            Some(new) => {
                self.to_seal |= self.rings.values().any(|ring| !ring.keys().is_empty());
                self.sealing = Some(Arc::new(new));
            }
            None => tracing::error!("`signing_keys.sealed_with` is no key of 32 octets, nor their base64"),
        }
    }

    fn list(&self, now: i64) -> Vec<Listed> {
        self.rings.values().flat_map(|ring| ring.list(now)).collect()
    }
}

/// What is begun is ended, also if nobody waits for it.
async fn ended<T>(task: tokio::task::JoinHandle<Result<T, Trouble>>) -> Result<T, Trouble> {
    task.await.unwrap_or(Err(Trouble::Fault("a task has failed")))
}

fn verifying(public: &[Value]) -> Keys {
    // The strict reader of everybody's key sets reads ours too.
    match jwk::parse_jwks(json!({ "keys": public }).to_string().as_bytes(), None) {
        Ok((set, _)) => Keys::Ready { set: Arc::new(set), fetched: false },
        Err(_) => Keys::Unavailable,
    }
}

fn refusal(why: Unread, at: Position) -> Problem {
    let what = match why {
        Unread::Sealed => "this key does not open the signing keys that the store has",
        Unread::Damaged => "the store has a signing key that this version cannot read",
    };
    Problem::new(at, what).hint(
        "give back the key that they were sealed with; or, if it is lost, remove them from the store \
         (DELETE FROM record WHERE kind = 'signing_key'), whereupon nothing counts that they have signed",
    )
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// How long verifiers may take a key set as it is, at the most.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Between two looks at what is due, at the least and at the most: clocks are set.
const AT_LEAST: Duration = Duration::from_secs(1);
const AT_MOST: Duration = Duration::from_secs(60);
/// Until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);
