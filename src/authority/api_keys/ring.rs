//! The API keys of one credential as it is configured: prefixes, the pepper, and what is listed.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::authority::clock;
use crate::authority::listed::{self, Found};
use crate::authority::registry::{Body, Entry, HashedSecret};
use crate::authority::stopping::{self, Made};
use crate::config::Config;
use crate::config::credential::{ApiKeys, Credential, Prefix};
use crate::config::material::Material;
use crate::token::scope::ScopeMatch;

/// One credential.
pub(in crate::authority) struct Ring {
    /// What its keys' claims say as `iss`.
    pub(in crate::authority) issuer: Box<str>,
    pub(in crate::authority) managed: bool,
    pub(in crate::authority) scope_match: ScopeMatch,
    /// Not empty; the longest first.
    pub(in crate::authority) prefixes: Vec<Prefix>,
    /// The prefix of keys that are made without saying which.
    pub(in crate::authority) first: Box<str>,
    pub(in crate::authority) secrets: Secrets,
    /// Whether secrets are hashed under a pepper that outlives the process.
    pub(in crate::authority) lasts: bool,
    /// What is made from its keys.
    pub(in crate::authority) made: Vec<Made>,
    by_id: HashMap<Box<str>, Arc<Entry>>,
    by_hash: HashMap<[u8; 32], Arc<Entry>>,
}

/// How secrets are hashed.
#[derive(Clone)]
pub(in crate::authority) struct Secrets {
    key: hmac::Key,
    version: Box<str>,
}

impl Ring {
    pub(in crate::authority) fn new(
        config: &Config,
        credential: &Credential,
        keys: &ApiKeys,
        material: &Material,
        own_pepper: &[u8; 32],
    ) -> Self {
        let pepper = material.peppers.get(&credential.name).map_or(own_pepper.as_slice(), |pepper| pepper);
        let mut prefixes = keys.prefixes.clone();
        let first = prefixes.first().map(|prefix| prefix.text.clone()).unwrap_or_default();
        if prefixes.is_empty() {
            prefixes.push(Prefix { text: Box::default(), attributes: Map::new() });
        }
        prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.text.len()));
        let mut ring = Self {
            issuer: keys.issuer.clone(),
            managed: keys.managed,
            scope_match: credential.scope_match,
            prefixes,
            first,
            secrets: Secrets::new(pepper),
            lasts: material.peppers.contains_key(&credential.name),
            made: stopping::made_from(config, &credential.name),
            by_id: HashMap::new(),
            by_hash: HashMap::new(),
        };
        // Without randomness there is no pepper of the process's own, and zeros are none.
        if pepper != [0; 32] {
            let listed =
                keys.entries.iter().flat_map(|entries| listed::read(&credential.name, entries, material));
            listed.for_each(|found| ring.list(&credential.name, found));
        }
        ring
    }

    /// Takes an entry on; of two with one id the first counts.
    fn list(&mut self, credential: &str, found: Found) {
        let hash = self.secrets.hash(&found.secret);
        let prefix = self.prefix_of(&found.secret).map(|prefix| prefix.text.clone()).unwrap_or_default();
        let body = Body {
            name: found.name,
            prefix,
            scopes: found.scopes,
            attributes: found.attributes,
            secrets: vec![self.secrets.hashed(1, &found.secret, clock::now().0)],
            ..Body::default()
        };
        if self.by_id.contains_key(&found.id) || self.by_hash.contains_key(&hash) {
            tracing::error!(
                credential,
                "two entries of a list have one id or one secret: the second is left out"
            );
            return;
        }
        let entry = Entry::new(credential, &found.id, body, &|_, prefix| self.attributes_of(prefix));
        let entry = Arc::new(entry);
        self.by_hash.insert(hash, Arc::clone(&entry));
        self.by_id.insert(found.id, entry);
    }

    /// The longest prefix that a text has.
    pub(in crate::authority) fn prefix_of(&self, text: &str) -> Option<&Prefix> {
        self.prefixes.iter().find(|prefix| text.starts_with(&*prefix.text))
    }

    pub(in crate::authority) fn attributes_of(&self, prefix: &str) -> Map<String, Value> {
        let found = self.prefixes.iter().find(|known| *known.text == *prefix);
        found.map(|found| found.attributes.clone()).unwrap_or_default()
    }

    pub(in crate::authority) fn has_list(&self) -> bool {
        !self.by_id.is_empty()
    }

    pub(in crate::authority) fn listed(&self, id: &str) -> Option<Arc<Entry>> {
        self.by_id.get(id).map(Arc::clone)
    }

    pub(in crate::authority) fn listed_by_hash(&self, text: &str) -> Option<Arc<Entry>> {
        self.by_hash.get(&self.secrets.hash(text)).map(Arc::clone)
    }

    /// Whether this is one of the entry's secrets: in the same time, whichever it is, or none.
    pub(in crate::authority) fn is_secret(&self, entry: &Entry, secret: &str) -> bool {
        let hash = self.secrets.hash(secret);
        let [one, other] = &entry.hashes;
        (hash.ct_eq(one) | hash.ct_eq(other)).into()
    }
}

impl Secrets {
    pub(in crate::authority) fn new(pepper: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"portcullis pepper ");
        context.update(pepper);
        let version = context.finish();
        let version = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&version.as_ref()[..8]).into();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, pepper), version }
    }

    pub(in crate::authority) fn hash(&self, secret: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.key, secret.as_bytes());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// As it is kept. Of a short one nothing is shown.
    pub(in crate::authority) fn hashed(&self, number: u32, secret: &str, created: i64) -> HashedSecret {
        let last4 = secret.char_indices().rev().nth(3).map_or(0, |(place, _)| place);
        let shown = if secret.len() >= SHOWN { &secret[last4..] } else { "" };
        HashedSecret {
            number,
            hash: base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.hash(secret)).into(),
            pepper: self.version.clone(),
            created,
            last4: shown.into(),
        }
    }

    /// Whether a secret was hashed under this pepper.
    pub(in crate::authority) fn made(&self, secret: &HashedSecret) -> bool {
        secret.pepper == self.version
    }
}

/// Octets of a secret from which on its last four characters say nothing that helps to guess it.
const SHOWN: usize = 16;
