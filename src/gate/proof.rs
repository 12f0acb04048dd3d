//! Steps 5 to 8: who vouches for a token, from the memo, else from the evidence, else by asking for it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use crate::gate::Stop;
use crate::gate::checks::Checked;
use crate::gate::credential::Credential;
use crate::gate::denial::{Denial, Reason};
use crate::gate::evidence::{Evidence, KeyMiss, KeysAnswer, Need, SignatureVerdict, SignatureWork};
use crate::gate::memo::fingerprint::Fingerprint;
use crate::gate::memo::{Memo, Remembered, TokenFacts};
use crate::gate::records::{self, Way};
use crate::keys::{NoKey, Unverified, Verified, VerifyingKey};
use crate::policy::route::CompiledRoute;
use crate::snapshot::{IssuerState, Keys, Snapshot};
use crate::token::NumericDate;
use crate::token::claims::Selector;
use crate::token::json::document::Value;
use crate::token::jws::Malformed;
use crate::token::scope::Granted;

/// A token as it was sent.
#[derive(Clone, Copy)]
pub(in crate::gate) struct Shown<'p> {
    pub(in crate::gate) credential: &'p Credential<'p>,
    pub(in crate::gate) token: Fingerprint,
    pub(in crate::gate) route: &'p Arc<CompiledRoute>,
    pub(in crate::gate) now: NumericDate,
}

/// Steps 5 to 8. `trust` is step 6, which stands between taking the token apart and looking for its key.
pub(in crate::gate) fn verified<'s>(
    snapshot: &'s Snapshot,
    memo: &mut Memo,
    evidence: &mut Evidence<'_>,
    shown: Shown<'_>,
    mut trust: impl FnMut(usize) -> Result<&'s Arc<IssuerState>, Denial>,
) -> Result<Arc<TokenFacts>, Stop> {
    let Shown { credential, token, route, now: _ } = shown;
    // An index alone means nothing: a reload may have moved or removed issuers since.
    let live = |index: usize, epoch| snapshot.issuers.get(index).is_some_and(|state| state.epoch == epoch);
    let judge_of = |epoch| snapshot.issuers.iter().position(|state| state.epoch == epoch);
    if let Some(verdict) = evidence.signature.take()
        && live(verdict.issuer, verdict.epoch)
        // A reload may have moved the place where this request's token stands.
        && verdict.token == token
    {
        return judged(snapshot, memo, verdict, trust);
    }
    if let Some(found) = evidence.record.take()
        && let Some(settled) = records::settle(snapshot, memo, found, shown, &mut trust)
    {
        return settled;
    }
    let mut known_malformed = false;
    match memo.find(token, live, judge_of) {
        Remembered::Good(facts) if route.looked_up.is_empty() => return Ok(facts),
        Remembered::Good(facts) if route.trusts(facts.issuer) && shown.now < facts.ask_again => {
            return Ok(facts);
        }
        Remembered::Bad(reason, judge) if records::is_settled(snapshot, shown, judge) => {
            // What comes first comes first: the same request is refused with the same reason, remembered or not.
            match judge {
                Some(index) => drop(trust(index)?),
                None => drop(credential.token()?),
            }
            return Err(Denial::new(reason, "refused before, and nothing has changed").into());
        }
        // Somebody else may vouch for it here; or whoever does has to hear of it.
        Remembered::Good(_) => {}
        Remembered::Bad(_, judge) => known_malformed = judge.is_none(),
        Remembered::Unknown => {}
    }
    let unverified = match records::way(snapshot, shown, known_malformed)? {
        Way::Records(asked) => return Err(Stop::Need(Need::Record(asked))),
        Way::Signed(Ok(unverified)) => unverified,
        Way::Signed(Err(why)) => return Err(malformed(memo, token, why).into()),
    };
    let Some(iss) = unverified.issuer() else {
        return Err(Denial::new(Reason::MissingClaim, "no iss").into());
    };
    let Some(index) = snapshot.routes.issuer_by_iss(iss) else {
        return Err(Denial::new(Reason::UntrustedIssuer, "no issuer has this iss").into());
    };
    let state = trust(index)?;
    Err(match key(state, &unverified, evidence.keys) {
        Ok(key) => Stop::Need(Need::Signature(Box::new(SignatureWork {
            issuer: index,
            epoch: state.epoch,
            token,
            key,
            unverified,
            route: Arc::clone(route),
            config: Arc::clone(&state.config),
        }))),
        Err(stop) => stop,
    })
}

/// What came of a signature.
fn judged<'s>(
    snapshot: &'s Snapshot,
    memo: &mut Memo,
    verdict: SignatureVerdict,
    mut trust: impl FnMut(usize) -> Result<&'s Arc<IssuerState>, Denial>,
) -> Result<Arc<TokenFacts>, Stop> {
    match verdict.outcome {
        Ok(verified) => {
            let state = &snapshot.issuers[verdict.issuer];
            let facts =
                Arc::new(TokenFacts::new(verdict.issuer, state, verified, |granted| memo.shared(granted)));
            memo.remember_good(verdict.token, Arc::clone(&facts));
            Ok(facts)
        }
        Err(_) => {
            memo.remember_bad(verdict.token, verdict.epoch, Reason::BadSignature);
            trust(verdict.issuer)?;
            Err(Denial::new(Reason::BadSignature, "the signature does not verify").into())
        }
    }
}

fn malformed(memo: &mut Memo, token: Fingerprint, why: Malformed) -> Denial {
    // Its length is judged by a limit that a reload may change: every other verdict is the token's own.
    if why != Malformed::TooLong {
        memo.remember_bad(token, 0, Reason::MalformedToken);
    }
    Denial::new(Reason::MalformedToken, why.to_string())
}

/// Step 7.
pub(in crate::gate) fn key(
    state: &IssuerState,
    unverified: &Unverified,
    answer: Option<KeysAnswer>,
) -> Result<Arc<VerifyingKey>, Stop> {
    let miss = |key_id: &str| match answer {
        None => Stop::Need(Need::Keys(KeyMiss { issuer: state.config.name.clone(), key_id: key_id.into() })),
        Some(KeysAnswer::Fetched) => {
            Denial::new(Reason::UnknownKey, "the issuer's keys have no such id").into()
        }
        Some(KeysAnswer::Unavailable) => unavailable().into(),
    };
    let (set, fetched) = match &state.keys {
        Keys::Ready { set, fetched } => (set, *fetched),
        Keys::Unavailable if answer.is_none() => return Err(miss("")),
        Keys::Unavailable | Keys::Records(_) => return Err(unavailable().into()),
    };
    let selected =
        set.select(unverified.key_id(), unverified.algorithm(), state.config.algorithms.as_deref());
    selected.map(Arc::clone).map_err(|none| match none {
        NoKey::UnknownKeyId => match unverified.key_id() {
            Some(key_id) if fetched => miss(key_id),
            Some(_) | None => Denial::new(Reason::UnknownKey, "no key of the issuer fits the token").into(),
        },
        NoKey::WrongAlgorithm => {
            Denial::new(Reason::UnknownKey, "the key or the issuer does not have the token's algorithm")
                .into()
        }
    })
}

fn unavailable() -> Denial {
    Denial::new(Reason::KeysUnavailable, "the issuer's keys cannot be had")
}

impl TokenFacts {
    /// What is to be remembered of a token that somebody vouches for; `share` puts its scopes where others have the same.
    pub(in crate::gate) fn new(
        index: usize,
        state: &IssuerState,
        verified: Verified,
        share: impl FnOnce(Granted) -> Arc<Granted>,
    ) -> Self {
        let (read, claims) = (verified.claims(), &state.config.claims);
        let members = read.members();
        let text = |selector: &Selector| {
            selector.find(members).and_then(Value::as_text).and_then(|text| read.span(text))
        };
        let (subject, token_id) = (text(&claims.subject), text(&claims.id));
        let granted = Granted::from_claims(claims.scope.find_all(members), state.config.scope_match);
        let mut facts = Self {
            issuer: index,
            epoch: state.epoch,
            records: state.keys.records(),
            ask_again: NumericDate(i64::MAX),
            granted: share(granted),
            subject,
            token_id,
            revocable: OnceLock::new(),
            standing: Ok(()),
            permitted: AtomicU64::new(0),
            verified,
        };
        // No date is looked at, so that the moment does not matter.
        facts.standing = Checked { config: &state.config, facts: &facts, now: NumericDate(0) }
            .standing()
            .map_err(Box::new);
        facts
    }
}
