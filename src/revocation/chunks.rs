//! Sorted records in pieces of one size: a list that is made anew takes the room of another that went, so that
//! the set's memory does not fall to pieces.

use std::ops::Range;

use crate::revocation::record::Record;

/// Records of a piece: three and a half kibioctets, a size that the allocator wastes nothing of.
pub(in crate::revocation) const CHUNK: usize = 128;

#[derive(Debug, Default)]
pub(in crate::revocation) struct Chunks {
    /// All full but the last.
    chunks: Vec<Vec<Record>>,
    len: usize,
}

impl Chunks {
    pub(in crate::revocation) fn len(&self) -> usize {
        self.len
    }

    /// Appends one. The last piece has room for a whole one.
    pub(in crate::revocation) fn push(&mut self, record: Record) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(record);
            self.len += 1;
        }
    }

    pub(in crate::revocation) fn of(records: &[Record]) -> Self {
        let chunks = records.chunks(CHUNK).map(<[Record]>::to_vec).collect();
        Self { chunks, len: records.len() }
    }

    pub(in crate::revocation) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().flatten()
    }

    /// Moved out, piece by piece.
    pub(in crate::revocation) fn move_to(self, records: &mut Vec<Record>) {
        for chunk in self.chunks {
            records.extend_from_slice(&chunk);
        }
    }

    pub(in crate::revocation) fn get(&self, place: usize) -> Option<&Record> {
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    /// The first place of a range whose record is not before; `before` holds of the first ones only.
    pub(in crate::revocation) fn first(
        &self,
        range: Range<usize>,
        before: impl Fn(&Record) -> bool,
    ) -> usize {
        let Range { mut start, mut end } = range;
        while start < end {
            let middle = start.midpoint(end);
            if self.get(middle).is_some_and(&before) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }
}
