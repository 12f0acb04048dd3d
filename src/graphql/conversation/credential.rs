//! The token in the payload of `connection_init`, or of a message that renews it.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::token::claims::{Place, Selector};
use crate::token::json::{self, Bounds};

/// Bounds of such a payload (threats J18). Its length is that of a message.
const PAYLOAD: Bounds = Bounds { depth: 32, members: 256, elements: 1024 };

/// What may stand before a token.
const SCHEME: &str = "bearer ";

/// A payload that is not one strict JSON object: two parsers could read different tokens in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// The first string in one of these places, without `Bearer `. An empty one is none: clients send it before anybody has
/// logged in.
pub fn token(places: &[Selector], payload: &str) -> Result<Option<Zeroizing<Box<str>>>, Ambiguous> {
    let document = json::document(payload.as_bytes(), PAYLOAD).map_err(|_| Ambiguous)?;
    let found = places.iter().flat_map(|place| place.find_all(document.members()));
    let found = found.filter_map(|value| value.as_text()).map(bare).find(|token| is_one(token));
    Ok(found.map(|token| Zeroizing::new(token.into())))
}

/// The payload without whatever stands in these places.
pub fn without(places: &[Selector], payload: &str) -> Result<String, Ambiguous> {
    let mut members = json::object(payload.as_bytes(), PAYLOAD).map_err(|_| Ambiguous)?;
    for place in places.iter().flat_map(Selector::places) {
        match place {
            Place::Name(name) => drop(members.remove(&**name)),
            Place::Pointer(pointer) => remove(&mut members, pointer),
        }
    }
    Ok(Value::Object(members).to_string())
}

/// Removes what a pointer (RFC 6901) leads to, if it is an object's member.
fn remove(members: &mut Map<String, Value>, pointer: &str) {
    let mut tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
    let Some(mut name) = tokens.next() else { return };
    let mut within = members;
    for next in tokens {
        let Some(Value::Object(deeper)) = within.get_mut(&name) else { return };
        (within, name) = (deeper, next);
    }
    within.remove(&name);
}

/// Whether it is one word: after a scheme of another name stands no token, as in `Authorization`.
fn is_one(token: &str) -> bool {
    !token.is_empty() && !token.contains(' ')
}

fn bare(text: &str) -> &str {
    let scheme = text.get(..SCHEME.len()).filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    let rest = scheme.and_then(|_| text.get(SCHEME.len()..)).unwrap_or(text);
    rest.trim_matches(' ')
}
