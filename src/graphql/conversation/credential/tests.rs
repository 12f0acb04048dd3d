use super::*;

fn places() -> Vec<Selector> {
    let pointers = ["/Authorization", "/authorization", "/headers/Authorization", "/a~1b", "/token"];
    pointers.iter().map(|pointer| Selector::parse(&[pointer]).expect("a pointer")).collect()
}

#[track_caller]
fn found(payload: &str) -> Option<String> {
    token(&places(), payload).expect("an object").map(|token| token.to_string())
}

#[test]
fn the_first_place_that_holds_a_token_counts() {
    assert_eq!(found(r#"{"token":"c","authorization":"b","Authorization":"a"}"#).as_deref(), Some("a"));
    assert_eq!(found(r#"{"token":"c","headers":{"Authorization":"b"}}"#).as_deref(), Some("b"));
    assert_eq!(found(r#"{"Authorization":"","token":"c"}"#).as_deref(), Some("c"));
    assert_eq!(found(r#"{"Authorization":null,"authorization":5,"token":"c"}"#).as_deref(), Some("c"));
    assert_eq!(found(r#"{"a/b":"d"}"#).as_deref(), Some("d"));
}

#[test]
fn a_scheme_before_it_is_left_out() {
    for written in ["Bearer t", "bearer t", "BEARER  t ", "t"] {
        assert_eq!(found(&format!(r#"{{"token":"{written}"}}"#)).as_deref(), Some("t"), "{written}");
    }
    // One of another name is not before a token of ours.
    assert_eq!(found(r#"{"Authorization":"Basic t"}"#), None);
    assert_eq!(found(r#"{"Authorization":"Basic t","token":"u"}"#).as_deref(), Some("u"));
}

#[test]
fn nothing_is_nobodys_token() {
    for payload in
        ["{}", r#"{"token":""}"#, r#"{"token":"Bearer "}"#, r#"{"token":["t"]}"#, r#"{"Token":"t"}"#]
    {
        assert_eq!(found(payload), None, "{payload}");
    }
}

#[test]
fn a_payload_that_two_parsers_read_differently_is_refused() {
    for payload in
        [r#"{"token":"a","token":"b"}"#, r#"{"token":"a","\u0074oken":"b"}"#, "[]", "{", r#"{"x":"\ud800"}"#]
    {
        assert_eq!(token(&places(), payload), Err(Ambiguous), "{payload}");
        assert_eq!(without(&places(), payload), Err(Ambiguous), "{payload}");
    }
}

#[test]
fn no_place_of_a_token_is_left_in_what_goes_on() {
    let payload =
        r#"{"x":1,"token":"a","Authorization":"b","headers":{"Authorization":"c","y":2},"a/b":"d"}"#;
    assert_eq!(without(&places(), payload).as_deref(), Ok(r#"{"headers":{"y":2},"x":1}"#));
    assert_eq!(without(&places(), r#"{"headers":[],"x":1}"#).as_deref(), Ok(r#"{"headers":[],"x":1}"#));
    // Decoders that do not regard case would find these.
    let folded = r#"{"TOKEN":"a","authorization":"b","AUTHORIZATION":"c","Headers":{"AuthorizatioN":"d","y":2},"x":1}"#;
    assert_eq!(without(&places(), folded).as_deref(), Ok(r#"{"Headers":{"y":2},"x":1}"#));
    // And these whoever copies an object.
    let copied = r#"{"__proto__":{"token":"a"},"headers":{"__proto__":{"Authorization":"b"},"y":2},"x":1}"#;
    assert_eq!(without(&places(), copied).as_deref(), Ok(r#"{"headers":{"y":2},"x":1}"#));
}
