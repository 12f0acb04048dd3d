//! Peers over TLS: verified, or not spoken to.

use super::{NAME, showing};
use crate::harness::certificates::{Authority, Leaf};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::setup::Setup;
use crate::harness::tls::{TlsClient, TlsFront};
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;
use crate::harness::websocket::{BINARY, Frame, WebSocket, echo, handshake};

/// An upstream of one `https` peer on this machine, verified by `ca.pem`; `members` are more of its mapping.
fn reaching(front: &TlsFront, host: &str, authority: &Authority, members: &str) -> Setup {
    let peer = format!("https://{host}:{}", front.address.port());
    let comma = if members.is_empty() { "" } else { ", " };
    let tls = if members.contains("tls:") { "" } else { "tls: {ca: ca.pem}, " };
    Gateway::new()
        .upstream_as("api", &format!("{{{tls}peers: {peer:?}{comma}{members}}}"))
        .route("/{*rest}", "public")
        .file("ca.pem", authority.pem())
}

#[test]
fn a_peer_that_does_not_verify_is_502_and_hears_nothing() {
    let (upstream, authority) = (Upstream::start(), Authority::new("upstreams"));
    let now = std::time::SystemTime::now();
    let days = |days: u64| now + std::time::Duration::from_secs(days * 86_400);
    let unknown = Authority::new("others").server(&["localhost", "127.0.0.1"]);
    for (shown, host, why) in [
        (&unknown, "localhost", "issuer is not known"),
        (&authority.server(&["other.test"]), "localhost", "for another name"),
        (&authority.server(&["*.localhost"]), "localhost", "for another name"),
        // An address is verified as an address, and a name is none.
        (&authority.server(&["localhost"]), "127.0.0.1", "for another name"),
        (&authority.server(&["127.0.0.2"]), "127.0.0.1", "for another name"),
        (&authority.issue(Leaf::server(&["localhost"]).expired()), "localhost", "has expired"),
        (
            &authority.issue(Leaf::server(&["localhost"]).beginning(days(200)).ending(days(400))),
            "localhost",
            "not valid yet",
        ),
        (&authority.client("localhost"), "localhost", "certificate"),
    ] {
        let front = TlsFront::start(shown, None, upstream.address);
        let gateway = reaching(&front, host, &authority, "").start();
        let answer = gateway.send(&Request::post("/orders", "secret things"));
        assert_eq!((answer.status, &*answer.reason()), (502, "upstream_failed"), "{answer:?}");
        assert!(!answer.text().contains(host), "U6: {}", answer.text());
        gateway.wait_for_log(&["no TLS with the peer", why]);
        wait_until("the front saw it fail", || front.failed() > 0);
        assert_eq!(front.shaken(), 0);
    }
    assert_eq!(upstream.count(), 0, "I1");
}

#[test]
fn a_plain_peer_called_https_is_502() {
    let (upstream, authority) = (Upstream::start(), Authority::new("upstreams"));
    let gateway = Gateway::new()
        .upstream_as("api", &format!("{{peers: 'https://{}', tls: {{ca: ca.pem}}}}", upstream.address))
        .route("/{*rest}", "public")
        .file("ca.pem", authority.pem())
        .limits("header_time: 2s")
        .start();
    let answer = gateway.send(&Request::get("/orders"));
    assert!(matches!(answer.status, 502 | 504), "{answer:?}");
    assert!(!upstream.raw().contains("/orders"), "it was sent in plain text");
}

#[test]
fn a_peer_is_verified_by_name_or_address_and_kept() {
    let (upstream, authority) = (Upstream::start(), Authority::new("upstreams"));
    for (host, names) in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")] {
        let front = TlsFront::start(&authority.server(&[names]), None, upstream.address);
        let gateway = reaching(&front, host, &authority, "host: upstream").workers(1).start();
        let mut connection = gateway.connect();
        for body in ["", "a body", &"x".repeat(300_000)] {
            let answer = connection.send(&Request::post("/orders", body));
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(upstream.last().body, body.as_bytes());
        }
        assert_eq!(front.shaken(), 1, "one connection served all of them");
        assert_eq!(front.last(), ((host == "localhost").then(|| host.to_owned()), 0));
        let expected = format!("{host}:{}", front.address.port());
        assert_eq!(upstream.last().head.header("host"), Some(&*expected));
    }
}

#[test]
fn the_systems_roots_are_believed_where_no_other_are_named() {
    let (upstream, authority) = (Upstream::start(), Authority::new("upstreams"));
    let front = TlsFront::start(&authority.server(&["localhost"]), None, upstream.address);
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), authority.pem()).unwrap();
    let peer = format!("https://localhost:{}", front.address.port());
    let setup = || Gateway::new().upstream_as("api", &peer).route("/{*rest}", "public");
    let gateway = setup().env("SSL_CERT_FILE", bundle.path().to_str().unwrap()).start();
    assert_eq!(gateway.send(&Request::get("/")).status, 200);
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), Authority::new("others").pem()).unwrap();
    let gateway = setup().env("SSL_CERT_FILE", other.path().to_str().unwrap()).start();
    assert_eq!(gateway.send(&Request::get("/")).status, 502);
}

#[test]
fn a_peer_that_wants_a_certificate_is_shown_ours() {
    let (upstream, authority, ours) =
        (Upstream::start(), Authority::new("upstreams"), Authority::new("ours"));
    let front = TlsFront::start(&authority.server(&["localhost"]), Some(&ours), upstream.address);
    let shown = ours.client("the gateway");
    let tls = "tls: {ca: ca.pem, certificate: client.pem, private_key: {file: client.key}}";
    let with = |setup: Setup, key: &str| setup.file("client.pem", &shown.certificate).file("client.key", key);
    let gateway = with(reaching(&front, "localhost", &authority, tls), &shown.key).start();
    assert_eq!(gateway.send(&Request::get("/")).status, 200);
    assert_eq!(front.last(), (Some("localhost".to_owned()), 1));
    let gateway = reaching(&front, "localhost", &authority, "").start();
    let before = upstream.count();
    assert_eq!(gateway.send(&Request::get("/")).status, 502);
    assert_eq!(upstream.count(), before);
}

/// A connection verified by the old authority is no substitute for one verified by the new.
#[test]
fn another_authority_counts_from_the_reload_on() {
    let (upstream, authority) = (Upstream::start(), Authority::new("upstreams"));
    let front = TlsFront::start(&authority.server(&["localhost"]), None, upstream.address);
    let gateway = reaching(&front, "localhost", &authority, "").workers(1).start();
    let mut connection = gateway.connect();
    for _ in 0..3 {
        assert_eq!(connection.send(&Request::get("/")).status, 200);
    }
    assert_eq!(front.shaken(), 1);
    gateway.replace("ca.pem", Authority::new("others").pem());
    assert_eq!(gateway.reload().status, 200);
    let count = upstream.count();
    assert_eq!(connection.send(&Request::get("/")).status, 502, "a kept connection was used");
    assert_eq!(upstream.count(), count);
    gateway.replace("ca.pem", authority.pem());
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(connection.send(&Request::get("/")).status, 200);
}

/// A reload of something else costs no connection to a peer.
#[test]
fn kept_connections_outlive_a_reload_of_something_else() {
    let (upstream, authority) = (Upstream::start(), Authority::new("upstreams"));
    let front = TlsFront::start(&authority.server(&["localhost"]), None, upstream.address);
    let gateway = reaching(&front, "localhost", &authority, "").workers(1).start();
    assert_eq!(gateway.send(&Request::get("/")).status, 200);
    gateway.rewrite(|text| text.replace("routes:\n", "routes:\n  \"/more\": public\n"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.send(&Request::get("/")).status, 200);
    assert_eq!(front.shaken(), 1);
}

/// Over TLS on both sides; the peer would rather speak HTTP/2, in which no such handshake can be sent on.
#[test]
fn a_websocket_is_opened_over_tls_in_http_1_1() {
    let (upstream, authority) = (Upstream::start(), Authority::new("everybody's"));
    upstream.on("/ws", echo);
    let shown = authority.server(&["localhost"]);
    let front = TlsFront::choosing(&["h2", "http/1.1"], &shown, None, upstream.address);
    let gateway =
        showing(reaching(&front, "localhost", &authority, ""), &authority.server(&[NAME]), "").start();
    let mut connection = TlsClient::new(&authority).connect(gateway.ports.public, NAME);
    connection.write(&handshake("/ws").octets());
    let mut socket = WebSocket::opened(connection);
    socket.echoes("hello");
    let large = vec![7; 1 << 20];
    socket.send(&Frame::new(BINARY, &large));
    assert!(socket.receive() == Some(Frame::new(BINARY, &large).plain()), "not an echo");
    socket.send(&Frame::close(1000));
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(1000));
    assert_eq!(upstream.count(), 1);
}

#[test]
fn health_is_asked_over_tls_too() {
    let (well, authority) = (Upstream::start(), Authority::new("upstreams"));
    let shown = authority.server(&["127.0.0.1"]);
    let front = TlsFront::start(&shown, None, well.address);
    let impostor = TlsFront::start(&Authority::new("others").server(&["127.0.0.1"]), None, well.address);
    let peers = format!("peers: ['https://{}', 'https://{}']", impostor.address, front.address);
    let gateway = Gateway::new()
        .upstream_as(
            "api",
            &format!("{{{peers}, tls: {{ca: ca.pem}}, health: {{path: /healthz, interval: 50ms}}}}"),
        )
        .route("/{*rest}", "public")
        .file("ca.pem", authority.pem())
        .start();
    wait_until("both were asked", || front.shaken() > 1 && impostor.failed() > 1);
    assert!(well.count_of("/healthz") > 0);
    let failed = impostor.failed();
    for _ in 0..20 {
        assert_eq!(gateway.send(&Request::get("/")).status, 200);
    }
    // The impostor is asked for its health still, and for nothing else: no request of these tried it first.
    assert_eq!(impostor.shaken(), 0);
    assert!(impostor.failed() >= failed);
    well.on("/healthz", |exchange| exchange.answer(500, "", b""));
    gateway.wait_for_status(&Request::get("/"), 502);
}
