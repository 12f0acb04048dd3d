//! API keys as text: `<prefix><id><secret><checksum>`.
//!
//! The id is 12 characters of `0-9A-Za-z`, the secret 32 (190 bits), and the checksum six: the CRC-32 of everything before
//! it, so that a slip of the pen and what a scanner of repositories finds are told from a key without asking anybody.
//! It protects nothing: who can make a secret can make its checksum.

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

/// A key as text, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Names the key.
    pub id: &'a str,
    /// Proves who holds it.
    pub secret: &'a str,
}

/// Randomness for one key: more than is needed, because some octets stand for no character.
pub type Entropy = [u8; 128];

/// Why a text is no key with this prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// It begins with something else.
    #[error("another prefix")]
    Prefix,
    /// Its length, a character or its checksum is wrong.
    #[error("not a key")]
    Malformed,
}

/// A new id; `None` where so much randomness was of no use, which happens to nobody.
pub fn id(entropy: &Entropy) -> Option<String> {
    characters(entropy, ID)
}

/// A new secret, likewise.
pub fn secret(entropy: &Entropy) -> Option<Zeroizing<String>> {
    characters(entropy, SECRET).map(Zeroizing::new)
}

/// Whether this could be an id that was made here.
pub fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

/// The whole key.
pub fn written(prefix: &str, id: &str, secret: &str) -> Zeroizing<String> {
    let mut key = String::with_capacity(prefix.len() + id.len() + secret.len() + CHECKSUM);
    key.extend([prefix, id, secret]);
    let checksum = checksum(key.as_bytes());
    key.extend(checksum.iter().map(|octet| char::from(*octet)));
    Zeroizing::new(key)
}

/// Takes a whole key apart that begins with this prefix.
pub fn read<'a>(key: &'a str, prefix: &str) -> Result<Parts<'a>, NoKey> {
    let rest = key.strip_prefix(prefix).ok_or(NoKey::Prefix)?;
    if rest.len() != ID + SECRET + CHECKSUM || !rest.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Err(NoKey::Malformed);
    }
    let (checked, sum) = key.split_at(key.len() - CHECKSUM);
    if checksum(checked.as_bytes()) != sum.as_bytes() {
        return Err(NoKey::Malformed);
    }
    let (id, secret) = rest[..ID + SECRET].split_at(ID);
    Ok(Parts { id, secret })
}

/// So many characters, each as likely as any other: octets that would favour some are passed over.
fn characters(entropy: &Entropy, count: usize) -> Option<String> {
    let even = |octet: &&u8| usize::from(**octet) < 256 / ALPHABET.len() * ALPHABET.len();
    let character = |octet: &u8| char::from(ALPHABET[usize::from(*octet) % ALPHABET.len()]);
    let text: String = entropy.iter().filter(even).take(count).map(character).collect();
    (text.len() == count).then_some(text)
}

/// CRC-32 (ISO-HDLC, that of Ethernet and zip) as six digits to the base of 62, the first of them the highest.
fn checksum(octets: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32(octets);
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn crc32(octets: &[u8]) -> u32 {
    // Without a branch: how long it takes says nothing of the secret that is in it.
    let bit = |sum: u32| sum >> 1 ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !octets.iter().fold(!0, |sum, octet| (0..8).fold(sum ^ u32::from(*octet), |sum, _| bit(sum)))
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of an id.
pub const ID: usize = 12;
/// Characters of a secret.
pub const SECRET: usize = 32;
/// Characters of a checksum.
pub const CHECKSUM: usize = 6;
