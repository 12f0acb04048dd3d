use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::{
    BATCH, HELLO, Name, frame, inventory, is_hello, length, read_inventory, receive, refused, send, text,
};
use crate::config::address::Address;
use crate::proxy::listening::Origin;

/// The text of a frame.
fn unframed(frame: &[u8]) -> String {
    let (prefix, rest) = frame.split_at(4);
    let announced = length(prefix.try_into().expect("four octets")).expect("a length");
    assert_eq!(announced, rest.len());
    text(rest.to_vec()).expect("text")
}

#[test]
fn names_are_read_as_they_were_written() {
    let ip = |port| Address::Ip(([127, 0, 0, 1], port).into());
    let unix = |path: &str| Address::Unix(PathBuf::from(path));
    for names in [
        vec![],
        vec![Name::Admin(ip(9900))],
        vec![
            Name::Listener(ip(80), Origin::Own),
            Name::Listener(ip(80), Origin::Own),
            Name::Listener(unix("/run/a socket\nwith lines"), Origin::Manager),
            Name::Listener(Address::Ip("[::1]:443".parse().expect("an address")), Origin::Manager),
            Name::Admin(ip(0)),
            Name::Store("/var/lib/a store.db".into()),
        ],
    ] {
        let sent = unframed(&inventory(&names.iter().collect::<Vec<_>>()));
        assert_eq!(read_inventory(&sent).expect("an answer"), Ok(names));
    }
}

#[test]
fn a_refusal_says_why() {
    let sent = unframed(&refused("another upgrade is under way"));
    assert_eq!(read_inventory(&sent).expect("an answer"), Err("another upgrade is under way".to_owned()));
}

#[test]
fn what_is_not_ours_is_not_understood() {
    assert!(is_hello(HELLO).is_ok());
    for other in ["", "portcullis upgrade 1", "GET / HTTP/1.1"] {
        assert!(is_hello(other).is_err(), "{other:?}");
    }
    for answer in ["", "hello", "sockets listener", "sockets x 1.2.3.4:5", "sockets listener 1.2.3.4"] {
        assert!(read_inventory(answer).is_err(), "{answer:?}");
    }
    assert!(length([0xff; 4]).is_err(), "four gigabytes of text");
    assert!(text(vec![0xff]).is_err());
    assert_eq!(unframed(&frame("ready")), "ready");
}

#[test]
fn sockets_arrive_and_are_the_same() {
    let (one, other) = UnixStream::pair().expect("a pair");
    let sockets: Vec<TcpListener> =
        (0..BATCH).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    send(one.as_fd(), &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>()).expect("sent");
    let received = receive(other.as_fd()).expect("received");
    let port = |socket: &TcpListener| socket.local_addr().expect("an address").port();
    let received: Vec<TcpListener> = received.into_iter().map(TcpListener::from).collect();
    assert_eq!(received.iter().map(port).collect::<Vec<_>>(), sockets.iter().map(port).collect::<Vec<_>>());
}

#[test]
fn an_end_is_no_batch() {
    let (one, other) = UnixStream::pair().expect("a pair");
    drop(one);
    assert!(receive(other.as_fd()).is_err());
    let too_many: Vec<OwnedFd> = (0..=BATCH).map(|_| other.try_clone().expect("a copy").into()).collect();
    assert!(send(other.as_fd(), &too_many.iter().map(AsFd::as_fd).collect::<Vec<_>>()).is_err());
}
