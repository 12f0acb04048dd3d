//! Opaque tokens: what each of them says, in memory by the hash of its text, and in the store likewise.
//!
//! The text is random, of 128 bits or more, and is nowhere kept: SHA-256 of it is as good as itself for finding it, and good
//! for nothing else. Nothing needs to be slow or peppered where nothing can be guessed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::authority::means::Means;
use crate::authority::trouble::Trouble;
use crate::store::error::StoreError;
use crate::token::NumericDate;

/// Every opaque token that counts. One for the process.
pub struct Opaque {
    _means: Means,
    state: Mutex<HashMap<[u8; 32], Token>>,
}

/// A token that was made and is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// Which of `tokens`.
    pub token: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What it says: `iss`, `sub`, `iat`, `exp` and `jti` among it, and `sid` where it is of a family.
    pub claims: &'a Map<String, Value>,
    /// It may be given again ([`Opaque::reuse`]), for which its text stays in memory.
    pub reusable: bool,
}

struct Token {
    token: Box<str>,
    claims: Map<String, Value>,
    text: Option<Zeroizing<Box<str>>>,
}

/// What looking a token up came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// It counts: its claims, as JSON.
    Known(Vec<u8>),
    /// There is none, or no longer.
    Unknown,
}

/// A token that is given again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reused {
    /// Its text.
    pub text: Zeroizing<Box<str>>,
    /// Its claims.
    pub claims: Map<String, Value>,
    /// When it ends.
    pub expires: NumericDate,
}

/// Which tokens are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// That of this text, whichever of `tokens` it is.
    Text(&'a str),
    /// Those whose `sub` is this.
    Subject(&'a str),
    /// Those whose `sid` is this.
    Session(&'a str),
}

impl Opaque {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self { _means: means, state: Mutex::default() }
    }

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Keeps a new token: once it returns the token counts, and survives a crash. [`Trouble::Overloaded`] where there are too
    /// many of its name.
    pub async fn issue(&self, new: NewToken<'_>) -> Result<(), Trouble> {
        let text = new.reusable.then(|| Zeroizing::new(new.text.into()));
        let token = Token { token: new.token.into(), claims: new.claims.clone(), text };
        self.lock().insert(hash(new.text), token);
        Ok(())
    }

    /// What a text says that was presented for the issuer of this name.
    pub fn look_up(&self, issuer: &str, text: &str, now: NumericDate) -> Looked {
        let state = self.lock();
        let token = state.get(&hash(text)).filter(|token| *token.token == *issuer);
        match token.filter(|token| expires(&token.claims) > now) {
            Some(token) => Looked::Known(serde_json::to_vec(&token.claims).unwrap_or_default()),
            None => Looked::Unknown,
        }
    }

    /// A token of this name that says what these claims say, but for `iat`, `exp`, `nbf`, `jti` and `sid`, and counts until
    /// `at_least`. Only what this process has issued can be given again: its text is kept nowhere else.
    pub fn reuse(&self, token: &str, claims: &Map<String, Value>, at_least: NumericDate) -> Option<Reused> {
        let lasting = |claims: &Map<String, Value>| {
            let mut claims = claims.clone();
            claims.retain(|name, _| !PASSING.contains(&name.as_str()));
            claims
        };
        let state = self.lock();
        let found = state.values().find(|held| {
            *held.token == *token
                && held.text.is_some()
                && expires(&held.claims) >= at_least
                && lasting(&held.claims) == lasting(claims)
        })?;
        let (text, claims) = (found.text.clone()?, found.claims.clone());
        Some(Reused { text, expires: expires(&claims), claims })
    }

    /// Revokes tokens of these names, and says how many there were: gone from the store, and refused from the next request
    /// on, those too that are remembered. None is no error (RFC 7009 section 2.2).
    pub async fn revoke(&self, tokens: &[&str], which: Which<'_>) -> Result<usize, Trouble> {
        let mut state = self.lock();
        let before = state.len();
        let says = |token: &Token, name: &str, value: &str| {
            token.claims.get(name).and_then(Value::as_str) == Some(value)
        };
        state.retain(|key, token| {
            let meant = match which {
                Which::Text(text) => *key == hash(text),
                Which::Subject(subject) => says(token, "sub", subject),
                Which::Session(session) => says(token, "sid", session),
            };
            !(meant && tokens.contains(&&*token.token))
        });
        Ok(before - state.len())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Token>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expires(claims: &Map<String, Value>) -> NumericDate {
    NumericDate(claims.get("exp").and_then(Value::as_i64).unwrap_or(0))
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// Claims that are of one token, and not of whom it is for.
const PASSING: [&str; 5] = ["iat", "exp", "nbf", "jti", "sid"];
