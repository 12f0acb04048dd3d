//! A part of one kind's entries that is small enough to be made anew: what is added is copied into a small list
//! beside a large one, and into that when it has grown.

use std::ops::Range;
use std::sync::Arc;

use crate::revocation::chunks::Chunks;
use crate::revocation::key::Key;
use crate::revocation::record::{Moment, Record};
use crate::token::NumericDate;

/// Every record whose key begins with the same `depth` bits. Never changed once it is made.
#[derive(Debug, Default)]
pub(in crate::revocation) struct Shard {
    depth: u32,
    counting: usize,
    /// Of both lists: what it does not let pass is in neither.
    filter: Filter,
    /// What came after `base` was made, sorted. Where both know an entry this one is right.
    recent: Box<[Record]>,
    base: Arc<Base>,
}

/// Records laid end to end in buckets, so that they take exactly the room they must.
#[derive(Debug, Default)]
struct Base {
    /// Of so many further bits of a key a bucket is made.
    bits: u32,
    /// Where each bucket begins; one more at the end.
    starts: Box<[u32]>,
    /// Sorted.
    records: Chunks,
}

/// Which records can be forgotten when a list is made anew.
pub(in crate::revocation) type Garbage<'g> = &'g dyn Fn(&Record) -> bool;

impl Shard {
    /// How many bits all its keys have in common.
    pub(in crate::revocation) fn depth(&self) -> u32 {
        self.depth
    }

    /// Entries in force when they were last looked at.
    pub(in crate::revocation) fn counting(&self) -> usize {
        self.counting
    }

    /// Records, whatever they are good for.
    pub(in crate::revocation) fn len(&self) -> usize {
        self.base.records.len() + self.recent.len()
    }

    /// What keys have to pass to be looked for here.
    pub(in crate::revocation) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether any of the key's entries revokes a token. Several may share a key: each is compared alone.
    #[cold]
    pub(in crate::revocation) fn revokes(&self, key: Key, moment: &Moment) -> bool {
        let recent = of_key(&self.recent, key);
        recent.iter().any(|record| record.revokes(moment))
            || self
                .base
                .of_key(key, self.depth)
                .any(|record| record.revokes(moment) && same(recent, record).is_none())
    }

    /// With these too, which are sorted: one shard, or several where it became too large for one.
    pub(in crate::revocation) fn with(
        &self,
        records: &[Record],
        now: NumericDate,
        garbage: Garbage<'_>,
    ) -> Vec<Arc<Self>> {
        let mut counting = self.counting;
        let mut added = Vec::with_capacity(records.len());
        for record in records {
            let known = self.known(record);
            let record = known.map_or(*record, |known| known.and(*record));
            if known != Some(record) {
                counting += usize::from(record.counts(now));
                counting = counting.saturating_sub(known.map_or(0, |known| usize::from(known.counts(now))));
                added.push(record);
            }
        }
        let recent = merged(self.recent.iter(), added.iter());
        let most = (self.base.records.len() / RECENT_PART).max(RECENT_LEAST);
        if recent.len() <= most {
            let filter = self.filter.with(&added);
            let base = Arc::clone(&self.base);
            let recent = recent.into();
            return vec![Arc::new(Self { depth: self.depth, counting, filter, recent, base })];
        }
        let mut records = merged(self.base.records.iter(), recent.iter());
        records.retain(|record| !garbage(record));
        let mut made = Vec::new();
        build(&records, self.depth, now, &mut made);
        made
    }

    /// Without its garbage, if it has any, and with its entries counted at `now`.
    pub(in crate::revocation) fn swept(&self, now: NumericDate, garbage: Garbage<'_>) -> Vec<Arc<Self>> {
        let mut records = merged(self.base.records.iter(), self.recent.iter());
        let before = records.len();
        records.retain(|record| !garbage(record));
        let mut made = Vec::new();
        if records.len() < before {
            build(&records, self.depth, now, &mut made);
        } else {
            let (filter, recent) = (self.filter.clone(), self.recent.clone());
            let counting = records.iter().filter(|record| record.counts(now)).count();
            let base = Arc::clone(&self.base);
            made.push(Arc::new(Self { depth: self.depth, counting, filter, recent, base }));
        }
        made
    }

    /// What is known of the entry of this key and id.
    fn known(&self, entry: &Record) -> Option<Record> {
        let base = || self.base.same(entry, self.depth);
        same(&self.recent, entry).or_else(base)
    }
}

impl Base {
    fn new(records: &[Record], depth: u32) -> Self {
        // Eight to sixteen records a bucket: the index costs half an octet a record or less.
        let bits = (records.len() / 8).checked_ilog2().unwrap_or(0);
        let starts = (0..=1_u64 << bits)
            .map(|bucket| records.partition_point(|record| part(record.key, depth, bits) < bucket))
            .map(|start| u32::try_from(start).unwrap_or(u32::MAX))
            .collect();
        Self { bits, starts, records: Chunks::of(records) }
    }

    /// The records of a key.
    fn of_key(&self, key: Key, depth: u32) -> impl Iterator<Item = &Record> {
        let start = self.records.first(self.bucket(key, depth), |record| record.key < key);
        (start..).map_while(move |place| self.records.get(place).filter(|record| record.key == key))
    }

    fn same(&self, entry: &Record, depth: u32) -> Option<Record> {
        let bucket = self.bucket(entry.key, depth);
        let place = self.records.first(bucket, |record| record.order(entry).is_lt());
        self.records.get(place).filter(|record| record.order(entry).is_eq()).copied()
    }

    fn bucket(&self, key: Key, depth: u32) -> Range<usize> {
        let bucket = usize::try_from(part(key, depth, self.bits)).unwrap_or(usize::MAX);
        match self.starts.get(bucket..).and_then(<[u32]>::first_chunk) {
            Some(&[start, end]) => start as usize..end as usize,
            None => 0..0,
        }
    }
}

/// Makes shards of sorted records, each of at most [`SHARD`] of them but where keys have too much in common.
pub(in crate::revocation) fn build(
    records: &[Record],
    depth: u32,
    now: NumericDate,
    into: &mut Vec<Arc<Shard>>,
) {
    let middle = records.partition_point(|record| part(record.key, depth, 1) == 0);
    let (low, high) = records.split_at(middle);
    // Keys are hashes: halves that differ much come of one key with very many entries, which no split would part.
    let even = low.len().min(high.len()) > records.len() / 4;
    if records.len() > SHARD && even && depth < DEEPEST {
        build(low, depth + 1, now, into);
        build(high, depth + 1, now, into);
        return;
    }
    let counting = records.iter().filter(|record| record.counts(now)).count();
    let filter = Filter::of(records);
    let base = Arc::new(Base::new(records, depth));
    into.push(Arc::new(Shard { depth, counting, filter, recent: Box::default(), base }));
}

/// The two lists as one; an entry that both know once.
fn merged<'r>(
    older: impl Iterator<Item = &'r Record>,
    newer: impl Iterator<Item = &'r Record>,
) -> Vec<Record> {
    let mut merged = Vec::with_capacity(older.size_hint().0 + newer.size_hint().0);
    let (mut older, mut newer) = (older.peekable(), newer.peekable());
    while let (Some(old), Some(new)) = (older.peek(), newer.peek()) {
        match old.order(new) {
            std::cmp::Ordering::Less => merged.extend(older.next()),
            std::cmp::Ordering::Greater => merged.extend(newer.next()),
            std::cmp::Ordering::Equal => {
                merged.push(old.and(**new));
                older.next();
                newer.next();
            }
        }
    }
    merged.extend(older);
    merged.extend(newer);
    merged
}

/// What sorted records have of the entry of this key and id.
fn same(records: &[Record], entry: &Record) -> Option<Record> {
    let place = records.binary_search_by(|record| record.order(entry)).ok()?;
    records.get(place).copied()
}

/// The records of a key among sorted ones.
fn of_key(records: &[Record], key: Key) -> &[Record] {
    let start = records.partition_point(|record| record.key < key);
    let rest = records.get(start..).unwrap_or_default();
    let end = rest.iter().position(|record| record.key != key).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// The `bits` bits of a key that follow its first `depth`, as a number.
pub(in crate::revocation) fn part(key: Key, depth: u32, bits: u32) -> u64 {
    ((halves(key).0 << depth) >> 1) >> (63 - bits)
}

fn halves(key: Key) -> (u64, u64) {
    let whole = u128::from_be_bytes(key.0);
    ((whole >> 64) as u64, whole as u64)
}

/// What says that a key has no record, of nearly all that have none: two Bloom filters of words, of which a key has bits
/// in one word each. The first is so small that a core's own cache holds it where the second has to be fetched from
/// afar, and most keys that have none get no further. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::revocation) struct Filter {
    /// The first, and behind it the second.
    words: Arc<[u64]>,
    /// Where the second begins.
    second: usize,
}

impl Filter {
    fn of(records: &[Record]) -> Self {
        let room = records.len() + records.len() / RECENT_PART + RECENT_LEAST;
        let [first, second] = [FIRST_BITS, SECOND_BITS].map(|bits| room * bits / 64 + 1);
        Self { words: vec![0; first + second].into(), second: first }.with(records)
    }

    /// With these too.
    fn with(&self, records: &[Record]) -> Self {
        if self.words.is_empty() {
            return Self::of(records);
        }
        let mut filter = Self { words: self.words.iter().copied().collect(), second: self.second };
        for record in records {
            for (place, bits) in [filter.first(record.key), filter.second(record.key)] {
                if let Some(word) = Arc::get_mut(&mut filter.words).and_then(|words| words.get_mut(place)) {
                    *word |= bits;
                }
            }
        }
        filter
    }

    pub(in crate::revocation) fn lets_pass(&self, key: Key) -> bool {
        let has = |(place, bits)| self.words.get(place).is_some_and(|word: &u64| word & bits == bits);
        has(self.first(key)) && has(self.second(key))
    }

    /// Two bits, from the end of the half of the key whose beginning chooses shard and bucket.
    fn first(&self, key: Key) -> (usize, u64) {
        let (high, low) = halves(key);
        let bits = [0, 6].map(|shift| 1_u64 << ((high >> shift) & 63));
        (scaled(low, self.second), bits[0] | bits[1])
    }

    /// Three, from the other half.
    fn second(&self, key: Key) -> (usize, u64) {
        let low = halves(key).1;
        let bits = [0, 6, 12].map(|shift| 1_u64 << ((low >> shift) & 63));
        (self.second + scaled(low, self.words.len() - self.second), bits[0] | bits[1] | bits[2])
    }
}

/// One of so many places, chosen by the upper half of a number.
fn scaled(number: u64, places: usize) -> usize {
    ((number >> 32).wrapping_mul(places as u64) >> 32) as usize
}

/// Records of a shard before it is split: making it anew takes a millisecond, and half a megabyte at once.
pub(in crate::revocation) const SHARD: usize = 16_384;
/// How deep splitting goes: a million shards.
const DEEPEST: u32 = 20;
/// How large the list of recent ones grows before both are made one: this part of the other,
const RECENT_PART: usize = 16;
/// and at least so many.
const RECENT_LEAST: usize = 32;
/// Bits of the first filter a record: it lets a quarter pass in vain, and of ten million entries it takes four megabytes.
const FIRST_BITS: usize = 3;
/// Bits of the second: of what the first lets pass in vain it stops all but one in twenty.
const SECOND_BITS: usize = 9;
