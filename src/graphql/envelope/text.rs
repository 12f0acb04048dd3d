//! Strings of JSON: their escapes, read and taken off.

use std::borrow::Cow;

use crate::graphql::envelope::Malformed;

/// Eight octets of one value.
const fn all(octet: u8) -> u64 {
    u64::from_le_bytes([octet; 8])
}

/// Where, from `at` on, the first octet stands that ends a string of JSON, begins an escape, or may not be in one (RFC
/// 8259 section 7); the end where there is none. Eight are looked at at once.
pub(in crate::graphql::envelope) fn special(octets: &[u8], mut at: usize) -> usize {
    while let Some(eight) = octets.get(at..).and_then(<[u8]>::first_chunk) {
        let eight = u64::from_le_bytes(*eight);
        // The highest bit of an octet is set where it is one of those. What is above the first of them may be wrong,
        // for a borrow; the first never is.
        let (quotes, slashes) = (eight ^ all(b'"'), eight ^ all(b'\\'));
        let found = (quotes.wrapping_sub(all(1)) & !quotes)
            | (slashes.wrapping_sub(all(1)) & !slashes)
            | (eight.wrapping_sub(all(b' ')) & !eight);
        let found = found & all(0x80);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = octets.get(at..).unwrap_or_default();
    at + rest.iter().position(|octet| matches!(octet, b'"' | b'\\' | ..b' ')).unwrap_or(rest.len())
}

/// How long an escape is: `octets` begin with it.
pub(in crate::graphql::envelope) fn escape_length(octets: &[u8]) -> Result<usize, Malformed> {
    match octets.get(1) {
        Some(b'n' | b'"' | b'\\' | b't' | b'r' | b'/' | b'b' | b'f') => Ok(2),
        Some(_) | None => escape(octets).map(|(_, length)| length),
    }
}

/// The character that an escape stands for, and how long it is: `octets` begin with it.
fn escape(octets: &[u8]) -> Result<(char, usize), Malformed> {
    let broken = Malformed("a broken escape in a string");
    let plain = |character| Ok((character, 2));
    match octets.get(1) {
        Some(b'"') => plain('"'),
        Some(b'\\') => plain('\\'),
        Some(b'/') => plain('/'),
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'n') => plain('\n'),
        Some(b'r') => plain('\r'),
        Some(b't') => plain('\t'),
        Some(b'u') => {
            let unit = |at: usize| octets.get(at..at + 4).and_then(hex).ok_or(broken);
            let first = unit(2)?;
            if let Some(character) = char::from_u32(first) {
                return Ok((character, 6));
            }
            let second = match octets.get(6..8) {
                Some(b"\\u") => unit(8)?,
                Some(_) | None => return Err(Malformed("half of a surrogate pair")),
            };
            if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
                return Err(Malformed("half of a surrogate pair"));
            }
            let character = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            Ok((character.ok_or(broken)?, 12))
        }
        Some(_) | None => Err(broken),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// A string that was read, without its escapes.
pub(in crate::graphql::envelope) fn unescaped(raw: &str) -> Cow<'_, str> {
    let Some(mut next) = memchr::memchr(b'\\', raw.as_bytes()) else { return Cow::Borrowed(raw) };
    let (mut text, mut rest) = (String::with_capacity(raw.len()), raw);
    loop {
        let (before, after) = rest.split_at(next);
        text.push_str(before);
        // It was read before, so that there is none that is broken.
        let Ok((character, length)) = escape(after.as_bytes()) else { return Cow::Owned(text) };
        text.push(character);
        rest = after.get(length..).unwrap_or_default();
        match memchr::memchr(b'\\', rest.as_bytes()) {
            Some(found) => next = found,
            None => {
                text.push_str(rest);
                return Cow::Owned(text);
            }
        }
    }
}
