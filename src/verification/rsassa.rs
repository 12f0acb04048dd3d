//! RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2) for keys with the exponent 65537, where the processor multiplies eight
//! digits of 52 bits at once: a third of what the library's signature takes, which knows these instructions for signing
//! alone.
//!
//! What is compared is the whole encoded message, which is made anew from the message's digest: nothing of the padding is
//! parsed, so that there is nothing in it to be lenient about (RFC 8017 section 8.2.2, note; Bleichenbacher 2006).
//!
//! The library verifies what is not the case above.

#[cfg(target_arch = "x86_64")]
mod montgomery;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest;

#[cfg(target_arch = "x86_64")]
use crate::rsassa::montgomery::Modulus;

/// The only exponent that is verified here: nearly all keys have it.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// Octets of the moduli that are verified with here: 2048 to 4096 bits.
const SHORTEST: usize = 256;
const LONGEST: usize = 512;

/// What a message's digest is made with (FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn digest(self, message: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message)
    }

    /// The DigestInfo before the digest itself (RFC 8017 section 9.2, note 1).
    fn info(self) -> &'static [u8; 19] {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

/// A key that verifies.
pub struct Rsassa {
    modulus: Modulus,
    /// Octets of the modulus, and of every signature.
    length: usize,
    hash: Hash,
}

impl Rsassa {
    /// Of a modulus and an exponent, big-endian and without leading zeros, which make a key. `None` where the library has to
    /// verify: the processor, the exponent or the modulus's length is another.
    pub fn new(modulus: &[u8], exponent: &[u8], hash: Hash) -> Option<Self> {
        if exponent != EXPONENT || !(SHORTEST..=LONGEST).contains(&modulus.len()) {
            return None;
        }
        Some(Self { modulus: Modulus::new(modulus)?, length: modulus.len(), hash })
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.length {
            return false;
        }
        let mut room = [0; LONGEST];
        let encoded = &mut room[..self.length];
        encode(self.hash, message, encoded);
        self.modulus.is_root(signature, encoded)
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2), into octets as many as the modulus has.
fn encode(hash: Hash, message: &[u8], encoded: &mut [u8]) {
    let (info, digest) = (hash.info(), hash.digest(message));
    let (padding, end) = encoded.split_at_mut(encoded.len() - info.len() - digest.as_ref().len());
    end[..info.len()].copy_from_slice(info);
    end[info.len()..].copy_from_slice(digest.as_ref());
    padding.fill(0xff);
    [padding[0], padding[1]] = [0, 1];
    if let Some(last) = padding.last_mut() {
        *last = 0;
    }
}

/// Where there are no such instructions, there is no such modulus.
#[cfg(not(target_arch = "x86_64"))]
enum Modulus {}

#[cfg(not(target_arch = "x86_64"))]
impl Modulus {
    fn new(_: &[u8]) -> Option<Self> {
        None
    }

    fn is_root(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}

/// RFC 8017 section 9.2, note 1, and likewise below.
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

const SHA384: [u8; 19] = [
    0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00,
    0x04, 0x30,
];

const SHA512: [u8; 19] = [
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00,
    0x04, 0x40,
];
