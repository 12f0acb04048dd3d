use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[track_caller]
fn one(text: &str) -> Envelope<'_> {
    match read(text.as_bytes(), 0) {
        Ok(Brought::One(envelope)) => envelope,
        other => panic!("{text}: {other:?}"),
    }
}

fn query(envelope: &Envelope<'_>) -> Option<String> {
    envelope.query.as_ref().map(|query| query.text().into_owned())
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, why: &str) {
    let text = text.as_ref();
    assert_eq!(read(text, 3), Err(Malformed(match_static(why))), "{}", text.escape_ascii());
}

/// The message itself: they are all static.
fn match_static(why: &str) -> &'static str {
    Box::leak(why.to_owned().into_boxed_str())
}

#[test]
fn an_operation_is_foundwith_all_it_has() {
    let envelope =
        one(r#" {"query" : "{a}" ,"operationName":"Q","variables":{"a":[1,{"b":null}]},"x":-1.5e+3} "#);
    assert_eq!(query(&envelope).as_deref(), Some("{a}"));
    assert_eq!(envelope.operation_name.as_deref(), Some("Q"));
    assert_eq!(envelope.members.len(), 4);
    assert_eq!(envelope.members[2].value, r#"{"a":[1,{"b":null}]}"#);
    assert_eq!(envelope.members[3].name, Name::Other);
    let envelope = one(
        r#"{"query":"{a}\n\u0062\ud83d\ude00","extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}"#,
    );
    assert_eq!(query(&envelope).as_deref(), Some("{a}\nb😀"));
    assert_eq!(envelope.persisted, Some(PersistedQuery { hash: "ab".into(), is_known: true }));
}

#[test]
fn what_is_null_or_empty_is_absent() {
    let envelope = one(r#"{"query":"","operationName":null,"variables":null,"extensions":null,"id":null}"#);
    assert_eq!((envelope.query, envelope.operation_name, envelope.id), (None, None, None));
    assert_eq!(one("{}"), Envelope::default());
    assert_eq!(one(r#"{"extensions":{"persistedQuery":null}}"#).persisted, None);
}

#[test]
fn g15_a_name_that_stands_twice_is_refused_however_it_is_written() {
    refused(r#"{"query":"{a}","query":"mutation{b}"}"#, "a member stands twice");
    refused(r#"{"query":"{a}","\u0071uery":"mutation{b}"}"#, "a member stands twice");
    refused(r#"{"x":1,"y":2,"x":3}"#, "a member stands twice");
    refused(r#"{"x":1,"X":2}"#, "a member stands twice");
    refused(r#"{"operationName":"a","operationName":"b"}"#, "a member stands twice");
    refused(r#"{"extensions":{"persistedQuery":{},"persistedQuery":{}}}"#, "a member stands twice");
    let twice = r#"{"extensions":{"persistedQuery":{"sha256Hash":"a","sha256Hash":"b"}}}"#;
    refused(twice, "a member stands twice");
    refused(r#"[{"query":"{a}"},{"query":"{a}","query":"{b}"}]"#, "a member stands twice");
}

/// Each is held against each other.
#[test]
fn d7_a_member_with_a_name_without_end_is_refused() {
    let named = |octets: usize| format!(r#"{{"query":"{{a}}","{}":1}}"#, "é".repeat(octets / 2));
    refused(named(258), "a member with a name that is too long");
    refused(format!(r#"{{"extensions":{}}}"#, named(258)), "a member with a name that is too long");
    one(&named(256));
    // What is the operation's own may be called as it likes.
    one(&format!(r#"{{"query":"{{a}}","variables":{}}}"#, named(2_000)));
}

#[test]
fn a_known_name_in_another_case_is_refused() {
    let other = "a member whose name is known in another case";
    for name in
        ["Query", "QUERY", "operationname", "VARIABLES", "Extensions", "ID", "documentid", "variable\u{17f}"]
    {
        refused(format!(r#"{{"{name}":null}}"#), other);
        refused(format!(r#"{{"query":"{{a}}","{name}":null}}"#), other);
    }
    refused(r#"{"\u0051uery":"{a}"}"#, other);
    refused(r#"{"extensions":{"PersistedQuery":null}}"#, other);
    refused(r#"{"extensions":{"persistedQuery":{"sha256hash":"a"}}}"#, other);
    // In `variables` names are the operation's own.
    assert_eq!(one(r#"{"variables":{"Query":1,"query":2,"query":3}}"#).query, None);
}

/// Copied, an object finds in there what it does not have itself.
#[test]
fn a_prototype_is_refused_where_a_server_could_copy_it() {
    let why = "a member whose members some servers take for the object's own";
    for text in [
        r#"{"query":"{a}","__proto__":{"variables":{}}}"#,
        r#"{"query":"{a}","__proto__":null}"#,
        r#"{"query":"{a}","\u005f_proto__":{}}"#,
        r#"{"query":"{a}","extensions":{"__proto__":{}}}"#,
        r#"{"extensions":{"persistedQuery":{"sha256Hash":"a","__proto__":{}}}}"#,
    ] {
        refused(text, why);
    }
    // Below is the operation's own.
    assert!(one(r#"{"query":"{a}","variables":{"a":{"__proto__":1}}}"#).query.is_some());
}

#[test]
fn what_is_of_another_kind_is_refused() {
    let text = "a string belongs there, or null";
    refused(r#"{"query":{"a":1}}"#, text);
    refused(r#"{"query":["{a}"]}"#, text);
    refused(r#"{"query":1}"#, text);
    refused(r#"{"operationName":false}"#, text);
    refused(r#"{"id":7}"#, text);
    for variables in ["[]", "1", "\"{}\"", "true"] {
        refused(format!(r#"{{"variables":{variables}}}"#), "variables that are no object");
    }
    refused(r#"{"extensions":[]}"#, "an object belongs there, or null");
    refused(r#"{"extensions":{"persistedQuery":"x"}}"#, "an object belongs there, or null");
    refused(r#"{"extensions":{"persistedQuery":{"version":1}}}"#, "persistedQuery without sha256Hash");
    refused(r#"{"id":"a","documentId":"b"}"#, "two members that name a document");
    for text in ["", " ", "1", "null", "\"x\"", "\u{feff}{}"] {
        refused(text, "no JSON object");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "{",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "[{},]",
        "[1]",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":[1,]}",
        "{\"a\":nulll}",
        "{\"a\":\"",
        "{\"a\":\u{a0}1}",
        "{/**/}",
    ] {
        refused(text, "not JSON");
    }
    refused("{} {}", "something follows the JSON value");
    refused("{}\0", "something follows the JSON value");
    refused(b"{\"a\":\"\xff\"}", "not UTF-8");
    refused(b"\xff\xfe{\0}\0", "not UTF-8");
    refused("{\"a\":\"\n\"}", "a control character in a string");
    refused(r#"{"a":"\x"}"#, "a broken escape in a string");
    refused(r#"{"a":"\u12g4"}"#, "a broken escape in a string");
}

#[test]
fn half_of_a_surrogate_pair_is_refused_wherever_it_stands() {
    for half in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\n", r"\ud800\ud800", r"\udc00\ud800"] {
        refused(format!(r#"{{"query":"{half}"}}"#), "half of a surrogate pair");
        refused(format!(r#"{{"variables":{{"{half}":[]}}}}"#), "half of a surrogate pair");
    }
    refused(r#"{"a":"\ud800\u12"}"#, "a broken escape in a string");
}

#[test]
fn depth_and_members_are_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(one(&nested(DEPTH - 1)).members.len(), 1);
    refused(nested(DEPTH), "nested deeper than is taken");
    refused(format!("{{\"a\":{}", "{\"b\":".repeat(1_000_000)), "nested deeper than is taken");
    let wide = |count: usize| {
        let members: Vec<String> = (0..count).map(|number| format!("\"m{number}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(one(&wide(MEMBERS)).members.len(), MEMBERS);
    refused(wide(MEMBERS + 1), "too many members");
}

#[test]
fn a_list_is_foundup_to_its_bound() {
    let list = |count: usize| format!("[{}]", vec![r#"{"query":"{a}"}"#; count].join(" , "));
    let three = list(3);
    let Ok(Brought::List(found)) = read(three.as_bytes(), 3) else { panic!("a list") };
    assert_eq!(found.len(), 3);
    assert_eq!(found[2].1, r#"{"query":"{a}"}"#);
    assert_eq!(read(list(4).as_bytes(), 3), Ok(Brought::TooMany));
    assert_eq!(read(b"[ ]", 0), Ok(Brought::List(Vec::new())));
    refused("[[{}]]", "not JSON");
}

/// What serde makes of the text, if it is one object.
fn by_serde(text: &[u8]) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_slice(text).ok()
}

/// Whatever is read here means the same to serde, which reads more.
fn agree(text: &[u8]) {
    let Ok(Brought::One(envelope)) = read(text, 0) else { return };
    // Numbers past its own are no matter of grammar.
    let Some(map) = by_serde(text) else {
        let raw: Result<&serde_json::value::RawValue, _> = serde_json::from_slice(text);
        assert!(raw.is_ok(), "{}", text.escape_ascii());
        return;
    };
    let string = |name: &str| map.get(name).and_then(Value::as_str);
    assert_eq!(query(&envelope).as_deref(), string("query").filter(|query| !query.is_empty()));
    assert_eq!(envelope.operation_name.as_deref(), string("operationName"));
    assert_eq!(envelope.members.len(), map.len());
    for member in &envelope.members {
        let value: Value = serde_json::from_str(member.value).unwrap_or_default();
        assert_eq!(Some(&value), map.get(&*member.key), "{}", text.escape_ascii());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}|[\"\\\\/\n\t\u{1}😀]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    /// What serde writes is read, and means the same.
    #[test]
    fn what_serde_writes_is_read(query in ".{0,20}", name in prop::option::of(".{0,4}"), rest in any_json()) {
        let text = json!({"query": query, "operationName": name, "variables": {"v": rest}, "more": rest}).to_string();
        prop_assert!(matches!(read(text.as_bytes(), 0), Ok(Brought::One(_))), "{text}");
        agree(text.as_bytes());
        let pretty = serde_json::to_vec_pretty(&json!({"query": query, "more": rest})).unwrap_or_default();
        prop_assert!(matches!(read(&pretty, 0), Ok(Brought::One(_))));
        agree(&pretty);
    }

    /// What is read of a text that was tampered with means the same to serde.
    #[test]
    fn what_is_foundof_anything_means_the_same_to_serde(
        rest in any_json(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<u8>().prop_map(|octet| vec![octet]), prop::sample::select(vec![
            b"\"".to_vec(), b"\\".to_vec(), b"{".to_vec(), b"}".to_vec(), b",".to_vec(), b":".to_vec(), b"0".to_vec(),
            b"\\u0071".to_vec(), b"\\ud83d".to_vec(), b"e9".to_vec(), b"-".to_vec(), b"query".to_vec(), Vec::new(),
        ])],
    ) {
        let mut text = json!({"query": "{a\n😀}", "operationName": "é", "variables": {"v": rest}, "x": rest}).to_string().into_bytes();
        let place = at.index(text.len());
        text.splice(place..=place, with);
        agree(&text);
    }

    #[test]
    fn nothing_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&text, 4);
    }
}
