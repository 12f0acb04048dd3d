//! API keys: who holds which, in memory; those that are managed are kept in the store.
//!
//! A key is looked up by its id, and its secret compared by a keyed hash of it (HMAC-SHA-256 under the credential's pepper):
//! secrets are random, so that nothing slower is needed, and who reads the store can neither present one nor try any.
//! Whatever is wrong, an unknown id, another secret, a key that is disabled or over, takes the same work and is the same
//! answer (threats T1, T9).
//!
//! What is listed elsewhere is hashed when it is read, and its text forgotten.

mod managing;
mod ring;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use crate::authority::api_keys::ring::{Ring, Secrets};
use crate::authority::clock;
use crate::authority::holder::{Holder, Presented, Refused};
use crate::authority::means::Means;
use crate::authority::registry::{Body, Entry, Registry};
use crate::config::Config;
use crate::config::credential::CredentialKind;
use crate::config::material::Material;
use crate::mint::api_key::{self, NoKey};
use crate::store::error::StoreError;
use crate::store::records::RecordKind;
use crate::token::NumericDate;

/// Every API key of every credential. One for the process.
pub struct ApiKeys {
    means: Means,
    managed: Registry,
    /// What is configured, by credential.
    rings: ArcSwap<Rings>,
    /// Hashes the secrets of a list without a pepper.
    own_pepper: [u8; 32],
    /// Is compared with where there is no key.
    decoy: Arc<Entry>,
}

type Rings = BTreeMap<Box<str>, Arc<Ring>>;

/// What looking up an API key as a route's credential came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// It counts: its claims (`iss sub client_id scope exp?`, and the attributes), as JSON.
    Known(Vec<u8>),
    /// It does not count now, and may again: it is disabled or over.
    NotNow,
    /// There is none.
    Unknown,
}

impl ApiKeys {
    /// None yet.
    pub fn new(means: Means) -> Self {
        // Without randomness no listed key without a pepper counts: see `configure`.
        let own_pepper = clock::random().unwrap_or_default();
        let decoy =
            Arc::new(Entry::new("", "", Body { disabled: true, ..Body::default() }, &|_, _| Map::new()));
        let managed = Registry::new(RecordKind::ApiKey, means.clone());
        Self { means, managed, rings: ArcSwap::default(), own_pepper, decoy }
    }

    /// Takes on what a configuration lists, and under which pepper secrets are hashed.
    pub fn configure(&self, config: &Config, material: &Material) {
        let mut rings = Rings::new();
        for credential in &config.authority.credentials {
            if let CredentialKind::ApiKeys(keys) = &credential.kind {
                let ring = Ring::new(config, credential, keys, material, &self.own_pepper);
                rings.insert(credential.name.clone(), Arc::new(ring));
            }
        }
        self.rings.store(Arc::new(rings));
        self.managed.inherit(&|credential, prefix| self.inherited(credential, prefix));
    }

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        self.managed.load(&|credential, prefix| self.inherited(credential, prefix))
    }

    /// Who holds what was presented for the credential of this name. Takes as long whatever is wrong.
    pub fn check(
        &self,
        credential: &str,
        presented: Presented<'_>,
        now: NumericDate,
    ) -> Result<Arc<Holder>, Refused> {
        let rings = self.rings.load();
        let ring = rings.get(credential).ok_or(Refused)?;
        let (entry, is_proven) = self.prove(ring, credential, presented);
        if is_proven & entry.counts(now) {
            self.managed.used(&entry, now);
            Ok(Arc::clone(&entry.holder))
        } else {
            Err(Refused)
        }
    }

    /// The key of this id, if it counts now: where another credential has vouched already (`act_as`), and for a family
    /// that is refreshed.
    pub fn find(&self, credential: &str, id: &str, now: NumericDate) -> Option<Arc<Holder>> {
        let rings = self.rings.load();
        let entry = self.by_id(rings.get(credential)?, credential, id)?;
        entry.counts(now).then(|| Arc::clone(&entry.holder))
    }

    /// Whether attempts with this id can be left uncounted: no number of them finds a secret that was made here, and counting
    /// them would let anybody lock a key's owner out who knows its id. Whether there is such a key it does not say.
    pub fn is_beyond_guessing(&self, credential: &str, id: &str) -> bool {
        let rings = self.rings.load();
        let Some(ring) = rings.get(credential) else { return false };
        // Where others have made secrets, ids of theirs may look the same.
        let is_ours = ring.managed && !ring.has_list() && api_key::is_id(id);
        is_ours && self.managed.get(credential, id).is_none_or(|entry| !entry.body.foreign)
    }

    /// The claims of a key that is itself a route's credential, for the issuer of this name: the credential's.
    pub fn look_up(&self, issuer: &str, token: &str, now: NumericDate) -> Looked {
        let rings = self.rings.load();
        let Some(ring) = rings.get(issuer) else { return Looked::Unknown };
        let (entry, is_proven) = self.prove(ring, issuer, Presented::Whole(token));
        match (is_proven, entry.counts(now)) {
            (true, true) => {
                self.managed.used(&entry, now);
                Looked::Known(claims(&ring.issuer, &entry.holder))
            }
            (true, false) => Looked::NotNow,
            (false, _) => Looked::Unknown,
        }
    }

    /// Finds the key that is meant, or the decoy, and says whether its secret was presented. Whether it counts is not looked at.
    fn prove(&self, ring: &Ring, credential: &str, presented: Presented<'_>) -> (Arc<Entry>, bool) {
        match presented {
            Presented::Pair { id, secret } => {
                let found = self.by_id(ring, credential, id);
                self.compare(ring, found, secret)
            }
            Presented::Whole(text) => {
                let Some(prefix) = ring.prefix_of(text) else { return self.nobody() };
                // Both ways are gone, whatever the first comes to: how long it takes does not say which ids there are.
                let listed = ring.has_list().then(|| self.compare(ring, ring.listed_by_hash(text), text));
                let written = api_key::read(text, &prefix.text).map(|parts| {
                    let is_whole =
                        |entry: &Arc<Entry>| !entry.body.foreign && entry.body.prefix == prefix.text;
                    let found = self.managed.get(credential, parts.id).filter(is_whole);
                    self.compare(ring, found, parts.secret)
                });
                match (written, listed) {
                    (Ok(managed), Some(listed)) => {
                        if managed.1 {
                            managed
                        } else {
                            listed
                        }
                    }
                    (Ok(found), None) | (Err(NoKey::Malformed | NoKey::Prefix), Some(found)) => found,
                    // Nothing here was ever written like this: no key is looked for.
                    (Err(NoKey::Malformed | NoKey::Prefix), None) => self.nobody(),
                }
            }
        }
    }

    fn compare(&self, ring: &Ring, found: Option<Arc<Entry>>, secret: &str) -> (Arc<Entry>, bool) {
        let is_found = found.is_some();
        let entry = found.unwrap_or_else(|| Arc::clone(&self.decoy));
        let is_same = ring.is_secret(&entry, secret);
        (entry, is_found & is_same)
    }

    fn nobody(&self) -> (Arc<Entry>, bool) {
        (Arc::clone(&self.decoy), false)
    }

    fn by_id(&self, ring: &Ring, credential: &str, id: &str) -> Option<Arc<Entry>> {
        ring.listed(id).or_else(|| self.managed.get(credential, id))
    }

    /// What keys have from their prefix.
    fn inherited(&self, credential: &str, prefix: &str) -> Map<String, Value> {
        let rings = self.rings.load();
        rings.get(credential).map(|ring| ring.attributes_of(prefix)).unwrap_or_default()
    }

    /// Writes down when keys were last used.
    pub(in crate::authority) fn uses(&self) -> &Registry {
        &self.managed
    }

    fn secrets(&self, credential: &str) -> Option<Secrets> {
        self.rings.load().get(credential).map(|ring| ring.secrets.clone())
    }
}

/// What a route finds of a key. No attribute takes the place of what the gateway itself reads.
fn claims(issuer: &str, holder: &Holder) -> Vec<u8> {
    let own = |(name, _): &(&String, &Value)| !RESERVED.contains(&name.as_str());
    let attributes = holder.attributes.iter().filter(own).map(|(name, value)| (name.clone(), value.clone()));
    let mut claims: Map<String, Value> = attributes.collect();
    claims.insert("iss".into(), issuer.into());
    claims.insert("sub".into(), (&*holder.id).into());
    claims.insert("client_id".into(), (&*holder.id).into());
    claims.insert("scope".into(), holder.scopes.join(" ").into());
    if let Some(name) = &holder.name {
        claims.insert("name".into(), (&**name).into());
    }
    if let Some(NumericDate(expires)) = holder.expires {
        claims.insert("exp".into(), expires.into());
    }
    serde_json::to_vec(&claims).unwrap_or_default()
}

/// Claims that say something to the gateway, or to whoever reads tokens.
const RESERVED: [&str; 13] =
    ["iss", "sub", "client_id", "scope", "scp", "exp", "nbf", "iat", "aud", "jti", "sid", "azp", "crit"];
