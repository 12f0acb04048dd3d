//! The tokens of GraphQL's schema language (section 2.1 of the specification), with their places.

use crate::config::problems::quoted;
use crate::graphql::schema::declared::{Flaw, Named};

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    Name(&'t str),
    /// A punctuator; `...` is `.`.
    Mark(char),
    Text,
    Number,
}

/// Reads tokens, one ahead.
#[derive(Debug)]
pub(crate) struct Tokens<'t> {
    text: &'t str,
    /// Where the next token begins; it has been read.
    start: usize,
    /// Where it ends.
    end: usize,
    next: Option<Token<'t>>,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(text: &'t str) -> Result<Self, Flaw> {
        let mut tokens = Self { text, start: 0, end: 0, next: None };
        tokens.read()?;
        Ok(tokens)
    }

    pub(crate) fn peek(&self) -> Option<Token<'t>> {
        self.next
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Result<Option<Token<'t>>, Flaw> {
        let token = self.next;
        self.read()?;
        Ok(token)
    }

    /// Takes this punctuator if it is next.
    pub(crate) fn take_mark(&mut self, mark: char) -> Result<bool, Flaw> {
        let found = self.next == Some(Token::Mark(mark));
        if found {
            self.read()?;
        }
        Ok(found)
    }

    /// Takes this punctuator, which has to be next.
    pub(crate) fn expect(&mut self, mark: char) -> Result<(), Flaw> {
        match self.take_mark(mark)? {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{mark}`"))),
        }
    }

    /// Takes this word if it is next.
    pub(crate) fn take_word(&mut self, word: &str) -> Result<bool, Flaw> {
        let found = self.next == Some(Token::Name(word));
        if found {
            self.read()?;
        }
        Ok(found)
    }

    /// Takes a name, which has to be next.
    pub(crate) fn name(&mut self) -> Result<Named, Flaw> {
        let Some(Token::Name(name)) = self.next else { return Err(self.unexpected("a name")) };
        let named = Named { name: name.into(), at: self.at() };
        self.read()?;
        Ok(named)
    }

    /// Takes everything from an opening bracket to the one that closes it.
    pub(crate) fn skip_group(&mut self) -> Result<(), Flaw> {
        let opened = self.at();
        let mut open = Vec::new();
        loop {
            match self.next {
                Some(Token::Mark('(')) => open.push(')'),
                Some(Token::Mark('[')) => open.push(']'),
                Some(Token::Mark('{')) => open.push('}'),
                Some(Token::Mark(mark @ (')' | ']' | '}'))) => {
                    if open.pop() != Some(mark) {
                        return Err(self.unexpected("another bracket"));
                    }
                }
                Some(Token::Mark(_) | Token::Name(_) | Token::Text | Token::Number) => {}
                None => return Err(Flaw { at: opened, what: "a bracket that nothing closes".to_owned() }),
            }
            self.read()?;
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Where the next token begins.
    pub(crate) fn at(&self) -> usize {
        self.start
    }

    fn flaw(&self, what: impl Into<String>) -> Flaw {
        Flaw { at: self.start, what: what.into() }
    }

    pub(crate) fn unexpected(&self, wanted: &str) -> Flaw {
        let found = match self.next {
            Some(_) => quoted(self.text.get(self.start..self.end).unwrap_or_default()),
            None => "the end".to_owned(),
        };
        self.flaw(format!("{wanted} is expected, not {found}"))
    }

    fn read(&mut self) -> Result<(), Flaw> {
        self.start = self.skip_ignored(self.end);
        let rest = self.text.get(self.start..).unwrap_or_default();
        let Some(first) = rest.bytes().next() else {
            (self.next, self.end) = (None, self.start);
            return Ok(());
        };
        let word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
        let (token, length) = match first {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                let length = rest.bytes().take_while(|octet| word(*octet)).count();
                (Token::Name(rest.get(..length).unwrap_or_default()), length)
            }
            b'0'..=b'9' | b'-' => {
                let number = |octet: &u8| word(*octet) || b".+-".contains(octet);
                (Token::Number, rest.bytes().take_while(number).count())
            }
            b'"' => (Token::Text, self.string(rest)?),
            b'.' if rest.starts_with("...") => (Token::Mark('.'), 3),
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                (Token::Mark(char::from(first)), 1)
            }
            _ => {
                let shown: String = rest.chars().take(1).collect();
                let what = format!("{} means nothing in a schema", quoted(&shown));
                return Err(self.flaw(what));
            }
        };
        (self.next, self.end) = (Some(token), self.start + length);
        Ok(())
    }

    /// The octets of a string that `rest` begins with.
    fn string(&self, rest: &str) -> Result<usize, Flaw> {
        let open = || self.flaw("a string that nothing closes");
        if let Some(block) = rest.strip_prefix(BLOCK) {
            let mut from = 0;
            loop {
                let found = block.get(from..).and_then(|rest| rest.find(BLOCK)).ok_or_else(open)? + from;
                // `\"""` stands for three quotes; no other backslash means anything here.
                if block.get(..found).is_some_and(|before| before.ends_with('\\')) {
                    from = found + BLOCK.len();
                } else {
                    return Ok(BLOCK.len() + found + BLOCK.len());
                }
            }
        }
        let mut escaped = false;
        for (index, octet) in rest.bytes().enumerate().skip(1) {
            match octet {
                b'\n' | b'\r' => return Err(open()),
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(index + 1),
                _ => {}
            }
        }
        Err(open())
    }

    /// White space, commas, comments, a byte order mark.
    fn skip_ignored(&self, mut from: usize) -> usize {
        let octets = self.text.as_bytes();
        loop {
            match octets.get(from) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => from += 1,
                Some(b'#') => {
                    let comment = octets.get(from..).unwrap_or_default();
                    from += comment.iter().take_while(|octet| !b"\n\r".contains(octet)).count();
                }
                Some(0xef) if self.text.get(from..).is_some_and(|rest| rest.starts_with('\u{feff}')) => {
                    from += 3
                }
                Some(_) | None => return from,
            }
        }
    }
}

const BLOCK: &str = "\"\"\"";
