//! What no longer counts: blocks and `not_before` watermarks, every kind compared alone and the results ORed.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use aws_lc_rs::digest;

use crate::token::NumericDate;

/// The kinds this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One token, by its id claim.
    Jti,
    /// Every token of a subject.
    Subject,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Jti, Self::Subject];
    /// As written in an entry and as a metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Subject => "subject",
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
    jti: Table,
    subject: Table,
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
        Self { jti: table(Kind::Jti), subject: table(Kind::Subject) }
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
        match kind {
            Kind::Jti => &self.jti,
            Kind::Subject => &self.subject,
        }
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

/// 128 bits of SHA-256 over kind, issuer and value. The issuer's length stands before it, so that no two
/// triples give the same octets; a subject at one issuer is never one at another.
fn hash(kind: Kind, issuer: &str, value: &str) -> u128 {
    let tag = match kind {
        Kind::Jti => [b'j'],
        Kind::Subject => [b's'],
    };
    let length = (issuer.len() as u64).to_be_bytes();
    let parts = [tag.as_slice(), length.as_slice(), issuer.as_bytes(), value.as_bytes()];
    // One call over a buffer on the stack: the library's streaming context lives on the heap.
    let mut buffer = [0; ON_STACK];
    let digest = match concatenate(parts, &mut buffer) {
        Some(whole) => digest::digest(&digest::SHA256, whole),
        None => {
            let mut context = digest::Context::new(&digest::SHA256);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        }
    };
    digest.as_ref().first_chunk().map_or(0, |first| u128::from_be_bytes(*first))
}

/// Issuer and value together are hardly ever longer; what is, is hashed through the heap.
const ON_STACK: usize = 512;

fn concatenate<'b>(parts: [&[u8]; 4], buffer: &'b mut [u8; ON_STACK]) -> Option<&'b [u8]> {
    let mut end = 0;
    for part in parts {
        buffer.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    buffer.get(..end)
}
