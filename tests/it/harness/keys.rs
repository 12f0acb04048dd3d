//! Real keys, made here with aws-lc-rs and not by the gateway's own code: what signs must not be what verifies.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{hmac, rand};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A signing key and the name it is published under.
#[derive(Clone)]
pub struct Key {
    /// `kid`; empty is none.
    pub id: String,
    /// `alg`.
    pub algorithm: String,
    material: Arc<Material>,
}

enum Material {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
    Hmac(Vec<u8>),
}

/// RSA keys are slow to make, so tests that need no key of their own share this one.
static SHARED_RSA: LazyLock<Arc<Material>> = LazyLock::new(|| Arc::new(rsa(KeySize::Rsa2048)));

/// Every algorithm the gateway serves.
pub const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS384",
    "HS512",
];

impl Key {
    /// A new key for `algorithm`, published as `id`. RSA keys share one modulus in the test process.
    pub fn new(algorithm: &str, id: &str) -> Self {
        let material = match algorithm.get(..2).unwrap_or_default() {
            "RS" | "PS" => Arc::clone(&SHARED_RSA),
            "HS" => Arc::new(Material::Hmac(random(64))),
            "Ed" => Arc::new(Material::Ed(Ed25519KeyPair::generate().expect("entropy"))),
            _ if algorithm == "ES384" => Arc::new(ec("P-384")),
            _ => Arc::new(ec("P-256")),
        };
        Self { id: id.to_owned(), algorithm: algorithm.to_owned(), material }
    }

    /// An HMAC key of these octets.
    pub fn secret(algorithm: &str, octets: &[u8]) -> Self {
        let material = Arc::new(Material::Hmac(octets.to_vec()));
        Self { id: String::new(), algorithm: algorithm.to_owned(), material }
    }

    /// The same key published under another name.
    pub fn named(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }

    /// Signs under the key's own algorithm.
    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        self.sign_as(&self.algorithm, input)
    }

    /// Signs under another algorithm of the same key type.
    pub fn sign_as(&self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        let entropy = SystemRandom::new();
        match &*self.material {
            Material::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding(algorithm), &entropy, input, &mut signature).expect("RSA signs");
                signature
            }
            Material::Ec(pair, _) => pair.sign(&entropy, input).expect("ECDSA signs").as_ref().to_vec(),
            Material::Ed(pair) => pair.sign(input).as_ref().to_vec(),
            Material::Hmac(secret) => mac(algorithm, secret, input),
        }
    }

    /// A compact JWS over exactly these texts, whatever they say.
    pub fn compact(&self, header: &str, payload: &[u8]) -> String {
        let input = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = self.sign(input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    /// The public JWK (RFC 7517), with `kid`, `alg` and `use`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &*self.material {
            Material::Rsa(pair) => {
                let public = PublicKeyComponents::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
            Material::Ec(pair, curve) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Material::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
            Material::Hmac(secret) => json!({"kty": "oct", "k": encode(secret)}),
        };
        jwk["alg"] = json!(self.algorithm);
        jwk["use"] = json!("sig");
        if !self.id.is_empty() {
            jwk["kid"] = json!(self.id);
        }
        jwk
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &*self.material {
            Material::Rsa(pair) => pair.public_key().as_der().expect("an RSA key encodes"),
            Material::Ec(pair, _) => pair.public_key().as_der().expect("an EC key encodes"),
            Material::Ed(pair) => pair.public_key().as_der().expect("an Ed25519 key encodes"),
            Material::Hmac(_) => panic!("a secret has no public half"),
        };
        der.as_ref().to_vec()
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    /// The octets of an RSA public key as PKCS#1, or those of a secret.
    pub fn octets(&self) -> Vec<u8> {
        match &*self.material {
            Material::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Material::Ec(pair, _) => pair.public_key().as_ref().to_vec(),
            Material::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Material::Hmac(secret) => secret.clone(),
        }
    }
}

/// A JWK set of these keys.
pub fn jwks(keys: &[Key]) -> Value {
    json!({"keys": keys.iter().map(Key::jwk).collect::<Vec<_>>()})
}

/// base64url without padding.
pub fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(octets)
}

/// The other way.
pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text).expect("base64url")
}

/// HMAC under any of the three hashes.
pub fn mac(algorithm: &str, secret: &[u8], input: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(hash, secret), input).as_ref().to_vec()
}

/// PEM with lines of 64.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode_to_string(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Octets nobody can guess.
pub fn random(length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    rand::fill(&mut octets).expect("entropy");
    octets
}

/// A random text that is safe in a header, a path and a claim.
pub fn random_name() -> String {
    random(16).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn rsa(size: KeySize) -> Material {
    Material::Rsa(RsaKeyPair::generate(size).expect("an RSA key"))
}

fn ec(curve: &'static str) -> Material {
    let algorithm = match curve {
        "P-384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    };
    Material::Ec(EcdsaKeyPair::generate(algorithm).expect("an EC key"), curve)
}

fn padding(algorithm: &str) -> &'static dyn RsaEncoding {
    match algorithm {
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}
