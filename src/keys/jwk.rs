//! Key sets as they arrive: JWKS (RFC 7517), PEM, shared secrets. Policy decided here, once.

use crate::keys::KeySet;
use crate::token::Algorithm;

/// One key that was not taken, and why: never with key material in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its `kid`, cut to 256 octets, if it has one.
    pub key_id: Option<Box<str>>,
    /// What is wrong with it.
    pub why: String,
}

/// Why a whole set is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWKS document: bad JSON, no `keys` array, duplicate members, too many keys.
    #[error("not a key set: {0}")]
    NotAKeySet(String),
    /// Two keys share one id.
    #[error("two keys have the id \"{0}\"")]
    DuplicateKeyId(Box<str>),
    /// A private or symmetric member in a set that should be public.
    #[error("key {0} holds a private or secret member")]
    PrivateMember(usize),
    /// Nothing usable is left.
    #[error("no usable key{}", reasons(.0))]
    NoUsableKey(Vec<SkippedKey>),
    /// A PEM file that is no public key this gateway can use.
    #[error("not a usable public key: {0}")]
    Pem(String),
    /// A shared secret that is too short for its algorithm.
    #[error("a secret of {0} octets is shorter than the hash of {1} ({2} octets)")]
    ShortSecret(usize, &'static str, usize),
}

fn reasons(skipped: &[SkippedKey]) -> String {
    skipped.iter().map(|key| format!("; key {}: {}", key.index, key.why)).collect()
}

/// Parses a public JWKS. `allowed` is the issuer's `algorithms`, if it gave any. Unusable keys are skipped
/// and returned beside the set; a set with a duplicate id, a private member or no usable key is refused.
pub fn parse_jwks(
    text: &[u8],
    allowed: Option<&[Algorithm]>,
) -> Result<(KeySet, Vec<SkippedKey>), KeySetError> {
    todo!()
}

/// Parses PEM: one or more SPKI `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE` blocks, none with an id.
/// A private key is refused.
pub fn parse_pem(text: &[u8], allowed: Option<&[Algorithm]>) -> Result<KeySet, KeySetError> {
    todo!()
}

/// Takes a shared secret for HMAC. `allowed` defaults to the algorithms its length is enough for;
/// `dangerous_short` accepts any length but zero.
pub fn from_secret(
    secret: &[u8],
    allowed: Option<&[Algorithm]>,
    dangerous_short: bool,
) -> Result<KeySet, KeySetError> {
    todo!()
}
