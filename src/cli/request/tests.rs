//! Descriptions as heads.

use super::*;

#[track_caller]
fn check(url: &str, headers: &[(&str, &str)], head: Option<&str>) {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let described = Described::new("GET", url, &headers).ok();
    let described = described.map(|described| String::from_utf8(described.head).expect("text"));
    assert_eq!(described.as_deref(), head, "{url}");
}

#[test]
fn what_is_not_one_request_is_refused() {
    check("orders", &[], None);
    check("ftp://h/", &[], None);
    check("http://h?x", &[], None);
    check("http://h/", &[("Host", "other")], None);
    check("/\r\nX: y", &[], None);
    check("/", &[("X", "a\nHost: b")], None);
    check("/", &[("X\r\nY", "a")], None);
    check("/", &[("X", "a\0")], None);
}

#[test]
fn a_description_becomes_a_head() {
    check("/a?b", &[], Some("GET /a?b HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    check("/", &[("host", "h:1")], Some("GET / HTTP/1.1\r\nhost: h:1\r\n\r\n"));
    check("https://h:8443", &[], Some("GET / HTTP/1.1\r\nHost: h:8443\r\n\r\n"));
    check("http://h/a//b", &[("X", "y")], Some("GET /a//b HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"));
}
