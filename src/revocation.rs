//! What no longer counts: blocks and `not_before` watermarks, every kind compared alone and the results ORed.
//!
//! An entry says of what kind it is, whose tokens it means ([`key::Key`], a hash), since when and until when. A token
//! is asked about by the keys of all that it has; any entry that says no is enough.
//!
//! # The set
//!
//! One table a kind, and a bit for each kind that has one. A table is shards, found by the first bits of a key; a
//! shard is a sorted list that never changes, a small one of what came since, and two filters before both. A change
//! copies the small lists and filters that it touches and shares all else with the set before, which is still read;
//! a small list that has grown becomes one with its large one; a shard that has grown is split. So nothing is ever
//! made anew as a whole, and no reader waits: a miss is a comparison of bits, a place in the directory, and one word
//! of a filter that is small enough to be near; of another one where that lets it pass, which is a time in four.
//!
//! What is lifted is remembered by its id, for as long as the entry would have been: changes may arrive twice, or in
//! another order. What has expired is forgotten two days later, and not while the clock is behind what it was.
//!
//! *Why not a concurrent map.* `cargo bench --bench revocation`: two threads look up while a thousand entries a second
//! are added, ten at a time (the last column); the row `floor` is one load from memory as large as both filters.
//!
//! | set | entries | load | resident | at its peak | miss p50 | p99 | hit p50 | p99 | ten added |
//! |---|---|---|---|---|---|---|---|---|---|
//! | ours | 10⁴ | 0.00 s | 5 MB | 8 MB | 16 ns | 25 ns | 63 ns | 86 ns | 22 µs |
//! | dashmap | 10⁴ | 0.00 s | 1 MB | 5 MB | 73 ns | 135 ns | 95 ns | 159 ns | 396 µs |
//! | papaya | 10⁴ | 0.00 s | 1 MB | 4 MB | 29 ns | 65 ns | 25 ns | 40 ns | 6 µs |
//! | floor | 10⁴ | | | | 5 ns | 5 ns | | | |
//! | ours | 10⁶ | 0.09 s | 36 MB | 42 MB | 41 ns | 145 ns | 350 ns | 545 ns | 56 µs |
//! | dashmap | 10⁶ | 0.28 s | 80 MB | 80 MB | 116 ns | 236 ns | 323 ns | 486 ns | 2822 µs |
//! | papaya | 10⁶ | 0.31 s | 52 MB | 56 MB | 112 ns | 236 ns | 353 ns | 524 ns | 24 µs |
//! | floor | 10⁶ | | | | 15 ns | 100 ns | | | |
//! | ours | 10⁷ | 0.94 s | 336 MB | 342 MB | 104 ns | 242 ns | 565 ns | 820 ns | 152 µs |
//! | dashmap | 10⁷ | 4.50 s | 476 MB | 510 MB | 249 ns | 393 ns | 599 ns | 917 ns | 3522 µs |
//! | papaya | 10⁷ | 7.15 s | 594 MB | 598 MB | 142 ns | 255 ns | 405 ns | 543 ns | 6 µs |
//! | floor | 10⁷ | | | | 104 ns | 151 ns | | | |
//!
//! Of ten runs at 10⁷ the medians of a miss were 54 to 181 ns, in the middle 86 (the floor's 50 to 133): it depends on how much
//! of the last cache other machines on the same processor leave to this one.
//!
//! The maps are quicker to find what is there, which is only ever refused; they take half as much again, cannot be
//! published whole with the rest of a snapshot, and say nothing of entries that share a key.

pub mod held;
pub mod key;
pub mod loading;
pub mod written;

mod chunks;
mod record;
mod shard;
mod table;

#[cfg(test)]
mod tests;

use crate::revocation::held::{Held, Id};
use crate::revocation::key::Key;
use crate::revocation::record::{Moment, Record};
use crate::revocation::table::Table;
use crate::token::NumericDate;

/// What an entry is about. All but `all` are scoped by an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Every token.
    All,
    /// Every token of an issuer.
    Issuer,
    /// Every token that one key verifies, by the key's own id.
    Kid,
    /// Every token of a tenant, found by the issuer's `claims.tenant`.
    Tenant,
    /// Every token of a client, found by the issuer's `claims.client`.
    Client,
    /// An API key that is itself the credential, by its id.
    ApiKey,
    /// Every token of a subject, found by the issuer's `claims.subject`.
    Subject,
    /// Every token of a session, found by the issuer's `claims.session`.
    Session,
    /// One token, by its id, found by the issuer's `claims.id`.
    Jti,
    /// Every token that has a value of a claim that the configuration declares (`revocation.claims`).
    Claim,
}

impl Kind {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 10] = [
        Self::All,
        Self::Issuer,
        Self::Kid,
        Self::Tenant,
        Self::Client,
        Self::ApiKey,
        Self::Subject,
        Self::Session,
        Self::Jti,
        Self::Claim,
    ];

    /// As written in an entry and as a metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Issuer => "issuer",
            Self::Kid => "kid",
            Self::Tenant => "tenant",
            Self::Client => "client",
            Self::ApiKey => "api_key",
            Self::Subject => "subject",
            Self::Session => "session",
            Self::Jti => "jti",
            Self::Claim => "claim",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// When an entry that does not say so can be forgotten: when no token that it revokes can be accepted any more.
    /// `life` is the issuer's longest life of a token and its leeway, in seconds. A block has no end, but one of a
    /// token's id.
    pub fn default_end(
        self,
        not_before: Option<NumericDate>,
        now: NumericDate,
        life: i64,
    ) -> Option<NumericDate> {
        let from = match self {
            Self::Jti => Some(not_before.unwrap_or(now)),
            Self::All
            | Self::Issuer
            | Self::Kid
            | Self::Tenant
            | Self::Client
            | Self::ApiKey
            | Self::Subject
            | Self::Session
            | Self::Claim => not_before,
        };
        from.map(|from| NumericDate(from.0.saturating_add(life)))
    }

    /// Its bit in a set of kinds.
    fn bit(self) -> u16 {
        1 << self as u16
    }

    /// One octet that stands for it in what [`key::Key`] hashes, and may in a store: it never changes.
    pub fn tag(self) -> u8 {
        match self {
            Self::All => b'*',
            Self::Issuer => b'i',
            Self::Kid => b'k',
            Self::Tenant => b't',
            Self::Client => b'c',
            Self::ApiKey => b'a',
            Self::Subject => b's',
            Self::Session => b'e',
            Self::Jti => b'j',
            Self::Claim => b'd',
        }
    }
}

/// One entry, as people and machines write it (config.md section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which kind.
    pub kind: Kind,
    /// The issuer's `iss` it is scoped by; empty for `all`.
    pub issuer: Box<str>,
    /// The name that the configuration declares; empty for all kinds but `claim`.
    pub claim: Box<str>,
    /// What tokens have to have; empty for `all` and `issuer`.
    pub value: Box<str>,
    /// Tokens issued before this are revoked; `None` is a block.
    pub not_before: Option<NumericDate>,
    /// When it can be forgotten; `None` is never.
    pub expires: Option<NumericDate>,
    /// Why, for the operator.
    pub reason: Option<Box<str>>,
}

impl Entry {
    /// What it is kept by.
    pub fn key(&self) -> Key {
        match self.kind {
            Kind::Claim => Key::of_claim(&self.issuer, &self.claim, &self.value),
            Kind::All
            | Kind::Issuer
            | Kind::Kid
            | Kind::Tenant
            | Kind::Client
            | Kind::ApiKey
            | Kind::Subject
            | Kind::Session
            | Kind::Jti => Key::new(self.kind, &self.issuer, &self.value),
        }
    }

    /// As the set takes it.
    pub fn held(&self, id: Id) -> Held {
        let Self { kind, not_before, expires, .. } = *self;
        Held { id, kind, key: self.key(), not_before, expires }
    }
}

/// The watermark that stops every token issued until now, the moment given in milliseconds: `iat` has whole
/// seconds, and a token of this second may be from before or after. One that is issued in the next second counts.
pub fn watermark(milliseconds: i64) -> NumericDate {
    NumericDate(milliseconds.div_euclid(1_000).saturating_add(1))
}

/// What a token is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What it has of each kind. Of one kind there may be several.
    pub keys: &'a [(Kind, Key)],
    /// Its `iat`.
    pub issued_at: Option<NumericDate>,
    /// The issuer's leeway in seconds: added to a watermark, never subtracted.
    pub leeway: i64,
}

/// The compiled set. Reads take no lock and allocate nothing; a kind with no entries costs one comparison. Cheap to
/// clone, and what is added makes a new set that shares nearly all of it with the old.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    /// A bit for each kind of which anything is held.
    kinds: u16,
    /// From a list that is always read whole.
    listed: Tables,
    /// From a store, one by one.
    kept: Tables,
    /// The latest moment ever given, in Unix seconds.
    latest: i64,
}

/// By kind.
type Tables = [Table; Kind::ALL.len()];

/// How far ahead a clock may be, in seconds, and be set right again, without an entry being forgotten that still
/// counts then. Whether an entry counts is asked of every request's own time.
const CLOCK_ERROR: i64 = 2 * 86_400;

impl Revocations {
    /// Compiles a list; what expired long before `now` is left out. Values are kept hashed.
    pub fn compile(entries: &[Entry], now: NumericDate) -> Self {
        Self::default().listing(entries, now)
    }

    /// With this list in the place of the one before; what [`Self::with`] brought stays.
    pub fn listing(&self, entries: &[Entry], now: NumericDate) -> Self {
        // The place in the list is an id: entries of one key stay several.
        let held = entries.iter().zip(0..).map(|(entry, place)| entry.held(Id(place)));
        let listed =
            changed(&Tables::default(), held, &[], now, |record| record.is_garbage(now, CLOCK_ERROR));
        Self { listed, ..self.clone() }.at(now)
    }

    /// This list, and what `other` was brought by [`Self::with`].
    pub fn beside(&self, other: &Self) -> Self {
        let latest = self.latest.max(other.latest);
        Self { kept: other.kept.clone(), latest, ..self.clone() }.at(NumericDate(latest))
    }

    /// With these from a store, and without those of `lifted`, which are told by kind, key and id. Of the entries
    /// of one key each is kept until it is lifted itself. The order in which changes are heard of, and how often,
    /// makes no difference: what was lifted stays so, even if it is added after.
    ///
    /// It costs about what is added costs to sort, now and then a millisecond for a part of the set that has grown.
    /// Whoever has very many to begin with does better by [`loading::Loading`].
    pub fn with(&self, added: impl IntoIterator<Item = Held>, lifted: &[Held], now: NumericDate) -> Self {
        let kept = changed(&self.kept, added, lifted, now, self.garbage(now));
        Self { kept, ..self.clone() }.at(now)
    }

    /// With one of [`Self::PARTS`] freed of what expired long ago, and the entries in force counted anew. All parts
    /// in turn, each published, are all of it, and never hold more than one part twice.
    pub fn swept(&self, part: usize, now: NumericDate) -> Self {
        let garbage = self.garbage(now);
        let sweep = |tables: &Tables| {
            Kind::ALL.map(|kind| tables[kind as usize].swept(part, Self::PARTS, now, &garbage))
        };
        Self { listed: sweep(&self.listed), kept: sweep(&self.kept), ..self.clone() }.at(now)
    }

    /// In how many parts [`Self::swept`] takes it.
    pub const PARTS: usize = 64;

    /// Which kind revokes this token, if any does. A token without `iat` is revoked by any watermark that
    /// applies to it. An entry past its `expires` no longer counts.
    pub fn revoked(&self, asked: &Asked<'_>, now: NumericDate) -> Option<Kind> {
        let moment = Moment { issued_at: asked.issued_at, leeway: asked.leeway, now };
        // Every kind is compared alone: a newer watermark of one never hides an older one of another
        // (CVE-2026-8922, CVE-2026-18218).
        let revokes = |&&(kind, key): &&(Kind, Key)| {
            self.kinds & kind.bit() != 0
                && [&self.listed, &self.kept]
                    .into_iter()
                    .any(|tables| tables[kind as usize].revokes(key, &moment))
        };
        asked.keys.iter().find(revokes).map(|&(kind, _)| kind)
    }

    /// Whether what `held` would stop is stopped now by other entries about the same.
    pub fn covers(&self, held: &Held, now: NumericDate) -> bool {
        // The youngest of those tokens: what stops it stops the others.
        let youngest = held.not_before.map_or(i64::MAX, |date| date.0.saturating_sub(1));
        let asked =
            Asked { keys: &[(held.kind, held.key)], issued_at: Some(NumericDate(youngest)), leeway: 0 };
        self.revoked(&asked, now).is_some()
    }

    /// Entries of a kind that counted when they were last looked at.
    pub fn len(&self, kind: Kind) -> usize {
        [&self.listed, &self.kept].into_iter().map(|tables| tables[kind as usize].counting()).sum()
    }

    /// Whether nothing is revoked, now or with a clock that is set back: one load.
    pub fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// The latest moment that this set was ever told of. What ends some time from now ends that time from this: a
    /// clock that went back would let it end too soon.
    pub fn latest(&self, now: NumericDate) -> NumericDate {
        NumericDate(self.latest.max(now.0))
    }

    fn at(self, now: NumericDate) -> Self {
        let holds = |kind: &Kind| {
            [&self.listed, &self.kept].into_iter().any(|tables| !tables[*kind as usize].is_empty())
        };
        let kinds = Kind::ALL.into_iter().filter(holds).fold(0, |kinds, kind| kinds | kind.bit());
        Self { kinds, latest: self.latest.max(now.0), ..self }
    }

    /// Nothing is forgotten while the clock is behind what it once was.
    fn garbage(&self, now: NumericDate) -> impl Fn(&Record) -> bool + use<> {
        let collecting = now.0 >= self.latest;
        move |record: &Record| collecting && record.is_garbage(now, CLOCK_ERROR)
    }
}

/// These tables, and what was added to and lifted from them.
fn changed(
    tables: &Tables,
    added: impl IntoIterator<Item = Held>,
    lifted: &[Held],
    now: NumericDate,
    garbage: impl Fn(&Record) -> bool,
) -> Tables {
    let mut records: [Vec<Record>; Kind::ALL.len()] = Default::default();
    for held in added {
        records[held.kind as usize].push(Record::new(&held));
    }
    for held in lifted {
        records[held.kind as usize].push(Record::lifting(held));
    }
    let mut tables = tables.clone();
    for (table, mut records) in tables.iter_mut().zip(records) {
        records.retain(|record| !garbage(record));
        records.sort_unstable_by(Record::order);
        records.dedup_by(Record::is_again);
        if !records.is_empty() {
            *table = table.with(&records, now, &garbage);
        }
    }
    tables
}
