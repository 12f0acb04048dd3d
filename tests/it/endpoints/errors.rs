//! Refusals in the words of the configuration: of one route, and of all of them.

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::canary;
use crate::harness::client::{Request, Response};

const ALL: &str = r#"errors: {"*": {body: {status: error, why: "{reason}", message: "{message}", id: "{request.id}"}}, expired: {status: 419, headers: {X-Why: "{reason}"}, body: [again]}}"#;
const ONE: &str =
    r#"{require: orders:write, errors: {insufficient_scope: {status: 404, body: {need: "{scope}"}}}}"#;
const RESOURCE: &str = "endpoints: {GET /.well-known/oauth-protected-resource: {resource: {}}}";

fn api() -> Api {
    Api::with(|setup| setup.yaml_tail(ALL).route("GET /own", ONE))
}

/// Asks for what is refused in the configuration's words.
#[track_caller]
fn ask(api: &Api, request: &Request) -> Response {
    let response = api.gateway.connect().unaudited().send(request);
    assert_eq!(canary::find(&format!("{response:?}")), None, "I4");
    response
}

#[test]
fn a_refusal_says_what_the_templates_have_and_keeps_its_challenge() {
    let api = api();
    let none = ask(&api, &Request::get("/orders/1"));
    assert_eq!((none.status, none.header("content-type")), (401, Some("application/json")), "{none:?}");
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"portcullis\""));
    let said = none.json();
    assert_eq!((&said["status"], &said["why"]), (&json!("error"), &json!("no_credentials")));
    assert!(said["id"].as_str().is_some_and(|id| id.len() >= 24), "{said}");

    let old = api.issuer.token().scope("orders:read").set("exp", json!(1)).sign();
    let expired = ask(&api, &Request::get("/orders/1").bearer(&old));
    assert_eq!((expired.status, expired.json()), (419, json!(["again"])), "{expired:?}");
    assert_eq!(expired.header("x-why"), Some("expired"));
    api.gateway.wait_for_metric(
        "http_requests_total",
        &[("route", "GET /orders/{id}"), ("status", "419")],
        1.0,
    );
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn a_routes_own_words_go_before_those_of_all() {
    let api = api();
    let poor = ask(&api, &Request::get("/own").bearer(&api.reader()));
    assert_eq!((poor.status, poor.json()), (404, json!({"need": "orders:write"})), "{poor:?}");
    let none = ask(&api, &Request::get("/own"));
    assert_eq!(none.json()["why"], json!("no_credentials"));
    assert_allowed(&api.gateway.get("/own", &api.issuer.mint("orders:write")));
}

#[test]
fn what_goes_wrong_behind_the_gate_is_worded_too() {
    let api = api();
    api.upstream.go_down();
    let failed = ask(&api, &Request::get("/orders/1").bearer(&api.reader()));
    assert_eq!((failed.status, &failed.json()["why"]), (502, &json!("upstream_failed")), "{failed:?}");
}

#[test]
fn what_matches_no_route_is_answered_in_the_words_of_all() {
    let api = api();
    let (none, method) = (ask(&api, &Request::get("/nowhere")), ask(&api, &Request::new("PUT", "/own")));
    assert_eq!((none.status, &none.json()["why"]), (404, &json!("no_route")), "{none:?}");
    assert_eq!((method.status, &method.json()["why"]), (405, &json!("method_not_allowed")), "{method:?}");
    assert_eq!(method.header("allow"), Some("GET, HEAD"));
    let without = Api::start();
    assert_refused(&without.gateway.send(&Request::get("/nowhere")), Reason::NoRoute);
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn a_challenge_names_the_document_that_says_what_is_wanted() {
    let api = Api::with(|setup| setup.yaml_tail(RESOURCE).listener("trusted_proxies: [127.0.0.1]"));
    let challenge = |request: &Request| {
        let response = api.gateway.send(request);
        response.header("www-authenticate").unwrap_or_default().to_owned()
    };
    let plain = challenge(&Request::get("/orders/1").host("api.test:8080"));
    let path = ".well-known/oauth-protected-resource";
    assert!(plain.contains(&format!("resource_metadata=\"http://api.test:8080/{path}\"")), "{plain}");
    let proxied = Request::get("/orders/1")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "public.test");
    let proxied = challenge(&proxied);
    assert!(proxied.contains(&format!("resource_metadata=\"https://public.test/{path}\"")), "{proxied}");
    let without = Api::start().gateway.send(&Request::get("/orders/1"));
    assert!(!without.header("www-authenticate").unwrap_or_default().contains("resource"), "{without:?}");
}
