//! The token in the payload of `connection_init`, or of a message that renews it.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::graphql::envelope::PROTOTYPE;
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

/// The payload without whatever stands in these places, however their names are written: some decoders compare names without
/// regard to case.
pub fn without(places: &[Selector], payload: &str) -> Result<String, Ambiguous> {
    let mut members = json::object(payload.as_bytes(), PAYLOAD).map_err(|_| Ambiguous)?;
    for place in places.iter().flat_map(Selector::places) {
        match place {
            Place::Name(name) => remove(&mut members, &[(**name).to_owned()]),
            Place::Pointer(pointer) => {
                let names = pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
                remove(&mut members, &names.collect::<Vec<_>>());
            }
        }
    }
    Ok(Value::Object(members).to_string())
}

/// Removes what these names lead to, one within the other, if it is an object's member. It is as deep as the operator has written.
fn remove(members: &mut Map<String, Value>, names: &[String]) {
    let Some((name, rest)) = names.split_first() else { return };
    // A copy finds in there what is missing beside it.
    members.remove(PROTOTYPE);
    if rest.is_empty() {
        members.retain(|known, _| !known.eq_ignore_ascii_case(name));
        return;
    }
    for (_, deeper) in members.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
        if let Value::Object(deeper) = deeper {
            remove(deeper, rest);
        }
    }
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
