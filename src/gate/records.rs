//! Tokens that are looked up: which of a route's issuers may know them, and what their not being known is called.
//!
//! A token that is no compact JWS says nothing by itself; it is a name for what somebody keeps. It is asked for among the
//! issuers that the route trusts, that look for their tokens where it stands, and whose tokens begin as it does. One that
//! none of them can have is `untrusted_issuer`; one that none of them knows is `bad_signature`: nothing vouches for it,
//! as nothing does for a token that was signed by nobody.

use std::sync::Arc;

use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::config::{Issuer, KeySource, Records};
use crate::gate::Stop;
use crate::gate::denial::{Denial, Reason};
use crate::gate::evidence::{Presented, RecordAnswer, RecordAsked, RecordFound};
use crate::gate::memo::{Memo, TokenFacts};
use crate::gate::proof::Shown;
use crate::keys::Unverified;
use crate::snapshot::{IssuerState, Snapshot};
use crate::token::NumericDate;
use crate::token::jws::Malformed;

/// What is done about a token.
pub(in crate::gate) enum Way {
    /// It says who issued it, if it can be read.
    Signed(Result<Unverified, Malformed>),
    /// It is looked up.
    Records(Box<RecordAsked>),
}

/// What is done about a token that nothing is remembered of. `known_malformed` says that it is no compact JWS.
pub(in crate::gate) fn way(
    snapshot: &Snapshot,
    shown: Shown<'_>,
    known_malformed: bool,
) -> Result<Way, Denial> {
    let text = shown.credential.token()?;
    let parse = || Unverified::parse(text, snapshot.token_limit);
    if !is_looked_up_here(snapshot, shown) {
        return Ok(Way::Signed(parse()));
    }
    if text.len() > snapshot.token_limit {
        return Ok(Way::Signed(Err(Malformed::TooLong)));
    }
    let candidates = candidates(snapshot, shown);
    let signed = is_signed_here(snapshot, shown);
    if signed && (!known_malformed || candidates.is_empty()) {
        let parsed = parse();
        let named = |unverified: &Unverified| {
            let index = unverified.issuer().and_then(|iss| snapshot.routes.issuer_by_iss(iss));
            index.is_some_and(|index| candidates.contains(&index))
        };
        match &parsed {
            // Whoever issued it is asked about it, though it is signed.
            Ok(unverified) if named(unverified) => {}
            Err(_) if !candidates.is_empty() => {}
            Ok(_) | Err(_) => return Ok(Way::Signed(parsed)),
        }
    }
    if candidates.is_empty() {
        return Err(Denial::new(Reason::UntrustedIssuer, "no issuer of the route has such tokens"));
    }
    let asked = |index: usize| {
        let state = snapshot.issuers.get(index)?;
        Some((index, state.epoch, Arc::clone(&state.config)))
    };
    Ok(Way::Records(Box::new(RecordAsked {
        candidates: candidates.into_iter().filter_map(asked).collect(),
        token: Presented(Zeroizing::new(text.into())),
        fingerprint: shown.token,
    })))
}

/// Whether a refusal that was remembered is this request's too: another route may ask others. `judge` is the issuer that
/// judged it, if one did.
pub(in crate::gate) fn is_settled(snapshot: &Snapshot, shown: Shown<'_>, judge: Option<usize>) -> bool {
    let judged_by = judge.and_then(|index| snapshot.issuers.get(index));
    let by_records = judged_by.is_some_and(|state| state.keys.records().is_some());
    if shown.route.looked_up.is_empty() {
        return !by_records;
    }
    match judge {
        None => is_signed_here(snapshot, shown) && candidates(snapshot, shown).is_empty(),
        Some(index) if by_records => {
            let may_be_signed = shown.credential.octets.split(|octet| *octet == b'.').count() == 3;
            let alone = *candidates(snapshot, shown) == [index];
            alone && !(may_be_signed && is_signed_here(snapshot, shown))
        }
        Some(index) => judged_by.is_some_and(|state| counts_here(state, shown)) && shown.route.trusts(index),
    }
}

/// What looking it up has come to. `None`: something has changed since it was asked for, and it is asked for anew.
pub(in crate::gate) fn settle<'s>(
    snapshot: &'s Snapshot,
    memo: &mut Memo,
    found: RecordFound,
    shown: Shown<'_>,
    mut trust: impl FnMut(usize) -> Result<&'s Arc<IssuerState>, Denial>,
) -> Option<Result<Arc<TokenFacts>, Stop>> {
    let RecordFound { asked, answer } = found;
    let live = |(index, epoch, _): &(usize, u64, Arc<Issuer>)| {
        let state = snapshot.issuers.get(*index);
        state.is_some_and(|state| state.epoch == *epoch).then_some(*index)
    };
    let still: Option<SmallVec<[usize; 4]>> = asked.candidates.iter().map(live).collect();
    if asked.fingerprint != shown.token || still? != candidates(snapshot, shown) {
        return None;
    }
    Some(match answer {
        RecordAnswer::Known { candidate, verified, lasting } => {
            let (index, _, _) = asked.candidates.get(candidate)?;
            let state = snapshot.issuers.get(*index)?;
            let mut facts = TokenFacts::new(*index, state, *verified, |granted| memo.shared(granted));
            if matches!(state.config.keys.value, KeySource::Records(Records::ApiKeys { .. })) {
                facts.ask_again = NumericDate(shown.now.0.saturating_add(USES));
            }
            let facts = Arc::new(facts);
            if lasting {
                memo.remember_good(shown.token, Arc::clone(&facts));
            }
            Ok(facts)
        }
        RecordAnswer::Unknown | RecordAnswer::NotNow => {
            if let [(index, epoch, _)] = &*asked.candidates {
                // Of several it could not be told which of them is no longer the one that was asked.
                if matches!(answer, RecordAnswer::Unknown) {
                    memo.remember_bad(shown.token, *epoch, Reason::BadSignature);
                }
                if let Err(denial) = trust(*index) {
                    return Some(Err(denial.into()));
                }
            }
            Err(Denial::new(Reason::BadSignature, "the token is not known").into())
        }
        RecordAnswer::Unavailable => {
            Err(Denial::new(Reason::KeysUnavailable, "whoever knows the token cannot be asked").into())
        }
    })
}

/// Those of the route's issuers that may know the token, in the order in which they are asked: our own before others. A
/// token that begins as only ours do is shown to nobody else.
fn candidates(snapshot: &Snapshot, shown: Shown<'_>) -> SmallVec<[usize; 4]> {
    let octets = shown.credential.octets;
    let begins = |prefix: &str| octets.starts_with(prefix.as_bytes());
    let (mut ours, mut others, mut marked) = (SmallVec::new(), SmallVec::new(), false);
    for (index, state) in looked_up_here(snapshot, shown) {
        match &state.config.keys.value {
            KeySource::Records(Records::Opaque { prefix }) if begins(prefix) => {
                marked |= !prefix.is_empty();
                ours.push(index);
            }
            KeySource::Records(Records::ApiKeys { prefixes }) if prefixes.is_empty() => ours.push(index),
            KeySource::Records(Records::ApiKeys { prefixes }) => {
                if let Some(prefix) = prefixes.iter().find(|prefix| begins(prefix)) {
                    marked |= !prefix.is_empty();
                    ours.push(index);
                }
            }
            KeySource::Records(Records::Introspection(_)) => others.push(index),
            KeySource::Records(Records::Opaque { .. })
            | KeySource::Discovery
            | KeySource::JwksUrl(_)
            | KeySource::JwksFile(_)
            | KeySource::JwksInline(_)
            | KeySource::PemFile(_)
            | KeySource::PemEnv(_)
            | KeySource::PemInline(_)
            | KeySource::Secret { .. }
            | KeySource::Managed
            | KeySource::SigningPem(_) => {}
        }
    }
    if !marked {
        ours.extend::<SmallVec<[usize; 4]>>(others);
    }
    ours
}

/// Those of the route's issuers whose tokens are looked up and stand in this place.
fn looked_up_here<'s>(
    snapshot: &'s Snapshot,
    shown: Shown<'s>,
) -> impl Iterator<Item = (usize, &'s Arc<IssuerState>)> {
    let states =
        shown.route.looked_up.iter().filter_map(|index| Some((*index, snapshot.issuers.get(*index)?)));
    states.filter(move |(_, state)| state.keys.records().is_some() && counts_here(state, shown))
}

fn is_looked_up_here(snapshot: &Snapshot, shown: Shown<'_>) -> bool {
    looked_up_here(snapshot, shown).next().is_some()
}

/// Whether the route trusts an issuer whose tokens are signed and stand in this place.
fn is_signed_here(snapshot: &Snapshot, shown: Shown<'_>) -> bool {
    let Some(requirement) = shown.route.requirement() else { return false };
    let mut states = requirement.issuers.iter().filter_map(|index| snapshot.issuers.get(*index));
    states.any(|state| state.keys.records().is_none() && counts_here(state, shown))
}

fn counts_here(state: &IssuerState, shown: Shown<'_>) -> bool {
    shown.credential.counts_in(&state.config.from)
}

/// Seconds between two uses of an API key that whoever keeps it hears of, from one worker.
const USES: i64 = 60;

#[cfg(test)]
mod tests;
