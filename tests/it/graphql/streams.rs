//! Answers that come in pieces: event streams (graphql-sse) and `multipart/mixed` (`@defer`, Apollo's subscriptions).

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::Api;
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::Issuer;
use crate::harness::token::now;
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, wait_until};

const GRAPHQL: &str = "{issuers: [corp], graphql: {permission: '{operation}:{field}', public: [Query]}}";

fn api() -> Api {
    Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup
            .issuer_with("corp", issuer, "leeway: 0s")
            .route("POST,GET /graphql", &format!("{{require: {GRAPHQL}}}"))
            .route("/any", &format!("{{require: {GRAPHQL}}}"))
            .yaml_tail("store: {sqlite: portcullis.db}\nrevocation: {recheck_streams: 1h}\n")
    })
}

fn asked(path: &str, accept: &str, query: &str) -> Request {
    Request::post(path, json!({"query": query}).to_string())
        .header("Content-Type", "application/json")
        .header("Accept", accept)
}

/// An answer of this type whose first piece has come, and whose second does not.
fn begun(api: &Api, media: &str, request: &Request, first: &str) -> Connection {
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    // Held as long as the process: the upstream never ends it.
    std::mem::forget(hold);
    let piece = format!("{:x}\r\n{first}\r\n", first.len());
    api.upstream.on("/graphql", move |exchange| {
        exchange.body()?;
        exchange.write(format!("{head}{piece}").as_bytes())?;
        held.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
        Ok(Then::Close)
    });
    let mut connection = api.gateway.connect();
    connection.write(&request.octets());
    // It came through while the rest is still to come: nothing waits for it.
    let read = connection.read_until(first);
    assert!(read.contains(media), "{read}");
    connection
}

const EVENTS: &str = "text/event-stream";
const PARTS: &str = "multipart/mixed; boundary=\"-\"; deferSpec=20220824";
const FIRST_EVENT: &str = "event: next\ndata: {\"data\":{\"a\":1}}\n\n";
const FIRST_PART: &str = "---\r\nContent-Type: application/json\r\n\r\n{\"data\":{},\"hasNext\":true}\r\n---";

#[test]
fn r8_an_answer_in_pieces_is_passed_at_once_and_ends_with_its_token() {
    let api = api();
    let token = |jti: &str, end: i64| {
        let token = api.issuer.token().scope("Subscription:ticks Mutation:a");
        token.set("jti", json!(jti)).set("exp", json!(now() + end)).sign()
    };
    for (stolen, media, query, first) in [
        ("b1", EVENTS, "subscription { ticks }", FIRST_EVENT),
        ("b2", PARTS, "subscription { ticks }", FIRST_PART),
        ("b3", PARTS, "mutation { a { ... @defer { b } } }", FIRST_PART),
    ] {
        let request = asked("/graphql", media, query);
        let mut expires = begun(&api, media, &request.clone().bearer(&token("a", 3)), first);
        let mut revoked = begun(&api, media, &request.clone().bearer(&token(stolen, 900)), first);
        let mut other = begun(&api, media, &request.bearer(&token("c", 900)), first);
        let admin = api.gateway.ports.admin;
        let entry = json!({"kind": "jti", "issuer": api.issuer.iss, "value": stolen});
        let post = Request::post("/v1/revocations", entry.to_string()).host(&admin.to_string());
        assert_eq!(Connection::open(admin).unaudited().send(&post).status, 201);
        assert!(revoked.ends_within(PATIENCE), "{media}: revoked");
        assert!(expires.ends_within(PATIENCE), "{media}: expired");
        assert!(!other.ends_within(Duration::from_millis(300)), "{media}: another token's goes on");
    }
}

#[test]
fn what_is_public_comes_in_pieces_without_a_token() {
    let api = api();
    for (media, first) in [(EVENTS, FIRST_EVENT), (PARTS, FIRST_PART)] {
        drop(begun(&api, media, &asked("/graphql", media, "{ a ... @defer { b } }"), first));
    }
    api.refuses(&asked("/graphql", EVENTS, "subscription { ticks }"), Reason::NoCredentials);
}

/// Graphql-sse's single connection mode: whose stream it is, only the upstream knows.
#[test]
fn streams_that_are_reserved_are_not_served() {
    let api = api();
    let token = api.issuer.token().scope("Subscription:ticks").sign();
    let before = api.upstream.count();
    for path in ["/graphql", "/any"] {
        for method in ["PUT", "DELETE"] {
            let request = Request::new(method, &format!("{path}?operationId=1")).bearer(&token);
            assert_eq!(api.gateway.send(&request).status, 405, "{method} {path}");
            let named = request.header("X-GraphQL-Event-Stream-Token", "t");
            assert!(matches!(api.gateway.send(&named).status, 400 | 405), "{method} {path}");
        }
        // A client of events is told by an event, as everywhere.
        let open = Request::get(path).header("Accept", EVENTS).header("X-GraphQL-Event-Stream-Token", "t");
        let other = Request::get(&format!("{path}?token=t")).header("Accept", EVENTS);
        for open in [open, other] {
            let answer = api.gateway.send(&open.header("graphql-require-preflight", "1"));
            assert!(answer.text().contains("\"errors\""), "{answer:?}");
            assert_eq!(answer.header("x-upstream"), None, "{answer:?}");
        }
        let run = asked(path, "application/json", "{ a }").header("X-GraphQL-Event-Stream-Token", "t");
        assert_eq!(api.gateway.send(&run).status, 400);
        // The name may stand in the URL, in any spelling that some server reads.
        for parameter in ["token=t", "a=1&%74oken=t", "Token[]=t", "a=1;token=t"] {
            let run = asked(&format!("{path}?{parameter}"), "application/json", "{ a }").bearer(&token);
            assert_eq!(api.gateway.send(&run).status, 400, "{parameter}");
            let run = Request::get(&format!("{path}?query=%7Ba%7D&{parameter}"));
            assert_eq!(api.gateway.send(&run.header("graphql-require-preflight", "1")).status, 400);
        }
    }
    wait_until("nothing got there", || api.upstream.count() == before);
}
