//! A JSON object's members, in order and as they stand: for what is written again with a change to one of them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in order, each once, their values as they stand.
pub(in crate::graphql) struct Members<'t>(pub(in crate::graphql) Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Ordered)
    }
}

struct Ordered;

impl<'t> Visitor<'t> for Ordered {
    type Value = Members<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Members<'t>, A::Error> {
        let (mut members, mut names) = (Vec::new(), HashSet::new());
        while let Some((Text(name), value)) = map.next_entry()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a member stands twice"));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// A text, borrowed where nothing in it is escaped.
pub(in crate::graphql) struct Text<'t>(pub(in crate::graphql) Cow<'t, str>);

impl<'t> Deserialize<'t> for Text<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'t> Visitor<'t> for Borrowing {
            type Value = Text<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'t str) -> Result<Text<'t>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'t>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}
