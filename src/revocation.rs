//! What no longer counts: blocks and `not_before` watermarks, every kind compared alone and the results ORed.

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
    inner: (),
}

impl Revocations {
    /// Compiles entries; those that expired at `now` are left out. Values are kept hashed.
    pub fn compile(entries: &[Entry], now: NumericDate) -> Self {
        todo!()
    }
    /// Which kind revokes this token, if any does. A token without `iat` is revoked by any watermark that
    /// applies to it. An entry past its `expires` no longer counts.
    pub fn revoked(&self, asked: &Asked<'_>, now: NumericDate) -> Option<Kind> {
        todo!()
    }
    /// Entries of a kind.
    pub fn len(&self, kind: Kind) -> usize {
        todo!()
    }
}
