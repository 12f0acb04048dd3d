//! `revocation`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::problems::Position;
use crate::token::claims::Selector;

/// `revocation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// A YAML list of entries, if there is one.
    pub file: Option<PathBuf>,
    /// Claims that entries of the kind `claim` may name.
    pub claims: Arc<[DeclaredClaim]>,
    /// How often open streams are checked against what no longer counts, should they not have been told.
    pub recheck_streams: Duration,
    /// Where it stands.
    pub at: Position,
}

/// One of `revocation.claims`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredClaim {
    /// As written, here and in entries: a name or a pointer.
    pub name: Box<str>,
    /// Where that is.
    pub selector: Selector,
}
