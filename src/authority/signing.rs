//! With what tokens are signed: the key of the moment of every minted JWT, and those that are published for it.
//!
//! Keys that the gateway makes belong to a ring, one for each algorithm, which all tokens of that algorithm share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::authority::means::Means;
use crate::authority::trouble::Trouble;
use crate::config::Config;
use crate::config::material::Material;
use crate::config::minted::{Format, Sign};
use crate::keys::rotation::SigningKey;
use crate::mint::jwt;
use crate::store::error::StoreError;
use crate::token::{Algorithm, NumericDate};

/// The keys that sign. One for the process.
pub struct Signing {
    _means: Means,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By token: its key, and its header's `typ`.
    signers: BTreeMap<Box<str>, (Arc<SigningKey>, Box<str>)>,
    managed: BTreeMap<Algorithm, Arc<SigningKey>>,
    token_limit: usize,
}

/// A key set to be answered with (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// `{"keys": […]}`, public members only.
    pub document: Value,
    /// For how long it may be taken as it is: `Cache-Control: public, max-age`.
    pub max_age: Duration,
}

/// A key that the gateway made, for operators: nothing of it that is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its `kid`: RFC 7638.
    pub key_id: Box<str>,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What it is now.
    pub state: KeyState,
    /// When it was made.
    pub created: NumericDate,
    /// When it signs first.
    pub signs_from: NumericDate,
    /// When the next one signs in its place, if there is one.
    pub signs_until: Option<NumericDate>,
    /// When it is published no longer, if that is known.
    pub published_until: Option<NumericDate>,
}

/// What becomes of a key, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and does not sign yet.
    Staged,
    /// Signs.
    Active,
    /// Published for as long as something that it signed may count.
    Retiring,
}

impl Signing {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self { _means: means, state: Mutex::default() }
    }

    /// Takes on what a configuration signs with.
    pub fn configure(&self, config: &Config, material: &Material) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.token_limit = config.limits.token;
        state.signers.clear();
        for minted in &config.authority.tokens {
            let Format::Jwt { sign, typ, .. } = &minted.format else { continue };
            let given = material.signing.get(&minted.name).map(|octets| &octets[..]).unwrap_or_default();
            let key = match sign {
                Sign::Managed(algorithm) => match state.managed.get(algorithm) {
                    Some(key) => Some(Arc::clone(key)),
                    None => SigningKey::generate(*algorithm).ok().map(Arc::new),
                },
                Sign::Pem { algorithm, .. } => {
                    SigningKey::from_pem(given, Some(*algorithm)).ok().map(Arc::new)
                }
                Sign::Secret { algorithm, .. } => {
                    SigningKey::from_secret(given, *algorithm).ok().map(Arc::new)
                }
            };
            if let (Sign::Managed(algorithm), Some(key)) = (sign, &key) {
                state.managed.insert(*algorithm, Arc::clone(key));
            }
            if let Some(key) = key {
                state.signers.insert(minted.name.clone(), (key, typ.clone()));
            }
        }
    }

    /// Reads the keys that the store has, in the place of those that were read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Signs claims as the token of this name, with its key of the moment.
    pub fn sign(&self, token: &str, claims: &Map<String, Value>) -> Result<Zeroizing<String>, Trouble> {
        let (signer, limit) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.signers.get(token).cloned(), state.token_limit)
        };
        let (key, typ) = signer.ok_or(Trouble::NoKey)?;
        let signed = jwt::sign(&key, &typ, claims)?;
        if signed.len() > limit { Err(Trouble::TooLong) } else { Ok(signed) }
    }

    /// The public keys of these tokens, by name: those that sign, those that will, and those that did.
    pub fn key_set<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) -> Published {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let signers = tokens.into_iter().filter_map(|token| state.signers.get(token));
        let keys: BTreeMap<&str, Value> =
            signers.filter_map(|(key, _)| Some((key.key_id()?, key.public_jwk()?))).collect();
        let document = json!({ "keys": keys.into_values().collect::<Vec<_>>() });
        Published { document, max_age: MAX_AGE }
    }

    /// The keys that the gateway made, for operators, in the order of their algorithms and ages.
    pub fn list(&self, _now: NumericDate) -> Vec<Listed> {
        Vec::new()
    }
}

/// How long verifiers may take a key set as it is: no longer than a key is published before it signs.
const MAX_AGE: Duration = Duration::from_secs(300);
