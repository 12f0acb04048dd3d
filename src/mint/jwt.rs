//! Claims to a signed token: a JWS in compact serialisation (RFC 7515 section 7.1) over a claims set (RFC 7519).
//!
//! The key was prepared once ([`SigningKey`]): signing parses nothing. What randomness a signature takes the library draws
//! by itself; the claims, and whatever is random in them, are arguments.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::keys::rotation::{SigningError, SigningKey};

/// Signs claims. The header has `alg`, `typ`, and the key's `kid` (RFC 7638) unless it is a secret.
pub fn sign(
    key: &SigningKey,
    typ: &str,
    claims: &Map<String, Value>,
) -> Result<Zeroizing<String>, SigningError> {
    let mut header = Map::new();
    header.insert("alg".to_owned(), key.algorithm().name().into());
    header.insert("typ".to_owned(), typ.into());
    if let Some(key_id) = key.key_id() {
        header.insert("kid".to_owned(), key_id.into());
    }
    let [header, claims] = [&header, claims].map(|object| serde_json::to_vec(object).map(Zeroizing::new));
    let unwritten = |_| SigningError("the claims are no JSON".to_owned());
    let (header, claims) = (header.map_err(unwritten)?, claims.map_err(unwritten)?);
    // Room for all of it at once, lest growing leaves copies behind.
    let room = (header.len() + claims.len() + SIGNATURE).div_ceil(3) * 4 + 8;
    let mut token = Zeroizing::new(String::with_capacity(room));
    base64_simd::URL_SAFE_NO_PAD.encode_append(&**header, &mut *token);
    token.push('.');
    base64_simd::URL_SAFE_NO_PAD.encode_append(&**claims, &mut *token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    base64_simd::URL_SAFE_NO_PAD.encode_append(&signature, &mut *token);
    Ok(token)
}

/// Octets of the longest signature that is usual: RSA with 4096 bits.
const SIGNATURE: usize = 512;
