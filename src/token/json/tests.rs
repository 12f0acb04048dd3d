mod tree;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOUNDS: Bounds = Bounds { depth: 4, members: 3, elements: 5 };

/// All readers refuse alike.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, why: JsonError) {
    let text = text.as_ref();
    assert_eq!(object(text, BOUNDS), Err(why.clone()), "{}", text.escape_ascii());
    assert_eq!(tree::object(text, BOUNDS), Err(why.clone()), "{}", text.escape_ascii());
    assert_eq!(members(text, BOUNDS, |_, _| {}), Err(why), "{}", text.escape_ascii());
}

#[test]
fn j12_a_member_that_stands_twice_is_refused_at_every_depth() {
    let twice = |name: &str| JsonError::DuplicateMember(name.into());
    refused(r#"{"sub":"alice","sub":"admin"}"#, twice("sub"));
    refused(r#"{"sub":"alice","sub":"alice"}"#, twice("sub"));
    refused(r#"{"sub":"alice","\u0073ub":"admin"}"#, twice("sub"));
    refused(r#"{"\u0073\u0075b":"alice","s\u0075b":"admin"}"#, twice("sub"));
    refused(r#"{"":1,"":1}"#, twice(""));
    refused(r#"{"a":{"b":1,"b":2}}"#, twice("b"));
    refused(r#"{"a":[1,{"b":1,"c":2,"b":3}]}"#, twice("b"));
    refused(r#"{"a":{"\ud83d\ude00":1,"😀":2}}"#, twice("😀"));
    refused(format!(r#"{{"{0}":1,"{0}":1}}"#, "x".repeat(500)), twice(&"x".repeat(NAME_SHOWN)));
}

#[test]
fn j18_depth_members_and_elements_are_bounded() {
    refused(r#"{"a":[[[[1]]]]}"#, JsonError::TooDeep);
    refused(r#"{"a":{"a":{"a":{"a":{}}}}}"#, JsonError::TooDeep);
    refused(r#"{"a":1,"b":2,"c":3,"d":4}"#, JsonError::TooManyMembers);
    refused(r#"{"x":{"a":1,"b":2,"c":3,"d":4}}"#, JsonError::TooManyMembers);
    refused(r#"{"a":[1,2,3,4,5,6]}"#, JsonError::TooManyElements);
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    refused(&deep, JsonError::TooDeep);
    // The parser's own recursion limit stands behind ours.
    let wide = Bounds { depth: usize::MAX, members: 3, elements: 5 };
    assert_eq!(object(deep.as_bytes(), wide), Err(JsonError::Syntax));
}

#[test]
fn what_stands_at_the_bound_is_read() {
    let text = br#"{"a":[[[1]]],"b":[1,2,3,4,5],"c":{"x":1,"y":2,"z":3}}"#;
    assert_eq!(object(text, BOUNDS).map(|members| members.len()), Ok(3));
    assert_eq!(members(text, BOUNDS, |_, _| {}), Ok(()));
}

#[test]
fn j19_numbers_that_are_not_finite_are_refused() {
    for number in
        ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x1", "1e", "--1"]
    {
        refused(format!(r#"{{"exp":{number}}}"#), JsonError::Syntax);
    }
}

#[test]
fn j20_lone_surrogates_and_raw_controls_are_refused() {
    for text in [
        r#"{"sub":"\ud800"}"#,
        r#"{"sub":"\udc00"}"#,
        r#"{"sub":"\ud800x"}"#,
        r#"{"sub":"\ud800\ud800"}"#,
        r#"{"\ud800":1}"#,
        "{\"sub\":\"a\nb\"}",
        "{\"sub\":\"a\0b\"}",
        r#"{"sub":"\x41"}"#,
        r#"{"sub":"\u12"}"#,
    ] {
        refused(text, JsonError::Syntax);
    }
}

#[test]
fn anything_but_one_object_is_refused() {
    for text in ["", " ", "[]", "null", "1", "\"{}\"", "\u{feff}{}", "//\n{}", "\u{a0}{}", "x"] {
        refused(text, JsonError::NotAnObject);
    }
    for text in [
        "{",
        "{}{}",
        "{} x",
        "{},",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}\0",
        "{\"a\":[1,]}",
        "{\"a\":tru}",
        "{/**/}",
        "{\"a\":1 \"b\":2}",
        "{1:1}",
    ] {
        refused(text, JsonError::Syntax);
    }
    refused(b"{\"a\":\"\xff\"}", JsonError::NotUtf8);
    refused(b"{\"a\":\"\xc0\x80\"}", JsonError::NotUtf8);
}

#[test]
fn an_object_is_read_as_it_stands() {
    let text = br#" {"a":null,"b":[true,-1,18446744073709551615,1.5],"c":{"\u0064":"\ud83d\ude00"}} "#;
    let expected = json!({"a": null, "b": [true, -1, u64::MAX, 1.5], "c": {"d": "😀"}});
    assert_eq!(object(text, BOUNDS).map(Value::Object), Ok(expected));

    let mut seen = Vec::new();
    let text = br#"{"alg":"RS256","k\u0069d":"\u0041","x":[{}]}"#;
    assert_eq!(members(text, BOUNDS, |name, value| seen.push((name.to_owned(), value))), Ok(()));
    let expected =
        [("alg", Member::Text("RS256".into())), ("kid", Member::Text("A".into())), ("x", Member::Other)];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The text of an object, some of its pieces taken away, put in or written twice.
fn damaged_text() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, 0..4_u8), 0..4);
    let members = prop::collection::vec(("[ab]{0,2}|\\PC{0,3}", any_json(), any::<bool>()), 0..5);
    (members, changes).prop_map(|(members, changes)| {
        let members = members.into_iter().map(|(name, value, escaped)| {
            let name = match escaped {
                true => name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
                false => name.replace(['\\', '"'], ""),
            };
            format!("\"{name}\": {value}")
        });
        let mut text = format!("{{{}}}", members.collect::<Vec<_>>().join(" ,")).into_bytes();
        for (at, length, kind) in changes {
            let at = at.index(text.len().max(1)).min(text.len());
            let piece = text[at..(at + length).min(text.len())].to_vec();
            match kind {
                0 => drop(text.drain(at..at + piece.len())),
                1 => drop(text.splice(at..at, piece)),
                2 => drop(text.splice(at..at, *b",")),
                _ => text.truncate(at),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Accepted or refused alike, and with the same reason; and what was accepted is the same.
    #[test]
    fn every_reader_reads_the_same(text in damaged_text(), depth in 1..6_usize, count in 0..5_usize) {
        for bounds in [Bounds { depth: 32, members: 64, elements: 1024 }, Bounds { depth, members: count, elements: count }] {
            let tree = tree::object(&text, bounds);
            prop_assert_eq!(members(&text, bounds, |_, _| {}), tree.clone().map(drop));
            prop_assert_eq!(object(&text, bounds), tree);
        }
    }
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_back_the_same(value in any_json()) {
        let text = serde_json::to_vec(&json!({ "value": value })).expect("JSON");
        let wide = Bounds { depth: 32, members: 64, elements: 1024 };
        let ours = object(&text, wide).map(Value::Object).expect("strict JSON");
        prop_assert_eq!(ours, serde_json::from_slice::<Value>(&text).expect("JSON"));
        prop_assert_eq!(members(&text, wide, |_, _| {}), Ok(()));
    }

    #[test]
    fn what_serde_json_refuses_is_refused_by_every_reader(text in r#"[{}\[\]",:0-9eE.+\-ntfu\\ a]{0,24}"#) {
        let wide = Bounds { depth: 32, members: 64, elements: 1024 };
        let text = text.as_bytes();
        let ours = object(text, wide);
        prop_assert_eq!(ours.is_ok(), members(text, wide, |_, _| {}).is_ok());
        if serde_json::from_slice::<Map<String, Value>>(text).is_err() {
            prop_assert!(ours.is_err());
        }
    }
}
