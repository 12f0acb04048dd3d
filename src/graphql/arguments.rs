//! What the fields at an operation's root are asked with, for conditions that name it (`request.arguments`): an object of the
//! fields' own names, each with its arguments, `{"order": {"id": "17"}}`. What a variable stands for is in its place.
//!
//! Read from the document's own text, not remembered with its plan: variables come with each request. What could be read in
//! two ways is none: a field that is asked for twice with other arguments, a name that stands twice in anything, block strings
//! and `\u{…}`, which not every server has, what is deeper or longer than conditions are bounded for. What the schema makes of
//! a value (a number where an `ID` is wanted) is not known here.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::value::RawValue;

use crate::config::defaults::GRAPHQL_ARGUMENTS;
use crate::graphql::envelope::PROTOTYPE;
use crate::graphql::members::Members;
use crate::graphql::plan::{Planned, RootField};
use crate::graphql::pruned::is;
use crate::graphql::pruned::outline::{self, Outline};
use crate::graphql::pruned::tokens::{self, Token, TokenKind};
use crate::token::json::document::Document;
use crate::token::json::{self, Bounds};

/// Bounds of them.
const BOUNDS: Bounds = Bounds { depth: DEPTH, members: 256, elements: 256 };
const DEPTH: usize = 16;
/// Octets that an operation counts for beside its text.
const LEAST: usize = 64;

/// The arguments of these operations of a document that was planned, by their places in it; `variables` is an object of JSON, as
/// it came. None of one where they can be read in more than one way, and of none behind that: it has to be known of all of
/// them. `left` are the octets that all of a request may have yet.
pub fn read<'p>(
    document: &str,
    operations: impl Iterator<Item = (usize, &'p Planned)>,
    variables: Option<&str>,
    left: &mut usize,
) -> Vec<Option<Document>> {
    // The document is gone through once, however many operations it has.
    let tokens = tokens::read(document);
    let outline = tokens.as_ref().and_then(|tokens| Outline::read(document, tokens, &HashSet::new()));
    let variables = variables.map_or(Some(HashMap::new()), given);
    let one = |(place, planned): (usize, &Planned)| {
        let (tokens, outline, variables) = (tokens.as_ref()?, outline.as_ref()?, variables.as_ref()?);
        let declared = declared(document, tokens, outline, place)?;
        Reading { document, variables, declared }.operation(planned, tokens)
    };
    let within = |operation: (usize, &Planned)| {
        let read = if *left > 0 { one(operation) } else { None };
        // Of a request that is refused no more is read.
        *left = read.as_ref().map_or(0, |(text, _)| left.saturating_sub(text.len() + LEAST));
        read.map(|(_, arguments)| arguments)
    };
    operations.map(within).collect()
}

/// What variables stand for.
struct Reading<'d> {
    document: &'d str,
    variables: &'d HashMap<String, &'d RawValue>,
    /// Those of the operation, and the tokens of what each stands for otherwise.
    declared: HashMap<&'d str, Option<Vec<Token>>>,
}

/// The variables that came; `null` is none.
fn given(text: &str) -> Option<HashMap<String, &RawValue>> {
    if text.trim() == "null" {
        return Some(HashMap::new());
    }
    let Members(members) = serde_json::from_str(text).ok()?;
    if members.iter().any(|(name, _)| name == PROTOTYPE) {
        return None;
    }
    Some(members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect())
}

/// An operation's variables, and the tokens of their defaults.
fn declared<'d>(
    document: &'d str,
    tokens: &[Token],
    outline: &Outline<'_>,
    operation: usize,
) -> Option<HashMap<&'d str, Option<Vec<Token>>>> {
    let definition = outline.definitions.get(*outline.operations.get(operation)?)?;
    let Some(declared) = definition.declarations.clone() else { return Some(HashMap::new()) };
    let declared = tokens.get(declared)?;
    let within = |octets: &Range<usize>| {
        let start = declared.partition_point(|token| token.octets.start < octets.start);
        let end = declared.partition_point(|token| token.octets.start < octets.end);
        declared.get(start..end)
    };
    let mut variables = HashMap::new();
    for (name, octets) in outline::declarations(document, declared)? {
        let tokens = within(&octets)?;
        let default = tokens.iter().position(|token| is(Some(token), b'='));
        let default = default.map(|at| tokens.iter().skip(at + 1).cloned().collect());
        // One that is declared twice has two defaults.
        if variables.insert(name, default).is_some() {
            return None;
        }
    }
    Some(variables)
}

impl<'d> Reading<'d> {
    /// What it asks with, as text and as it is read.
    fn operation(&self, planned: &Planned, tokens: &[Token]) -> Option<(String, Document)> {
        let mut asked: HashMap<&str, String> = HashMap::new();
        let mut text = String::from("{");
        for field in &planned.fields {
            let start = tokens.partition_point(|token| token.octets.start < field.span.start);
            let end = tokens.partition_point(|token| token.octets.start < field.span.end);
            let arguments = self.field(field, tokens.get(start..end)?)?;
            match asked.get(&*field.name) {
                Some(before) if *before == arguments => continue,
                Some(_) => return None,
                None => {}
            }
            begin(&mut text, &field.name);
            text.push_str(&arguments);
            asked.insert(&field.name, arguments);
            if text.len() > GRAPHQL_ARGUMENTS {
                return None;
            }
        }
        text.push('}');
        // As strictly as a token: no name twice, however deep.
        let read = json::document(text.as_bytes(), BOUNDS).ok()?;
        Some((text, read))
    }

    /// The arguments of a field, as an object; `tokens` are the field's.
    fn field(&self, field: &RootField, tokens: &[Token]) -> Option<String> {
        let name = if is(tokens.get(1), b':') { 2 } else { 0 };
        if self.text(tokens.get(name)?) != &*field.name {
            return None;
        }
        let mut out = String::from("{");
        let mut cursor = Cursor { reading: self, tokens, at: name + 1 };
        if cursor.take(b'(') {
            cursor.members(&mut out, b')', 0)?;
        }
        out.push('}');
        Some(out)
    }

    fn text(&self, token: &Token) -> &'d str {
        self.document.get(token.octets.clone()).unwrap_or_default()
    }
}

/// Values, from left to right.
struct Cursor<'r, 'd> {
    reading: &'r Reading<'d>,
    tokens: &'r [Token],
    at: usize,
}

impl Cursor<'_, '_> {
    fn take(&mut self, punctuator: u8) -> bool {
        let found = is(self.tokens.get(self.at), punctuator);
        self.at += usize::from(found);
        found
    }

    /// Each `name: value` up to the end, but where the value is a variable that stands for nothing. Such a name does not
    /// stand twice either: a server might take the other.
    fn members(&mut self, out: &mut String, end: u8, depth: usize) -> Option<()> {
        let mut names = HashSet::new();
        while !self.take(end) {
            let name = self.tokens.get(self.at).filter(|token| token.kind == TokenKind::Name)?;
            let name = self.reading.text(name);
            self.at += 1;
            (self.take(b':') && names.insert(name)).then_some(())?;
            let before = out.len();
            begin(out, name);
            if !self.value(out, depth)? {
                out.truncate(before);
            }
        }
        Some(())
    }

    /// A value; whether there is one. It goes no deeper than [`DEPTH`].
    fn value(&mut self, out: &mut String, depth: usize) -> Option<bool> {
        (depth < DEPTH && out.len() <= GRAPHQL_ARGUMENTS).then_some(())?;
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        let text = self.reading.text(token);
        (text.len() <= GRAPHQL_ARGUMENTS).then_some(())?;
        match token.kind {
            TokenKind::Number => out.push_str(text),
            TokenKind::Name if ["true", "false", "null"].contains(&text) => out.push_str(text),
            // A value of an enumeration.
            TokenKind::Name => out.push_str(&format!("\"{text}\"")),
            TokenKind::Text if text.starts_with("\"\"\"") || text.contains("\\u{") => return None,
            TokenKind::Text => out.push_str(text),
            TokenKind::Punctuator(b'$') => return self.variable(out, depth),
            TokenKind::Punctuator(b'[') => {
                out.push('[');
                while !self.take(b']') {
                    separate(out);
                    if !self.value(out, depth + 1)? {
                        out.push_str("null");
                    }
                }
                out.push(']');
            }
            TokenKind::Punctuator(b'{') => {
                out.push('{');
                self.members(out, b'}', depth + 1)?;
                out.push('}');
            }
            TokenKind::Punctuator(_) => return None,
        }
        Some(true)
    }

    /// What a variable stands for: what came, else its default, which names no other. One that the operation does not have
    /// stands for nothing that is known.
    fn variable(&mut self, out: &mut String, depth: usize) -> Option<bool> {
        let name = self.reading.text(self.tokens.get(self.at)?);
        self.at += 1;
        let default = self.reading.declared.get(name)?;
        if let Some(given) = self.reading.variables.get(name).map(|given| given.get()) {
            (given.len() <= GRAPHQL_ARGUMENTS).then_some(())?;
            out.push_str(given);
            return Some(true);
        }
        let Some(default) = default else { return Some(false) };
        if default.iter().any(|token| is(Some(token), b'$')) {
            return None;
        }
        Cursor { reading: self.reading, tokens: default, at: 0 }.value(out, depth + 1)
    }
}

/// The name of a member, with what stands before and after it. Names of GraphQL need no escapes.
fn begin(out: &mut String, name: &str) {
    separate(out);
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

/// A comma, unless it is the first of a list or an object.
fn separate(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}
