//! Key sets by issuer, and the only maker of [`Verified`].
//!
//! Keys are parsed once, at load, into prepared keys of aws-lc-rs, or of `verification` where those are faster; policy is
//! ours (threats J15). The algorithm comes from the issuer and the key, never from the token (RFC 8725 section 3.1).
//!
//! A token is first [`Unverified`]: taken apart and strictly read, its claims locked away with the octets they
//! were read from. A key turns it into [`Verified`], and nothing else opens it.

pub mod jwk;
pub mod rotation;

mod pem;
mod prepared;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::keys::prepared::Prepared;
use crate::token::Algorithm;
use crate::token::claims::Claims;
use crate::token::jws::{self, Malformed};

/// A token that was read and not verified: it says who may have issued it and which key to ask, no more.
///
/// Invariant: `claims` were read from the payload inside `signing_input`, and only [`VerifyingKey::verify`]
/// gives them away.
#[derive(Clone)]
pub struct Unverified {
    algorithm: Algorithm,
    key_id: Option<Box<str>>,
    typ: Option<Cow<'static, str>>,
    signing_input: Box<[u8]>,
    signature: Box<[u8]>,
    claims: Claims,
}

impl Unverified {
    /// Reads `token` strictly (RFC 7515 section 7.1, RFC 7519 section 7.2): what [`jws::parse`] and
    /// [`Claims::parse`] refuse is refused. `limit` is `limits.token`, in octets.
    pub fn parse(token: &str, limit: usize) -> Result<Self, Malformed> {
        let compact = jws::parse(token, limit)?;
        Ok(Self {
            algorithm: compact.algorithm,
            key_id: compact.key_id,
            typ: compact.typ,
            claims: Claims::parse(&compact.payload)?,
            signing_input: compact.signing_input.into(),
            signature: compact.signature.into(),
        })
    }

    /// The `iss` it claims: good for choosing whose keys to ask, and for nothing else.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// The algorithm its header names.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key its header names.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

impl fmt::Debug for Unverified {
    /// Without the signature, and without claims that nobody vouches for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Claims that somebody vouches for: some key of the issuer's signed them, or whoever keeps them found them by their token.
///
/// Invariant: made only by [`VerifyingKey::verify`], which checked the signature just before, and by
/// [`Verified::of_record`], which those call who look tokens up (`tests/tidy.rs` lists them).
#[derive(Debug, Clone)]
pub struct Verified {
    claims: Claims,
    voucher: Voucher,
    typ: Option<Cow<'static, str>>,
}

/// Who vouches for claims.
#[derive(Debug, Clone)]
enum Voucher {
    Key {
        key: Arc<VerifyingKey>,
        /// Which of its keys it was: without an id there may be several.
        which: usize,
    },
    /// The record that was found.
    Record,
}

impl Verified {
    /// Claims that were found by their token, where it is kept. They have neither a key nor a `typ`.
    pub fn of_record(claims: Claims) -> Self {
        Self { claims, voucher: Voucher::Record, typ: None }
    }

    /// The verified claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The algorithm that verified them; `None` where they were looked up.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match &self.voucher {
            Voucher::Key { key, which } => key.prepared.get(*which).map(|prepared| prepared.algorithm),
            Voucher::Record => None,
        }
    }

    /// The verifying key's own id (of a closed set: the key set's), if there is a key and it has one.
    pub fn key_id(&self) -> Option<&str> {
        match &self.voucher {
            Voucher::Key { key, .. } => key.id(),
            Voucher::Record => None,
        }
    }

    /// The JOSE header's `typ`, normalised as [`jws::Compact::typ`] says.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// About how many octets of memory it holds beyond itself: what a bounded cache counts.
    pub fn footprint(&self) -> usize {
        let typ = match &self.typ {
            Some(Cow::Owned(typ)) => typ.capacity(),
            Some(Cow::Borrowed(_)) | None => 0,
        };
        self.claims.footprint() + typ
    }
}

/// One issuer's keys, prepared.
#[derive(Debug)]
pub struct KeySet {
    /// Keys with an id, in the set's order, then what has none as one key.
    keys: Vec<Arc<VerifyingKey>>,
}

/// One prepared key; or, without an id, all keys of a set that have none: each of them fits any token of its
/// algorithm, and verifying tries them in turn.
pub struct VerifyingKey {
    id: Option<Arc<str>>,
    prepared: Vec<Prepared>,
}

/// Why no key of a set fits a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// No key has the token's `kid`, or none (or several) fit a token without one. Fetching the set again can
    /// only help a token that has a `kid`.
    UnknownKeyId,
    /// The algorithm is not the key's, or not one the issuer allows. Fetching the set again cannot help.
    WrongAlgorithm,
}

/// The signature does not verify under the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSignature;

impl KeySet {
    /// How many usable keys.
    pub fn len(&self) -> usize {
        self.keys.iter().map(|key| key.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ids of the keys that have one, in order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id())
    }

    /// The algorithms that some key has.
    pub fn algorithms(&self) -> BTreeSet<Algorithm> {
        self.keys.iter().flat_map(|key| &key.prepared).map(|prepared| prepared.algorithm).collect()
    }

    /// The key for a token (config.md section 2, "Keys"): the one of its `kid`, else the keys without an id
    /// that have its algorithm; without `kid`, the only key of that algorithm. `allowed` is the issuer's list.
    ///
    /// An HMAC token whose set holds no secret is [`NoKey::WrongAlgorithm`] whatever its `kid`: no public set
    /// will ever have one (threats J2).
    pub fn select(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
        allowed: Option<&[Algorithm]>,
    ) -> Result<&Arc<VerifyingKey>, NoKey> {
        if allowed.is_some_and(|allowed| !allowed.contains(&algorithm)) {
            return Err(NoKey::WrongAlgorithm);
        }
        if let Some(named) = key_id.and_then(|id| self.keys.iter().find(|key| key.id() == Some(id))) {
            return if named.has(algorithm) { Ok(named) } else { Err(NoKey::WrongAlgorithm) };
        }
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key_id.is_none() || key.id.is_none())
            .filter(|key| key.has(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) if key_id.is_some() || key.count(algorithm) == 1 => Ok(key),
            (None, _) if algorithm.is_symmetric() => Err(NoKey::WrongAlgorithm),
            _ => Err(NoKey::UnknownKeyId),
        }
    }

    /// Whether two sets hold the same keys (ids, algorithms, public octets), in whatever order: an unchanged
    /// set keeps its epoch.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.contents() == other.contents()
    }

    /// Whether the key that verified these claims is still one of the set: the same id, algorithm and public octets.
    pub fn has_key_of(&self, verified: &Verified) -> bool {
        let Voucher::Key { key, which } = &verified.voucher else { return false };
        let same = |held: &Arc<VerifyingKey>| {
            Arc::ptr_eq(held, key) || held.id == key.id && held.prepared.contains(&key.prepared[*which])
        };
        self.keys.iter().any(same)
    }

    fn contents(&self) -> BTreeSet<(Option<&str>, Algorithm, &[u8])> {
        self.keys
            .iter()
            .flat_map(|key| {
                key.prepared.iter().map(|prepared| (key.id(), prepared.algorithm, prepared.fingerprint()))
            })
            .collect()
    }
}

impl VerifyingKey {
    /// This key's id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Verifies the signature over the very octets that the claims were read from, and only then hands out the
    /// claims. The algorithm is one that this key was prepared for at load.
    pub fn verify(self: &Arc<Self>, unverified: Unverified) -> Result<Verified, BadSignature> {
        let Unverified { algorithm, typ, signing_input, signature, claims, .. } = unverified;
        let verifies = |prepared: &Prepared| {
            prepared.algorithm == algorithm && prepared.verifies(&signing_input, &signature)
        };
        let which = self.prepared.iter().position(verifies).ok_or(BadSignature)?;
        Ok(Verified { claims, voucher: Voucher::Key { key: Arc::clone(self), which }, typ })
    }

    fn has(&self, algorithm: Algorithm) -> bool {
        self.count(algorithm) > 0
    }

    fn count(&self, algorithm: Algorithm) -> usize {
        self.prepared.iter().filter(|prepared| prepared.algorithm == algorithm).count()
    }

    fn len(&self) -> usize {
        self.prepared.iter().map(Prepared::fingerprint).collect::<BTreeSet<_>>().len()
    }
}

impl fmt::Debug for VerifyingKey {
    /// Without key material: some keys are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: BTreeSet<Algorithm> =
            self.prepared.iter().map(|prepared| prepared.algorithm).collect();
        f.debug_struct("VerifyingKey").field("id", &self.id).field("algorithms", &algorithms).finish()
    }
}

/// A key set in the making.
#[derive(Default)]
struct Builder {
    named: Vec<Arc<VerifyingKey>>,
    unnamed: Vec<Prepared>,
}

/// Why a key cannot join a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Another key of the set has its id.
    DuplicateKeyId,
    /// [`UNNAMED_KEYS`] of its algorithm have no id already.
    TooManyUnnamed,
}

impl Builder {
    fn add(&mut self, id: Option<&str>, prepared: Vec<Prepared>) -> Result<(), Refused> {
        if let Some(id) = id {
            if self.named.iter().any(|key| key.id() == Some(id)) {
                return Err(Refused::DuplicateKeyId);
            }
            self.named.push(Arc::new(VerifyingKey { id: Some(id.into()), prepared }));
            return Ok(());
        }
        // The same key twice is one key: a token without `kid` still has only one that fits.
        let new: Vec<Prepared> = prepared
            .into_iter()
            .filter(|prepared| !self.unnamed.iter().any(|other| other == prepared))
            .collect();
        let crowded = new.iter().any(|new| {
            self.unnamed.iter().filter(|other| other.algorithm == new.algorithm).count() >= UNNAMED_KEYS
        });
        if crowded {
            return Err(Refused::TooManyUnnamed);
        }
        self.unnamed.extend(new);
        Ok(())
    }

    fn finish(mut self) -> KeySet {
        if !self.unnamed.is_empty() {
            self.named.push(Arc::new(VerifyingKey { id: None, prepared: self.unnamed }));
        }
        KeySet { keys: self.named }
    }
}

/// Keys of one algorithm that may go without an id: a bad signature costs as many verifications.
const UNNAMED_KEYS: usize = 4;
