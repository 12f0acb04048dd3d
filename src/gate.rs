//! `decide`: the straight path of a request, from what was sent to a [`Grant`], a refusal, or a need.
//!
//! The steps and their order are those of the crate's map; each leaves behind a value that the next one takes.
//! Pure: the same inputs give the same answer, so asking again is safe.
//!
//! # Threats
//!
//! | attack | rule | proved by |
//! |---|---|---|
//! | `alg: none`, RS to HS confusion (RFC 8725 section 3.1) | the algorithm comes from the key | `keys::tests`, `it::tokens` |
//! | embedded keys (section 3.10) | `jwk jku x5u x5c` are never read | `it::tokens` |
//! | one issuer's key for another's token (section 3.8) | keys are found by (issuer, kid) | `it::tokens` |
//! | a token of another kind (sections 3.11, 3.12) | `token_type`, and the marks of other kinds | `gate::tests` |
//! | a remembered verdict outlives its cause | epoch, and steps 6 and 9 to 14 on every request | `gate::tests`, `it::cache` |
//! | a stream goes on under somebody else's token | the handshake is decided again, for the same subject ([`reauthenticate`]) | `gate::tests::reauthenticate`, `it::websocket` |
//! | a stream outlives its token | what it hangs by is asked again while it lasts ([`lasting`]) | `gate::tests::lasting`, `it::lasting` |
//! | a stranger's page opens a WebSocket with the user's cookies | its `Origin` is asked about before the token | `gate::websocket::tests`, `it::websocket` |
//! | a token that is looked up is shown to a stranger, or its being unknown here counts elsewhere | who is asked is the route's, and by the token's beginning | `gate::records::tests` |
//! | one reads another's event stream, or is answered in it | names of streams are sealed for their owner ([`reserved`]) | `it::graphql::reserved` |
//! | a header that only the gateway may set | removed everywhere, then set | `it::identity_headers` |

pub mod call;
pub mod checks;
pub mod conversation;
pub mod credential;
pub mod denial;
pub mod evidence;
pub mod explain;
pub mod grant;
pub mod held;
pub mod lasting;
pub mod matching;
pub mod memo;
pub mod narrowed;
pub mod preflight;
pub mod presented;
pub mod reauthenticate;
pub mod reserved;
pub mod websocket;

mod operation;
mod proof;
mod records;
mod revocable;

use std::net::IpAddr;
use std::sync::Arc;

use crate::gate::call::Called;
use crate::gate::checks::Checked;
use crate::gate::conversation::Conversation;
use crate::gate::credential::Credential;
use crate::gate::denial::{Advice, Denial, Reason, Refusal};
use crate::gate::evidence::{Evidence, Need};
use crate::gate::explain::Trace;
use crate::gate::grant::{Grant, Identity};
use crate::gate::memo::Memo;
use crate::gate::operation::{Granted, Operation, Wanted};
use crate::gate::preflight::Preflight;
use crate::gate::proof::Shown;
use crate::gate::websocket::Handshake;
use crate::graphql::asked::Asked;
use crate::path::Path;
use crate::policy::route::{CompiledRoute, Match, Target, Upward};
use crate::snapshot::{IssuerState, Snapshot};
use crate::tls::facts::TlsFacts;
use crate::token::NumericDate;

/// One header line.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// As sent: a token (RFC 9110 section 5.6.2).
    pub name: &'a [u8],
    /// Without surrounding white space.
    pub value: &'a [u8],
}

/// A request, as far as a decision reads it. Made by whoever framed it (HTTP/1.1: `http1`).
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// As sent, case-sensitive.
    pub method: &'a str,
    /// The host, lower-case, without port or trailing dot.
    pub host: &'a str,
    /// The path, made canonical once.
    pub path: Path<'a>,
    /// What follows `?`, if there is one.
    pub query: Option<&'a str>,
    /// Header lines in order.
    pub headers: &'a [Field<'a>],
    /// The client's address.
    pub peer: IpAddr,
    /// It asks for a WebSocket.
    pub websocket: Option<Handshake<'a>>,
    /// What its handshake said; `None` on a plain connection.
    pub tls: Option<&'a TlsFacts>,
    /// A token that came later, within the stream that this request began. It counts instead of what the request's own
    /// places hold, as if it stood where its issuer looks for one.
    pub presented: Option<&'a [u8]>,
    /// An operation that came later, in a message of the WebSocket that this request opened: it counts instead of a body.
    pub message: Option<&'a [u8]>,
}

/// What was decided.
#[derive(Debug)]
pub enum Decision {
    /// Forward it.
    Allow(Grant),
    /// One of the gateway's own endpoints answers it, also where its token is refused.
    Answer(Called),
    /// Answer the handshake here: what comes in its messages is decided one by one, and the first grant leads upstream.
    Converse(Conversation),
    /// Refuse it.
    Refuse(Refusal),
    /// Answer it here: a CORS preflight.
    Preflight(Preflight),
    /// Do this, add it to the evidence, and ask again.
    Need(Need),
}

/// Where the path ends before a grant.
#[derive(Debug)]
enum Stop {
    Deny(Denial),
    Need(Need),
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Deny(denial)
    }
}

/// Decides one request. `evidence` holds what earlier rounds asked for; its signature verdict is taken out of it
/// and put into the memo.
pub fn decide(
    snapshot: &Snapshot,
    memo: &mut Memo,
    request: &Request<'_>,
    evidence: &mut Evidence<'_>,
    now: NumericDate,
) -> Decision {
    decide_traced(snapshot, memo, request, evidence, now, &mut explain::Silent)
}

/// [`decide`], telling `trace` each step.
pub fn decide_traced<T: Trace>(
    snapshot: &Snapshot,
    memo: &mut Memo,
    request: &Request<'_>,
    evidence: &mut Evidence<'_>,
    now: NumericDate,
    trace: &mut T,
) -> Decision {
    if let Some(preflight) = preflight::answer(snapshot, request) {
        trace.step("preflight", || "answered here: a CORS preflight of a route with a rule".into());
        return Decision::Preflight(preflight);
    }
    let route = match find_route(snapshot, request) {
        Ok(route) => route,
        Err(denial) => return Decision::Refuse(denial.into()),
    };
    trace.step("route", || route.config.name.to_string());
    match websocket::admit(request, &route.config) {
        Ok(None) => {}
        Ok(Some(why)) => trace.step("websocket", || why.to_owned()),
        Err(denial) => {
            let route = Some(Arc::clone(route));
            return Decision::Refuse(Refusal { denial, route, issuer: None });
        }
    }
    if route.requirement().is_none() {
        trace.step("public", || "the route asks for nothing".into());
        return match &route.target {
            Target::Upstream(upward) => Decision::Allow(anonymous(route, upward, None)),
            Target::Endpoint(endpoint) => Decision::Answer(Called {
                route: Arc::clone(route),
                endpoint: Arc::clone(endpoint),
                issuer: None,
                facts: None,
                refused: None,
            }),
        };
    }
    let wanted = match operation::asked(memo, request, evidence, route, trace) {
        Ok(Operation::None) => Wanted::default(),
        Ok(Operation::Converse(conversation)) => return Decision::Converse(conversation),
        Ok(Operation::Public(upward, asked)) => {
            return Decision::Allow(Grant { asked: Some(asked), ..anonymous(route, upward, None) });
        }
        Ok(Operation::Asked(wanted)) => wanted,
        Err(Stop::Need(need)) => return Decision::Need(need),
        Err(Stop::Deny(denial)) => {
            return Decision::Refuse(Refusal { denial, route: Some(Arc::clone(route)), issuer: None });
        }
    };
    let mut issuer = None;
    let Wanted { asked: operations, act } = wanted.clone();
    let judgement =
        Judgement { snapshot, memo, request, evidence, now, trace, route, issuer: &mut issuer, wanted };
    let decided = authorized(judgement).map_err(|stop| match (stop, &operations) {
        (Stop::Deny(denial), Some(asked)) => Stop::Deny(operation::told_of(denial, asked, route)),
        (stop, _) => stop,
    });
    match decided {
        Ok(decision) => decision,
        Err(Stop::Need(need)) => Decision::Need(need),
        // What is done with a reserved stream is its owner's alone: nobody has a part of it, and no shadow does.
        Err(Stop::Deny(denial)) if act.is_some() => {
            let (route, issuer) = (Some(Arc::clone(route)), issuer.map(|state| Arc::clone(&state.config)));
            Decision::Refuse(Refusal { denial, route, issuer })
        }
        Err(Stop::Deny(denial)) if denial.reason == Reason::NoCredentials => {
            without_credentials((memo, request, evidence), route, operations, denial, trace)
        }
        Err(Stop::Deny(denial)) => shadowed(refuse_or_shadow(route, issuer, denial), operations),
    }
}

/// The same decision; what it lets pass is for these operations.
fn shadowed(decision: Decision, asked: Option<Arc<Asked>>) -> Decision {
    let Decision::Allow(grant) = decision else { return decision };
    Decision::Allow(Grant { asked, ..grant })
}

/// The grant of a request that is nobody's in particular.
fn anonymous(route: &Arc<CompiledRoute>, upward: &Arc<Upward>, shadow: Option<Denial>) -> Grant {
    Grant {
        route: Arc::clone(route),
        upward: Arc::clone(upward),
        identity: Identity::Anonymous,
        headers: Vec::new(),
        shadow,
        asked: None,
        narrowed: None,
        reserved: None,
    }
}

/// What came without any credential may have a part that is public; else it is refused as anything would be.
fn without_credentials<T: Trace>(
    judged: (&mut Memo, &Request<'_>, &Evidence<'_>),
    route: &Arc<CompiledRoute>,
    asked: Option<Arc<Asked>>,
    denial: Denial,
    trace: &mut T,
) -> Decision {
    let (memo, request, evidence) = judged;
    let part = asked.as_ref().and_then(|asked| narrowed::narrow(memo, request, evidence, route, asked, None));
    match (part, &route.target) {
        (Some((part, narrowed)), Target::Upstream(upward)) => {
            trace.step("operation", || narrowed.told());
            let grant = anonymous(route, upward, None);
            Decision::Allow(Grant { asked: Some(part), narrowed: Some(narrowed), ..grant })
        }
        (Some(_) | None, _) => shadowed(refuse_or_shadow(route, None, denial), asked),
    }
}

/// `enforce: shadow` lets a refusal of steps 4 to 13 pass, without an identity. An endpoint is told of it, and says no in
/// its own words.
fn refuse_or_shadow(
    route: &Arc<CompiledRoute>,
    issuer: Option<Arc<IssuerState>>,
    denial: Denial,
) -> Decision {
    let issuer = issuer.map(|state| Arc::clone(&state.config));
    match &route.target {
        Target::Upstream(upward)
            if route.config.enforce == crate::config::Enforce::Shadow && is_of_the_token(denial.reason) =>
        {
            Decision::Allow(anonymous(route, upward, Some(denial)))
        }
        Target::Endpoint(endpoint) if is_of_the_token(denial.reason) => Decision::Answer(Called {
            route: Arc::clone(route),
            endpoint: Arc::clone(endpoint),
            issuer,
            facts: None,
            refused: Some(denial),
        }),
        Target::Upstream(_) | Target::Endpoint(_) => {
            Decision::Refuse(Refusal { denial, route: Some(Arc::clone(route)), issuer })
        }
    }
}

/// Whether such a refusal is about the token: one of tokens, revocation and permission. `enforce: shadow` lets those pass,
/// and endpoints word them; hygiene, limits and faults of ours refuse all the same.
fn is_of_the_token(reason: Reason) -> bool {
    match reason {
        Reason::NoCredentials
        | Reason::MalformedToken
        | Reason::UntrustedIssuer
        | Reason::UnknownKey
        | Reason::BadSignature
        | Reason::Expired
        | Reason::NotYetValid
        | Reason::LivesTooLong
        | Reason::WrongAudience
        | Reason::WrongType
        | Reason::MissingClaim
        | Reason::Revoked
        | Reason::InsufficientScope
        | Reason::ConditionFailed
        | Reason::KeysUnavailable => true,
        Reason::MalformedRequest
        | Reason::ManyCredentials
        | Reason::GraphqlRejected
        | Reason::NoRoute
        | Reason::MethodNotAllowed
        | Reason::UnsupportedMediaType
        | Reason::UnknownStream
        | Reason::ExpectationFailed
        | Reason::Misdirected
        | Reason::RequestTimeout
        | Reason::BodyTooLarge
        | Reason::HeadersTooLarge
        | Reason::UpstreamFailed
        | Reason::UpstreamTimeout
        | Reason::Overloaded
        | Reason::Internal => false,
    }
}

/// Step 1: default deny.
fn find_route<'s>(snapshot: &'s Snapshot, request: &Request<'_>) -> Result<&'s Arc<CompiledRoute>, Denial> {
    match snapshot.routes.find(request.method, request.host, request.path.as_str()) {
        Match::Route(route) => match request.path {
            Path::Dangerous(_) if !route.config.dangerous_path => Err(dangerous_path()),
            Path::Dangerous(_) | Path::Canonical(_) => Ok(route),
        },
        // What no route has opted into is refused for its spelling before anything is said about routes.
        Match::WrongMethod(_) | Match::Nothing if matches!(request.path, Path::Dangerous(_)) => {
            Err(dangerous_path())
        }
        Match::WrongMethod(allowed) => {
            Err(Denial::new(Reason::MethodNotAllowed, "no route of this path has the method")
                .advice(Advice::Allow(allowed.join(", "))))
        }
        Match::Nothing => Err(Denial::new(Reason::NoRoute, "no route has this host and path")),
    }
}

fn dangerous_path() -> Denial {
    Denial::new(Reason::MalformedRequest, "a path that another parser could read differently")
}

/// What steps 4 to 15 read.
struct Judgement<'j, 'r, 'e, T: Trace> {
    snapshot: &'j Snapshot,
    memo: &'j mut Memo,
    request: &'j Request<'r>,
    evidence: &'j mut Evidence<'e>,
    now: NumericDate,
    trace: &'j mut T,
    route: &'j Arc<CompiledRoute>,
    issuer: &'j mut Option<Arc<IssuerState>>,
    wanted: Wanted<'r>,
}

/// Steps 4 to 15.
fn authorized<T: Trace>(judgement: Judgement<'_, '_, '_, T>) -> Result<Decision, Stop> {
    let Judgement { snapshot, memo, request, evidence, now, trace, route, issuer, wanted } = judgement;
    let Some(requirement) = route.requirement() else {
        return Err(Denial::new(Reason::Internal, "a route without a requirement reached step 4").into());
    };
    let credential = credential::find(request, &route.places)?;
    trace.step("credential", || credential.to_string());

    let token = memo.fingerprint(credential.octets);
    let shown = Shown { credential: &credential, token, route, now };
    let facts = proof::verified(snapshot, memo, evidence, shown, |index| {
        *issuer = snapshot.issuers.get(index).map(Arc::clone);
        trusted(snapshot, route, &credential, index)
    })?;
    // Step 6 on every request: a memo hit says nothing about this route.
    let state = trusted(snapshot, route, &credential, facts.issuer)?;
    *issuer = Some(Arc::clone(state));
    trace.step("issuer", || state.config.name.to_string());
    trace.step("signature", || match (facts.verified.algorithm(), facts.verified.key_id()) {
        (Some(algorithm), Some(kid)) => format!("{} by key {kid}", algorithm.name()),
        (Some(algorithm), None) => algorithm.name().to_owned(),
        (None, _) => "none: it was looked up".to_owned(),
    });

    let checked = Checked { config: &state.config, facts: &facts, now };
    checked.time()?;
    trace.step("time", || "within exp, nbf, iat and the longest life".into());
    if let Err(denial) = &facts.standing {
        return Err(Denial::clone(denial).into());
    }
    trace.step("claims", || "audience, type and required claims".into());
    checked.not_revoked(&snapshot.revocations)?;
    trace.step("revoked", || "no entry applies".into());
    let arguments = wanted.asked.as_ref().map(|asked| asked.arguments.as_slice()).unwrap_or_default();
    checked.permitted(requirement, request, route, snapshot, arguments)?;
    let act = wanted.act;
    let granted = operation::granted((memo, request, evidence), route, wanted, (token, &facts), trace)?;
    trace.step("permission", || "scopes and conditions hold".into());
    let (route, issuer) = (Arc::clone(route), Arc::clone(&state.config));
    Ok(match &route.target {
        Target::Upstream(upward) => {
            let headers = checked.identity_headers(&route.config.forward)?;
            let reserved = act.map(|act| {
                reserved::granted(act, memo.seal.as_ref(), &route, (upward, &issuer), (&facts, now))
            });
            let reserved = reserved.transpose()?.map(Box::new);
            trace.step("grant", || format!("to upstream {}", upward.upstream.name));
            let (upward, identity) = (Arc::clone(upward), Identity::Token { facts, issuer });
            let Granted { asked, narrowed } = granted;
            Decision::Allow(Grant {
                route,
                upward,
                identity,
                headers,
                shadow: None,
                asked,
                narrowed,
                reserved,
            })
        }
        Target::Endpoint(endpoint) => {
            let endpoint = Arc::clone(endpoint);
            trace.step("endpoint", || endpoint.name.to_string());
            Decision::Answer(Called {
                route,
                endpoint,
                issuer: Some(issuer),
                facts: Some(facts),
                refused: None,
            })
        }
    })
}

/// Step 6: the route trusts this issuer, and the issuer's `from` names the place where the token stood.
fn trusted<'s>(
    snapshot: &'s Snapshot,
    route: &CompiledRoute,
    credential: &Credential<'_>,
    index: usize,
) -> Result<&'s Arc<IssuerState>, Denial> {
    let state = snapshot.issuers.get(index);
    let named = route.trusts(index);
    match state {
        Some(state) if named && credential.counts_in(&state.config.from) => Ok(state),
        Some(_) if named => {
            Err(Denial::new(Reason::UntrustedIssuer, "the issuer's tokens do not count in this place"))
        }
        Some(_) | None => Err(Denial::new(Reason::UntrustedIssuer, "the route does not trust this issuer")),
    }
}

#[cfg(test)]
mod tests;
