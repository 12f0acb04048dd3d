//! One kind's entries: shards, found by the first bits of a key (extendible hashing, Fagin and others 1979). A
//! shard that grows too large is split alone, so that growing never needs room for two tables.

use std::sync::Arc;

use crate::revocation::key::Key;
use crate::revocation::record::{Moment, Record};
use crate::revocation::shard::{Filter, Garbage, Shard, part};
use crate::token::NumericDate;

/// Where the bits of a key lead. The filter stands beside its shard, so that a miss never looks at that.
#[derive(Debug, Clone)]
struct Place {
    filter: Filter,
    shard: Arc<Shard>,
}

/// Cheap to clone: shards are shared.
#[derive(Debug, Clone, Default)]
pub(in crate::revocation) struct Table {
    /// So many bits of a key lead to its shard.
    depth: u32,
    /// Two to the power of `depth`, or none. A shard of fewer bits stands in several places, side by side.
    shards: Arc<[Place]>,
    counting: usize,
    len: usize,
}

impl Table {
    /// Entries in force when they were last looked at.
    pub(in crate::revocation) fn counting(&self) -> usize {
        self.counting
    }

    /// Whether it holds nothing at all.
    pub(in crate::revocation) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether any of the key's entries revokes a token.
    pub(in crate::revocation) fn revokes(&self, key: Key, moment: &Moment) -> bool {
        let place = part(key, 0, self.depth) as usize;
        let place = self.shards.get(place);
        place.is_some_and(|place| place.filter.lets_pass(key) && place.shard.revokes(key, moment))
    }

    /// With these too: sorted, and no entry twice.
    pub(in crate::revocation) fn with(
        &self,
        mut records: &[Record],
        now: NumericDate,
        garbage: Garbage<'_>,
    ) -> Self {
        let mut shards = Vec::with_capacity(self.shards.len() + 1);
        let empty = Arc::default();
        for (first, shard) in self.each().chain(self.shards.is_empty().then_some((0, &empty))) {
            let mine = records.partition_point(|record| part(record.key, 0, shard.depth()) <= first);
            let (mine, rest) = records.split_at(mine);
            records = rest;
            if mine.is_empty() {
                shards.push(Arc::clone(shard));
            } else {
                shards.extend(shard.with(mine, now, garbage));
            }
        }
        Self::of(shards)
    }

    /// One of so many parts without its garbage, and counted anew.
    pub(in crate::revocation) fn swept(
        &self,
        which: usize,
        parts: usize,
        now: NumericDate,
        garbage: Garbage<'_>,
    ) -> Self {
        let each = self.each().enumerate().flat_map(|(index, (_, shard))| {
            if index % parts == which { shard.swept(now, garbage) } else { vec![Arc::clone(shard)] }
        });
        Self::of(each.collect())
    }

    /// The shards, each once, with the bits that all its keys begin with.
    fn each(&self) -> impl Iterator<Item = (u64, &Arc<Shard>)> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let shard = &self.shards.get(place)?.shard;
            let first = (place as u64) >> (self.depth - shard.depth());
            place += 1 << (self.depth - shard.depth());
            Some((first, shard))
        })
    }

    /// Of shards in the order of their keys, which leave no bits out.
    pub(in crate::revocation) fn of(each: Vec<Arc<Shard>>) -> Self {
        let depth = each.iter().map(|shard| shard.depth()).max().unwrap_or(0);
        let counting = each.iter().map(|shard| shard.counting()).sum();
        let len = each.iter().map(|shard| shard.len()).sum();
        let places = each.iter().flat_map(|shard| {
            let times = 1_usize << (depth - shard.depth());
            let place = Place { filter: shard.filter().clone(), shard: Arc::clone(shard) };
            std::iter::repeat_n(place, times)
        });
        Self { depth, counting, len, shards: places.collect() }
    }
}
