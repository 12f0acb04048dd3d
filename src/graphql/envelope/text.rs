//! Strings of JSON: their escapes, read and taken off.

use std::borrow::Cow;

use crate::graphql::envelope::Malformed;

/// The character that an escape stands for, and how long it is: `octets` begin with it.
pub(in crate::graphql::envelope) fn escape(octets: &[u8]) -> Result<(char, usize), Malformed> {
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
