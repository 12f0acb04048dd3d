//! What a decision may need from outside, and what the edge brings back.
//!
//! Everything that waits, measures time or costs much is done by the edge and comes back as [`Evidence`], a bounded
//! number of times. Then the decision starts over from step 1 on a fresh snapshot, so that a key or
//! a revocation that has just arrived counts.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::Issuer;
use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::memo::fingerprint::Fingerprint;
use crate::graphql::asked::Asked;
use crate::graphql::rules::Rules;
use crate::keys::{BadSignature, Unverified, Verified, VerifyingKey};
use crate::policy::route::CompiledRoute;

/// What a decision cannot go on without.
#[derive(Debug)]
pub enum Need {
    /// A key that the issuer's fetched set does not have.
    Keys(KeyMiss),
    /// A signature is to be verified.
    Signature(Box<SignatureWork>),
    /// A token is to be looked up.
    Record(Box<RecordAsked>),
    /// The request's body is to be read, whole: at most so many octets of it.
    Body(BodyAsked),
}

/// A body that a decision reads.
#[derive(Debug)]
pub struct BodyAsked {
    /// Octets, at most; `limits.inspected_body` may be less.
    pub most: usize,
    pub(crate) route: Arc<CompiledRoute>,
}

impl BodyAsked {
    /// The route that asks for it.
    pub fn route(&self) -> &Arc<CompiledRoute> {
        &self.route
    }

    /// The refusal of a request whose body could not be had for this reason.
    pub fn refused(&self, denial: Denial) -> Refusal {
        Refusal { denial, route: Some(Arc::clone(&self.route)), issuer: None }
    }
}

/// A token that is nothing but a name for what it says, and who may know it.
#[derive(Debug)]
pub struct RecordAsked {
    /// Issuers that it may be of, in the order in which they are asked: their places in the snapshot, epochs and names.
    pub candidates: Vec<(usize, u64, Arc<Issuer>)>,
    /// The token, for whoever looks it up.
    pub token: Presented,
    pub(crate) fingerprint: Fingerprint,
}

/// A token's octets: not to be seen in any log.
pub struct Presented(pub zeroize::Zeroizing<Box<str>>);

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented(***)")
    }
}

/// What looking a token up came to.
#[derive(Debug)]
pub enum RecordAnswer {
    /// The candidate of this place knows it.
    Known {
        /// Its place among the candidates.
        candidate: usize,
        /// What it says.
        verified: Box<Verified>,
        /// It says so until revoked, expired, or its issuer's epoch has changed: it may be remembered. Otherwise it is asked
        /// about each time.
        lasting: bool,
    },
    /// None of them does, and none ever will.
    Unknown,
    /// None of them does for now.
    NotNow,
    /// Whoever would know cannot be asked: `keys_unavailable`.
    Unavailable,
}

/// Looks a token up. `authority` and `control` answer; `app` wires.
pub type AskRecord =
    Arc<dyn Fn(Box<RecordAsked>) -> Pin<Box<dyn Future<Output = RecordFound> + Send>> + Send + Sync>;

/// What was asked for, and what it came to.
#[derive(Debug)]
pub struct RecordFound {
    /// What was asked for.
    pub asked: Box<RecordAsked>,
    /// What it came to.
    pub answer: RecordAnswer,
}

/// A token named a key that its issuer's fetched set does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMiss {
    /// The issuer's name.
    pub issuer: Box<str>,
    /// The unknown `kid`; empty when the set is not there at all.
    pub key_id: Box<str>,
}

/// What asking for a missing key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysAnswer {
    /// A fetch begun after the `kid` was first seen has succeeded and been published: decide again.
    Fetched,
    /// It failed, or did not end within `miss_wait`: `keys_unavailable`.
    Unavailable,
}

/// Asks for a missing key, bounded by the issuer's `miss_wait`. `control` answers; `app` wires.
pub type AskKeys = Arc<dyn Fn(KeyMiss) -> Pin<Box<dyn Future<Output = KeysAnswer> + Send>> + Send + Sync>;

/// One signature to verify: pure, and the costliest thing of a request.
#[derive(Debug)]
pub struct SignatureWork {
    pub(crate) issuer: usize,
    pub(crate) epoch: u64,
    pub(crate) token: Fingerprint,
    pub(crate) key: Arc<VerifyingKey>,
    pub(crate) unverified: Unverified,
    pub(crate) route: Arc<CompiledRoute>,
    pub(crate) config: Arc<Issuer>,
}

/// Which signature it is: two that are equal have one verdict. The token is known by its keyed hash, as the memo knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkIdentity {
    issuer: usize,
    epoch: u64,
    token: Fingerprint,
}

/// What came of it, bound to the token and the epoch it was for.
#[derive(Debug)]
pub struct SignatureVerdict {
    pub(crate) issuer: usize,
    pub(crate) epoch: u64,
    pub(crate) token: Fingerprint,
    pub(crate) outcome: Result<Verified, BadSignature>,
}

impl SignatureWork {
    /// The algorithm, for the clock that times it.
    pub fn algorithm(&self) -> crate::token::Algorithm {
        self.unverified.algorithm()
    }

    /// Which signature it is.
    pub fn identity(&self) -> WorkIdentity {
        WorkIdentity { issuer: self.issuer, epoch: self.epoch, token: self.token }
    }

    /// The refusal of its request where no signature can be verified now: too many are waiting
    /// (`limits.signatures_in_flight`). `enforce: shadow` does not let it pass.
    pub fn overloaded(&self) -> Refusal {
        Refusal {
            denial: Denial::new(Reason::Overloaded, "too many signatures are waiting"),
            route: Some(Arc::clone(&self.route)),
            issuer: Some(Arc::clone(&self.config)),
        }
    }

    /// Verifies.
    pub fn verify(self) -> SignatureVerdict {
        let outcome = self.key.verify(self.unverified);
        SignatureVerdict { issuer: self.issuer, epoch: self.epoch, token: self.token, outcome }
    }
}

/// What the edge has found out for one request so far.
#[derive(Debug, Default)]
pub struct Evidence<'b> {
    /// What asking for a key came to.
    pub keys: Option<KeysAnswer>,
    /// What verifying the signature came to.
    pub signature: Option<SignatureVerdict>,
    /// What looking the token up came to.
    pub record: Option<RecordFound>,
    /// The request's body, whole: there from the start where it has come with its head.
    pub body: Option<Cow<'b, [u8]>>,
    /// What it asks for, under the rules by which that was found out: read once, however often is decided.
    pub(in crate::gate) asked: Option<(Arc<Rules>, Arc<Asked>)>,
}

impl<'b> Evidence<'b> {
    /// Of a request whose body is here.
    pub fn with_body(body: impl Into<Cow<'b, [u8]>>) -> Self {
        Self { body: Some(body.into()), ..Self::default() }
    }
}
