//! Who may open a WebSocket: a page of another origin brings the user's cookies too (threats S7), and a handshake
//! needs what any request needs.

use portcullis::gate::denial::Reason::{ConditionFailed, InsufficientScope, NoCredentials};

use crate::harness::api::{Api, assert_refused};
use crate::harness::canary;
use crate::harness::client::Request;
use crate::harness::websocket::{WebSocket, echo, handshake};

const APP: &str = "https://app.example.com";

fn api() -> Api {
    let api = Api::with_issuer(crate::harness::issuer::Issuer::start(), |setup, issuer| {
        let places = "from: [bearer, {cookie: sid}, {query: access_token}]";
        let cors = |more: &str| format!("{{require: public, cors: {{origins: [{APP:?}]{more}}}}}");
        setup
            .issuer_with("corp", issuer, places)
            .route("GET /chat", "orders:read")
            .route("/ws/own", "public")
            .route("/ws/none", "{require: public, websocket: none}")
            .route("/ws/any", "{require: public, websocket: any}")
            .route("/ws/list", &format!("{{require: public, websocket: {{origins: [{APP:?}]}}}}"))
            .route("/ws/cors", &cors(""))
            .route("/ws/cors-bare", &cors(", credentials: false"))
            .route("/ws/cors-star", "{require: public, cors: {origins: '*', credentials: false}}")
            .route("/ws/shadow", "{require: orders:read, enforce: shadow}")
    });
    api.upstream.on("*", echo);
    api
}

fn from(target: &str, origin: &str) -> Request {
    handshake(target).header("Origin", origin)
}

#[test]
fn s7_a_page_of_another_origin_is_refused_before_the_upstream_hears_of_it() {
    let api = api();
    let evil = "https://evil.test";
    for target in
        ["/ws/own", "/ws/list", "/ws/cors", "/ws/cors-bare", "/ws/cors-star", "/ws/shadow", "/ws/none"]
    {
        for origin in [evil, "null", "", "https://api.test.evil.test", "https://api.test:444"] {
            assert_refused(&api.gateway.send(&from(target, origin)), ConditionFailed);
        }
    }
    // Cookies come along from any page; that they are good does not help it.
    let cookie = format!("sid={}", api.reader());
    let answer = api.gateway.send(&from("/chat", evil).header("Cookie", &cookie));
    assert_refused(&answer, ConditionFailed);
    // What a rule without credentials lets a page read, it does not let it open with cookies.
    for target in ["/ws/cors-bare", "/ws/cors-star"] {
        assert_refused(&api.gateway.send(&from(target, APP)), ConditionFailed);
    }
    // `none` is for programs too, and the list is the whole list.
    assert_refused(&api.gateway.send(&handshake("/ws/none")), ConditionFailed);
    assert_refused(&api.gateway.send(&from("/ws/none", "http://api.test")), ConditionFailed);
    assert_refused(&api.gateway.send(&from("/ws/list", "http://api.test")), ConditionFailed);
    assert_eq!((api.upstream.count(), api.upstream.connections()), (0, 0));
}

#[test]
fn s7_the_own_page_and_those_that_are_named_may() {
    let api = api();
    for (target, origin) in [
        ("/ws/own", "http://api.test"),
        ("/ws/own", "https://api.test"),
        ("/ws/any", "https://evil.test"),
        ("/ws/any", "null"),
        ("/ws/list", APP),
        ("/ws/cors", APP),
        ("/ws/cors", "https://api.test"),
        ("/ws/shadow", "https://api.test"),
    ] {
        WebSocket::open(&api.gateway, &from(target, origin)).echoes(origin);
    }
    for target in ["/ws/own", "/ws/any", "/ws/list", "/ws/cors", "/ws/cors-bare", "/ws/cors-star"] {
        WebSocket::open(&api.gateway, &handshake(target)).echoes("no browser");
    }
    // A request that is no handshake knows nothing of it.
    let mut connection = api.gateway.connect();
    connection.write(&Request::get("/ws/none").header("Origin", "https://evil.test").octets());
    assert!(
        connection.read_until("\r\n\r\n").starts_with("HTTP/1.1 502"),
        "the upstream's 101 answers nobody"
    );
}

#[test]
fn s7_a_handshake_without_a_token_is_401_and_no_upstream_connection() {
    let api = api();
    assert_refused(&api.gateway.send(&handshake("/chat")), NoCredentials);
    let other = api.issuer.mint("orders:write");
    assert_refused(&api.gateway.send(&handshake("/chat").bearer(&other)), InsufficientScope);
    let page = from("/chat", "https://api.test");
    assert_refused(&api.gateway.send(&page), NoCredentials);
    assert_eq!((api.upstream.count(), api.upstream.connections()), (0, 0));
    WebSocket::open(&api.gateway, &handshake("/chat").bearer(&api.reader())).echoes("hello");
}

/// A browser cannot set `Authorization` on a handshake: its token stands in a cookie or the query, and goes no further.
#[test]
fn s6_tokens_in_a_cookie_or_the_query_open_it_and_stay_here() {
    let api = api();
    let token = api.reader();
    for request in [
        from("/chat", "https://api.test").header("Cookie", &format!("theme=dark; sid={token}")),
        from(&format!("/chat?access_token={token}&room=1"), "https://api.test"),
        handshake("/chat").bearer(&token),
    ] {
        WebSocket::open(&api.gateway, &request).echoes("hello");
        let seen = api.upstream.last().head;
        let all = format!("{} {:?}", seen.target, seen.headers);
        assert!(canary::find(&all).is_none(), "the token travelled on: {all}");
    }
    assert_eq!(api.upstream.requests()[0].head.header("cookie"), Some("theme=dark"));
    assert_eq!(api.upstream.requests()[1].head.target, "/chat?room=1");
}

#[test]
fn shadow_lets_a_handshake_pass_and_counts_it() {
    let api = api();
    WebSocket::open(&api.gateway, &handshake("/ws/shadow")).echoes("hello");
    let labels = [("decision", "shadow_refuse"), ("reason", "no_credentials")];
    crate::harness::wait::wait_until("it is counted", || {
        api.gateway.metric("decisions_total", &labels) == 1.0
    });
}

#[test]
fn explain_tells_the_step() {
    let api = api();
    let say = |origin: &str| {
        let arguments: Vec<String> =
            ["explain", "--config", "portcullis.yaml", "--method", "GET", "--url", "http://api.test/ws/own"]
                .into_iter()
                .map(str::to_owned)
                .chain(
                    [
                        "Connection: upgrade",
                        "Upgrade: websocket",
                        "Sec-WebSocket-Version: 13",
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                        origin,
                    ]
                    .into_iter()
                    .flat_map(|line| ["--header".to_owned(), line.to_owned()]),
                )
                .collect();
        crate::harness::process::run(api.gateway.directory.path(), &arguments)
    };
    say("Origin: https://api.test").code(0).says(&["websocket", "the host's own origin"]);
    say("Origin: https://evil.test").code(1).says(&["condition_failed"]);
}
