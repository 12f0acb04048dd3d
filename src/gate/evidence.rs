//! What the edge brings back when `decide` says `Need`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A token named a key that its issuer's fetched set does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMiss {
    /// The issuer's name.
    pub issuer: Box<str>,
    /// The unknown `kid`; empty when the set is not there at all.
    pub key_id: Box<str>,
}

/// What asking for a missing key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysAnswer {
    /// A fetch begun after the `kid` was first seen has succeeded and been published: decide again.
    Fetched,
    /// It failed, or did not end within `miss_wait`: `keys_unavailable`.
    Unavailable,
}

/// Asks for a missing key, bounded by the issuer's `miss_wait`. `control` answers; `app` wires.
pub type AskKeys = Arc<dyn Fn(KeyMiss) -> Pin<Box<dyn Future<Output = KeysAnswer> + Send>> + Send + Sync>;
