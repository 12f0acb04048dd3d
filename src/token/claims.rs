//! A JWT's claims set (RFC 7519 section 4): registered claims typed, the others kept as they are.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::token::NumericDate;
use crate::token::json::{self, Bounds};
use crate::token::jws::Malformed;

/// A claims set. Parsing one verifies nothing: what verifies is `keys`, and what it leaves is `Verified`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims {
    /// `iss`: exactly one string.
    pub issuer: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `aud`: a string or an array of strings; empty when absent.
    pub audience: Vec<Box<str>>,
    /// `exp`, fractions dropped.
    pub expires: Option<NumericDate>,
    /// `nbf`, fractions rounded up.
    pub not_before: Option<NumericDate>,
    /// `iat`, fractions dropped.
    pub issued_at: Option<NumericDate>,
    /// `jti`.
    pub token_id: Option<Box<str>>,
    /// All members, registered ones too.
    pub members: Map<String, Value>,
}

impl Claims {
    /// Parses a payload strictly: duplicate members at any depth, a `crit` member, `null` or a wrong type in
    /// a registered claim, and numbers that are no date (negative, beyond 2^53, not finite) are refused, also
    /// where nobody asks for the claim (RFC 8725 section 3.2; threats J13).
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let members = json::object(payload, PAYLOAD).map_err(|_| Malformed::Claims)?;
        // `crit` is a header member; among the claims somebody means something by it that nobody here does.
        if members.contains_key("crit") {
            return Err(Malformed::Claims);
        }
        Ok(Self {
            issuer: text(&members, "iss")?,
            subject: text(&members, "sub")?,
            audience: audience(&members)?,
            expires: date(&members, "exp", f64::floor)?,
            not_before: date(&members, "nbf", f64::ceil)?,
            issued_at: date(&members, "iat", f64::floor)?,
            token_id: text(&members, "jti")?,
            members,
        })
    }

    /// About how many octets of memory these claims hold, themselves included: what a bounded cache counts.
    pub fn footprint(&self) -> usize {
        let texts = [&self.issuer, &self.subject, &self.token_id];
        size_of::<Self>()
            + texts.into_iter().flatten().map(|text| text.len() + ALLOCATION).sum::<usize>()
            + self.audience.iter().map(|text| size_of::<Box<str>>() + text.len() + ALLOCATION).sum::<usize>()
            + members_footprint(&self.members)
    }
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<Box<str>>, Malformed> {
    members.get(name).map(as_text).transpose()
}

fn as_text(value: &Value) -> Result<Box<str>, Malformed> {
    value.as_str().map(Box::from).ok_or(Malformed::ClaimType)
}

/// A string, or a flat array of strings (RFC 7519 section 4.1.3).
fn audience(members: &Map<String, Value>) -> Result<Vec<Box<str>>, Malformed> {
    match members.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(as_text).collect(),
        Some(value) => Ok(vec![as_text(value)?]),
    }
}

fn date(
    members: &Map<String, Value>,
    name: &str,
    whole: fn(f64) -> f64,
) -> Result<Option<NumericDate>, Malformed> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => seconds(number, whole).map(Some).ok_or(Malformed::ClaimType),
        Some(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Malformed::ClaimType)
        }
    }
}

/// RFC 7519 section 2 allows fractions. Past 2^53 a double does not hold every second any more, and two
/// parsers may read different dates.
fn seconds(number: &Number, whole: fn(f64) -> f64) -> Option<NumericDate> {
    if let Some(integer) = number.as_u64() {
        return i64::try_from(integer).ok().filter(|seconds| *seconds <= LATEST).map(NumericDate);
    }
    let seconds = number.as_f64()?;
    let possible = (0.0..=LATEST as f64).contains(&seconds);
    possible.then(|| NumericDate(whole(seconds) as i64))
}

fn members_footprint(members: &Map<String, Value>) -> usize {
    // A tree of nodes of eleven, of which small objects fill one to a fraction.
    let slots = members.len().div_ceil(NODE) * NODE;
    slots * (size_of::<String>() + size_of::<Value>())
        + members.iter().map(|(name, value)| name.len() + ALLOCATION + value_footprint(value)).sum::<usize>()
}

/// What `value` holds beyond its own place. Recursion is bounded by the depth that parsing allowed.
fn value_footprint(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + ALLOCATION,
        // A vector grows by doubling: up to twice the places it uses.
        Value::Array(values) => {
            2 * values.len() * size_of::<Value>() + values.iter().map(value_footprint).sum::<usize>()
        }
        Value::Object(members) => members_footprint(members),
    }
}

/// Where in the claims a value is found (config.md principle 7): the first place that is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Place>);

/// One place of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A top-level claim.
    Name(Box<str>),
    /// An RFC 6901 pointer, as written, with its leading `/`.
    Pointer(Box<str>),
}

impl Selector {
    /// Reads the places as written in the configuration; an empty list, an empty name or a broken pointer
    /// (`~` not followed by `0` or `1`) is `None`.
    pub fn parse<S: AsRef<str>>(places: &[S]) -> Option<Self> {
        if places.is_empty() {
            return None;
        }
        places.iter().map(|place| Place::parse(place.as_ref())).collect::<Option<Vec<_>>>().map(Self)
    }

    /// The places, in order.
    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// The first value that is present. `null` is present: whoever sent it said something.
    pub fn find<'c>(&self, members: &'c Map<String, Value>) -> Option<&'c Value> {
        self.find_all(members).next()
    }

    /// Every value that is present, in order.
    pub fn find_all<'c>(&self, members: &'c Map<String, Value>) -> impl Iterator<Item = &'c Value> {
        self.0.iter().filter_map(move |place| place.find(members))
    }
}

impl Place {
    fn parse(place: &str) -> Option<Self> {
        if !place.starts_with('/') {
            return (!place.is_empty()).then(|| Self::Name(place.into()));
        }
        let broken = place.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
        (!broken).then(|| Self::Pointer(place.into()))
    }

    fn find<'c>(&self, members: &'c Map<String, Value>) -> Option<&'c Value> {
        match self {
            Self::Name(name) => members.get(&**name),
            Self::Pointer(pointer) => {
                let mut tokens = pointer.strip_prefix('/')?.split('/').map(unescape);
                let first = members.get(&*tokens.next()?)?;
                tokens.try_fold(first, |value, token| match value {
                    Value::Object(members) => members.get(&*token),
                    Value::Array(values) => values.get(array_index(&token)?),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
                })
            }
        }
    }
}

/// `~1` is `/` and then `~0` is `~`, in this order (RFC 6901 section 4).
fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}

/// Digits without a leading zero (RFC 6901 section 4).
fn array_index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    plain.then(|| token.parse().ok()).flatten()
}

/// The last second that every JSON parser reads alike.
const LATEST: i64 = 1 << 53;

/// Bounds of a payload (threats J18). The token's length bounds the rest.
const PAYLOAD: Bounds = Bounds { depth: 32, members: 64, elements: 1024 };

/// What an allocation costs beside its octets, about.
const ALLOCATION: usize = 16;

/// Entries of one node of the map.
const NODE: usize = 11;
