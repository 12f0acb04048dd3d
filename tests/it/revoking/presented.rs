//! A token that is held out is revoked: itself, and its session (threats R1, R7). The gateway believes it no more than in a
//! request.

use std::fs;

use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::canary;
use crate::harness::issuer::Issuer;
use crate::harness::keys::random_name;
use crate::revoking::{PATH, Revoked, STORE, ask, list, orders, post};

fn api() -> Api {
    Api::with(|setup| {
        setup.yaml_tail(&format!("{STORE}audit: {{file: audit.jsonl}}\n")).log("{level: debug}")
    })
}

/// A token with these claims beside the usual ones.
fn with(api: &Api, claims: &Value) -> String {
    let token = api.issuer.token().scope("orders:read");
    let claims = claims.as_object().expect("an object");
    let changed = claims.iter().fold(token, |token, (name, value)| {
        if value.is_null() { token.without(name) } else { token.set(name, value.clone()) }
    });
    changed.sign()
}

fn in_session(api: &Api, jti: &str, sid: &str) -> String {
    with(api, &json!({"jti": jti, "sid": sid}))
}

#[test]
fn r7_a_token_that_is_held_out_is_revoked_and_its_session_with_it() {
    let api = api();
    let sid = random_name();
    let [token, sibling] = ["t-1", "t-2"].map(|jti| in_session(&api, jti, &sid));
    let stranger = in_session(&api, "t-3", &random_name());
    for token in [&token, &sibling, &stranger] {
        assert_allowed(&api.gateway.send(&orders(token)));
    }
    let held = json!({"token": token, "reason": "left on a train"});
    let rehearsed = ask(&api, "POST", &format!("{PATH}?dry_run=true"), Some(&held.to_string()));
    assert_eq!(rehearsed.status, 200, "{rehearsed:?}");
    assert_allowed(&api.gateway.send(&orders(&token)));
    let response = post(&api, &held);
    assert_eq!(response.status, 201, "{response:?}");
    let entries = response.json()["entries"].as_array().expect("entries").clone();
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["jti", "session"]);
    assert!(
        entries
            .iter()
            .all(|entry| entry["reason"] == "left on a train" && entry["issuer"] == *api.issuer.iss)
    );
    // As long as it is accepted, and a session as long as nobody lifts it.
    assert!(entries[0]["expires"].is_i64() && entries[1]["expires"].is_null(), "{response:?}");
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_refused(&api.gateway.send(&orders(&sibling)), Revoked);
    assert_allowed(&api.gateway.send(&orders(&stranger)));
    // The token is nowhere, nor any part of it that would do.
    let signature = token.rsplit('.').next().expect("a signature");
    let audit = fs::read_to_string(api.gateway.directory.path().join("audit.jsonl")).expect("the audit file");
    assert!(audit.contains("left on a train"), "{audit}");
    for said in [rehearsed.text(), response.text(), list(&api, "").to_string(), audit, api.gateway.logs()] {
        assert!(!said.contains(signature) && !said.contains(&sid), "I4: {said}");
    }
    // Beside other entries, and with an end for the session.
    let other = in_session(&api, "t-4", "s-4");
    let both = json!([{"token": other, "expires": 4_000_000_000_u64}, {"kind": "jti", "issuer": api.issuer.iss, "value": "t-3"}]);
    let response = post(&api, &both);
    assert_eq!(response.json()["entries"][1]["expires"], json!(4_000_000_000_u64), "{response:?}");
    assert_refused(&api.gateway.send(&orders(&other)), Revoked);
    assert_refused(&api.gateway.send(&orders(&stranger)), Revoked);
}

#[test]
fn r4_a_token_with_an_id_alone_or_a_session_alone_is_revoked_by_it() {
    let api = api();
    for (claims, kind) in [(json!({"jti": "t-1"}), "jti"), (json!({"sid": "s-1", "jti": null}), "session")] {
        let token = with(&api, &claims);
        let response = post(&api, &json!({"token": token}));
        assert_eq!(response.status, 201, "{response:?}");
        let entries = response.json()["entries"].as_array().expect("entries").clone();
        assert_eq!((entries.len(), &entries[0]["kind"]), (1, &json!(kind)));
        assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    }
}

/// Who could have a session ended by writing it into a token of their own would have anybody's.
#[test]
fn j1_what_no_key_of_ours_signed_revokes_nothing() {
    let api = api();
    let victim = in_session(&api, "t-1", "s-1");
    let stranger = Issuer::start();
    let forged = {
        let (head, _) = victim.rsplit_once('.').expect("a token");
        let (_, signature) = in_session(&api, "t-2", "s-1")
            .rsplit_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("a token");
        format!("{head}.{signature}")
    };
    let of = |issuer: &Issuer| {
        issuer
            .token()
            .set("iss", json!(api.issuer.iss))
            .set("sid", json!("s-1"))
            .set("jti", json!("x"))
            .sign()
    };
    let mut tokens = vec![
        (forged, "bad_signature"),
        (stranger.token().set("sid", json!("s-1")).sign(), "untrusted_issuer"),
        ("not.a.token".to_owned(), "malformed_token"),
        (String::new(), "malformed_token"),
        (with(&api, &json!({"jti": null, "sid": null})), "revoke its subject"),
    ];
    tokens.push((of(&stranger), ""));
    for (token, word) in tokens {
        let response =
            post(&api, &json!([{"token": token}, {"kind": "jti", "issuer": api.issuer.iss, "value": "t-9"}]));
        assert_eq!((response.status, response.reason().as_str()), (422, "entries_refused"), "{response:?}");
        let problems = response.json()["problems"].to_string();
        assert!(problems.contains("entry 1: ") && problems.contains(word), "{word}: {problems}");
        assert!(
            token.len() < 12 || !response.text().contains(token.rsplit('.').next().expect("a part")),
            "I4"
        );
    }
    for held in [
        json!({"token": victim, "kind": "jti"}),
        json!({"token": victim, "value": "x"}),
        json!({"token": 7}),
        json!({"token": [victim]}),
        json!({"token": victim, "expires": 1_900_000_000_000_u64}),
    ] {
        let response = post(&api, &held);
        assert_eq!(response.status, 422, "{held}: {response:?}");
        assert!(!response.text().contains(victim.rsplit('.').next().expect("a part")), "I4: {response:?}");
    }
    assert_allowed(&api.gateway.send(&orders(&victim)));
    assert_eq!(list(&api, "")["entries"], json!([]));
}

#[test]
fn an_expired_token_needs_no_entry_and_it_is_said() {
    let api = api();
    let past = api
        .issuer
        .token()
        .scope("orders:read")
        .set("jti", json!("t-1"))
        .set("exp", json!(1_700_000_000))
        .sign();
    let response = post(&api, &json!({"token": past}));
    assert_eq!((response.status, &response.json()["entries"]), (200, &json!([])), "{response:?}");
    let warnings = response.json()["warnings"].to_string();
    assert!(warnings.contains("entry 1: the token has expired"), "{warnings}");
    assert!(canary::find(&response.text()).is_none(), "I4: {response:?}");
    assert_eq!(list(&api, "")["entries"], json!([]));
}

/// A thousand at once, and each may come to two entries.
#[test]
fn more_entries_than_a_batch_has_are_refused_whole() {
    let api = api();
    let token = in_session(&api, "t-1", "s-1");
    let many: Vec<Value> = (0..501).map(|_| json!({"token": token})).collect();
    let response = post(&api, &json!(many));
    assert_eq!(response.status, 422, "{response:?}");
    assert!(response.text().contains("1002 entries, and at most 1000"), "{response:?}");
    assert_allowed(&api.gateway.send(&orders(&token)));
}
