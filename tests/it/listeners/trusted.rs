//! `trusted_proxies`: who is believed about the way a request came, and how far (threats S5).

use std::net::{IpAddr, Ipv4Addr};

use portcullis::gate::denial::Reason::{ConditionFailed, NoRoute};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Connection, Request};
use crate::harness::wait::wait_until;
use crate::listeners::listener;

/// `127.0.0.2` and `127.0.0.3` are proxies of ours; `127.0.0.1` is a client.
fn api() -> Api {
    Api::with(|setup| {
        let setup = setup
            .route("/peer", "{require: {when: request.peer == '192.0.2.9'}}")
            .route("internal.test/secret", "public");
        listener(setup, "trusted_proxies: [127.0.0.2, 127.0.0.3]")
    })
}

fn from(api: &Api, last: u8) -> Connection {
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Connection::from_source(source, api.gateway.ports.public).expect("the gateway accepts")
}

fn told(request: Request) -> Request {
    request
        .header("X-Forwarded-For", "203.0.113.5, 192.0.2.9, 127.0.0.3")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "shop.test:8443")
        .header("Forwarded", "for=203.0.113.6;host=evil.test;proto=ftp")
        .header("X-Forwarded-Port", "8443")
        .header("X-Forwarded-Prefix", "/admin")
        .header("X-Forwarded-Uri", "/admin")
        .header("X-Forwarded-Method", "DELETE")
        .header("X-Forwarded-Server", "evil")
        .header("X-Real-IP", "203.0.113.7")
        .header("X_Forwarded_For", "203.0.113.8")
        .header("X-Original-URL", "/admin")
}

/// What the upstream was told of the way, each line once.
fn heard(api: &Api) -> [String; 4] {
    let head = api.upstream.last().head;
    for name in [
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-forwarded-server",
        "x-real-ip",
        "x_forwarded_for",
        "x-original-url",
    ] {
        assert!(head.header(name).is_none(), "S5: {name}: {head:?}");
    }
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"].map(|name| {
        let values = head.all(name);
        assert_eq!(values.len(), 1, "S5: {name}: {head:?}");
        values[0].to_owned()
    })
}

#[test]
fn s5_whoever_is_not_a_proxy_of_ours_is_not_believed() {
    let api = api();
    let token = api.reader();
    for last in [1, 4] {
        let mut connection = from(&api, last);
        assert_refused(&connection.send(&told(Request::get("/peer").bearer(&token))), ConditionFailed);
        assert_allowed(&connection.send(&told(Request::get("/health"))));
        let me = format!("127.0.0.{last}");
        let forwarded = format!("for={me};host=api.test;proto=http");
        assert_eq!(heard(&api), [me.as_str(), "http", "api.test", &forwarded]);
    }
}

#[test]
fn s5_a_proxy_of_ours_is_believed_about_the_client() {
    let api = api();
    let token = api.reader();
    let mut connection = from(&api, 2);
    assert_allowed(&connection.send(&told(Request::get("/peer").bearer(&token))));
    let forwarded = "for=192.0.2.9;host=\"shop.test:8443\";proto=https, for=127.0.0.3, for=127.0.0.2";
    assert_eq!(heard(&api), ["192.0.2.9, 127.0.0.3, 127.0.0.2", "https", "shop.test:8443", forwarded]);
    api.gateway.wait_for_log(&["\"client\":\"192.0.2.9\"", "/peer"]);
    // Each request has its own.
    assert_allowed(&connection.send(&Request::get("/health")));
    assert_eq!(heard(&api), ["127.0.0.2", "http", "api.test", "for=127.0.0.2;host=api.test;proto=http"]);
    let other = Request::get("/peer").bearer(&token).header("X-Forwarded-For", "192.0.2.9, 192.0.2.10");
    assert_refused(&connection.send(&other), ConditionFailed);
    // What is refused is logged with its client too.
    api.gateway.wait_for_log(&["\"client\":\"192.0.2.10\"", "condition_failed"]);
}

/// Routes go by `Host` alone (I2): no forwarded name opens another.
#[test]
fn s5_no_forwarded_host_chooses_a_route() {
    let api = api();
    let mut connection = from(&api, 2);
    let request = Request::get("/secret").header("X-Forwarded-Host", "internal.test");
    assert_refused(&connection.send(&request), NoRoute);
    assert_eq!(api.upstream.count(), 0);
    assert_allowed(&connection.send(&Request::get("/secret").host("internal.test")));
    // And the `Host` that is sent on is the one that was matched.
    assert_allowed(&connection.send(&Request::get("/health").header("X-Forwarded-Host", "internal.test")));
    assert_eq!(api.upstream.last().head.all("host"), ["api.test"]);
}

/// The bound by address is by what cannot be written: the socket's.
#[test]
fn s5_the_bound_goes_by_the_socket() {
    let api = Api::with(|setup| {
        listener(setup.limits("connections_per_address: 2"), "trusted_proxies: 127.0.0.0/8")
    });
    let claim = |n: usize| Request::get("/health").header("X-Forwarded-For", &format!("192.0.2.{n}"));
    let mut open = Vec::new();
    for n in 0..2 {
        let mut connection = from(&api, 2);
        assert_allowed(&connection.send(&claim(n)));
        open.push(connection);
    }
    assert_eq!(from(&api, 2).send(&claim(2)).status, 503);
    assert_allowed(&from(&api, 3).send(&claim(2)));
}

/// Behind a balancer, the peer is the one in the PROXY header.
#[test]
fn s5_the_peer_is_the_one_behind_the_balancer() {
    let api =
        Api::with(|setup| listener(setup, "proxy_protocol: required, trusted_proxies: 198.51.100.0/24"));
    let sent = |peer: &str| {
        let mut connection = api.gateway.connect();
        connection.write(format!("PROXY TCP4 {peer} 127.0.0.1 1 2\r\n").as_bytes());
        assert_allowed(&connection.send(&Request::get("/health").header("X-Forwarded-For", "192.0.2.9")));
        api.upstream.last().head.header("x-forwarded-for").unwrap_or_default().to_owned()
    };
    assert_eq!(sent("203.0.113.1"), "203.0.113.1");
    assert_eq!(sent("198.51.100.1"), "192.0.2.9, 198.51.100.1");
    assert_eq!(sent("127.0.0.1"), "127.0.0.1");
}

/// A consistent hash of requests without a subject goes by the client, not by the proxy.
#[test]
fn a_client_stays_with_its_peer_behind_a_proxy() {
    let peers = [(); 3].map(|()| crate::harness::upstream::Upstream::start());
    let urls: Vec<String> = peers.iter().map(crate::harness::upstream::Upstream::url).collect();
    let api = Api::with(|setup| {
        let value = format!("{{peers: {urls:?}, balance: consistent_hash}}");
        listener(setup.upstream_as("api", &value), "trusted_proxies: 127.0.0.2")
    });
    let mut connection = from(&api, 2);
    let mut asked = |client: usize| {
        let before: Vec<usize> = peers.iter().map(|peer| peer.count()).collect();
        let claim = Request::get("/health").header("X-Forwarded-For", &format!("192.0.2.{client}"));
        assert_allowed(&connection.send(&claim));
        let home = (0..3).find(|&peer| peers[peer].count() > before[peer]);
        home.expect("some peer was asked")
    };
    let homes: Vec<usize> = (0..30).map(&mut asked).collect();
    wait_until("each is asked again", || homes == (0..30).map(&mut asked).collect::<Vec<_>>());
    let all_on_one = homes.iter().all(|home| *home == homes[0]);
    assert!(!all_on_one, "all clients of a proxy are one: {homes:?}");
}
