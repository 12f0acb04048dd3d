//! Event streams, downloads, uploads and calls of gRPC.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Request;
use crate::harness::h2::client::Client;
use crate::harness::wait::{holds, wait_until};
use crate::http2::scene::Scene;
use crate::lasting::{LATE, api, begun, revoke, token};

const EVENTS: &str = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked";
const CHUNKED: &str = "Transfer-Encoding: chunked";

#[test]
fn r8_an_event_stream_ends_in_good_order_with_its_token() {
    let api = api();
    let mut whole = begun(&api, "/s/events", &token(&api, "a", 900), EVENTS, "data: first\n\n");
    let mut crlf = begun(&api, "/s/crlf", &token(&api, "a", 900), EVENTS, "data: first\r\n\r\n");
    let mut half = begun(&api, "/s/half", &token(&api, "a", 900), EVENTS, "data: an event that has not en");
    let mut encoded = begun(
        &api,
        "/s/gzip",
        &token(&api, "a", 900),
        &format!("Content-Encoding: gzip\r\n{EVENTS}"),
        "first\n\n",
    );
    let mut public = begun(&api, "/any/events", "", EVENTS, "data: first\n\n");
    revoke(&api, "a");
    let start = Instant::now();
    let event = "event: error\ndata: {\"reason\":\"revoked\"}\n\n";
    let last = format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
    for stream in [&mut whole, &mut crlf] {
        assert_eq!(String::from_utf8_lossy(&stream.read_to_end()), last);
    }
    assert!(!half.ends_well(), "half an event passed for everything there was");
    assert!(!encoded.ends_well(), "where its events end cannot be told");
    assert!(start.elapsed() < LATE, "{:?}", start.elapsed());
    assert!(!public.ends_within(Duration::from_millis(300)), "nobody's stream goes on");
    wait_until("they are counted", || {
        api.gateway.metric("streams_closed_total", &[("reason", "revoked")]) == 4.0
    });
}

/// A rehearsal says what a revocation would tear down: streams, however many of them one token has.
#[test]
fn a_dry_run_says_how_many_streams_it_would_end() {
    let api = api();
    let _streams = [
        begun(&api, "/s/1", &token(&api, "a", 900), EVENTS, "data: first\n\n"),
        begun(&api, "/s/2", &token(&api, "a", 900), CHUNKED, "first"),
        begun(&api, "/s/3", &token(&api, "b", 900), EVENTS, "data: first\n\n"),
        begun(&api, "/any/events", "", EVENTS, "data: first\n\n"),
    ];
    let iss = &api.issuer.iss;
    let entry = |jti: &str| json!({"kind": "jti", "issuer": iss, "value": jti});
    let streams = || {
        let entries = json!([entry("a"), entry("b"), entry("c"), {"kind": "all"}]);
        let request = Request::post("/v1/revocations?dry_run=true", entries.to_string());
        let response = api.gateway.send_admin(&request.host(&api.gateway.ports.admin.to_string()));
        assert_eq!(response.status, 200, "{response:?}");
        let body = response.json();
        let each = body["entries"].as_array().expect("entries").iter();
        let each: Vec<Value> = each.map(|entry| entry["matches"]["streams"].clone()).collect();
        (json!(each), body["matches"]["streams"].clone())
    };
    assert_eq!(streams(), (json!([2, 1, 0, 3]), json!(3)));
    revoke(&api, "a");
    wait_until("only the other token's is left", || streams() == (json!([0, 1, 0, 1]), json!(1)));
}

/// A download has no way to end early and to say so: it is cut off, and looks it.
#[test]
fn r8_a_download_is_cut_off_with_its_token() {
    let api = api();
    let streams = [
        begun(&api, "/s/1", &token(&api, "a", 900), CHUNKED, "first"),
        begun(&api, "/s/2", &token(&api, "a", 900), "Content-Length: 100", "first"),
        begun(&api, "/s/3", &token(&api, "a", 900), "Connection: close", "first"),
    ];
    let mut other = begun(&api, "/s/4", &token(&api, "b", 900), CHUNKED, "first");
    revoke(&api, "a");
    for mut stream in streams {
        assert!(!stream.ends_well(), "it looks whole");
    }
    assert!(!other.ends_within(Duration::from_millis(300)), "another token's goes on");
    wait_until("they are counted", || {
        api.gateway.metric("streams_closed_total", &[("reason", "revoked")]) == 3.0
    });
    api.gateway.wait_for_log(&["\"path\":\"/s/1\"", "\"status\":200", "\"reason\":\"revoked\""]);
}

/// An answer that came in pieces, and was whole before its token was over, leaves nothing behind.
#[test]
fn a_stream_that_has_ended_is_forgotten() {
    let api = api();
    let bearer = token(&api, "a", 900);
    api.upstream.on("/s/pieces", |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 10\r\n\r\nfirst")?;
        crate::harness::wait::pass(Duration::from_millis(20));
        exchange.write(b"later")?;
        Ok(crate::harness::upstream::Then::Keep)
    });
    let mut connection = api.gateway.connect();
    for _ in 0..5 {
        let response = connection.send(&Request::get("/s/pieces").bearer(&bearer));
        assert_eq!((response.status, &*response.body), (200, &b"firstlater"[..]));
    }
    revoke(&api, "a");
    let response = connection.send(&Request::get("/s/pieces").bearer(&bearer));
    assert_eq!(response.reason(), "revoked", "the connection itself goes on");
    assert!(holds(Duration::from_millis(300), || {
        api.gateway.metric("streams_closed_total", &[("reason", "revoked")]) == 0.0
    }));
}

#[test]
fn r8_an_upload_is_refused_when_its_token_is_over() {
    let api = api();
    api.upstream.on("/s/upload", |exchange| {
        let body = exchange.body()?;
        exchange.answer_read(200, "X-Upstream: yes\r\n", &body)
    });
    let mut connection = api.gateway.connect();
    let head = format!(
        "POST /s/upload HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {}\r\nContent-Length: 100000\r\n\r\nfirst",
        token(&api, "a", 900)
    );
    connection.write(head.as_bytes());
    wait_until("it has begun", || api.upstream.raw().contains("/s/upload"));
    revoke(&api, "a");
    let response = connection.answer();
    assert_eq!((response.status, response.reason().as_str()), (401, "revoked"), "{response:?}");
    assert!(response.closes());
}

fn scene() -> Scene {
    let scene = Scene::with(|setup| {
        let route = "{require: orders:read, upstream: two}";
        let first = "{require: orders:read, upstream: one}";
        setup.yaml_tail(crate::lasting::STORE).route("/two/s/{*rest}", route).route("/one/s/{*rest}", first)
    });
    for (path, kind) in [("/two/s/talk", "application/grpc"), ("/two/s/data", "application/octet-stream")] {
        let given_up = Arc::clone(&scene.given_up);
        scene.two.on(path, move |mut exchange| {
            let given_up = Arc::clone(&given_up);
            Box::pin(async move {
                exchange.head(200, &[("content-type", kind)], false)?;
                while let Some(data) = exchange.data().await {
                    let data = data.inspect_err(|_| give_up(&given_up))?;
                    exchange.send(&data, false).await?;
                }
                exchange.trail(&[("grpc-status", "0")])
            })
        });
    }
    let given_up = Arc::clone(&scene.given_up);
    scene.two.on("/two/s/quiet", move |mut exchange| {
        let given_up = Arc::clone(&given_up);
        Box::pin(async move {
            exchange.body().await.inspect_err(|_| give_up(&given_up))?;
            exchange.head(200, &[("content-type", "application/grpc")], true)
        })
    });
    scene
}

fn give_up(given_up: &Mutex<Vec<Instant>>) {
    given_up.lock().expect("no panic").push(Instant::now());
}

fn revoke_on(scene: &Scene, jti: &str) {
    let entry = serde_json::json!({"kind": "jti", "issuer": scene.issuer.iss, "value": jti});
    let request =
        Request::post("/v1/revocations", entry.to_string()).host(&scene.gateway.ports.admin.to_string());
    assert_eq!(scene.gateway.send_admin(&request).status, 201);
}

#[test]
fn r8_a_grpc_stream_ends_with_status_16() {
    let scene = scene();
    let bearer = scene.issuer.token().scope("orders:read").set("jti", serde_json::json!("a")).sign();
    let client: Client = scene.client();
    let call = |path: &str| {
        Request::new("POST", path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .bearer(&bearer)
    };
    let mut talk = client.open(&call("/two/s/talk"), false).expect("a stream");
    talk.send_data(b"\0\0\0\0\x011", false).expect("room");
    assert_eq!(talk.head().expect("a head").status, 200);
    assert_eq!(talk.data().expect("an answer").expect("no reset"), &b"\0\0\0\0\x011"[..]);
    // One that has no answer yet, and one that is no gRPC.
    let mut quiet = client.open(&call("/two/s/quiet"), false).expect("a stream");
    quiet.send_data(b"\0\0\0\0\x011", false).expect("room");
    let mut data =
        client.open(&Request::new("POST", "/two/s/data").bearer(&bearer), false).expect("a stream");
    data.send_data(b"first", false).expect("room");
    assert_eq!(data.head().expect("a head").status, 200);
    assert_eq!(data.data().expect("an answer").expect("no reset"), &b"first"[..]);
    wait_until("all three have begun", || scene.two.count() == 3);
    revoke_on(&scene, "a");
    assert!(talk.data().is_none(), "no reset: an end");
    let trailers = talk.trailers().expect("trailers");
    let of = |name: &str| trailers.iter().find(|(line, _)| line == name).map(|(_, value)| value.as_str());
    assert_eq!((of("grpc-status"), of("grpc-message")), (Some("16"), Some("revoked")));
    let refused = quiet.head().expect("an answer");
    assert_eq!(
        (refused.header("grpc-status"), refused.header("grpc-message")),
        (Some("16"), Some("revoked"))
    );
    assert!(data.reset_by(LATE).is_some(), "what has no status is reset");
    wait_until("the upstream's are given up", || scene.given_up.lock().expect("no panic").len() == 3);
}

/// A client that gives no window: what it was sent first is held to its token like what comes after.
#[test]
fn r8_a_stream_whose_first_piece_waits_for_a_window_is_cut_off() {
    let scene = scene();
    let bearer = scene.issuer.token().scope("orders:read").set("jti", serde_json::json!("a")).sign();
    for (number, kind) in ["text/event-stream", "application/octet-stream"].into_iter().enumerate() {
        let path = format!("/one/s/{number}");
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked"
        );
        let first = format!("{head}\r\n\r\n1f40\r\n{}\r\n", "x".repeat(8000));
        scene.one.on(&path, move |exchange| {
            exchange.write(first.as_bytes())?;
            while exchange.read_some()?.is_empty() {}
            Ok(crate::harness::upstream::Then::Close)
        });
    }
    let mut settings = h2::client::Builder::new();
    settings.enable_push(false).initial_window_size(0);
    let client = Client::connect_with(scene.gateway.ports.public, &settings);
    let mut streams: Vec<_> = (0..2)
        .map(|number| {
            let request = Request::get(&format!("/one/s/{number}")).bearer(&bearer);
            let mut stream = client.open(&request, true).expect("a stream");
            assert_eq!(stream.head().expect("a head").status, 200);
            stream
        })
        .collect();
    revoke_on(&scene, "a");
    for stream in &mut streams {
        assert!(stream.reset_by(LATE).is_some(), "it goes on");
    }
}
