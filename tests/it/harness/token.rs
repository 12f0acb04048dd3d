//! Tokens to be made: sound unless a test says otherwise.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::harness::canary;
use crate::harness::keys::{Key, encode, random_name};

/// A token that has not been signed yet.
#[derive(Clone)]
pub struct Token {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Token {
    /// A token that the gateway accepts: subject `alice`, audience `api`, five minutes of life.
    pub fn new(issuer: &str, key: &Key) -> Self {
        let mut header = Map::new();
        header.insert("alg".into(), json!(key.algorithm));
        header.insert("typ".into(), json!("JWT"));
        if !key.id.is_empty() {
            header.insert("kid".into(), json!(key.id));
        }
        let claims = json!({
            "iss": issuer, "aud": "api", "sub": "alice", "jti": random_name(),
            "iat": now(), "exp": now() + 300,
        });
        let Value::Object(claims) = claims else { panic!("an object was written above") };
        Self { key: key.clone(), header, claims }
    }

    /// The `scope` claim.
    pub fn scope(self, scope: &str) -> Self {
        self.set("scope", json!(scope))
    }

    /// One claim.
    pub fn set(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    /// Several claims, from an object.
    pub fn merge(mut self, claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object: {claims}") };
        self.claims.extend(claims);
        self
    }

    /// Without a claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// One member of the JOSE header.
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.insert(name.to_owned(), value);
        self
    }

    /// Without a member of the JOSE header.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Signed by another key; the header stays.
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    /// The JOSE header as JSON text.
    pub fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The claims as JSON text.
    pub fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// Header and payload as the signature covers them.
    pub fn signing_input(&self) -> String {
        format!("{}.{}", encode(self.header_text().as_bytes()), encode(self.claims_text().as_bytes()))
    }

    /// The compact form. Its signature is a canary: it must never be seen again outside a request.
    pub fn sign(&self) -> String {
        canary::token(self.key.compact(&self.header_text(), self.claims_text().as_bytes()))
    }

    /// With these octets for a signature.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        canary::token(format!("{}.{}", self.signing_input(), encode(signature)))
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the year 292 billion")
}
