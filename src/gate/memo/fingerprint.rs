//! A keyed 128-bit hash of a whole token: what a token is known by.
//!
//! A universal hash, then a pseudorandom function, as Carter and Wegman do. The token is cut into blocks; NH, the hash
//! of UMAC (RFC 4418 section 5.2; Black et al., "UMAC: Fast and Secure Message Authentication"), brings each down to
//! 32 octets; SipHash takes the length and what is left. For whoever does not know the key, two tokens of one length
//! collide in NH with a chance of 2^-128, whatever they are, and of unlike lengths in SipHash alone.
//!
//! Why not SipHash over it all: two multiplications for sixteen octets are a third of its instructions, and this runs
//! over every token of every request. Why not a hash that is faster still and then a comparison: the memo would have
//! to keep the tokens, which are most of what it would weigh.

#[cfg(test)]
mod tests;

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// A token's keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(in crate::gate) u128);

/// Takes fingerprints, under a key that never leaves the process.
pub(in crate::gate) struct Fingerprints {
    key: [u8; 16],
    /// Of each pair of words one for the first octets and one for the last; one pair more for the second pass, which
    /// begins a pair later (RFC 4418 section 5.2.1: the Toeplitz construction).
    pairs: [(u64, u64); PAIRS + 1],
}

/// Octets that are multiplied at a time.
const PAIR: usize = 16;

/// Pairs of a block: a kibibyte, which most tokens fit into.
const PAIRS: usize = 64;

impl Fingerprints {
    /// `key` is random.
    pub(in crate::gate) fn new(key: [u8; 16]) -> Self {
        let word = |number: usize| {
            let mut hasher = SipHasher13::new_with_key(&key);
            // A token's hash begins with its length, which is never this large.
            hasher.write_u64(u64::MAX);
            hasher.write_usize(number);
            hasher.finish()
        };
        Self { key, pairs: std::array::from_fn(|pair| (word(2 * pair), word(2 * pair + 1))) }
    }

    /// The token's.
    pub(in crate::gate) fn of(&self, token: &[u8]) -> Fingerprint {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_usize(token.len());
        for block in token.chunks(PAIRS * PAIR) {
            let (one, other) = self.block(block);
            let mut both = [0; 32];
            both[..16].copy_from_slice(&one.to_le_bytes());
            both[16..].copy_from_slice(&other.to_le_bytes());
            hasher.write(&both);
        }
        Fingerprint(hasher.finish128().as_u128())
    }

    /// Both passes of NH over at most [`PAIRS`] pairs; what is missing of the last is zero, which the length tells
    /// from zeros that were sent.
    fn block(&self, block: &[u8]) -> (u128, u128) {
        let (pairs, rest) = block.as_chunks::<PAIR>();
        let mut sums = (0, 0);
        for (octets, keys) in pairs.iter().zip(self.pairs.windows(2)) {
            add(&mut sums, octets, keys);
        }
        if let (false, Some(keys)) = (rest.is_empty(), self.pairs.get(pairs.len()..pairs.len() + 2)) {
            let mut last = [0; PAIR];
            last[..rest.len()].copy_from_slice(rest);
            add(&mut sums, &last, keys);
        }
        sums
    }
}

fn add(sums: &mut (u128, u128), octets: &[u8; PAIR], keys: &[(u64, u64)]) {
    let both = u128::from_le_bytes(*octets);
    let (first, last) = (both as u64, (both >> 64) as u64);
    let product = |key: (u64, u64)| {
        u128::from(first.wrapping_add(key.0)).wrapping_mul(u128::from(last.wrapping_add(key.1)))
    };
    if let [one, other] = keys {
        sums.0 = sums.0.wrapping_add(product(*one));
        sums.1 = sums.1.wrapping_add(product(*other));
    }
}
