//! Bodies flow both ways as they come, with back-pressure, and every framing arrives as what it means.

mod large;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::{NoCredentials, NoRoute};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Outcome, Request};
use crate::harness::keys::random;
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, holds, wait_until};

const OK: &str = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\n";

fn api() -> Api {
    Api::with(|setup| setup.route("/any/{*rest}", "public"))
}

/// A gate that a script waits at until the test opens it.
fn gate() -> (Sender<()>, Arc<Mutex<Receiver<()>>>) {
    let (open, wait) = channel();
    (open, Arc::new(Mutex::new(wait)))
}

fn pass(gate: &Mutex<Receiver<()>>) {
    gate.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
}

#[test]
fn a_request_body_is_passed_on_as_it_comes() {
    let api = api();
    for chunked in [false, true] {
        let before = api.upstream.raw().len();
        let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 10" };
        let mut connection = api.gateway.connect();
        connection.write(format!("POST /any/up HTTP/1.1\r\nHost: api.test\r\n{framing}\r\n\r\n").as_bytes());
        connection.write(if chunked { b"5\r\nfirst\r\n" } else { b"first" });
        wait_until("the first half is there before the second is sent", || {
            api.upstream.raw()[before..].contains("first")
        });
        connection.write(if chunked { b"5\r\nlast!\r\n0\r\n\r\n" } else { b"last!" });
        assert_allowed(&connection.answer());
        assert_eq!(api.upstream.last().body, b"firstlast!");
    }
}

#[test]
fn an_answer_is_passed_on_as_it_comes() {
    let api = api();
    let framings = [
        ("Content-Length: 10\r\n\r\nfirst", "last!"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", "5\r\nlast!\r\n0\r\n\r\n"),
    ];
    for (first, last) in framings {
        let (open, wait) = gate();
        api.upstream.on("/any/down", move |exchange| {
            exchange.body()?;
            exchange.write(format!("{OK}{first}").as_bytes())?;
            pass(&wait);
            exchange.write(last.as_bytes())?;
            Ok(Then::Keep)
        });
        let mut connection = api.gateway.connect();
        connection.write(&Request::get("/any/down").octets());
        connection.read_until("first");
        open.send(()).expect("the script waits");
        connection.read_until("last!");
    }
}

#[test]
fn large_bodies_arrive_octet_for_octet() {
    let api = api();
    let down = random(3 << 20);
    let sent = down.clone();
    api.upstream.on("/any/large", move |exchange| exchange.answer(200, "X-Upstream: yes\r\n", &sent));
    let up = random(2 << 20);
    let response = api.gateway.send(&Request::post("/any/large", &up));
    assert!(response.body == down && api.upstream.last().body == up, "large bodies differ");
    // The same in chunks, both ways.
    let mut framed = Vec::new();
    for piece in down.chunks(70_000) {
        framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    let answer = [format!("{OK}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &framed].concat();
    api.upstream.on_raw("/any/chunks", answer, Then::Keep);
    let mut connection = api.gateway.connect();
    let head = "POST /any/chunks HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write(&[head.as_bytes(), &framed].concat());
    let response = connection.answer();
    assert!(
        response.whole && response.body == down && api.upstream.last().body == down,
        "chunked bodies differ"
    );
}

/// A reader that is slow holds the writer back; the gateway keeps no more than its buffers (I5).
#[test]
fn back_pressure_works_towards_the_upstream() {
    let api = api();
    let written = Arc::new(Mutex::new(0_usize));
    let count = Arc::clone(&written);
    api.upstream.on("/any/endless", move |exchange| {
        exchange.body()?;
        exchange.write(format!("{OK}Content-Length: 1000000000\r\n\r\n").as_bytes())?;
        let piece = vec![b'a'; 64 << 10];
        loop {
            exchange.write(&piece)?;
            *count.lock().expect("no test panics in here") += piece.len();
        }
    });
    let resident = api.gateway.resident_kib();
    let mut connection = api.gateway.connect();
    connection.shrink_receive_buffer();
    connection.write(&Request::get("/any/endless").octets());
    let so_far = || *written.lock().expect("no test panics in here");
    settles(so_far);
    assert!(so_far() < 64 << 20, "{} octets went nowhere", so_far());
    let grown = api.gateway.resident_kib().saturating_sub(resident);
    assert!(grown < 16 << 10, "I5: {grown} KiB are held for one slow reader");
}

#[test]
fn back_pressure_works_towards_the_client() {
    let api = api();
    let (open, wait) = gate();
    api.upstream.on("/any/slow", move |exchange| {
        pass(&wait);
        exchange.answer(200, "X-Upstream: yes\r\n", b"")
    });
    let resident = api.gateway.resident_kib();
    let sent = Arc::new(Mutex::new(0_usize));
    let so_far = || *sent.lock().expect("no test panics in here");
    std::thread::scope(|scope| {
        let (api, count) = (&api, Arc::clone(&sent));
        let client = scope.spawn(move || {
            let mut connection = api.gateway.connect();
            connection
                .write(b"POST /any/slow HTTP/1.1\r\nHost: api.test\r\nContent-Length: 67108864\r\n\r\n");
            for _ in 0..1024 {
                connection.try_write(&[b'a'; 64 << 10]).expect("the body goes out in the end");
                *count.lock().expect("no test panics in here") += 64 << 10;
            }
            connection.answer()
        });
        settles(so_far);
        assert!(so_far() < 48 << 20, "{} octets went nowhere", so_far());
        let grown = api.gateway.resident_kib().saturating_sub(resident);
        assert!(grown < 16 << 10, "I5: {grown} KiB are held for one slow upstream");
        open.send(()).expect("the script waits");
        assert_allowed(&client.join().expect("the client is answered"));
    });
    assert_eq!(api.upstream.last().body.len(), 64 << 20);
}

/// Waits until a count has risen and stands still.
fn settles(count: impl Fn() -> usize) {
    let end = Instant::now() + PATIENCE;
    wait_until("something flows", || count() > 0);
    let mut last = count();
    while !holds(Duration::from_millis(300), || count() == last) {
        assert!(Instant::now() < end, "it flows and flows: {last}");
        last = count();
    }
}

#[test]
fn h10_continue_is_said_after_the_decision_and_only_then() {
    let api = api();
    let expecting = |target: &str, more: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n{more}\r\n"
        )
    };
    for (target, reason) in [("/orders", NoCredentials), ("/nowhere", NoRoute)] {
        let mut connection = api.gateway.connect();
        connection.write(expecting(target, "").as_bytes());
        // The first thing said is the refusal: no body is asked for.
        let Outcome::Answer(response) = connection.wait("POST", PATIENCE) else { panic!("no answer") };
        assert_refused(&response, reason);
        // The client may now send its body or not, so the connection is in step only if it ends.
        assert!(response.closes(), "{response:?}");
    }
    assert_eq!(api.upstream.count(), 0);
    let mut connection = api.gateway.connect();
    let token = api.issuer.mint("orders:write");
    connection.write(expecting("/orders", &format!("Authorization: Bearer {token}\r\n")).as_bytes());
    let Outcome::Answer(response) = connection.wait("POST", PATIENCE) else { panic!("no answer") };
    assert_eq!(response.status, 100);
    connection.write(b"body");
    assert_allowed(&connection.answer());
    let seen = api.upstream.last();
    assert_eq!((seen.body.as_slice(), seen.head.header("expect")), (&b"body"[..], None));
    // And the connection goes on.
    assert_allowed(&connection.send(&Request::get("/health")));
    // Nobody has to wait to be told.
    connection.write(format!("{}body", expecting("/any/x", "")).as_bytes());
    assert_allowed(&connection.answer());
    assert_eq!(api.upstream.last().body, b"body");
}

#[test]
fn answers_without_a_body_have_none() {
    let api = api();
    let length = "Content-Length: 42\r\nX-Upstream: yes\r\n\r\n";
    api.upstream.on_raw("/any/head", format!("HTTP/1.1 200 OK\r\n{length}"), Then::Keep);
    api.upstream.on_raw("/any/204", "HTTP/1.1 204 No Content\r\nX-Upstream: yes\r\n\r\n", Then::Keep);
    api.upstream.on_raw(
        "/any/304",
        format!("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n{length}"),
        Then::Keep,
    );
    let mut connection = api.gateway.connect();
    for _ in 0..2 {
        let response = connection.send(&Request::new("HEAD", "/any/head"));
        assert_eq!((response.status, response.header("content-length")), (200, Some("42")), "{response:?}");
        let response = connection.send(&Request::get("/any/204"));
        assert_eq!((response.status, response.header("content-length")), (204, None), "{response:?}");
        assert!(response.header("transfer-encoding").is_none(), "{response:?}");
        let response = connection.send(&Request::get("/any/304").header("If-None-Match", "\"x\""));
        assert_eq!((response.status, response.header("etag")), (304, Some("\"x\"")), "{response:?}");
    }
    // Refusals to HEAD have none either, and the connection stays in step.
    let response = connection.send(&Request::new("HEAD", "/orders/1"));
    assert_eq!(response.status, 401);
    assert_allowed(&connection.send(&Request::get("/health")));
}

#[test]
fn an_answer_that_only_its_end_delimits_becomes_chunked() {
    let api = api();
    api.upstream.on_raw("/any/old", "HTTP/1.0 200 OK\r\nX-Upstream: yes\r\n\r\nold style", Then::Close);
    api.upstream.on_raw("/any/close", format!("{OK}Connection: close\r\n\r\nnew style"), Then::Close);
    let mut connection = api.gateway.connect();
    for (path, body) in [("/any/old", "old style"), ("/any/close", "new style"), ("/any/old", "old style")] {
        let response = connection.send(&Request::get(path));
        assert!(response.whole && response.text() == body, "{response:?}");
        assert!(!response.closes(), "the upstream's connection is not the client's: {response:?}");
    }
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let api = api();
    api.upstream.on_raw(
        "/any/chunks",
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        Then::Keep,
    );
    for connection_line in ["", "Connection: keep-alive\r\n"] {
        let mut connection = api.gateway.connect();
        connection
            .write(format!("GET /any/x HTTP/1.0\r\nHost: api.test\r\n{connection_line}\r\n").as_bytes());
        let response = connection.answer();
        assert_allowed(&response);
        assert!(response.closes(), "{response:?}");
        connection.expect_end();
    }
    // Chunks are not for HTTP/1.0 (RFC 9112 section 6.1): the end of the connection delimits.
    let mut connection = api.gateway.connect();
    connection.write(b"GET /any/chunks HTTP/1.0\r\nHost: api.test\r\n\r\n");
    let answer = String::from_utf8(connection.read_to_end()).expect("ASCII");
    assert!(answer.ends_with("\r\n\r\nabc"), "{answer:?}");
    assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{answer:?}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let api = api();
    for n in 0..10_u64 {
        api.upstream.on(&format!("/any/{n}"), move |exchange| {
            exchange.answer(200, &format!("X-Upstream: yes\r\nX-Tag: {n}\r\n"), b"ok")
        });
    }
    let mut octets = Vec::new();
    for n in 0..10 {
        let request = if n % 2 == 0 {
            Request::get(&format!("/any/{n}"))
        } else {
            Request::post(&format!("/any/{n}"), "body")
        };
        octets.extend_from_slice(&request.octets());
        octets.extend_from_slice(&Request::get("/orders/1").octets());
    }
    let mut connection = api.gateway.connect();
    connection.write(&octets);
    for n in 0..10 {
        assert_eq!(connection.answer().header("x-tag"), Some(n.to_string().as_str()));
        assert_refused(&connection.answer(), NoCredentials);
    }
    let order: Vec<String> = api.upstream.requests().iter().map(|seen| seen.head.path().to_owned()).collect();
    assert_eq!(order, (0..10).map(|n| format!("/any/{n}")).collect::<Vec<_>>());
}

/// A request that comes in single octets is the same request.
#[test]
fn a_request_in_pieces_is_one_request() {
    let api = api();
    let mut connection = api.gateway.connect();
    let request =
        "POST /any/p HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for octet in request.bytes() {
        connection.write(&[octet]);
    }
    assert_allowed(&connection.answer());
    assert_eq!((api.upstream.count(), api.upstream.last().body.as_slice()), (1, &b"abc"[..]));
}
