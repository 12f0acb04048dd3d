//! What is noted of a request while it is served: its metrics, and one line in the log if that is asked for.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Issuer;
use crate::config::endpoint::Errors;
use crate::gate::call::Called;
use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::grant::{Grant, Identity};
use crate::graphql::asked::Asked as Operations;
use crate::metrics::label;
use crate::metrics::route::{Decision, RouteMetrics};
use crate::metrics::upstream::UpstreamMetrics;
use crate::policy::route::CompiledRoute;
use crate::proxy::request_id::RequestId;
use crate::proxy::worker::{UpstreamView, View};

/// Octets of a client's text that a line shows.
const SHOWN: usize = 256;

/// One request's record.
pub(in crate::proxy) struct Record {
    pub(in crate::proxy) id: RequestId,
    pub(in crate::proxy) started: Instant,
    /// Who sent it, as far as is known.
    pub(in crate::proxy) client: IpAddr,
    method: &'static str,
    path: String,
    route: Option<Arc<CompiledRoute>>,
    view: Option<Rc<View>>,
    decision: Option<Decision>,
    reason: Option<Reason>,
    detail: Cow<'static, str>,
    issuer: Option<Arc<Issuer>>,
    subject: Option<String>,
    /// What an endpoint made of it, of a closed set.
    result: Option<&'static str>,
    /// Bounds of GraphQL that only warn, and what is on no safelist that only logs.
    warned: Option<Box<str>>,
    generation: u64,
    decided: Option<Instant>,
    pub(in crate::proxy) upstream: Option<Duration>,
    logged: bool,
    /// When it was counted.
    counted: Option<Instant>,
}

impl Record {
    /// Begins one. Where nothing is `logged`, nothing is copied.
    pub(in crate::proxy) fn begin(id: RequestId, started: Instant, client: IpAddr, logged: bool) -> Self {
        Self {
            id,
            started,
            client,
            method: "",
            path: String::new(),
            route: None,
            view: None,
            decision: None,
            reason: None,
            detail: Cow::Borrowed(""),
            issuer: None,
            subject: None,
            result: None,
            warned: None,
            generation: 0,
            decided: None,
            upstream: None,
            logged,
            counted: None,
        }
    }

    /// Its decision has waited for something.
    pub(in crate::proxy) fn waited(&mut self) {
        self.decided = Some(Instant::now());
    }

    /// It is decided. Without having waited it was so at once, and only a line of the log says how many microseconds that is.
    pub(in crate::proxy) fn decided(&mut self) {
        if self.logged {
            self.decided = Some(Instant::now());
        }
    }

    /// When it was decided; as good as that, where nothing was waited for.
    pub(in crate::proxy) fn decided_at(&self) -> Instant {
        self.decided.unwrap_or(self.started)
    }

    /// From the request's first octet to its decision.
    pub(in crate::proxy) fn decision_took(&self) -> Duration {
        self.decided_at().saturating_duration_since(self.started)
    }

    /// The request line, without its query: a query may hold a credential.
    pub(in crate::proxy) fn request(&mut self, method: &[u8], path: &[u8]) {
        self.method = label::method(method);
        if self.logged {
            self.path = shown(&String::from_utf8_lossy(path));
        }
    }

    /// What the decision read.
    pub(in crate::proxy) fn read(&mut self, generation: u64, view: Rc<View>) {
        self.generation = generation;
        self.view = Some(view);
    }

    /// Its upstream has begun to answer what it was asked then.
    pub(in crate::proxy) fn answered(&mut self, asked: Instant, metrics: &UpstreamMetrics) {
        let took = asked.elapsed();
        self.upstream = Some(took);
        metrics.observe(took.as_secs_f64());
    }

    /// The upstream in the table that the decision read.
    pub(in crate::proxy) fn upstream_view(&self, grant: &Grant) -> Option<&Rc<UpstreamView>> {
        self.view.as_ref()?.upstream(grant.upstream_index())
    }

    /// The matched route's answers to refusals, or those of the file where the decision found no route.
    pub(in crate::proxy) fn errors(&self) -> Option<&Errors> {
        match &self.route {
            Some(route) => route.config.errors.as_deref(),
            None => self.view.as_ref()?.errors(),
        }
    }

    /// It is for an endpoint whose clients are those of OAuth 2.0.
    pub(in crate::proxy) fn is_oauth(&self) -> bool {
        let endpoint = self.route.as_ref().and_then(|route| route.config.endpoint.as_ref());
        endpoint.is_some_and(|endpoint| endpoint.is_oauth())
    }

    /// It was granted.
    pub(in crate::proxy) fn granted(&mut self, grant: &Grant) {
        self.route = Some(Arc::clone(grant.route()));
        self.decision = Some(Decision::Allow);
        if let Identity::Token { facts, issuer } = grant.identity() {
            if let Some(metrics) = self.view.as_ref().and_then(|view| view.issuers.get(facts.issuer)) {
                metrics.key_use(facts.verified.key_id());
            }
            self.issuer = Some(Arc::clone(issuer));
            if self.logged {
                self.subject = facts.subject().map(|subject| hashed(&issuer.issuer, subject));
            }
        }
        if let Some(denial) = grant.shadow() {
            self.decision = Some(Decision::ShadowRefuse);
            self.why(denial);
        }
        if let Some(asked) = grant.asked() {
            self.warned(asked);
        }
    }

    /// Counts what is only warned of, each once, and notes it.
    fn warned(&mut self, asked: &Operations) {
        let warned = asked.warned();
        if warned.is_empty() {
            return;
        }
        if let Some(view) = &self.view {
            warned.iter().for_each(|warning| self.metrics(view).operation_warned(warning));
        }
        if self.logged {
            let unlisted = asked.unlisted.iter().map(|hash| format!(" sha256:{hash}"));
            self.warned = Some((warned.join(" ") + &unlisted.collect::<String>()).into());
        }
    }

    /// It was refused.
    pub(in crate::proxy) fn refused(&mut self, refusal: &Refusal) {
        self.route.clone_from(&refusal.route);
        self.issuer.clone_from(&refusal.issuer);
        self.decision = Some(Decision::Refuse);
        self.why(&refusal.denial);
    }

    /// An endpoint is asked, and told if its token is refused.
    pub(in crate::proxy) fn called(&mut self, called: &Called) {
        self.route = Some(Arc::clone(called.route()));
        self.issuer = called.issuer().cloned();
        self.decision = Some(Decision::Allow);
        if let (Some(issuer), Some(facts)) = (called.issuer(), called.facts()) {
            if let Some(metrics) = self.view.as_ref().and_then(|view| view.issuers.get(facts.issuer)) {
                metrics.key_use(facts.verified.key_id());
            }
            if self.logged {
                self.subject = facts.subject().map(|subject| hashed(&issuer.issuer, subject));
            }
        }
        if let Some(denial) = called.refused() {
            self.refused_after(denial);
        }
    }

    /// What an endpoint made of it.
    pub(in crate::proxy) fn made(&mut self, result: &'static str) {
        self.result = Some(result);
    }

    /// It was granted, and that counts for nothing.
    pub(in crate::proxy) fn refused_after(&mut self, denial: &Denial) {
        self.decision = Some(Decision::Refuse);
        self.why(denial);
    }

    /// It was granted, and failed after that.
    pub(in crate::proxy) fn failed(&mut self, denial: &Denial) {
        self.why(denial);
    }

    /// A conversation on this route was begun.
    pub(in crate::proxy) fn converses(&mut self, route: &Arc<CompiledRoute>) {
        self.route = Some(Arc::clone(route));
    }

    /// A preflight of this route was answered.
    pub(in crate::proxy) fn preflight(&mut self, route: &Arc<CompiledRoute>) {
        self.route = Some(Arc::clone(route));
    }

    fn why(&mut self, denial: &Denial) {
        self.reason = Some(denial.reason);
        if self.logged {
            self.detail.clone_from(&denial.detail);
        }
    }

    /// Counts it, once. An answer of our own is counted before it is sent: whoever has read it finds it counted.
    pub(in crate::proxy) fn count(&mut self, status: u16) {
        // Nothing needs the table after this, and a long stream would keep it alive.
        let Some(view) = self.view.take().filter(|_| self.counted.is_none()) else { return };
        let metrics = self.metrics(&view);
        let now = Instant::now();
        metrics.request(self.method, status, now.saturating_duration_since(self.started).as_secs_f64());
        self.counted = Some(now);
        self.count_decision(metrics);
    }

    /// Counts the decision alone: it was about a stream that goes on, or does not, or an operation within one, and not
    /// about a request.
    pub(in crate::proxy) fn end_within(mut self, what: &str) {
        if let Some(view) = self.view.take() {
            self.count_decision(self.metrics(&view));
        }
        if self.logged {
            let refused = self.reason.filter(|_| self.decision == Some(Decision::Refuse));
            self.write(what, refused.map_or(101, Reason::status), self.started.elapsed());
        }
    }

    fn count_decision(&self, metrics: &RouteMetrics) {
        if let Some(decision) = self.decision {
            let decided = match decision {
                Decision::Allow => None,
                Decision::Refuse | Decision::ShadowRefuse => self.reason,
            };
            metrics.decision(self.issuer(), decision, decided);
        }
    }

    /// Ends it, at the moment that it returns: counts, and writes the line. `status` 0 says that no answer was sent.
    pub(in crate::proxy) fn end(mut self, status: u16) -> Instant {
        let before = self.counted.is_some();
        self.count(status);
        // An answer of our own was counted before it was sent.
        let now = self.counted.filter(|_| !before).unwrap_or_else(Instant::now);
        if self.logged {
            self.write("request", status, now.saturating_duration_since(self.started));
        }
        now
    }

    /// The issuer's name; empty if none was found out.
    fn issuer(&self) -> &str {
        self.issuer.as_ref().map_or("", |issuer| &issuer.name)
    }

    fn metrics<'v>(&self, view: &'v View) -> &'v RouteMetrics {
        let index = self.route.as_ref().map(|route| route.index);
        index.and_then(|index| view.by_route.get(index)).unwrap_or(&view.unmatched)
    }

    fn write(&self, what: &str, status: u16, took: Duration) {
        let route = self.route.as_ref().map_or("none", |route| &*route.config.name);
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "portcullis::access",
            request_id = %self.id,
            client = %self.client,
            method = %self.method,
            path = %self.path,
            route,
            status,
            decision = self.decision.map_or("none", Decision::name),
            reason = self.reason.map_or("none", Reason::code),
            detail = %self.detail,
            issuer = %self.issuer(),
            subject = self.subject.as_deref().unwrap_or_default(),
            result = self.result,
            warned = self.warned.as_deref(),
            generation = self.generation,
            took_us = micros(took),
            decide_us = self.decided.map(|at| micros(at.duration_since(self.started))),
            upstream_us = self.upstream.map(micros),
            "{what}"
        );
    }
}

/// Cut to what a line shows, every octet beyond visible ASCII escaped (threats O1).
fn shown(text: &str) -> String {
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].escape_default().to_string()
}

/// A subject that lines can be matched by and nobody is named by: SHA-256 over the issuer and it, cut.
fn hashed(issuer: &str, subject: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(issuer.as_bytes());
    context.update(&[0]);
    context.update(subject.as_bytes());
    context.finish().as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect()
}
