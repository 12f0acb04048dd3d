//! The desk: a request to an endpoint goes in, an answer comes out.

use std::sync::Arc;

use crate::authority::Authority;
use crate::authority::answer::{self, Refusal};
use crate::authority::clock;
use crate::authority::request::{Asked, Body};
use crate::authority::{discovery, introspect, issue, oauth, refresh, revoke};
use crate::config::Config;
use crate::config::endpoint::Action;
use crate::gate::call::{Answered, AskAuthority, Call};
use crate::metrics::Metrics;
use crate::snapshot::Reader;

/// What endpoints are answered with. One for the process.
pub struct Endpoints {
    /// The registries.
    pub authority: Arc<Authority>,
    /// What requests are decided by: a token that is held out is believed as it would be in one.
    pub reader: Reader,
    metrics: Arc<Metrics>,
}

impl Endpoints {
    /// Of these.
    pub fn new(authority: Arc<Authority>, reader: Reader, metrics: Arc<Metrics>) -> Self {
        Self { authority, reader, metrics }
    }

    /// As the data plane asks.
    pub fn ask(self: Arc<Self>) -> AskAuthority {
        Arc::new(move |call| {
            let here = Arc::clone(&self);
            Box::pin(async move { here.answer(&call).await })
        })
    }

    /// Answers.
    pub async fn answer(&self, call: &Call) -> Answered {
        let body = Body::read(&call.body);
        let outcome = match &body {
            Ok(body) => self.act(Asked::new(call, body)).await,
            Err(_) => Err(Refusal::bad_request()),
        };
        let mut answered = outcome
            .unwrap_or_else(|refusal| answer::refused(call, body.as_ref().ok(), &refusal, clock::now().0));
        if matches!(call.endpoint.action, Action::OAuthToken { .. }) {
            // RFC 6749 section 5.1, for caches of HTTP/1.0; for all others it is said by whoever writes the answer.
            answered.headers.push(("pragma".into(), "no-cache".into()));
        }
        if is_giving(&call.endpoint.action) {
            self.metrics.tokens_issued(&call.endpoint.name, answered.result);
        }
        answered
    }

    async fn act(&self, asked: Asked<'_>) -> Result<Answered, Refusal> {
        match &asked.call.endpoint.action {
            Action::Issue(issue) => issue::issue(self, asked, issue).await,
            Action::Refresh(refresh) => refresh::refresh(self, asked, refresh).await,
            Action::Revoke(revoke) => revoke::revoke(self, asked, revoke).await,
            Action::Introspect { credential, tokens, from } => {
                introspect::introspect(self, asked, credential, tokens, from).await
            }
            Action::KeySet(tokens) => discovery::key_set(self, asked, tokens),
            Action::Metadata(metadata) => discovery::metadata(asked, metadata),
            Action::Resource => discovery::resource(self, asked),
            Action::OAuthToken { clients, access, refresh } => {
                oauth::token(self, asked, oauth::Rules { clients, access, refresh: refresh.as_ref() }).await
            }
        }
    }

    /// What is configured now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.authority.configured.load().config)
    }
}

/// Whether an endpoint gives tokens: those are counted.
fn is_giving(action: &Action) -> bool {
    match action {
        Action::Issue(_) | Action::Refresh(_) | Action::OAuthToken { .. } => true,
        Action::Revoke(_)
        | Action::Introspect { .. }
        | Action::KeySet(_)
        | Action::Metadata(_)
        | Action::Resource => false,
    }
}
