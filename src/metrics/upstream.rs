//! One upstream: how long it takes to answer, and how many requests it has, which is also what is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{Histogram, HistogramOpts, IntGauge, Opts, Registry};

use crate::metrics::{REQUEST_BUCKETS, must, registered, unregister};

/// One upstream's handle.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    duration: Histogram,
    requests: Arc<Requests>,
}

/// A request's place among those that its upstream has; given back when dropped.
#[derive(Debug)]
pub struct Place<'u>(&'u Requests);

/// The same, of what outlives the request that it was taken for.
#[derive(Debug)]
pub struct Held(Arc<Requests>);

/// Requests that an upstream has: from the look for a peer to the last octet of the answer, or the end of the tunnel.
///
/// On a cache line of its own: every worker writes it, twice a request.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Requests(AtomicUsize);

/// What the handles are made from.
#[derive(Debug)]
pub(crate) struct UpstreamSeries {
    duration: Histogram,
    shown: IntGauge,
    requests: Arc<Requests>,
}

impl UpstreamMetrics {
    /// It took this long to answer with a head.
    pub fn observe(&self, seconds: f64) {
        self.duration.observe(seconds);
    }

    /// A place for one more request, unless it has `most`. There are never more than `most` places; of several requests
    /// at once that find the last ones taken, one that could just have had one may be refused.
    pub fn enter(&self, most: usize) -> Option<Place<'_>> {
        let before = self.requests.0.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.requests);
        (before < most).then_some(place)
    }

    /// The same as [`UpstreamMetrics::enter`], for what outlives the request.
    pub fn hold(&self, most: usize) -> Option<Held> {
        let before = self.requests.0.fetch_add(1, Ordering::Relaxed);
        let held = Held(Arc::clone(&self.requests));
        (before < most).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UpstreamSeries {
    /// The series of the upstream of this name, registered.
    pub(crate) fn new(registry: &Registry, name: &str) -> Self {
        let duration = HistogramOpts::new(
            "portcullis_upstream_duration_seconds",
            "From a request, or the end of what its decision waited for, to the head of its upstream's answer",
        );
        let duration = duration.const_label("upstream", name).buckets(REQUEST_BUCKETS.to_vec());
        let shown = Opts::new(
            "portcullis_upstream_requests_in_flight",
            "Requests that an upstream has now, tunnels among them; `max_requests` bounds it",
        );
        Self {
            duration: registered(registry, must(Histogram::with_opts(duration))),
            shown: registered(registry, must(IntGauge::with_opts(shown.const_label("upstream", name)))),
            requests: Arc::default(),
        }
    }

    /// A handle.
    pub(crate) fn handle(&self) -> UpstreamMetrics {
        UpstreamMetrics { duration: self.duration.clone(), requests: Arc::clone(&self.requests) }
    }

    /// Shows how many requests there are.
    pub(crate) fn count(&self) {
        self.shown.set(i64::try_from(self.requests.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
    }

    /// Takes the series out of the registry.
    pub(crate) fn unregister(self, registry: &Registry) {
        unregister(registry, self.duration);
        unregister(registry, self.shown);
    }
}
