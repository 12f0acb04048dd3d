use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::{Bound, Given, Listening, Origin};
use crate::config::address::Address;
use crate::config::{Listener, ProxyProtocol};

fn at(address: Address, mode: u32) -> Listener {
    Listener { address, mode, tls: None, proxy_protocol: ProxyProtocol::None, trusted_proxies: Vec::new() }
}

fn unix(path: &Path) -> Listener {
    at(Address::Unix(path.to_owned()), 0o600)
}

fn loopback() -> Listener {
    at(Address::Ip(([127, 0, 0, 1], 0).into()), 0o660)
}

/// So many sockets that somebody else has bound, for this listener.
fn given(listener: &Listener, sockets: usize) -> Vec<Given> {
    let bind = |_| std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let give = |socket: std::net::TcpListener| Given {
        listener: listener.address.clone(),
        origin: Origin::Own,
        socket: socket.into(),
    };
    (0..sockets).map(bind).map(give).collect()
}

/// The ports each worker accepts from.
fn ports(bound: &Bound) -> Vec<Vec<u16>> {
    let port = |socket: &Listening| match socket {
        Listening::Tcp(socket) => socket.local_addr().expect("an address").port(),
        Listening::Unix(_) => 0,
    };
    bound.workers.iter().map(|dealt| dealt.iter().map(|dealt| port(&dealt.socket)).collect()).collect()
}

#[test]
fn every_given_socket_is_accepted_from_and_every_worker_accepts() {
    for (sockets, workers) in [(1, 1), (1, 4), (2, 3), (3, 3), (5, 2), (8, 3), (4, 1)] {
        let listener = loopback();
        let bound =
            Bound::bind(std::slice::from_ref(&listener), workers, given(&listener, sockets)).expect("bound");
        let ports = ports(&bound);
        assert_eq!(ports.len(), workers);
        assert!(ports.iter().all(|of_one| !of_one.is_empty()), "{sockets} for {workers}: {ports:?}");
        let mut all: Vec<u16> = ports.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), sockets, "{sockets} for {workers}: {ports:?}");
    }
}

#[test]
fn sockets_of_other_listeners_are_not_taken() {
    let bound = Bound::bind(&[loopback()], 2, given(&unix(Path::new("/nowhere")), 1)).expect("bound");
    let ports = ports(&bound);
    assert_eq!(ports[0], ports[1], "one port, one socket a worker");
}

#[test]
fn a_unix_socket_that_is_answered_is_not_taken_from_its_owner() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    let _owner = UnixListener::bind(&path).expect("bound");
    let refused = Bound::bind(&[unix(&path)], 1, Vec::new()).expect_err("it is taken");
    assert_eq!(refused.source.kind(), std::io::ErrorKind::AddrInUse);
    UnixStream::connect(&path).expect("its owner still answers");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    fs::write(&path, "precious").expect("a file");
    assert!(Bound::bind(&[unix(&path)], 1, Vec::new()).is_err());
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn a_socket_whose_owner_is_gone_is_replaced_and_removed_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    drop(UnixListener::bind(&path).expect("bound"));
    let mut bound = Bound::bind(&[unix(&path)], 3, Vec::new()).expect("bound");
    UnixStream::connect(&path).expect("it is answered");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o7777, 0o600);
    drop(bound.take_files());
    assert!(!path.exists());
}

#[test]
fn the_file_of_another_is_not_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    let mut bound = Bound::bind(&[unix(&path)], 1, Vec::new()).expect("bound");
    fs::remove_file(&path).expect("removed");
    // Something between them, so that the new file does not get the old one's number.
    fs::write(directory.path().join("other"), "").expect("a file");
    let _other = UnixListener::bind(&path).expect("bound");
    drop(bound.take_files());
    assert!(path.exists());
}
