//! What operators may ask for, of keys and of people: the bounds of what is kept, and everything that is wrong at once.

use serde_json::{Map, Value};

use crate::config::problems::quoted;
use crate::mint::managed::{ATTRIBUTES_OCTETS, ID_CHARACTERS, NAME_OCTETS, NotDone, SCOPES};
use crate::store::error::StoreError;
use crate::token::scope::{Pattern, ScopeMatch};

/// What is wrong so far.
#[derive(Default)]
pub(in crate::authority) struct Faults(Vec<String>);

impl Faults {
    pub(in crate::authority) fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// An id, or a name to sign in with.
    pub(in crate::authority) fn id(&mut self, id: &str) {
        if id.is_empty() || id.chars().count() > ID_CHARACTERS || id.chars().any(char::is_control) {
            self.add(format!("`id` is 1 to {ID_CHARACTERS} characters, none of them a control character"));
        }
    }

    pub(in crate::authority) fn name(&mut self, name: Option<&str>) {
        if name.is_some_and(|name| name.len() > NAME_OCTETS || name.chars().any(char::is_control)) {
            self.add(format!("`name` is at most {NAME_OCTETS} octets, none of them a control character"));
        }
    }

    pub(in crate::authority) fn scopes(&mut self, scopes: &[String], how: ScopeMatch) {
        if scopes.len() > SCOPES {
            self.add(format!("`scopes` are at most {SCOPES}"));
        }
        for scope in scopes.iter().take(SCOPES) {
            if scope.len() > NAME_OCTETS || scope.is_empty() {
                self.add(format!("a scope is 1 to {NAME_OCTETS} octets"));
            } else if let Err(error) = Pattern::parse(scope, how) {
                self.add(format!("`scopes`: {}: {error}", quoted(scope)));
            }
        }
    }

    /// Attributes, which may not have the names of what templates find otherwise.
    pub(in crate::authority) fn attributes(&mut self, attributes: &Map<String, Value>, taken: &[&str]) {
        for name in taken {
            if attributes.contains_key(*name) {
                self.add(format!("`attributes`: `{name}` has a place of its own"));
            }
        }
        let octets = serde_json::to_vec(attributes).map_or(usize::MAX, |octets| octets.len());
        if octets > ATTRIBUTES_OCTETS {
            self.add(format!("`attributes` are at most {ATTRIBUTES_OCTETS} octets as JSON"));
        }
    }

    pub(in crate::authority) fn expires(&mut self, expires: Option<i64>) {
        if expires.is_some_and(|expires| !(0..=LATEST).contains(&expires)) {
            self.add(format!("`expires` is in Unix seconds, from 0 to {LATEST}"));
        }
    }

    /// Nothing was wrong.
    pub(in crate::authority) fn none(self) -> Result<(), NotDone> {
        if self.0.is_empty() { Ok(()) } else { Err(NotDone::Invalid(self.0)) }
    }
}

/// The one credential that is meant: the one that is named, or the only one.
pub(in crate::authority) fn meant<'a>(
    named: Option<&'a str>,
    mut managed: impl Iterator<Item = &'a str> + Clone,
    what: &str,
) -> Result<&'a str, NotDone> {
    let all = managed.clone();
    let found = match named {
        Some(named) => managed.find(|name| *name == named),
        None => managed.next().filter(|_| managed.next().is_none()),
    };
    found.ok_or_else(|| {
        let all: Vec<String> = all.map(quoted).collect();
        let is = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        NotDone::Invalid(vec![format!(
            "`credential` names one of the managed {what} of the configuration ({is})"
        )])
    })
}

/// What a failure of the store comes to for whoever asked.
pub(in crate::authority) fn not_kept(error: StoreError) -> NotDone {
    tracing::error!(%error, "what was asked for could not be kept");
    NotDone::Unavailable(error.to_string())
}

/// The last moment that fits into the set of revocations: in the year 2106.
const LATEST: i64 = u32::MAX as i64;
