//! `forward` of a route.

use crate::token::claims::Selector;

/// What the upstream is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forward {
    /// Identity headers: lower-case name, and the claim that fills it.
    pub headers: Vec<ForwardHeader>,
    /// Whether the credential travels on (`authorization: keep`); it is stripped otherwise.
    pub keep_authorization: bool,
}

/// One identity header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardHeader {
    /// As written; compared without case.
    pub name: Box<str>,
    /// Which claim.
    pub claim: Selector,
    /// How an array is written.
    pub array: ArrayForm,
}

/// How an array claim becomes a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArrayForm {
    /// Joined by commas.
    #[default]
    Comma,
    /// As JSON.
    Json,
    /// One line each.
    Repeat,
}
