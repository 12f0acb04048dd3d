//! Strict JSON (RFC 8259) for what an attacker may write: duplicate members refused at every depth after
//! unescaping, depth and member count bounded, no lone surrogates, numbers finite.

use serde_json::{Map, Value};

/// Why a text is not the one JSON object it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say all")]
pub enum JsonError {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not a JSON object")]
    NotAnObject,
    #[error("member \"{0}\" stands twice")]
    DuplicateMember(Box<str>),
    #[error("nested deeper than the limit")]
    TooDeep,
    #[error("more members than the limit")]
    TooManyMembers,
    #[error("not JSON")]
    Syntax,
}

/// Depth and member bounds (threats J18): a document is refused beyond them.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Nesting of objects and arrays, the outermost counted as 1.
    pub depth: usize,
    /// Members of any one object.
    pub members: usize,
}

/// Parses `text` as one strict JSON object with nothing after it.
pub fn object(text: &[u8], bounds: Bounds) -> Result<Map<String, Value>, JsonError> {
    todo!()
}
