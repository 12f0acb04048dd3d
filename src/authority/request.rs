//! A request to an endpoint, read once: its body by what it holds, whatever its `Content-Type` says, and single values from
//! where a [`Reader`] names them.
//!
//! Two parsers must not read different values from the same octets: a member of a JSON body, a parameter of a form and a
//! parameter of the query each stand once, or the request is none that an endpoint takes. `Authorization` is read only where a
//! reader names it: some clients send a stale token along with everything.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::config::credential::Reader;
use crate::gate::call::Call;
use crate::token::bearer::{self, Authorization};
use crate::token::json::{self, Bounds};

/// A request, with its body read.
#[derive(Clone, Copy)]
pub struct Asked<'c> {
    /// As it came.
    pub call: &'c Call,
    body: &'c Body,
}

/// A body.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing, or white space.
    Empty,
    /// A JSON object.
    Json(Map<String, Value>),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
}

/// The request cannot be read as one thing. What stands there is not told: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl Body {
    /// Reads a body by what it holds.
    pub fn read(octets: &[u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(octets).map_err(|_| Unreadable)?.trim_ascii();
        match text.as_bytes().first() {
            None => Ok(Self::Empty),
            Some(b'{') => json::object(text.as_bytes(), BODY).map(Self::Json).map_err(|_| Unreadable),
            Some(b'[' | b'"') => Err(Unreadable),
            Some(_) => form(text).map(Self::Form),
        }
    }
}

impl<'c> Asked<'c> {
    /// A request and its body.
    pub fn new(call: &'c Call, body: &'c Body) -> Self {
        Self { call, body }
    }

    /// The body.
    pub fn body(self) -> &'c Body {
        self.body
    }

    /// What stands where `reader` says; `None` where nothing does, and for `null`.
    pub fn value(self, reader: &Reader) -> Result<Option<Value>, Unreadable> {
        let text = |found: Option<String>| found.map(Value::String);
        match reader {
            Reader::Bearer => self.bearer().map(text),
            Reader::Header(name) => self.header(name).map(text),
            Reader::Cookie(name) => self.cookie(name).map(text),
            Reader::Query(name) => self.query(name).map(text),
            Reader::Path(name) => Ok(text(self.path(name))),
            Reader::Body(name) => Ok(self.member(name)),
        }
    }

    /// The same as a text that is not empty; anything but a text is unreadable.
    pub fn text(self, reader: &Reader) -> Result<Option<String>, Unreadable> {
        match self.value(reader)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) | Value::Null) => {
                Err(Unreadable)
            }
        }
    }

    /// A member of the body, or what an RFC 6901 pointer finds in it.
    pub fn member(self, name: &str) -> Option<Value> {
        let found = match self.body {
            Body::Empty => None,
            Body::Form(pairs) => {
                let name = name.strip_prefix('/').unwrap_or(name);
                pairs.iter().find(|(known, _)| known == name).map(|(_, value)| Value::String(value.clone()))
            }
            Body::Json(members) => match name.strip_prefix('/') {
                None => members.get(name).cloned(),
                Some(_) => pointed(members, name),
            },
        };
        found.filter(|value| !value.is_null())
    }

    /// The scheme and the rest of the only `Authorization` line.
    pub fn authorization(self) -> Result<Option<(&'c str, &'c str)>, Unreadable> {
        let Some(value) = self.line("authorization")? else { return Ok(None) };
        let value = std::str::from_utf8(value).map_err(|_| Unreadable)?;
        Ok(Some(value.split_once(' ').unwrap_or((value, ""))))
    }

    fn bearer(self) -> Result<Option<String>, Unreadable> {
        let Some(value) = self.line("authorization")? else { return Ok(None) };
        match bearer::parse(value) {
            Authorization::Bearer(octets) => {
                bearer::token(octets).map(|token| Some(token.to_owned())).ok_or(Unreadable)
            }
            Authorization::OtherScheme => Ok(None),
            Authorization::Malformed => Err(Unreadable),
        }
    }

    /// The value of the only line of this name, in lower case.
    pub fn header(self, name: &str) -> Result<Option<String>, Unreadable> {
        let Some(value) = self.line(name)? else { return Ok(None) };
        let value = std::str::from_utf8(value).map_err(|_| Unreadable)?.trim_ascii();
        Ok((!value.is_empty()).then(|| value.to_owned()))
    }

    fn line(self, name: &str) -> Result<Option<&'c [u8]>, Unreadable> {
        let mut lines = self.call.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let found = lines.next();
        if lines.next().is_some() {
            return Err(Unreadable);
        }
        Ok(found.map(|(_, value)| &**value))
    }

    fn cookie(self, name: &str) -> Result<Option<String>, Unreadable> {
        let mut found = None;
        let lines = self.call.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case("cookie"));
        for pair in lines.flat_map(|(_, value)| value.split(|octet| *octet == b';')) {
            let pair = std::str::from_utf8(pair).map_err(|_| Unreadable)?;
            // A cookie's name is case-sensitive (RFC 6265 section 4.1.1).
            let Some((_, value)) = pair.split_once('=').filter(|(known, _)| known.trim() == name) else {
                continue;
            };
            if found.replace(value.trim().to_owned()).is_some() {
                return Err(Unreadable);
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// A parameter of the query.
    pub fn query(self, name: &str) -> Result<Option<String>, Unreadable> {
        let query = self.call.query.as_deref().unwrap_or_default();
        let mut found = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // What others in it may be is nobody's business here, nor that they cannot be decoded.
            if decoded(key).is_ok_and(|key| key == name) && found.replace(decoded(value)?).is_some() {
                return Err(Unreadable);
            }
        }
        Ok(found)
    }

    /// A parameter of the endpoint's path, whose escapes were undone by whoever read the path.
    fn path(self, name: &str) -> Option<String> {
        let found = self.call.parameters.iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| value.to_string())
    }
}

/// Reads `application/x-www-form-urlencoded` (URL standard section 5.1), each name once (RFC 6749 section 3.1).
fn form(text: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        if pairs.len() == FORM_PAIRS || pairs.iter().any(|(known, _)| *known == name) {
            return Err(Unreadable);
        }
        pairs.push((name, decoded(value)?));
    }
    Ok(pairs)
}

/// Undoes the encoding of forms: `+` is a space, `%XX` an octet; of text, without control characters that no value has.
pub fn decoded(text: &str) -> Result<String, Unreadable> {
    if !text.is_ascii() || text.bytes().any(|octet| octet.is_ascii_control() || octet == b' ') {
        return Err(Unreadable);
    }
    let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_decoded(&text).map(Cow::into_owned)
}

/// Undoes `%XX`. What it leaves is UTF-8 without NUL.
fn percent_decoded(text: &str) -> Result<Cow<'_, str>, Unreadable> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(Unreadable)?;
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(digits[0]), digit(digits[1])) else { return Err(Unreadable) };
        octets.push(high << 4 | low);
        rest = after;
    }
    let text = String::from_utf8(octets).map_err(|_| Unreadable)?;
    if text.contains('\0') { Err(Unreadable) } else { Ok(Cow::Owned(text)) }
}

/// What an RFC 6901 pointer finds.
pub fn pointed(members: &Map<String, Value>, pointer: &str) -> Option<Value> {
    let rest = pointer.strip_prefix('/')?;
    let (first, below) = rest.split_once('/').map_or((rest, None), |(first, below)| (first, Some(below)));
    let value = members.get(&first.replace("~1", "/").replace("~0", "~"))?;
    match below {
        None => Some(value.clone()),
        Some(below) => value.pointer(&format!("/{below}")).cloned(),
    }
}

/// Bounds of a JSON body (threats J18). Its length is bounded by whoever read it.
const BODY: Bounds = Bounds { depth: 32, members: 256, elements: 1024 };

/// Parameters of a form.
const FORM_PAIRS: usize = 64;
