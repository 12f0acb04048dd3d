//! Every bound in `limits` that this version has, each with what happens past it. `verified_cache` is bounded in
//! `cache`, and `signatures_in_flight` turns away in `denials`.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::{
    HeadersTooLarge, MalformedToken, NoCredentials, Overloaded, RequestTimeout,
};
use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::issuer::Issuer;
use crate::harness::keys::Key;
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::{PATIENCE, eventually, holds, wait_until};

fn api(limits: &'static str) -> Api {
    Api::with(|setup| setup.limits(limits))
}

fn health() -> Request {
    Request::get("/health")
}

#[test]
fn token() {
    let api = api("token: 1KiB");
    let padded =
        |length: usize| api.issuer.token().scope("orders:read").set("pad", json!("x".repeat(length))).sign();
    let token = padded(100);
    assert!(token.len() < 1024);
    api.allows_token(&token);
    let token = padded(800);
    assert!(token.len() > 1024);
    api.refuses_token(&token, MalformedToken);
}

#[test]
fn header_line() {
    let api = api("header_line: 1KiB");
    api.allows(&health().header("X", &"a".repeat(900)));
    api.refuses(&health().header("X", &"a".repeat(1100)), HeadersTooLarge);
    api.refuses(&Request::get(&format!("/health?{}", "a".repeat(1100))), HeadersTooLarge);
}

#[test]
fn header_total() {
    let api = api("header_total: 2KiB");
    let with = |lines: usize| {
        (0..lines).fold(health(), |request, n| request.header(&format!("X-{n}"), &"a".repeat(100)))
    };
    api.allows(&with(10));
    api.refuses(&with(25), HeadersTooLarge);
}

#[test]
fn headers() {
    let api = api("headers: 10");
    let with = |lines: usize| (1..lines).fold(health(), |request, n| request.header(&format!("X-{n}"), "a"));
    api.allows(&with(10));
    api.refuses(&with(11), HeadersTooLarge);
}

/// A total, not a pause: an octet now and then does not prolong it (threats D6).
#[test]
fn d6_header_time() {
    let api = api("header_time: 500ms");
    let mut connection = api.gateway.connect();
    let start = Instant::now();
    connection.write(b"GET /health HTTP/1.1\r\nHost: api.test\r\nX-Slow: ");
    let mut healthy = api.gateway.connect();
    let mut ended = None;
    wait_until("the slow head is refused", || {
        connection.write(b"a");
        assert_allowed(&healthy.send(&health()));
        if let Outcome::Answer(response) = connection.wait("GET", Duration::from_millis(20)) {
            ended = Some(response);
        }
        ended.is_some()
    });
    assert_refused(&ended.expect("an answer ended the wait"), RequestTimeout);
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    assert!(connection.ends_within(PATIENCE));
}

#[test]
fn d6_two_hundred_slow_heads_are_nobodys_trouble() {
    let api = api("header_time: 2s");
    let mut slow: Vec<Connection> = (0..200).map(|_| api.gateway.connect()).collect();
    for connection in &mut slow {
        connection.write(b"GET /health HTTP/1.1\r\nHost: api.test\r\nX-Slow: ");
    }
    let mut healthy = api.gateway.connect();
    assert!(holds(Duration::from_millis(500), || healthy.send(&health()).status == 200));
    for connection in &mut slow {
        assert!(connection.ends_within(PATIENCE), "a slow head is for ever");
    }
}

#[test]
fn idle_time() {
    let api = api("idle_time: 300ms");
    // Between requests, and before the first: closed without a word.
    let mut used = api.gateway.connect();
    assert_allowed(&used.send(&health()));
    let mut fresh = api.gateway.connect();
    used.expect_end();
    fresh.expect_end();
    // What is in use is not idle.
    let mut busy = api.gateway.connect();
    let end = Instant::now() + Duration::from_millis(900);
    while Instant::now() < end {
        assert_allowed(&busy.send(&health()));
    }
}

/// A body that trickles is cut off, and the upstream is not told that it was whole.
#[test]
fn d6_body_rate() {
    let api =
        Api::with(|setup| setup.limits("body_rate: 100KiB, idle_time: 1s").route("POST /upload", "public"));
    let mut connection = api.gateway.connect();
    connection.write(b"POST /upload HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n\r\n");
    let cut =
        eventually(Duration::from_secs(10), || match connection.wait("POST", Duration::from_millis(20)) {
            Outcome::Answer(response) => {
                assert_refused(&response, RequestTimeout);
                true
            }
            Outcome::Closed => true,
            Outcome::Silence => connection.try_write(b"a").is_err(),
        });
    assert!(cut, "a trickling body goes on for ever");
    assert!(!api.upstream.requests().iter().any(|seen| seen.whole), "passed off as whole");
    // A body at a decent rate is fine, however small it is.
    assert_allowed(&api.gateway.send(&Request::post("/upload", "small")));
}

/// A client that does not read does not hold the upstream's answer for ever.
#[test]
fn d6_write_stall() {
    let api = api("write_stall: 500ms");
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    api.upstream.on("/health", move |exchange| {
        exchange.body()?;
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 1000000000\r\n\r\n")?;
        let piece = vec![b'a'; 64 << 10];
        while exchange.write(&piece).is_ok() {}
        flag.store(true, Ordering::SeqCst);
        Ok(Then::Close)
    });
    let resident = api.gateway.resident_kib();
    let mut connection = api.gateway.connect();
    connection.shrink_receive_buffer();
    connection.write(&health().octets());
    // Nothing is read here: the gateway gives the client up, and the upstream with it.
    wait_until("the upstream is let go", || ended.load(Ordering::SeqCst));
    let grown = api.gateway.resident_kib().saturating_sub(resident);
    assert!(grown < 16 << 10, "I5: {grown} KiB more for one slow reader");
    assert!(connection.ends_within(PATIENCE), "and the client's connection with it");
}

/// A refused body is read away if it is small, so that the connection can go on.
#[test]
fn drain() {
    let api = api("drain: 64KiB");
    let mut connection = api.gateway.connect();
    for size in [0, 1, 1000, 60 << 10] {
        let response = connection.send(&Request::post("/orders", vec![b'a'; size]));
        assert_refused(&response, NoCredentials);
        assert!(!response.closes(), "{size} octets are drained: {response:?}");
    }
    assert_allowed(&connection.send(&health()));
    // A larger one is not, and the client reads its refusal all the same.
    let mut connection = api.gateway.connect();
    let large = Request::post("/orders", vec![b'a'; 8 << 20]).octets();
    connection.try_write(&large).or_else(closed).expect("written, or refused on the way");
    let Outcome::Answer(response) = connection.wait("POST", PATIENCE) else {
        panic!("the refusal of a large body is lost");
    };
    assert_refused(&response, NoCredentials);
    assert!(response.closes(), "{response:?}");
    assert!(connection.ends_within(PATIENCE));
    assert_eq!(api.upstream.count(), 1);
}

fn closed(error: io::Error) -> io::Result<()> {
    let ended = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    if ended { Ok(()) } else { Err(error) }
}

/// Whether a new connection is served while the others are open.
fn is_served(connection: io::Result<Connection>, patience: Duration) -> bool {
    let Ok(mut connection) = connection else { return false };
    connection.write(&health().octets());
    matches!(connection.wait("GET", patience), Outcome::Answer(response) if response.status == 200)
}

fn from(api: &Api, last: u8) -> io::Result<Connection> {
    Connection::from_source(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), api.gateway.ports.public)
}

#[test]
fn connections() {
    let api = api("connections: 4");
    let mut open: Vec<Connection> = (0..4).map(|_| api.gateway.connect()).collect();
    for connection in &mut open {
        assert_allowed(&connection.send(&health()));
    }
    assert!(!is_served(from(&api, 1), Duration::from_millis(500)), "a fifth connection is served");
    // It is told so, before it has asked for anything.
    let Outcome::Answer(told) = api.gateway.connect().wait("GET", PATIENCE) else {
        panic!("closed without a word")
    };
    assert_refused(&told, Overloaded);
    // Those that are open go on, and room that is made is used.
    assert_allowed(&open[0].send(&health()));
    open.pop();
    wait_until("room for another", || is_served(from(&api, 1), Duration::from_secs(1)));
}

#[test]
fn connections_per_address() {
    let api = api("connections_per_address: 3");
    let mut open: Vec<Connection> = (0..3).map(|_| api.gateway.connect()).collect();
    for connection in &mut open {
        assert_allowed(&connection.send(&health()));
    }
    assert!(!is_served(from(&api, 1), Duration::from_millis(500)), "a fourth of one address is served");
    assert!(is_served(from(&api, 2), PATIENCE), "another address is not served");
    open.clear();
    wait_until("the address is free again", || is_served(from(&api, 1), Duration::from_secs(1)));
}

#[test]
fn requests_per_connection() {
    let api = api("requests_per_connection: 3");
    let mut connection = api.gateway.connect();
    for last in [false, false, true] {
        let response = connection.send(&health());
        assert_allowed(&response);
        assert_eq!(response.closes(), last, "{response:?}");
    }
    connection.expect_end();
    assert_eq!(api.upstream.count(), 3);
}

/// Past `key_set`, a fetched set is no set.
#[test]
fn key_set() {
    let many = (0..40).map(|n| Key::new("ES256", &format!("k{n}"))).collect();
    let issuer = Issuer::with_keys(many);
    let upstream = Upstream::start();
    let setup = || usual(&upstream).issuer_fetched("corp", &issuer, "miss_wait: 20ms, cooldown: 100ms");
    let size = issuer.jwks().to_string().len();
    assert!(size > 4 << 10, "{size}");
    let gateway = setup().limits("key_set: 4KiB").start_unready();
    wait_until("the set was fetched", || issuer.fetches() > 0);
    assert_eq!(gateway.get("/me", &issuer.mint("")).status, 503);
    drop(gateway);
    assert_eq!(setup().limits("key_set: 64KiB").start().get("/me", &issuer.mint("")).status, 200);
}

/// The client is gone: the upstream is not kept busy for it (threats U3).
#[test]
fn u3_a_client_that_goes_takes_its_request_along() {
    let api = Api::start();
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    api.upstream.on("/health", move |exchange| {
        while !exchange.read_some()?.is_empty() {}
        flag.store(true, Ordering::SeqCst);
        Ok(Then::Close)
    });
    let mut connection = api.gateway.connect();
    connection.write(&health().octets());
    wait_until("the upstream is asked", || api.upstream.count() == 1);
    drop(connection);
    wait_until("the upstream is let go", || ended.load(Ordering::SeqCst));
}
