//! The JSON Schema accepts what the decoder accepts, and knows no other key.

use regex::Regex;
use serde_json::{Value, json};

use super::examples::EXAMPLES;
use super::reference::{REFERENCE, everything, mappings};
use super::{file, issuer, read, route};
use crate::config::raw;
use crate::config::schema::json_schema;

/// Whether an instance is valid, by the keywords that our schema uses; any other keyword fails the test. The
/// validators that exist are larger than this whole crate.
fn valid(root: &Value, schema: &Value, instance: &Value) -> bool {
    let members = schema.as_object().expect("a schema is an object");
    members.iter().all(|(keyword, value)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        "$ref" => {
            let pointer =
                value.as_str().and_then(|reference| reference.strip_prefix('#')).expect("a local reference");
            valid(root, root.pointer(pointer).expect("a definition"), instance)
        }
        "anyOf" => list(value).iter().any(|one| valid(root, one, instance)),
        "enum" => list(value).contains(instance),
        "type" => {
            let types = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            types.iter().any(|one| has_type(one, instance))
        }
        "pattern" => instance.as_str().is_none_or(|text| {
            Regex::new(value.as_str().expect("a pattern")).expect("a regular expression").is_match(text)
        }),
        "minimum" => instance.as_u64().is_none_or(|number| number >= value.as_u64().expect("a bound")),
        "maximum" => instance.as_u64().is_none_or(|number| number <= value.as_u64().expect("a bound")),
        "items" => instance.as_array().is_none_or(|items| items.iter().all(|item| valid(root, value, item))),
        "minItems" => {
            instance.as_array().is_none_or(|items| items.len() as u64 >= value.as_u64().expect("a bound"))
        }
        "minProperties" => instance
            .as_object()
            .is_none_or(|members| members.len() as u64 >= value.as_u64().expect("a bound")),
        "required" => instance.as_object().is_none_or(|members| {
            list(value).iter().all(|name| members.contains_key(name.as_str().expect("a name")))
        }),
        "properties" => instance.as_object().is_none_or(|members| {
            members.iter().all(|(name, member)| value.get(name).is_none_or(|one| valid(root, one, member)))
        }),
        "propertyNames" => instance
            .as_object()
            .is_none_or(|members| members.keys().all(|name| valid(root, value, &json!(name)))),
        "additionalProperties" => instance.as_object().is_none_or(|members| {
            let known = schema.get("properties");
            members
                .iter()
                .filter(|(name, _)| known.is_none_or(|known| known.get(name).is_none()))
                .all(|(_, member)| value.as_bool().unwrap_or_else(|| valid(root, value, member)))
        }),
        other => panic!("the test does not know {other}"),
    })
}

fn has_type(name: &Value, instance: &Value) -> bool {
    match name.as_str() {
        Some("boolean") => instance.is_boolean(),
        Some("integer") => instance.is_u64() || instance.is_i64(),
        Some("number") => instance.is_number(),
        Some("string") => instance.is_string(),
        Some("array") => instance.is_array(),
        Some("object") => instance.is_object(),
        other => panic!("the test does not know the type {other:?}"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn accepts(text: &str) -> bool {
    let schema = json_schema();
    valid(&schema, &schema, &raw::parse(text).root.expect("a tree").to_json())
}

#[test]
fn what_the_decoder_refuses_by_its_grammar_the_schema_refuses() {
    let refused = [
        file(&[("version", "2")]),
        file(&[("version", "")]),
        file(&[("listeners", "[]")]),
        file(&[("listeners", "localhost:80")]),
        file(&[("routes", "{}")]),
        file(&[("routes", "{/x: {}}")]),
        file(&[("routes", "{/x: [a]}")]),
        file(&[("routes", "{get x: public}")]),
        file(&[("routes", "{/x: {require: {}}}")]),
        file(&[("routes", "{/x: {require: {scopes: []}}}")]),
        file(&[("upstreams", "{a: ftp://a}")]),
        file(&[("admin", "{address: 127.0.0.1:1, token: hunter2}")]),
        file(&[("shutdown_grace", "30")]),
        file(&[("shutdown_grace", "{env: A, defualt: 30s}")]),
        file(&[("limits", "{token: 8KB}")]),
        file(&[("limits", "{headers: 0}")]),
        file(&[("log", "{access: 'true'}")]),
        issuer("algorithms: [none]"),
        issuer("keys: {}"),
        issuer("keys: {jwks: {}}"),
        issuer("token_type: jwt"),
        issuer("from: {}"),
        route("enforce: off"),
        route("streams: {close: 80}"),
        route("streams: {warning: {before: 1s}}"),
        route("streams: {reauthenticate: {when: {a: b}}}"),
        route("forward: {headers: {'X Y': sub}}"),
    ];
    for text in refused {
        assert!(read(&text).is_err(), "the decoder accepts\n{text}");
        assert!(!accepts(&text), "the schema accepts\n{text}");
    }
}

#[test]
fn every_mapping_refuses_keys_it_does_not_know() {
    let schema = json_schema();
    for mapping in mappings() {
        let definition = &schema["$defs"][mapping.id];
        assert_eq!(definition["additionalProperties"], json!(mapping.is_open()), "{}", mapping.id);
        let properties = definition["properties"].as_object().expect("properties");
        assert_eq!(properties.len(), mapping.keys.len(), "{}", mapping.id);
        for later in mapping.later {
            assert!(!properties.contains_key(*later), "{} has {later}", mapping.id);
        }
    }
    for key in ["unknown", "feed", "policies"] {
        assert!(!accepts(&file(&[(key, "{}")])), "{key}");
    }
}

#[test]
fn every_example_is_valid() {
    for (name, text) in EXAMPLES {
        assert!(accepts(text), "{name}");
    }
    assert!(accepts(REFERENCE));
    assert!(accepts(&everything()));
    for (_, text) in EXAMPLES {
        assert!(accepts(&crate::config::print(&super::config(text))), "{text}");
    }
}

#[test]
fn it_says_what_it_is() {
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$defs"]["limits"]["properties"]["token"]["default"], "8KiB");
    assert_eq!(schema["$defs"]["issuer"]["required"], json!(["issuer", "audience"]));
}
