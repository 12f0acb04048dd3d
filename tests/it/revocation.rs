//! What was revoked no longer counts, from the next request on (threats R1).

use portcullis::gate::denial::Reason::Revoked;
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::Issuer;
use crate::harness::token::now;
use crate::harness::wait::wait_until;

/// With this revocation file beside the configuration.
fn api(entries: impl FnOnce(&str) -> Value) -> Api {
    let (issuer, other) = (Issuer::start(), Issuer::start());
    let file = entries(&issuer.iss).to_string().replace(OTHER, &other.iss);
    Api::with_issuer(issuer, |setup, issuer| {
        let setup = setup.issuer("corp", issuer).issuer("other", &other).file("revoked.yaml", &file);
        setup.yaml_tail("revocation: {file: revoked.yaml}")
    })
}

/// Stands for the address of the configuration's other issuer.
const OTHER: &str = "https://other.test";

fn orders(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

#[test]
fn every_kind_is_compared_alone() {
    let long_ago = now() - 3600;
    let since = now() - 100;
    let api = api(|iss| {
        json!([
            {"kind": "jti", "issuer": iss, "value": "stolen"},
            {"kind": "subject", "issuer": iss, "value": "blocked"},
            {"kind": "subject", "issuer": iss, "value": "signed-out", "not_before": since},
            {"kind": "jti", "issuer": iss, "value": "half", "not_before": since},
            {"kind": "subject", "issuer": OTHER, "value": "elsewhere"},
            {"kind": "subject", "issuer": iss, "value": "forgiven", "expires": long_ago},
            {"kind": "subject", "issuer": iss, "value": "both", "not_before": long_ago},
            {"kind": "subject", "issuer": iss, "value": "both", "reason": "also blocked"},
            {"kind": "subject", "issuer": iss, "value": "twice", "not_before": since},
            {"kind": "subject", "issuer": iss, "value": "twice", "not_before": long_ago},
        ])
    });
    let cases = [
        ("an id that is blocked", json!({"jti": "stolen"}), true),
        ("another id", json!({"jti": "stolen2"}), false),
        ("an id of another case", json!({"jti": "Stolen"}), false),
        ("a subject named like the id", json!({"sub": "stolen"}), false),
        ("a subject that is blocked", json!({"sub": "blocked"}), true),
        ("an id named like the subject", json!({"jti": "blocked"}), false),
        ("blocked, however new", json!({"sub": "blocked", "iat": now()}), true),
        ("issued before", json!({"sub": "signed-out", "iat": since - 1}), true),
        ("issued long before", json!({"sub": "signed-out", "iat": since - 1000}), true),
        ("issued after", json!({"sub": "signed-out", "iat": now()}), false),
        // The leeway is added to the watermark, never taken from it.
        ("issued after, within the leeway", json!({"sub": "signed-out", "iat": since + 5}), true),
        ("an id and a time, before", json!({"jti": "half", "iat": since - 1}), true),
        ("an id and a time, after", json!({"jti": "half", "iat": now()}), false),
        ("another issuer's subject", json!({"sub": "elsewhere"}), false),
        ("an entry that is over", json!({"sub": "forgiven"}), false),
        ("a watermark passed, and a block", json!({"sub": "both"}), true),
        ("the later of two watermarks", json!({"sub": "twice", "iat": since - 1}), true),
        ("after both", json!({"sub": "twice", "iat": now()}), false),
        ("nobody in particular", json!({}), false),
    ];
    for (what, claims, revoked) in cases {
        let token = api.issuer.token().scope("orders:read").merge(claims).sign();
        let response = api.gateway.send(&orders(&token));
        assert_eq!(response.status, if revoked { 401 } else { 200 }, "{what}: {response:?}");
        if revoked {
            assert_refused(&response, Revoked);
        }
    }
    // When it was issued is not known: it may have been before.
    let timeless = |subject: &str| {
        api.issuer.token().scope("orders:read").set("sub", json!(subject)).without("iat").sign()
    };
    assert_refused(&api.gateway.send(&orders(&timeless("signed-out"))), Revoked);
    assert_allowed(&api.gateway.send(&orders(&timeless("somebody"))));
}

#[test]
fn r1_a_revocation_counts_from_the_next_request_on_every_connection() {
    let api = api(|_| json!([]));
    let token = api.issuer.token().scope("orders:read").set("jti", json!("t-1")).sign();
    let other = api.reader();
    let mut connections: Vec<Connection> = (0..50).map(|_| api.gateway.connect()).collect();
    for connection in &mut connections {
        assert_allowed(&connection.send(&orders(&token)));
    }
    let entry = json!([{"kind": "jti", "issuer": api.issuer.iss, "value": "t-1", "reason": "stolen"}]);
    api.gateway.replace("revoked.yaml", entry.to_string());
    assert_eq!(api.gateway.reload().status, 200);
    // The reload has answered: not one stale 200, whichever worker serves.
    for connection in &mut connections {
        assert_refused(&connection.send(&orders(&token)), Revoked);
        assert_allowed(&connection.send(&orders(&other)));
    }
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_eq!(api.gateway.metric("revocation_entries", &[("kind", "jti")]), 1.0);
    // The lifting of it is as real.
    api.gateway.replace("revoked.yaml", "[]");
    assert_eq!(api.gateway.reload().status, 200);
    for connection in &mut connections {
        assert_allowed(&connection.send(&orders(&token)));
    }
}

#[test]
fn r1_the_file_is_watched() {
    let api = api(|_| json!([]));
    let token = api.reader();
    api.allows_token(&token);
    let entry = json!([{"kind": "subject", "issuer": api.issuer.iss, "value": "alice"}]);
    api.gateway.replace("revoked.yaml", entry.to_string());
    assert_refused(&api.gateway.wait_for_status(&orders(&token), 401), Revoked);
    // YAML, as people write it.
    let text = format!("- {{kind: subject, issuer: {:?}, value: bob}}\n# nobody else\n", api.issuer.iss);
    api.gateway.replace("revoked.yaml", text);
    assert_allowed(&api.gateway.wait_for_status(&orders(&token), 200));
}

#[test]
fn i6_a_broken_file_lifts_no_revocation() {
    let api = api(|iss| json!([{"kind": "subject", "issuer": iss, "value": "alice"}]));
    let token = api.reader();
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    let broken = [
        "- {kind: subject, issuer: x",
        "- {kind: nonsense, issuer: x, value: y}",
        "- {kind: subject, value: y}",
        "- {kind: subject, issuer: x}",
        "- {kind: subject, issuer: x, value: y, unknown: z}",
        "- {kind: subject, issuer: x, value: y, not_before: yesterday}",
        "- subject",
        "subject: alice",
        "\u{0}",
    ];
    for text in broken {
        api.gateway.replace("revoked.yaml", text);
        let response = api.gateway.reload();
        assert!(response.status >= 400, "{text:?}: {response:?}");
        assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    }
    std::fs::remove_file(api.gateway.directory.path().join("revoked.yaml")).expect("a file to remove");
    assert!(api.gateway.reload().status >= 400);
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
}

/// R4: what is revoked is the token's id, not one way of writing the token down.
#[test]
fn r4_another_signature_over_the_same_id_is_revoked_too() {
    let api = api(|iss| json!([{"kind": "jti", "issuer": iss, "value": "t-1"}]));
    for _ in 0..3 {
        let token =
            api.issuer.token().scope("orders:read").set("jti", json!("t-1")).header("x", json!(now()));
        assert_refused(&api.gateway.send(&orders(&token.sign())), Revoked);
    }
}

#[test]
fn r6_many_entries_are_no_burden() {
    let api = api(|_| json!([]));
    let token = api.reader();
    let mut text = String::new();
    for n in 0..20_000 {
        text.push_str(&format!("- {{kind: jti, issuer: {:?}, value: \"t-{n}\"}}\n", api.issuer.iss));
    }
    api.gateway.replace("revoked.yaml", text);
    wait_until("20,000 entries", || {
        assert_allowed(&api.gateway.send(&orders(&token)));
        api.gateway.metric("revocation_entries", &[("kind", "jti")]) == 20_000.0
    });
    let last = api.issuer.token().scope("orders:read").set("jti", json!("t-19999")).sign();
    assert_refused(&api.gateway.send(&orders(&last)), Revoked);
}

/// Every kind through the file, the metric of each, and one declared claim.
#[test]
fn every_kind_of_entry_revokes_what_it_names() {
    let issuer = Issuer::start();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        let setup = setup.issuer("corp", issuer).file("revoked.yaml", "[]");
        setup.yaml_tail("revocation: {file: revoked.yaml, claims: [device_id]}")
    });
    let iss = api.issuer.iss.clone();
    let claims = json!({
        "sub": "alice", "jti": "t-1", "sid": "s-1", "tid": "acme", "client_id": "app", "device_id": 17,
    });
    let token = || api.issuer.token().scope("orders:read").merge(claims.clone());
    let kid = api.issuer.key().id;
    let other =
        api.issuer.token().scope("orders:read").set("sub", json!("bob")).set("tid", json!("umbrella"));
    let other = other.sign();
    api.allows_token(&token().sign());
    for (entry, others_too) in [
        (json!({"kind": "all"}), true),
        (json!({"kind": "issuer", "issuer": iss}), true),
        (json!({"kind": "kid", "issuer": iss, "value": kid}), true),
        (json!({"kind": "tenant", "issuer": iss, "value": "acme"}), false),
        (json!({"kind": "client", "issuer": iss, "value": "app"}), false),
        (json!({"kind": "subject", "issuer": iss, "value": "alice"}), false),
        (json!({"kind": "session", "issuer": iss, "value": "s-1"}), false),
        (json!({"kind": "jti", "issuer": iss, "value": "t-1"}), false),
        (json!({"kind": "claim", "claim": "device_id", "value": "17"}), false),
    ] {
        let kind = entry["kind"].as_str().expect("a kind").to_owned();
        for (mark, stopped) in [(None, true), (Some(now() - 1000), false), (Some(now() + 1), true)] {
            let mut entry = entry.clone();
            if let Some(mark) = mark {
                entry["not_before"] = json!(mark);
            }
            api.gateway.replace("revoked.yaml", json!([entry]).to_string());
            assert_eq!(api.gateway.reload().status, 200);
            let response = api.gateway.send(&orders(&token().sign()));
            if stopped {
                assert_refused(&response, Revoked)
            } else {
                assert_allowed(&response)
            }
            if stopped && others_too {
                assert_refused(&api.gateway.send(&orders(&other)), Revoked);
            } else {
                assert_allowed(&api.gateway.send(&orders(&other)));
            }
            assert_eq!(api.gateway.metric("revocation_entries", &[("kind", &kind)]), 1.0, "{kind}");
        }
    }
    // Nothing presents one: it is kept, and counted.
    let entry = json!([{"kind": "api_key", "issuer": iss, "value": "t-1"}]);
    api.gateway.replace("revoked.yaml", entry.to_string());
    assert_eq!(api.gateway.reload().status, 200);
    assert_allowed(&api.gateway.send(&orders(&token().sign())));
    assert_eq!(api.gateway.metric("revocation_entries", &[("kind", "api_key")]), 1.0);
    // A claim that is not declared is named with its place, and the last good list stays.
    api.gateway.replace("revoked.yaml", "- {kind: claim, claim: devise_id, value: '17'}\n");
    let refused = api.gateway.reload();
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(refused.status >= 400, "{said}");
    for words in ["revoked.yaml:1:24", "did you mean `device_id`?"] {
        assert!(said.contains(words), "{said}");
    }
}
