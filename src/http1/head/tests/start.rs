use super::*;

#[test]
fn h7_targets_of_no_served_form_are_refused() {
    for target in [
        "*",
        "admin",
        "foo/bar",
        "a:443",
        "host:443",
        "http:/a/",
        "http://",
        "http:///",
        "ftp://a/",
        "file:///etc",
        "http://u@a/",
        "http://u:p@a/",
        "http://a:/",
        "http://a:0/",
        "http://a:99999/",
        "http://a b/",
        "http://%61/",
        "http://b/",
        "http://a:81/",
        "http://a\\@b/",
        "https://a:80/",
        "//",
        "/a b",
        "/#",
        "/a#b",
        "/?#",
        "?x",
        "\\a",
        "/\u{7f}",
        "/\u{e9}",
        "/?\u{e9}",
        "/\"",
        "/<",
        "/^",
        "/`",
        "/{",
        "/|",
        "/[",
        "/?\"",
        "/?<",
        "/?>",
        "",
        " /",
        "/\0",
        "/\t",
    ] {
        if target == "//" {
            // An empty segment is the canonicaliser's to judge; here it is a path.
            assert_eq!(text(b"GET // HTTP", &accepted("GET // HTTP/1.1\r\nHost: a\r\n\r\n").path), "//");
            continue;
        }
        check_malformed([format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")]);
    }
    check_malformed(["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"]);
}

#[test]
fn h8_anything_but_one_valid_host_is_refused() {
    check_malformed([
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\r\n\r\n",
        "GET / HTTP/1.0\r\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n",
    ]);
    for host in [
        "",
        "a,b",
        "a, b",
        "a b",
        "u@a",
        "a/",
        "a?",
        "a#",
        "a:",
        "a:0",
        "a:080",
        "a:99999",
        "a:65536",
        "a:8x",
        "a:80:80",
        ":80",
        ".",
        "..",
        "a..",
        ".a",
        "a..b",
        "a%41",
        "[::1",
        "::1",
        "[::1]x",
        "[::1]:",
        "[]",
        "[v1.a]",
        "[fe80::1%25eth0]",
        "[127.0.0.1]",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "127.1",
        "2130706433",
        "a\\b",
        "a;b",
        "a\"",
        "a=b",
        "*",
        "a:+80",
    ] {
        check_malformed([format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")]);
    }
    let label = "a".repeat(64);
    let name = ["a".repeat(63), "a".repeat(63), "a".repeat(63), "a".repeat(62)].join(".");
    check_malformed([label, name].map(|host| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
}

#[test]
fn h8_hosts_are_kept_as_sent_without_port_and_dot() {
    for (host, name) in [
        ("a", "a"),
        ("API.Example.com", "API.Example.com"),
        ("a:8080", "a"),
        ("a.", "a"),
        ("a.b.:1", "a.b"),
        ("x_y-z", "x_y-z"),
        ("127.0.0.1:65535", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::1]:443", "[2001:DB8::1]"),
        ("1a", "1a"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: \t{host} \r\n\r\n");
        let head = accepted(&request);
        assert_eq!(text(request.as_bytes(), &head.host), name);
        assert_eq!(text(request.as_bytes(), &head.authority), host);
    }
}

#[test]
fn h7_an_absolute_target_agrees_with_host() {
    for (target, host, path, query) in [
        ("http://a", "a", "/", None),
        ("http://a?x", "a", "/", Some("x")),
        ("HTTP://A/b/c?d?e/", "a", "/b/c", Some("d?e/")),
        ("http://a:80/", "a", "/", None),
        ("http://a/", "a:80", "/", None),
        ("https://a/", "a:443", "/", None),
        ("http://a./", "a", "/", None),
        ("http://[::1]:81/", "[::1]:81", "/", None),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = accepted(&request);
        assert_eq!(text(request.as_bytes(), &head.path), path);
        assert_eq!(head.query.as_ref().map(|query| text(request.as_bytes(), query)), query);
        assert_eq!(text(request.as_bytes(), &head.authority), host);
    }
}

#[test]
fn h10_connect_and_trace_are_never_served() {
    for line in ["CONNECT a:443", "CONNECT /", "TRACE /", "TRACE http://b/", "CONNECT *"] {
        let outcome = read(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(outcome.err(), Some(RequestError::Method), "{line}");
    }
}

#[test]
fn h12_odd_methods_are_refused() {
    for method in ["get", "Get", "GETx", "-BLARGH", "_GET", "1GET", "G?T", "G/T", "GET:", "", &"A".repeat(33)]
    {
        check_malformed([format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")]);
    }
    for method in ["GET", "M-SEARCH", "VERSION_1", "X", &"A".repeat(32)] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(text(request.as_bytes(), &accepted(&request).method), method);
    }
}

#[test]
fn other_versions_are_refused() {
    for version in [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/2.0",
        "HTTP/2",
        "http/1.1",
        "HTTP/1.1 ",
        "HTTP/01.1",
        "HTTP/1.10",
        "",
        "HTTP/1",
    ] {
        check_malformed([format!("GET / {version}\r\nHost: a\r\n\r\n")]);
    }
    check_malformed(["GET /\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);
}
