//! A set made of very many entries at once, without ever holding them twice.

use crate::revocation::chunks::Chunks;
use crate::revocation::held::Held;
use crate::revocation::record::Record;
use crate::revocation::shard::{SHARD, build, part};
use crate::revocation::table::Table;
use crate::revocation::{Kind, Revocations, Tables};
use crate::token::NumericDate;

/// Entries of a store that is read from its beginning. They are parted by the first bits of their keys as they come,
/// and each part is sorted when all are there.
#[derive(Debug, Default)]
pub struct Loading {
    kinds: [Vec<Chunks>; Kind::ALL.len()],
}

impl Loading {
    /// Takes one more, in any order; one that was lifted is not brought at all.
    pub fn push(&mut self, held: &Held) {
        let parts = &mut self.kinds[held.kind as usize];
        if parts.is_empty() {
            parts.resize_with(1 << PART_BITS, Chunks::default);
        }
        if let Some(chunks) = parts.get_mut(part(held.key, 0, PART_BITS) as usize) {
            chunks.push(Record::new(held));
        }
    }

    /// The set that holds these, and nothing else.
    pub fn finish(self, now: NumericDate) -> Revocations {
        let mut kept = Tables::default();
        for (table, parts) in kept.iter_mut().zip(self.kinds) {
            *table = finished(parts, now);
        }
        Revocations { kept, ..Revocations::default() }.at(now)
    }
}

fn finished(parts: Vec<Chunks>, now: NumericDate) -> Table {
    let len: usize = parts.iter().map(Chunks::len).sum();
    // As few parts a shard as fill half of one, so that it has room to grow.
    let together = (0..=PART_BITS).rev().find(|bits| (len >> (PART_BITS - bits)) <= SHARD / 2);
    let together = together.unwrap_or(0);
    let (mut shards, mut records) = (Vec::new(), Vec::new());
    for (index, chunks) in parts.into_iter().enumerate() {
        chunks.move_to(&mut records);
        if (index + 1) % (1 << together) == 0 {
            records.sort_unstable_by(Record::order);
            records.dedup_by(Record::is_again);
            build(&records, PART_BITS - together, now, &mut shards);
            records.clear();
        }
    }
    Table::of(shards)
}

/// A thousand parts: ten million entries are ten thousand in each.
const PART_BITS: u32 = 10;
