//! The tokens of a document that was read already (GraphQL, section 2.1): where each stands.

use std::ops::Range;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::graphql) struct Token {
    pub(in crate::graphql) kind: TokenKind,
    pub(in crate::graphql) octets: Range<usize>,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) enum TokenKind {
    Name,
    /// `...` is one `.`.
    Punctuator(u8),
    Number,
    Text,
}

/// Reads them all; none where something is no token.
pub(in crate::graphql) fn read(document: &str) -> Option<Vec<Token>> {
    let octets = document.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(first) = octets.get(at) {
        let rest = octets.get(at..)?;
        let (kind, length) = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            // The byte order mark, which may stand wherever white space may.
            0xEF if rest.starts_with(b"\xEF\xBB\xBF") => {
                at += 3;
                continue;
            }
            b'#' => {
                at += length_of(rest, |octet| !matches!(octet, b'\n' | b'\r'));
                continue;
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                (TokenKind::Name, length_of(rest, |octet| octet.is_ascii_alphanumeric() || octet == b'_'))
            }
            b'-' | b'0'..=b'9' => {
                let of_number = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
                (TokenKind::Number, length_of(rest, of_number))
            }
            b'"' => (TokenKind::Text, text(rest)?),
            b'.' if rest.starts_with(b"...") => (TokenKind::Punctuator(b'.'), 3),
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                (TokenKind::Punctuator(*first), 1)
            }
            _ => return None,
        };
        tokens.push(Token { kind, octets: at..at + length });
        at += length;
    }
    Some(tokens)
}

fn length_of(octets: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    octets.iter().position(|octet| !belongs(*octet)).unwrap_or(octets.len())
}

/// Octets of the string that these begin with. Within a block only `\"""` is an escape.
fn text(octets: &[u8]) -> Option<usize> {
    let block = octets.starts_with(b"\"\"\"");
    let mut at = if block { 3 } else { 1 };
    loop {
        let rest = octets.get(at..)?;
        match (rest.first()?, block) {
            (b'"', true) if rest.starts_with(b"\"\"\"") => return Some(at + 3),
            (b'\\', true) if rest.starts_with(b"\\\"\"\"") => at += 4,
            (b'"', false) => return Some(at + 1),
            (b'\\', false) => at += 2,
            _ => at += 1,
        }
    }
}
