//! Needs, made and joined.

use crate::config::graphql::FieldNeed;
use crate::graphql::plan::Needs;
use crate::token::scope::is_scope_token;

#[cfg(test)]
mod tests;

impl Needs {
    /// Of what is for everybody.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Of what is for whoever has a token.
    pub fn a_token() -> Self {
        Self { token: true, ..Self::default() }
    }

    /// Of what is for nobody. A token is needed all the same: without one, the answer is that one is missing.
    pub fn nobody(what: impl Into<Box<str>>) -> Self {
        Self { token: true, permissions: Box::default(), denied: Some(what.into()) }
    }

    /// Of what `what` needs, by a rule. A permission that no grant could name (RFC 6749 section 3.3) is nobody's.
    pub fn by_rule(need: &FieldNeed, what: &str) -> Self {
        match need {
            FieldNeed::Public => Self::nothing(),
            FieldNeed::Authenticated => Self::a_token(),
            FieldNeed::Permissions(permissions) => {
                let mut needs = Self::a_token();
                needs.extend(permissions.iter().map(|permission| &**permission), what);
                needs
            }
        }
    }

    /// Of all of these together.
    pub fn all<'n>(all: impl IntoIterator<Item = &'n Self>) -> Self {
        let mut needs = Self::nothing();
        let mut permissions: Vec<&Box<str>> = Vec::new();
        for one in all {
            needs.token |= one.token;
            permissions.extend(&one.permissions);
            if needs.denied.is_none() {
                needs.denied.clone_from(&one.denied);
            }
        }
        permissions.sort_unstable();
        permissions.dedup();
        needs.permissions = permissions.into_iter().cloned().collect();
        needs
    }

    /// Whether it is for everybody.
    pub fn are_none(&self) -> bool {
        !self.token
    }

    /// Adds what something else needs. Of several things that nobody may, the first is kept.
    pub fn join(&mut self, other: &Self) {
        self.token |= other.token;
        if self.denied.is_none() {
            self.denied.clone_from(&other.denied);
        }
        if other.permissions.is_empty() || self.permissions == other.permissions {
            return;
        }
        let mut all = std::mem::take(&mut self.permissions).into_vec();
        all.extend(other.permissions.iter().cloned());
        self.permissions = in_order(all);
    }

    /// Adds permissions that `what` needs.
    fn extend<'p>(&mut self, permissions: impl IntoIterator<Item = &'p str>, what: &str) {
        let mut all = std::mem::take(&mut self.permissions).into_vec();
        for permission in permissions {
            if is_scope_token(permission) {
                all.push(permission.into());
            } else if self.denied.is_none() {
                self.denied = Some(what.into());
            }
        }
        self.permissions = in_order(all);
    }
}

/// Sorted, each once.
fn in_order(mut permissions: Vec<Box<str>>) -> Box<[Box<str>]> {
    permissions.sort_unstable();
    permissions.dedup();
    permissions.into_boxed_slice()
}
