//! CORS as the Fetch standard has it: a preflight is `OPTIONS` with `Origin` and `Access-Control-Request-Method` on
//! a route that takes part, and nothing looser (the `cors_bypass` of other gateways).

use portcullis::gate::denial::Reason::{MethodNotAllowed, NoCredentials, NoRoute};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Request, Response};
use crate::harness::upstream::Then;

const APP: &str = "https://app.example.com";

fn api() -> Api {
    let cors = "cors: {origins: [https://app.example.com, https://b.example.com], credentials: true, \
                headers: [authorization, content-type]}";
    Api::with(|setup| {
        setup
            .route("GET,POST /items", &format!("{{require: items, {cors}}}"))
            .route("DELETE /items", &format!("{{require: items:delete, {cors}}}"))
            .route("GET /open", &format!("{{require: public, {cors}}}"))
            .route("GET /anybody", "{require: public, cors: {origins: ['*']}}")
            .route("GET,OPTIONS /own", &format!("{{require: items, {cors}}}"))
    })
}

fn preflight(path: &str, origin: &str, method: &str) -> Request {
    Request::new("OPTIONS", path).header("Origin", origin).header("Access-Control-Request-Method", method)
}

fn lists(response: &Response, header: &str, word: &str) -> bool {
    response.all(header).iter().any(|line| line.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
}

#[test]
fn a_preflight_is_answered_here_without_a_token() {
    let api = api();
    for method in ["GET", "POST", "DELETE"] {
        let request = preflight("/items", APP, method)
            .header("Access-Control-Request-Headers", "authorization,content-type");
        let response = api.gateway.send(&request);
        assert!(matches!(response.status, 200 | 204), "{method}: {response:?}");
        assert!(response.body.is_empty(), "{response:?}");
        assert_eq!(response.all("access-control-allow-origin"), [APP]);
        assert_eq!(response.all("access-control-allow-credentials"), ["true"]);
        assert!(lists(&response, "access-control-allow-methods", method), "{method}: {response:?}");
        for header in ["authorization", "content-type"] {
            assert!(lists(&response, "access-control-allow-headers", header), "{response:?}");
        }
        assert!(lists(&response, "vary", "origin"), "{response:?}");
    }
    assert_eq!(api.upstream.count(), 0);
}

/// Who is not named gets no permission, however close the name.
#[test]
fn another_origin_is_told_nothing() {
    let api = api();
    let origins = [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com.evil.test",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://xapp.example.com",
        "https://app.example.com,https://evil.test",
        "null",
        "*",
        "",
    ];
    for origin in origins {
        for request in [preflight("/items", origin, "GET"), Request::get("/open").header("Origin", origin)] {
            let response = api.gateway.send(&request);
            assert!(response.header("access-control-allow-origin").is_none(), "{origin}: {response:?}");
            assert!(response.header("access-control-allow-credentials").is_none(), "{origin}: {response:?}");
        }
    }
    assert!(
        api.upstream.requests().iter().all(|seen| seen.head.method == "GET"),
        "a preflight reached the upstream"
    );
}

#[test]
fn h12_nothing_looser_is_a_preflight() {
    let api = api();
    // No Origin, no method, or a route that takes no part: an ordinary OPTIONS.
    let ordinary = [
        (Request::new("OPTIONS", "/items"), MethodNotAllowed),
        (Request::new("OPTIONS", "/items").header("Origin", APP), MethodNotAllowed),
        (Request::new("OPTIONS", "/items").header("Access-Control-Request-Method", "GET"), MethodNotAllowed),
        (preflight("/orders/1", APP, "GET"), MethodNotAllowed),
        (preflight("/nowhere", APP, "GET"), NoRoute),
        (Request::new("OPTIONS", "/own").header("Origin", APP), NoCredentials),
        (Request::new("OPTIONS", "/own").header("Access-Control-Request-Method", "GET"), NoCredentials),
    ];
    for (request, reason) in ordinary {
        api.refuses(&request, reason);
    }
    // The headers of a preflight on another method open nothing.
    for method in ["GET", "POST", "DELETE"] {
        let request = Request::new(method, "/items")
            .header("Origin", APP)
            .header("Access-Control-Request-Method", "GET");
        api.refuses(&request, NoCredentials);
    }
    // A method that no route of the path has.
    let response = api.gateway.send(&preflight("/items", APP, "PATCH"));
    assert!(!lists(&response, "access-control-allow-methods", "PATCH"), "{response:?}");
    assert_eq!(api.upstream.count(), 0);
}

/// A page may read why it was refused.
#[test]
fn refusals_carry_the_headers_too() {
    let api = api();
    let with = |request: Request| request.header("Origin", APP);
    let token = api.issuer.mint("other");
    for (request, status) in [
        (with(Request::get("/items")), 401),
        (with(Request::get("/items").bearer(&token)), 403),
        (with(Request::get("/items").bearer("nonsense")), 401),
    ] {
        let response = api.gateway.send(&request);
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.all("access-control-allow-origin"), [APP], "{response:?}");
        assert_eq!(response.all("access-control-allow-credentials"), ["true"]);
        assert!(lists(&response, "vary", "origin"), "{response:?}");
    }
    // Also when the upstream is gone.
    api.upstream.go_down();
    let response = api.gateway.send(&with(Request::get("/open")));
    assert_eq!(
        (response.status, response.all("access-control-allow-origin")),
        (502, vec![APP]),
        "{response:?}"
    );
}

/// What the upstream says of CORS on such a route is not what the page is told.
#[test]
fn the_routes_word_replaces_the_upstreams() {
    let api = api();
    let answer = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nAccess-Control-Allow-Origin: *\r\n\
                  Access-Control-Allow-Methods: DELETE\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok";
    for path in ["/open", "/health"] {
        api.upstream.on_raw(path, answer, Then::Keep);
    }
    let response = api.gateway.send(&Request::get("/open").header("Origin", APP));
    assert_allowed(&response);
    assert_eq!(response.all("access-control-allow-origin"), [APP], "{response:?}");
    assert!(response.header("access-control-allow-methods").is_none(), "{response:?}");
    assert!(lists(&response, "vary", "accept") && lists(&response, "vary", "origin"), "{response:?}");
    let response = api.gateway.send(&Request::get("/open").header("Origin", "https://evil.test"));
    assert!(response.header("access-control-allow-origin").is_none(), "{response:?}");
    // A shared cache must not give one origin's answer to another, so the variance is said without one too.
    let response = api.gateway.send(&Request::get("/open"));
    assert!(lists(&response, "vary", "origin"), "{response:?}");
    // A route that takes no part passes the upstream's word on.
    let response = api.gateway.send(&Request::get("/health").header("Origin", APP));
    assert_eq!(response.all("access-control-allow-origin"), ["*"]);
}

#[test]
fn any_origin_is_any_origin_without_credentials() {
    let api = api();
    let response = api.gateway.send(&Request::get("/anybody").header("Origin", "https://whoever.test"));
    assert_allowed(&response);
    assert_eq!(response.all("access-control-allow-origin"), ["*"]);
    assert!(response.header("access-control-allow-credentials").is_none(), "{response:?}");
    assert_refused(
        &api.gateway.send(&preflight("/orders/1", "https://whoever.test", "GET")),
        MethodNotAllowed,
    );
}
