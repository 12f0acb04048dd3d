//! An issuer's series: its fetched keys and which of them are used.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::metrics::cells::Cells;
use crate::metrics::{clamped, label, lock, must, registered, unregister};

/// One issuer's collectors, registered for as long as it is configured.
#[derive(Debug)]
pub(crate) struct IssuerSeries {
    registry: Registry,
    name: Box<str>,
    fetches: IntCounterVec,
    uses: IntCounterVec,
    used: Arc<Mutex<BTreeSet<String>>>,
    keys: Option<FetchedKeys>,
    last_success: Option<i64>,
}

/// The gauges of an issuer whose keys are fetched; age and last success appear with the first success.
#[derive(Debug)]
struct FetchedKeys {
    keys: IntGauge,
    times: Option<(IntGauge, IntGauge)>,
}

/// One issuer's handle. Cloning shares it.
#[derive(Debug, Clone)]
pub struct IssuerMetrics {
    uses: IntCounterVec,
    used: Arc<Mutex<BTreeSet<String>>>,
    children: Arc<Cells<Box<str>, IntCounter>>,
}

impl IssuerSeries {
    pub(crate) fn new(registry: &Registry, name: &str) -> Self {
        let fetches = Opts::new("portcullis_jwks_fetches_total", "Key fetches, by what came of them");
        let uses =
            Opts::new("portcullis_key_uses_total", "Tokens accepted under each key of the issuer's set");
        Self {
            registry: registry.clone(),
            name: name.into(),
            fetches: registered(
                registry,
                must(IntCounterVec::new(fetches.const_label("issuer", name), &["result"])),
            ),
            uses: registered(registry, must(IntCounterVec::new(uses.const_label("issuer", name), &["kid"]))),
            used: Arc::default(),
            keys: None,
            last_success: None,
        }
    }

    pub(crate) fn fetch(&self, result: &'static str) {
        self.fetches.with_label_values(&[result]).inc();
    }

    pub(crate) fn state(&mut self, keys: usize, last_success: Option<i64>) {
        let fetched = self.keys.get_or_insert_with(|| FetchedKeys {
            keys: gauge(
                &self.registry,
                &self.name,
                "portcullis_jwks_keys",
                "Usable keys of the issuer's set",
            ),
            times: None,
        });
        fetched.keys.set(clamped(keys as u64));
        self.last_success = last_success;
        if last_success.is_some() && fetched.times.is_none() {
            let new = |name, what| gauge(&self.registry, &self.name, name, what);
            fetched.times = Some((
                new("portcullis_jwks_age_seconds", "Seconds since the key set last arrived"),
                new("portcullis_jwks_last_success_timestamp_seconds", "When the key set last arrived"),
            ));
        }
    }

    /// Brings the gauges that depend on the clock up to it.
    pub(crate) fn age(&self, now_unix: i64) {
        let times = self.keys.as_ref().and_then(|keys| keys.times.as_ref());
        if let (Some((age, last)), Some(success)) = (times, self.last_success) {
            age.set(now_unix.saturating_sub(success).max(0));
            last.set(success);
        }
    }

    pub(crate) fn keep_keys(&self, ids: &[&str]) {
        let stay: BTreeSet<String> = ids.iter().map(|id| label::key_id(id)).collect();
        lock(&self.used).retain(|id| {
            let stays = id == label::NONE || stay.contains(id);
            if !stays {
                let _was_never_used = self.uses.remove_label_values(&[id]);
            }
            stays
        });
    }

    pub(crate) fn unregister(self, registry: &Registry) {
        unregister(registry, self.fetches);
        unregister(registry, self.uses);
        if let Some(fetched) = self.keys {
            unregister(registry, fetched.keys);
            if let Some((age, last)) = fetched.times {
                unregister(registry, age);
                unregister(registry, last);
            }
        }
    }
}

impl IssuerMetrics {
    pub(crate) fn new(series: &IssuerSeries) -> Self {
        let uses = series.uses.clone();
        Self { uses, used: Arc::clone(&series.used), children: Arc::new(Cells::new()) }
    }

    /// A token was accepted under this key: the key's own id out of the set, never the token's `kid`.
    pub fn key_use(&self, key_id: Option<&str>) {
        let key_id = key_id.unwrap_or_default();
        self.children.with(
            |key| **key == *key_id,
            || {
                let shown = label::key_id(key_id);
                let child = self.uses.with_label_values(&[&shown]);
                lock(&self.used).insert(shown);
                (key_id.into(), child)
            },
            IntCounter::inc,
        );
    }
}

fn gauge(registry: &Registry, issuer: &str, name: &str, what: &str) -> IntGauge {
    registered(registry, must(IntGauge::with_opts(Opts::new(name, what).const_label("issuer", issuer))))
}
