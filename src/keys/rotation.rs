//! New key pairs and signing with them: for tokens that are minted here, `keys generate`, `token mint`, `demo`, `test`.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{error, hmac};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::keys::{pem, prepared};
use crate::token::Algorithm;

/// A private key, or a shared secret, that can mint.
pub struct SigningKey {
    algorithm: Algorithm,
    private: Private,
    /// The public members of its JWK and their thumbprint; a secret has neither.
    public: Option<(Value, Box<str>)>,
}

enum Private {
    Rsa(RsaKeyPair),
    Elliptic(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// Boxed: it is twenty times the size of the others.
    Secret(Box<hmac::Key>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A key cannot be made, read or used. The text never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SigningError(pub String);

impl SigningKey {
    /// Makes a new key pair (RSA of 2048 bits for RS and PS; P-256, P-384, Ed25519 for the others). HMAC has
    /// no key pairs.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let failed = |_| refuse("the key pair could not be generated");
        let private = match Kind::of(algorithm) {
            Kind::Rsa(_) => Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Kind::Elliptic(curve) => Private::Elliptic(EcdsaKeyPair::generate(curve).map_err(failed)?),
            Kind::Ed25519 => Private::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Kind::Secret => return Err(refuse("HMAC has secrets, not key pairs")),
        };
        Self::new(algorithm, private)
    }

    /// Reads a PKCS#8 (or SEC1, or PKCS#1) private PEM. `algorithm` overrides what the file says in a line
    /// `Algorithm: PS256` above the key ([`SigningKey::to_pem`] writes it), and that what the key's type suggests
    /// (RSA: RS256).
    pub fn from_pem(text: &[u8], algorithm: Option<Algorithm>) -> Result<Self, SigningError> {
        let blocks = pem::blocks(text).map_err(refuse)?;
        // `openssl ecparam -genkey` writes the curve's parameters first.
        let mut keys = blocks.iter().filter(|block| block.label != "EC PARAMETERS");
        let (Some(block), None) = (keys.next(), keys.next()) else {
            return Err(refuse("it has to hold one private key"));
        };
        match &*block.label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(refuse("an encrypted private key is not read")),
            _ => return Err(refuse("it holds no private key")),
        }
        let (private, suggested) = read_der(&block.der)
            .ok_or_else(|| refuse("not an RSA (2048 bits or more), P-256, P-384 or Ed25519 private key"))?;
        let algorithm = match (algorithm, pem::note(text, ALGORITHM)) {
            (Some(algorithm), _) => algorithm,
            (None, Some(name)) => {
                Algorithm::from_name(name).ok_or_else(|| refuse("the algorithm it names is not known"))?
            }
            (None, None) => suggested,
        };
        Self::new(algorithm, private)
    }

    /// Takes a shared secret for an HMAC algorithm, of whatever length.
    pub fn from_secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, SigningError> {
        let hmac =
            prepared::hmac_algorithm(algorithm).ok_or_else(|| refuse("a secret is for HMAC algorithms"))?;
        Self::new(algorithm, Private::Secret(Box::new(hmac::Key::new(hmac, secret))))
    }

    fn new(algorithm: Algorithm, private: Private) -> Result<Self, SigningError> {
        let fits = match (&private, Kind::of(algorithm)) {
            (Private::Rsa(_), Kind::Rsa(_))
            | (Private::Ed25519(_), Kind::Ed25519)
            | (Private::Secret(_), Kind::Secret) => true,
            (Private::Elliptic(key), Kind::Elliptic(curve)) => key.algorithm() == curve,
            (Private::Rsa(_) | Private::Elliptic(_) | Private::Ed25519(_) | Private::Secret(_), _) => false,
        };
        if !fits {
            return Err(refuse("the algorithm is not one of the key's type"));
        }
        let public = public_members(&private).map(|members| {
            let thumbprint = thumbprint(&members);
            (members, thumbprint)
        });
        Ok(Self { algorithm, private, public })
    }

    /// The private key as PKCS#8 PEM; a secret has none. An RSA key fits several algorithms: unless its is the one
    /// that [`SigningKey::from_pem`] supposes, a line above the key says which.
    pub fn to_pem(&self) -> Option<Zeroizing<String>> {
        let der: Pkcs8V1Der<'_> = match &self.private {
            Private::Rsa(key) => key.as_der().ok()?,
            // Version 1 throughout: OpenSSL does not read version 2.
            Private::Elliptic(key) => {
                return Some(pem::write("", "PRIVATE KEY", key.to_pkcs8v1().ok()?.as_ref()));
            }
            Private::Ed25519(key) => key.as_der().ok()?,
            Private::Secret(_) => return None,
        };
        let notes = match (&self.private, self.algorithm) {
            (Private::Rsa(_), algorithm) if algorithm != Algorithm::RS256 => {
                format!("{ALGORITHM}: {}\n", algorithm.name())
            }
            (Private::Rsa(_) | Private::Elliptic(_) | Private::Ed25519(_) | Private::Secret(_), _) => {
                String::new()
            }
        };
        Some(pem::write(&notes, "PRIVATE KEY", der.as_ref()))
    }

    /// The public half as one JWK with `kid` (RFC 7638 thumbprint), `alg` and `use`; a secret has none.
    pub fn public_jwk(&self) -> Option<Value> {
        let (members, key_id) = self.public.as_ref()?;
        let mut jwk = members.clone();
        for (name, value) in [("kid", &**key_id), ("alg", self.algorithm.name()), ("use", "sig")] {
            jwk[name] = value.into();
        }
        Some(jwk)
    }

    /// Its `kid`: the RFC 7638 thumbprint; a secret has none.
    pub fn key_id(&self) -> Option<&str> {
        self.public.as_ref().map(|(_, key_id)| &**key_id)
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Mints a compact JWS over `claims` with header `{alg, typ, kid}`; a secret's has no `kid`.
    pub fn mint(&self, claims: &Value, typ: &str) -> Result<String, SigningError> {
        let mut header = json!({ "alg": self.algorithm.name(), "typ": typ });
        if let Some(key_id) = self.key_id() {
            header["kid"] = key_id.into();
        }
        let mut token = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&encode(signature));
        Ok(token)
    }

    /// Signs whatever it is given: for tokens that [`SigningKey::mint`] would not make.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.try_sign(message).map_err(|_| refuse("the token could not be signed"))
    }

    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, error::Unspecified> {
        let random = SystemRandom::new();
        match (&self.private, Kind::of(self.algorithm)) {
            (Private::Rsa(key), Kind::Rsa(padding)) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature)?;
                Ok(signature)
            }
            (Private::Elliptic(key), _) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
            (Private::Ed25519(key), _) => Ok(key.try_sign(message)?.as_ref().to_vec()),
            (Private::Secret(key), _) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            (Private::Rsa(_), Kind::Elliptic(_) | Kind::Ed25519 | Kind::Secret) => Err(error::Unspecified),
        }
    }
}

/// What signs with an algorithm.
enum Kind {
    Rsa(&'static dyn RsaEncoding),
    Elliptic(&'static EcdsaSigningAlgorithm),
    Ed25519,
    Secret,
}

impl Kind {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256 => Self::Rsa(&RSA_PKCS1_SHA256),
            Algorithm::RS384 => Self::Rsa(&RSA_PKCS1_SHA384),
            Algorithm::RS512 => Self::Rsa(&RSA_PKCS1_SHA512),
            Algorithm::PS256 => Self::Rsa(&RSA_PSS_SHA256),
            Algorithm::PS384 => Self::Rsa(&RSA_PSS_SHA384),
            Algorithm::PS512 => Self::Rsa(&RSA_PSS_SHA512),
            Algorithm::ES256 => Self::Elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => Self::Elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => Self::Ed25519,
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Self::Secret,
        }
    }
}

/// A private key in any of the forms that PEM wraps, and the algorithm its type suggests.
fn read_der(der: &[u8]) -> Option<(Private, Algorithm)> {
    if let Ok(key) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
        return (key.public_modulus_len() >= 256).then_some((Private::Rsa(key), Algorithm::RS256));
    }
    if let Ok(key) = Ed25519KeyPair::from_pkcs8(der) {
        return Some((Private::Ed25519(key), Algorithm::EdDSA));
    }
    let curves: [(&'static EcdsaSigningAlgorithm, Algorithm); 2] = [
        (&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::ES256),
        (&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::ES384),
    ];
    curves.into_iter().find_map(|(curve, algorithm)| {
        EcdsaKeyPair::from_private_key_der(curve, der).ok().map(|key| (Private::Elliptic(key), algorithm))
    })
}

/// The required members of its JWK: just those, because they are what a thumbprint is taken of.
fn public_members(private: &Private) -> Option<Value> {
    match private {
        Private::Rsa(key) => {
            let key = key.public_key();
            Some(json!({
                "kty": "RSA",
                "n": encode(key.modulus().big_endian_without_leading_zero()),
                "e": encode(key.exponent().big_endian_without_leading_zero()),
            }))
        }
        Private::Elliptic(key) => {
            // 0x04, then both coordinates in full size (SEC 1 section 2.3.3).
            let coordinates = key.public_key().as_ref().get(1..)?;
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            let curve = if *key.algorithm() == ECDSA_P256_SHA256_FIXED_SIGNING { "P-256" } else { "P-384" };
            Some(json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) }))
        }
        Private::Ed25519(key) => {
            Some(json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref()) }))
        }
        Private::Secret(_) => None,
    }
}

/// RFC 7638 section 3: the required members in the order of their names, without white space.
fn thumbprint(members: &Value) -> Box<str> {
    let mut sorted: Vec<(&String, &Value)> = members.as_object().into_iter().flatten().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let canonical: Vec<String> = sorted.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    encode(digest::digest(&SHA256, format!("{{{}}}", canonical.join(",")).as_bytes())).into()
}

fn encode(octets: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(octets)
}

fn refuse(why: &str) -> SigningError {
    SigningError(why.to_owned())
}

/// Begins the line above a private key that says what it is for.
const ALGORITHM: &str = "Algorithm";
