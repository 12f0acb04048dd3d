use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Asked, Body, Unreadable};
use crate::config::credential::Reader;
use crate::config::endpoint::{Action, Endpoint, Errors};
use crate::config::problems::Position;
use crate::gate::call::Call;

fn call(query: Option<&str>, headers: &[(&str, &str)], parameters: &[(&str, &str)]) -> Call {
    let endpoint = Endpoint {
        name: "test".into(),
        at: Position::default(),
        action: Action::Resource,
        answer: None,
        errors: Arc::new(Errors::default()),
        attempts: 10,
    };
    Call {
        endpoint: Arc::new(endpoint),
        method: "POST".into(),
        host: "localhost".into(),
        scheme: "http",
        parameters: parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        query: query.map(Box::from),
        headers: headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect(),
        body: Vec::new(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request_id: "r".into(),
        caller: None,
        refused: None,
    }
}

#[track_caller]
fn check_body(body: &str, expected: Result<Value, Unreadable>) {
    let read = Body::read(body.as_bytes()).map(|body| match body {
        Body::Empty => Value::Null,
        Body::Json(members) => Value::Object(members),
        Body::Form(pairs) => json!(pairs),
    });
    assert_eq!(read, expected, "{body:?}");
}

#[test]
fn a_body_is_read_by_what_it_holds() {
    check_body("", Ok(Value::Null));
    check_body(" \r\n", Ok(Value::Null));
    check_body(r#" {"a": {"b": [1, null]}}"#, Ok(json!({"a": {"b": [1, null]}})));
    check_body("a=b&c=%C3%A4+%2B&d", Ok(json!([["a", "b"], ["c", "ä +"], ["d", ""]])));
}

#[test]
fn what_could_be_read_in_two_ways_is_not_read() {
    for body in [
        r#"{"a": 1, "a": 2}"#,
        r#"{"a": 1, "\u0061": 2}"#,
        r#"{"a": 1} {}"#,
        r#"["a"]"#,
        r#""a""#,
        "a=1&a=2",
        "a=1&%61=2",
        "a=%",
        "a=%f",
        "a=%zz",
        "a=%ff",
        "a=%00",
        "a=b c",
        "a=ä",
        "grant_type=a\u{0}",
    ] {
        check_body(body, Err(Unreadable));
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    check_body(&deep, Err(Unreadable));
    let many: Vec<String> = (0..65).map(|index| format!("p{index}=1")).collect();
    check_body(&many.join("&"), Err(Unreadable));
    assert_eq!(Body::read(&[0xff, 0xfe]), Err(Unreadable));
    // UTF-16, as a `charset` might promise.
    let utf16: Vec<u8> = "a=b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(Body::read(&utf16), Err(Unreadable));
}

#[test]
fn a_value_is_read_from_where_it_is_said_to_stand() {
    let headers = [("x-key", " k "), ("authorization", "Bearer abc"), ("cookie", "a=1; sid=s; b=2")];
    let call = call(Some("q=1&token=a%20b&q=2"), &headers, &[("user", "a%/b")]);
    let body = Body::read(br#"{"a": {"b": "c"}, "n": 5, "z": null, "e": ""}"#).unwrap();
    let asked = Asked::new(&call, &body);
    let text = |reader: Reader| asked.text(&reader);
    assert_eq!(text(Reader::Bearer), Ok(Some("abc".into())));
    assert_eq!(text(Reader::Header("x-key".into())), Ok(Some("k".into())));
    assert_eq!(text(Reader::Cookie("sid".into())), Ok(Some("s".into())));
    assert_eq!(text(Reader::Query("token".into())), Ok(Some("a b".into())));
    assert_eq!(text(Reader::Query("q".into())), Err(Unreadable), "it stands twice");
    assert_eq!(text(Reader::Path("user".into())), Ok(Some("a%/b".into())), "decoded once already");
    assert_eq!(text(Reader::Body("/a/b".into())), Ok(Some("c".into())));
    assert_eq!(text(Reader::Body("n".into())), Err(Unreadable), "no text");
    assert_eq!(asked.value(&Reader::Body("n".into())), Ok(Some(json!(5))));
    for nothing in ["z", "e", "x", "/a/c", "/a/b/c"] {
        assert_eq!(text(Reader::Body(nothing.into())), Ok(None), "{nothing}");
    }
}

#[test]
fn a_credential_that_stands_twice_is_none() {
    let headers = [("authorization", "Bearer a"), ("authorization", "Bearer b"), ("x-k", "1"), ("x-k", "1")];
    let call = call(None, &headers, &[]);
    let asked = Asked::new(&call, &Body::Empty);
    assert_eq!(asked.text(&Reader::Bearer), Err(Unreadable));
    assert_eq!(asked.text(&Reader::Header("x-k".into())), Err(Unreadable));
    assert_eq!(asked.authorization(), Err(Unreadable));
}

#[test]
fn a_form_has_no_depth() {
    let call = call(None, &[], &[]);
    let body = Body::read(b"key=a&secret=b").unwrap();
    let asked = Asked::new(&call, &body);
    assert_eq!(asked.text(&Reader::Body("key".into())), Ok(Some("a".into())));
    assert_eq!(asked.text(&Reader::Body("/secret".into())), Ok(Some("b".into())));
    assert_eq!(asked.text(&Reader::Body("/secret/x".into())), Ok(None));
}
