//! Claims completed, and tokens shown for what they are.

use serde_json::json;

use super::*;

const NOW: NumericDate = NumericDate(1_700_000_000);

fn encoded(text: &str) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(text)
}

#[track_caller]
fn check_refused(token: &str, what: &str) {
    let error = shown(token, NOW).expect_err("refused");
    assert!(error.contains(what), "{error}");
}

#[test]
fn what_is_no_token_is_not_shown() {
    let object = encoded("{}");
    check_refused("", "3 parts");
    check_refused("a.b", "3 parts");
    check_refused("a.b.c.d.e", "has 5");
    check_refused(&format!("!.{object}."), "header is not base64url");
    check_refused(&format!("{}.{object}.", encoded("x")), "header is not JSON");
    check_refused(&format!("{object}.{}.", encoded("{")), "claims is not JSON");
}

#[test]
fn a_token_is_shown_and_never_called_good() {
    let header = encoded(r#"{"alg":"none"}"#);
    let claims = encoded("{\"exp\":1699999000,\"iat\":1.5,\"sub\":\"a\\u001b[2J\u{9b}2J\u{202e}\"}");
    let text = shown(&format!("  Bearer {header}.{claims}.AAAA\n"), NOW).expect("shown");
    for part in [
        "\"alg\": \"none\"",
        "exp 2023-11-14T21:56:40Z, 16m ago",
        "iat 1970-01-01T00:00:01Z",
        "3 octets, not checked",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    for word in ["verified", "valid\n", "\u{1b}", "\u{9b}", "\u{202e}"] {
        assert!(!text.contains(word), "{word:?} is in\n{text}");
    }
}

#[track_caller]
fn check_complete(claims: Value, whole: Value) {
    let claims = claims.as_object().expect("an object").clone();
    assert_eq!(complete(&claims, NOW, Duration::from_secs(60), [("aud", json!("a"))]), whole);
}

#[test]
fn claims_are_filled_in_unless_they_are_there() {
    check_complete(json!({"iat": null, "exp": null, "aud": null, "x": null}), json!({}));
    check_complete(json!({"exp": 1, "aud": ["b"]}), json!({"iat": 1_700_000_000, "exp": 1, "aud": ["b"]}));
    check_complete(json!({}), json!({"iat": 1_700_000_000, "exp": 1_700_000_060, "aud": "a"}));
}
