//! Who a credential belongs to: the one answer of API keys and of people.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::token::NumericDate;

/// Whoever was found to hold a credential.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The name of the credential in the configuration.
    pub credential: Box<str>,
    /// `{credential.id}`: of an API key its id, of a person the name they sign in with.
    pub id: Box<str>,
    /// `{credential.name}`: what people call it.
    pub name: Option<Box<str>>,
    /// `{credential.scopes}`: what it may have, as it was written; patterns where the credential's `scope_match` says so.
    pub scopes: Arc<[Box<str>]>,
    /// `{credential.NAME}`: all else, that of its prefix where it says nothing itself. `namespaces` of a person is one.
    pub attributes: Arc<Map<String, Value>>,
    /// When it ends.
    pub expires: Option<NumericDate>,
    /// What it was proven by.
    pub stamp: Stamp,
}

/// Tells a holder's secrets from those that it had before: another one as soon as any of them is taken away or replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// When the holder was made.
    pub created: i64,
    /// How often a secret of theirs was taken away since.
    pub taken: u32,
}

/// What was presented as an API key. Nobody's to log.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// One text that is all of it.
    Whole(&'a str),
    /// An id and a secret, each by itself.
    Pair {
        /// The id.
        id: &'a str,
        /// The secret.
        secret: &'a str,
    },
}

/// Nobody who may be told apart: unknown, disabled, over, or another secret (threats T9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;
