//! Scopes (RFC 6749 section 3.3) and the patterns that *granted* ones may be (config.md section 2).
//!
//! Containment of patterns lives here and nowhere else: `scope` says what patterns mean, [`automaton`] decides
//! about the languages they stand for.

pub mod automaton;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::str::Split;

use crate::token::json::document::{Elements, Value};
use crate::token::scope::automaton::Automaton;

/// How an issuer's granted scopes are read (`scope_match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScopeMatch {
    /// Literal, compared octet for octet.
    #[default]
    Exact,
    /// Parts between `:`; `*` is one part, as the last part one or more. What `*` stands for is never empty,
    /// and it stands alone in its part.
    Segments,
    /// `*` is any number of characters and crosses `:`; `?` is one character; `{a,b}` alternatives, which may
    /// hold `*` and `?` but no further braces.
    Glob,
}

/// A granted scope that cannot be read as a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope pattern may not hold {0:?} there")]
pub struct PatternError(pub char);

/// One granted scope, compiled. What it covers are scope-tokens and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    language: Language,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Language {
    Literal(Box<str>),
    Many(Automaton),
}

/// What one token was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// Literal scopes, one space between them: a scope-token holds no space, so that asking for one needs
    /// neither an index nor an allocation.
    literals: Box<str>,
    patterns: Box<[Automaton]>,
}

/// Is `text` one scope-token (RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E)?
pub fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| matches!(octet, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

impl Pattern {
    /// Compiles one granted scope. The error names a character that has no meaning where it stands, or none
    /// in any scope-token.
    pub fn parse(text: &str, how: ScopeMatch) -> Result<Self, PatternError> {
        let many = automaton_of(text, how)?;
        Ok(Self { language: many.map_or_else(|| Language::Literal(text.into()), Language::Many) })
    }

    /// Does it cover this literal permission?
    pub fn covers(&self, literal: &str) -> bool {
        match &self.language {
            Language::Literal(text) => **text == *literal,
            Language::Many(automaton) => is_scope_token(literal) && automaton.accepts(literal),
        }
    }
}

/// The language of one granted scope; a literal is `None`.
fn automaton_of(text: &str, how: ScopeMatch) -> Result<Option<Automaton>, PatternError> {
    if !is_scope_token(text) {
        let stray = text.chars().find(|character| !is_scope_token(character.encode_utf8(&mut [0; 4])));
        return Err(PatternError(stray.unwrap_or(' ')));
    }
    match how {
        ScopeMatch::Exact => Ok(None),
        ScopeMatch::Segments => segments(text),
        ScopeMatch::Glob => glob(text),
    }
}

/// Nothing but literal parts is `None`.
fn segments(text: &str) -> Result<Option<Automaton>, PatternError> {
    reserved(text)?;
    if !text.contains('*') {
        return Ok(None);
    }
    let mut automaton = Automaton::default();
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        match part {
            "*" if parts.peek().is_some() => automaton.one_part(),
            "*" => automaton.parts(),
            _ if part.contains('*') => return Err(PatternError('*')),
            _ => automaton.literal(part),
        }
        if parts.peek().is_some() {
            automaton.literal(":");
        }
    }
    Ok(Some(automaton))
}

/// Nothing but literal characters is `None`.
fn glob(text: &str) -> Result<Option<Automaton>, PatternError> {
    reserved(text)?;
    if !text.contains(['*', '?', '{', '}']) {
        return Ok(None);
    }
    let mut automaton = Automaton::default();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        wildcards(&mut automaton, &rest[..at]);
        let inner = rest[at..].strip_prefix('{').ok_or(PatternError('}'))?;
        let end = inner.find(['{', '}']).ok_or(PatternError('{'))?;
        rest = inner[end..].strip_prefix('}').ok_or(PatternError('{'))?;
        automaton.alternatives(inner[..end].split(','), wildcards);
    }
    wildcards(&mut automaton, rest);
    Ok(Some(automaton))
}

fn wildcards(automaton: &mut Automaton, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['*', '?']) {
        automaton.literal(&rest[..at]);
        if rest[at..].starts_with('*') {
            automaton.any_number()
        } else {
            automaton.any_one()
        }
        rest = &rest[at + 1..];
    }
    automaton.literal(rest);
}

/// Characters kept for meanings that other systems give them, and that nobody should believe in here.
fn reserved(text: &str) -> Result<(), PatternError> {
    text.chars()
        .find(|character| matches!(character, '!' | '[' | '('))
        .map_or(Ok(()), |c| Err(PatternError(c)))
}

impl Granted {
    /// Reads the scope claims that were found (principle 7): a space-separated string or an array of strings;
    /// mixed types grant nothing; several claims present that differ as sets grant nothing. A scope that is
    /// no scope-token, or no valid pattern under `how`, is dropped.
    pub fn from_claims<'c>(found: impl IntoIterator<Item = Value<'c>>, how: ScopeMatch) -> Self {
        let mut found = found.into_iter();
        let Some(first) = found.next().and_then(scopes) else { return Self::default() };
        let mut others = found.peekable();
        if others.peek().is_some() {
            let expected: BTreeSet<&str> = first.clone().collect();
            if !others.all(|other| scopes(other).is_some_and(|other| expected == other.collect())) {
                return Self::default();
            }
        }
        Self::of_texts(first, how)
    }

    /// Reads scopes that were taken apart already, as [`Granted::from_claims`] does.
    pub fn of_texts<'c>(scopes: impl Iterator<Item = &'c str> + Clone, how: ScopeMatch) -> Self {
        let room = scopes.clone().map(|scope| scope.len() + 1).sum::<usize>();
        let mut literals = String::with_capacity(room.saturating_sub(1));
        let mut patterns = Vec::new();
        for scope in scopes {
            match automaton_of(scope, how) {
                Ok(None) => {
                    if !literals.is_empty() {
                        literals.push(' ');
                    }
                    literals.push_str(scope);
                }
                Ok(Some(automaton)) => patterns.push(automaton),
                Err(PatternError(_)) => {}
            }
        }
        Self { literals: literals.into(), patterns: patterns.into() }
    }

    /// About how many octets of memory it holds.
    pub fn footprint(&self) -> usize {
        self.literals.len() + self.patterns.iter().map(Automaton::footprint).sum::<usize>()
    }

    /// Does any granted scope cover this literal one?
    pub fn covers(&self, literal: &str) -> bool {
        is_scope_token(literal)
            && (self.literals.split(' ').any(|granted| granted == literal)
                || self.patterns.iter().any(|pattern| pattern.accepts(literal)))
    }

    /// Does the **union** of the granted patterns contain every literal that `requested` covers? Decided as
    /// languages, never by comparing texts. A pattern that covers nothing is contained in nothing. Bounded:
    /// gives up with `false` past [`automaton::CONTAINMENT_STEPS`].
    pub fn contains(&self, requested: &Pattern) -> bool {
        match &requested.language {
            Language::Literal(literal) => self.covers(literal),
            Language::Many(requested) => {
                let mut union = self.patterns.to_vec();
                union.extend(self.literals.split(' ').filter(|granted| !granted.is_empty()).map(|granted| {
                    let mut automaton = Automaton::default();
                    automaton.literal(granted);
                    automaton
                }));
                automaton::contains(&union, requested)
            }
        }
    }
}

/// The scopes of one claim; `None` is a claim of the wrong type. Only single spaces separate (RFC 6749
/// section 3.3): every other white space is part of something that is no scope-token.
fn scopes(claim: Value<'_>) -> Option<Scopes<'_>> {
    match claim {
        Value::Text(text) => Some(Scopes::Text(text.split(' '))),
        Value::Array(mut values) => {
            let list = Scopes::List(values);
            values.all(|value| value.as_text().is_some()).then_some(list)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The scopes of one claim, empty ones left out: nothing stands between two spaces.
#[derive(Clone)]
enum Scopes<'c> {
    Text(Split<'c, char>),
    List(Elements<'c>),
}

impl<'c> Iterator for Scopes<'c> {
    type Item = &'c str;

    fn next(&mut self) -> Option<&'c str> {
        match self {
            Self::Text(parts) => parts.find(|part| !part.is_empty()),
            Self::List(values) => values.by_ref().filter_map(Value::as_text).find(|part| !part.is_empty()),
        }
    }
}
