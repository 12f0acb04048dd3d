//! Entries in JSON: one, or a list of them. Each that is wrong is told by its number.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::revocation::Entry;
use crate::revocation::written::presented::{self, Verify};
use crate::revocation::written::{FORM, Fault, Vocabulary, Written};

/// An entry in JSON. A member that is unknown, or stands twice, is an error.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[expect(missing_docs, reason = "the keys of an entry")]
pub struct Json<'a> {
    #[serde(borrow)]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub issuer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub claim: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub value: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "date")]
    pub not_before: Option<i64>,
    #[serde(default, deserialize_with = "date")]
    pub expires: Option<i64>,
    pub reason: Option<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    /// From an object alone: what is derived would also take a list for the members in their order.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Json<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Json<'de>, A::Error> {
                Json::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Json<'_> {
    /// As it is read.
    pub fn written(&self) -> Written<'_> {
        Written {
            kind: self.kind.as_deref(),
            issuer: self.issuer.as_deref(),
            claim: self.claim.as_deref(),
            value: self.value.as_deref(),
            not_before: self.not_before,
            expires: self.expires,
            reason: self.reason.as_deref(),
        }
    }
}

/// A whole number, however it is written: to JSON `7.0` is one too.
pub(in crate::revocation::written) fn date<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "whole, and of at most 53 bits")]
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64);
    let read = number.as_i64().or_else(|| number.as_f64().and_then(whole));
    read.map(Some).ok_or_else(|| D::Error::custom("a whole number is expected"))
}

/// Why octets are no entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// They are not JSON at all, or neither an object nor a list. What is expected.
    NotJson(&'static str),
    /// There are so many.
    TooMany(usize),
    /// What is wrong with which entries, counted from 1, and what to do.
    Faults(Vec<String>),
}

/// One thing that is wrong with an entry in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What; never the octets of a value.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.what, self.hint)
    }
}

/// Reads the one entry on a line, of at most [`LINE`] octets.
pub fn line(octets: &[u8], words: &Vocabulary<'_>) -> Result<Entry, Vec<Why>> {
    let why = |what: String| Err(vec![Why { what, hint: format!("a line is {FORM} in JSON") }]);
    if octets.len() > LINE {
        return why(format!("a line of more than {LINE} octets"));
    }
    match serde_json::from_slice(octets) {
        Ok(entry) => one(entry, words),
        Err(_) => why("this is not JSON".to_owned()),
    }
}

/// Reads one entry or a list of them, all or none. What holds out a token is made entries of by `verify`; with those
/// there are at most `most`.
pub fn read(
    octets: &[u8],
    most: usize,
    words: &Vocabulary<'_>,
    verify: &Verify<'_>,
) -> Result<Vec<Entry>, Unread> {
    let list: Vec<&RawValue> = match octets.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(octets),
        Some(b'{') => serde_json::from_slice(octets).map(|one| vec![one]),
        Some(_) | None => return Err(Unread::NotJson(EXPECTED)),
    }
    .map_err(|_| Unread::NotJson(EXPECTED))?;
    if list.len() > most {
        return Err(Unread::TooMany(list.len()));
    }
    let (mut entries, mut faults) = (Vec::with_capacity(list.len()), Vec::new());
    for (number, entry) in (1..).zip(list) {
        match presented::entries(number, entry.get(), verify) {
            Some(Ok(made)) => {
                entries.extend(made);
                continue;
            }
            Some(Err(why)) => {
                faults.push(format!("entry {number}: {why}"));
                continue;
            }
            None => {}
        }
        match one(entry, words) {
            Ok(entry) => entries.push(entry),
            Err(whys) => faults.extend(whys.into_iter().map(|why| format!("entry {number}: {why}"))),
        }
    }
    if !faults.is_empty() {
        return Err(Unread::Faults(faults));
    }
    if entries.len() > most { Err(Unread::TooMany(entries.len())) } else { Ok(entries) }
}

fn one(entry: &RawValue, words: &Vocabulary<'_>) -> Result<Entry, Vec<Why>> {
    let form = |what: String| vec![Why { what, hint: format!("an entry is {FORM}") }];
    if !entry.get().starts_with('{') {
        return Err(form("an object is expected".to_owned()));
    }
    let json: Json<'_> = serde_json::from_str(entry.get()).map_err(|error| form(what(&error.to_string())))?;
    let faults = match words.read(&json.written()) {
        Ok(entry) => return Ok(entry),
        Err(faults) => faults,
    };
    Err(faults.into_iter().map(|Fault { what, hint, .. }| Why { what, hint }).collect())
}

/// The parser's words, where they name a member, and no more: of a value it would repeat the octets. A name that is too
/// long for one is most likely a value in the wrong place.
fn what(said: &str) -> String {
    let what = said.split_once(" at line ").map_or(said, |(what, _)| what);
    if what.starts_with("unknown field") || what.starts_with("duplicate field") {
        match what.split('`').nth(1) {
            Some(name) if name.len() > NAME => "unknown field of a name longer than any".to_owned(),
            Some(_) | None => what.to_owned(),
        }
    } else {
        "a member has another type than it needs: texts are strings, times are whole numbers".to_owned()
    }
}

/// Beyond this not every whole number is one of 64 bits with a point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Octets of a member's name that is repeated: the longest that there is has ten.
const NAME: usize = 32;

/// Octets of a line: the longest issuer and reason there may be, and ten thousand more.
pub const LINE: usize = 16 * 1024;

const EXPECTED: &str = "an entry in JSON, or a list of them, is expected: \
    {\"kind\": \"jti\", \"issuer\": \"https://…\", \"value\": \"…\"}";
