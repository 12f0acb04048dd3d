//! Key sets by issuer, and the only maker of [`Verified`].
//!
//! Keys are parsed once, at load, into prepared aws-lc-rs keys; policy is ours (threats J15). The algorithm
//! comes from the issuer and the key, never from the token (RFC 8725 section 3.1).

pub mod jwk;
pub mod rotation;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::token::Algorithm;
use crate::token::claims::Claims;
use crate::token::jws::Compact;

/// One issuer's keys, prepared.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
}

/// One prepared key.
#[derive(Debug)]
pub struct VerifyingKey {
    id: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
}

/// Why no key of a set fits a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// No key has the token's `kid`, or none (or several) fit a token without one.
    UnknownKeyId,
    /// The algorithm is not the key's, or not one the issuer allows.
    WrongAlgorithm,
}

/// The signature does not verify under the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSignature;

/// Claims whose signature verified: proof that some key of the issuer's signed them.
///
/// Invariant: made only by [`VerifyingKey::verify`], which checked the signature just before.
#[derive(Debug, Clone)]
pub struct Verified {
    claims: Arc<Claims>,
    algorithm: Algorithm,
    key_id: Option<Box<str>>,
    typ: Option<Box<str>>,
}

impl Verified {
    /// The verified claims.
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }
    /// The algorithm that verified them.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// The verifying key's own id (of a closed set: the key set's), if it has one.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
    /// The JOSE header's `typ`, normalised as [`Compact::typ`] says.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }
}

impl KeySet {
    /// How many usable keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
    /// The ids of the keys that have one, in order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id.as_deref())
    }
    /// The algorithms that some key has.
    pub fn algorithms(&self) -> BTreeSet<Algorithm> {
        self.keys.iter().flat_map(|key| key.algorithms.iter().copied()).collect()
    }
    /// The key for a token (config.md section 2, "Keys"): the one of its `kid`, else a key without an id that
    /// has its algorithm; without `kid`, the only key of that algorithm. `allowed` is the issuer's list.
    pub fn select(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
        allowed: Option<&[Algorithm]>,
    ) -> Result<&Arc<VerifyingKey>, NoKey> {
        todo!()
    }
    /// Whether two sets hold the same keys (ids, algorithms, public octets): an unchanged set keeps its epoch.
    pub fn same_keys(&self, other: &Self) -> bool {
        todo!()
    }
}

impl VerifyingKey {
    /// This key's id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
    /// Verifies the signature and, only then, reads the claims. The outer error is a bad signature; the inner
    /// one a signed payload that is no claims set.
    pub fn verify(&self, unverified: crate::token::claims::Unverified) -> Result<Verified, BadSignature> {
        todo!()
    }
}
