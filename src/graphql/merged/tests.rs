use crate::graphql::merged::{Key, LeftOut, Missing, NotMerged, merge};

/// What was left out: names, those after `-` refused for want of a permission, after `!` for want of a token.
fn left_out(names: &[&str], stand_in: Option<&str>) -> LeftOut {
    let key = |name: &&str| match name.split_at(1) {
        ("-", name) => Key { name: name.into(), refused: Some(Missing::Permission(None)) },
        ("!", name) => Key { name: name.into(), refused: Some(Missing::Token) },
        _ => Key { name: (*name).into(), refused: None },
    };
    LeftOut { keys: names.iter().map(key).collect(), stand_in: stand_in.map(Into::into) }
}

#[track_caller]
fn check(answer: &str, names: &[&str], wanted: &str) {
    let merged = merge(answer.as_bytes(), &left_out(names, Some("_s"))).expect("it is an answer");
    assert_eq!(String::from_utf8(merged).expect("text"), wanted);
}

fn forbidden(key: &str) -> String {
    format!(
        r#"{{"extensions":{{"code":"FORBIDDEN"}},"message":"The token's scopes do not cover this field","path":["{key}"]}}"#
    )
}

#[test]
fn what_was_left_out_is_null_where_it_would_have_stood_with_an_error_each() {
    let (a, c) = (forbidden("a"), forbidden("c"));
    check(
        r#"{"data":{"b":1.50,"d":{"x":[1e2]}}}"#,
        &["-a", "b", "-c", "d"],
        &format!(r#"{{"data":{{"a":null,"b":1.50,"c":null,"d":{{"x":[1e2]}}}},"errors":[{a},{c}]}}"#),
    );
    check(
        r#"{ "errors": [{"message": "no", "path": ["b"]}], "data": {"b": null}, "extensions": {"t": 1} }"#,
        &["b", "-c"],
        &format!(
            r#"{{"errors":[{{"message": "no", "path": ["b"]}},{c}],"data":{{"b":null,"c":null}},"extensions":{{"t": 1}}}}"#
        ),
    );
}

/// It was 502, after the rest of the operation had run.
#[test]
fn a_typename_under_the_name_of_what_was_left_out_is_not_shown() {
    let answer = format!(r#"{{"data":{{"a":null,"b":1}},"errors":[{}]}}"#, forbidden("a"));
    check(r#"{"data":{"a":"Mutation","b":1}}"#, &["-a", "b"], &answer);
    check(r#"{"data":{"b":1,"a":"Mutation"}}"#, &["-a", "b"], &answer);
}

#[test]
fn a_field_without_a_token_says_that_one_is_needed() {
    check(
        r#"{"data":{"b":1}}"#,
        &["b", "!a"],
        r#"{"data":{"b":1,"a":null},"errors":[{"extensions":{"code":"UNAUTHENTICATED"},"message":"A token is needed for this field","path":["a"]}]}"#,
    );
}

#[test]
fn the_stand_in_is_not_for_the_client_and_other_names_are() {
    let a = forbidden("a");
    check(
        r#"{"data":{"_s":"Mutation","__typename":"Mutation","b":1}}"#,
        &["-a", "b"],
        &format!(r#"{{"data":{{"__typename":"Mutation","a":null,"b":1}},"errors":[{a}]}}"#),
    );
}

#[test]
fn data_that_is_null_as_a_whole_stays_null() {
    let a = forbidden("a");
    check(
        r#"{"data":null,"errors":[{"message":"b must not be null"}]}"#,
        &["-a", "b"],
        &format!(r#"{{"data":null,"errors":[{{"message":"b must not be null"}},{a}]}}"#),
    );
    check(r#"{"data":null,"errors":null}"#, &["-a", "b"], &format!(r#"{{"data":null,"errors":[{a}]}}"#));
}

#[test]
fn an_answer_to_what_was_not_run_stays_what_it_is() {
    let answer = r#"{ "errors": [{"message": "Unknown field"}] }"#;
    check(answer, &["-a", "b"], answer);
}

#[test]
fn the_permissions_are_told_where_the_route_tells_them() {
    let mut left_out = left_out(&["-a"], None);
    left_out.keys[0].refused = Some(Missing::Permission(Some(["x:y".into()].into())));
    let merged = merge(br#"{"data":{}}"#, &left_out).expect("an answer");
    let merged: serde_json::Value = serde_json::from_slice(&merged).expect("JSON");
    assert_eq!(merged["errors"][0]["extensions"]["requiredScopes"], serde_json::json!(["x:y"]));
}

#[test]
fn names_that_need_escapes_are_escaped() {
    check(
        r#"{"data":{"b":1},"ex\"t":{}}"#,
        &["b", "-c"],
        &format!(r#"{{"data":{{"b":1,"c":null}},"ex\"t":{{}},"errors":[{}]}}"#, forbidden("c")),
    );
}

#[test]
fn what_is_no_answer_is_refused() {
    for answer in [
        "",
        "<html>",
        "[]",
        "[{\"data\":{}}]",
        "{\"data\":[]}",
        "{\"data\":1}",
        "{\"data\":{},\"errors\":{}}",
        "{\"data\":{}} x",
        "{\"data\":{},\"data\":{}}",
        "{\"data\":{\"b\":1,\"b\":2}}",
        "{\"data\":{\"b\":1}",
    ] {
        assert_eq!(merge(answer.as_bytes(), &left_out(&["-a", "b"], None)), Err(NotMerged), "{answer}");
    }
    assert_eq!(merge(b"{\"data\":{\"b\":\"\xff\"}}", &left_out(&["-a", "b"], None)), Err(NotMerged));
}

#[test]
fn an_answer_nested_a_million_deep_is_judged_without_recursion() {
    let deep = format!("{{\"data\":{{\"b\":{}{}}}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let merged = merge(deep.as_bytes(), &left_out(&["-a", "b"], None)).expect("an answer");
    assert!(merged.starts_with(br#"{"data":{"a":null,"b":[[["#));
}
