//! Which certificate is shown to whom.

use rustls::SignatureScheme;

use super::open;
use crate::harness::certificates::{Authority, Issued, Leaf};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::setup::Setup;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;

/// A listener with all of these, in this order.
fn with(setup: Setup, all: &[&Issued]) -> Setup {
    let mut list = Vec::new();
    let mut setup = setup;
    for (index, one) in all.iter().enumerate() {
        setup = setup.file(&format!("{index}.pem"), &one.certificate).file(&format!("{index}.key"), &one.key);
        list.push(format!("{{certificate: {index}.pem, private_key: {{file: {index}.key}}}}"));
    }
    setup.listener(&format!("tls: {{certificates: [{}]}}", list.join(", ")))
}

/// The certificate that is shown to a client which asks for this name, whatever it says.
#[track_caller]
fn shown(gateway: &Gateway, client: &TlsClient, name: &str) -> Vec<u8> {
    let connection = client.connect(gateway.ports.public, name);
    connection.tls().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_certificate_is_chosen_by_name_and_the_first_is_for_all_others() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let first = authority.server(&["first.test", "127.0.0.1"]);
    let exact = authority.server(&["a.wild.test", "Upper.Test"]);
    let wild = authority.server(&["*.wild.test"]);
    let gateway = with(open(&upstream), &[&first, &wild, &exact]).start();
    let client = TlsClient::new(&authority);
    for (name, expected) in [
        ("first.test", &first),
        ("a.wild.test", &exact),
        ("b.wild.test", &wild),
        ("B.WILD.TEST", &wild),
        ("upper.test", &exact),
        // An address is no name: none is asked for.
        ("127.0.0.1", &first),
    ] {
        assert_eq!(shown(&gateway, &client, name), expected.der().to_vec(), "{name}");
    }
    assert_eq!(shown(&gateway, &client.clone().nameless(), "first.test"), first.der().to_vec());
    // What no certificate has gets the first, which its client then does not accept: a wildcard is one label.
    for name in ["other.test", "wild.test", "x.y.wild.test", "first.test.evil.test"] {
        let error = client.refused(gateway.ports.public, name).to_string();
        assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{name}: {error}");
        assert!(error.contains("first.test"), "{name} was not shown the first: {error}");
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_host_that_the_shown_certificate_does_not_have_is_served() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let (one, other) = (authority.server(&["one.test"]), authority.server(&["other.test"]));
    let gateway = with(open(&upstream), &[&one, &other]).start();
    let mut connection = TlsClient::new(&authority).connect(gateway.ports.public, "one.test");
    let answer = connection.send(&Request::get("/").host("other.test"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(upstream.last().head.header("host"), Some("other.test"));
}

/// Two certificates for one name: an ECDSA one, and an RSA one for clients that know no other.
#[test]
fn a_client_is_shown_a_certificate_that_it_can_verify() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let ecdsa = authority.server(&["api.test"]);
    let rsa = authority.issue(Leaf::server(&["api.test"]).rsa());
    let gateway = with(open(&upstream), &[&ecdsa, &rsa]).start();
    assert_eq!(shown(&gateway, &TlsClient::new(&authority), "api.test"), ecdsa.der().to_vec());
    let old = TlsClient::verifying_only(&authority, SignatureScheme::RSA_PSS_SHA256);
    assert_eq!(shown(&gateway, &old, "api.test"), rsa.der().to_vec());
}
