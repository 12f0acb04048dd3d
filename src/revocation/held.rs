//! An entry as a store keeps it and the set takes it: hashed, and with an id by which it can be lifted.

use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::revocation::record::{Moment, Record};
use crate::token::NumericDate;

/// One entry's id, given out by whoever keeps it and never again. The set compares ids only among entries of one
/// [`Key`], and of these the lower 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

/// An entry without what only people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: Id,
    /// What it is about.
    pub kind: Kind,
    /// Whose tokens.
    pub key: Key,
    /// Tokens issued before this are revoked; `None` is a block.
    pub not_before: Option<NumericDate>,
    /// When it can be forgotten; `None` is never.
    pub expires: Option<NumericDate>,
}

impl Held {
    /// Whether it stops a token that its key is about, by the token's `iat` and its issuer's leeway in seconds.
    pub fn stops(&self, issued_at: Option<NumericDate>, leeway: i64, now: NumericDate) -> bool {
        Record::new(self).revokes(&Moment { issued_at, leeway, now })
    }
}
