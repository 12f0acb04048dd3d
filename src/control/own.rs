//! Issuers whose tokens are made in this process: their keys and records are somebody else's to keep, and the writer's to
//! publish.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::config::KeySource;
use crate::control::revoking::RevokeError;
use crate::control::{Control, ControlHandle};
use crate::snapshot::{Change, Keys, Snapshot};

/// The keys of the issuer of this name, from whoever keeps them.
pub type KeysOf = Box<dyn Fn(&str) -> Keys + Send + Sync>;

/// What is to be published of an issuer of one's own.
pub(in crate::control) struct OwnKeys {
    issuer: Box<str>,
    what: What,
    published: oneshot::Sender<()>,
}

enum What {
    Keys(Keys),
    /// What was found among its records may not be found now.
    Records,
}

/// Puts the keys and the records of own issuers into a change. Records count as others than before: lists may have changed.
pub fn fill(change: &mut Change, before: Option<&Snapshot>, keys: &dyn Fn(&str) -> Keys) {
    let Change::Config { issuers, .. } = change else { return };
    for (issuer, place) in issuers {
        match &issuer.keys.value {
            KeySource::Managed => *place = keys(&issuer.name),
            KeySource::Records(_) => *place = Keys::Records(before.map_or(1, next_records)),
            KeySource::Discovery
            | KeySource::JwksUrl(_)
            | KeySource::JwksFile(_)
            | KeySource::JwksInline(_)
            | KeySource::PemFile(_)
            | KeySource::PemEnv(_)
            | KeySource::PemInline(_)
            | KeySource::Secret { .. }
            | KeySource::SigningPem(_) => {}
        }
    }
}

/// A number that no issuer's records have had.
fn next_records(snapshot: &Snapshot) -> u64 {
    let numbers = snapshot.issuers.iter().filter_map(|state| state.keys.records());
    // Lest one that was gone for a while comes back to a number that it had: generations only grow.
    numbers.max().unwrap_or(0).max(snapshot.generation).saturating_add(1)
}

impl ControlHandle {
    /// Has the tokens of the issuer of this name verified with these keys: they are once this returns.
    pub async fn publish_keys(&self, issuer: Box<str>, keys: Keys) -> Result<(), RevokeError> {
        self.publish_own(issuer, What::Keys(keys)).await
    }

    /// Has the tokens of the issuer of this name looked up anew.
    pub async fn records_changed(&self, issuer: Box<str>) -> Result<(), RevokeError> {
        self.publish_own(issuer, What::Records).await
    }

    async fn publish_own(&self, issuer: Box<str>, what: What) -> Result<(), RevokeError> {
        let (published, is_published) = oneshot::channel();
        let told = self.shared.own.send(OwnKeys { issuer, what, published }).await;
        told.map_err(|_| RevokeError::Stopped)?;
        is_published.await.map_err(|_| RevokeError::Stopped)
    }
}

impl Control {
    /// Has `keys_of` say what the tokens of own issuers are verified with in each configuration that is reloaded.
    pub fn owned_by(&mut self, keys_of: KeysOf) {
        self.keys_of = Some(keys_of);
    }

    pub(in crate::control) fn publish_own(&mut self, own: OwnKeys) {
        let OwnKeys { issuer, what, published } = own;
        let now = Arc::clone(&self.shared.reader.load());
        let state = now.issuers.iter().find(|state| state.config.name == issuer);
        let keys = match (what, state.map(|state| &state.config.keys.value)) {
            (What::Keys(keys), Some(KeySource::Managed)) => Some(keys),
            (What::Records, Some(KeySource::Records(_))) => Some(Keys::Records(next_records(&now))),
            // A reload has made something else of it meanwhile.
            (What::Keys(_) | What::Records, Some(_) | None) => None,
        };
        if let Some(keys) = keys {
            let generation = self.publisher.publish(Change::Keys { issuer, keys });
            self.metrics.generation(generation);
        }
        // Whoever waited may be gone.
        let _ = published.send(());
    }
}

/// Keys on their way to the writer: more than this wait their turn.
pub(in crate::control) const OWN: usize = 64;
