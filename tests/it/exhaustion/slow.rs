//! Slow heads, slow bodies and slow readers in numbers (threats D6), by sockets made by hand: each ends in its time, and
//! a healthy client is served throughout.

use std::time::{Duration, Instant};

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::{Connection, Request};
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, pass, wait_until};

/// Slow connections at once.
const SLOW: usize = 400;

/// Slow readers at once: each takes a thread of the upstream's.
const READERS: usize = 100;

fn api() -> Api {
    let api = Api::with(|setup| {
        setup
            .quiet()
            .limits("header_time: 2s, idle_time: 2s, write_stall: 2s, body_rate: 10KiB")
            .route("POST /upload", "public")
            .route("GET /large", "public")
    });
    api.upstream.on("/large", |exchange| {
        exchange.body()?;
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 1000000000\r\n\r\n")?;
        let piece = [b'a'; 16 << 10];
        while exchange.write(&piece).is_ok() {}
        Ok(Then::Close)
    });
    api
}

/// Holds slow connections until the gateway has ended them all; `drip` is sent on each now and then. Without one they
/// are slow in reading. The healthy client's bound is that of two busy cores and a build without optimization.
fn attack(api: &Api, what: &str, count: usize, start: &[u8], drip: &[u8]) {
    let mut slow: Vec<Connection> = (0..count).map(|_| api.gateway.connect()).collect();
    for connection in &mut slow {
        if drip.is_empty() {
            connection.shrink_receive_buffer();
        }
        connection.write(start);
    }
    let open = || api.gateway.metric("connections", &[]);
    let began = Instant::now();
    wait_until("most are held", || open() > (count / 2) as f64);
    let mut healthy = api.gateway.connect();
    let mut worst = Duration::ZERO;
    wait_until("all slow ones are ended", || {
        let start = Instant::now();
        let response = healthy.send(&Request::get("/health"));
        worst = worst.max(start.elapsed());
        assert_allowed(&response);
        if response.closes() {
            healthy = api.gateway.connect();
        }
        for connection in &mut slow {
            connection.write(drip);
        }
        pass(Duration::from_millis(50));
        open() <= 1.0
    });
    eprintln!("{what}: {count} ended after {:?}; a healthy client waited {worst:?} at most", began.elapsed());
    assert!(worst < Duration::from_secs(4), "{what}: a healthy client waited {worst:?}");
    assert!(began.elapsed() < PATIENCE);
    for connection in &mut slow {
        assert!(connection.ends_within(PATIENCE), "{what}: not ended");
    }
}

#[test]
fn d6_slow_heads_end_in_their_time_and_harm_nobody() {
    attack(&api(), "d6 slow heads", SLOW, b"GET /health HTTP/1.1\r\nHost: api.test\r\nX: ", b"a");
}

#[test]
fn d6_slow_bodies_end_in_their_time_and_harm_nobody() {
    let head = b"POST /upload HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000000\r\n\r\n";
    attack(&api(), "d6 slow bodies", SLOW, head, b"a");
    let head = b"POST /upload HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    attack(&api(), "d6 slow chunks", SLOW, head, b"1\r\na\r\n");
}

#[test]
fn d6_slow_readers_end_in_their_time_and_harm_nobody() {
    let api = api();
    let before = api.gateway.resident_kib();
    attack(&api, "d6 slow readers", READERS, &Request::get("/large").octets(), b"");
    let grown = api.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "I5: {grown} KiB more for {READERS} slow readers");
}
