//! What is asked of control about revocations, one by one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::audit::Asker;
use crate::revocation::written::json::Why;
use crate::store::{Cursor, Entry, Filter, Id, Listed};

/// The ways in; wired by `app`.
#[derive(Clone)]
pub struct Revocations {
    /// Says what entries in JSON would add.
    pub rehearse: Arc<dyn Fn(Vec<u8>) -> Answering<Rehearsed> + Send + Sync>,
    /// Adds entries in JSON. The answer comes once they would survive a crash, and every request meets them.
    pub add: Arc<dyn Fn(Vec<u8>, Asker) -> Answering<Added> + Send + Sync>,
    /// Adds what lines say, at most [`crate::store::BATCH`] of them, likewise; those that are wrong are refused alone.
    pub import: Arc<dyn Fn(Vec<Bytes>, Manner, Asker) -> Answering<Imported> + Send + Sync>,
    /// Entries that count, at most so many, behind a place.
    pub list: Arc<dyn Fn(Filter, Option<Cursor>, usize) -> Answering<Listed> + Send + Sync>,
    /// Lifts an entry.
    pub lift: Arc<dyn Fn(Id, Asker) -> Answering<()> + Send + Sync>,
}

/// An answer under way.
pub type Answering<T> = Pin<Box<dyn Future<Output = Result<T, Refused>> + Send>>;

/// Entries that were added, or would be.
#[derive(Debug, Clone)]
pub struct Added {
    /// In the order in which they were sent.
    pub entries: Vec<Entry>,
    /// What is allowed, and hardly meant.
    pub warnings: Vec<String>,
}

/// What becomes of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// They are read, and nothing is added.
    pub dry_run: bool,
    /// What stands behind a line that is refused is not looked at.
    pub strict: bool,
}

/// What became of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that were added, or would be.
    pub added: usize,
    /// The lines that were refused, by their place among those that were given, and why; in order.
    pub refused: Vec<(usize, Vec<Why>)>,
    /// What is allowed, and hardly meant.
    pub warnings: Vec<String>,
}

/// Entries that would be added, and what that would come to.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// What would be added.
    pub would: Added,
    /// For each entry, whether one that is in force stops the same tokens already.
    pub already: Vec<bool>,
    /// For each entry, what it would stop.
    pub each: Vec<Stopping>,
    /// What any of them would.
    pub any: Stopping,
    /// What could be stopped: tokens that are accepted now, and streams that may go on.
    pub of: Stopping,
}

/// What ends with a revocation, as far as the gateway knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopping {
    /// Of the tokens that are remembered, so many.
    pub tokens: usize,
    /// Of the streams that are open, so many.
    pub streams: usize,
}

/// Why nothing has changed, or nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// What was sent is not what it has to be: what that is.
    Malformed(String),
    /// Something is wrong with entries: what, a line each.
    Entries(Vec<String>),
    /// There is no such entry.
    Unknown,
    /// There is no store; what to do.
    NoStore(&'static str),
    /// The store, or the gateway, cannot do it now: why.
    Unavailable(String),
}
