//! One key for one algorithm, ready to verify, and what a key has to be for that (threats J15).

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, RsaSubjectPublicKey,
};
use verification::ecdsa::Ecdsa;
use verification::rsassa::{Hash, Rsassa};

use crate::token::Algorithm;

/// A key prepared for one algorithm.
pub(crate) struct Prepared {
    /// The only algorithm it is used with.
    pub(crate) algorithm: Algorithm,
    /// SHA-256 of the key material, to tell keys apart without keeping a second copy of a secret.
    fingerprint: [u8; 32],
    verifier: Verifier,
}

enum Verifier {
    Public(ParsedPublicKey),
    Rsassa(Box<Rsassa>),
    Ecdsa(Box<Ecdsa>),
    /// Boxed, as all that is larger than the first.
    Secret(Box<hmac::Key>),
}

/// Public key material as it was found, not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Material<'k> {
    /// Modulus and exponent, big-endian.
    Rsa { modulus: &'k [u8], exponent: &'k [u8] },
    /// P-256: an uncompressed point or a SubjectPublicKeyInfo.
    P256(&'k [u8]),
    /// P-384, likewise.
    P384(&'k [u8]),
    /// Ed25519: 32 octets or a SubjectPublicKeyInfo.
    Ed25519(&'k [u8]),
}

impl Material<'_> {
    /// The algorithms such a key can be used with.
    pub(crate) fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Self::P256(_) => &[Algorithm::ES256],
            Self::P384(_) => &[Algorithm::ES384],
            Self::Ed25519(_) => &[Algorithm::EdDSA],
        }
    }
}

/// Prepares a public key for every algorithm that is the key's and one of `allowed`; `only` is the `alg` that
/// the key itself names. The error says why the key is unusable, without key material.
pub(crate) fn public(
    material: Material<'_>,
    only: Option<Algorithm>,
    allowed: Option<&[Algorithm]>,
) -> Result<Vec<Prepared>, &'static str> {
    let own = material.algorithms();
    if only.is_some_and(|only| !own.contains(&only)) {
        return Err("its `alg` is not one of its key type and curve");
    }
    let wanted = |algorithm: &&Algorithm| {
        only.is_none_or(|only| only == **algorithm)
            && allowed.is_none_or(|allowed| allowed.contains(algorithm))
    };
    let prepared: Vec<Prepared> = own
        .iter()
        .filter(wanted)
        .map(|&algorithm| Prepared::new(algorithm, material))
        .collect::<Result<_, _>>()?;
    if prepared.is_empty() { Err("the issuer allows none of its algorithms") } else { Ok(prepared) }
}

impl Prepared {
    fn new(algorithm: Algorithm, material: Material<'_>) -> Result<Self, &'static str> {
        let (verifier, parts) = match material {
            Material::Rsa { modulus, exponent } => {
                let (modulus, exponent) = (minimal(modulus), minimal(exponent));
                (rsa(modulus, exponent, algorithm)?, [modulus, exponent])
            }
            Material::P256(octets) => (p256(octets)?, [octets, &[]]),
            Material::P384(octets) => {
                (Verifier::Public(elliptic(&signature::ECDSA_P384_SHA384_FIXED, octets)?), [octets, &[]])
            }
            Material::Ed25519(octets) => {
                (Verifier::Public(elliptic(&signature::ED25519, octets)?), [octets, &[]])
            }
        };
        Ok(Self { algorithm, fingerprint: fingerprint(parts), verifier })
    }

    /// Prepares a shared secret. Its length is the caller's to judge.
    pub(crate) fn secret(secret: &[u8], algorithm: Algorithm) -> Option<Self> {
        let key = Box::new(hmac::Key::new(hmac_algorithm(algorithm)?, secret));
        Some(Self { algorithm, fingerprint: fingerprint([secret, &[]]), verifier: Verifier::Secret(key) })
    }

    /// Tells this key's material from another's.
    pub(crate) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
            Verifier::Rsassa(key) => key.verifies(message, signature),
            Verifier::Ecdsa(key) => key.verifies(message, signature),
            Verifier::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, self.fingerprint) == (other.algorithm, other.fingerprint)
    }
}

impl fmt::Debug for Prepared {
    /// Without key material: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The HMAC of an algorithm, if it is one.
pub(crate) fn hmac_algorithm(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512
        | Algorithm::ES256
        | Algorithm::ES384
        | Algorithm::EdDSA => None,
    }
}

fn rsa(modulus: &[u8], exponent: &[u8], algorithm: Algorithm) -> Result<Verifier, &'static str> {
    let parameters = rsa_parameters(algorithm).ok_or("its `alg` is not one of its key type and curve")?;
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if bits < RSA_BITS_MIN {
        return Err("an RSA modulus of less than 2048 bits (RFC 7518 section 3.3)");
    }
    if bits > RSA_BITS_MAX {
        return Err("an RSA modulus of more than 8192 bits");
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err("an even RSA modulus");
    }
    check_exponent(exponent)?;
    if is_roca(modulus) {
        return Err("an RSA modulus with the ROCA weakness (CVE-2017-15361)");
    }
    let rejected = "not an RSA public key";
    let key = RsaPublicKeyComponents { n: modulus, e: exponent }
        .to_parsed_public_key(parameters)
        .map_err(|_| rejected)?;
    // Components are taken unchecked; reading the key back from DER runs the library's own checks.
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| rejected)?;
    RsaSubjectPublicKey::from_der(der.as_ref()).map_err(|_| rejected)?;
    let faster = rsassa_hash(algorithm).and_then(|hash| Rsassa::new(modulus, exponent, hash));
    Ok(match faster {
        Some(faster) => Verifier::Rsassa(Box::new(faster)),
        None => Verifier::Public(key),
    })
}

/// 1 signs everything and an even exponent nothing. 3 stays allowed: what made it infamous are verifiers that
/// do not compare the whole padding, and this one does. Past 33 bits aws-lc refuses on every verification.
fn check_exponent(exponent: &[u8]) -> Result<(), &'static str> {
    let value = exponent.iter().take(9).fold(0_u128, |value, octet| value << 8 | u128::from(*octet));
    if value < 3 || value % 2 == 0 || value >= 1 << 33 || exponent.len() > 8 {
        return Err("an RSA exponent that is even, less than 3 or more than 33 bits long");
    }
    Ok(())
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256
        | Algorithm::ES384
        | Algorithm::EdDSA
        | Algorithm::HS256
        | Algorithm::HS384
        | Algorithm::HS512 => None,
    }
}

/// The hash of RSASSA-PKCS1-v1_5, if the algorithm is one.
fn rsassa_hash(algorithm: Algorithm) -> Option<Hash> {
    match algorithm {
        Algorithm::RS256 => Some(Hash::Sha256),
        Algorithm::RS384 => Some(Hash::Sha384),
        Algorithm::RS512 => Some(Hash::Sha512),
        Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512
        | Algorithm::ES256
        | Algorithm::ES384
        | Algorithm::EdDSA
        | Algorithm::HS256
        | Algorithm::HS384
        | Algorithm::HS512 => None,
    }
}

/// Whether the point is on the curve is checked by parsing it.
fn elliptic(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    octets: &[u8],
) -> Result<ParsedPublicKey, &'static str> {
    ParsedPublicKey::new(algorithm, octets).map_err(|_| "not a public key on its curve")
}

fn p256(octets: &[u8]) -> Result<Verifier, &'static str> {
    let key = elliptic(&signature::ECDSA_P256_SHA256_FIXED, octets)?;
    // Whatever it was written as, this is a SubjectPublicKeyInfo, which ends with the point.
    let der: Option<PublicKeyX509Der<'_>> = key.as_der().ok();
    let point = der.as_ref().and_then(|der| der.as_ref().last_chunk::<POINT>());
    Ok(match point.and_then(|point| Ecdsa::new(point)) {
        Some(faster) => Verifier::Ecdsa(Box::new(faster)),
        None => Verifier::Public(key),
    })
}

/// Without leading zeros, which some writers put before a modulus (RFC 7518 section 6.3.1.1).
fn minimal(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    &octets[zeros..]
}

/// Infineon's weak primes are powers of 65537 modulo the product of the first primes, and so is their product:
/// modulo every small prime the modulus is a power of 65537. Another modulus is so for all of these primes
/// once in some 10^8 times (Nemec et al., "The Return of Coppersmith's Attack", section 4).
fn is_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|&prime| {
        let residue = modulus.iter().fold(0, |residue, octet| (residue << 8 | u32::from(*octet)) % prime);
        let mut power = 1;
        loop {
            if power == residue {
                return true;
            }
            power = power * 65537 % prime;
            if power == 1 {
                return false;
            }
        }
    })
}

fn fingerprint(parts: [&[u8]; 2]) -> [u8; 32] {
    let mut context = digest::Context::new(&SHA256);
    for part in parts {
        // The length first, lest two parts divide the same octets differently.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

/// Octets of an uncompressed point of P-256 (SEC 1 section 2.3.3).
const POINT: usize = 65;

/// RFC 7518 section 3.3.
const RSA_BITS_MIN: usize = 2048;

/// What the library verifies at most: verifying with a larger key is a way to keep a core busy.
const RSA_BITS_MAX: usize = 8192;

/// The first primes that all affected key sizes have in common.
const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
