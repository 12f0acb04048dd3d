//! What is secret and kept nonetheless: sealed with AES-256-GCM (NIST SP 800-38D) under a key that is kept elsewhere.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::mint::{Entropy, NoEntropy};

/// A key that seals others.
pub struct SealingKey {
    key: LessSafeKey,
    /// To tell keys apart: a tag of nothing under it.
    mark: Box<[u8]>,
}

impl SealingKey {
    /// Of 32 octets, or of their base64 in either alphabet (44 characters, or 43 without padding); `None` of anything else.
    pub fn new(octets: &[u8]) -> Option<Self> {
        let decoded;
        let octets = if octets.len() == KEY {
            octets
        } else {
            let text = str::from_utf8(octets).ok()?.trim().trim_end_matches('=');
            let text = Zeroizing::new(text.replace('-', "+").replace('_', "/"));
            decoded = Zeroizing::new(base64_simd::STANDARD_NO_PAD.decode_to_vec(text.as_bytes()).ok()?);
            (decoded.len() == KEY).then_some(&decoded[..])?
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, octets).ok()?);
        // No record has an empty nonce of zeros and no text: what is said of the key is nothing about it.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let mark = key.seal_in_place_separate_tag(nonce, Aad::from(MARK), &mut []).ok()?;
        Some(Self { key, mark: mark.as_ref().into() })
    }

    /// Seals a text: a random nonce, what it encrypts to, and a tag over that and over `about`, which is not kept with it and
    /// has to be the same when it is opened.
    pub fn seal(&self, about: &[u8], text: &[u8], entropy: Entropy<'_>) -> Result<Vec<u8>, NoEntropy> {
        let mut nonce = [0; NONCE_LEN];
        entropy(&mut nonce)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + text.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(about), &mut sealed[NONCE_LEN..]);
        // It fails for texts of many gigabytes only.
        sealed.extend_from_slice(tag.map_err(|_| NoEntropy)?.as_ref());
        Ok(sealed)
    }

    /// The text; `None` where the key, what it is about, or an octet is another.
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl PartialEq for SealingKey {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

/// Octets of a key.
const KEY: usize = 32;
/// What the mark is a tag of.
const MARK: &[u8] = b"portcullis sealing key";
