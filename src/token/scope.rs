//! Scopes (RFC 6749 section 3.3) and the patterns that *granted* ones may be (config.md section 2).
//!
//! Containment of patterns lives here and nowhere else.

use serde_json::Value;

/// How an issuer's granted scopes are read (`scope_match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScopeMatch {
    /// Literal, compared octet for octet.
    #[default]
    Exact,
    /// Parts between `:`; `*` is one part, as the last part one or more.
    Segments,
    /// `*` crosses `:`; `?` is one character; `{a,b}` alternatives.
    Glob,
}

/// A granted scope that cannot be read as a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope pattern may not hold {0:?}")]
pub struct PatternError(pub char);

/// One granted scope, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    inner: (),
}

/// What one token was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    inner: (),
}

/// Is `text` one scope-token (RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E)?
pub fn is_scope_token(text: &str) -> bool {
    todo!()
}

impl Pattern {
    /// Compiles one granted scope.
    pub fn parse(text: &str, how: ScopeMatch) -> Result<Self, PatternError> {
        todo!()
    }

    /// Does it cover this literal permission?
    pub fn covers(&self, literal: &str) -> bool {
        todo!()
    }
}

impl Granted {
    /// Reads the scope claims that were found (principle 7): a space-separated string or an array of strings;
    /// mixed types grant nothing; several claims present that differ as sets grant nothing. A scope that is
    /// no scope-token, or no valid pattern under `how`, is dropped.
    pub fn from_claims<'c>(found: impl IntoIterator<Item = &'c Value>, how: ScopeMatch) -> Self {
        todo!()
    }

    /// Does any granted scope cover this literal one?
    pub fn covers(&self, literal: &str) -> bool {
        todo!()
    }

    /// Does the **union** of the granted patterns contain every literal that `requested` covers? Decided as
    /// languages, never by comparing texts. Bounded: gives up with `false` past a named number of states.
    pub fn contains(&self, requested: &Pattern) -> bool {
        todo!()
    }
}
