//! TLS downstream and upstream: who is refused, what is shown to whom, what a reload does, and that nothing secret is
//! ever seen.

mod identity;
mod memory;
mod names;
mod proxied;
mod refused;
mod reload;
mod resumption;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::certificates::{Authority, Issued};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::h2;
use crate::harness::setup::Setup;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{holds, wait_until};

/// The name that the tests' certificates are for.
const NAME: &str = "api.test";

/// A listener that shows this certificate; `members` are more of its `tls`.
fn showing(setup: Setup, shown: &Issued, members: &str) -> Setup {
    let comma = if members.is_empty() { "" } else { ", " };
    setup
        .file("cert.pem", &shown.certificate)
        .file("key.pem", &shown.key)
        .listener(&format!("tls: {{certificate: cert.pem, private_key: {{file: key.pem}}{comma}{members}}}"))
}

/// One public route to this upstream.
fn open(upstream: &Upstream) -> Setup {
    Gateway::new().upstream(upstream).route("/{*rest}", "public")
}

#[test]
fn a_request_over_tls_is_served_and_forwarded_as_https() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::speaking(&authority, &[version], None);
        let mut connection = client.connect(gateway.ports.public, NAME);
        for body in ["", "a body", &"x".repeat(200_000)] {
            let answer = connection.send(&Request::post("/orders", body));
            assert_eq!(answer.status, 200, "{answer:?}");
            let seen = upstream.last();
            assert_eq!(seen.body, body.as_bytes());
            assert_eq!(seen.head.all("x-forwarded-proto"), ["https"]);
        }
        assert_eq!(connection.tls().protocol_version(), Some(version.version));
        assert_eq!(connection.tls().alpn_protocol(), Some(&b"http/1.1"[..]));
    }
}

/// Both protocols at one address: who offers HTTP/2 gets it, and all that is known of the handshake goes for each of its
/// streams.
#[test]
fn http_2_is_agreed_on_and_forwarded_as_https() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    let tls = TlsClient::new(&authority);
    let client = h2::client::Client::connect_tls(gateway.ports.public, &tls, NAME);
    for body in ["", "a body", &"x".repeat(200_000)] {
        let answer = client.send(&Request::post("/orders", body));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(upstream.last().body, body.as_bytes());
        assert_eq!(upstream.last().head.all("x-forwarded-proto"), ["https"]);
    }
    let mut other = tls.connect(gateway.ports.public, NAME);
    assert_eq!(other.send(&Request::get("/")).status, 200);
}

/// The client lets the gateway wait until every buffer between them is full, and then reads on: what the gateway still
/// had in its hands leaves too.
#[test]
fn a_large_answer_crosses_whole_to_a_client_that_reads_late() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let large: Vec<u8> = (0..32 << 20).map(|index: u32| (index % 251) as u8).collect();
    let (answer, written) = (large.clone(), Arc::new(AtomicBool::new(false)));
    let done = Arc::clone(&written);
    upstream.on("/large", move |exchange| {
        let answered = exchange.answer(200, "", &answer);
        done.store(true, Ordering::SeqCst);
        answered
    });
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").quiet().start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        written.store(false, Ordering::SeqCst);
        let client = TlsClient::speaking(&authority, &[version], None);
        let mut connection = client.connect(gateway.ports.public, NAME);
        connection.write(&Request::get("/large").header("Connection", "close").octets());
        wait_until("the upstream is asked", || upstream.count_of("/large") > 0);
        assert!(
            holds(Duration::from_millis(300), || !written.load(Ordering::SeqCst)),
            "nothing held it back"
        );
        let answer = connection.read_to_end();
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(answer[body..] == large, "{} of {} octets", answer.len() - body, large.len());
        assert!(connection.ended_well());
    }
}

#[test]
fn what_is_cut_off_is_never_passed_off_as_whole() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    upstream.on("/cut", |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")?;
        Ok(exchange.reset())
    });
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    let mut connection = TlsClient::new(&authority).connect(gateway.ports.public, NAME);
    let answer = connection.send(&Request::get("/cut"));
    assert!(!answer.whole, "{answer:?}");
    assert!(!connection.ended_well(), "no close_notify may say that this was all");
}

#[test]
fn a_connection_that_is_closed_in_order_says_so() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    let mut connection = TlsClient::new(&authority).connect(gateway.ports.public, NAME);
    let answer = connection.send(&Request::get("/").header("Connection", "close"));
    assert_eq!(answer.status, 200);
    connection.expect_end();
    assert!(connection.ended_well(), "a close_notify comes before the end");
}
