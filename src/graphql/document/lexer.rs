//! The tokens of GraphQL (section 2.1 of the specification), one ahead, by octets.
//!
//! It takes less than the specification gives: what some parser in use reads otherwise is no token here, so that nobody
//! behind the gateway sees another structure than it does. A byte order mark, control characters other than white space, and
//! U+2028 and U+2029 in comments, which end there for parsers of the edition of 2016, are refused. So is white space between
//! `$` and the name of a variable.

use crate::graphql::document::fault::Fault;
use crate::graphql::document::{Bounds, Place};

/// Reads tokens. What is next is known by its first octet.
#[derive(Debug)]
pub(in crate::graphql::document) struct Lexer<'d> {
    octets: &'d [u8],
    /// Where the next token begins; the end of the document where there is none.
    at: usize,
    /// Where the last token that was taken ended.
    end: usize,
    tokens: u64,
    most_tokens: u64,
}

impl<'d> Lexer<'d> {
    pub(in crate::graphql::document) fn new(text: &'d str, bounds: &Bounds) -> Result<Self, Fault> {
        let octets = text.as_bytes();
        if u32::try_from(octets.len()).is_err() {
            return Err(Fault::syntax(0, "a document this long"));
        }
        let mut lexer = Self { octets, at: 0, end: 0, tokens: 0, most_tokens: bounds.tokens };
        lexer.skip()?;
        Ok(lexer)
    }

    /// The first octet of the next token; 0 at the end of the document.
    #[inline]
    pub(in crate::graphql::document) fn next(&self) -> u8 {
        self.octet(self.at)
    }

    /// Where the next token begins.
    #[inline]
    pub(in crate::graphql::document) fn at(&self) -> u32 {
        self.at as u32
    }

    /// Where the last token ended.
    #[inline]
    pub(in crate::graphql::document) fn end(&self) -> u32 {
        self.end as u32
    }

    pub(in crate::graphql::document) fn is_at_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    pub(in crate::graphql::document) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether the next token is this name.
    #[inline]
    pub(in crate::graphql::document) fn text(&self, place: Place) -> &'d [u8] {
        self.octets.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// Takes a punctuator of one octet, which is next.
    #[inline]
    pub(in crate::graphql::document) fn take(&mut self) -> Result<(), Fault> {
        self.took(self.at + 1)
    }

    /// Takes this punctuator if it is next.
    #[inline]
    pub(in crate::graphql::document) fn take_if(&mut self, punctuator: u8) -> Result<bool, Fault> {
        let is_next = self.next() == punctuator;
        if is_next {
            self.take()?;
        }
        Ok(is_next)
    }

    /// Takes this punctuator, which has to be next.
    #[inline]
    pub(in crate::graphql::document) fn expect(
        &mut self,
        punctuator: u8,
        what: &'static str,
    ) -> Result<(), Fault> {
        if self.next() != punctuator {
            return Err(self.fault(what));
        }
        self.take()
    }

    /// Takes `...`, of which the first dot is next.
    pub(in crate::graphql::document) fn spread(&mut self) -> Result<(), Fault> {
        if self.octet(self.at + 1) != b'.' || self.octet(self.at + 2) != b'.' {
            return Err(self.fault("`...` is expected"));
        }
        self.took(self.at + 3)
    }

    /// Takes a name.
    #[inline]
    pub(in crate::graphql::document) fn name(&mut self) -> Result<Place, Fault> {
        let place = self.name_at(self.at)?;
        self.took(place.end as usize)?;
        Ok(place)
    }

    /// Takes a variable: `$`, which is next, and its name right behind.
    pub(in crate::graphql::document) fn variable(&mut self) -> Result<(), Fault> {
        let name = self.name_at(self.at + 1)?;
        self.count()?;
        self.took(name.end as usize)
    }

    /// Takes a number, of which the first octet is next.
    pub(in crate::graphql::document) fn number(&mut self) -> Result<(), Fault> {
        let mut at = self.at;
        if self.octet(at) == b'-' {
            at += 1;
        }
        if self.octet(at) == b'0' {
            at += 1;
        } else {
            at = self.digits(at)?;
        }
        if self.octet(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(self.octet(at), b'e' | b'E') {
            at += 1;
            if matches!(self.octet(at), b'+' | b'-') {
                at += 1;
            }
            at = self.digits(at)?;
        }
        // A number and what could belong to it are not two tokens.
        if self.octet(at) == b'.' || class(self.octet(at)) & IN_NAME != 0 {
            return Err(Fault::syntax(at, "a number ends otherwise"));
        }
        self.took(at)
    }

    /// Takes a string, of which the first quote is next.
    pub(in crate::graphql::document) fn string(&mut self) -> Result<(), Fault> {
        if self.octet(self.at + 1) == b'"' && self.octet(self.at + 2) == b'"' {
            return self.block();
        }
        let mut at = self.at + 1;
        loop {
            let octet = self.octet(at);
            if class(octet) & STRING_STOPS == 0 {
                at += 1;
                continue;
            }
            match octet {
                b'"' => return self.took(at + 1),
                b'\\' => at = self.escape(at)?,
                _ => {
                    return Err(Fault::syntax(
                        at,
                        "a string does not end on its line, or a control character",
                    ));
                }
            }
        }
    }

    /// Takes a block string. Nothing in it is an escape but `\"""`.
    fn block(&mut self) -> Result<(), Fault> {
        let mut at = self.at + 3;
        loop {
            let octet = self.octet(at);
            if class(octet) & BLOCK_STOPS == 0 {
                at += 1;
                continue;
            }
            let is_quotes = |at: usize| self.octets.get(at..).is_some_and(|rest| rest.starts_with(b"\"\"\""));
            match octet {
                b'"' if is_quotes(at) => return self.took(at + 3),
                b'\\' if is_quotes(at + 1) => at += 4,
                b'"' | b'\\' => at += 1,
                _ => return Err(Fault::syntax(at, "a string does not end, or a control character")),
            }
        }
    }

    /// One past an escape that begins at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        const WRONG: &str = "no escape that strings have";
        match self.octet(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => return Ok(at + 2),
            b'u' => {}
            _ => return Err(Fault::syntax(at, WRONG)),
        }
        if self.octet(at + 2) == b'{' {
            let digits = self.octets.get(at + 3..).unwrap_or_default();
            let length = digits.iter().take(9).take_while(|octet| octet.is_ascii_hexdigit()).count();
            let value = self.hexadecimal(at + 3, length).and_then(char::from_u32);
            return match (value, digits.get(length)) {
                (Some(_), Some(b'}')) if length <= 8 => Ok(at + 4 + length),
                _ => Err(Fault::syntax(at, WRONG)),
            };
        }
        match self.hexadecimal(at + 2, 4) {
            Some(0xD800..=0xDBFF) => {
                let low = match (self.octet(at + 6), self.octet(at + 7)) {
                    (b'\\', b'u') => self.hexadecimal(at + 8, 4),
                    _ => None,
                };
                match low {
                    Some(0xDC00..=0xDFFF) => Ok(at + 12),
                    _ => Err(Fault::syntax(at, WRONG)),
                }
            }
            Some(0xDC00..=0xDFFF) | None => Err(Fault::syntax(at, WRONG)),
            Some(_) => Ok(at + 6),
        }
    }

    /// The number that so many hexadecimal digits are; not more than eight.
    fn hexadecimal(&self, at: usize, length: usize) -> Option<u32> {
        let digits = self.octets.get(at..at + length).filter(|digits| !digits.is_empty())?;
        digits.iter().try_fold(0_u32, |value, octet| {
            let digit = char::from(*octet).to_digit(16)?;
            value.checked_mul(16)?.checked_add(digit)
        })
    }

    /// One past at least one digit.
    fn digits(&self, mut at: usize) -> Result<usize, Fault> {
        if !self.octet(at).is_ascii_digit() {
            return Err(Fault::syntax(at, "a digit is expected"));
        }
        while self.octet(at).is_ascii_digit() {
            at += 1;
        }
        Ok(at)
    }

    /// The name that begins there.
    #[inline]
    fn name_at(&self, start: usize) -> Result<Place, Fault> {
        if class(self.octet(start)) & BEGINS_NAME == 0 {
            return Err(Fault::syntax(start, "a name is expected"));
        }
        let mut end = start + 1;
        while class(self.octet(end)) & IN_NAME != 0 {
            end += 1;
        }
        Ok(Place { start: start as u32, end: end as u32 })
    }

    /// The octet there; 0, which no token begins with or goes on with, past the end.
    #[inline]
    fn octet(&self, at: usize) -> u8 {
        self.octets.get(at).copied().unwrap_or(0)
    }

    /// Takes what ends there.
    #[inline]
    fn took(&mut self, end: usize) -> Result<(), Fault> {
        self.count()?;
        self.at = end;
        self.end = end;
        self.skip()
    }

    #[inline]
    fn count(&mut self) -> Result<(), Fault> {
        self.tokens += 1;
        if self.tokens > self.most_tokens {
            return Err(Fault::Tokens);
        }
        Ok(())
    }

    /// Passes over what means nothing between tokens.
    #[inline]
    fn skip(&mut self) -> Result<(), Fault> {
        loop {
            while class(self.octet(self.at)) & IGNORED != 0 {
                self.at += 1;
            }
            match self.octet(self.at) {
                b'#' => self.comment()?,
                // A control character, or the end.
                0 if self.at < self.octets.len() => return Err(self.fault("a control character")),
                _ => return Ok(()),
            }
        }
    }

    /// Passes over a comment. It ends before LF or CR, and nowhere else.
    fn comment(&mut self) -> Result<(), Fault> {
        while let Some(&octet) = self.octets.get(self.at) {
            if class(octet) & COMMENT_STOPS != 0 {
                match octet {
                    b'\n' | b'\r' => break,
                    0xE2 if !self.ends_lines(self.at) => {}
                    _ => return Err(self.fault("a character that comments do not have")),
                }
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Whether U+2028 or U+2029 is there.
    fn ends_lines(&self, at: usize) -> bool {
        self.octet(at + 1) == 0x80 && matches!(self.octet(at + 2), 0xA8 | 0xA9)
    }

    /// At the next token.
    pub(in crate::graphql::document) fn fault(&self, what: &'static str) -> Fault {
        Fault::syntax(self.at, what)
    }
}

/// What an octet can be.
#[inline]
fn class(octet: u8) -> u8 {
    CLASSES[octet as usize]
}

/// White space, line ends and commas.
const IGNORED: u8 = 1;
/// A letter or `_`.
const BEGINS_NAME: u8 = 2;
/// The same, or a digit.
const IN_NAME: u8 = 4;
/// What needs a look in a string,
const STRING_STOPS: u8 = 8;
/// in a block string,
const BLOCK_STOPS: u8 = 16;
/// in a comment.
const COMMENT_STOPS: u8 = 32;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mut class = 0;
        let this = octet as u8;
        if matches!(this, b' ' | b'\t' | b'\n' | b'\r' | b',') {
            class |= IGNORED;
        }
        if matches!(this, b'_' | b'a'..=b'z' | b'A'..=b'Z') {
            class |= BEGINS_NAME | IN_NAME;
        }
        if this.is_ascii_digit() {
            class |= IN_NAME;
        }
        if this < b' ' && this != b'\t' {
            class |= STRING_STOPS | COMMENT_STOPS;
            if this != b'\n' && this != b'\r' {
                class |= BLOCK_STOPS;
            }
        }
        if matches!(this, b'"' | b'\\') {
            class |= STRING_STOPS | BLOCK_STOPS;
        }
        // The first of U+2028 and U+2029.
        if this == 0xE2 {
            class |= COMMENT_STOPS;
        }
        classes[octet] = class;
        octet += 1;
    }
    classes
};
