//! Random tokens: names for what they say, good for being looked up and nothing else.
//!
//! A token of a family of refresh tokens begins with some octets that all of its family have. Whoever presents any token
//! that ever was one of them is so known to, and one that was used before is no stranger but a replay. They tell nothing:
//! they are random, in no other token, and what is kept of them is a hash. A mark behind them tells what was a token once from
//! what only begins like one: nobody who mistypes theirs is taken for a thief.

#[cfg(test)]
mod tests;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::config::minted::{Encoding, Shape};
use crate::mint::{Entropy, NoEntropy};

/// A new token: the prefix, and at least 128 bits of randomness.
pub fn token(shape: &Shape, entropy: Entropy<'_>) -> Result<Zeroizing<String>, NoEntropy> {
    written(&shape.prefix, shape.octets.max(SECRET), shape.encoding, entropy)
}

/// What all tokens of a new family begin with, the prefix included.
pub fn family(shape: &Shape, entropy: Entropy<'_>) -> Result<Zeroizing<String>, NoEntropy> {
    written(&shape.prefix, FAMILY, shape.encoding, entropy)
}

/// What the tokens of one family are marked with: a random key. Whoever has it can make texts that pass for tokens that were
/// used, and none that counts.
pub type Mark = [u8; 32];

/// A new token of a family: what it begins with, a mark, and at least 128 bits of randomness that no other token has. It has
/// no fewer octets than the shape says, and no fewer than that takes.
pub fn member(
    shape: &Shape,
    family: &str,
    mark: &Mark,
    entropy: Entropy<'_>,
) -> Result<Zeroizing<String>, NoEntropy> {
    let whole = length(shape.octets.max(FAMILY + MARK + SECRET), shape.encoding);
    // Of base62, the parts may take characters more than the whole would: it is the whole that counts.
    let before = length(FAMILY, shape.encoding) + length(MARK, shape.encoding);
    let rest = whole.saturating_sub(before).max(length(SECRET, shape.encoding));
    let mut secret = Zeroizing::new(String::with_capacity(rest));
    characters(rest, shape.encoding, entropy, &mut secret)?;
    let marked = marked(shape, (family, &secret), mark)?;
    let mut token = Zeroizing::new(String::with_capacity(family.len() + marked.len() + rest));
    [family, &marked, &secret].iter().for_each(|part| token.push_str(part));
    Ok(token)
}

/// Whether a text is, or once was, a token of the family with this mark. One that was mistyped, or cut, never was.
pub fn is_member(shape: &Shape, mark: &Mark, token: &str) -> bool {
    let family = family_of(shape, token).unwrap_or_default();
    let rest =
        token.strip_prefix(family).and_then(|rest| rest.split_at_checked(length(MARK, shape.encoding)));
    rest.filter(|_| !family.is_empty()).is_some_and(|(shown, secret)| {
        let made = marked(shape, (family, secret), mark);
        made.is_ok_and(|made| bool::from(made.as_bytes().ct_eq(shown.as_bytes())))
    })
}

/// The mark of a token with these parts, in as many characters as any part of it.
fn marked(shape: &Shape, (family, secret): (&str, &str), mark: &Mark) -> Result<String, NoEntropy> {
    let (key, mut block) = (hmac::Key::new(hmac::HMAC_SHA256, mark), 0_u8);
    let mut drawn = |octets: &mut [u8]| {
        for part in octets.chunks_mut(DRAWN) {
            let mut context = hmac::Context::with_key(&key);
            [&[block], family.as_bytes(), secret.as_bytes()].iter().for_each(|part| context.update(part));
            part.iter_mut().zip(context.sign().as_ref()).for_each(|(octet, signed)| *octet = *signed);
            block = block.wrapping_add(1);
        }
        Ok(())
    };
    let mut text = String::new();
    characters(length(MARK, shape.encoding), shape.encoding, &mut drawn, &mut text)?;
    Ok(text)
}

/// What a token begins with if it is of a family: text that is too short is of none.
pub fn family_of<'t>(shape: &Shape, token: &'t str) -> Option<&'t str> {
    let begun = shape.prefix.len() + length(FAMILY, shape.encoding);
    let fits = token.len() > begun && token.starts_with(&*shape.prefix);
    token.get(..begun).filter(|_| fits)
}

/// Random characters of `0-9A-Za-z`.
pub fn alphanumeric(count: usize, entropy: Entropy<'_>) -> Result<Zeroizing<String>, NoEntropy> {
    let mut text = Zeroizing::new(String::with_capacity(count));
    characters(count, Encoding::Base62, entropy, &mut text)?;
    Ok(text)
}

/// A random UUID (RFC 9562 section 5.4).
pub fn uuid(entropy: Entropy<'_>) -> Result<String, NoEntropy> {
    let mut octets = [0; 16];
    entropy(&mut octets)?;
    let number = u128::from_be_bytes(octets) & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    let digits = format!("{number:032x}");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(parts.join("-"))
}

fn written(
    prefix: &str,
    octets: usize,
    encoding: Encoding,
    entropy: Entropy<'_>,
) -> Result<Zeroizing<String>, NoEntropy> {
    let count = length(octets, encoding);
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + count));
    text.push_str(prefix);
    characters(count, encoding, entropy, &mut text)?;
    Ok(text)
}

/// Characters that so many octets of randomness take.
fn length(octets: usize, encoding: Encoding) -> usize {
    let bits = octets * 8;
    match encoding {
        Encoding::Base62 => (bits as f64 / f64::from(62_u8).log2()).ceil() as usize,
        Encoding::Hex => bits / 4,
        Encoding::Base64Url => bits.div_ceil(6),
    }
}

/// Adds characters, every one as likely as any other, but for the last of base64url, which has to be one that strict readers
/// take: of so many octets it is the rest.
fn characters(
    count: usize,
    encoding: Encoding,
    entropy: Entropy<'_>,
    text: &mut String,
) -> Result<(), NoEntropy> {
    let alphabet: &[u8] = match encoding {
        Encoding::Base62 => &BASE64URL[..62],
        Encoding::Hex => HEX,
        Encoding::Base64Url => BASE64URL,
    };
    // The bits of the last character that stand for nothing (RFC 4648 section 3.5).
    let idle = match (encoding, count % 4) {
        (Encoding::Base64Url, 2) => 0b1111,
        (Encoding::Base64Url, 3) => 0b11,
        (Encoding::Base64Url | Encoding::Base62 | Encoding::Hex, _) => 0,
    };
    let mask = (alphabet.len().next_power_of_two() - 1) as u8;
    let mut drawn = Zeroizing::new([0_u8; 64]);
    let mut left = count;
    while left > 0 {
        entropy(&mut *drawn)?;
        // What the alphabet does not have is drawn again, not folded back: folding would favour its beginning.
        for octet in drawn.iter().map(|octet| octet & mask) {
            let octet = if left == 1 { octet & !idle } else { octet };
            if let Some(character) = alphabet.get(usize::from(octet)).filter(|_| left > 0) {
                text.push(char::from(*character));
                left -= 1;
            }
        }
    }
    Ok(())
}

/// Octets of randomness that a token has at least: 128 bits (RFC 6819 section 5.1.4.2.2).
const SECRET: usize = 16;
/// Octets that name a family: no two will ever have the same. A multiple of three, so that base64url of both parts is
/// base64url of the whole.
const FAMILY: usize = 9;
/// Octets of a mark: who guesses them ends a family, and has nothing of it. A multiple of three, as that.
const MARK: usize = 6;
/// Octets of HMAC-SHA256.
const DRAWN: usize = 32;
const HEX: &[u8] = b"0123456789abcdef";
/// RFC 4648 section 5. The first 62 are `0-9A-Za-z` in another order: where every character is random, it has no meaning.
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
