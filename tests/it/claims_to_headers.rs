//! Claims become headers in the form the route says, and only values that a header can hold.

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::client::Request;

fn api() -> Api {
    let headers = "{X-Subject: sub, X-Comma: {claim: roles, array: comma}, X-Json: {claim: roles, array: json}, \
                   X-Repeat: {claim: roles, array: repeat}, X-Deep: /realm_access/roles, X-First: {claim: [nick, sub]}, \
                   X-Slash: /a~1b, X-Level: level, X-Flag: flag}";
    Api::with(|setup| {
        setup.route("GET /me", &format!("{{require: authenticated, forward: {{headers: {headers}}}}}"))
    })
}

/// Claims, a header, and the lines of it that the upstream gets.
fn cases() -> Vec<(Value, &'static str, Vec<&'static str>)> {
    vec![
        (json!({}), "X-Subject", vec!["alice"]),
        (json!({"sub": "b ob"}), "X-Subject", vec!["b ob"]),
        (json!({"roles": ["a", "b"]}), "X-Comma", vec!["a,b"]),
        (json!({"roles": ["a", "b"]}), "X-Json", vec![r#"["a","b"]"#]),
        (json!({"roles": ["a", "b"]}), "X-Repeat", vec!["a", "b"]),
        (json!({"roles": ["a"]}), "X-Comma", vec!["a"]),
        (json!({}), "X-Comma", vec![]),
        (json!({}), "X-Json", vec![]),
        (json!({}), "X-Repeat", vec![]),
        (json!({"realm_access": {"roles": ["x", "y"]}}), "X-Deep", vec!["x,y"]),
        (json!({"realm_access": {}}), "X-Deep", vec![]),
        (json!({"realm_access": "x"}), "X-Deep", vec![]),
        (json!({"nick": "al"}), "X-First", vec!["al"]),
        (json!({}), "X-First", vec!["alice"]),
        (json!({"a/b": "c"}), "X-Slash", vec!["c"]),
        (json!({"level": 5}), "X-Level", vec!["5"]),
        (json!({"flag": true}), "X-Flag", vec!["true"]),
    ]
}

#[test]
fn claims_are_written_in_the_form_asked_for() {
    let api = api();
    for (claims, header, lines) in cases() {
        api.allows(&Request::get("/me").bearer(&api.issuer.token().merge(claims.clone()).sign()));
        let head = api.upstream.last().head;
        let written: Vec<String> = head.all(header).iter().map(|line| line.replace(", ", ",")).collect();
        assert_eq!(written, lines, "{header} of {claims}");
    }
}

/// I3: a value cannot be made to look like several, nor like a line of its own.
#[test]
fn j20_a_value_stays_one_value() {
    let api = api();
    let claims = [
        json!({"roles": ["a,admin"]}),
        json!({"roles": ["a\r\nX-Comma: admin"]}),
        json!({"roles": ["a\nadmin", "b"]}),
        json!({"roles": ["a\u{0}"]}),
        json!({"roles": [["admin"]]}),
        json!({"roles": [{"admin": true}]}),
        json!({"roles": {"admin": true}}),
        json!({"roles": ["a", null]}),
    ];
    for claims in claims {
        let before = api.upstream.count();
        let response =
            api.gateway.send(&Request::get("/me").bearer(&api.issuer.token().merge(claims.clone()).sign()));
        // Refused, or sent on without what cannot be said.
        assert!(matches!(response.status, 200 | 401 | 403), "{claims}: {response:?}");
        for seen in api.upstream.requests().split_off(before) {
            for header in ["X-Comma", "X-Repeat"] {
                let lines = seen.head.all(header);
                let values: Vec<&str> =
                    lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
                assert!(!values.contains(&"admin"), "{claims} became {lines:?}");
                assert!(
                    lines.iter().all(|line| line.bytes().all(|octet| (0x20..0x7f).contains(&octet))),
                    "{lines:?}"
                );
            }
        }
    }
}

#[test]
fn values_beyond_ascii_are_not_sent_as_they_are() {
    let api = api();
    api.gateway.get("/me", &api.issuer.token().set("sub", json!("ålice")).sign());
    let raw = api.upstream.raw();
    assert!(!raw.contains("ålice"), "raw octets in a header: {raw}");
}
