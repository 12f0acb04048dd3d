//! A strict JSON object in one piece of memory, from which values are read on demand and texts are borrowed.
//!
//! A claims set is kept for as long as its token is remembered, by the thousand, and hardly ever looked at: a tree of
//! maps and strings would weigh several times what was sent, in a dozen allocations. Why not the JSON text itself:
//! then every look would have to parse again what was parsed, escapes, numbers and all.
//!
//! The values stand one after another in the order sent. Each begins with an octet that says what it is:
//!
//! ```text
//! 0x40 + n              a text of n < 64 octets, which follow
//! LONG   length         a longer text: length in groups of six bits, octets
//! NULL FALSE TRUE
//! NATURAL NEGATIVE FLOAT  in groups of six bits: the number, its complement, its bits
//! ARRAY OBJECT extent   four groups of six bits, and so many octets of elements, or of names and values in turn
//! ```
//!
//! Groups hold the lowest bits first; 0x40 is added to each but the last, where the count is not fixed. No octet of the
//! structure is above 0x7f: the whole is a `str`, and a text within it a slice that needs no second look. The outermost
//! object is its members alone.

pub(in crate::token) mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use serde_json::Map;

/// One strict JSON object.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Document(pub(in crate::token::json) Box<str>);

/// A value in a [`Document`].
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the kinds of RFC 8259 section 3")]
pub enum Value<'d> {
    Null,
    Bool(bool),
    Number(Numeral),
    Text(&'d str),
    Array(Elements<'d>),
    Object(Members<'d>),
}

/// A number in a [`Document`], as the parser told integers from others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numeral {
    /// An integer that is not negative.
    Natural(u64),
    /// A negative integer.
    Negative(i64),
    /// Any other; finite.
    Float(f64),
}

/// The elements of an array, in order.
#[derive(Clone, Copy)]
pub struct Elements<'d>(Cursor<&'d str>);

/// The members of an object, in order.
#[derive(Clone, Copy)]
pub struct Members<'d>(Cursor<&'d str>);

/// Where in a document a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// One octet at least stands before every text.
    start: NonZeroU32,
    length: u32,
}

impl Document {
    /// The outermost members.
    pub fn members(&self) -> Members<'_> {
        Members(Cursor { within: &self.0, at: 0 })
    }

    /// The value of an outermost member.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.members().get(name)
    }

    /// As it is kept: the same for documents of the same members in the same order.
    pub fn as_kept(&self) -> &str {
        &self.0
    }

    /// Octets of memory it keeps, itself not included.
    pub fn footprint(&self) -> usize {
        self.0.len()
    }

    /// Where `text`, borrowed from this document, stands in it; `None` of a text from elsewhere.
    pub fn span(&self, text: &str) -> Option<Span> {
        let start = (text.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize)?;
        let within = start.checked_add(text.len()).is_some_and(|end| end <= self.0.len());
        let start = within.then_some(u32::try_from(start).ok()).flatten().and_then(NonZeroU32::new)?;
        Some(Span { start, length: u32::try_from(text.len()).ok()? })
    }

    /// The text that stands there. A span of another document gives a text of this one, or none.
    pub fn text(&self, span: Span) -> &str {
        let start = span.start.get() as usize;
        self.0.get(start..start + span.length as usize).unwrap_or_default()
    }
}

#[cfg(test)]
impl Document {
    /// What is read of the text of `members`.
    #[track_caller]
    pub(crate) fn of(members: &serde_json::Value) -> Self {
        let wide = crate::token::json::Bounds { depth: 32, members: 64, elements: 1024 };
        crate::token::json::document(members.to_string().as_bytes(), wide).expect("an object")
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.members().fmt(f)
    }
}

impl<'d> Value<'d> {
    /// The text, of a text.
    pub fn as_text(self) -> Option<&'d str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

/// As a tree of its own.
impl From<Value<'_>> for serde_json::Value {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Number(Numeral::Natural(number)) => Self::from(number),
            Value::Number(Numeral::Negative(number)) => Self::from(number),
            Value::Number(Numeral::Float(number)) => Self::from(number),
            Value::Text(text) => Self::from(text),
            Value::Array(elements) => Self::Array(elements.map(Self::from).collect()),
            Value::Object(members) => Self::Object(members.into()),
        }
    }
}

impl From<Members<'_>> for Map<String, serde_json::Value> {
    fn from(members: Members<'_>) -> Self {
        members.map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

impl<'d> Members<'d> {
    /// The value of this name.
    pub fn get(mut self, name: &str) -> Option<Value<'d>> {
        self.0.find(name).then(|| self.0.value()).flatten()
    }

    /// Whether there is a member of this name.
    pub fn has(mut self, name: &str) -> bool {
        self.0.find(name)
    }
}

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Value<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.name()?, self.0.value()?))
    }
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(*self).finish()
    }
}

impl Elements<'_> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_at_end()
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        self.0.value()
    }

    fn nth(&mut self, count: usize) -> Option<Value<'d>> {
        for _ in 0..count {
            if self.0.is_at_end() {
                return None;
            }
            self.0.skip();
        }
        self.next()
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// A place between two values, of a document or of octets that are to become one. Past the last there is nothing.
#[derive(Clone, Copy)]
struct Cursor<S> {
    /// As far as the object or array extends.
    within: S,
    at: usize,
}

impl<S: AsRef<[u8]>> Cursor<S> {
    fn is_at_end(&self) -> bool {
        self.at >= self.within.as_ref().len()
    }

    fn octet(&mut self) -> Option<u8> {
        let octet = self.within.as_ref().get(self.at).copied()?;
        self.at += 1;
        Some(octet)
    }

    /// A number in groups, of which the last one says so.
    fn groups(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let octet = self.octet()?;
            number |= u64::from(octet & LAST).checked_shl(shift)?;
            if octet & MORE == 0 {
                return Some(number);
            }
            shift += GROUP;
        }
    }

    fn extent(&mut self) -> Option<usize> {
        let octets = self.within.as_ref().get(self.at..self.at + EXTENT)?;
        self.at += EXTENT;
        Some(octets.iter().rev().fold(0, |extent, octet| extent << GROUP | usize::from(*octet & LAST)))
    }

    /// Octets of the text that begins with `first`, if it is one.
    fn length(&mut self, first: u8) -> Option<usize> {
        match first {
            SHORT.. => Some(usize::from(first & LAST)),
            LONG => self.groups().and_then(|length| usize::try_from(length).ok()),
            _ => None,
        }
    }

    /// Where the octets of the text are that stands here; goes past it.
    fn text(&mut self) -> Option<Range<usize>> {
        let first = self.octet()?;
        let length = self.length(first)?;
        self.past(length)
    }

    fn past(&mut self, length: usize) -> Option<Range<usize>> {
        let range = self.at..self.at.checked_add(length)?;
        self.at = range.end;
        Some(range)
    }

    fn skip(&mut self) {
        let octets = match self.octet() {
            Some(first @ (SHORT.. | LONG)) => self.length(first),
            Some(NATURAL | NEGATIVE | FLOAT) => self.groups().map(|_| 0),
            Some(ARRAY | OBJECT) => self.extent(),
            Some(_) | None => None,
        };
        self.at = self.at.saturating_add(octets.unwrap_or_default());
    }

    /// Goes to the value of the member of this name. Nearly all names and most values are short texts.
    fn find(&mut self, name: &str) -> bool {
        while let Some(first) = self.peek() {
            let here = match first {
                SHORT.. => self.at + 1..self.at + 1 + usize::from(first & LAST),
                _ => match self.text() {
                    Some(here) => here,
                    None => return false,
                },
            };
            self.at = here.end;
            if here.len() == name.len() && self.within.as_ref().get(here) == Some(name.as_bytes()) {
                return true;
            }
            match self.peek() {
                Some(first @ SHORT..) => self.at += 1 + usize::from(first & LAST),
                Some(_) | None => self.skip(),
            }
        }
        false
    }

    fn peek(&self) -> Option<u8> {
        self.within.as_ref().get(self.at).copied()
    }
}

impl<'d> Cursor<&'d str> {
    fn name(&mut self) -> Option<&'d str> {
        let range = self.text()?;
        self.within.get(range)
    }

    fn value(&mut self) -> Option<Value<'d>> {
        let first = self.octet()?;
        Some(match first {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NATURAL => Value::Number(Numeral::Natural(self.groups()?)),
            NEGATIVE => Value::Number(Numeral::Negative(!self.groups()?.cast_signed())),
            FLOAT => Value::Number(Numeral::Float(f64::from_bits(self.groups()?))),
            ARRAY => Value::Array(Elements(self.inside()?)),
            OBJECT => Value::Object(Members(self.inside()?)),
            _ => {
                let length = self.length(first)?;
                let range = self.past(length)?;
                Value::Text(self.within.get(range)?)
            }
        })
    }

    /// The inside of the array or object that stands here; goes past it.
    fn inside(&mut self) -> Option<Self> {
        let extent = self.extent()?;
        let range = self.past(extent)?;
        Some(Self { within: self.within.get(..range.end)?, at: range.start })
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NATURAL: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const LONG: u8 = 6;
const ARRAY: u8 = 7;
const OBJECT: u8 = 8;

/// A short text, and its length in the lower bits.
const SHORT: u8 = 0x40;

/// Bits of a group.
const GROUP: u32 = 6;

/// The bits of a group.
const LAST: u8 = 0x3f;

/// Another group follows.
const MORE: u8 = 0x40;

/// Groups of an extent.
const EXTENT: usize = 4;
