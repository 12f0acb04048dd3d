//! A JWT's claims set (RFC 7519 section 4): registered claims typed, the others kept as they are.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::token::NumericDate;
use crate::token::json::document::{Document, Members, Numeral, Span, Value};
use crate::token::json::{self, Bounds};
use crate::token::jws::Malformed;

/// A claims set. Parsing one verifies nothing: what verifies is `keys`, and what it leaves is `Verified`.
///
/// Invariant: every registered claim has its type, or is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims {
    /// All members, registered ones too.
    document: Document,
    expires: MaybeDate,
    not_before: MaybeDate,
    issued_at: MaybeDate,
}

/// A date or none, in eight octets: every token that is remembered has three.
#[derive(Debug, Clone, Copy, PartialEq)]
struct MaybeDate(i64);

impl Claims {
    /// Parses a payload strictly: duplicate members at any depth, a `crit` member, `null` or a wrong type in
    /// a registered claim, and numbers that are no date (negative, beyond 2^53, not finite) are refused, also
    /// where nobody asks for the claim (RFC 8725 section 3.2; threats J13).
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let document = json::document(payload, PAYLOAD).map_err(|_| Malformed::Claims)?;
        let (mut expires, mut not_before, mut issued_at) = Default::default();
        let mut all_fit = true;
        for (name, value) in document.members() {
            let fits = match name {
                "iss" | "sub" | "jti" => value.as_text().is_some(),
                "aud" => is_audience(value),
                "exp" => keep(&mut expires, date(value, f64::floor)),
                "nbf" => keep(&mut not_before, date(value, f64::ceil)),
                "iat" => keep(&mut issued_at, date(value, f64::floor)),
                // A header member; among the claims somebody means something by it that nobody here does.
                "crit" => return Err(Malformed::Claims),
                _ => true,
            };
            all_fit &= fits;
        }
        if all_fit {
            Ok(Self { document, expires, not_before, issued_at })
        } else {
            Err(Malformed::ClaimType)
        }
    }

    /// All members, registered ones too.
    pub fn members(&self) -> Members<'_> {
        self.document.members()
    }

    /// `iss`: exactly one string.
    pub fn issuer(&self) -> Option<&str> {
        self.text_of("iss")
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.text_of("sub")
    }

    /// `exp`, fractions dropped.
    pub fn expires(&self) -> Option<NumericDate> {
        self.expires.get()
    }

    /// `nbf`, fractions rounded up.
    pub fn not_before(&self) -> Option<NumericDate> {
        self.not_before.get()
    }

    /// `iat`, fractions dropped.
    pub fn issued_at(&self) -> Option<NumericDate> {
        self.issued_at.get()
    }

    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.text_of("jti")
    }

    /// `aud`: a string or an array of strings; empty when absent.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self.document.get("aud") {
            Some(Value::Text(text)) => (Some(text), None),
            Some(Value::Array(values)) => (None, Some(values)),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_text))
    }

    /// Where `text`, borrowed from these claims, stands in them: what [`Claims::text`] takes.
    pub fn span(&self, text: &str) -> Option<Span> {
        self.document.span(text)
    }

    /// The text that stands there.
    pub fn text(&self, span: Span) -> &str {
        self.document.text(span)
    }

    /// All of them, as they are kept: the same for two tokens that say the same in the same words.
    pub fn as_kept(&self) -> &str {
        self.document.as_kept()
    }

    /// About how many octets of memory these claims hold, themselves not included: what a bounded cache counts.
    pub fn footprint(&self) -> usize {
        self.document.footprint()
    }

    fn text_of(&self, name: &str) -> Option<&str> {
        self.document.get(name).and_then(Value::as_text)
    }
}

/// A string, or a flat array of strings (RFC 7519 section 4.1.3).
fn is_audience(value: Value<'_>) -> bool {
    match value {
        Value::Text(_) => true,
        Value::Array(mut values) => values.all(|value| value.as_text().is_some()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

impl MaybeDate {
    /// None: no date that is read is negative.
    const NONE: Self = Self(-1);

    fn get(self) -> Option<NumericDate> {
        (self != Self::NONE).then_some(NumericDate(self.0))
    }
}

impl Default for MaybeDate {
    fn default() -> Self {
        Self::NONE
    }
}

/// Keeps a date where there is one; whether there is.
fn keep(place: &mut MaybeDate, date: Option<NumericDate>) -> bool {
    *place = date.map_or(MaybeDate::NONE, |NumericDate(seconds)| MaybeDate(seconds));
    date.is_some()
}

/// RFC 7519 section 2 allows fractions. Past 2^53 a double does not hold every second any more, and two
/// parsers may read different dates.
fn date(value: Value<'_>, whole: fn(f64) -> f64) -> Option<NumericDate> {
    match value {
        Value::Number(Numeral::Natural(number)) => {
            i64::try_from(number).ok().filter(|seconds| *seconds <= LATEST).map(NumericDate)
        }
        Value::Number(Numeral::Float(number)) => {
            (0.0..=LATEST as f64).contains(&number).then(|| NumericDate(whole(number) as i64))
        }
        Value::Number(Numeral::Negative(_))
        | Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Array(_)
        | Value::Object(_) => None,
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
    pub fn find<'c>(&self, members: Members<'c>) -> Option<Value<'c>> {
        self.find_all(members).next()
    }

    /// Every value that is present, in order.
    pub fn find_all<'c>(&self, members: Members<'c>) -> impl Iterator<Item = Value<'c>> {
        self.0.iter().filter_map(move |place| place.find(members))
    }
}

impl Place {
    /// As written.
    pub fn written(&self) -> &str {
        match self {
            Self::Name(name) | Self::Pointer(name) => name,
        }
    }

    fn parse(place: &str) -> Option<Self> {
        if !place.starts_with('/') {
            return (!place.is_empty()).then(|| Self::Name(place.into()));
        }
        let broken = place.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
        (!broken).then(|| Self::Pointer(place.into()))
    }

    fn find<'c>(&self, members: Members<'c>) -> Option<Value<'c>> {
        match self {
            Self::Name(name) => members.get(name),
            Self::Pointer(pointer) => {
                let mut tokens = pointer.strip_prefix('/')?.split('/').map(unescape);
                let first = members.get(&tokens.next()?)?;
                tokens.try_fold(first, |value, token| match value {
                    Value::Object(members) => members.get(&token),
                    Value::Array(mut values) => values.nth(array_index(&token)?),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => None,
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
