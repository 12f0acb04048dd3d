//! What the operator named, and finding it again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::decode::value::Value;
use crate::config::defaults::{NAME, ROUTE_KEY};
use crate::config::problems::{Wrong, closest};

/// Upstreams or issuers by name. One that could not be read keeps its name, so that what refers to it is no
/// second mistake.
pub(crate) struct Named<T> {
    entries: Vec<(Box<str>, Option<Arc<T>>)>,
}

/// The names of one [`Named`], with their indices.
pub(crate) struct Names<'n> {
    /// What they name: "upstream".
    pub(crate) what: &'static str,
    indices: HashMap<&'n str, usize>,
    /// In file order, so that the same file gets the same hints.
    ordered: Vec<&'n str>,
}

impl<T> Named<T> {
    /// Takes them in file order.
    pub(crate) fn new(entries: Vec<(Box<str>, Option<Arc<T>>)>) -> Self {
        Self { entries }
    }
    /// Their names.
    pub(crate) fn names(&self, what: &'static str) -> Names<'_> {
        let ordered: Vec<&str> = self.entries.iter().map(|(name, _)| &**name).collect();
        let indices = ordered.iter().enumerate().map(|(index, name)| (*name, index)).collect();
        Names { what, indices, ordered }
    }
    /// Adds one that the file does not list here. Answers its index.
    pub(crate) fn push(&mut self, name: &str, value: Option<Arc<T>>) -> usize {
        self.entries.push((name.into(), value));
        self.entries.len() - 1
    }
    /// The one of this index, unless it could not be read.
    pub(crate) fn get(&self, index: usize) -> Option<&Arc<T>> {
        self.entries.get(index)?.1.as_ref()
    }
    /// Those that could be read.
    pub(crate) fn into_values(self) -> Vec<Arc<T>> {
        self.entries.into_iter().filter_map(|(_, value)| value).collect()
    }
}

impl Names<'_> {
    /// Whether one has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.indices.contains_key(name)
    }
    /// The index of this name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }
    /// Finds what a value names.
    pub(crate) fn find(&self, value: Value<'_>) -> Option<usize> {
        value.read(|name| {
            self.indices.get(name).copied().ok_or_else(|| {
                let wrong = Wrong::is(format!("is no {} of this file", self.what));
                match closest(name, self.ordered.iter().copied().take(HINTED)) {
                    Some(near) => wrong.hint(format!("did you mean `{near}`?")),
                    None => wrong,
                }
            })
        })
    }
}

/// How many names are searched for the one that was meant.
const HINTED: usize = 1_000;

/// Checks the name of a route: a metric label, by default the route's key.
pub(crate) fn check_label(name: &str) -> Result<(), Wrong> {
    match name {
        "" => Err(Wrong::is("is empty")),
        _ if name.len() > ROUTE_KEY => Err(Wrong::is(format!("is longer than {ROUTE_KEY} characters"))),
        _ if name.chars().any(char::is_control) => Err(Wrong::is("holds a control character")),
        _ => Ok(()),
    }
}

/// Checks a name that the operator chose: a metric label, and for an issuer part of a file's name.
pub(crate) fn check(name: &str) -> Result<(), Wrong> {
    let hint = "letters, digits, `-`, `_` and `.` read best";
    if name.is_empty() {
        return Err(Wrong::is("is empty").hint(hint));
    }
    if name.chars().count() > NAME {
        return Err(Wrong::is(format!("is longer than {NAME} characters")));
    }
    if name.starts_with('.') || name.contains(['/', '\\']) || name.chars().any(char::is_control) {
        return Err(Wrong::is("is no name").hint(hint));
    }
    Ok(())
}
