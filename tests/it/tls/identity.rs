//! What conditions see of a handshake.

use std::net::IpAddr;

use rcgen::SanType;

use super::{NAME, showing};
use crate::harness::certificates::{Authority, Leaf};
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;

/// What `GET /` is answered under this condition.
#[track_caller]
fn under(gateway: &Gateway, client: &TlsClient, token: &str, condition: &str) -> Response {
    gateway.rewrite(|text| {
        let at = text.find("when: ").unwrap();
        format!("{}when: {condition:?}}}}}\n", &text[..at])
    });
    let reloaded = gateway.reload();
    assert_eq!(reloaded.status, 200, "{condition}: {reloaded:?}");
    client.connect(gateway.ports.public, NAME).send(&Request::get("/").bearer(token))
}

#[test]
fn a_condition_sees_the_client_the_name_and_the_version() {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let (servers, clients) = (Authority::new("servers"), Authority::new("the clients' authority"));
    let setup = Gateway::new().upstream(&upstream).issuer("corp", &issuer);
    let setup = setup.route("/", "{require: {issuers: [corp], when: 'true'}}");
    let members = "client_ca: clients.pem, client_certificate: optional";
    let gateway =
        showing(setup, &servers.server(&[NAME]), members).file("clients.pem", clients.pem()).start();
    let token = issuer.mint("");
    let names = vec![
        SanType::DnsName("device-7.test".try_into().unwrap()),
        SanType::URI("spiffe://example.test/device/7".try_into().unwrap()),
        SanType::Rfc822Name("seven@example.test".try_into().unwrap()),
        SanType::IpAddress(IpAddr::from([10, 0, 0, 7])),
    ];
    let leaf = Leaf::client("device, 7+O=Evil").alternative_names(names).serial(&[0x0a, 0xbc, 0xde]);
    let shown = clients.issue(leaf);
    let fingerprint = sha256(&shown.der());
    let with = TlsClient::showing(&servers, &shown);
    let without = TlsClient::new(&servers);

    for (condition, with_it, without_it) in [
        ("request.tls.version == '1.3'", 200, 200),
        ("request.tls.version == '1.2'", 403, 403),
        ("request.tls.server_name == 'api.test'", 200, 200),
        ("request.tls.client != null", 200, 403),
        ("request.tls.client == null", 403, 200),
        (r"request.tls.client.subject == 'CN=device\\, 7\\+O\\=Evil,O=Example'", 200, 403),
        ("request.tls.client.issuer == \"CN=the clients' authority\"", 200, 403),
        ("request.tls.client.serial == 'abcde'", 200, 403),
        (&format!("request.tls.client.fingerprint == '{fingerprint}'"), 200, 403),
        ("'device-7.test' in request.tls.client.dns", 200, 403),
        ("request.tls.client.uri == ['spiffe://example.test/device/7']", 200, 403),
        ("request.tls.client.email == ['seven@example.test']", 200, 403),
        ("request.tls.client.not_after > now", 200, 403),
        ("request.tls.client.role == 'admin'", 403, 403),
    ] {
        assert_eq!(under(&gateway, &with, &token, condition).status, with_it, "{condition}");
        let answer = under(&gateway, &without, &token, condition);
        assert_eq!(answer.status, without_it, "{condition}");
        assert!(without_it == 200 || answer.reason() == "condition_failed", "{condition}: {answer:?}");
    }
    let old = TlsClient::speaking(&servers, &[&rustls::version::TLS12], None);
    assert_eq!(under(&gateway, &old, &token, "request.tls.version == '1.2'").status, 200);
    let nameless = without.nameless();
    assert_eq!(under(&gateway, &nameless, &token, "request.tls.server_name == null").status, 200);
}

fn sha256(octets: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}
