//! Requests for endpoints of the gateway's own, as requests: what is not sound is refused as everywhere, what is sound is
//! read whole and answered once, and no upstream hears of either.

mod errors;

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::{Api, assert_refused};
use crate::harness::client::{Outcome, Request, Response, send_raw};
use crate::harness::h2;
use crate::harness::setup::Setup;
use crate::harness::wait::{PATIENCE, wait_until};

/// An endpoint whose answer says what it was sent, to whoever has the only secret.
const ECHO: &str = r#"
credentials: {somebody: {api_keys: {entries: [{id: somebody, secret: {env: SOMEBODY}}]}, from: basic}}
tokens: {token: {sign: {algorithm: HS256, secret: {env: SIGN}}}}
endpoints:
  POST /echo/{name}:
    issue: [token]
    credential: somebody
    answer: {body: {
      body: "{body.a?}", name: "{path.name}", query: "{query.q?}", header: "{header.x-mark?}", id: "{request.id}"}}
    cors: {origins: [https://app.test], headers: [content-type]}
  GET /about: {metadata: {a: b}}
"#;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// `somebody` and the secret, as `Basic` has them.
const SOMEBODY: &str =
    "Authorization: Basic c29tZWJvZHk6YS1zZWNyZXQtb2YtdGhpcnR5LXR3by1vY3RldHMtYW5kLW1vcmU=";

pub fn echo(setup: Setup) -> Setup {
    let secret = "a-secret-of-thirty-two-octets-and-more";
    setup.env("SOMEBODY", secret).env("SIGN", secret).yaml_tail(ECHO)
}

fn api() -> Api {
    Api::with(echo)
}

#[track_caller]
fn assert_echo(response: &Response, body: &str) {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.json()["body"], json!(body), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("pragma"), Some("no-cache"));
}

/// Sends what an endpoint refuses in its own words.
#[track_caller]
fn ask(api: &Api, request: &Request) -> Response {
    api.gateway.connect().unaudited().send(request)
}

/// The same as the beginning of a head.
fn head(target: &str, lines: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: api.test\r\n{SOMEBODY}\r\n{lines}\r\n")
}

fn post(body: &str) -> Request {
    let (name, value) = SOMEBODY.split_once(": ").expect("a line");
    Request::post("/echo/x", body).header("Content-Type", "application/json").header(name, value)
}

/// Counted under the endpoint's own name, whatever came of it.
fn count(api: &Api, status: &str) -> f64 {
    api.gateway.metric("http_requests_total", &[("route", "POST /echo/{name}"), ("status", status)])
}

#[test]
fn a_body_of_one_octet_too_many_is_refused_before_it_is_read() {
    let api = api();
    let large = "a".repeat((64 << 10) + 1);
    api.refuses(&post(&large), Reason::BodyTooLarge);
    let mut connection = api.gateway.connect();
    connection.write(head("/echo/x", "Content-Length: 70000\r\nExpect: 100-continue\r\n").as_bytes());
    let Outcome::Answer(refused) = connection.wait("POST", PATIENCE) else { panic!("no answer") };
    assert_refused(&refused, Reason::BodyTooLarge);
    assert!(refused.closes(), "nobody knows whether the body will follow: {refused:?}");
    wait_until("both are counted", || count(&api, "413") == 2.0);
    let just = format!("{{\"a\": {:?}}}", "a".repeat((64 << 10) - 9));
    assert_eq!(just.len(), 64 << 10);
    assert_eq!(api.gateway.send(&post(&just)).status, 200, "the bound itself is allowed");
}

#[test]
fn chunks_past_the_bound_end_the_connection() {
    let api = api();
    let mut connection = api.gateway.connect();
    connection.write(head("/echo/x", CHUNKED).as_bytes());
    for _ in 0..5 {
        connection.write(format!("4000\r\n{}\r\n", "a".repeat(0x4000)).as_bytes());
    }
    let refused = connection.answer();
    assert_refused(&refused, Reason::BodyTooLarge);
    assert!(refused.closes(), "{refused:?}");
    let smaller = Api::with(|setup| echo(setup).limits("inspected_body: 1KiB"));
    smaller.refuses(&post(&"a".repeat(1025)), Reason::BodyTooLarge);
}

#[test]
fn a_body_that_is_none_is_refused_and_the_connection_closed() {
    let api = api();
    for body in ["5;\r\nhello\r\n0\r\n\r\n", "x\r\n", "5\r\nhelloX\r\n"] {
        let mut connection = api.gateway.connect();
        connection.write((head("/echo/x", CHUNKED) + body).as_bytes());
        let refused = connection.answer();
        assert_refused(&refused, Reason::MalformedRequest);
        assert!(refused.closes(), "{body:?} {refused:?}");
        connection.expect_end();
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_not_waited_for() {
    let api = Api::with(|setup| echo(setup).limits("idle_time: 1s, body_rate: 1KiB"));
    let mut connection = api.gateway.connect();
    connection.write((head("/echo/x", "Content-Length: 100\r\n") + "{").as_bytes());
    let refused = connection.answer();
    assert_refused(&refused, Reason::RequestTimeout);
    assert!(refused.closes(), "{refused:?}");
}

/// What is held of bodies is bounded for all of them together: one that waits with its last octet missing holds it.
#[test]
fn bodies_that_are_held_at_once_are_bounded_together() {
    let api = Api::with(|setup| echo(setup).limits("inspected_total: 100KiB"));
    let head = head("/echo/x", "Content-Length: 65000\r\n");
    let other = post(&"b".repeat(65_000));
    // Which of the two comes first nobody can tell: until it is the one that waits, they try again.
    wait_until("what is held leaves no room", || {
        let mut holding = api.gateway.connect().unaudited();
        holding.write(format!("{head}{}", "a".repeat(64_999)).as_bytes());
        let response = ask(&api, &other);
        let refused =
            (response.status == 503).then(|| assert_refused(&response, Reason::Overloaded)).is_some();
        let small = ask(&api, &post("{\"a\": \"small\"}"));
        holding.write(b"a");
        let whole = holding.answer().status == 200;
        if refused && whole {
            assert_echo(&small, "small");
        }
        refused && whole
    });
    wait_until("there is room again", || ask(&api, &other).status == 200);
}

#[test]
fn what_was_sent_arrives_whole_however_it_is_framed() {
    let api = api();
    let json = "{\"a\": \"h\u{e9}llo\"}";
    assert_echo(&api.gateway.send(&post(json)), "h\u{e9}llo");
    let mut connection = api.gateway.connect();
    connection.write(head("/echo/a%40b%20c+d?q=1%262", &format!("X-Mark: m\r\n{CHUNKED}")).as_bytes());
    for octet in "{\"a\":\"slow\"}".chars() {
        connection.write(format!("1\r\n{octet}\r\n").as_bytes());
    }
    connection.write(b"0\r\nX-Trailer: t\r\n\r\n");
    let response = connection.answer();
    assert_echo(&response, "slow");
    let echo = response.json();
    assert_eq!(
        (&echo["name"], &echo["query"], &echo["header"]),
        (&json!("a@b c+d"), &json!("1&2"), &json!("m"))
    );
    assert!(!response.closes(), "{response:?}");
    assert_eq!(connection.send(&post(json)).status, 200, "the connection goes on");
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let api = api();
    let mut connection = api.gateway.connect();
    let body = "{\"a\":1}";
    connection.write(head("/echo/x", "Expect: 100-continue\r\nContent-Length: 7\r\n").as_bytes());
    let Outcome::Answer(interim) = connection.wait("POST", PATIENCE) else { panic!("no answer") };
    assert_eq!(interim.status, 100);
    connection.write(body.as_bytes());
    assert_eq!(connection.answer().json()["body"], json!(1));
    assert_eq!(connection.send(&post(body)).json()["body"], json!(1), "the connection goes on");
}

#[test]
fn requests_that_follow_in_one_piece_are_answered_in_their_order() {
    let api = api();
    let one = |mark: &str, rest: &str| {
        let body = format!("{{\"a\":{mark:?}}}");
        head("/echo/x", &format!("Content-Length: {}\r\n{rest}", body.len())) + &body
    };
    let chunked = head("/echo/x", CHUNKED) + "9\r\n{\"a\":\"2\"}\r\n0\r\n\r\n";
    let about = "GET /about HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let health = "GET /health HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let all = [&one("1", ""), &chunked, about, health, &one("5", "Connection: close\r\n")].concat();
    let answers = send_raw(api.gateway.ports.public, all.as_bytes());
    let said: Vec<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(answers.len(), 5, "{said:?}");
    for (at, mark) in [(0, "1"), (1, "2"), (4, "5")] {
        assert_echo(&answers[at], mark);
    }
    assert_eq!(answers[2].json(), json!({"a": "b"}));
    assert_eq!((answers[3].status, api.upstream.count()), (200, 1));
    assert!(answers[4].closes());
}

#[test]
fn head_has_no_body_and_another_method_hears_which_there_are() {
    let api = api();
    let get = api.gateway.send(&Request::get("/about"));
    assert_eq!((get.status, get.json()), (200, json!({"a": "b"})));
    let head = api.gateway.send(&Request::new("HEAD", "/about"));
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    let wrong = api.refuses(&Request::new("DELETE", "/about"), Reason::MethodNotAllowed);
    assert_eq!(wrong.header("allow"), Some("GET, HEAD"));
    let old = send_raw(api.gateway.ports.public, b"GET /about HTTP/1.0\r\nHost: api.test\r\n\r\n");
    assert!(old[0].status == 200 && old[0].closes(), "{old:?}");
    api.refuses(&Request::get("/about/.."), Reason::MalformedRequest);
}

#[test]
fn a_page_elsewhere_may_ask_where_the_rule_lets_it() {
    let api = api();
    let preflight = Request::new("OPTIONS", "/echo/x")
        .header("Origin", "https://app.test")
        .header("Access-Control-Request-Method", "POST");
    let answer = api.gateway.send(&preflight);
    assert_eq!(
        (answer.status, answer.header("access-control-allow-methods")),
        (200, Some("POST")),
        "{answer:?}"
    );
    let asked = api.gateway.send(&post("{}").header("Origin", "https://app.test"));
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://app.test"));
    let refused = api.gateway.send(&post(&"a".repeat(70_000)).header("Origin", "https://app.test"));
    assert_refused(&refused, Reason::BodyTooLarge);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.test"));
    let strange = api.gateway.send(&post("{}").header("Origin", "https://evil.test"));
    assert_eq!(strange.header("access-control-allow-origin"), None);
}

#[test]
fn over_http2_it_is_the_same() {
    let api = api();
    let client = h2::client::Client::connect(api.gateway.ports.public);
    assert_echo(&client.send(&post("{\"a\": \"two\"}")), "two");
    assert_refused(&client.send(&post(&"a".repeat(70_000))), Reason::BodyTooLarge);
    let mut stream = client.open(&Request { body: None, ..post("") }, false).expect("a stream");
    stream.send_data(b"{\"a\":", false).expect("room");
    stream.send_data(b"\"parts\"}", true).expect("room");
    assert_echo(&stream.answer().expect("an answer"), "parts");
    let head = client.send(&Request::new("HEAD", "/about"));
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn a_client_that_leaves_costs_nothing_but_its_own_request() {
    let api = api();
    for _ in 0..20 {
        let mut leaving = api.gateway.connect();
        leaving.write((head("/echo/x", "Content-Length: 7\r\n") + "{\"a\"").as_bytes());
        drop(leaving);
        let mut leaving = api.gateway.connect();
        leaving.write(&post("{\"a\":1}").octets());
        drop(leaving);
    }
    assert_echo(&api.gateway.send(&post("{\"a\": \"still\"}")), "still");
    api.gateway.stop();
    api.gateway.wait_for_exit(0);
}

#[test]
fn the_log_says_which_endpoint_and_what_it_came_to() {
    let api = api();
    assert_echo(&api.gateway.send(&post("{\"a\": \"x\"}")), "x");
    let line =
        api.gateway.wait_for_log(&["portcullis::access", "POST /echo/{name}", "\"result\":\"success\""]);
    assert!(line.contains("\"decision\":\"allow\""), "{line}");
    assert_eq!(
        api.gateway.metric("decisions_total", &[("route", "POST /echo/{name}"), ("decision", "allow")]),
        1.0
    );
}
