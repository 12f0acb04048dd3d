//! The same decision, told step by step: what `portcullis explain` and `portcullis test` run.

use std::borrow::Cow;

use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::evidence::{Evidence, KeysAnswer, Need, RecordAnswer, RecordFound};
use crate::gate::memo::Memo;
use crate::gate::{Decision, Request, decide_traced};
use crate::snapshot::Snapshot;
use crate::token::NumericDate;

/// Told each step that was passed.
pub trait Trace {
    /// `name` was passed; `what` says with what, if anybody listens.
    fn step(&mut self, name: &'static str, what: impl FnOnce() -> String);
}

/// Nobody listens: the request path.
#[derive(Debug)]
pub struct Silent;

impl Trace for Silent {
    fn step(&mut self, _: &'static str, _: impl FnOnce() -> String) {}
}

impl Trace for Vec<(&'static str, String)> {
    fn step(&mut self, name: &'static str, what: impl FnOnce() -> String) {
        self.push((name, what()));
    }
}

/// A decision, told.
#[derive(Debug)]
pub struct Explanation {
    /// The steps that were passed, in order, and with what.
    pub steps: Vec<(&'static str, String)>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a decision ended.
#[derive(Debug)]
pub enum Outcome {
    /// It would be forwarded.
    Allowed {
        /// As this route.
        route: String,
        /// By a token of this issuer, unless public.
        issuer: Option<String>,
        /// For this subject.
        subject: Option<String>,
        /// With these identity headers.
        headers: Vec<(Box<str>, String)>,
        /// Although, were the route not `enforce: shadow`, it would be refused with this.
        shadow: Option<Denial>,
    },
    /// One of the gateway's own endpoints would answer it.
    Endpoint {
        /// As this route.
        route: String,
        /// Which endpoint.
        endpoint: String,
        /// By a token of this issuer, unless public.
        issuer: Option<String>,
        /// For this subject.
        subject: Option<String>,
        /// It would answer that the token is refused, with this.
        refused: Option<Denial>,
    },
    /// It would be answered here, as a CORS preflight.
    Preflight {
        /// Of this route.
        route: String,
    },
    /// Its handshake would be answered here, and each message decided by itself.
    Conversation {
        /// On this route.
        route: String,
    },
    /// It would be refused.
    Refused(Refusal),
}

/// Decides as production does, verifying at once. Keys that would have to be fetched are unavailable, and so is whoever
/// knows a token that would have to be looked up.
pub fn explain(snapshot: &Snapshot, request: &Request<'_>, now: NumericDate) -> Explanation {
    explain_with(snapshot, request, &[], now)
}

/// The same of a request with this body.
pub fn explain_with(
    snapshot: &Snapshot,
    request: &Request<'_>,
    body: &[u8],
    now: NumericDate,
) -> Explanation {
    // A memo that starts empty remembers nothing that could matter; its key guards against nobody.
    let mut memo = Memo::new([0; 16], 1 << 20);
    let mut evidence = Evidence::default();
    let mut asked = None;
    loop {
        let mut steps = Vec::new();
        let decision = decide_traced(snapshot, &mut memo, request, &mut evidence, now, &mut steps);
        steps.extend(asked.take().map(|names| ("record", names)));
        match decision {
            Decision::Need(Need::Keys(_)) => evidence.keys = Some(KeysAnswer::Unavailable),
            Decision::Need(Need::Record(looked_up)) => {
                let names: Vec<&str> =
                    looked_up.candidates.iter().map(|(_, _, issuer)| &*issuer.name).collect();
                asked = Some(format!("to be looked up by {}: nobody is asked here", names.join(", ")));
                evidence.record = Some(RecordFound { asked: looked_up, answer: RecordAnswer::Unavailable });
            }
            Decision::Need(Need::Body(wanted)) if body.len() > wanted.most => {
                let denial = Denial::new(Reason::BodyTooLarge, "the body is larger than the route reads");
                return Explanation { steps, outcome: Outcome::Refused(wanted.refused(denial)) };
            }
            Decision::Need(Need::Body(_)) => evidence.body = Some(Cow::Borrowed(body)),
            Decision::Converse(conversation) => {
                let route = conversation.route().config.name.to_string();
                return Explanation { steps, outcome: Outcome::Conversation { route } };
            }
            Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
            Decision::Refuse(refusal) => return Explanation { steps, outcome: Outcome::Refused(refusal) },
            Decision::Preflight(preflight) => {
                let route = preflight.route.config.name.to_string();
                return Explanation { steps, outcome: Outcome::Preflight { route } };
            }
            Decision::Answer(called) => {
                let outcome = Outcome::Endpoint {
                    route: called.route().config.name.to_string(),
                    endpoint: called.endpoint().name.to_string(),
                    issuer: called.issuer().map(|issuer| issuer.name.to_string()),
                    subject: called.facts().and_then(|facts| facts.subject()).map(str::to_owned),
                    refused: called.refused().cloned(),
                };
                return Explanation { steps, outcome };
            }
            Decision::Allow(grant) => {
                let outcome = Outcome::Allowed {
                    route: grant.route().config.name.to_string(),
                    issuer: grant.identity().issuer().map(str::to_owned),
                    subject: grant.identity().subject().map(str::to_owned),
                    headers: grant.headers().to_vec(),
                    shadow: grant.shadow().cloned(),
                };
                return Explanation { steps, outcome };
            }
        }
    }
}
