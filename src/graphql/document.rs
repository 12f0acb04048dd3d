//! An executable document: what of it decides what may be run, and nothing else.
//!
//! A recogniser, not a parser: it says whether a text is an executable document of GraphQL (the edition of September 2025,
//! descriptions and `\u{…}` included), and which operations, fragments and selections it has, in flat arrays of places in
//! the text. Values are checked and forgotten. Nothing here calls itself, so that no document is too deep for the stack; every loop goes
//! on by at least an octet, a selection or a definition a turn.
//!
//! Why not a library's parser: `benches/graphql.rs` has the figures. This one is two to four times as fast, and it takes nothing that
//! graphql-js, bluejay-parser and apollo-compiler do not take with the same structure (`tests/documents.rs`, and the fuzz
//! target `graphql`). What it refuses beyond them:
//!
//! | refused | because |
//! |---|---|
//! | selection sets of nothing | the edition of 2026 has them, older parsers do not |
//! | control characters, a byte order mark between tokens | older parsers refuse them, or read on behind them |
//! | U+2028 and U+2029 in a comment | it ends there for parsers of the edition of 2016: what follows would be run unseen |
//! | white space behind `$` | some parsers refuse it |
//! | definitions of types | no operation |
//! | names twice, operations without a name beside others | which one is run depends on the server |
//! | fragments that are missing, hold themselves or are not used | the same (GraphQL, section 5.5) |

pub mod fault;
mod lexer;
mod links;
mod reader;

use smallvec::SmallVec;

use crate::config::graphql::OperationKind;
use crate::graphql::document::fault::Fault;
use crate::graphql::document::reader::Reader;

#[cfg(test)]
mod tests;

/// Where something stands in the document, in octets. Empty where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct Place {
    pub start: u32,
    pub end: u32,
}

/// How large a document may be. Past it, reading stops.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Tokens; comments are none.
    pub tokens: u64,
    /// Braces and brackets within each other.
    pub recursion: u64,
}

/// A document.
#[derive(Debug)]
pub struct Document<'d> {
    /// The whole text.
    pub text: &'d str,
    /// Not empty.
    pub operations: SmallVec<[Operation; 1]>,
    /// Each is reached from an operation, and none from itself.
    pub fragments: Vec<Fragment>,
    /// The selections of all definitions: each before those within it, these before the next.
    pub selections: Vec<Selection>,
    /// The fragments' places among each other, each behind those that it spreads.
    pub order: Vec<u32>,
    /// Its tokens.
    pub tokens: u64,
    /// Braces and brackets within each other, at most.
    pub nesting: u64,
}

/// An operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// What it is.
    pub kind: OperationKind,
    /// Its name.
    pub name: Place,
    /// What it selects.
    pub body: Body,
}

/// A fragment.
#[derive(Debug, Clone, Copy)]
pub struct Fragment {
    /// Its name.
    pub name: Place,
    /// The type that it is on.
    pub on: Place,
    /// What it selects.
    pub body: Body,
}

/// What a definition selects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Body {
    /// Its first selection's index.
    pub start: u32,
    /// One past its last selection's.
    pub end: u32,
    /// Directives of the definition itself, and of its variables.
    pub directives: u32,
}

/// A selection.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// What it is.
    pub kind: Kind,
    /// It has `@skip(if: true)` or `@include(if: false)`, literally, and nothing that says otherwise: no server runs it.
    pub is_absent: bool,
    /// A field's own name, a spread fragment's, or the type that an inline fragment is on.
    pub name: Place,
    /// A field's alias.
    pub alias: Place,
    /// Where all of it stands.
    pub place: Place,
    /// The index of what comes after all that is within it.
    pub next: u32,
    /// Selection sets of fields that it is within, in its definition.
    pub level: u32,
    /// Its directives.
    pub directives: u32,
    /// The index of the fragment that it spreads.
    pub target: u32,
}

/// What a selection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Kind {
    Field,
    Inline,
    Spread,
}

impl Bounds {
    /// None but memory.
    pub const NONE: Self = Self { tokens: u64::MAX, recursion: u64::MAX };
}

impl<'d> Document<'d> {
    /// Reads a document.
    pub fn read(text: &'d str, bounds: &Bounds) -> Result<Self, Fault> {
        let mut document = Reader::new(text, bounds)?.document()?;
        links::link(&mut document)?;
        Ok(document)
    }

    /// What stands there.
    #[inline]
    pub fn at(&self, place: Place) -> &'d str {
        self.text.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// The name of an operation.
    pub fn name(&self, operation: &Operation) -> Option<&'d str> {
        (!operation.name.is_empty()).then(|| self.at(operation.name))
    }

    /// What a field is called in the answer: its alias, or its own name.
    pub fn key(&self, field: &Selection) -> &'d str {
        self.at(if field.alias.is_empty() { field.name } else { field.alias })
    }

    /// The selections of a definition, each before those within it.
    pub fn body(&self, body: Body) -> &[Selection] {
        self.selections.get(body.start as usize..body.end as usize).unwrap_or_default()
    }
}

impl Place {
    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}
