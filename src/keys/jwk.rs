//! Key sets as they arrive: JWKS (RFC 7517), PEM, shared secrets. Policy decided here, once.

#[cfg(test)]
mod tests;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaSubjectPublicKey};
use serde_json::{Map, Value};

use crate::keys::prepared::{self, Material, Prepared};
use crate::keys::rotation::SigningKey;
use crate::keys::{Builder, KeySet, Refused, pem};
use crate::token::Algorithm;
use crate::token::json::{self, Bounds};
use crate::token::jws::KEY_ID;

/// One key that was not taken, and why: never with key material in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its `kid`, cut to 256 octets, if it has one.
    pub key_id: Option<Box<str>>,
    /// What is wrong with it.
    pub why: String,
}

/// Why a whole set is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWKS document: bad JSON, no `keys` array, duplicate members, too many keys.
    #[error("not a key set: {0}")]
    NotAKeySet(String),
    /// Two usable keys share one id.
    #[error("two keys have the id {0:?}")]
    DuplicateKeyId(Box<str>),
    /// A private or symmetric member in a set that should be public.
    #[error("key {0} holds a private or secret member")]
    PrivateMember(usize),
    /// Nothing usable is left.
    #[error("no usable key{}", reasons(.0))]
    NoUsableKey(Vec<SkippedKey>),
    /// A PEM file that is no public key this gateway can use.
    #[error("not a usable public key: {0}")]
    Pem(String),
    /// A PEM file that is no private key this gateway can sign with.
    #[error("not a usable private key: {0}")]
    Private(String),
    /// A shared secret that is too short for its algorithm.
    #[error("a secret of {0} octets is shorter than the hash of {1} ({2} octets)")]
    ShortSecret(usize, &'static str, usize),
}

fn reasons(skipped: &[SkippedKey]) -> String {
    skipped.iter().map(|key| format!("; key {}: {}", key.index, key.why)).collect()
}

/// Parses a public JWKS. `allowed` is the issuer's `algorithms`, if it gave any. Unusable keys are skipped
/// and returned beside the set; a set with a duplicate id, a private member or no usable key is refused.
pub fn parse_jwks(
    text: &[u8],
    allowed: Option<&[Algorithm]>,
) -> Result<(KeySet, Vec<SkippedKey>), KeySetError> {
    let document =
        json::object(text, DOCUMENT).map_err(|error| KeySetError::NotAKeySet(error.to_string()))?;
    let Some(Value::Array(keys)) = document.get("keys") else {
        return Err(KeySetError::NotAKeySet("no `keys` array".to_owned()));
    };
    if keys.len() > KEYS {
        return Err(KeySetError::NotAKeySet(format!("more than {KEYS} keys")));
    }
    // Before anything else: whoever publishes a private key has lost it, and every other key beside it.
    let private = |key: &Value| PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some());
    if let Some(index) = keys.iter().position(private) {
        return Err(KeySetError::PrivateMember(index));
    }
    let mut builder = Builder::default();
    let mut skipped = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let why = match read_key(key, allowed) {
            Ok((key_id, prepared)) => match builder.add(key_id, prepared) {
                Ok(()) => continue,
                Err(Refused::DuplicateKeyId) => {
                    return Err(KeySetError::DuplicateKeyId(key_id.unwrap_or_default().into()));
                }
                Err(Refused::TooManyUnnamed) => CROWDED,
            },
            Err(why) => why,
        };
        let key_id =
            key.get("kid").and_then(Value::as_str).map(|id| id[..id.floor_char_boundary(KEY_ID)].into());
        skipped.push(SkippedKey { index, key_id, why: why.to_owned() });
    }
    let set = builder.finish();
    if set.is_empty() { Err(KeySetError::NoUsableKey(skipped)) } else { Ok((set, skipped)) }
}

/// One JWK (RFC 7517 section 4), its id and what it was prepared for; the error says why it is unusable.
fn read_key<'k>(
    key: &'k Value,
    allowed: Option<&[Algorithm]>,
) -> Result<(Option<&'k str>, Vec<Prepared>), &'static str> {
    let key = key.as_object().ok_or("not a JSON object")?;
    let key_id = text(key, "kid")?;
    if key_id.is_some_and(|id| id.len() > KEY_ID || id.chars().any(char::is_control)) {
        return Err("its `kid` is longer than 256 octets or holds control characters: no token can name it");
    }
    check_use(key)?;
    let only = match text(key, "alg")? {
        None => None,
        Some(name) => Some(Algorithm::from_name(name).ok_or("its `alg` is none that this gateway verifies")?),
    };
    let prepared = match text(key, "kty")?.ok_or("it has no `kty`")? {
        "RSA" => {
            let (modulus, exponent) = (octets(key, "n")?, octets(key, "e")?);
            prepared::public(Material::Rsa { modulus: &modulus, exponent: &exponent }, only, allowed)
        }
        "EC" => match text(key, "crv")? {
            Some("P-256") => prepared::public(Material::P256(&point(key, 32)?), only, allowed),
            Some("P-384") => prepared::public(Material::P384(&point(key, 48)?), only, allowed),
            Some(_) | None => Err("its curve is neither P-256 nor P-384"),
        },
        "OKP" => match text(key, "crv")? {
            Some("Ed25519") => prepared::public(Material::Ed25519(&sized(key, "x", 32)?), only, allowed),
            Some(_) | None => Err("its curve is not Ed25519"),
        },
        "oct" => Err("a symmetric key has no place in a public set"),
        _ => Err("its `kty` is none that this gateway verifies with"),
    }?;
    Ok((key_id, prepared))
}

/// `use` and `key_ops` have to allow verifying, if they are there (RFC 7517 sections 4.2 and 4.3).
fn check_use(key: &Map<String, Value>) -> Result<(), &'static str> {
    if text(key, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("its `use` is not `sig`");
    }
    let operations = match key.get("key_ops") {
        None => return Ok(()),
        Some(Value::Array(operations)) => operations,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Err("its `key_ops` is not an array");
        }
    };
    let twice = operations.iter().enumerate().any(|(at, operation)| operations[..at].contains(operation));
    if twice || !operations.iter().all(Value::is_string) {
        return Err("its `key_ops` are not different strings");
    }
    if operations.iter().any(|operation| operation == "verify") {
        Ok(())
    } else {
        Err("its `key_ops` do not hold `verify`")
    }
}

fn text<'k>(key: &'k Map<String, Value>, name: &str) -> Result<Option<&'k str>, &'static str> {
    key.get(name).map(|value| value.as_str().ok_or("a member that has to be a string is none")).transpose()
}

fn octets(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = text(key, name)?.ok_or("a member of its key type is missing")?;
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| "a member is not strict base64url")
}

fn sized(key: &Map<String, Value>, name: &str, length: usize) -> Result<Vec<u8>, &'static str> {
    let octets = octets(key, name)?;
    // RFC 7518 section 6.2.1.2 and RFC 8037 section 2: always the full size.
    if octets.len() == length { Ok(octets) } else { Err("a coordinate is not of its curve's size") }
}

/// The uncompressed point (SEC 1 section 2.3.3).
fn point(key: &Map<String, Value>, length: usize) -> Result<Vec<u8>, &'static str> {
    Ok([&[0x04][..], &sized(key, "x", length)?, &sized(key, "y", length)?].concat())
}

/// Parses PEM: one or more SPKI `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE` blocks, none with an id.
/// A private key is refused.
pub fn parse_pem(text: &[u8], allowed: Option<&[Algorithm]>) -> Result<KeySet, KeySetError> {
    let refuse = |why: &str| KeySetError::Pem(why.to_owned());
    let blocks = pem::blocks(text).map_err(refuse)?;
    let mut builder = Builder::default();
    for block in &blocks {
        let key = match &*block.label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => &block.der[..],
            "CERTIFICATE" => {
                pem::certificate_key(&block.der).ok_or_else(|| refuse("not an X.509 certificate"))?
            }
            label if label.ends_with("PRIVATE KEY") => return Err(refuse("it holds a private key")),
            _ => return Err(refuse("it holds a block that is neither a public key nor a certificate")),
        };
        let prepared = read_der(key, allowed).map_err(refuse)?;
        builder.add(None, prepared).map_err(|_| refuse(CROWDED))?;
    }
    let set = builder.finish();
    if set.is_empty() { Err(refuse("it holds no PEM block")) } else { Ok(set) }
}

/// A SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) or an RSAPublicKey (RFC 8017 appendix A.1.1): whichever
/// of our key types accepts it.
fn read_der(der: &[u8], allowed: Option<&[Algorithm]>) -> Result<Vec<Prepared>, &'static str> {
    if let Ok(key) = RsaSubjectPublicKey::from_der(der) {
        let (modulus, exponent) = (
            key.modulus().big_endian_without_leading_zero(),
            key.exponent().big_endian_without_leading_zero(),
        );
        return prepared::public(Material::Rsa { modulus, exponent }, None, allowed);
    }
    let curves: [(&'static dyn signature::VerificationAlgorithm, Material<'_>); 3] = [
        (&signature::ECDSA_P256_SHA256_FIXED, Material::P256(der)),
        (&signature::ECDSA_P384_SHA384_FIXED, Material::P384(der)),
        (&signature::ED25519, Material::Ed25519(der)),
    ];
    let fits = |(algorithm, _): &(&'static dyn signature::VerificationAlgorithm, _)| {
        ParsedPublicKey::new(*algorithm, der).is_ok()
    };
    let (_, material) = curves.into_iter().find(fits).ok_or("neither RSA, P-256, P-384 nor Ed25519")?;
    prepared::public(material, None, allowed)
}

/// The public half of a private key in PEM: what verifies that the gateway signs with. Its id is the key's thumbprint
/// (RFC 7638).
pub fn from_private_pem(text: &[u8], allowed: Option<&[Algorithm]>) -> Result<KeySet, KeySetError> {
    let refuse = |why: &str| KeySetError::Pem(why.to_owned());
    let only = allowed.and_then(|allowed| allowed.first().copied());
    let key = SigningKey::from_pem(text, only).map_err(|error| KeySetError::Private(error.0))?;
    let jwk = key.public_jwk().ok_or_else(|| refuse("it has no public half"))?;
    let document = serde_json::json!({ "keys": [jwk] }).to_string();
    parse_jwks(document.as_bytes(), allowed).map(|(set, _)| set)
}

/// Takes a shared secret for HMAC. `allowed` defaults to the algorithms its length is enough for (RFC 7518
/// section 3.2); `dangerous_short` accepts any length but zero, and then defaults to HS256 at least.
pub fn from_secret(
    secret: &[u8],
    allowed: Option<&[Algorithm]>,
    dangerous_short: bool,
) -> Result<KeySet, KeySetError> {
    let enough = |hash: usize| secret.len() >= hash || (dangerous_short && !secret.is_empty());
    let short = |algorithm: Algorithm, hash| KeySetError::ShortSecret(secret.len(), algorithm.name(), hash);
    let mut builder = Builder::default();
    let mut take = |algorithm| builder.add(None, Prepared::secret(secret, algorithm).into_iter().collect());
    for (algorithm, hash) in HASHES {
        let wanted = match allowed {
            Some(allowed) => allowed.contains(&algorithm),
            None => secret.len() >= hash || algorithm == Algorithm::HS256,
        };
        if wanted && !enough(hash) {
            return Err(short(algorithm, hash));
        }
        if wanted {
            // One secret cannot crowd a set, and has no id that could be another's.
            let _: Result<(), Refused> = take(algorithm);
        }
    }
    let set = builder.finish();
    if set.is_empty() { Err(KeySetError::NoUsableKey(Vec::new())) } else { Ok(set) }
}

/// What only a private or a symmetric key has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 8037 section 2).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// HMAC algorithms and the octets of their hash.
const HASHES: [(Algorithm, usize); 3] =
    [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)];

const CROWDED: &str = "too many keys of its algorithm have no id: each costs a verification";

/// Keys of one set.
const KEYS: usize = 200;

/// Bounds of a JWKS document; `limits.key_set` bounds its octets.
const DOCUMENT: Bounds = Bounds { depth: 32, members: 64, elements: 1024 };
