//! What a stream asks for as long as it lasts: a decision was about one moment, and a stream may go on for hours.
//!
//! Asked again is what can change without the stream's doing: time, what is revoked, and whether the key that verified
//! its token is still its issuer's. The route, its scopes and conditions are those of the moment it was opened.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Enforce, Issuer};
use crate::gate::checks::Checked;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::{Grant, Identity};
use crate::gate::memo::TokenFacts;
use crate::gate::revocable;
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::snapshot::{IssuerState, Keys, Snapshot};
use crate::token::NumericDate;

/// What a grant hangs by: a token that counts.
///
/// It owns small `Arc`s, never a snapshot, as a grant does.
#[derive(Debug, Clone)]
pub struct Lasting {
    facts: Arc<TokenFacts>,
    grace: Duration,
    /// Its issuer, as it was when the token was last found to count.
    issuer: Arc<Issuer>,
    /// The index and the epoch of that issuer then.
    seen: (usize, u64),
    /// What revocations may name it by, where that is another issuer's state than the one it was verified by.
    revocable: Option<Box<[(Kind, Key)]>>,
}

impl Lasting {
    /// What this grant hangs by; `None` where it hangs by nothing: a public route, or one that only says what it
    /// would refuse.
    pub fn of(grant: &Grant) -> Option<Self> {
        let Identity::Token { facts, issuer } = grant.identity() else { return None };
        match grant.route().config.enforce {
            Enforce::Shadow => None,
            Enforce::Deny => Some(Self {
                facts: Arc::clone(facts),
                grace: grant.route().config.streams.grace,
                issuer: Arc::clone(issuer),
                seen: (facts.issuer, facts.epoch),
                revocable: None,
            }),
        }
    }

    /// The first second at which its token has expired: `exp`, its issuer's leeway and the route's grace. What was looked
    /// up may be without an end.
    pub fn until(&self) -> NumericDate {
        let end = self.facts.verified.claims().expires().map_or(i64::MAX, |NumericDate(expires)| expires);
        let more =
            [self.issuer.leeway, self.grace].map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        NumericDate(more.into_iter().fold(end, i64::saturating_add))
    }

    /// Whether it still counts; if not, why.
    ///
    /// An issuer whose keys are unavailable has withdrawn none: its streams go on, though no new one begins.
    pub fn holds(&mut self, snapshot: &Snapshot, now: NumericDate) -> Result<(), Denial> {
        let (index, epoch) = self.seen;
        if snapshot.issuers.get(index).is_none_or(|state| state.epoch != epoch) {
            self.see(snapshot)?;
        }
        if now >= self.until() {
            return Err(Denial::new(Reason::Expired, "exp has passed"));
        }
        let checked = Checked { config: &self.issuer, facts: &self.facts, now };
        match &self.revocable {
            None => checked.not_revoked(&snapshot.revocations),
            Some(keys) => checked.not_revoked_by(keys, &snapshot.revocations),
        }
    }

    /// Its token, and what revocations may name that by.
    pub(in crate::gate) fn named(&self, now: NumericDate) -> (Checked<'_>, Cow<'_, [(Kind, Key)]>) {
        let names = match &self.revocable {
            Some(names) => Cow::Borrowed(&**names),
            None => Cow::Owned(revocable::keys(&self.issuer, &self.facts.verified).into_vec()),
        };
        (Checked { config: &self.issuer, facts: &self.facts, now }, names)
    }

    /// Something of the issuer's has changed: its keys, its leeway, or what a revocation may name. Where it stands in
    /// the configuration may have changed alone.
    fn see(&mut self, snapshot: &Snapshot) -> Result<(), Denial> {
        let same = |state: &Arc<IssuerState>| state.config.issuer == self.issuer.issuer;
        // What is minted here in several forms has one `iss` in all of them: then the name says which.
        let named = |state: &Arc<IssuerState>| same(state) && state.config.name == self.issuer.name;
        let issuers = &snapshot.issuers;
        let Some(index) = issuers.iter().position(named).or_else(|| issuers.iter().position(same)) else {
            return Err(Denial::new(Reason::UntrustedIssuer, "the issuer is no longer configured"));
        };
        let state = &snapshot.issuers[index];
        match (&state.keys, self.facts.records) {
            (Keys::Ready { set, .. }, _) if set.has_key_of(&self.facts.verified) => {}
            (Keys::Ready { .. }, _) => {
                return Err(Denial::new(Reason::UnknownKey, "the key is no longer the issuer's"));
            }
            (Keys::Records(now), Some(then)) if *now == then => {}
            // Asking again takes its time, and nobody here has any.
            (Keys::Records(_), _) => {
                return Err(Denial::new(Reason::UnknownKey, "what was looked up may not be so any more"));
            }
            (Keys::Unavailable, _) => {}
        }
        if state.epoch != self.seen.1 {
            self.revocable = Some(revocable::keys(&state.config, &self.facts.verified));
            self.issuer = Arc::clone(&state.config);
        }
        self.seen = (index, state.epoch);
        Ok(())
    }
}
