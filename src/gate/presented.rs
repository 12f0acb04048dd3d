//! A token that an operator holds out to have it revoked: whose it is, if it is anybody's.
//!
//! It is believed no more than in a request: the claims of a token whose signature does not verify name nobody, or
//! anyone could have a stranger's session ended by writing it into a token of their own. Its dates but the last, its
//! audience and its type are not asked about: what is refused for those now may be accepted by another rule later.

use crate::gate::denial::{Denial, Reason};
use crate::gate::evidence::KeysAnswer;
use crate::gate::proof::key;
use crate::gate::{Stop, revocable};
use crate::keys::Unverified;
use crate::snapshot::Snapshot;
use crate::token::NumericDate;
use crate::token::claims::Selector;

/// What a token that verified can be revoked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its `iss`.
    pub issuer: Box<str>,
    /// Its own ids, found by the issuer's `claims.id`.
    pub ids: Vec<Box<str>>,
    /// Its sessions, found by the issuer's `claims.session`.
    pub sessions: Vec<Box<str>>,
    /// When the last request with it is accepted, and the last of its streams over: `exp`, the issuer's leeway, and the
    /// longest grace that a route gives to streams.
    pub ends: NumericDate,
}

/// Verifies `token` with the keys of the moment. One that has ended is [`Reason::Expired`].
pub fn read(snapshot: &Snapshot, token: &str, now: NumericDate) -> Result<Presented, Denial> {
    let unverified = Unverified::parse(token, snapshot.token_limit)
        .map_err(|why| Denial::new(Reason::MalformedToken, why.to_string()))?;
    let iss = unverified.issuer().ok_or_else(|| Denial::new(Reason::MissingClaim, "no iss"))?;
    let state = snapshot.routes.issuer_by_iss(iss).and_then(|index| snapshot.issuers.get(index));
    let state = state.ok_or_else(|| Denial::new(Reason::UntrustedIssuer, "no issuer has this iss"))?;
    // No key is fetched for it: what nobody could have used yet needs no revocation.
    let key = key(state, &unverified, Some(KeysAnswer::Fetched)).map_err(|stop| match stop {
        Stop::Deny(denial) => denial,
        Stop::Need(_) => Denial::new(Reason::KeysUnavailable, "the issuer's keys cannot be had"),
    })?;
    let verified = key
        .verify(unverified)
        .map_err(|_| Denial::new(Reason::BadSignature, "the signature does not verify"))?;
    let claims = verified.claims();
    let expires = claims.expires().ok_or_else(|| Denial::new(Reason::MissingClaim, "no exp"))?;
    let leeway = i64::try_from(state.config.leeway.as_secs()).unwrap_or(i64::MAX);
    // A stream of it may go on in the grace of its route.
    let graces = snapshot.routes.all().iter().map(|route| route.config.streams.grace.as_secs());
    let grace = i64::try_from(graces.max().unwrap_or(0)).unwrap_or(i64::MAX);
    let ends = NumericDate(expires.0.saturating_add(leeway).saturating_add(grace));
    if ends <= now {
        return Err(Denial::new(Reason::Expired, "exp has passed"));
    }
    let found = |selector: &Selector| {
        let found = selector.find(claims.members()).map(revocable::texts).unwrap_or_default();
        found.iter().filter(|text| !text.is_empty()).map(|text| Box::from(&**text)).collect()
    };
    let (ids, sessions) = (found(&state.config.claims.id), found(&state.config.claims.session));
    Ok(Presented { issuer: state.config.issuer.clone(), ids, sessions, ends })
}
