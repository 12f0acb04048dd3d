//! What is wrong in an operator's file: where, what, and what to write instead.

use std::fmt;
use std::sync::Arc;

/// A place in a file: line and column from 1, column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// One problem (or warning).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; the file's start if nowhere in particular.
    pub at: Position,
    /// What is wrong, in one sentence without a full stop. Never the value of a secret.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Every problem of one file, sorted by place.
#[derive(Debug, Clone)]
pub struct Problems {
    /// The file's name.
    pub file: String,
    /// The file's text, for the snippets; empty where a snippet could show a secret.
    pub text: Arc<str>,
    /// Not empty.
    pub list: Vec<Problem>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(at: Position, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), hint: None }
    }
    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problems {
    /// `file:line:column: what`, the snippet with a caret, and the hint, a block each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for Problems {}
