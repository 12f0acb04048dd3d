//! One test a fault that was found, named after it.

use portcullis::gate::denial::Reason::{ConditionFailed, MalformedRequest};
use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::wait_until;

const TENANT: &str = r#"{require: {when: 'claims.tid == request.headers["x-tenant"]'}}"#;

#[test]
fn a_condition_was_met_by_a_header_that_connection_took_away() {
    let api = Api::with(|setup| setup.route("GET /tenant", TENANT));
    let token = api.issuer.token().set("tid", json!("a")).sign();
    let request = Request::get("/tenant").bearer(&token).header("X-Tenant", "a");
    api.allows(&request);
    let request =
        Request::get("/tenant").bearer(&token).header("X-Tenant", "a").header("Connection", "x-tenant");
    api.refuses(&request, ConditionFailed);
}

#[test]
fn a_condition_was_met_beside_another_spelling_of_its_header() {
    let api = Api::with(|setup| setup.route("GET /tenant", TENANT));
    let token = api.issuer.token().set("tid", json!("a")).sign();
    for alias in ["X_Tenant", "x.tenant", "X-TENANT"] {
        let request = Request::get("/tenant").bearer(&token).header("X-Tenant", "a").header(alias, "b");
        api.refuses(&request, ConditionFailed);
    }
}

#[test]
fn a_condition_read_the_first_of_two_parameters_and_the_upstream_the_last() {
    let route = "{require: {when: 'claims.sub == request.query.user'}}";
    let api = Api::with(|setup| setup.route("GET /own", route));
    let token = api.issuer.token().set("sub", json!("me")).sign();
    api.allows(&Request::get("/own?user=me").bearer(&token));
    for target in ["/own?user=me&user=victim", "/own?user=me&us%65r=victim", "/own?user=victim"] {
        api.refuses(&Request::get(target).bearer(&token), ConditionFailed);
    }
}

#[test]
fn a_named_peer_was_sent_its_address_as_host() {
    let upstream = Upstream::start();
    let issuer = Issuer::start();
    let named = format!("localhost:{}", upstream.address.port());
    let value = format!("{{peers: ['http://{named}'], host: upstream}}");
    let gateway = usual(&upstream).upstream_as("api", &value).issuer("corp", &issuer).start();
    assert_allowed(&gateway.send(&Request::get("/health")));
    assert_eq!(upstream.last().head.all("host"), [named.as_str()]);
}

/// A body that is still on its way when the head is decided, then an answer that never ends: the client's end is
/// that of the whole, also when it had sent ahead.
#[test]
fn a_client_that_left_a_silent_stream_held_its_place_for_ever() {
    let api = Api::with(|setup| setup.route("POST /events", "public"));
    api.upstream.on("/events", |exchange| {
        exchange.body()?;
        exchange.write(
            b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
        )?;
        while !exchange.read_some()?.is_empty() {}
        Ok(Then::Close)
    });
    let open = || api.gateway.metric("connections", &[]);
    let before = open();
    for ahead in ["", "G"] {
        let mut connection = api.gateway.connect();
        connection.write(b"POST /events HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\n\r\n");
        connection.write(b"body");
        connection.read_until("data: 1");
        connection.write(ahead.as_bytes());
        wait_until("it is open", || open() > before);
        drop(connection);
        wait_until("and gone", || open() == before);
    }
}

#[test]
fn a_removed_issuer_took_the_remembered_tokens_of_another_with_it() {
    let (first, second) = (Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let gateway = usual(&upstream).workers(1).issuer("first", &first).issuer("second", &second).start();
    let token = second.mint("orders:read");
    assert_allowed(&gateway.get("/orders/1", &token));
    gateway.rewrite(|yaml| {
        yaml.lines().filter(|line| !line.contains("\"first\":")).map(|line| format!("{line}\n")).collect()
    });
    assert_eq!(gateway.reload().status, 200);
    assert_allowed(&gateway.get("/orders/1", &token));
}

/// `keep` is for the credential that was verified, and a query is no place to keep one.
#[test]
fn keep_forwarded_the_credentials_of_other_issuers_too() {
    let (corp, other) = (Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let from = "from: [{header: X-Token}, {cookie: sid}, {query: token}]";
    let gateway = usual(&upstream)
        .issuer("corp", &corp)
        .issuer_with("other", &other, from)
        .route("GET /keep", "{require: {issuers: [corp]}, forward: {authorization: keep}}")
        .start();
    let request =
        Request::get("/keep?a=1&token=forged&t%6Fken=forged&b=2;token=forged&c=3").bearer(&corp.mint(""));
    let request = request
        .header("X-Token", "forged")
        .header("X_Token", "forged")
        .header("Cookie", "a=1; sid=forged; b=2");
    assert_allowed(&gateway.send(&request));
    let head = upstream.last().head;
    assert_eq!(head.target, "/keep?a=1&c=3");
    assert!(head.header("authorization").is_some());
    assert_eq!(head.all("cookie"), ["a=1; b=2"]);
    assert!(!upstream.raw().contains("forged"), "{}", upstream.raw());
}

#[test]
fn a_shadowed_route_let_what_is_malformed_pass() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let route = "{require: orders:read, enforce: shadow}";
    let gateway = usual(&upstream).issuer("corp", &issuer).route("GET /trial", route).start();
    let request = Request::get("/trial").header("Authorization", "Bearer a,b");
    assert_refused(&gateway.send(&request), MalformedRequest);
    assert_eq!(upstream.count(), 0);
}

/// One CRLF after a body is no beginning of a head that then takes too long.
#[test]
fn a_stray_line_end_after_a_body_was_answered_408() {
    let api =
        Api::with(|setup| setup.limits("header_time: 200ms, idle_time: 1s").route("POST /upload", "public"));
    let mut connection = api.gateway.connect();
    connection.write(b"POST /upload HTTP/1.1\r\nHost: api.test\r\nContent-Length: 2\r\n\r\nhi\r\n");
    assert_eq!(connection.answer().status, 200);
    assert!(connection.read_to_end().is_empty(), "an answer that nobody asked for");
}

/// To JSON, and to what is generated from a schema, `7.0` is a whole number.
#[test]
fn a_time_with_a_point_and_nothing_behind_it_was_refused() {
    let api = Api::with(|setup| setup.quiet().yaml_tail("store: {sqlite: portcullis.db}"));
    let host = api.gateway.ports.admin.to_string();
    for (time, status) in
        [("7.0", 200), ("7e0", 200), ("null", 200), ("7.5", 422), ("1e300", 422), ("-1.0", 422)]
    {
        let entry = format!("{{\"kind\": \"all\", \"not_before\": {time}}}");
        let response =
            api.gateway.send_admin(&Request::post("/v1/revocations?dry_run=true", entry).host(&host));
        assert_eq!(response.status, status, "{time}: {response:?}");
        let read = &response.json()["entries"][0]["not_before"];
        assert!(status != 200 || time == "null" || *read == json!(7), "{time}: {read}");
    }
}

/// Refusals wait for nothing: a connection on which they had been asked for ahead was served to its end first.
#[test]
fn a_client_that_asked_ahead_kept_the_others_waiting() {
    let api = Api::with(|setup| setup.workers(1));
    let (mut greedy, mut other) = (api.gateway.connect(), api.gateway.connect());
    for connection in [&mut greedy, &mut other] {
        assert_eq!(connection.send(&Request::get("/nowhere")).status, 404);
    }
    api.gateway.stopped(|| {
        greedy.write(&Request::get("/greedy").octets().repeat(1000));
        other.write(&Request::get("/other").octets());
    });
    let answer = other.answer();
    // A worker numbers its requests.
    let number = answer.json()["request_id"].as_str().map(|id| u64::from_str_radix(&id[16..], 16));
    let number = number.expect("every refusal has an id").expect("in hexadecimal digits");
    assert!(number < 300, "{number} requests were answered before: {answer:?}");
}
