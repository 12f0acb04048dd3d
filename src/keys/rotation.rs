//! New key pairs and signing with them: `keys generate`, `token mint`, `demo`, `test`.

use crate::token::Algorithm;

/// A private key that can mint.
pub struct SigningKey {
    inner: (),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A key cannot be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SigningError(pub String);

impl SigningKey {
    /// Makes a new key pair (RSA of 2048 bits for RS and PS; P-256, P-384, Ed25519 for the others).
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        todo!()
    }
    /// Reads a PKCS#8 (or SEC1, or PKCS#1) private PEM; `algorithm` overrides what the key type suggests
    /// (RSA: RS256).
    pub fn from_pem(pem: &[u8], algorithm: Option<Algorithm>) -> Result<Self, SigningError> {
        todo!()
    }
    /// The private key as PKCS#8 PEM.
    pub fn to_pem(&self) -> String {
        todo!()
    }
    /// The public half as one JWK with `kid` (RFC 7638 thumbprint), `alg` and `use`.
    pub fn public_jwk(&self) -> serde_json::Value {
        todo!()
    }
    /// Its `kid`: the RFC 7638 thumbprint.
    pub fn key_id(&self) -> &str {
        todo!()
    }
    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        todo!()
    }
    /// Mints a compact JWS over `claims` with header `{alg, typ, kid}`.
    pub fn mint(&self, claims: &serde_json::Value, typ: &str) -> Result<String, SigningError> {
        todo!()
    }
}
