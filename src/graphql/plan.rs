//! What a document asks for, under one route's rules: made once, and remembered by the document's whole text.

use crate::config::graphql::OperationKind;
use crate::graphql::rejected::Rejected;

/// A document, planned. Immutable; several requests share one.
#[derive(Debug)]
pub struct Plan {
    /// Tells it from every other plan of this worker: what was found out about it is remembered by this.
    pub serial: u64,
    /// Its operations, in the document's order. Not empty.
    pub operations: Box<[Planned]>,
    /// The bounds that it is past and that only warn, by their names.
    pub warnings: Box<[&'static str]>,
}

/// One operation.
#[derive(Debug)]
pub struct Planned {
    /// Its name.
    pub name: Option<Box<str>>,
    /// What it is.
    pub kind: OperationKind,
    /// What it needs, whole; with `operations: strict`, with what every mutation of the document needs.
    pub needs: Needs,
    /// The fields at its root, through fragments, in order; `__typename` is not among them.
    pub fields: Box<[RootField]>,
    /// It may come by `GET`: it is no mutation and, with `operations: strict`, there is none beside it.
    pub is_safe: bool,
}

/// One field at the root of an operation.
#[derive(Debug)]
pub struct RootField {
    /// The name in the answer: its alias, or its own.
    pub key: Box<str>,
    /// Its own name.
    pub name: Box<str>,
    /// What it needs.
    pub needs: Needs,
    /// Octets of the document that it stands in, from the first to one past the last.
    pub span: std::ops::Range<usize>,
}

/// What is needed to run something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Needs {
    /// A token that the route takes. Without, `permissions` is empty and `denied` none: it is for everybody.
    pub token: bool,
    /// All of these permissions, each once, sorted.
    pub permissions: Box<[Box<str>]>,
    /// Something that nobody may, for the log: a field that no rule knows.
    pub denied: Option<Box<str>>,
}

impl Plan {
    /// The operation that a server runs when it is asked for this name; `""` is no name.
    pub fn select(&self, name: Option<&str>) -> Result<usize, Rejected> {
        let name = name.filter(|name| !name.is_empty());
        match name {
            None if self.operations.len() == 1 => Ok(0),
            None => Err(Rejected::no_operation("several operations, and operationName names none")),
            Some(name) => self
                .operations
                .iter()
                .position(|operation| operation.name.as_deref() == Some(name))
                .ok_or_else(|| Rejected::no_operation("operationName names no operation of the document")),
        }
    }
}
