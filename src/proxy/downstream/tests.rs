use std::net::IpAddr;
use std::rc::Rc;

use super::{Downstream, PROXIES, Version, Way};
use crate::config::address::Address;
use crate::config::network::Network;
use crate::config::{Listener, ProxyProtocol};
use crate::http1::head::{HeadLimits, RequestHead};
use crate::metrics::Metrics;
use crate::proxy::entrance::Door;

const LIMITS: HeadLimits = HeadLimits { line: 8192, total: 16384, lines: 100 };

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A client at `peer`, of a listener that trusts `10.0.0.0/8` and `2001:db8::/32`.
fn downstream(peer: &str) -> Downstream {
    let at = Address::Ip(([127, 0, 0, 1], 8080).into());
    let trusted = ["10.0.0.0/8", "2001:db8::/32"];
    let trusted = trusted.map(|text| Network::read(text).unwrap_or_else(|wrong| panic!("{wrong:?}")));
    let listener = Listener {
        address: at.clone(),
        mode: 0,
        tls: None,
        proxy_protocol: ProxyProtocol::None,
        trusted_proxies: trusted.to_vec(),
    };
    Downstream::new(
        address(peer),
        Version::Http1,
        None,
        Rc::new(Door { index: 0, listener, metrics: Metrics::new().connections(&at) }),
    )
}

/// The way of a request with these lines from `peer`.
fn check(peer: &str, lines: &str, then: impl FnOnce(Way<'_>)) {
    let octets = format!("GET / HTTP/1.1\r\nHost: own.test\r\n{lines}\r\n");
    let mut head = RequestHead::default();
    assert_eq!(head.read(octets.as_bytes(), &LIMITS), Ok(true), "{lines}");
    then(downstream(peer).way(&head, octets.as_bytes()));
}

fn came(peer: &str, lines: &str, client: &str, through: &[&str]) {
    check(peer, lines, |way| {
        let through: Vec<IpAddr> = through.iter().map(|text| address(text)).collect();
        assert_eq!((way.client, way.through.to_vec()), (address(client), through), "{peer}: {lines}");
    });
}

#[test]
fn s5_nobody_else_is_believed() {
    let lines = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: other.test\r\n\
                 Forwarded: for=192.0.2.2\r\nX-Real-IP: 192.0.2.3\r\n";
    for peer in ["11.0.0.1", "127.0.0.1", "::1", "::10.0.0.1", "::ffff:11.0.0.1"] {
        check(peer, lines, |way| {
            let expected = Way {
                client: address(peer),
                through: Vec::new().into(),
                scheme: "http",
                host: "own.test",
                authority: "own.test",
            };
            assert_eq!(way, expected);
        });
    }
}

#[test]
fn s5_the_client_is_the_last_that_is_not_trusted() {
    came("10.0.0.1", "", "10.0.0.1", &[]);
    came("10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", &["10.0.0.1"]);
    came("::ffff:10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", &["::ffff:10.0.0.1"]);
    // What an untrusted one said before is nobody's word.
    came("10.0.0.1", "x-forwarded-for: 10.9.9.9, 203.0.113.7,192.0.2.1\r\n", "192.0.2.1", &["10.0.0.1"]);
    let two = ["10.0.0.2", "10.0.0.1"];
    came("10.0.0.1", "X-Forwarded-For: 203.0.113.7, 192.0.2.1, 10.0.0.2\r\n", "192.0.2.1", &two);
    // Lines are one list.
    came(
        "10.0.0.1",
        "X-Forwarded-For: 192.0.2.1\r\nA: b\r\nX-Forwarded-For: 10.0.0.2\r\n",
        "192.0.2.1",
        &two,
    );
    // All trusted: the first of them is the client.
    came("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3", &two);
    // An IPv4-mapped address is the IPv4 one.
    came("10.0.0.1", "X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.2\r\n", "192.0.2.1", &two);
    for (entry, client) in [
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db9::1", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("[2001:db9::1]:4711", "2001:db9::1"),
        ("\t192.0.2.1 ", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ] {
        came("10.0.0.1", &format!("X-Forwarded-For: {entry}\r\n"), client, &["10.0.0.1"]);
    }
}

#[test]
fn s5_what_is_no_address_ends_the_walk() {
    for entry in [
        "",
        "unknown",
        "_hidden",
        "192.0.2.1;",
        "\"192.0.2.1\"",
        "192.0.2",
        "192.0.2.256",
        "[192.0.2.1]",
        "192.0.2.1:",
        "[::1",
        "::1]:1",
        "192.0.2.1 192.0.2.2",
        "fe80::1%eth0",
        "a.test",
    ] {
        let line = format!("X-Forwarded-For: 203.0.113.7, {entry}\r\n");
        came("10.0.0.1", &line, "10.0.0.1", &[]);
        let line = format!("X-Forwarded-For: 203.0.113.7, {entry}, 10.0.0.2\r\n");
        came("10.0.0.1", &line, "10.0.0.2", &["10.0.0.1"]);
    }
    // The aliases are a client's, not a proxy's.
    for name in ["X_Forwarded_For", "X.Forwarded.For", "X-Forwarded_For", "X-Forwarded-For2", "X-Forwarded"] {
        came("10.0.0.1", &format!("{name}: 192.0.2.1\r\n"), "10.0.0.1", &[]);
    }
    // And it is bounded.
    let long = format!("X-Forwarded-For: 192.0.2.1{}\r\n", ", 10.0.0.2".repeat(PROXIES));
    check("10.0.0.1", &long, |way| {
        assert_eq!((way.client, way.through.len()), (address("10.0.0.2"), PROXIES));
    });
}

#[test]
fn s5_scheme_and_host_are_believed_where_they_are_one_and_valid() {
    let told = |lines: &str, scheme: &str, host: &str| {
        check("2001:db8::7", lines, |way| assert_eq!((way.scheme, way.host), (scheme, host), "{lines}"));
    };
    told("", "http", "own.test");
    told("X-Forwarded-Proto: https\r\nX-Forwarded-Host: other.test:8443\r\n", "https", "other.test:8443");
    told("X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: [::1]:80\r\n", "https", "[::1]:80");
    told("X-Forwarded-Proto: http\r\n", "http", "own.test");
    for proto in ["", "ftp", "https,http", "httpss", "https\t;", "\"https\""] {
        told(&format!("X-Forwarded-Proto: {proto}\r\n"), "http", "own.test");
    }
    told("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n", "http", "own.test");
    for host in ["", "a b", "a,b", "a@b", "a:99999", "/a", "a\"b", "\u{e9}.test"] {
        told(&format!("X-Forwarded-Host: {host}\r\n"), "http", "own.test");
    }
    told("X-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\n", "http", "own.test");
    told(
        "X_Forwarded_Proto: https\r\nX_Forwarded_Host: a\r\nForwarded: proto=https;host=a\r\n",
        "http",
        "own.test",
    );
}
