//! A route's series: what it answered, how fast, and what was decided.

use std::sync::Arc;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use crate::gate::denial::Reason;
use crate::metrics::cells::Cells;
use crate::metrics::{REQUEST_BUCKETS, label, must, registered, unregister};

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The request went on.
    Allow,
    /// It was refused.
    Refuse,
    /// It would have been refused, and went on because the route is in shadow.
    ShadowRefuse,
}

/// One route's collectors, registered for as long as the route is configured.
#[derive(Debug, Clone)]
pub(crate) struct RouteSeries {
    requests: IntCounterVec,
    duration: Histogram,
    decisions: IntCounterVec,
    warnings: IntCounterVec,
}

/// One route's handle. Cloning shares it.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    series: RouteSeries,
    children: Arc<Children>,
}

#[derive(Debug)]
struct Children {
    requests: Cells<(&'static str, u16), IntCounter>,
    decisions: Cells<DecisionKey, IntCounter>,
}

#[derive(Debug, PartialEq)]
struct DecisionKey {
    issuer: Box<str>,
    decision: Decision,
    reason: Option<Reason>,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Refuse, Self::ShadowRefuse];

    /// Its label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
            Self::ShadowRefuse => "shadow_refuse",
        }
    }
}

impl RouteSeries {
    pub(crate) fn new(registry: &Registry, route: &str) -> Self {
        let requests = Opts::new("portcullis_http_requests_total", "Requests answered");
        let duration = HistogramOpts::new(
            "portcullis_http_request_duration_seconds",
            "From a request's first octet to the last of its answer",
        );
        let decisions = Opts::new("portcullis_decisions_total", "Decisions, with the reason of each refusal");
        let warnings = Opts::new(
            "portcullis_graphql_warnings_total",
            "Requests and messages of GraphQL let pass although past a limit that only warns, or on no safelist, by which",
        );
        Self {
            requests: registered(
                registry,
                must(IntCounterVec::new(requests.const_label("route", route), &["method", "status"])),
            ),
            duration: registered(
                registry,
                must(Histogram::with_opts(
                    duration.const_label("route", route).buckets(REQUEST_BUCKETS.to_vec()),
                )),
            ),
            decisions: registered(
                registry,
                must(IntCounterVec::new(
                    decisions.const_label("route", route),
                    &["issuer", "decision", "reason"],
                )),
            ),
            warnings: registered(
                registry,
                must(IntCounterVec::new(warnings.const_label("route", route), &["warning"])),
            ),
        }
    }

    pub(crate) fn unregister(self, registry: &Registry) {
        unregister(registry, self.requests);
        unregister(registry, self.duration);
        unregister(registry, self.decisions);
        unregister(registry, self.warnings);
    }

    pub(crate) fn forget_issuer(&self, issuer: &str) {
        let reasons = Reason::ALL.into_iter().map(Some).chain([None]);
        for reason in reasons {
            for decision in Decision::ALL {
                let labels = [issuer, decision.name(), reason_label(reason)];
                let _was_never_counted = self.decisions.remove_label_values(&labels);
            }
        }
    }
}

impl RouteMetrics {
    pub(crate) fn new(series: &RouteSeries) -> Self {
        let children = Children { requests: Cells::new(), decisions: Cells::new() };
        Self { series: series.clone(), children: Arc::new(children) }
    }

    /// A request was answered. `method` is as the client sent it.
    pub fn request(&self, method: &str, status: u16, seconds: f64) {
        let method = label::method(method.as_bytes());
        let status = label::status(status).unwrap_or(0);
        self.children.requests.with(
            |key| *key == (method, status),
            || {
                let text = if status == 0 { label::OTHER.to_owned() } else { status.to_string() };
                ((method, status), self.series.requests.with_label_values(&[method, &text]))
            },
            IntCounter::inc,
        );
        self.series.duration.observe(seconds);
    }

    /// An operation was let pass that is past a bound, or on no safelist, that only warns; `what` is of a closed set.
    pub fn operation_warned(&self, what: &'static str) {
        self.series.warnings.with_label_values(&[what]).inc();
    }

    /// A decision was made about a token of this issuer (its name in the configuration; empty if none was
    /// found out), for this reason unless it allowed.
    pub fn decision(&self, issuer: &str, decision: Decision, reason: Option<Reason>) {
        let issuer = if issuer.is_empty() { label::NONE } else { issuer };
        self.children.decisions.with(
            |key| key.decision == decision && key.reason == reason && *key.issuer == *issuer,
            || {
                let labels = [issuer, decision.name(), reason_label(reason)];
                let child = self.series.decisions.with_label_values(&labels);
                (DecisionKey { issuer: issuer.into(), decision, reason }, child)
            },
            IntCounter::inc,
        );
    }
}

fn reason_label(reason: Option<Reason>) -> &'static str {
    reason.map_or(label::NONE, Reason::code)
}
