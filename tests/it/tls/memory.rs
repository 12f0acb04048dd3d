//! What an idle TLS connection costs.

use super::{NAME, open, showing};
use crate::harness::certificates::Authority;
use crate::harness::client::{Connection, Request};
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;

/// I5: resident memory per idle connection that has served a request.
#[test]
fn i5_an_idle_tls_connection_holds_no_buffer_of_ours() {
    const HELD: u64 = 400;
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").quiet().start();
    let client = TlsClient::new(&authority);
    let hold = |count: u64| -> Vec<Connection> {
        (0..count)
            .map(|_| {
                let mut connection = client.connect(gateway.ports.public, NAME);
                assert_eq!(connection.send(&Request::get("/")).status, 200);
                connection
            })
            .collect()
    };
    // The first few make what all share.
    let first = hold(20);
    let before = gateway.resident_kib();
    let held = hold(HELD);
    let each = gateway.resident_kib().saturating_sub(before) as f64 / HELD as f64;
    eprintln!("an idle TLS connection: {each:.1} KiB");
    assert!(each <= 16.0, "{each:.1} KiB each");
    drop((first, held));
}
