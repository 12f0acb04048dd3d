//! Strict JSON (RFC 8259) for what an attacker may write: duplicate members refused at every depth after
//! unescaping, depth and sizes bounded, no lone surrogates, numbers finite.
//!
//! Why not `serde_json::Value` directly: it lets the last of two equal members win, so that a gateway and the
//! service behind it may read different claims from the same octets (RFC 8725 section 2.4).

pub mod document;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::token::json::document::writer::{Open, Writer};
use crate::token::json::document::{Document, Numeral};

/// Why a text is not the one JSON object it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say all")]
pub enum JsonError {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not a JSON object")]
    NotAnObject,
    #[error("member {0:?} stands twice")]
    DuplicateMember(Box<str>),
    #[error("nested deeper than the limit")]
    TooDeep,
    #[error("more members than the limit")]
    TooManyMembers,
    #[error("more array elements than the limit")]
    TooManyElements,
    #[error("larger than a document may be")]
    TooLarge,
    #[error("not JSON")]
    Syntax,
}

/// Bounds on a document's shape (threats J18): it is refused beyond them.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Nesting of objects and arrays, the outermost counted as 1. Past 127 the parser's own limit applies.
    pub depth: usize,
    /// Members of any one object.
    pub members: usize,
    /// Elements of any one array.
    pub elements: usize,
}

/// A member's value, for those who need no more than its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member<'t> {
    /// A string, unescaped.
    Text(Cow<'t, str>),
    /// Anything else, `null` included. It was read as strictly as the rest.
    Other,
}

/// Parses `text` as one strict JSON object with nothing after it.
pub fn document(text: &[u8], bounds: Bounds) -> Result<Document, JsonError> {
    let failure = RefCell::new(None);
    let mut writer = Writer::new(text.len());
    let context = Context { bounds, depth: 0, failure: &failure };
    read(text, &failure, Keep { context, writer: &mut writer })?;
    writer.finish().ok_or(JsonError::TooLarge)
}

/// Parses `text` as [`document()`] does, into a tree.
pub fn object(text: &[u8], bounds: Bounds) -> Result<Map<String, Value>, JsonError> {
    document(text, bounds).map(|document| document.members().into())
}

/// Reads `text` as [`document()`] does, and as strictly, but builds nothing: `each` sees the outermost members in
/// order, before it is known whether what follows them is well-formed.
pub fn members<'t>(
    text: &'t [u8],
    bounds: Bounds,
    mut each: impl FnMut(&str, Member<'t>),
) -> Result<(), JsonError> {
    let failure = RefCell::new(None);
    let context = Context { bounds, depth: 0, failure: &failure };
    read(text, &failure, Skim { context, each: &mut each }).map(drop)
}

fn read<'t, S: DeserializeSeed<'t>>(
    text: &'t [u8],
    failure: &RefCell<Option<JsonError>>,
    seed: S,
) -> Result<S::Value, JsonError> {
    let text = str::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(JsonError::NotAnObject);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|_| failure.take().unwrap_or(JsonError::Syntax))
}

/// Where in a document a visitor stands, and where it says why it stopped: serde's errors carry text only.
#[derive(Clone, Copy)]
struct Context<'c> {
    bounds: Bounds,
    depth: usize,
    failure: &'c RefCell<Option<JsonError>>,
}

impl Context<'_> {
    fn fail<E: Error>(self, why: JsonError) -> E {
        *self.failure.borrow_mut() = Some(why);
        E::custom("refused")
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == self.bounds.depth {
            return Err(self.fail(JsonError::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Checks the count of members or elements read so far, before one more is taken.
    fn room<E: Error>(self, count: usize, limit: usize, why: JsonError) -> Result<(), E> {
        if count == limit { Err(self.fail(why)) } else { Ok(()) }
    }

    fn twice<E: Error>(self, name: &str) -> E {
        // The name is the sender's: what is kept of it for a log is short.
        self.fail(JsonError::DuplicateMember(name.chars().take(NAME_SHOWN).collect()))
    }
}

/// Writes what is read into a document.
struct Keep<'c> {
    context: Context<'c>,
    writer: &'c mut Writer,
}

impl<'t> DeserializeSeed<'t> for Keep<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.writer.null();
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.writer.flag(value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.writer.number(u64::try_from(value).map_or(Numeral::Negative(value), Numeral::Natural));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.writer.number(Numeral::Natural(value));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(self.context.fail(JsonError::Syntax));
        }
        self.writer.number(Numeral::Float(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.writer.text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut from: A) -> Result<(), A::Error> {
        let Self { context, writer } = self;
        let context = context.deeper()?;
        let array = writer.open_array();
        let mut count = 0;
        while from.next_element_seed(Keep { context, writer })?.is_some() {
            context.room(count, context.bounds.elements, JsonError::TooManyElements)?;
            count += 1;
        }
        if writer.close(array) { Ok(()) } else { Err(context.fail(JsonError::TooLarge)) }
    }

    fn visit_map<A: MapAccess<'t>>(self, mut from: A) -> Result<(), A::Error> {
        let Self { context, writer } = self;
        let outermost = context.depth == 0;
        let context = context.deeper()?;
        let mut object = if outermost { writer.outermost() } else { writer.open_object() };
        let mut count = 0;
        while from.next_key_seed(KeepName { context, writer, object: &mut object, count })?.is_some() {
            from.next_value_seed(Keep { context, writer })?;
            count += 1;
        }
        if outermost || writer.close(object) { Ok(()) } else { Err(context.fail(JsonError::TooLarge)) }
    }
}

/// Writes a member's name into a document.
struct KeepName<'c> {
    context: Context<'c>,
    writer: &'c mut Writer,
    object: &'c mut Open,
    /// Members before.
    count: usize,
}

impl<'t> DeserializeSeed<'t> for KeepName<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for KeepName<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        let Self { context, writer, object, count } = self;
        context.room(count, context.bounds.members, JsonError::TooManyMembers)?;
        if writer.name(object, name) { Ok(()) } else { Err(context.twice(name)) }
    }
}

/// Checks without building.
struct Skim<'c, 't> {
    context: Context<'c>,
    each: &'c mut dyn FnMut(&str, Member<'t>),
}

impl<'t> DeserializeSeed<'t> for Skim<'_, 't> {
    type Value = Member<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Member<'t>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Skim<'_, 't> {
    type Value = Member<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Member<'t>, E> {
        Ok(Member::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Member<'t>, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Member<'t>, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Member<'t>, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Member<'t>, E> {
        Ok(Member::Other)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'t str) -> Result<Member<'t>, E> {
        Ok(Member::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Member<'t>, E> {
        Ok(Member::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut from: A) -> Result<Member<'t>, A::Error> {
        let context = self.context.deeper()?;
        let mut count = 0;
        while from.next_element_seed(Skim { context, each: &mut |_, _| {} })?.is_some() {
            context.room(count, context.bounds.elements, JsonError::TooManyElements)?;
            count += 1;
        }
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut from: A) -> Result<Member<'t>, A::Error> {
        let context = self.context.deeper()?;
        // Compared one by one: the bound on members keeps this cheap, and a header has three of them.
        let mut names: SmallVec<[Cow<'t, str>; 8]> = SmallVec::new();
        while let Some(name) = from.next_key_seed(Name)? {
            context.room(names.len(), context.bounds.members, JsonError::TooManyMembers)?;
            if names.contains(&name) {
                return Err(context.twice(&name));
            }
            let value = from.next_value_seed(Skim { context, each: &mut |_, _| {} })?;
            (self.each)(&name, value);
            names.push(name);
        }
        Ok(Member::Other)
    }
}

/// A member's name, borrowed where nothing was escaped.
struct Name;

impl<'t> DeserializeSeed<'t> for Name {
    type Value = Cow<'t, str>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Cow<'t, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Name {
    type Value = Cow<'t, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'t str) -> Result<Cow<'t, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cow<'t, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Characters of a repeated member's name that an error shows.
const NAME_SHOWN: usize = 64;
