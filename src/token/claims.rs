//! A JWT's claims set (RFC 7519 section 4): registered claims typed, the others kept as they are.

use serde_json::{Map, Value};

use crate::token::NumericDate;
use crate::token::jws::Malformed;

/// A claims set. Parsing one verifies nothing: what verifies is `keys`, and what it leaves is `Verified`.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// `iss`: exactly one string.
    pub issuer: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `aud`: a string or an array of strings; empty when absent.
    pub audience: Vec<Box<str>>,
    /// `exp`, fractions dropped.
    pub expires: Option<NumericDate>,
    /// `nbf`, fractions rounded up.
    pub not_before: Option<NumericDate>,
    /// `iat`, fractions dropped.
    pub issued_at: Option<NumericDate>,
    /// `jti`.
    pub token_id: Option<Box<str>>,
    /// All members, registered ones too.
    pub members: Map<String, Value>,
}

impl Claims {
    /// Parses a payload strictly: duplicate members at any depth, a `crit` member, `null` or a wrong type in
    /// a registered claim, and numbers that are no date (negative, beyond 2^53, not finite) are refused.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        todo!()
    }
}

/// Where in the claims a value is found (config.md principle 7): the first place that is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Place>);

/// One place of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A top-level claim.
    Name(Box<str>),
    /// An RFC 6901 pointer, as written, with its leading `/`.
    Pointer(Box<str>),
}

impl Selector {
    /// Reads the places as written in the configuration; an empty list, an empty name or a broken pointer
    /// (`~` not followed by `0` or `1`) is `None`.
    pub fn parse<S: AsRef<str>>(places: &[S]) -> Option<Self> {
        todo!()
    }

    /// The places, in order.
    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// The first value that is present.
    pub fn find<'c>(&self, members: &'c Map<String, Value>) -> Option<&'c Value> {
        todo!()
    }

    /// Every value that is present, in order.
    pub fn find_all<'c>(&self, members: &'c Map<String, Value>) -> impl Iterator<Item = &'c Value> {
        self.0.iter().filter_map(move |place| {
            let _ = (place, members);
            None
        })
    }
}

/// TEMP
#[derive(Debug, Clone)]
pub struct Unverified {}
impl Unverified {
    /// TEMP
    pub fn parse(_token: &str, _limit: usize) -> Result<Self, Malformed> {
        todo!()
    }
    /// TEMP
    pub fn issuer(&self) -> Option<&str> {
        todo!()
    }
    /// TEMP
    pub fn algorithm(&self) -> crate::token::Algorithm {
        todo!()
    }
    /// TEMP
    pub fn key_id(&self) -> Option<&str> {
        todo!()
    }
}
