//! JSON Schema (draft 2020-12) of the file, for editors and for generators of configurations.
//!
//! Made from [`crate::config::shape::table`], which the decoder reads too: a key that one knows, the other
//! knows. The schema describes the grammar alone; what needs the whole file (dangling names, tying routes) only
//! the decoder sees.

use serde_json::{Map, Value, json};

use crate::config::shape::table::{ENVIRONMENT, FILE};
use crate::config::shape::{Absent, Given, Key, Mapping, Takes, Text};
use crate::config::units::{write_duration, write_size};

/// The schema of a configuration file (`portcullis schema`).
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    define(&ENVIRONMENT, &mut definitions);
    define(&FILE, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Portcullis configuration",
        "$ref": "#/$defs/file",
        "$defs": definitions,
    })
}

/// Adds a mapping and every mapping in it.
fn define(mapping: &'static Mapping, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(mapping.id) {
        return;
    }
    definitions.insert(mapping.id.to_owned(), Value::Null);
    let properties: Map<String, Value> =
        mapping.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        mapping.keys.iter().filter(|key| matches!(key.absent, Absent::Refused)).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": mapping.name,
        "properties": properties,
        "required": required,
        "additionalProperties": mapping.is_open(),
    });
    if required.is_empty()
        && !mapping.keys.is_empty()
        && mapping.keys.iter().all(|key| matches!(key.absent, Absent::Means(_)))
    {
        // Mappings of which every key is optional say one thing at least.
        schema["minProperties"] = json!(1);
    }
    definitions.insert(mapping.id.to_owned(), schema);
    for inner in mapping.keys.iter().flat_map(|key| key.takes.mappings()) {
        define(inner, definitions);
    }
}

fn property(key: &Key) -> Value {
    let mut schema = takes(key.takes);
    let description = match key.absent {
        Absent::Means(means) => format!("{} Without it: {means}.", key.what),
        Absent::Refused | Absent::Is(_) => key.what.to_owned(),
    };
    schema["description"] = json!(description);
    if let Absent::Is(given) = key.absent {
        schema["default"] = default(given);
    }
    schema
}

fn takes(what: Takes) -> Value {
    match what {
        Takes::Flag => scalar(json!({"type": "boolean"})),
        Takes::Whole(min, max) => scalar(json!({"type": "integer", "minimum": min, "maximum": max})),
        Takes::Duration(..) => scalar(json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"})),
        Takes::Size(..) => scalar(json!({"type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$"})),
        Takes::Word { now, .. } => scalar(json!({"enum": now})),
        Takes::Text(kind) => scalar(text(kind)),
        Takes::Secret(mapping) | Takes::Fields(mapping) => reference(mapping),
        Takes::Short(short, mapping) => any_of(vec![takes(*short), reference(mapping)]),
        Takes::Some(one) => {
            any_of(vec![takes(*one), json!({"type": "array", "items": takes(*one), "minItems": 1})])
        }
        Takes::Any(one) => any_of(vec![takes(*one), json!({"type": "array", "items": takes(*one)})]),
        Takes::Named(names, one) => json!({
            "type": "object",
            "propertyNames": text(names),
            "additionalProperties": takes(*one),
            "minProperties": u8::from(names == Text::RouteKey),
        }),
        Takes::Either(all) => any_of(all.iter().map(|one| takes(*one)).collect()),
        Takes::Json => json!({"type": "object"}),
        Takes::Template => json!({}),
        Takes::Span(..) => scalar(json!({"type": ["string", "integer"]})),
    }
}

/// A scalar where a word is expected is taken as written, so that a number or a boolean will do.
fn text(kind: Text) -> Value {
    match kind.pattern() {
        Some(pattern) => json!({"type": ["string", "number", "boolean"], "pattern": pattern}),
        None => json!({"type": ["string", "number", "boolean"]}),
    }
}

/// A scalar, or `{env: NAME, default: value}` for one.
fn scalar(schema: Value) -> Value {
    any_of(vec![schema, reference(&ENVIRONMENT)])
}

/// One of these; nested choices are made one.
fn any_of(choices: Vec<Value>) -> Value {
    let mut flat: Vec<Value> = Vec::new();
    for choice in choices {
        match choice.get("anyOf").and_then(Value::as_array) {
            Some(inner) => inner.iter().for_each(|one| add(&mut flat, one)),
            None => add(&mut flat, &choice),
        }
    }
    json!({"anyOf": flat})
}

fn add(choices: &mut Vec<Value>, choice: &Value) {
    if !choices.contains(choice) {
        choices.push(choice.clone());
    }
}

fn reference(mapping: &Mapping) -> Value {
    json!({"$ref": format!("#/$defs/{}", mapping.id)})
}

/// A default as the file would write it.
pub(crate) fn default(given: Given) -> Value {
    match given {
        Given::Flag(flag) => json!(flag),
        Given::Whole(number) => json!(number),
        Given::Duration(duration) => json!(write_duration(duration)),
        Given::Size(octets) => json!(write_size(octets)),
        Given::Word(word) => json!(word),
        Given::Words(words) => json!(words),
    }
}
