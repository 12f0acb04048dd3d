//! What is minted and answered here: credentials in, tokens out.
//!
//! One [`Authority`] holds the registries: who has which API key, which people there are, and what was issued. All of
//! it is in memory; what has to survive is in the store before it is answered, and read from it at start. The request
//! path waits for no disk.
//!
//! It knows neither the data plane nor control nor the admin listener, nor they it: `app` wires functions
//! ([`means::Means`], [`crate::gate::call::AskAuthority`], [`crate::gate::evidence::AskRecord`]).

pub mod answer;
pub mod api_keys;
pub mod attempts;
pub mod clock;
pub mod credential;
pub mod discovery;
pub mod endpoints;
pub mod families;
pub mod filling;
pub mod given;
pub mod grant;
pub mod holder;
pub mod introspect;
pub mod issue;
pub mod making;
pub mod means;
pub mod oauth;
pub mod opaque;
pub mod people;
pub mod refresh;
pub mod request;
pub mod revoke;
pub mod scopes;
pub mod signing;
pub mod trouble;
pub mod whose;

mod asked;
mod lifetime;
mod listed;
mod registry;
mod stopping;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{MissedTickBehavior, interval};

use crate::authority::api_keys::ApiKeys;
use crate::authority::attempts::Attempts;
use crate::authority::families::Families;
use crate::authority::given::Given;
use crate::authority::means::Means;
use crate::authority::opaque::Opaque;
use crate::authority::people::People;
use crate::authority::signing::Signing;
use crate::authority::trouble::LoadError;
use crate::config::Config;
use crate::config::credential::CredentialKind;
use crate::config::material::Material;
use crate::config::problems::{Problem, quoted};
use crate::store::error::StoreError;

/// All that is known of credentials and tokens. One for the process, made by `app`.
pub struct Authority {
    /// API keys.
    pub api_keys: ApiKeys,
    /// People.
    pub people: People,
    /// Opaque tokens.
    pub opaque: Opaque,
    /// Families of refresh tokens.
    pub families: Families,
    /// Keys that sign.
    pub signing: Signing,
    /// Failed attempts.
    pub attempts: Attempts,
    /// Tokens that were given of late.
    pub given: Given,
    /// What was configured last.
    pub configured: ArcSwap<Configured>,
    /// The ways out.
    pub means: Means,
}

/// A configuration, and what it names and does not hold.
#[derive(Debug)]
pub struct Configured {
    /// The configuration.
    pub config: Arc<Config>,
    /// Secrets and lists.
    pub material: Material,
}

impl Authority {
    /// Of this configuration, with nothing of the store yet: [`Self::load`] reads it.
    pub fn new(config: Arc<Config>, material: Material, means: Means) -> Self {
        let authority = Self {
            api_keys: ApiKeys::new(means.clone()),
            people: People::new(means.clone(), cores()),
            opaque: Opaque::new(means.clone()),
            families: Families::new(means.clone()),
            signing: Signing::new(means.clone()),
            attempts: Attempts::default(),
            given: Given::default(),
            configured: ArcSwap::from_pointee(Configured {
                config: Arc::clone(&config),
                material: Material::default(),
            }),
            means,
        };
        authority.configure(config, material);
        authority
    }

    /// What a running process does not take on, though it could be read: another key than the one that seals, in the place of
    /// that one, and another pepper. Either may be a slip that nobody notices until the next start, or until no key counts.
    pub fn faults(&self, config: &Config, material: &Material) -> Vec<Problem> {
        let before = self.configured.load();
        let sealed_with = |config: &Config| config.authority.signing_keys.as_ref()?.sealed_with.clone();
        let mut faults = Vec::new();
        if let (Some(old), Some(new)) = (sealed_with(&before.config), sealed_with(config))
            && old.source == new.source
            && before.material.sealed_with != material.sealed_with
        {
            let what = "it holds another key than the one that its signing keys are sealed with";
            let hint =
                "give that one back; to seal them anew, give the new key a place of its own and name that";
            faults.push(Problem::new(new.at, what).hint(hint));
        }
        for credential in &config.authority.credentials {
            let CredentialKind::ApiKeys(keys) = &credential.kind else { continue };
            let known = before.material.peppers.get(&credential.name);
            if let (true, Some(pepper), Some(known)) = (keys.managed, &keys.pepper, known)
                && material.peppers.get(&credential.name) != Some(known)
            {
                let name = quoted(&credential.name);
                let what = format!("{name} has another pepper: no key that was made before would count");
                let hint = "give the old one back, or restart the gateway if that is meant";
                faults.push(Problem::new(pepper.at, what).hint(hint));
            }
        }
        faults
    }

    /// Takes on a configuration: at start, and at each reload before it is published.
    pub fn configure(&self, config: Arc<Config>, material: Material) {
        self.api_keys.configure(&config, &material);
        self.people.configure(&config, &material);
        self.signing.configure(&config, &material);
        self.configured.store(Arc::new(Configured { config, material }));
    }

    /// Reads what the store has, in the place of what was read before: at start, and once the process before has paused.
    /// Blocks.
    pub fn load(&self) -> Result<(), LoadError> {
        self.api_keys.load()?;
        self.people.load()?;
        self.opaque.load()?;
        self.families.load()?;
        self.signing.load()
    }

    /// Does what nobody waits for, until it is dropped: writes down when credentials were last used, replaces keys, and
    /// forgets what is over.
    pub async fn upkeep(&self) {
        tokio::select! {
            () = registry::write_uses_of([self.api_keys.uses(), self.people.uses()]) => {}
            () = self.signing.run() => {}
            () = self.sweep() => {}
        }
    }

    async fn sweep(&self) {
        let mut next = interval(SWEEP);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            self.opaque.sweep(clock::now());
            self.families.sweep(clock::now());
            self.given.sweep(clock::now().0);
        }
    }

    /// Writes down at the end what [`Self::upkeep`] would have.
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.api_keys.uses().write_uses().await?;
        self.people.uses().write_uses().await
    }
}

/// Between two times that what is over is forgotten: texts of refresh tokens live no longer than their grace and this.
const SWEEP: Duration = Duration::from_secs(1);

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
