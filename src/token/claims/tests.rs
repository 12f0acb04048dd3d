use serde_json::{Value as Json, json};

use super::*;

#[track_caller]
fn refused(payload: impl AsRef<[u8]>, why: Malformed) {
    let payload = payload.as_ref();
    assert_eq!(Claims::parse(payload), Err(why), "{}", payload.escape_ascii());
}

fn parsed(payload: &str) -> Claims {
    Claims::parse(payload.as_bytes()).expect(payload)
}

#[test]
fn j12_a_claim_that_stands_twice_is_refused() {
    for payload in [
        r#"{"sub":"alice","sub":"admin"}"#,
        r#"{"sub":"alice","\u0073ub":"admin"}"#,
        r#"{"scope":"read","scope":"admin"}"#,
        r#"{"realm_access":{"roles":["a"],"roles":["b"]}}"#,
        r#"{"x":[{"y":1,"y":2}]}"#,
    ] {
        refused(payload, Malformed::Claims);
    }
}

#[test]
fn j13_a_registered_claim_of_the_wrong_type_is_refused_even_if_nobody_needs_it() {
    let others = ["null", "true", "1", "[]", "{}", "[\"x\"]", "\"x\""];
    for name in ["iss", "sub", "jti"] {
        for value in others.iter().filter(|value| **value != "\"x\"") {
            refused(format!(r#"{{"{name}":{value}}}"#), Malformed::ClaimType);
        }
    }
    for name in ["exp", "nbf", "iat"] {
        for value in others.iter().filter(|value| **value != "1").chain(&["\"99999999999\"", "\"1\""]) {
            refused(format!(r#"{{"{name}":{value}}}"#), Malformed::ClaimType);
        }
    }
    for value in ["null", "true", "1", "{}", "[[\"api\"]]", "[\"api\",1]", "[null]", "[\"api\",null]"] {
        refused(format!(r#"{{"aud":{value}}}"#), Malformed::ClaimType);
    }
}

#[test]
fn j14_the_issuer_is_exactly_one_string() {
    refused(r#"{"iss":["https://evil.example","https://good.example"]}"#, Malformed::ClaimType);
    refused(r#"{"iss":["https://good.example"]}"#, Malformed::ClaimType);
    refused(r#"{"iss":{"":"https://good.example"}}"#, Malformed::ClaimType);
    // Nothing is folded or trimmed: comparing octets is all that is left to do.
    for issuer in ["https://good.example/", "HTTPS://good.example", "\u{fb01}", "f\u{131}", "e\u{301}", " x"]
    {
        assert_eq!(parsed(&json!({ "iss": issuer }).to_string()).issuer(), Some(issuer));
    }
}

#[test]
fn j7_crit_among_the_claims_is_refused() {
    for value in ["[]", "[\"exp\"]", "null", "\"x\""] {
        refused(format!(r#"{{"crit":{value}}}"#), Malformed::Claims);
    }
    assert!(parsed(r#"{"x":{"crit":["exp"]}}"#).members().has("x"));
}

#[test]
fn j18_shape_is_bounded() {
    let members: Vec<_> = (0..65).map(|n| format!(r#""m{n}":0"#)).collect();
    refused(format!("{{{}}}", members.join(",")), Malformed::Claims);
    refused(format!(r#"{{"aud":[{}"a"]}}"#, r#""a","#.repeat(1024)), Malformed::Claims);
    refused(format!(r#"{{"x":{}1{}}}"#, "[".repeat(32), "]".repeat(32)), Malformed::Claims);
    refused(format!(r#"{{"x":{}"#, "[".repeat(100_000)), Malformed::Claims);
    parsed(&format!("{{{}}}", members[..64].join(",")));
    parsed(&format!(r#"{{"x":{}1{}}}"#, "[".repeat(31), "]".repeat(31)));
}

#[test]
fn j19_dates_follow_one_rule() {
    let table: [(&str, Option<(i64, i64)>); 26] = [
        ("-1", None),
        ("-0.5", None),
        ("-1e-300", None),
        ("-9223372036854775808", None),
        ("-1e18", None),
        ("1e18", None),
        ("1e19", None),
        ("1e300", None),
        ("9007199254740993", None),
        ("9007199254740992.5", Some((1 << 53, 1 << 53))), // the nearest double is 2^53 itself
        ("9007199254740994.0", None),
        ("9223372036854775807", None),
        ("9223372036854775808", None),
        ("18446744073709551615", None),
        ("18446744073709551616", None),
        ("0", Some((0, 0))),
        ("-0", Some((0, 0))),
        ("-0.0", Some((0, 0))),
        ("0.0", Some((0, 0))),
        ("1.9", Some((1, 2))),
        ("1.0", Some((1, 1))),
        ("1e3", Some((1000, 1000))),
        ("1.5e0", Some((1, 2))),
        ("1700000000.000001", Some((1_700_000_000, 1_700_000_001))),
        ("9007199254740992", Some((1 << 53, 1 << 53))),
        ("4102444800", Some((4_102_444_800, 4_102_444_800))),
    ];
    for (written, expected) in table {
        for name in ["exp", "nbf", "iat"] {
            let read = Claims::parse(format!(r#"{{"{name}":{written}}}"#).as_bytes());
            let date = read.map(|claims| match name {
                "exp" => claims.expires(),
                "nbf" => claims.not_before(),
                _ => claims.issued_at(),
            });
            let expected = match expected {
                Some((down, up)) => Ok(Some(NumericDate(if name == "nbf" { up } else { down }))),
                None => Err(Malformed::ClaimType),
            };
            assert_eq!(date, expected, "{name} {written}");
        }
    }
    for written in ["1e400", "-1e400", "NaN", "Infinity", "01", "0x10"] {
        refused(format!(r#"{{"exp":{written}}}"#), Malformed::Claims);
    }
}

#[test]
fn j20_lone_surrogates_are_refused() {
    refused(r#"{"sub":"\ud800"}"#, Malformed::Claims);
    refused(b"{\"sub\":\"\xff\"}", Malformed::Claims);
}

#[test]
fn a_payload_that_is_no_object_is_refused() {
    for payload in ["", "[]", "null", "\"x\"", "x", "{}{}", "{\"a\":1}x"] {
        refused(payload, Malformed::Claims);
    }
}

#[test]
fn c4_audience_is_a_string_or_a_flat_array() {
    for (written, expected) in [
        (r#"{}"#, &[][..]),
        (r#"{"aud":[]}"#, &[]),
        (r#"{"aud":"api"}"#, &["api"]),
        (r#"{"aud":""}"#, &[""]),
        (r#"{"aud":["api","api"]}"#, &["api", "api"]),
        (r#"{"aud":"api,other"}"#, &["api,other"]),
    ] {
        assert!(parsed(written).audience().eq(expected.iter().copied()), "{written}");
    }
}

#[test]
fn claims_are_read_typed_and_kept_whole() {
    let payload = r#"{"iss":"i","sub":"s","aud":["a"],"exp":3,"nbf":1,"iat":2,"jti":"j","x":{"y":null}}"#;
    let claims = parsed(payload);
    assert_eq!(claims.issuer(), Some("i"));
    assert_eq!(claims.subject(), Some("s"));
    assert_eq!(claims.token_id(), Some("j"));
    assert_eq!(claims.expires(), Some(NumericDate(3)));
    assert_eq!(claims.not_before(), Some(NumericDate(1)));
    assert_eq!(claims.issued_at(), Some(NumericDate(2)));
    assert_eq!(Json::Object(claims.members().into()), serde_json::from_str::<Json>(payload).expect("JSON"));
    assert_eq!(parsed("{}"), Claims::default());
}

#[test]
fn claims_are_kept_in_less_than_they_were_sent_in() {
    for payload in [
        format!(r#"{{"sub":"{}"}}"#, "x".repeat(1000)),
        format!(r#"{{"aud":"{}"}}"#, "x".repeat(1000)),
        format!(r#"{{"x":[{}0]}}"#, "0,".repeat(1000)),
        format!(r#"{{"{}":0}}"#, "x".repeat(1000)),
        r#"{"iss":"https://idp.test/","aud":["api"],"exp":4102444800,"iat":4102441200,"admin":true}"#
            .to_owned(),
    ] {
        let footprint = parsed(&payload).footprint();
        assert!(footprint <= payload.len() && footprint * 2 > payload.len(), "{footprint}: {payload}");
    }
}

#[test]
fn selectors_that_name_no_place_are_refused() {
    let none: [&str; 0] = [];
    assert_eq!(Selector::parse(&none), None);
    for place in ["", "/~", "/a~2b", "/a/b~", "/~~0"] {
        assert_eq!(Selector::parse(&[place]), None, "{place}");
        assert_eq!(Selector::parse(&["sub", place]), None, "{place}");
    }
}

#[test]
fn selectors_find_names_and_rfc_6901_pointers() {
    let claims = json!({
        "sub": "s", "a/b": 1, "m~n": 2, "": {"": 3}, "~1": 4, "n": null,
        "roles": ["r0", ["r10"], {"x": "r2x"}], "https://x/y": 5, "o": {"0": 6, "a/b": {"c": 7}}
    });
    let document = Document::of(&claims);
    let members = document.members();
    let found = |selector: &Selector| selector.find(members).map(Json::from);
    for (place, expected) in [
        ("sub", Some(json!("s"))),
        ("/sub", Some(json!("s"))),
        ("a/b", Some(json!(1))),
        ("https://x/y", Some(json!(5))),
        ("/a~1b", Some(json!(1))),
        ("/m~0n", Some(json!(2))),
        ("m~n", Some(json!(2))),
        ("/~01", Some(json!(4))),
        ("/", Some(json!({"": 3}))),
        ("//", Some(json!(3))),
        ("n", Some(Json::Null)),
        ("/roles/0", Some(json!("r0"))),
        ("/roles/1/0", Some(json!("r10"))),
        ("/roles/2/x", Some(json!("r2x"))),
        ("/o/0", Some(json!(6))),
        ("/o/a~1b/c", Some(json!(7))),
        ("/roles/00", None),
        ("/roles/+1", None),
        ("/roles/-", None),
        ("/roles/3", None),
        ("/roles/", None),
        ("/roles/99999999999999999999999", None),
        ("/sub/0", None),
        ("/n/x", None),
        ("/none", None),
        ("none", None),
        ("/a/b", None),
    ] {
        let selector = Selector::parse(&[place]).expect(place);
        assert_eq!(found(&selector), expected, "{place}");
        // serde_json's own pointers as the oracle.
        if place.starts_with('/') {
            assert_eq!(found(&selector).as_ref(), claims.pointer(place), "{place}");
        }
    }
    let selector = Selector::parse(&["none", "n", "/roles/0", "sub"]).expect("places");
    assert_eq!(found(&selector), Some(Json::Null));
    assert!(selector.find_all(members).map(Json::from).eq([Json::Null, json!("r0"), json!("s")]));
    assert_eq!(selector.places()[2], Place::Pointer("/roles/0".into()));
}
