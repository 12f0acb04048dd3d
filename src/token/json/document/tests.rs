use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// What is read is what was written, in order and at each place.
#[track_caller]
fn same(value: Value<'_>, expected: &Json) {
    assert_eq!(&Json::from(value), expected);
    match (value, expected) {
        (Value::Object(members), Json::Object(expected)) => {
            assert_eq!(members.count(), expected.len());
            for (name, expected) in expected {
                assert!(members.has(name));
                same(members.get(name).expect(name), expected);
                assert_eq!(members.has(&format!("{name}x")), expected_has(members, &format!("{name}x")));
            }
        }
        (Value::Array(mut elements), Json::Array(expected)) => {
            assert_eq!(elements.is_empty(), expected.is_empty());
            for (number, expected) in expected.iter().enumerate() {
                let mut others = elements;
                same(others.nth(number).expect("an element"), expected);
            }
            assert!(elements.nth(expected.len()).is_none());
            assert!(elements.nth(usize::MAX).is_none());
        }
        (Value::Text(text), Json::String(expected)) => assert_eq!(text, expected),
        (value, expected) => assert!(value.as_text().is_none() && !expected.is_string()),
    }
}

fn expected_has(mut members: Members<'_>, name: &str) -> bool {
    members.any(|(here, _)| here == name)
}

#[test]
fn every_kind_of_value_is_kept() {
    let long = |length| "x".repeat(length);
    let members = json!({
        "null": null, "true": true, "false": false, "": "", "\u{7f}\0": "é\u{10ffff}",
        "natural": [0, 1, 63, 64, 4095, 4096, i64::MAX, u64::MAX], "negative": [-1, -64, -65, i64::MIN],
        "float": [0.5, -0.0, 1e300, 5e-324, f64::MAX, f64::MIN],
        "text": [long(1), long(63), long(64), long(4095), long(4096), long(300_000)],
        long(64): {"a": {"b": [[], {}, [{}]]}},
        "extent": [[long(60)], [long(61)], [long(62)], [long(63)], [long(5000)]],
        "last": 1
    });
    let document = Document::of(&members);
    same(Value::Object(document.members()), &members);
    assert_eq!(Document::of(&json!({})), Document::default());
    assert!(document.get("none").is_none());
}

#[test]
fn a_span_finds_its_text_again_and_no_other() {
    let document = Document::of(&json!({"sub": "alice", "empty": "", "deep": [{"x": "y"}]}));
    for text in document.members().filter_map(|(_, value)| value.as_text()) {
        let span = document.span(text).expect("a text of the document");
        assert_eq!(document.text(span), text);
        // Another document has something else there, or nothing, and no octet beyond its end.
        assert!(Document::default().text(span).is_empty());
    }
    assert_eq!(document.span("alice"), None);
    assert_eq!(document.span(&String::from("alice")), None);
}

#[test]
fn a_document_keeps_no_room_to_spare_and_is_one_text() {
    let claims =
        json!({"iss": "https://idp.test/", "aud": "api", "exp": 4_102_444_800_u32, "scope": "read write"});
    let document = Document::of(&claims);
    assert_eq!(document.footprint(), 1 + 3 + 1 + 17 + 1 + 3 + 1 + 3 + 1 + 3 + 1 + 6 + 1 + 5 + 1 + 10);
    assert!(size_of::<Document>() == 2 * size_of::<usize>() && size_of::<Option<Span>>() == 8);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,80}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,3}", inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_place_reads_as_serde_json_reads_it(members in prop::collection::btree_map(".{0,3}", any_json(), 0..12)) {
        let members = Json::Object(members.into_iter().collect());
        let expected = serde_json::from_str(&members.to_string()).expect("JSON");
        same(Value::Object(Document::of(&members).members()), &expected);
    }

    /// Whatever the octets, reading them ends.
    #[test]
    fn octets_that_no_writer_wrote_are_read_to_an_end(text in "[\0-\x7f]{0,40}", name in "[a-c]{0,2}") {
        let document = Document(text.into());
        let _ = (document.get(&name).is_some(), document.members().count(), format!("{document:?}"));
    }
}
