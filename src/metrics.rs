//! Every metric family, its labels and its buckets, on a registry of our own.
//!
//! Labels come from closed sets: names out of the configuration, and enums. What a client sends becomes a label
//! only after [`label`] has mapped it to one of a fixed list, so that the number of series is bounded by the
//! configuration and never by traffic (threats D9).
//!
//! The hot path holds resolved handles ([`RouteMetrics`], [`UpstreamMetrics`], …): a request then costs atomic
//! additions and a short scan, no hashing of strings. Handles are cheap and belong to one generation: resolve
//! them again after a reload, because [`Metrics::retain`] drops the series of what left the configuration.

mod cells;
pub mod connection;
pub mod issuer;
pub mod label;
pub mod revocation;
pub mod route;
pub mod stream;
pub mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::config::address::Address;
use crate::metrics::connection::{ConnectionMetrics, ConnectionSeries};
use crate::metrics::issuer::{IssuerMetrics, IssuerSeries};
use crate::metrics::revocation::RevocationMetrics;
use crate::metrics::route::{RouteMetrics, RouteSeries};
use crate::metrics::stream::StreamMetrics;
use crate::metrics::upstream::{UpstreamMetrics, UpstreamSeries};
use crate::token::Algorithm;

/// Every family this version can feed. Dashboards and alert rules are held to this list.
pub const FAMILIES: &[&str] = &[
    "portcullis_build_info",
    "portcullis_config_generation",
    "portcullis_config_last_reload_success",
    "portcullis_config_reloads_total",
    "portcullis_connections",
    "portcullis_connections_unserved_total",
    "portcullis_decisions_total",
    "portcullis_graphql_warnings_total",
    "portcullis_http_request_duration_seconds",
    "portcullis_http_requests_total",
    "portcullis_jwks_age_seconds",
    "portcullis_jwks_fetches_total",
    "portcullis_jwks_keys",
    "portcullis_jwks_last_success_timestamp_seconds",
    "portcullis_key_uses_total",
    "portcullis_panics_total",
    "portcullis_process_id",
    "portcullis_process_start_time_seconds",
    "portcullis_revocation_apply_lag_seconds",
    "portcullis_revocation_entries",
    "portcullis_streams_closed_total",
    "portcullis_token_verify_seconds",
    "portcullis_tokens_issued_total",
    "portcullis_upstream_duration_seconds",
    "portcullis_upstream_requests_in_flight",
    "portcullis_verified_cache_entries",
    "portcullis_verified_cache_evictions_total",
    "portcullis_verified_cache_hits_total",
    "portcullis_verified_cache_misses_total",
];

/// Buckets of request durations, in seconds: those OpenTelemetry advises for `http.server.request.duration`.
const REQUEST_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Buckets of signature verification, in seconds: HMAC takes half a microsecond, ES384 about 200, and what
/// lies beyond a millisecond waited for a core.
const VERIFY_BUCKETS: &[f64] =
    &[0.000_001, 0.000_005, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1];

/// The registry and what is resolved from it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    routes: Mutex<HashMap<Box<str>, RouteSeries>>,
    issuers: Mutex<BTreeMap<Box<str>, IssuerSeries>>,
    upstreams: Mutex<HashMap<Box<str>, UpstreamSeries>>,
    verify: HistogramVec,
    connections: ConnectionSeries,
    revocations: RevocationMetrics,
    reloads: IntCounterVec,
    reload_success: IntGauge,
    generation: IntGauge,
    panics: IntCounter,
    issued: IntCounterVec,
    process_id: IntGauge,
    process_start: IntGauge,
    cache: CacheMetrics,
    streams: StreamMetrics,
}

/// One algorithm's handle.
#[derive(Debug, Clone)]
pub struct VerifyMetrics {
    duration: Histogram,
}

/// The handle of the memo of verified tokens; all workers share the counters.
#[derive(Debug, Clone)]
pub struct CacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
    evictions: IntCounter,
    entries: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A new registry with every family that has no label from the configuration.
    pub fn new() -> Self {
        let registry = Registry::new();
        let build_info =
            int_gauge_vec("portcullis_build_info", "Always 1; the label says what runs", &["version"]);
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register(&registry, build_info);
        let metrics = Self {
            routes: Mutex::default(),
            issuers: Mutex::default(),
            upstreams: Mutex::default(),
            verify: registered(
                &registry,
                must(HistogramVec::new(
                    HistogramOpts::new(
                        "portcullis_token_verify_seconds",
                        "Time one signature took, by algorithm; hits of the memo are not in it",
                    )
                    .buckets(VERIFY_BUCKETS.to_vec()),
                    &["algorithm"],
                )),
            ),
            connections: ConnectionSeries::new(&registry),
            revocations: RevocationMetrics::new(&registry),
            reloads: registered(
                &registry,
                must(IntCounterVec::new(
                    Opts::new("portcullis_config_reloads_total", "Reloads, by what came of them"),
                    &["result"],
                )),
            ),
            reload_success: registered(
                &registry,
                int_gauge(
                    "portcullis_config_last_reload_success",
                    "Whether the last load or reload was taken",
                ),
            ),
            generation: registered(
                &registry,
                int_gauge("portcullis_config_generation", "Generation of the snapshot that decides"),
            ),
            panics: registered(
                &registry,
                counter(
                    "portcullis_panics_total",
                    "Faults of the gateway itself that failed one request or task",
                ),
            ),
            issued: registered(&registry, requests_for_tokens()),
            process_id: registered(
                &registry,
                int_gauge("portcullis_process_id", "The process that answers: another one after an upgrade"),
            ),
            process_start: registered(
                &registry,
                int_gauge("portcullis_process_start_time_seconds", "When it started, in Unix seconds"),
            ),
            cache: CacheMetrics::new(&registry),
            streams: StreamMetrics::new(&registry),
            registry,
        };
        metrics.begin();
        metrics
    }

    /// Closed label sets start at 0, so that a first increase is an increase.
    fn begin(&self) {
        for result in ["success", "failure"] {
            self.reloads.with_label_values(&[result]).inc_by(0);
        }
    }

    /// A fresh handle for a route, by its metric label (`none` for what matched no route).
    pub fn route(&self, route: &str) -> RouteMetrics {
        let mut routes = lock(&self.routes);
        if let Some(series) = routes.get(route) {
            return RouteMetrics::new(series);
        }
        let series = RouteSeries::new(&self.registry, route);
        let handle = RouteMetrics::new(&series);
        routes.insert(route.into(), series);
        handle
    }

    /// A handle for an upstream. All handles of a name count the same requests, until it is forgotten.
    pub fn upstream(&self, name: &str) -> UpstreamMetrics {
        let mut upstreams = lock(&self.upstreams);
        let new = || UpstreamSeries::new(&self.registry, name);
        upstreams.entry(name.into()).or_insert_with(new).handle()
    }

    /// A fresh handle for an issuer, by its name in the configuration.
    pub fn issuer(&self, name: &str) -> IssuerMetrics {
        self.with_issuer(name, |series| IssuerMetrics::new(series))
    }

    /// A handle for an algorithm.
    pub fn verify(&self, algorithm: Algorithm) -> VerifyMetrics {
        VerifyMetrics { duration: self.verify.with_label_values(&[algorithm.name()]) }
    }

    /// The handle of the memo of verified tokens.
    pub fn cache(&self) -> CacheMetrics {
        self.cache.clone()
    }

    /// What is told of the set of revocations.
    pub fn revocations(&self) -> &RevocationMetrics {
        &self.revocations
    }

    /// The handle of long streams that have ended.
    pub fn streams(&self) -> StreamMetrics {
        self.streams.clone()
    }

    /// A handle for a listener, by its configured address.
    pub fn connections(&self, listener: &Address) -> ConnectionMetrics {
        self.connections.of(&listener.to_string())
    }

    /// A key fetch of this issuer ended; `result` is a word of the fetcher's own closed list.
    pub fn jwks_fetch(&self, issuer: &str, result: &'static str) {
        self.with_issuer(issuer, |series| series.fetch(result));
    }

    /// What is known of a fetched issuer's keys: how many, and when they last arrived (Unix seconds). Their age
    /// is worked out when the metrics are read.
    pub fn jwks_state(&self, issuer: &str, keys: usize, last_success_unix: Option<i64>) {
        self.with_issuer(issuer, |series| series.state(keys, last_success_unix));
    }

    /// The key ids an issuer has now: the `key_uses` series of any other id are dropped, so that rotation
    /// does not pile them up.
    pub fn key_ids<'k>(&self, issuer: &str, ids: impl IntoIterator<Item = &'k str>) {
        let ids: Vec<&str> = ids.into_iter().collect();
        self.with_issuer(issuer, |series| series.keep_keys(&ids));
    }

    /// A reload (or the first load) ended; `generation` is the one in force after it.
    pub fn config_reload(&self, success: bool, generation: u64) {
        self.reloads.with_label_values(&[if success { "success" } else { "failure" }]).inc();
        self.reload_success.set(i64::from(success));
        self.generation(generation);
    }

    /// A snapshot of this generation was published.
    pub fn generation(&self, generation: u64) {
        self.generation.set(clamped(generation));
    }

    /// A request for tokens was answered; `result` is of a closed set.
    pub fn tokens_issued(&self, endpoint: &str, result: &'static str) {
        self.issued.with_label_values(&[endpoint, result]).inc();
    }

    /// Which process this is, and when it started (Unix seconds).
    pub fn process(&self, id: u32, started_unix: u64) {
        self.process_id.set(i64::from(id));
        self.process_start.set(clamped(started_unix));
    }

    /// The gateway's own code failed somewhere.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Drops every series of this route.
    pub fn forget_route(&self, route: &str) {
        if let Some(series) = lock(&self.routes).remove(route) {
            series.unregister(&self.registry);
        }
    }

    /// Drops every series of this issuer, also those of decisions about its tokens.
    pub fn forget_issuer(&self, issuer: &str) {
        if let Some(series) = lock(&self.issuers).remove(issuer) {
            series.unregister(&self.registry);
        }
        for route in lock(&self.routes).values() {
            route.forget_issuer(issuer);
        }
    }

    /// Drops every series of this upstream.
    pub fn forget_upstream(&self, upstream: &str) {
        if let Some(series) = lock(&self.upstreams).remove(upstream) {
            series.unregister(&self.registry);
        }
    }

    /// Drops the series of every route, issuer and upstream that is not named here (the route `none` stays).
    /// Called after a reload was published.
    pub fn retain(&self, routes: &[&str], issuers: &[&str], upstreams: &[&str]) {
        let gone = |known: Vec<Box<str>>, stay: &[&str]| -> Vec<Box<str>> {
            known.into_iter().filter(|name| !stay.contains(&&**name)).collect()
        };
        let known = lock(&self.routes).keys().cloned().collect();
        gone(known, routes)
            .iter()
            .filter(|name| ***name != *label::NONE)
            .for_each(|name| self.forget_route(name));
        let known = lock(&self.issuers).keys().cloned().collect();
        gone(known, issuers).iter().for_each(|name| self.forget_issuer(name));
        let known = lock(&self.upstreams).keys().cloned().collect();
        gone(known, upstreams).iter().for_each(|name| self.forget_upstream(name));
    }

    /// The Prometheus text format, version 0.0.4. `now_unix` dates the ages in it.
    pub fn render(&self, now_unix: i64) -> String {
        for series in lock(&self.issuers).values() {
            series.age(now_unix);
        }
        for series in lock(&self.upstreams).values() {
            series.count();
        }
        let mut text = String::new();
        if TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).is_err() {
            // Encoding to a String fails only for a family without metrics, which `gather` leaves out.
            text.clear();
        }
        text
    }

    fn with_issuer<T>(&self, name: &str, then: impl FnOnce(&mut IssuerSeries) -> T) -> T {
        let mut issuers = lock(&self.issuers);
        then(issuers.entry(name.into()).or_insert_with(|| IssuerSeries::new(&self.registry, name)))
    }
}

impl VerifyMetrics {
    /// A signature took this long.
    pub fn observe(&self, seconds: f64) {
        self.duration.observe(seconds);
    }
}

impl CacheMetrics {
    fn new(registry: &Registry) -> Self {
        let new = |name, what| registered(registry, counter(name, what));
        Self {
            hits: new("portcullis_verified_cache_hits_total", "Tokens found in the memo of verified tokens"),
            misses: new("portcullis_verified_cache_misses_total", "Tokens not found in it"),
            evictions: new(
                "portcullis_verified_cache_evictions_total",
                "Live entries that made room for others",
            ),
            entries: registered(
                registry,
                int_gauge("portcullis_verified_cache_entries", "Entries it holds, all workers together"),
            ),
        }
    }

    /// A token was in the memo.
    pub fn hit(&self) {
        self.hits.inc();
    }

    /// It was not.
    pub fn miss(&self) {
        self.misses.inc();
    }

    /// Live entries made room for others.
    pub fn evicted(&self, entries: u64) {
        self.evictions.inc_by(entries);
    }

    /// A worker's memo grew (or shrank) by so many entries.
    pub fn entries_changed(&self, by: i64) {
        self.entries.add(by);
    }
}

/// A poisoned lock still guards a map in which every single write is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn counter(name: &str, what: &str) -> IntCounter {
    must(IntCounter::new(name, what))
}

fn requests_for_tokens() -> IntCounterVec {
    let what = "Requests for tokens, by endpoint and what came of them";
    must(IntCounterVec::new(Opts::new("portcullis_tokens_issued_total", what), &["endpoint", "result"]))
}

fn int_gauge(name: &str, what: &str) -> IntGauge {
    must(IntGauge::new(name, what))
}

fn int_gauge_vec(name: &str, what: &str, labels: &[&str]) -> IntGaugeVec {
    must(IntGaugeVec::new(Opts::new(name, what), labels))
}

/// Registers a collector and keeps a handle of it.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    register(registry, collector.clone());
    collector
}

/// The maps above make sure that nothing is registered twice.
fn register(registry: &Registry, collector: impl Collector + 'static) {
    must(registry.register(Box::new(collector)));
}

/// What is not registered any more is what we wanted.
fn unregister(registry: &Registry, collector: impl Collector + 'static) {
    let _already_gone = registry.unregister(Box::new(collector));
}

#[expect(clippy::expect_used, reason = "names and label names are constants, and a test makes every family")]
fn must<T>(made: prometheus::Result<T>) -> T {
    made.expect("families have valid names and are registered once")
}

#[cfg(test)]
mod tests;
