//! Bodies that are judged: read whole within bounds, sent on as they came, and the connection that goes on after them.

use std::io::Write;
use std::thread;

use portcullis::gate::denial::Reason;

use crate::graphql::posted::{CREATE, ROUTE, api, api_with, body, post, refused, route_and, runs, said_code};
use crate::harness::api::assert_allowed;
use crate::harness::client::Request;
use crate::harness::h2::client::Client;
use crate::harness::wait::wait_until;

const HEAD: &str = "POST /graphql HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\n";

/// In chunks of these sizes, over and over.
fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), body);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        write!(out, "{:x};x=y\r\n", chunk.len()).expect("into memory");
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    out.extend_from_slice(b"0\r\nX-Trailer: x\r\n\r\n");
    out
}

#[test]
fn a_body_in_chunks_and_packets_goes_on_whole_with_its_length() {
    let api = api(ROUTE);
    let text = body(&format!("{{ Person(name: \"{}\") {{ identifier }} }}", "x".repeat(40_000)));
    let mut connection = api.gateway.connect();
    let whole = chunked(text.as_bytes(), &[1, 7, 3000, 100]);
    connection.write(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    for piece in whole.chunks(997) {
        connection.write(piece);
    }
    assert_allowed(&connection.answer());
    let seen = api.upstream.last();
    assert_eq!(seen.body, text.as_bytes());
    assert_eq!(seen.head.header("content-length"), Some(text.len().to_string().as_str()));
    assert!(seen.head.header("transfer-encoding").is_none() && seen.head.header("trailer").is_none());
    // Octet by octet, head and all.
    let request = post(body("{a}")).octets();
    for octet in &request {
        connection.write(std::slice::from_ref(octet));
    }
    assert_allowed(&connection.answer());
    assert_eq!(api.upstream.last().body, body("{a}").as_bytes());
}

#[test]
fn a_connection_goes_on_after_refusals_and_grants() {
    let api = api(ROUTE);
    let token = api.issuer.mint("Mutation:Person:Create");
    let mut connection = api.gateway.connect();
    for _ in 0..3 {
        assert_eq!(connection.send(&post(body(CREATE))).status, 401);
        assert_allowed(&connection.send(&post(body(CREATE)).bearer(&token)));
        assert_eq!(said_code(&connection.send(&post("{"))), "BAD_REQUEST");
        assert_allowed(&connection.send(&Request::get("/health")));
        assert_eq!(connection.send(&post(body("{a}")).header("Content-Encoding", "gzip")).status, 415);
        assert_allowed(&connection.send(&post(body("{a}"))));
    }
    // One behind the other, at once.
    let mut both = post(body(CREATE)).octets();
    both.extend(post(body("{a}")).octets());
    both.extend(Request::get("/health").octets());
    connection.write(&both);
    assert_eq!(connection.answer().status, 401);
    assert_allowed(&connection.answer());
    assert_allowed(&connection.answer());
}

#[test]
fn a_client_that_waits_is_invited() {
    let api = api(ROUTE);
    let mut connection = api.gateway.connect();
    let text = body("{a}");
    let head = format!("{HEAD}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", text.len());
    connection.write(head.as_bytes());
    assert!(connection.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 "));
    connection.write(text.as_bytes());
    assert_allowed(&connection.answer());
    assert_eq!(api.upstream.last().body, text.as_bytes());
    assert!(api.upstream.last().head.header("expect").is_none());
}

#[test]
fn d7_a_body_that_says_it_is_too_large_is_not_read() {
    let api = api(&route_and("limits: {body: 10KiB}"));
    let mut connection = api.gateway.connect();
    connection.write(format!("{HEAD}Content-Length: 10737418240\r\n\r\n").as_bytes());
    let response = connection.answer();
    assert_eq!((response.status, said_code(&response).as_str()), (413, "BODY_TOO_LARGE"), "{response:?}");
    let just = format!("{{\"query\":\"{{a}}\"{}}}", " ".repeat(10 * 1024 - 15));
    assert_eq!(just.len(), 10 * 1024);
    runs(&api, &post(&just));
    refused(&api, &post(format!("{just} ")), Reason::BodyTooLarge, "BODY_TOO_LARGE");
    assert_eq!(api.upstream.count(), 1);
}

#[test]
fn d7_ten_gibibytes_in_chunks_are_refused_while_they_come() {
    let api = api(ROUTE);
    let mut connection = api.gateway.connect();
    connection.write(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    let before = api.gateway.resident_kib();
    let mut chunk = b"100000\r\n".to_vec();
    chunk.resize(chunk.len() + (1 << 20), b' ');
    chunk.extend_from_slice(b"\r\n");
    let mut sent: u64 = 0;
    while sent < 10 << 30 && connection.try_write(&chunk).is_ok() {
        sent += 1 << 20;
    }
    assert!(sent < 64 << 20, "{sent} octets were taken");
    assert!(api.gateway.resident_kib() < before + 16 * 1024, "they were held");
    assert_eq!(api.upstream.count(), 0);
    runs(&api, &post(body("{a}")));
}

#[test]
fn d7_a_thousand_just_under_the_limit_share_a_budget() {
    const EACH: usize = 64 * 1024;
    let api =
        api_with(&route_and("limits: {body: 64KiB}"), "inspected_total: 1MiB, connections_per_address: 4000");
    let before = api.gateway.resident_kib();
    // All but the last octet: each holds what it has.
    let text = format!("{{\"query\":\"{{a}}\"{}}}", " ".repeat(EACH - 15));
    let head = format!("{HEAD}Content-Length: {EACH}\r\n\r\n");
    let mut open = Vec::new();
    for _ in 0..20 {
        let clients: Vec<_> = (0..50)
            .map(|_| {
                let mut connection = api.gateway.connect();
                let (head, text) = (head.clone(), text.clone());
                thread::spawn(move || {
                    connection.try_write(head.as_bytes()).ok();
                    connection.try_write(&text.as_bytes()[..EACH - 1]).ok();
                    connection
                })
            })
            .collect();
        open.extend(clients.into_iter().map(|client| client.join().expect("a client")));
    }
    wait_until("what is past the budget is refused", || {
        api.gateway.metric("decisions_total", &[("reason", "overloaded")]) >= 900.0
    });
    let grown = api.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 128 * 1024, "{grown} KiB more for a thousand");
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    drop(open);
    let again = || api.gateway.send(&post(body("{a}"))).status == 200;
    wait_until("what they held is given back", again);
}

#[test]
fn d6_a_body_that_comes_too_slowly_is_refused() {
    let api = api_with(ROUTE, "body_rate: 10KiB, idle_time: 1s");
    let mut connection = api.gateway.connect();
    connection.write(format!("{HEAD}Content-Length: 100\r\n\r\n{{").as_bytes());
    let response = connection.answer();
    assert_eq!((response.status, response.reason().as_str()), (408, "request_timeout"), "{response:?}");
    assert_eq!(said_code(&response), "REQUEST_TIMEOUT");
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn broken_chunks_are_refused() {
    let api = api(ROUTE);
    let mut connection = api.gateway.connect();
    connection.write(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n").as_bytes());
    let response = connection.answer();
    assert_eq!((response.status, response.reason().as_str()), (400, "malformed_request"), "{response:?}");
    assert!(response.closes());
}

#[test]
fn a_client_that_leaves_within_its_body_leaves_nothing_behind() {
    let api = api_with(ROUTE, "inspected_total: 1MiB");
    for _ in 0..20 {
        let mut connection = api.gateway.connect();
        connection.write(format!("{HEAD}Content-Length: 900000\r\n\r\n").as_bytes());
        connection.write(&[b' '; 200_000]);
        drop(connection);
    }
    let again = || api.gateway.send(&post(body("{a}"))).status == 200;
    wait_until("what they held is given back", again);
}

#[test]
fn over_http_2_it_is_the_same() {
    let api = api(ROUTE);
    let client = Client::connect(api.gateway.ports.public);
    let token = api.issuer.mint("Mutation:Person:Create");
    let text = body(&format!("{{ Person(name: \"{}\") {{ identifier }} }}", "x".repeat(100_000)));
    assert_allowed(&client.send(&post(&text)));
    assert_eq!(api.upstream.last().body, text.as_bytes());
    let refused = client.send(&post(body(CREATE)));
    assert_eq!((refused.status, said_code(&refused).as_str()), (401, "UNAUTHENTICATED"), "{refused:?}");
    assert_allowed(&client.send(&post(body(CREATE)).bearer(&token)));
    assert_eq!(api.upstream.last().body, body(CREATE).as_bytes());
    // No length is announced: what comes is counted.
    let mut stream = client
        .open(&Request::new("POST", "/graphql").header("content-type", "application/json"), false)
        .expect("a stream");
    stream.send_all(body("{b}").as_bytes()).expect("it is taken");
    assert_allowed(&stream.answer().expect("an answer"));
    assert_eq!(api.upstream.last().body, body("{b}").as_bytes());
}
