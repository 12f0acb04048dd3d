//! A token that is held out to an endpoint: to be refreshed, revoked, exchanged or told about. It is believed as it would be in
//! a request, by the same steps; only that no route asks for any scope.

use std::sync::Arc;

use crate::config::Issuer;
use crate::gate::Stop;
use crate::gate::checks::Checked;
use crate::gate::denial::{Denial, Reason};
use crate::gate::evidence::KeysAnswer;
use crate::gate::memo::TokenFacts;
use crate::gate::proof::key;
use crate::gate::revocable;
use crate::keys::{Unverified, Verified};
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::snapshot::Snapshot;
use crate::token::NumericDate;

/// Steps 5 to 11 for a JWT of one of these issuers, by their places in the snapshot. No key is fetched for it.
pub fn verified(
    snapshot: &Snapshot,
    token: &str,
    among: &[usize],
    now: NumericDate,
) -> Result<TokenFacts, Denial> {
    let unverified = Unverified::parse(token, snapshot.token_limit)
        .map_err(|why| Denial::new(Reason::MalformedToken, why.to_string()))?;
    let iss = unverified.issuer().ok_or_else(|| Denial::new(Reason::MissingClaim, "no iss"))?;
    let index = snapshot.routes.issuer_by_iss(iss).filter(|index| among.contains(index));
    let untrusted = || Denial::new(Reason::UntrustedIssuer, "none of these issuers has this iss");
    let index = index.ok_or_else(untrusted)?;
    let state = snapshot.issuers.get(index).ok_or_else(untrusted)?;
    let key = key(state, &unverified, Some(KeysAnswer::Fetched)).map_err(|stop| match stop {
        Stop::Deny(denial) => denial,
        Stop::Need(_) => Denial::new(Reason::KeysUnavailable, "the issuer's keys cannot be had"),
    })?;
    let verified = key
        .verify(unverified)
        .map_err(|_| Denial::new(Reason::BadSignature, "the signature does not verify"))?;
    judged(snapshot, index, verified, now)
}

/// What revocations may name a token of this issuer by.
pub fn named(issuer: &Issuer, verified: &Verified) -> Box<[(Kind, Key)]> {
    revocable::keys(issuer, verified)
}

/// Steps 9 to 11, of what is known to be the issuer's of this place.
pub fn judged(
    snapshot: &Snapshot,
    index: usize,
    verified: Verified,
    now: NumericDate,
) -> Result<TokenFacts, Denial> {
    let untrusted = || Denial::new(Reason::UntrustedIssuer, "there is no such issuer");
    let state = snapshot.issuers.get(index).ok_or_else(untrusted)?;
    let facts = TokenFacts::new(index, state, verified, Arc::new);
    let checked = Checked { config: &state.config, facts: &facts, now };
    checked.time()?;
    if let Err(denial) = &facts.standing {
        return Err(Denial::clone(denial));
    }
    checked.not_revoked(&snapshot.revocations)?;
    Ok(facts)
}
