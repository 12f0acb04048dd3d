//! What is revoked, and how soon that is in force.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntGaugeVec, Registry};

use crate::metrics::{int_gauge_vec, must, registered};
use crate::revocation::Kind;

/// The handle of the set of revocations, its writer's.
#[derive(Debug, Clone)]
pub struct RevocationMetrics {
    entries: IntGaugeVec,
    lag: Histogram,
}

impl RevocationMetrics {
    pub(in crate::metrics) fn new(registry: &Registry) -> Self {
        let entries =
            int_gauge_vec("portcullis_revocation_entries", "Revocation entries in force", &["kind"]);
        let lag = HistogramOpts::new(
            "portcullis_revocation_apply_lag_seconds",
            "Time from the store's having revocations to their being in force",
        );
        let metrics = Self {
            entries: registered(registry, entries),
            lag: registered(registry, must(Histogram::with_opts(lag.buckets(LAG_BUCKETS.to_vec())))),
        };
        // A closed label set starts at 0, so that a first increase is an increase.
        Kind::ALL.into_iter().for_each(|kind| metrics.entries(kind, 0));
        metrics
    }

    /// Entries of a kind that count.
    pub fn entries(&self, kind: Kind, entries: usize) {
        let entries = i64::try_from(entries).unwrap_or(i64::MAX);
        self.entries.with_label_values(&[kind.name()]).set(entries);
    }

    /// What the store has had for so long is in force.
    pub fn applied(&self, lag: Duration) {
        self.lag.observe(lag.as_secs_f64());
    }
}

/// In seconds. One is what is promised; mostly it is a tenth of a millisecond.
const LAG_BUCKETS: &[f64] = &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];
