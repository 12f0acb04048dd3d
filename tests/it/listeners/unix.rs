//! Peers on Unix sockets.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;

use portcullis::gate::denial::Reason::UpstreamFailed;

use crate::harness::api::{assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

/// Has a Unix socket at `path` lead to the upstream: each connection to it is one to `to`, octet for octet.
fn bridge(path: &Path, to: SocketAddr) {
    let listener = UnixListener::bind(path).expect("a Unix socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(unix), Ok(tcp)) = (stream, TcpStream::connect(to)) else { return };
            let (from_unix, to_tcp) = (unix.try_clone().expect("a clone"), tcp.try_clone().expect("a clone"));
            std::thread::spawn(move || {
                copy(from_unix, &to_tcp).ok();
                to_tcp.shutdown(Shutdown::Write).ok();
            });
            std::thread::spawn(move || {
                copy(tcp, &unix).ok();
                unix.shutdown(Shutdown::Both).ok();
            });
        }
    });
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<u64> {
    io::copy(&mut from, &mut to)
}

/// The gateway before a peer that is `unix:app.sock`, relative to its configuration.
fn before(upstream: &Upstream, value: &str) -> Gateway {
    let issuer = Issuer::start();
    usual(upstream).workers(1).upstream_as("api", value).issuer("corp", &issuer).start()
}

/// A peer that is not there, or not ours to talk to, is an upstream that failed; and one that comes later is used.
#[test]
fn u6_a_socket_that_is_missing_or_dead_is_502() {
    let upstream = Upstream::start();
    let gateway = before(&upstream, "unix:app.sock");
    let path = gateway.directory.path().join("app.sock");
    let response = gateway.send(&Request::get("/health"));
    assert_refused(&response, UpstreamFailed);
    assert!(!response.text().contains("app.sock"), "U6: {response:?}");
    // A socket that nobody listens on any more.
    drop(UnixListener::bind(&path).expect("a Unix socket"));
    assert_refused(&gateway.send(&Request::get("/health")), UpstreamFailed);
    fs::remove_file(&path).expect("the dead socket goes");
    // A file that is none.
    fs::write(&path, "").expect("a file");
    assert_refused(&gateway.send(&Request::get("/health")), UpstreamFailed);
    fs::remove_file(&path).expect("the file goes");
    bridge(&path, upstream.address);
    assert_allowed(&gateway.send(&Request::get("/health")));
}

#[test]
fn a_peer_on_a_unix_socket_is_served_from() {
    let upstream = Upstream::start();
    let gateway = before(&upstream, "{peers: unix:app.sock, host: upstream}");
    bridge(&gateway.directory.path().join("app.sock"), upstream.address);
    let mut connection = gateway.connect();
    for n in 0..20 {
        assert_allowed(&connection.send(&Request::get("/health").host("api.test:8080")));
        assert_allowed(&connection.send(&Request::post("/health", vec![b'a'; n * 10_000])));
    }
    let head = upstream.last().head;
    assert_eq!(head.all("host"), ["localhost"]);
    assert_eq!(head.header("x-forwarded-host"), Some("api.test"));
    assert_eq!(upstream.count(), 40);
    assert!(upstream.connections() <= 2, "{} connections: they are not kept", upstream.connections());
}

/// Beside another, checked for its health, and chosen in turn.
#[test]
fn unix_peers_are_balanced_and_checked() {
    let (one, other) = (Upstream::start(), Upstream::start());
    for peer in [&one, &other] {
        peer.on("/healthz", |exchange| exchange.answer(200, "", b""));
    }
    let value =
        format!("{{peers: [unix:app.sock, {:?}], health: {{path: /healthz, interval: 100ms}}}}", other.url());
    let gateway = before(&one, &value);
    let asked = |peer: &Upstream| peer.count_of("/health");
    wait_until("a socket that is not there is left out", || {
        let before = asked(&other);
        (0..6).all(|_| gateway.send(&Request::get("/health")).status == 200) && asked(&other) == before + 6
    });
    assert_eq!(asked(&one), 0);
    bridge(&gateway.directory.path().join("app.sock"), one.address);
    wait_until("it is checked, and asked", || {
        assert_allowed(&gateway.send(&Request::get("/health")));
        asked(&one) > 0
    });
    assert!(one.count_of("/healthz") > 0, "it is asked without a check");
    one.on("/healthz", |exchange| exchange.answer(500, "", b""));
    wait_until("one that is not well is left out again", || {
        let before = asked(&one);
        (0..6).all(|_| gateway.send(&Request::get("/health")).status == 200) && asked(&one) == before
    });
}

/// A request is tried at another peer when the socket is dead: nothing of it was sent.
#[test]
fn u1_a_dead_socket_costs_no_request() {
    let upstream = Upstream::start();
    let gateway = before(&upstream, &format!("{{peers: [unix:nowhere.sock, {:?}]}}", upstream.url()));
    for _ in 0..10 {
        assert_allowed(&gateway.send(&Request::post("/health", "once")));
    }
    assert_eq!(upstream.count(), 10);
}
