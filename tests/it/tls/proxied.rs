//! Behind a balancer that passes TLS on: its PROXY header comes first, in the clear, and then the handshake.

use super::{NAME, open, showing};
use crate::harness::certificates::Authority;
use crate::harness::client::{Connection, Request};
use crate::harness::gateway::Gateway;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;

const TEXT: &[u8] = b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 443\r\n";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\x7f\0\0\x01\x12\x67\x01\xbb";

fn before(upstream: &Upstream, authority: &Authority) -> Gateway {
    showing(open(upstream), &authority.server(&[NAME]), "")
        .yaml(|text| text.replace("tls: {", "proxy_protocol: required, tls: {"))
        .start()
}

#[test]
fn a_proxy_header_comes_before_the_handshake() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = before(&upstream, &authority);
    for header in [TEXT, BINARY] {
        let client = TlsClient::new(&authority);
        let stream = client.shake_after(header, gateway.ports.public, NAME).expect("TLS behind the header");
        let mut connection = Connection::over_tls(stream);
        for _ in 0..2 {
            assert_eq!(connection.send(&Request::get("/orders")).status, 200);
            let head = upstream.last().head;
            assert_eq!(head.header("x-forwarded-for"), Some("192.0.2.9"), "{head:?}");
            assert_eq!(head.header("x-forwarded-proto"), Some("https"), "{head:?}");
        }
        // A client's own, within TLS, says nothing.
        connection.write(&[TEXT, &Request::get("/orders").octets()].concat());
        assert_eq!(connection.answer().status, 400);
    }
    assert_eq!(upstream.count(), 4);
}

#[test]
fn s1_a_handshake_without_a_proxy_header_before_it_is_none() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = before(&upstream, &authority);
    let client = TlsClient::new(&authority);
    client.refused(gateway.ports.public, NAME);
    for half in [&TEXT[..20], &BINARY[..12], b"PROXY TCP4 192.0.2.9\r\n"] {
        assert!(client.shake_after(half, gateway.ports.public, NAME).is_err(), "{half:?}");
    }
    gateway.wait_for_metric("connections_unserved_total", &[("reason", "proxy_header")], 4.0);
    // Nor is the header enough.
    let mut plain = gateway.connect();
    plain.write(&[TEXT, &Request::get("/orders").octets()].concat());
    plain.read_to_end();
    gateway.wait_for_metric("connections_unserved_total", &[("reason", "handshake")], 1.0);
    assert_eq!(upstream.count(), 0);
}
