use std::path::Path;

use super::Address;

fn read(text: &str) -> Result<Address, crate::config::problems::Wrong> {
    Address::read(text, Path::new("/etc/portcullis"))
}

#[test]
fn what_is_no_address_is_refused() {
    let long = format!("unix:/{}", "a".repeat(107));
    for text in ["", "unix:", "unix:/run/", "unix:a\0b", "unix", "/run/http.sock", "localhost:80", &long] {
        assert!(read(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn what_is_read_is_written_the_same() {
    for (text, written) in [
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("[::]:8080", "[::]:8080"),
        ("unix:/run/portcullis/http.sock", "unix:/run/portcullis/http.sock"),
        ("unix:http.sock", "unix:/etc/portcullis/http.sock"),
    ] {
        assert_eq!(read(text).map(|address| address.to_string()).ok().as_deref(), Some(written));
    }
    assert!(read(&format!("unix:/{}", "a".repeat(106))).is_ok(), "as long as a socket's path may be");
}

#[test]
fn addresses_collide_with_their_own_kind() {
    for (one, other, collide) in [
        ("0.0.0.0:80", "127.0.0.1:80", true),
        ("unix:/etc/portcullis/a", "unix:a", true),
        ("unix:./a", "unix:a", true),
        ("unix:a", "unix:b", false),
        ("unix:a", "127.0.0.1:80", false),
    ] {
        let (one, other) = (read(one).expect("an address"), read(other).expect("an address"));
        assert_eq!((one.collides(&other), other.collides(&one)), (collide, collide), "{one} {other}");
    }
}
