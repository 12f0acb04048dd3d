use serde_json::json;

use crate::config::forward::ArrayForm;
use crate::policy::identity::{FieldNames, UnsafeValue, VALUE_LIMIT};
use crate::token::json::document::Document;

fn values(claim: &serde_json::Value, form: ArrayForm) -> Result<Vec<String>, UnsafeValue> {
    let claims = Document::of(&json!({ "claim": claim }));
    crate::policy::identity::values(claims.get("claim").expect("a claim"), form)
}

#[test]
fn s2_aliases_of_a_name_are_that_name() {
    let names = FieldNames::new(["X-User-Id", "x-roles"]);
    for alias in ["x-user-id", "X_User_Id", "X.User.Id", "x~user_id", "X-ROLES", "x_roles"] {
        assert!(names.contains(alias.as_bytes()), "{alias}");
    }
    for other in ["x-user", "x-user-idx", "xuserid", "HTTP_X_USER_ID", "", "x-role"] {
        assert!(!names.contains(other.as_bytes()), "{other}");
    }
    assert!(!FieldNames::default().contains(b"x-user-id"));
}

#[test]
fn j20_a_claim_that_could_be_read_as_more_than_one_value_has_no_form() {
    let long = "a".repeat(VALUE_LIMIT + 1);
    for text in
        ["a\r\nX-Role: admin", "a\u{0}b", "alice,admin", "\u{85}", "é", " a", "a ", "\t", long.as_str()]
    {
        assert_eq!(values(&json!(text), ArrayForm::Comma), Err(UnsafeValue), "{text:?}");
        assert_eq!(values(&json!([text]), ArrayForm::Repeat), Err(UnsafeValue), "{text:?}");
    }
    assert_eq!(values(&json!({"a": 1}), ArrayForm::Comma), Err(UnsafeValue));
    assert_eq!(values(&json!([["a"]]), ArrayForm::Comma), Err(UnsafeValue));
}

#[test]
fn a_claim_becomes_lines_in_the_form_asked_for() {
    let check = |claim: serde_json::Value, form: ArrayForm, expected: &[&str]| {
        let got = values(&claim, form).expect("a safe value");
        assert_eq!(got, expected, "{claim} as {form:?}");
    };
    check(json!("alice"), ArrayForm::Comma, &["alice"]);
    check(json!("a b"), ArrayForm::Comma, &["a b"]);
    check(json!(42), ArrayForm::Comma, &["42"]);
    check(json!(-42), ArrayForm::Comma, &["-42"]);
    check(json!(u64::MAX), ArrayForm::Comma, &["18446744073709551615"]);
    check(json!([1.0, -0.0, 1.5e300]), ArrayForm::Comma, &["1.0,-0.0,1.5e+300"]);
    check(json!(true), ArrayForm::Repeat, &["true"]);
    check(json!(null), ArrayForm::Comma, &[]);
    check(json!([]), ArrayForm::Comma, &[]);
    check(json!(["a", "b"]), ArrayForm::Comma, &["a,b"]);
    check(json!(["a", "b"]), ArrayForm::Repeat, &["a", "b"]);
    check(json!(["a", "b"]), ArrayForm::Json, &[r#"["a","b"]"#]);
    check(json!("é\u{1F600}"), ArrayForm::Json, &[r#""\u00e9\ud83d\ude00""#]);
    check(
        json!({"b": [1, null], "a": {"é": false}}),
        ArrayForm::Json,
        &[r#"{"a":{"\u00e9":false},"b":[1,null]}"#],
    );
}
