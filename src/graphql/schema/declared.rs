//! A schema as its file declares it: names, not yet bound to each other.

use crate::config::problems::{Position, Problem};

/// What a file declares.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// Definitions and extensions of types, in the file's order.
    pub(crate) types: Vec<DeclaredType>,
    /// What `schema { … }` and `extend schema { … }` name: `query`, `mutation`, `subscription`, and the type.
    pub(crate) roots: Vec<(Root, Named)>,
    /// There is a `schema { … }`: types do not become roots by their name.
    pub(crate) is_explicit: bool,
}

/// One definition or extension.
#[derive(Debug)]
pub(crate) struct DeclaredType {
    pub(crate) name: Named,
    pub(crate) sort: Sort,
    /// `extend …`.
    pub(crate) extends: bool,
    /// Fields, and the type that each comes to without its lists and `!`.
    pub(crate) fields: Vec<(Named, Named)>,
    /// What it implements.
    pub(crate) interfaces: Vec<Named>,
    /// The members of a union.
    pub(crate) members: Vec<Named>,
}

/// A name, and the octet of the file that it begins at.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: Box<str>,
    pub(crate) at: usize,
}

/// Something wrong with a file, by the octet: lines are counted for what is shown, and for nothing else.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) at: usize,
    pub(crate) what: String,
}

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Object,
    Interface,
    Union,
    /// A scalar or an enumeration.
    Leaf,
    Input,
}

/// The root of a kind of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Query,
    Mutation,
    Subscription,
}

impl Root {
    /// As `schema { … }` names it.
    pub(crate) fn read(word: &str) -> Option<Self> {
        match word {
            "query" => Some(Self::Query),
            "mutation" => Some(Self::Mutation),
            "subscription" => Some(Self::Subscription),
            _ => None,
        }
    }

    /// The type that is this root where no `schema { … }` says another.
    pub(crate) fn default_name(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Subscription => "Subscription",
        }
    }
}

impl Named {
    /// Something wrong with it.
    pub(crate) fn flaw(&self, what: impl Into<String>) -> Flaw {
        Flaw { at: self.at, what: what.into() }
    }
}

impl Flaw {
    /// The same by line and column of this text.
    pub(crate) fn problem(self, text: &str) -> Problem {
        let before = text.get(..self.at).unwrap_or(text);
        let lines = before.matches('\n').count();
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        let narrow = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
        Problem::new(Position { line: narrow(lines), column: narrow(column) }, self.what)
    }
}
