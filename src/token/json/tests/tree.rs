//! The plain way to read strictly, as the oracle: a tree of serde_json's own values, each name and text a `String`.

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::super::*;

/// Parses `text` as one strict JSON object with nothing after it.
pub(super) fn object(text: &[u8], bounds: Bounds) -> Result<Map<String, Value>, JsonError> {
    let failure = RefCell::new(None);
    match read(text, &failure, Build { context: Context { bounds, depth: 0, failure: &failure } })? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::NotAnObject)
        }
    }
}

struct Build<'c> {
    context: Context<'c>,
}

impl<'t> DeserializeSeed<'t> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.context.fail(JsonError::Syntax))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut from: A) -> Result<Value, A::Error> {
        let context = self.context.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = from.next_element_seed(Build { context })? {
            context.room(elements.len(), context.bounds.elements, JsonError::TooManyElements)?;
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut from: A) -> Result<Value, A::Error> {
        let context = self.context.deeper()?;
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            context.room(members.len(), context.bounds.members, JsonError::TooManyMembers)?;
            // One search of the tree tells whether the name is there and where it belongs.
            match members.entry(name) {
                Entry::Occupied(there) => return Err(context.twice(there.key())),
                Entry::Vacant(place) => place.insert(from.next_value_seed(Build { context })?),
            };
        }
        Ok(Value::Object(members))
    }
}
