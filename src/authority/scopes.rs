//! Which scopes a token gets: what is asked for, held against what one has, as languages.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::config::endpoint::ScopeMode;
use crate::token::scope::{Granted, Pattern, ScopeMatch};

/// More was asked for than there is: the first scope that is refused, as it was sent; nothing where it is no text that an
/// answer may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Box<str>);

/// What was asked for is no list of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoScopes;

/// Reads scopes: a list of texts, or one text with spaces between (RFC 6749 section 3.3). `None` is nothing: an empty text is
/// the same as none (section 3.2), an empty list is a list.
pub fn listed(value: Option<&Value>) -> Result<Option<Vec<Box<str>>>, NoScopes> {
    let scopes: Vec<Box<str>> = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => {
            let scopes: Vec<_> = text.split(' ').filter(|scope| !scope.is_empty()).map(Box::from).collect();
            return Ok((!scopes.is_empty()).then_some(scopes));
        }
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_str().map(Box::from)).collect::<Option<_>>().ok_or(NoScopes)?
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => return Err(NoScopes),
    };
    if scopes.len() <= SCOPES { Ok(Some(scopes)) } else { Err(NoScopes) }
}

/// What is granted of `ceiling`, whose scopes are patterns by `matching`, to who asks for `asked`. `read` says how scopes of
/// the tokens that are made will be read: a text that means more to a route than it means to the ceiling is no way around it.
pub fn granted(
    asked: Option<Vec<Box<str>>>,
    ceiling: &[Box<str>],
    mode: ScopeMode,
    matching: ScopeMatch,
    read: &[ScopeMatch],
) -> Result<Vec<Box<str>>, Refused> {
    let union = Granted::of_texts(ceiling.iter().map(|scope| &**scope), matching);
    let contained = |scope: &str, how| Pattern::parse(scope, how).is_ok_and(|asked| union.contains(&asked));
    let is_no_more = |scope: &str| read.iter().all(|how| *how == matching || contained(scope, *how));
    let asked = match (mode, asked) {
        (ScopeMode::Inherit, _) | (ScopeMode::Subset, None) => {
            // What nobody asked for is not refused, but left out.
            return Ok(ceiling.iter().filter(|scope| is_no_more(scope)).cloned().collect());
        }
        (ScopeMode::Subset, Some(asked)) => asked,
    };
    let mut given: Vec<Box<str>> = Vec::with_capacity(asked.len());
    for scope in asked {
        if !contained(&scope, matching) || !is_no_more(&scope) {
            let is_shown = scope.len() <= SHOWN && scope.bytes().all(may_be_repeated);
            return Err(Refused(if is_shown { scope } else { "".into() }));
        }
        if !given.contains(&scope) {
            given.push(scope);
        }
    }
    Ok(given)
}

/// What a description of an error may hold (RFC 6749 section 5.2).
fn may_be_repeated(octet: u8) -> bool {
    matches!(octet, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~')
}

/// Scopes that one request may ask for.
const SCOPES: usize = 256;

/// Octets of a refused scope that an answer repeats.
const SHOWN: usize = 256;
