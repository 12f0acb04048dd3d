//! `proxy_protocol: required`: who a client is, the balancer in front says, before anything else.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::{ConditionFailed, Overloaded};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Connection, Request};
use crate::harness::setup::Setup;
use crate::harness::wait::{PATIENCE, wait_until};
use crate::listeners::listener;

/// The usual API behind a balancer.
fn api(change: impl Fn(Setup) -> Setup) -> Api {
    Api::with(|setup| listener(change(setup), "proxy_protocol: required"))
}

fn health() -> Request {
    Request::get("/health")
}

/// A header of version 1 from this client.
fn text(client: &str) -> Vec<u8> {
    let (family, to) = if client.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
    format!("PROXY {family} {client} {to} 4711 443\r\n").into_bytes()
}

/// A header of version 2: command and family, and what follows.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a length").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

/// A header of version 2 from this client, with more behind its addresses.
fn binary_from(client: &str, more: &[u8]) -> Vec<u8> {
    let (family, octets) = match client.parse().expect("an address") {
        IpAddr::V4(address) => (0x11, address.octets().to_vec()),
        IpAddr::V6(address) => (0x21, address.octets().to_vec()),
    };
    binary(0x21, family, &[&octets[..], &octets, &[0x12, 0x67, 1, 187], more].concat())
}

fn announced(api: &Api, header: &[u8]) -> Connection {
    let mut connection = api.gateway.connect();
    connection.write(header);
    connection
}

fn forwarded_for(api: &Api) -> String {
    api.upstream.last().head.header("x-forwarded-for").unwrap_or_default().to_owned()
}

/// Without a header, or with half of one and a request behind it, there is no answer, and nothing goes upstream.
#[test]
fn a_connection_without_a_header_is_closed_without_an_answer() {
    let api = api(|setup| setup);
    let request = health().octets();
    let token = api.reader();
    for start in [
        &b""[..],
        b"PROXY\r\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\r\n",
        b"PROXY TCP4 192.0.2.256 127.0.0.1 4711 443\r\n",
        b"PROXY TCP6 192.0.2.1 127.0.0.1 4711 443\r\n",
        b"proxy TCP4 192.0.2.1 127.0.0.1 4711 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\x16\x03\x01\x02\0\x01",
    ] {
        announced(&api, &[start, &request].concat()).expect_end();
        let asked = Request::get("/orders/1").bearer(&token).octets();
        announced(&api, &[start, &asked].concat()).expect_end();
    }
    // One that ends in the middle of its header.
    for cut in [0, 1, 11, 30] {
        let connection = announced(&api, &text("192.0.2.1")[..cut]);
        connection.finish_writing();
        let mut connection = connection;
        connection.expect_end();
    }
    assert_eq!(api.upstream.count(), 0, "I1: {:?}", api.upstream.requests());
    let unserved = [("reason", "proxy_header")];
    api.gateway.wait_for_metric("connections_unserved_total", &unserved, 32.0);
    api.gateway.wait_for_log(&["DEBUG", "a connection without a PROXY header"]);
    let lines = api.gateway.logs().matches("without a PROXY header").count();
    assert!(lines < 10, "{lines} lines for 32 connections");
}

/// A total, as for a head (threats D6).
#[test]
fn d6_a_header_that_trickles_is_cut_off() {
    let api = api(|setup| setup.limits("header_time: 500ms"));
    let start = Instant::now();
    let mut silent = api.gateway.connect();
    let mut slow = api.gateway.connect();
    let header = text("192.0.2.1");
    let mut rest = header.iter();
    wait_until("the slow header is cut off", || {
        let Some(octet) = rest.next() else { return false };
        slow.write(&[*octet]);
        slow.ends_within(Duration::from_millis(30))
    });
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    assert!(silent.ends_within(PATIENCE));
    assert_eq!(api.upstream.count(), 0);
}

/// The address counts everywhere: what the upstream is told, what a condition sees, what is logged.
#[test]
fn the_client_is_who_the_header_says() {
    let api = api(|setup| setup.route("/peer", "{require: {when: request.peer == '192.0.2.9'}}"));
    let token = api.reader();
    let peer = Request::get("/peer").bearer(&token);
    for client in ["192.0.2.9", "::ffff:192.0.2.9"] {
        for header in [text(client), binary_from(client, b""), binary_from(client, &[0xee, 0, 3, 1, 2, 3])] {
            let mut connection = announced(&api, &header);
            assert_allowed(&connection.send(&peer));
            assert_eq!(forwarded_for(&api), "192.0.2.9");
            // The header is the connection's: the next request has it too, and a second header is none.
            assert_allowed(&connection.send(&peer));
            connection.write(&[text(client), health().octets()].concat());
            assert_eq!(connection.answer().status, 400);
        }
    }
    for client in ["192.0.2.10", "2001:db8::9"] {
        for header in [text(client), binary_from(client, b"")] {
            let mut connection = announced(&api, &header);
            assert_refused(&connection.send(&peer), ConditionFailed);
            assert_allowed(&connection.send(&health()));
            assert_eq!(forwarded_for(&api), client);
        }
    }
    let forwarded = api.upstream.last().head.header("forwarded").unwrap_or_default().to_owned();
    assert!(forwarded.starts_with("for=\"[2001:db8::9]\";"), "{forwarded}");
    api.gateway.wait_for_log(&["\"client\":\"2001:db8::9\"", "/health"]);
    // What the client writes about itself is still nobody's word.
    let mut connection = announced(&api, &text("192.0.2.10"));
    assert_refused(&connection.send(&peer.clone().header("X-Forwarded-For", "192.0.2.9")), ConditionFailed);
    assert_allowed(&connection.send(&health().header("X-Forwarded-For", "192.0.2.9")));
    assert_eq!(forwarded_for(&api), "192.0.2.10");
}

/// In one piece or octet by octet, with the request right behind.
#[test]
fn not_an_octet_more_than_the_header_is_read() {
    let api = api(|setup| setup);
    for header in [text("192.0.2.1"), text("2001:db8::1"), binary_from("192.0.2.1", &[4; 300])] {
        let body = vec![b'a'; 5000];
        let stream = [header, Request::post("/health", body).octets(), health().octets()].concat();
        let mut connection = announced(&api, &stream);
        assert_allowed(&connection.answer());
        assert_allowed(&connection.answer());
        let mut connection = api.gateway.connect();
        for octet in &stream[..200] {
            connection.write(&[*octet]);
        }
        connection.write(&stream[200..]);
        assert_allowed(&connection.answer());
        assert_allowed(&connection.answer());
    }
    assert_eq!(api.upstream.count(), 12);
}

/// A balancer's own connections, and those of which it knows nothing, are its own.
#[test]
fn without_a_client_it_is_the_balancer() {
    let api = api(|setup| setup);
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n",
        &binary(0x20, 0, b""),
        &binary(0x20, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2]),
        &binary(0x21, 0, b"what is not looked at"),
        &binary(0x21, 0x31, &[b'/'; 216]),
    ] {
        assert_allowed(&announced(&api, header).send(&health()));
        assert_eq!(forwarded_for(&api), "127.0.0.1");
    }
}

/// Its clients are bounded each by its own address, and the balancer is not (threats D6).
#[test]
fn d6_the_bound_by_address_is_the_clients() -> io::Result<()> {
    let api = api(|setup| setup.limits("connections_per_address: 2"));
    let mut open = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        for header in [text(client), binary_from(client, b"")] {
            let mut connection = announced(&api, &header);
            assert_allowed(&connection.send(&health()));
            open.push(connection);
        }
    }
    for _ in 0..3 {
        let mut connection = announced(&api, b"PROXY UNKNOWN\r\n");
        assert_allowed(&connection.send(&health()));
        open.push(connection);
    }
    for header in [text("192.0.2.1"), text("::ffff:192.0.2.1"), binary_from("2001:db8::1", b"")] {
        let mut connection = announced(&api, &header);
        let response = connection.answer();
        assert_refused(&response, Overloaded);
        assert!(response.closes(), "{response:?}");
    }
    let why = [("reason", "connections_per_address")];
    api.gateway.wait_for_metric("connections_unserved_total", &why, 3.0);
    open.clear();
    wait_until("the address is free again", || {
        let mut connection = announced(&api, &text("192.0.2.1"));
        connection.send(&health()).status == 200
    });
    Ok(())
}

/// Connections that have said nothing yet count for the whole.
#[test]
fn d6_the_bound_in_all_counts_before_the_header() {
    let api = api(|setup| setup.limits("connections: 4, header_time: 30s"));
    let silent: Vec<Connection> = (0..4).map(|_| api.gateway.connect()).collect();
    wait_until("they are open", || api.gateway.metric("connections", &[]) >= 4.0);
    let response = api.gateway.connect().answer();
    assert_refused(&response, Overloaded);
    drop(silent);
    wait_until("there is room", || {
        let mut connection = announced(&api, &text("192.0.2.1"));
        connection.send(&health()).status == 200
    });
}

/// One that waits for its header does not hold up a drain.
#[test]
fn o5_a_silent_connection_does_not_hold_up_the_end() {
    let api = api(|setup| setup.limits("header_time: 60s").yaml_tail("shutdown_grace: 60s"));
    let mut silent = api.gateway.connect();
    wait_until("it is open", || api.gateway.metric("connections", &[]) >= 1.0);
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    silent.expect_end();
}
