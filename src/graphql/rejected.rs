//! Why an operation is not judged at all: it is no operation, or more than is taken.

use std::borrow::Cow;

/// A request that holds no operation that could be judged, or one past a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What is done about it.
    pub kind: Kind,
    /// `extensions.code` of the answer.
    pub code: &'static str,
    /// What is said of it. Nothing of what the client sent is in it but names that GraphQL's grammar allows.
    pub message: Cow<'static, str>,
    /// Operations of the list that it stands in; 0 unless it stands in one.
    pub list: usize,
}

/// How such a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400, `graphql_rejected`.
    Rejected,
    /// 413, `body_too_large`.
    TooLarge,
    /// 415, `unsupported_media_type`.
    MediaType,
    /// 405 with `Allow: POST`: it changes something, and came by `GET`.
    Method,
    /// 200 and `PersistedQueryNotFound`: the client then sends the document.
    NotFound,
}

impl Rejected {
    /// A request or document that is not well-formed.
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Kind::Rejected, code, message)
    }

    /// One that is answered in this way.
    pub fn of(kind: Kind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, message: message.into(), list: 0 }
    }

    /// No operation of the document is the one that is asked for.
    pub fn no_operation(message: &'static str) -> Self {
        Self::new("OPERATION_RESOLUTION_FAILURE", message)
    }
}
