//! Step 2 on a route that judges operations, and the part of step 13 that is theirs.
//!
//! What is asked for is found out before any credential is looked at: whether a token is needed depends on it, so that a
//! public operation is served whatever token came with it, and none of its own makes a difference.

use std::sync::Arc;

use crate::config::defaults::GRAPHQL_CHALLENGE;
use crate::config::graphql::Bound;
use crate::gate::conversation::{self, Conversation};
use crate::gate::denial::{Advice, Denial, Reason, Whole};
use crate::gate::evidence::{BodyAsked, Evidence, Need};
use crate::gate::explain::Trace;
use crate::gate::grant::Narrowed;
use crate::gate::memo::fingerprint::Fingerprint;
use crate::gate::memo::operations::Verdict;
use crate::gate::memo::{Memo, TokenFacts};
use crate::gate::{Request, Stop, narrowed, reserved};
use crate::graphql::asked::{self, Asked, Item};
use crate::graphql::head::{Incoming, Way};
use crate::graphql::plan::Needs;
use crate::graphql::rejected::{Kind, Rejected};
use crate::graphql::reserved::Act;
use crate::policy::route::{CompiledRoute, Target, Upward};

/// What may be run, and what is not sent on of what was asked for.
#[derive(Debug, Default)]
pub(in crate::gate) struct Granted {
    pub(in crate::gate) asked: Option<Arc<Asked>>,
    pub(in crate::gate) narrowed: Option<Box<Narrowed>>,
}

/// What step 2 came to.
pub(in crate::gate) enum Operation<'r> {
    /// The route does not look at operations.
    None,
    /// They come later, in messages.
    Converse(Conversation),
    /// They are for everybody.
    Public(&'r Arc<Upward>, Arc<Asked>),
    /// They need a token, as what a reserved event stream has to do with does.
    Asked(Wanted<'r>),
}

/// What a token is needed for.
#[derive(Debug, Clone, Default)]
pub(in crate::gate) struct Wanted<'r> {
    /// These operations.
    pub(in crate::gate) asked: Option<Arc<Asked>>,
    /// What is done with a reserved event stream.
    pub(in crate::gate) act: Option<Act<'r>>,
}

/// Step 2: what the request asks for.
pub(in crate::gate) fn asked<'r, T: Trace>(
    memo: &mut Memo,
    request: &Request<'r>,
    evidence: &mut Evidence<'_>,
    route: &'r Arc<CompiledRoute>,
    trace: &mut T,
) -> Result<Operation<'r>, Stop> {
    let (Some(rules), Target::Upstream(upward)) = (&route.graphql, &route.target) else {
        return Ok(Operation::None);
    };
    if request.websocket.is_some() && request.message.is_none() {
        // A token that came in a message is decided on by itself: whether the conversation goes on under it.
        if request.presented.is_some() {
            return Ok(Operation::None);
        }
        let conversation = conversation::open(request, route)?;
        trace.step("operation", || "they come in the WebSocket's messages".into());
        return Ok(Operation::Converse(conversation));
    }
    let act = reserved::asked(request, route, rules.config.reserved_streams.is_some()).map_err(refused)?;
    if let Some(act) = act {
        trace.step("stream", || reserved::told(act).into());
        if !matches!(act, Act::Run(_)) {
            return Ok(Operation::Asked(Wanted { asked: None, act: Some(act) }));
        }
    }
    let known = evidence.asked.as_ref().filter(|(by, _)| Arc::ptr_eq(by, rules));
    let asked = match known {
        Some((_, asked)) => Arc::clone(asked),
        None => {
            let mut incoming = incoming(request);
            incoming.elsewhere &= act.is_none();
            if incoming.wants_body(rules).map_err(refused)? {
                let most = match rules.config.limits.body {
                    Bound { warn: true, .. } => usize::MAX,
                    Bound { most, warn: false } => usize::try_from(most).unwrap_or(usize::MAX),
                };
                let Some(body) = evidence.body.as_ref().filter(|body| body.len() <= most) else {
                    return Err(Stop::Need(Need::Body(BodyAsked { most, route: Arc::clone(route) })));
                };
                incoming.give(body);
            }
            let asked = asked::read(rules, &mut memo.operations.documents, &incoming);
            let asked = Arc::new(asked.map_err(refused)?);
            evidence.asked = Some((Arc::clone(rules), Arc::clone(&asked)));
            asked
        }
    };
    trace.step("operation", || told(&asked));
    // Whose a stream is, only a token says.
    match asked.is_public() && act.is_none() {
        true => Ok(Operation::Public(upward, asked)),
        false => Ok(Operation::Asked(Wanted { asked: Some(asked), act })),
    }
}

/// Step 13: what may be run of what was asked for, and what is not sent on of it.
pub(in crate::gate) fn granted<T: Trace>(
    (memo, request, evidence): (&mut Memo, &Request<'_>, &Evidence<'_>),
    route: &CompiledRoute,
    wanted: Wanted<'_>,
    (token, facts): (Fingerprint, &TokenFacts),
    trace: &mut T,
) -> Result<Granted, Denial> {
    let Some(asked) = wanted.asked else { return Ok(Granted::default()) };
    let Err(denial) = permitted(memo, token, facts, &asked) else {
        trace.step("operation", || "every permission that it needs is granted".into());
        return Ok(Granted { asked: Some(asked), narrowed: None });
    };
    // What is answered in a stream could not be told of what is missing.
    let whole = wanted.act.is_some();
    let part =
        if whole { None } else { narrowed::narrow(memo, request, evidence, route, &asked, Some(facts)) };
    match part {
        None => Err(denial),
        Some((part, narrowed)) => {
            trace.step("operation", || narrowed.told());
            Ok(Granted { asked: Some(part), narrowed: Some(narrowed) })
        }
    }
}

/// The token has every permission that every one of the operations needs.
fn permitted(memo: &mut Memo, token: Fingerprint, facts: &TokenFacts, asked: &Asked) -> Result<(), Denial> {
    for item in &asked.items {
        let verdict = Verdict::new(token, facts.epoch, item.plan.serial, item.operation);
        if memo.operations.knows(verdict) {
            continue;
        }
        covered(item, facts)?;
        memo.operations.remember(verdict);
    }
    Ok(())
}

fn covered(item: &Item, facts: &TokenFacts) -> Result<(), Denial> {
    let Some(needs) = item.needs() else {
        return Err(Denial::new(Reason::Internal, "an operation without a plan"));
    };
    if let Some(what) = &needs.denied {
        let detail = format!("nobody may run {what}: no rule knows it");
        return Err(Denial::new(Reason::InsufficientScope, detail));
    }
    match needs.permissions.iter().find(|permission| !facts.granted.covers(permission)) {
        None => Ok(()),
        Some(missing) => {
            Err(Denial::new(Reason::InsufficientScope, format!("the token does not have {missing}"))
                .advice(Advice::Scope(challenge(&needs.permissions, missing))))
        }
    }
}

/// What a challenge says is needed: all of it, unless that is more than belongs into a header.
fn challenge(permissions: &[Box<str>], missing: &str) -> String {
    let octets: usize = permissions.iter().map(|permission| permission.len() + 1).sum();
    if octets > GRAPHQL_CHALLENGE { missing.to_owned() } else { permissions.join(" ") }
}

/// The request as far as its operations are concerned.
fn incoming<'i>(request: &Request<'i>) -> Incoming<'i> {
    let Some(message) = request.message else {
        let way = Way::Request { method: request.method, query: request.query, body: None };
        let mut incoming = Incoming { way, ..Incoming::default() };
        for field in request.headers {
            incoming.field(field.name, field.value);
        }
        return incoming;
    };
    Incoming { way: Way::Message(message), ..Incoming::default() }
}

/// What is rejected, as a refusal.
fn refused(rejected: Rejected) -> Denial {
    let reason = match rejected.kind {
        Kind::Rejected | Kind::NotFound => Reason::GraphqlRejected,
        Kind::TooLarge => Reason::BodyTooLarge,
        Kind::MediaType => Reason::UnsupportedMediaType,
        Kind::Method => Reason::MethodNotAllowed,
    };
    let (what, list) = (rejected.message.clone(), rejected.list);
    let whole = (list > 0).then(|| Box::new(Whole { list, ..Whole::default() }));
    Denial { whole, ..Denial::new(reason, what).advice(Advice::Operation(Box::new(rejected))) }
}

/// A denial of operations, with what its answer has to say of them.
pub(in crate::gate) fn told_of(denial: Denial, asked: &Asked, route: &CompiledRoute) -> Denial {
    let list = if asked.batch { asked.items.len() } else { 0 };
    let of = |item: &Item| {
        let fields = item.planned().map(|planned| planned.fields.iter()).into_iter().flatten();
        fields.map(|field| field.key.clone()).collect()
    };
    let compat = route.graphql.as_ref().is_some_and(|rules| rules.config.compat);
    if list == 0 && !compat {
        return denial;
    }
    let keys = if compat { asked.items.iter().map(of).collect() } else { Vec::new() };
    Denial { whole: Some(Box::new(Whole { list, keys })), ..denial }
}

/// The operations in words.
fn told(asked: &Asked) -> String {
    let one = |item: &Item| {
        let Some(planned) = item.planned() else { return "none".to_owned() };
        let fields: Vec<&str> = planned.fields.iter().map(|field| &*field.name).collect();
        let name = planned.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{name} {{{}}}: {}", planned.kind.name(), fields.join(" "), needed(&planned.needs))
    };
    let mut told = asked.items.iter().map(one).collect::<Vec<_>>().join("; ");
    let warned = asked.warned();
    if !warned.is_empty() {
        told += &format!("; only warned of: {}", warned.join(" "));
    }
    for hash in &asked.unlisted {
        told += &format!("; sha256:{hash} is not on the safelist");
    }
    told
}

fn needed(needs: &Needs) -> String {
    match (&needs.denied, needs.token) {
        (Some(what), _) => format!("nobody may ({what})"),
        (None, false) => "for everybody".to_owned(),
        (None, true) if needs.permissions.is_empty() => "needs a token".to_owned(),
        (None, true) => format!("needs {}", needs.permissions.join(" ")),
    }
}
