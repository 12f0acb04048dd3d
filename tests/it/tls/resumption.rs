//! Sessions that go on: by ticket, in both versions, on whichever worker a connection lands; and no longer than what
//! they were begun with.

use std::time::{Duration, SystemTime};

use rustls::HandshakeKind;

use super::{NAME, open, showing};
use crate::harness::certificates::{Authority, Leaf};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

/// Sends a request, so that tickets have come, and says how hands were shaken.
#[track_caller]
fn kind(gateway: &Gateway, client: &TlsClient) -> HandshakeKind {
    let mut connection = client.connect(gateway.ports.public, NAME);
    assert_eq!(connection.send(&Request::get("/")).status, 200);
    connection.tls().handshake_kind().unwrap()
}

#[test]
fn a_session_is_resumed_in_both_versions_on_every_worker() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").workers(2).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::speaking(&authority, &[version], None);
        assert_eq!(kind(&gateway, &client), HandshakeKind::Full);
        // The kernel spreads these over both workers' sockets: all of one worker is one in 2^20.
        for _ in 0..20 {
            assert_eq!(kind(&gateway, &client), HandshakeKind::Resumed, "{version:?}");
        }
    }
}

#[test]
fn a_resumed_session_is_still_its_client() {
    let (upstream, servers) = (Upstream::start(), Authority::new("servers"));
    let clients = Authority::new("clients");
    let gateway = showing(
        open(&upstream),
        &servers.server(&[NAME]),
        "client_ca: clients.pem, client_certificate: required",
    )
    .file("clients.pem", clients.pem())
    .start();
    // Long enough to begin a session, and short enough to be waited for.
    let end = SystemTime::now() + Duration::from_secs(4);
    let brief = clients.issue(Leaf::client("device 7").ending(end));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let lasting = TlsClient::speaking(&servers, &[version], Some(&clients.client("device 8")));
        assert_eq!(kind(&gateway, &lasting), HandshakeKind::Full);
        assert_eq!(kind(&gateway, &lasting), HandshakeKind::Resumed);
    }
    let both = [&rustls::version::TLS12, &rustls::version::TLS13]
        .map(|version| TlsClient::speaking(&servers, &[version], Some(&brief)));
    for client in &both {
        assert_eq!(kind(&gateway, client), HandshakeKind::Full);
    }
    wait_until("the certificate ends", || SystemTime::now() > end + Duration::from_secs(1));
    let before = upstream.count();
    for client in &both {
        client.refused(gateway.ports.public, NAME);
    }
    assert_eq!(upstream.count(), before, "a session outlived its client's certificate");
}

/// Another authority for clients: whoever the old one vouched for has no session left.
#[test]
fn a_session_does_not_outlive_the_authority_that_began_it() {
    let (upstream, servers) = (Upstream::start(), Authority::new("servers"));
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let gateway = showing(
        open(&upstream),
        &servers.server(&[NAME]),
        "client_ca: clients.pem, client_certificate: required",
    )
    .file("clients.pem", old.pem())
    .start();
    let clients = [&rustls::version::TLS12, &rustls::version::TLS13]
        .map(|version| TlsClient::speaking(&servers, &[version], Some(&old.client("device 7"))));
    for client in &clients {
        kind(&gateway, client);
        assert_eq!(kind(&gateway, client), HandshakeKind::Resumed);
    }
    gateway.replace("clients.pem", new.pem());
    assert_eq!(gateway.reload().status, 200);
    let before = upstream.count();
    for client in &clients {
        client.refused(gateway.ports.public, NAME);
    }
    assert_eq!(upstream.count(), before, "I1");
}

/// A reload that changes nothing about a listener's certificates costs its clients no session.
#[test]
fn a_session_outlives_a_reload_of_something_else() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    let client = TlsClient::new(&authority);
    kind(&gateway, &client);
    gateway.rewrite(|text| text.replace("routes:\n", "routes:\n  \"/more\": public\n"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(kind(&gateway, &client), HandshakeKind::Resumed);
}
