use crate::config::peer::Peer;
use std::path::Path;

use super::{address, collide, fetched, folded, header_name, host, host_and_port, origin};

fn peer(text: &str) -> Result<Peer, crate::config::problems::Wrong> {
    super::peer(text, Path::new("/etc/portcullis"))
}

fn refused<T>(read: impl Fn(&str) -> Result<T, crate::config::problems::Wrong>, texts: &[&str]) {
    for text in texts {
        assert!(read(text).is_err(), "{text:?} was accepted");
    }
}

fn accepted<T>(read: impl Fn(&str) -> Result<T, crate::config::problems::Wrong>, texts: &[&str]) {
    for text in texts {
        assert!(read(text).is_ok(), "{text:?}: {:?}", read(text).err());
    }
}

#[test]
fn addresses() {
    refused(
        address,
        &["", "8080", ":8080", "localhost:8080", "0.0.0.0", "::1", "[::1]", "0.0.0.0:65536", "1.2.3:1"],
    );
    accepted(address, &["0.0.0.0:8080", "[::]:8080", "127.0.0.1:0"]);
}

#[test]
fn addresses_collide_when_one_covers_the_other() {
    let check = |a: &str, b: &str, expected: bool| {
        let (a, b) = (a.parse().expect("an address"), b.parse().expect("an address"));
        assert_eq!((collide(a, b), collide(b, a)), (expected, expected), "{a} {b}");
    };
    check("127.0.0.1:80", "127.0.0.1:80", true);
    check("0.0.0.0:80", "127.0.0.1:80", true);
    check("[::]:80", "[::1]:80", true);
    check("[::]:80", "127.0.0.1:80", false);
    check("[::]:80", "0.0.0.0:80", false);
    check("0.0.0.0:80", "[::1]:80", false);
    check("127.0.0.1:80", "127.0.0.1:81", false);
    check("127.0.0.1:80", "127.0.0.2:80", false);
    check("127.0.0.1:0", "127.0.0.1:0", false);
}

#[test]
fn the_admin_listener_on_every_address_is_on_ipv4_too() {
    let check = |admin: &str, listener: &str, expected: bool| {
        let (admin, listener) = (admin.parse().expect("an address"), listener.parse().expect("an address"));
        assert_eq!(super::collides_with_admin(admin, listener), expected, "{admin} {listener}");
    };
    check("[::]:80", "127.0.0.1:80", true);
    check("[::]:80", "[::1]:80", true);
    check("[::]:80", "127.0.0.1:81", false);
    check("[::]:0", "127.0.0.1:0", false);
    check("127.0.0.1:80", "[::]:80", false);
    check("127.0.0.1:80", "0.0.0.0:80", true);
}

#[test]
fn peers() {
    refused(
        peer,
        &[
            "",
            "10.0.0.5:8080",
            "http://",
            "http://:8080",
            "http://a b",
            "h3://a",
            "ftp://a",
            "http://a/x",
            "http://a?x",
            "http://a#x",
            "http://user:pw@a",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://[::1",
            "http://-\u{e9}",
            "http://a..b",
            "http:///x",
            "http://*",
            "unix:",
            "unix:///run/app.sock",
            "unix:/a\0b",
            "UNIX:/run/app.sock",
        ],
    );
    let read = |text: &str| match peer(text).ok()? {
        Peer::Host { host, port, .. } => Some((host.to_string(), port)),
        Peer::Unix(path) => Some((path.display().to_string(), 0)),
    };
    assert_eq!(read("http://10.0.0.5:8080"), Some(("10.0.0.5".into(), 8080)));
    assert_eq!(read("http://Orders.Internal/"), Some(("orders.internal".into(), 80)));
    assert_eq!(read("https://orders.internal"), Some(("orders.internal".into(), 443)));
    assert_eq!(read("h2c://orders.internal"), Some(("orders.internal".into(), 80)));
    assert_eq!(read("http://[::1]:3000"), Some(("::1".into(), 3000)));
    assert_eq!(read("unix:/run/app.sock"), Some(("/run/app.sock".into(), 0)));
    assert_eq!(read("unix:app.sock"), Some(("/etc/portcullis/app.sock".into(), 0)));
}

#[test]
fn keys_are_fetched_over_https_or_from_loopback() {
    let fetched = |text: &str| fetched(text, false);
    refused(
        fetched,
        &[
            "",
            "login",
            "login.example.com",
            "http://login.example.com",
            "http://10.0.0.1/",
            "http://127.0.0.1.nip.io/",
            "http://localhost.example.com",
            "file:///etc/passwd",
            "ftp://a",
            "https://u:p@a/",
            "https://a/#x",
            "https://",
        ],
    );
    accepted(
        fetched,
        &[
            "https://a",
            "https://a:8443/x?y=z",
            "http://localhost:8080/",
            "http://127.0.0.9/",
            "http://[::1]/",
        ],
    );
    assert!(super::fetched("http://login.example.com", true).is_ok());
}

#[test]
fn a_password_in_a_url_is_never_repeated() {
    let wrong = fetched("https://user:hunter2@a/", false).expect_err("a password");
    assert!(wrong.secret && !format!("{wrong:?}").contains("hunter2"));
}

#[test]
fn hosts() {
    let long = "a".repeat(64);
    refused(host, &["", ".", "a..b", "a b", "a/b", "\u{e9}", "[::1", "[1.2.3.4]", "a:80", &long]);
    assert_eq!(host("API.Example.com.").ok().as_deref(), Some("api.example.com"));
    assert_eq!(host("[::0001]").ok().as_deref(), Some("[::1]"));
    refused(host_and_port, &["", "a b", "a/", "a:x", "u@a", "a:99999", "a?b", "[::1]:"]);
    accepted(host_and_port, &["api.internal", "api.internal:8080", "[::1]:80", "10.0.0.1"]);
}

#[test]
fn origins() {
    refused(
        origin,
        &[
            "",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://*.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://a?b",
            "HTTPS://a",
            "https://",
            "://a",
        ],
    );
    accepted(
        origin,
        &["https://app.example.com", "http://localhost:3000", "https://a:8443", "capacitor://localhost"],
    );
}

#[test]
fn header_names() {
    refused(header_name, &["", "X Subject", "X:", "\u{e9}", "a\r\nb", "(x)"]);
    accepted(header_name, &["X-Subject", "x_subject", "a"]);
    assert_eq!(folded("X_Subject.Id"), "x-subject-id");
}
