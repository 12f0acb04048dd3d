//! Why a text is no document.

use crate::graphql::rejected::Rejected;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not what the grammar has at this octet.
    Syntax {
        /// Where.
        at: usize,
        /// What is there, or should be.
        what: &'static str,
    },
    /// More tokens than may be.
    Tokens,
    /// Deeper nesting than may be.
    Recursion,
    /// The grammar has it, and no operation of it can be run.
    Invalid(&'static str),
}

impl Fault {
    pub(in crate::graphql::document) fn syntax(at: usize, what: &'static str) -> Self {
        Self::Syntax { at, what }
    }

    /// As it is answered; `text` is the document.
    pub fn rejected(&self, text: &str) -> Rejected {
        match self {
            Self::Syntax { at, what } => {
                let (line, column) = position(text, *at);
                Rejected::new("GRAPHQL_PARSE_FAILED", format!("line {line}, column {column}: {what}"))
            }
            Self::Tokens => Rejected::new("TOKEN_LIMIT_EXCEEDED", "the document has too many tokens"),
            Self::Recursion => Rejected::new("RECURSION_LIMIT", "the document is nested too deep"),
            Self::Invalid(what) => Rejected::new("GRAPHQL_VALIDATION_FAILED", *what),
        }
    }
}

/// Line and column of an octet, from 1; columns are octets.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|octet| **octet != b'\n').count() + 1;
    (line, column)
}
