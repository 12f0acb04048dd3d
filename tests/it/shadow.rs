//! `enforce: shadow` says what would have been refused, and refuses only what is no matter of tokens.

use portcullis::gate::denial::Reason::{HeadersTooLarge, MalformedRequest, MethodNotAllowed, NoRoute};
use serde_json::json;

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::wait::wait_until;

fn api() -> Api {
    let issuer = Issuer::start();
    let revoked = json!([{"kind": "subject", "issuer": issuer.iss, "value": "mallory"}]).to_string();
    Api::with_issuer(issuer, |setup, issuer| {
        let route = "{require: orders:read, enforce: shadow, forward: {headers: {X-Subject: sub}}}";
        let setup = setup.issuer("corp", issuer).no_routes().route("GET /trial", route);
        let setup =
            setup.route("GET /strict", "{require: orders:read, forward: {headers: {X-Subject: sub}}}");
        setup.file("revoked.yaml", &revoked).yaml_tail("revocation: {file: revoked.yaml}")
    })
}

/// What would have been refused goes on, counted under its reason, and as nobody in particular.
#[test]
fn what_would_be_refused_goes_on_as_nobody() {
    let api = api();
    let token = || api.issuer.token().scope("orders:read");
    let stranger = Issuer::start();
    let cases = [
        ("no_credentials", String::new()),
        ("malformed_token", "nonsense".to_owned()),
        ("untrusted_issuer", stranger.mint("orders:read")),
        ("unknown_key", token().header("kid", json!("nobody's")).sign()),
        ("bad_signature", token().with_signature(&[1; 64])),
        ("expired", token().merge(json!({"iat": 1, "exp": 2})).sign()),
        ("wrong_audience", token().set("aud", json!("other")).sign()),
        ("revoked", token().set("sub", json!("mallory")).sign()),
        ("insufficient_scope", token().scope("other").sign()),
    ];
    for (reason, token) in cases {
        let labels = [("decision", "shadow_refuse"), ("reason", reason)];
        let before = api.gateway.metric("decisions_total", &labels);
        let request = Request::get("/trial").header("X-Subject", "forged");
        let request = if token.is_empty() { request } else { request.bearer(&token) };
        assert_allowed(&api.gateway.send(&request));
        let head = api.upstream.last().head;
        assert!(head.aliases("x-subject").is_empty(), "{reason}: an identity was set: {head:?}");
        assert!(head.header("authorization").is_none(), "{reason}: the credential went on");
        wait_until(&format!("{reason} is counted"), || {
            api.gateway.metric("decisions_total", &labels) - before == 1.0
        });
    }
    assert_eq!(api.gateway.metric("decisions_total", &[("decision", "refuse")]), 0.0);
}

#[test]
fn what_would_be_allowed_is_allowed_with_its_identity() {
    let api = api();
    assert_allowed(&api.gateway.get("/trial", &api.reader()));
    assert_eq!(api.upstream.last().head.header("x-subject"), Some("alice"));
    wait_until("it counts as allowed", || {
        api.gateway.metric("decisions_total", &[("decision", "allow")]) == 1.0
    });
}

#[test]
fn hygiene_limits_and_routes_refuse_still() {
    let api = api();
    api.refuses(&Request::get("/nowhere"), NoRoute);
    api.refuses(&Request::post("/trial", ""), MethodNotAllowed);
    api.refuses(&Request::get("/trial").header("X", &"a".repeat(20_000)), HeadersTooLarge);
    api.refuses(&Request::get("/trial").header("Content-Length", "+1"), MalformedRequest);
    api.refuses(&Request::get("/trial%2f"), MalformedRequest);
    // One route's trial is not another's.
    let response = api.gateway.send(&Request::get("/strict"));
    assert_eq!(response.status, 401);
}
