//! Who gets no connection, and what a flood of them costs the others.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{NAME, open, showing};
use crate::harness::certificates::{Authority, Issued, Leaf};
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::gateway::Gateway;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

struct Scene {
    upstream: Upstream,
    servers: Authority,
    clients: Authority,
    gateway: Gateway,
}

/// A gateway that asks for client certificates, in these words.
fn asking(how: &str) -> Scene {
    let upstream = Upstream::start();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let gateway = showing(
        open(&upstream),
        &servers.server(&[NAME]),
        &format!("client_ca: clients.pem, client_certificate: {how}"),
    )
    .file("clients.pem", clients.pem())
    .start();
    Scene { upstream, servers, clients, gateway }
}

impl Scene {
    #[track_caller]
    fn refused(&self, shown: Option<&Issued>, why: &str) {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = TlsClient::speaking(&self.servers, &[version], shown);
            let error = client.refused(self.gateway.ports.public, NAME);
            assert!(error.to_string().contains(why), "{error}");
        }
        assert_eq!(self.upstream.count(), 0, "I1: it reached the upstream");
    }

    #[track_caller]
    fn served(&self, shown: Option<&Issued>) {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = TlsClient::speaking(&self.servers, &[version], shown);
            let answer = client.connect(self.gateway.ports.public, NAME).send(&Request::get("/"));
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

#[test]
fn a_client_without_the_certificate_that_is_required() {
    let scene = asking("required");
    let wrong = Authority::new("others").client("device 7");
    let server = scene.clients.server(&["device-7.test"]);
    let expired = scene.clients.issue(Leaf::client("device 7").expired());
    // TLS 1.2 has no alert of its own for it (RFC 8446 section 6.2).
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::speaking(&scene.servers, &[version], None);
        let error = client.refused(scene.gateway.ports.public, NAME).to_string();
        assert!(error.contains("CertificateRequired") || error.contains("HandshakeFailure"), "{error}");
    }
    scene.refused(Some(&wrong), "UnknownCA");
    scene.refused(Some(&expired), "CertificateExpired");
    // A server's certificate says nothing of a client (RFC 5280 section 4.2.1.12).
    scene.refused(Some(&server), "alert");
    scene.served(Some(&scene.clients.client("device 7")));
}

#[test]
fn a_client_whose_optional_certificate_does_not_verify() {
    let scene = asking("optional");
    scene.refused(Some(&Authority::new("others").client("device 7")), "UnknownCA");
    scene.refused(Some(&scene.clients.issue(Leaf::client("device 7").expired())), "CertificateExpired");
    scene.served(None);
    scene.served(Some(&scene.clients.client("device 7")));
}

/// A ClientHello of TLS 1.1: version 0x0302, two cipher suites of its time, no extensions.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
    message.extend_from_slice(&body);
    let mut record = vec![22, 3, 1, 0, u8::try_from(message.len()).unwrap()];
    record.extend_from_slice(&message);
    record
}

#[test]
fn whatever_is_no_tls_of_today_is_closed_and_no_more() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    let plain = Request::get("/").octets();
    let hello = hello_of_tls_1_1();
    let mut huge = vec![22, 3, 1, 0xff, 0xff];
    huge.resize(70_000, 1);
    let sslv2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80".to_vec();
    let garbage: Vec<u8> =
        (0..4096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for octets in
        [&plain, &hello, &huge, &sslv2, &garbage, &vec![0; 4096], &b"PRI * HTTP/2.0\r\n\r\n".to_vec()]
    {
        let mut connection = Connection::open(gateway.ports.public);
        connection.write(octets);
        let answer = connection.read_to_end();
        // At most an alert (RFC 8446 section 6), and never an answer in plain text.
        assert!(answer.is_empty() || (answer[0] == 21 && answer.len() == 7), "{answer:?}");
        // `handshake_failure` or `protocol_version`: a hello of that age may be refused for more than its age.
        assert!(*octets != hello || matches!(answer[..], [21, 3, 3, 0, 2, 2, 40 | 70]), "{answer:?}");
    }
    gateway.wait_for_log(&["a TLS handshake failed", "why"]);
    let lines = gateway.logs().lines().filter(|line| line.contains("a TLS handshake failed")).count();
    assert!(lines < 7, "D8: {lines} lines for 7 connections in a moment");
    gateway.wait_for_metric("connections_unserved_total", &[("reason", "handshake")], 7.0);
    assert_eq!(upstream.count(), 0, "I1");
    let answer = TlsClient::new(&authority).connect(gateway.ports.public, NAME).send(&Request::get("/"));
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn an_application_protocol_that_is_not_spoken() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    for protocols in [&["spdy/3"][..], &["http/1.0", "acme-tls/1"]] {
        let client = TlsClient::new(&authority).offering(protocols);
        let error = client.refused(gateway.ports.public, NAME);
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    // Who offers nothing speaks HTTP/1.1.
    let mut silent = TlsClient::new(&authority).offering(&[]).connect(gateway.ports.public, NAME);
    assert_eq!(silent.send(&Request::get("/")).status, 200);
    assert_eq!(silent.tls().alpn_protocol(), None);
    let mut last =
        TlsClient::new(&authority).offering(&["spdy/3", "http/1.1"]).connect(gateway.ports.public, NAME);
    assert_eq!(last.send(&Request::get("/")).status, 200);
}

/// D6: from the first octet to the last of a handshake is `header_time`, however its octets come.
#[test]
fn d6_a_handshake_that_stalls_or_drips_ends_with_header_time() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let setup = showing(open(&upstream), &authority.server(&[NAME]), "").limits("header_time: 1s");
    let gateway = setup.start();
    let mut hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    hello.resize(300, 7);
    let started = Instant::now();
    let mut silent = Connection::open(gateway.ports.public);
    let mut stalled = Connection::open(gateway.ports.public);
    stalled.write(&hello);
    let mut dripping = Connection::open(gateway.ports.public).into_tcp();
    let drip = std::thread::spawn(move || {
        let mut octets = hello.iter().cycle();
        wait_until("the dripping connection is closed", || {
            dripping.write_all(&[*octets.next().unwrap()]).is_err()
        });
        started.elapsed()
    });
    for connection in [&mut silent, &mut stalled] {
        assert!(connection.ends_within(Duration::from_secs(10)), "it is still open");
        let elapsed = started.elapsed();
        assert!((1.0..5.0).contains(&elapsed.as_secs_f64()), "{elapsed:?}");
    }
    let elapsed = drip.join().unwrap();
    assert!((1.0..5.0).contains(&elapsed.as_secs_f64()), "{elapsed:?}");
}

/// D6: a client that shook hands and says nothing more is like any other that is idle.
#[test]
fn d6_after_the_handshake_idle_time_counts() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").limits("idle_time: 500ms").start();
    let mut connection = TlsClient::new(&authority).connect(gateway.ports.public, NAME);
    connection.expect_end();
    assert!(connection.ended_well(), "a close_notify comes before the end");
}

#[test]
fn d6_a_flood_of_half_handshakes_leaves_room_for_a_healthy_client() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let setup = showing(open(&upstream), &authority.server(&[NAME]), "");
    let gateway =
        setup.limits("connections_per_address: 100, handshakes: 150, header_time: 60s").quiet().start();
    let flood: Vec<Connection> = (0..300)
        .map(|_| {
            let mut half = Connection::from_source([127, 0, 0, 9].into(), gateway.ports.public).unwrap();
            half.write(&[22, 3, 1, 2]);
            half
        })
        .collect();
    let client = TlsClient::new(&authority);
    for _ in 0..50 {
        let started = Instant::now();
        let answer = client.connect(gateway.ports.public, NAME).send(&Request::get("/"));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    // Those past their address's share were closed without a word: nothing could have read one.
    let (mut open, mut closed) = (flood, 0);
    wait_until("those past the share are closed", || {
        open.retain_mut(|half| match half.wait("GET", Duration::from_millis(1)) {
            Outcome::Closed => {
                closed += 1;
                false
            }
            Outcome::Silence => true,
            Outcome::Answer(answer) => panic!("plain text on a TLS connection: {answer:?}"),
        });
        closed == 200
    });
    assert_eq!(open.len(), 100);
}

#[test]
fn d6_handshakes_are_bounded_in_number_and_the_bound_is_given_back() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let setup = showing(open(&upstream), &authority.server(&[NAME]), "");
    let gateway = setup.limits("handshakes: 5, header_time: 60s").start();
    let client = TlsClient::new(&authority);
    // A connection whose handshake is done is none of them; an answer says that it is done on both sides.
    let mut done: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = client.connect(gateway.ports.public, NAME);
            assert_eq!(connection.send(&Request::get("/")).status, 200);
            connection
        })
        .collect();
    let begin = || {
        let mut half = Connection::open(gateway.ports.public);
        half.write(&[22]);
        half
    };
    let mut half: Vec<Connection> = (0..5).map(|_| begin()).collect();
    wait_until("a sixth is closed at once", || {
        let is_closed = client.shake(gateway.ports.public, NAME).is_err();
        // It may have been accepted before one of the five, and that one was closed for it.
        half.extend((!is_closed).then(begin));
        is_closed
    });
    for connection in &mut done {
        assert_eq!(connection.send(&Request::get("/")).status, 200);
    }
    let reason = [("reason", "handshakes")];
    wait_until("it is counted", || gateway.metric("connections_unserved_total", &reason) > 0.0);
    drop(half);
    wait_until("there is room again", || client.shake(gateway.ports.public, NAME).is_ok());
}
