//! `?dry_run=true` says what entries would stop.

use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::revoking::{PATH, Revoked, api, ask, jti, orders, revoke};

fn rehearse(api: &Api, entries: &Value) -> Value {
    let response = ask(api, "POST", &format!("{PATH}?dry_run=true"), Some(&entries.to_string()));
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

/// Tokens that each of the entries would stop, all of them, and those that are remembered.
fn matches(body: &Value) -> (Vec<u64>, u64, u64) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{body}"));
    let each = body["entries"].as_array().expect("entries").iter();
    let each = each.map(|entry| number(&entry["matches"]["tokens"])).collect();
    (each, number(&body["matches"]["tokens"]), number(&body["matches"]["of"]))
}

#[test]
fn a_dry_run_says_how_many_tokens_it_would_stop() {
    let api = api();
    let now = crate::harness::token::now();
    let iss = &api.issuer.iss;
    let subject = |name: &str, not_before: Option<i64>| json!({"kind": "subject", "issuer": iss, "value": name, "not_before": not_before});
    assert_eq!(matches(&rehearse(&api, &json!({"kind": "all"}))), (vec![0], 0, 0), "nobody has been here");
    let token = |number: usize, subject: &str, issued: i64| {
        let token = api.issuer.token().scope("orders:read").set("sub", json!(subject));
        token.set("jti", json!(format!("t-{number}"))).set("iat", json!(issued)).sign()
    };
    let tokens: Vec<String> = (0..12)
        .map(|number| {
            token(
                number,
                if number < 4 { "alice" } else { "bob" },
                now - if number % 2 == 0 { 600 } else { 10 },
            )
        })
        .collect();
    // On many connections, so that both workers see each of them, perhaps.
    for _ in 0..6 {
        for token in &tokens {
            assert_allowed(&api.gateway.send(&orders(token)));
        }
    }
    let wanted = json!([
        subject("alice", None),
        subject("alice", Some(now - 300)),
        subject("carol", None),
        jti(&api, "t-5"),
        {"kind": "all"},
        {"kind": "issuer", "issuer": "https://other.example"},
    ]);
    assert_eq!(matches(&rehearse(&api, &wanted)), (vec![4, 2, 0, 1, 12, 0], 12, 12));
    assert_eq!(
        matches(&rehearse(&api, &json!([subject("alice", None), jti(&api, "t-1")]))),
        (vec![4, 1], 4, 12)
    );
    // What is stopped already does not count, and what does it is said.
    let already = |body: &Value| -> Vec<bool> {
        let entries = body["entries"].as_array().expect("entries").iter();
        entries.map(|entry| entry["already"].as_bool().unwrap_or_else(|| panic!("{body}"))).collect()
    };
    revoke(&api, &json!([subject("alice", Some(now - 300)), jti(&api, "t-5")]));
    assert_refused(&api.gateway.send(&orders(&tokens[0])), Revoked);
    let wanted = json!([
        subject("alice", Some(now - 300)),
        subject("alice", Some(now - 400)),
        subject("alice", Some(now - 200)),
        subject("alice", None),
        subject("bob", Some(now - 300)),
        jti(&api, "t-5"),
        jti(&api, "t-7"),
    ]);
    let body = rehearse(&api, &wanted);
    assert_eq!(already(&body), [true, true, false, false, false, true, false], "{body}");
    assert_eq!(matches(&body), (vec![0, 0, 0, 2, 4, 0, 1], 7, 9), "{body}");
}

/// A token that the gateway has never seen may be stopped all the same: the number is what is known, no more.
#[test]
fn what_is_not_remembered_is_not_counted() {
    let api = Api::with(|setup| setup.quiet().yaml_tail(crate::revoking::STORE).limits("verified_cache: 0B"));
    let token = crate::revoking::token(&api, "t-1");
    assert_allowed(&api.gateway.send(&orders(&token)));
    assert_eq!(matches(&rehearse(&api, &jti(&api, "t-1"))), (vec![0], 0, 0));
    revoke(&api, &jti(&api, "t-1"));
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
}
