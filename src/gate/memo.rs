//! What a worker remembers of tokens it has judged: good ones with what was verified, bad ones by their verdict.
//!
//! Keyed by a keyed 128-bit hash of the *whole* token: a key over the signature alone, or over a prefix, would
//! let one token answer for another (threats R2). An entry carries the epoch of its issuer's keys, algorithms
//! and rules and dies with it. It answers steps 5, 7 and 8 of the path; what it recalls of 10 and 13 holds for as
//! long as the epoch and the table of routes do. All else runs on every request.
//!
//! Good and bad entries live apart: no amount of garbage evicts a good one (threats R3). Good ones are bounded
//! in octets with an eviction that a scan does not flush; bad ones have a fixed number of places.
//!
//! Why not one memo for all workers: a map of a worker's own is read without any synchronisation and in half
//! the time, at the price of verifying a token once a worker.

pub mod fingerprint;
pub mod operations;

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::gate::denial::{Denial, Reason};
use crate::gate::memo::fingerprint::{Fingerprint, Fingerprints};
use crate::gate::memo::operations::Operations;
use crate::gate::reserved::Seal;
use crate::graphql::plans::Plans;
use crate::keys::Verified;
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::token::NumericDate;
use crate::token::json::document::Span;
use crate::token::scope::Granted;

/// Places for bad tokens, a worker: about 200 KiB. A bad token that lost its place is only verified again.
const BAD_PLACES: usize = 4096;

/// Sets of scopes that tokens share, a worker. The oldest makes room: who has it keeps it.
const GRANTED_PLACES: usize = 32;

/// How many names for revocations to know it by are kept with a token: one of each kind, and some to spare.
pub(in crate::gate) const REVOCABLE: usize = 10;

/// What is assumed of a token's own weight when the eviction's queues are sized.
const TYPICAL_WEIGHT: usize = 1024;

/// What a good entry takes beside its facts: its place in the map, which is filled half to whole, counts of the `Arc`,
/// and what the allocator rounds up.
const PLACE: usize = 160;

/// What was verified of a token and found in its claims, under one epoch of its issuer.
#[derive(Debug)]
pub struct TokenFacts {
    /// The issuer's index in the snapshot of that epoch.
    pub issuer: usize,
    /// The epoch.
    pub epoch: u64,
    /// Which records it was found among ([`crate::snapshot::Keys::Records`]), if it was looked up.
    pub records: Option<u64>,
    /// From when on whoever keeps it is asked again, though it is remembered: so they hear of its being used.
    pub ask_again: NumericDate,
    /// The proof.
    pub verified: Verified,
    /// Its scopes, compiled; shared with other tokens that have the same.
    pub granted: Arc<Granted>,
    /// Where the issuer's `claims.subject` found one.
    pub(in crate::gate) subject: Option<Span>,
    /// Where the issuer's `claims.id` found one.
    pub(in crate::gate) token_id: Option<Span>,
    /// What revocations may name it by, once there are any: hashes of what does not change while the epoch lasts.
    pub revocable: OnceLock<Box<[(Kind, Key)]>>,
    /// Whether step 10 lets it pass: audience, type and required claims are the issuer's rules alone, so that
    /// the verdict lives as long as the epoch.
    pub standing: Result<(), Box<Denial>>,
    /// The route whose scopes it was last found to have ([`crate::snapshot::Snapshot::route_mark`]), 0 for none.
    pub permitted: AtomicU64,
}

impl TokenFacts {
    /// What the issuer's `claims.subject` found.
    pub fn subject(&self) -> Option<&str> {
        self.subject.map(|span| self.verified.claims().text(span))
    }

    /// What the issuer's `claims.id` found.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.map(|span| self.verified.claims().text(span))
    }

    /// Octets it is counted for: about those it keeps, its place in the map included.
    fn weight(&self) -> usize {
        let revocable = REVOCABLE * size_of::<(Kind, Key)>();
        size_of::<Self>() + self.verified.footprint() + self.granted.footprint() + revocable + PLACE
    }
}

/// What the memo knows of a token.
#[derive(Debug)]
pub enum Remembered {
    /// Verified, under [`TokenFacts::epoch`].
    Good(Arc<TokenFacts>),
    /// Refused with this, whatever the time; with the index of the issuer whose keys judged it, if any did.
    Bad(Reason, Option<usize>),
    /// Nothing.
    Unknown,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoCounts {
    /// Look-ups that found a live good entry.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Good entries that made room for others.
    pub evictions: u64,
    /// Good entries held now.
    pub entries: u64,
}

/// One worker's memory of tokens.
pub struct Memo {
    fingerprints: Fingerprints,
    good: Cache<u128, Arc<TokenFacts>, Octets, PreHashed>,
    bad: Box<[Bad]>,
    /// What tokens were granted of late, at most [`GRANTED_PLACES`].
    granted: VecDeque<Arc<Granted>>,
    counts: MemoCounts,
    /// What is known of operations.
    pub(in crate::gate) operations: Operations,
    pub(in crate::gate) seal: Option<Arc<Seal>>,
}

#[derive(Debug, Clone, Copy)]
struct Bad {
    fingerprint: u128,
    /// The epoch it was judged under; 0 where the verdict holds under every one.
    epoch: u64,
    reason: Option<Reason>,
}

/// Keys are hashes already: the map takes their upper half as it is.
#[derive(Debug, Clone, Copy, Default)]
struct PreHashed(u64);

#[derive(Debug, Clone)]
struct Octets;

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Memo {
    /// A memo of at most `capacity` octets of good entries. `key` is random and never leaves the process.
    pub fn new(key: [u8; 16], capacity: usize) -> Self {
        let empty = Bad { fingerprint: 0, epoch: 0, reason: None };
        let items = (capacity / TYPICAL_WEIGHT).max(1);
        Self {
            fingerprints: Fingerprints::new(key),
            good: Cache::with(items, capacity as u64, Octets, PreHashed::default(), Default::default()),
            bad: vec![empty; BAD_PLACES].into_boxed_slice(),
            granted: VecDeque::new(),
            counts: MemoCounts::default(),
            operations: Operations::default(),
            seal: None,
        }
    }

    /// With what the names of reserved event streams are sealed by. Without, there are none.
    #[must_use]
    pub fn with_seal(mut self, seal: Option<Arc<Seal>>) -> Self {
        self.seal = seal;
        self
    }

    /// With at most so many octets of plans of documents.
    #[must_use]
    pub fn with_plans(mut self, octets: u64) -> Self {
        // Kept from strangers as the key is.
        let seed = self.fingerprint(b"plans").0 as u64;
        self.operations.documents.plans = Plans::new(octets, seed);
        self
    }

    /// The token's fingerprint under this memo's key.
    pub fn fingerprint(&self, token: &[u8]) -> Fingerprint {
        self.fingerprints.of(token)
    }

    /// Looks a token up. `live` says whether an entry's (issuer, epoch) is the one of the moment, `judge_of` which
    /// issuer has an epoch.
    pub fn find(
        &mut self,
        token: Fingerprint,
        live: impl Fn(usize, u64) -> bool,
        judge_of: impl Fn(u64) -> Option<usize>,
    ) -> Remembered {
        match self.good.get(&token.0) {
            Some(facts) if live(facts.issuer, facts.epoch) => {
                self.counts.hits += 1;
                return Remembered::Good(Arc::clone(facts));
            }
            Some(_) => {
                self.good.remove(&token.0);
                self.counts.entries = self.good.len() as u64;
            }
            None => {}
        }
        self.counts.misses += 1;
        let bad = &self.bad[Self::place(token)];
        match (bad.reason, bad.epoch) {
            (Some(reason), 0) if bad.fingerprint == token.0 => Remembered::Bad(reason, None),
            (Some(reason), epoch) if bad.fingerprint == token.0 => match judge_of(epoch) {
                Some(judge) => Remembered::Bad(reason, Some(judge)),
                None => Remembered::Unknown,
            },
            (Some(_) | None, _) => Remembered::Unknown,
        }
    }

    /// Remembers a verified token.
    pub(crate) fn remember_good(&mut self, token: Fingerprint, facts: Arc<TokenFacts>) {
        let held = self.good.len() as u64 + 1;
        self.good.insert(token.0, facts);
        self.counts.entries = self.good.len() as u64;
        self.counts.evictions += held.saturating_sub(self.counts.entries);
    }

    /// The same scopes, in the place where another token's are: an issuer gives few sets of them to many.
    pub(in crate::gate) fn shared(&mut self, granted: Granted) -> Arc<Granted> {
        if let Some(same) = self.granted.iter().find(|same| ***same == granted) {
            return Arc::clone(same);
        }
        let granted = Arc::new(granted);
        self.granted.truncate(GRANTED_PLACES - 1);
        self.granted.push_front(Arc::clone(&granted));
        granted
    }

    /// Remembers a refused one; `epoch` 0 where no key had a say (it is malformed).
    pub(crate) fn remember_bad(&mut self, token: Fingerprint, epoch: u64, reason: Reason) {
        self.bad[Self::place(token)] = Bad { fingerprint: token.0, epoch, reason: Some(reason) };
    }

    /// The good entries, in no order that means anything.
    pub fn good(&self) -> impl Iterator<Item = &Arc<TokenFacts>> {
        self.good.iter().map(|(_, facts)| facts)
    }

    /// Octets that the good entries are counted for.
    pub fn weight(&self) -> u64 {
        self.good.weight()
    }

    /// Counts since the start.
    pub fn counts(&self) -> MemoCounts {
        self.counts
    }

    fn place(token: Fingerprint) -> usize {
        // The lower half: the map above uses the upper one.
        (token.0 as usize) % BAD_PLACES
    }
}

impl Weighter<u128, Arc<TokenFacts>> for Octets {
    fn weight(&self, _: &u128, facts: &Arc<TokenFacts>) -> u64 {
        facts.weight() as u64
    }
}

impl BuildHasher for PreHashed {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for PreHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, octets: &[u8]) {
        // Only `write_u128` is ever called by a `u128` key; folding keeps this right all the same.
        self.0 = octets.iter().fold(self.0, |hash, octet| hash.rotate_left(8) ^ u64::from(*octet));
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64;
    }
}

#[cfg(test)]
mod tests;
