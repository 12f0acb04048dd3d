//! Clients that want to use the gateway up over HTTP/1.1: slowly, in numbers, or with what is dear to read (threats 2I).
//! Each attack is measured against what it cost its sender: below a hundred times, in memory and in time.

mod slow;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::keys::random_name;
use crate::harness::meter::Meter;
use crate::harness::metrics::Scrape;
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, eventually, wait_until};

fn api() -> Api {
    Api::with(|setup| setup.quiet().limits("header_time: 60s").route("POST /upload", "public"))
}

/// Connections of an attack that is held open: below what one address may have.
const HELD: usize = 300;

/// Opens connections, sends each the same, holds them, and asserts the line.
fn hold(api: &Api, what: &str, octets: &[u8]) {
    let meter = Meter::begin(&api.gateway);
    let mut held: Vec<Connection> = (0..HELD).map(|_| api.gateway.connect()).collect();
    for connection in &mut held {
        connection.write(octets);
    }
    let open = || api.gateway.metric("connections", &[]) >= HELD as f64;
    wait_until("all are accepted", open);
    // The gateway has read what there is when it answers on a connection of the same age.
    for _ in 0..10 {
        assert_allowed(&api.gateway.send(&Request::get("/health")));
    }
    meter.read().assert_below_the_line(what, octets.len() * HELD, HELD);
    drop(held);
    wait_until("all are gone", || api.gateway.metric("connections", &[]) < 3.0);
}

#[test]
fn d6_what_is_held_open_costs_less_than_a_hundred_times_its_octets() {
    let api = api();
    // What the first connections make it allocate is not theirs alone.
    let mut first: Vec<Connection> = (0..HELD).map(|_| api.gateway.connect()).collect();
    first.iter_mut().for_each(|connection| assert_allowed(&connection.send(&Request::get("/health"))));
    drop(first);
    let head = "GET /health HTTP/1.1\r\nHost: api.test\r\n";
    hold(&api, "d6: connections without a word", b"");
    hold(&api, "d6: one octet of a head", b"G");
    hold(&api, "d6: half a head", head.as_bytes());
    hold(&api, "d6: 98 short fields", (head.to_owned() + &"a:b\r\n".repeat(97)).as_bytes());
    hold(
        &api,
        "d6: 30 KiB of a head",
        (head.to_owned() + &format!("a: {}\r\n", "x".repeat(15_000)).repeat(2)).as_bytes(),
    );
    let post = "POST /upload HTTP/1.1\r\nHost: api.test\r\n";
    hold(&api, "d6: a body that does not come", format!("{post}Content-Length: 1000000\r\n\r\n").as_bytes());
    hold(
        &api,
        "d6: a chunk that does not come",
        format!("{post}Transfer-Encoding: chunked\r\n\r\nfffff\r\na").as_bytes(),
    );
}

/// Sends many requests one after another on one connection (and on others as they are closed).
fn flood(
    api: &Api,
    what: &str,
    count: usize,
    request: impl Fn(usize) -> Vec<u8>,
    expect: impl Fn(u16) -> bool,
) {
    let mut connection = api.gateway.connect();
    // What the first ones make it allocate is not theirs alone.
    for number in 0..20 {
        connection = one(api, connection, &request(number), &expect);
    }
    let requests: Vec<Vec<u8>> = (20..20 + count).map(request).collect();
    let meter = Meter::begin(&api.gateway);
    let mut octets = 0;
    for request in &requests {
        octets += request.len();
        connection = one(api, connection, request, &expect);
    }
    meter.read().assert_below_the_line(what, octets, 1);
}

fn one(api: &Api, mut connection: Connection, request: &[u8], expect: &impl Fn(u16) -> bool) -> Connection {
    connection.write(request);
    match connection.wait("GET", PATIENCE) {
        Outcome::Answer(response) => {
            assert!(expect(response.status), "{response:?}");
            if response.closes() { api.gateway.connect() } else { connection }
        }
        outcome @ (Outcome::Closed | Outcome::Silence) => panic!("{outcome:?}"),
    }
}

#[test]
fn d10_what_is_dear_to_read_costs_less_than_a_hundred_times_its_octets() {
    let api = api();
    let get = |path: &str, lines: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: api.test\r\n{lines}\r\n").into_bytes()
    };
    let refused = |status: u16| (400..500).contains(&status);
    flood(&api, "d10: no such route", 2000, |n| get(&format!("/nowhere/{n}"), ""), refused);
    flood(&api, "d10: 2,000 segments", 500, |_| get(&"/a".repeat(2000), ""), refused);
    flood(&api, "d10: 15 KiB of path", 500, |_| get(&format!("/orders/{}", "a".repeat(15_000)), ""), refused);
    flood(&api, "d10: escapes", 500, |_| get(&format!("/orders/{}", "%41".repeat(5000)), ""), refused);
    flood(&api, "d10: 97 fields", 500, |_| get("/nowhere", &"a:b\r\n".repeat(97)), refused);
    flood(
        &api,
        "d10: lists in Accept",
        500,
        |_| get("/nowhere", &format!("Accept: {}\r\n", "a/b;q=0.1,".repeat(1500))),
        refused,
    );
    flood(
        &api,
        "d10: 64 KiB of dots",
        200,
        |_| get("/orders/1", &format!("Authorization: Bearer {}\r\n", ".".repeat(16_000))),
        refused,
    );
    let deep = api.issuer.token().set("x", json!([[[[[[[[1]]]]]]]])).sign();
    flood(
        &api,
        "d10: nonsense for a token",
        1000,
        |n| get("/orders/1", &format!("Authorization: Bearer {n}.{}\r\n", "e".repeat(7000))),
        refused,
    );
    let forged = api.issuer.token().with_signature(&[7; 64]);
    let unlike = |n: usize| format!("Authorization: Bearer {}{n:04}\r\n", &forged[..forged.len() - 6]);
    flood(&api, "d10: signatures that do not verify", 1000, |n| get("/orders/1", &unlike(n)), refused);
    flood(
        &api,
        "d10: one token again and again",
        1000,
        |_| get("/orders/1", &format!("Authorization: Bearer {deep}\r\n")),
        refused,
    );
}

/// A path, a parameter or a value however long: linear, because nothing here backtracks.
#[test]
fn d10_a_pattern_meant_to_backtrack_does_not() {
    let api = Api::with(|setup| {
        let when = r#"{require: {when: 'request.path.matches("^/re/(a+)+b$")'}}"#;
        setup.route("GET /re/{*rest}", when).limits("header_line: 31KiB")
    });
    let token = api.issuer.mint("");
    let time = |length: usize| {
        let path = format!("/re/{}!", "a".repeat(length));
        let start = Instant::now();
        assert_refused(&api.gateway.get(&path, &token), Reason::ConditionFailed);
        start.elapsed()
    };
    time(10);
    let long = time(28_000);
    assert!(long.as_secs() < 2, "28,000 characters took {long:?}");
    let head = format!("GET /{} HTTP/1.1\r\nHost: api.test\r\n\r\n", "a".repeat(1 << 20));
    let mut connection = api.gateway.connect();
    let start = Instant::now();
    connection.write(head.as_bytes());
    if let Outcome::Answer(response) = connection.wait("GET", PATIENCE) {
        assert_refused(&response, Reason::HeadersTooLarge);
    }
    assert!(start.elapsed().as_secs() < 2, "a path of 1 MiB took {:?}", start.elapsed());
}

/// A body of tiny chunks: each costs its sender six octets.
#[test]
fn d7_tiny_chunks_and_a_large_body_are_passed_on_and_never_held() {
    let api = api();
    let (taken, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let sink = Arc::clone(&taken);
    api.upstream.on("/upload", move |exchange| {
        // No framing: what has come is counted until the last chunk is in sight.
        loop {
            let octets = exchange.read_some()?;
            sink.fetch_add(octets.len(), Ordering::SeqCst);
            if octets.is_empty() || octets.ends_with(b"0\r\n\r\n") {
                break;
            }
        }
        exchange
            .write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        Ok(Then::Close)
    });
    for (what, piece, times) in [
        ("d7: chunks of one octet", b"1\r\na\r\n".repeat(1000), 200),
        ("d7: a large body", [b"10000\r\n".as_slice(), &vec![b'a'; 1 << 16], b"\r\n"].concat(), 1024),
    ] {
        count.fetch_add(1, Ordering::SeqCst);
        let mut connection = api.gateway.connect();
        let meter = Meter::begin(&api.gateway);
        connection.write(b"POST /upload HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..times {
            connection.write(&piece);
        }
        connection.write(b"0\r\n\r\n");
        assert_allowed(&connection.answer());
        let cost = meter.read();
        cost.assert_below_the_line(what, piece.len() * times, 1);
        assert!(cost.kib < 16 << 10, "{what}: {} KiB were held", cost.kib);
    }
    assert!(taken.load(Ordering::SeqCst) > 64 << 20, "it arrived");
}

/// Requests sent ahead while no answer is read: as many are served as the socket takes answers for.
#[test]
fn d6_requests_sent_ahead_without_reading_cost_no_memory() {
    let api = api();
    let request = Request::get("/nowhere").octets();
    let many = request.repeat(1000);
    let meter = Meter::begin(&api.gateway);
    let mut ahead: Vec<Connection> = (0..20).map(|_| api.gateway.connect()).collect();
    for connection in &mut ahead {
        connection.shrink_receive_buffer();
        connection.write(&many);
    }
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    meter.read().assert_below_the_line("d6: requests ahead", many.len() * ahead.len(), ahead.len());
}

/// D9, in full: 100,000 requests with everything drawn (a build without optimization is given a fifth of them). No
/// series, a small page.
#[test]
fn d9_a_hundred_thousand_drawn_requests_make_no_series() {
    const CLIENTS: usize = 4;
    const EACH: usize = if cfg!(debug_assertions) { 5_000 } else { 25_000 };
    let api = api();
    let drawn = |number: usize| {
        let name = random_name();
        match number % 8 {
            0 => Request::get(&format!("/{name}/{number}?{name}={number}")),
            1 => Request::get("/health").host(&format!("{name}.test")).header("User-Agent", &name),
            2 => Request::get(&format!("/orders/{name}")).bearer(&format!("{name}.{name}.{name}")),
            3 => Request::new(&name.to_uppercase().replace(|c: char| c.is_ascii_digit(), "X"), "/health"),
            4 => Request::get("/orders/1")
                .bearer(&api.issuer.token().header("kid", json!(name)).with_signature(&[1; 64])),
            5 => Request::get("/me")
                .bearer(&api.issuer.token().set("iss", json!(name)).with_signature(&[1; 64])),
            6 => Request::get("/health").header(&format!("X-{name}"), &name),
            _ => Request::get("/health").header("Referer", &name).header("X-Request-Id", &name),
        }
    };
    let send = |count: usize| {
        let mut connection = api.gateway.connect();
        for number in 0..count {
            let response = connection.send(&drawn(number));
            if response.closes() {
                connection = api.gateway.connect();
            }
        }
    };
    send(80);
    let before = api.gateway.metrics();
    let resident = api.gateway.resident_kib();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| send(EACH));
        }
    });
    // What was allowed is counted when its answer has been sent.
    let mut after = api.gateway.metrics();
    let counted = |after: &Scrape| after.sum("decisions_total", &[]) - before.sum("decisions_total", &[]);
    let all = eventually(Duration::from_secs(5), || {
        after = api.gateway.metrics();
        counted(&after) >= (CLIENTS * EACH) as f64
    });
    assert!(all && counted(&after) == (CLIENTS * EACH) as f64, "O10: {} were counted", counted(&after));
    assert_eq!(after.samples.len(), before.samples.len(), "series");
    assert!(after.text.len() < 256 << 10, "{} octets of metrics", after.text.len());
    let grown = api.gateway.resident_kib().saturating_sub(resident);
    eprintln!("d9: {} series, {} octets of metrics, {grown} KiB more", after.samples.len(), after.text.len());
    assert!(grown < 32 << 10, "{grown} KiB more");
}
