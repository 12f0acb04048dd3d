//! One entry in the set: 28 octets.

use std::cmp::Ordering;

use crate::revocation::held::Held;
use crate::revocation::key::Key;
use crate::token::NumericDate;

/// An entry, or the memory of one that was lifted. Dates are of 32 bits: what lies beyond the year 2106 is never
/// reached, so that a watermark is a block there and an end none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::revocation) struct Record {
    pub(in crate::revocation) key: Key,
    pub(in crate::revocation) id: u32,
    not_before: u32,
    expires: u32,
}

/// What a token is compared with, beside whose it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::revocation) struct Moment {
    pub(in crate::revocation) issued_at: Option<NumericDate>,
    pub(in crate::revocation) leeway: i64,
    pub(in crate::revocation) now: NumericDate,
}

const BLOCK: u32 = u32::MAX;
const NEVER: u32 = u32::MAX;
/// In the place of a watermark: a tombstone.
const LIFTED: u32 = u32::MAX - 1;

impl Record {
    pub(in crate::revocation) fn new(held: &Held) -> Self {
        let not_before = held.not_before.map_or(BLOCK, |date| match seconds(date) {
            LIFTED.. => BLOCK,
            date => date,
        });
        // The lower half: see [`crate::revocation::held::Id`].
        let id = held.id.0 as u32;
        Self { key: held.key, id, not_before, expires: held.expires.map_or(NEVER, seconds) }
    }

    pub(in crate::revocation) fn lifting(held: &Held) -> Self {
        Self { not_before: LIFTED, ..Self::new(held) }
    }

    /// By key, then by id.
    pub(in crate::revocation) fn order(&self, other: &Self) -> Ordering {
        (self.key, self.id).cmp(&(other.key, other.id))
    }

    /// The same entry, heard of twice: to have lifted it is final, whatever is heard first.
    pub(in crate::revocation) fn and(self, again: Self) -> Self {
        let lifted = [self, again].iter().any(|record| record.not_before == LIFTED);
        let not_before = if lifted { LIFTED } else { self.not_before.max(again.not_before) };
        Self { not_before, expires: self.expires.max(again.expires), ..self }
    }

    /// Whether it is the same entry as the one before it among sorted ones, which is then both.
    pub(in crate::revocation) fn is_again(again: &mut Self, first: &mut Self) -> bool {
        let same = first.order(again).is_eq();
        if same {
            *first = first.and(*again);
        }
        same
    }

    /// Whether it is in force: an entry, and not over.
    pub(in crate::revocation) fn counts(&self, now: NumericDate) -> bool {
        self.not_before != LIFTED && self.lives(now, 0)
    }

    /// Whether nobody can need it any more, even with a clock that was ahead by `slack` seconds.
    pub(in crate::revocation) fn is_garbage(&self, now: NumericDate, slack: i64) -> bool {
        !self.lives(now, slack)
    }

    /// Whether it revokes a token, compared at a moment. A token without `iat` may be from before any watermark.
    ///
    /// The issuer's clock may be ahead by the leeway, so that a token from before a watermark may say that it is
    /// from after: the leeway widens the watermark. And a token is accepted as much longer than it says: so long an
    /// entry lasts.
    pub(in crate::revocation) fn revokes(&self, moment: &Moment) -> bool {
        let before = match self.not_before {
            LIFTED => return false,
            BLOCK => None,
            not_before => Some(i64::from(not_before).saturating_add(moment.leeway)),
        };
        let is_before = |date| moment.issued_at.is_none_or(|issued_at| issued_at.0 < date);
        before.is_none_or(is_before) && self.lives(moment.now, moment.leeway)
    }

    /// Until `expires`, that second excluded.
    fn lives(&self, now: NumericDate, longer: i64) -> bool {
        self.expires == NEVER || now.0 < i64::from(self.expires).saturating_add(longer)
    }
}

fn seconds(date: NumericDate) -> u32 {
    u32::try_from(date.0.max(0)).unwrap_or(u32::MAX)
}
