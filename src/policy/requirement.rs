//! Scopes that a route asks for, against those that a token was granted.

use crate::config::Requirement;
use crate::token::scope::Granted;

/// Scopes are missing: what the `scope` parameter of the challenge says (RFC 6750 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingScopes(pub String);

/// Checks all of `scopes` and, unless it is empty, one of `any_scope`.
pub fn check(requirement: &Requirement, granted: &Granted) -> Result<(), MissingScopes> {
    let all = requirement.scopes.iter().all(|scope| granted.covers(scope));
    let any =
        requirement.any_scope.is_empty() || requirement.any_scope.iter().any(|scope| granted.covers(scope));
    if all && any {
        return Ok(());
    }
    // Of alternatives the challenge names the first: it has no way to say "or".
    let needed = requirement.scopes.iter().chain(requirement.any_scope.first());
    Err(MissingScopes(needed.map(|scope| &**scope).collect::<Vec<_>>().join(" ")))
}
