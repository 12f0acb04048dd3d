//! Documents that are known by a name: what goes on is their text.

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::graphql::posted::{CREATE, ROUTE, api, body, check, post, refused, route_and, runs};
use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::wait::wait_until;

/// SHA-256 of `{__typename}`.
const TYPENAME: &str = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";

fn hash(document: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document.as_bytes());
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn hashed(hash: &str, query: Option<&str>) -> Request {
    let mut text = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}});
    if let Some(query) = query {
        text["query"] = query.into();
    }
    post(text.to_string())
}

#[test]
fn g16_a_hash_is_resolved_here() {
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        let graphql = route_and("persisted: {automatic: true}");
        let setup = setup.issuer_with("corp", issuer, "scope_match: glob").workers(1);
        setup.route("/graphql", &format!("{{require: {{graphql: {graphql}}}}}"))
    });
    let unknown = api.gateway.send(&hashed(&hash(CREATE), None));
    assert_eq!(unknown.status, 200, "{unknown:?}");
    assert_eq!(unknown.json()["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(unknown.json()["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    check(&api, &hashed(&hash(CREATE), Some("{__typename}")), Some("BAD_REQUEST"));
    assert_eq!(api.upstream.count(), 0);
    // What is known by its hash needs what it needs.
    check(&api, &hashed(&hash(CREATE), Some(CREATE)), Some("UNAUTHENTICATED"));
    check(&api, &hashed(&hash(CREATE), None), Some("UNAUTHENTICATED"));
    let token = api.issuer.mint("Mutation:Person:Create");
    assert_allowed(&api.gateway.send(&hashed(&hash(CREATE), None).bearer(&token)));
    assert_eq!(String::from_utf8_lossy(&api.upstream.last().body), body(CREATE));
    let length = api.upstream.last().head.header("content-length").map(str::to_owned);
    assert_eq!(length, Some(body(CREATE).len().to_string()));
    // By GET, as Apollo's client asks.
    assert_allowed(&api.gateway.send(&hashed(TYPENAME, Some("{__typename}"))));
    let url = format!(
        "/graphql?operationName=&extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{TYPENAME}%22%7D%7D"
    );
    assert_allowed(&api.gateway.send(&Request::get(&url)));
    assert_eq!(api.upstream.last().head.target, "/graphql?query=%7B__typename%7D");
    let url = url.replace(TYPENAME, &hash(CREATE));
    refused(&api, &Request::get(&url), Reason::MethodNotAllowed, "METHOD_NOT_ALLOWED");
}

#[test]
fn g16_a_hash_alone_never_goes_on() {
    let api = api(ROUTE);
    check(&api, &hashed(TYPENAME, None), Some("PERSISTED_QUERY_NOT_SUPPORTED"));
    check(&api, &hashed(TYPENAME, Some(CREATE)), Some("BAD_REQUEST"));
    // Beside its document it goes no further: an upstream that knows hashes would learn this one past the gateway.
    assert_allowed(&api.gateway.send(&hashed(TYPENAME, Some("{__typename}"))));
    assert_eq!(String::from_utf8_lossy(&api.upstream.last().body), body("{__typename}"));
    check(&api, &post(r#"{"documentId":"x"}"#), Some("PERSISTED_QUERY_NOT_SUPPORTED"));
    check(&api, &post(r#"{"query":"{a}","id":"x"}"#), Some("PERSISTED_QUERY_NOT_SUPPORTED"));
}

fn listed(mode: &str) -> Api {
    Api::with_issuer(Issuer::start(), |setup, issuer| {
        let graphql = route_and(&format!("persisted: {{safelist: {{path: ops.json, mode: {mode}}}}}"));
        setup
            .issuer_with("corp", issuer, "scope_match: glob")
            .route("/graphql", &format!("{{require: {{graphql: {graphql}}}}}"))
            .file("ops.json", json!({"q": "{a}", "m": CREATE}).to_string())
    })
}

#[test]
fn a_safelist_refuses_what_is_not_on_it() {
    let api = listed("enforce");
    runs(&api, &post(body("{a}")));
    check(&api, &post(body("{ a }")), Some("QUERY_NOT_IN_SAFELIST"));
    check(&api, &post(body(CREATE)), Some("UNAUTHENTICATED"));
    check(&api, &post(r#"{"id":"nope"}"#), Some("PERSISTED_QUERY_NOT_FOUND"));
    assert_allowed(&api.gateway.send(&post(r#"{"id":"q","variables":{"a":1}}"#)));
    assert_eq!(String::from_utf8_lossy(&api.upstream.last().body), r#"{"query":"{a}","variables":{"a":1}}"#);
    check(&api, &post(r#"{"id":"m"}"#), Some("UNAUTHENTICATED"));
}

#[test]
fn a_safelist_of_ids_takes_ids_alone_and_is_read_again() {
    let api = listed("ids");
    check(&api, &post(body("{a}")), Some("PERSISTED_QUERY_ID_REQUIRED"));
    check(&api, &hashed(&hash("{b}"), None), Some("PERSISTED_QUERY_NOT_FOUND"));
    assert_allowed(&api.gateway.send(&hashed(&hash("{a}"), None)));
    assert_eq!(String::from_utf8_lossy(&api.upstream.last().body), body("{a}"));
    api.gateway.replace("ops.json", json!({"b": "{b}"}).to_string());
    api.gateway.reload();
    wait_until("the new list counts", || api.gateway.send(&post(r#"{"id":"b"}"#)).status == 200);
    check(&api, &post(r#"{"id":"q"}"#), Some("PERSISTED_QUERY_NOT_FOUND"));
}

#[test]
fn a_safelist_that_logs_refuses_nothing() {
    let api = listed("log");
    runs(&api, &post(body("{ other }")));
    let labels = [("route", "/graphql"), ("warning", "safelist")];
    api.gateway.wait_for_metric("graphql_warnings_total", &labels, 1.0);
    // By its hash: what stands in a document may be a password.
    let warned = format!("safelist sha256:{}", hash("{ other }"));
    api.gateway.wait_for_log(&[&warned]);
    check(&api, &post(body(CREATE)), Some("UNAUTHENTICATED"));
}
