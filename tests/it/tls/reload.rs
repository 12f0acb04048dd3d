//! Certificates change while requests go on.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{NAME, open, showing};
use crate::harness::certificates::{Authority, Issued};
use crate::harness::client::{Connection, Request};
use crate::harness::gateway::Gateway;
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

fn shown(connection: &Connection) -> Vec<u8> {
    connection.tls().peer_certificates().unwrap()[0].to_vec()
}

/// The certificate that a new client is shown.
fn current(gateway: &Gateway, authority: &Authority) -> Vec<u8> {
    shown(&TlsClient::new(authority).connect(gateway.ports.public, NAME))
}

fn swap(gateway: &Gateway, new: &Issued) {
    gateway.replace("cert.pem", &new.certificate);
    gateway.replace("key.pem", &new.key);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let (old, new) = (authority.server(&[NAME]), authority.server(&[NAME]));
    let gateway = showing(open(&upstream), &old, "").start();
    let client = TlsClient::new(&authority);
    let mut before = client.connect(gateway.ports.public, NAME);
    assert_eq!(before.send(&Request::get("/")).status, 200);
    assert_eq!(shown(&before), old.der().to_vec());
    swap(&gateway, &new);
    wait_until("the new certificate is shown", || current(&gateway, &authority) == new.der().to_vec());
    assert_eq!(before.send(&Request::get("/")).status, 200, "an open connection was touched");
}

/// As Kubernetes swaps a mounted secret: `cert.pem -> ..data/cert.pem`, `..data -> ..1`.
#[test]
fn a_symlink_that_is_swapped_is_noticed() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let (old, new) = (authority.server(&[NAME]), authority.server(&[NAME]));
    let mounted = tempfile::tempdir().unwrap();
    let at = |name: &str| mounted.path().join(name);
    for (name, issued) in [("..1", &old), ("..2", &new)] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("tls.crt"), &issued.certificate).unwrap();
        fs::write(at(name).join("tls.key"), &issued.key).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/tls.crt", at("tls.crt")).unwrap();
    symlink("..data/tls.key", at("tls.key")).unwrap();
    let gateway = open(&upstream)
        .listener(&format!(
            "tls: {{certificate: {:?}, private_key: {{file: {:?}}}}}",
            at("tls.crt"),
            at("tls.key")
        ))
        .start();
    assert_eq!(current(&gateway, &authority), old.der().to_vec());
    symlink("..2", at("..new")).unwrap();
    fs::rename(at("..new"), at("..data")).unwrap();
    wait_until("the new certificate is shown", || current(&gateway, &authority) == new.der().to_vec());
}

#[test]
fn a_broken_pair_changes_nothing_and_says_where() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let (old, other) = (authority.server(&[NAME]), authority.server(&[NAME]));
    let gateway = showing(open(&upstream), &old, "").start();
    let generation = gateway.generation();
    for (name, content, says) in [
        ("key.pem", other.key.clone(), "is not the key of the certificate"),
        ("key.pem", String::new(), "is empty"),
        (
            "key.pem",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n".into(),
            "encrypted",
        ),
        ("cert.pem", "no certificate at all".into(), "holds no certificate"),
        ("cert.pem", old.certificate.replacen("M", "Q", 1), "cannot be read"),
        ("cert.pem", old.key.clone(), "holds no certificate"),
    ] {
        gateway.replace(name, &content);
        let answer = gateway.reload();
        assert_eq!(answer.status, 422, "{says}: {answer:?}");
        assert!(
            answer.text().contains(says) && answer.text().contains("portcullis.yaml:"),
            "{}",
            answer.text()
        );
        assert_eq!(gateway.metric("config_last_reload_success", &[]), 0.0);
        assert_eq!(current(&gateway, &authority), old.der().to_vec());
        swap(&gateway, &old);
    }
    assert_eq!(gateway.reload().status, 200);
    assert!(gateway.generation() > generation);
}

#[test]
fn whether_a_listener_speaks_tls_needs_a_restart() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let gateway = showing(open(&upstream), &authority.server(&[NAME]), "").start();
    gateway.rewrite(|text| {
        let from = text.find(", tls: ").unwrap();
        let to = text.find("}}]").unwrap();
        format!("{}{}", &text[..from], &text[to + 1..])
    });
    let answer = gateway.reload();
    assert!(answer.text().contains("whether a listener has `tls`"), "{}", answer.text());
    current(&gateway, &authority);
}

/// K7, for certificates: while they change all the time, no request is lost on open connections or new ones.
#[test]
fn k7_no_request_is_lost_while_certificates_change() {
    let (upstream, authority) = (Upstream::start(), Authority::new("ours"));
    let pairs = [authority.server(&[NAME]), authority.server(&[NAME])];
    let gateway = showing(open(&upstream), &pairs[0], "").quiet().start();
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for kept in [true, true, false, false] {
            let (authority, gateway, stop, served) = (&authority, &gateway, &stop, &served);
            scope.spawn(move || {
                let client = TlsClient::new(authority);
                let mut connection = client.connect(gateway.ports.public, NAME);
                while !stop.load(Ordering::SeqCst) {
                    if !kept {
                        connection = client.connect(gateway.ports.public, NAME);
                    }
                    assert_eq!(connection.send(&Request::get("/")).status, 200);
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..10 {
            let before = served.load(Ordering::SeqCst);
            swap(&gateway, &pairs[(round + 1) % 2]);
            assert_eq!(gateway.reload().status, 200);
            wait_until("requests go on", || served.load(Ordering::SeqCst) > before + 100);
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(served.load(Ordering::SeqCst) > 1000);
}
