//! What no longer counts: blocks and `not_before` watermarks, every kind compared alone and the results ORed.

pub mod held;
pub mod key;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use crate::revocation::key::Key;
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
    /// An API key. Nothing presents one yet: such entries are kept, and apply as soon as something does.
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

/// One entry, as in a file (config.md section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which kind.
    pub kind: Kind,
    /// The issuer's `iss` it is scoped by.
    pub issuer: Box<str>,
    /// The token's id or subject.
    pub value: Box<str>,
    /// Tokens issued before this are revoked; `None` is a block.
    pub not_before: Option<NumericDate>,
    /// When it can be forgotten; `None` is never.
    pub expires: Option<NumericDate>,
    /// Why, for the operator.
    pub reason: Option<Box<str>>,
}

/// What a token is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its issuer's `iss`.
    pub issuer: &'a str,
    /// Its id, found by the issuer's `claims.id`.
    pub token_id: Option<&'a str>,
    /// Its subject, found by the issuer's `claims.subject`.
    pub subject: Option<&'a str>,
    /// Its `iat`.
    pub issued_at: Option<NumericDate>,
    /// The issuer's leeway in seconds: added to a watermark, never subtracted.
    pub leeway: i64,
}

/// The compiled set. Reads take no lock and allocate nothing; a kind with no entries costs one comparison.
#[derive(Debug, Default)]
pub struct Revocations {
    tables: [Table; Kind::ALL.len()],
}

/// One kind's entries: a static hash table of buckets laid end to end, so that it holds exactly what it must.
#[derive(Debug, Default)]
struct Table {
    /// Entries compiled in, for the operator: dominated ones are counted and not kept.
    entries: usize,
    /// How far a key is shifted right to give its bucket.
    shift: u32,
    /// Where each bucket's records begin; one more at the end.
    starts: Box<[u32]>,
    /// Sorted by key. Several may share a key: all are asked and the answers ORed.
    records: Box<[Record]>,
}

/// One compiled entry. A block is a watermark, and no end an end, that no date reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    key: u128,
    not_before: i64,
    expires: i64,
}

/// How far ahead a clock may be, in seconds, and be set right again, without an entry being forgotten that still
/// counts then. Whether an entry counts is asked of every request's own time.
const CLOCK_ERROR: i64 = 2 * 86_400;

const BLOCK: i64 = i64::MAX;
const NEVER: i64 = i64::MAX;

impl Revocations {
    /// Compiles entries; those that expired long before `now` are left out. Values are kept hashed.
    pub fn compile(entries: &[Entry], now: NumericDate) -> Self {
        let table = |kind| Table::compile(entries.iter().filter(|entry| entry.kind == kind), kind, now);
        Self { tables: Kind::ALL.map(table) }
    }

    /// Which kind revokes this token, if any does. A token without `iat` is revoked by any watermark that
    /// applies to it. An entry past its `expires` no longer counts.
    pub fn revoked(&self, asked: &Asked<'_>, now: NumericDate) -> Option<Kind> {
        // Every kind is compared alone: a newer watermark of one never hides an older one of another
        // (CVE-2026-8922, CVE-2026-18218).
        Kind::ALL.into_iter().find(|&kind| {
            let value = match kind {
                Kind::Jti => asked.token_id,
                Kind::Subject => asked.subject,
                Kind::All
                | Kind::Issuer
                | Kind::Kid
                | Kind::Tenant
                | Kind::Client
                | Kind::ApiKey
                | Kind::Session
                | Kind::Claim => None,
            };
            let table = self.table(kind);
            !table.records.is_empty() && value.is_some_and(|value| table.revokes(kind, value, asked, now))
        })
    }

    /// Entries of a kind that counted when they were compiled.
    pub fn len(&self, kind: Kind) -> usize {
        self.table(kind).entries
    }

    /// Whether there is no entry of any kind.
    pub fn is_empty(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.len(kind) == 0)
    }

    fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }
}

impl Table {
    fn compile<'e>(entries: impl Iterator<Item = &'e Entry>, kind: Kind, now: NumericDate) -> Self {
        let mut records: Vec<Record> = entries
            .map(|entry| Record {
                key: hash(kind, &entry.issuer, &entry.value),
                not_before: entry.not_before.map_or(BLOCK, |date| date.0),
                expires: entry.expires.map_or(NEVER, |date| date.0),
            })
            .collect();
        let entries = records.iter().filter(|record| record.counts(now)).count();
        let long_ago = NumericDate(now.0.saturating_sub(CLOCK_ERROR));
        records.retain(|record| record.counts(long_ago));
        drop_dominated(&mut records);
        // Four to eight records a bucket: the index costs an octet a record or less, and the hash spreads evenly.
        let bits = (records.len() / 4).checked_ilog2().unwrap_or(0);
        let shift = u128::BITS - bits;
        let starts = (0..=1_u128 << bits)
            .map(|bucket| records.partition_point(|record| bucket_of(record.key, shift) < bucket))
            .map(|start| u32::try_from(start).unwrap_or(u32::MAX))
            .collect();
        Self { entries, shift, starts, records: records.into() }
    }

    fn revokes(&self, kind: Kind, value: &str, asked: &Asked<'_>, now: NumericDate) -> bool {
        let key = hash(kind, asked.issuer, value);
        self.bucket(key).iter().any(|record| {
            record.key == key && record.counts(now) && record.revokes(asked.issued_at, asked.leeway)
        })
    }

    fn bucket(&self, key: u128) -> &[Record] {
        let bucket = usize::try_from(bucket_of(key, self.shift)).unwrap_or(usize::MAX);
        let Some(&[start, end]) = self.starts.get(bucket..).and_then(<[u32]>::first_chunk) else {
            return &[];
        };
        self.records.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl Record {
    /// Whether it still counts: until `expires`, that second excluded.
    fn counts(&self, now: NumericDate) -> bool {
        self.expires == NEVER || now.0 < self.expires
    }

    /// Whether it revokes a token of this `iat`. The issuer's clock may be ahead by the leeway, so that a token
    /// from before the watermark may say it is from after: the leeway widens the watermark.
    fn revokes(&self, issued_at: Option<NumericDate>, leeway: i64) -> bool {
        self.not_before == BLOCK
            || issued_at.is_none_or(|issued_at| issued_at.0 < self.not_before.saturating_add(leeway))
    }
}

/// Sorts, and of the records of one key keeps those that no other outdoes in both reach and life, so that a
/// list that repeats itself costs nothing.
fn drop_dominated(records: &mut Vec<Record>) {
    records.sort_unstable_by_key(|record| (record.key, Reverse(record.expires), Reverse(record.not_before)));
    let mut reach: Option<(u128, i64)> = None;
    records.retain(|record| {
        let dominated = reach.is_some_and(|(key, best)| key == record.key && record.not_before <= best);
        if !dominated {
            reach = Some((record.key, record.not_before));
        }
        !dominated
    });
}

fn bucket_of(key: u128, shift: u32) -> u128 {
    key.checked_shr(shift).unwrap_or(0)
}

fn hash(kind: Kind, issuer: &str, value: &str) -> u128 {
    u128::from_be_bytes(Key::new(kind, issuer, value).0)
}
