//! Scopes that a route asks for, against those that a token was granted.

use crate::config::Requirement;
use crate::config::scope::{Built, BuiltScope, ScopePiece};
use crate::token::scope::{Granted, is_scope_token};

#[cfg(test)]
mod tests;

/// Scopes are missing: what the `scope` parameter of the challenge says (RFC 6750 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingScopes(pub String);

/// Checks all of `scopes` and, unless it is empty, one of `any_scope`, where none of them is built from the request.
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

/// The same where some are built from the path's parameters. A scope that cannot be built is one that nobody has.
pub fn check_built(
    requirement: &Requirement,
    built: &Built,
    parameters: &[(&str, &str)],
    granted: &Granted,
) -> Result<(), MissingScopes> {
    let build = |scopes: &[BuiltScope]| -> Vec<Option<String>> {
        scopes.iter().map(|scope| build(scope, parameters)).collect()
    };
    let (all_built, any_built) = (build(&built.scopes), build(&built.any_scope));
    let covers = |scope: &Option<String>| scope.as_ref().is_some_and(|scope| granted.covers(scope));
    let all = requirement.scopes.iter().all(|scope| granted.covers(scope)) && all_built.iter().all(covers);
    let none = requirement.any_scope.is_empty() && any_built.is_empty();
    let any = none
        || requirement.any_scope.iter().any(|scope| granted.covers(scope))
        || any_built.iter().any(covers);
    if all && any {
        return Ok(());
    }
    let literal = requirement.any_scope.first().map(|scope| &**scope);
    let alternative = literal.or_else(|| any_built.iter().flatten().map(String::as_str).next());
    let needed = requirement.scopes.iter().map(|scope| &**scope);
    let needed = needed.chain(all_built.iter().flatten().map(String::as_str)).chain(alternative);
    Err(MissingScopes(needed.collect::<Vec<_>>().join(" ")))
}

/// The scope that this request asks for; none where a parameter is empty, or holds what no scope can.
fn build(scope: &BuiltScope, parameters: &[(&str, &str)]) -> Option<String> {
    let mut text = String::new();
    for piece in &scope.0 {
        match piece {
            ScopePiece::Literal(literal) => text.push_str(literal),
            ScopePiece::Parameter(name) => {
                let (_, value) = parameters.iter().find(|(known, _)| *known == &**name)?;
                if !is_scope_token(value) {
                    return None;
                }
                text.push_str(value);
            }
        }
    }
    Some(text)
}
