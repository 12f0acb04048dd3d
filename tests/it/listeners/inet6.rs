//! IPv6: listeners, peers, and addresses as they are written.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use crate::harness::api::{Api, assert_allowed, usual};
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;

/// Listens on this address too, at the public port.
fn and_on(setup: Setup, address: &'static str, members: &'static str) -> Setup {
    setup.yaml(move |text| {
        let (before, rest) = text.split_once("listeners: [").expect("listeners");
        let (first, after) = rest.split_once("]\n").expect("one listener");
        let port = first.trim_matches('"').rsplit(':').next().expect("a port");
        format!("{before}listeners: [{first}, {{address: '{address}:{port}'{members}}}]\n{after}")
    })
}

fn connect(api: &Api, address: Ipv6Addr) -> Connection {
    let port = api.gateway.ports.public.port();
    Connection::from_source(std::net::Ipv4Addr::LOCALHOST.into(), SocketAddr::new(address.into(), port))
        .expect("the gateway accepts over IPv6")
}

/// Has a port on `[::1]` lead to the upstream, octet for octet.
fn bridge(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("[::1]:0").expect("an IPv6 loopback port");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(near), Ok(far)) = (stream, TcpStream::connect(to)) else { return };
            let (from, into) = (near.try_clone().expect("a clone"), far.try_clone().expect("a clone"));
            std::thread::spawn(move || {
                copy(from, &into).ok();
                into.shutdown(Shutdown::Write).ok();
            });
            std::thread::spawn(move || {
                copy(far, &near).ok();
                near.shutdown(Shutdown::Both).ok();
            });
        }
    });
    address
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<u64> {
    io::copy(&mut from, &mut to)
}

#[test]
fn a_client_on_ipv6_is_told_of_in_the_forms_of_ipv6() {
    // `[::]` is every IPv6 address, and stands beside IPv4 on the same port.
    for address in ["[::1]", "[::]"] {
        let api = Api::with(|setup| and_on(setup, address, ""));
        let mut connection = connect(&api, Ipv6Addr::LOCALHOST);
        assert_allowed(&connection.send(&Request::get("/health").host("[::1]:8080")));
        let head = api.upstream.last().head;
        assert_eq!(head.all("host"), ["[::1]:8080"]);
        assert_eq!(head.all("x-forwarded-for"), ["::1"]);
        assert_eq!(head.all("x-forwarded-host"), ["[::1]:8080"]);
        assert_eq!(head.all("forwarded"), ["for=\"[::1]\";host=\"[::1]:8080\";proto=http"]);
        api.gateway.wait_for_log(&["\"client\":\"::1\"", "/health"]);
        // And IPv4 beside it is what it was.
        assert_allowed(&api.gateway.send(&Request::get("/health")));
        assert_eq!(api.upstream.last().head.all("x-forwarded-for"), ["127.0.0.1"]);
    }
}

/// A route of an address, whatever the port in `Host`.
#[test]
fn h8_a_route_of_an_ipv6_host() {
    let api = Api::with(|setup| setup.route("[2001:db8::1]/only", "public"));
    let only = |host: &str| api.gateway.send(&Request::get("/only").host(host)).status;
    assert_eq!(only("api.test"), 404);
    assert_eq!(only("[2001:db8::2]"), 404);
    assert_eq!(only("[2001:db8::1"), 400);
    assert_eq!(only("2001:db8::1"), 400);
    assert_eq!(only("[2001:db8::1]:99999"), 400);
    assert_eq!(only("[2001:db8::1%25eth0]"), 400);
    assert_eq!(api.upstream.count(), 0);
    for host in ["[2001:db8::1]", "[2001:db8::1]:8080", "[2001:DB8::1]"] {
        assert_eq!(only(host), 200, "{host}");
    }
}

#[test]
fn a_peer_on_ipv6() {
    let upstream = Upstream::start();
    let address = bridge(upstream.address);
    let value = format!("{{peers: \"http://{address}\", host: upstream}}");
    let issuer = Issuer::start();
    let gateway = usual(&upstream).upstream_as("api", &value).issuer("corp", &issuer).start();
    assert_allowed(&gateway.send(&Request::post("/health", "body")));
    assert_eq!(upstream.last().head.all("host"), [address.to_string()]);
}

/// One address is one client, however many ports it has; and trust goes by the address.
#[test]
fn s5_bounds_and_trust_by_ipv6_address() {
    let api = Api::with(|setup| {
        and_on(setup.limits("connections_per_address: 2"), "[::1]", ", trusted_proxies: ['::1']")
    });
    let claim = Request::get("/health").header("X-Forwarded-For", "2001:db8::5, [2001:db8::6]:443");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = connect(&api, Ipv6Addr::LOCALHOST);
        assert_allowed(&connection.send(&claim));
        assert_eq!(api.upstream.last().head.all("x-forwarded-for"), ["2001:db8::6, ::1"]);
        open.push(connection);
    }
    assert_eq!(connect(&api, Ipv6Addr::LOCALHOST).send(&claim).status, 503);
    assert_allowed(&api.gateway.send(&claim));
    assert_eq!(api.upstream.last().head.all("x-forwarded-for"), ["127.0.0.1"]);
}
