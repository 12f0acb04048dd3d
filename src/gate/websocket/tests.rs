use super::*;

#[track_caller]
fn check(own: bool, origin: &str, authority: &str, secure: bool) {
    let (host, _) = split(authority);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    assert_eq!(is_own(origin, &host, &Handshake { authority, secure }), own, "{origin} for {authority}");
}

#[test]
fn s7_the_own_origin_is_the_hosts() {
    for (origin, authority) in [
        ("https://api.test", "api.test"),
        ("http://api.test", "api.test"),
        ("https://api.test", "API.test:443"),
        ("http://api.test", "api.test.:80"),
        ("http://api.test:8080", "api.test:8080"),
        ("https://[::1]:8443", "[::1]:8443"),
        ("https://[::1]", "[::1]"),
    ] {
        check(true, origin, authority, false);
    }
}

#[test]
fn s7_every_other_is_a_strangers() {
    for (origin, authority) in [
        ("", "api.test"),
        ("null", "api.test"),
        ("api.test", "api.test"),
        ("https://evil.test", "api.test"),
        ("https://api.test.evil.test", "api.test"),
        ("https://evil.test/api.test", "api.test"),
        ("https://notapi.test", "api.test"),
        ("https://sub.api.test", "api.test"),
        ("https://api.test:8443", "api.test"),
        ("https://api.test", "api.test:8443"),
        ("http://api.test", "api.test:443"),
        ("https://api.test:", "api.test"),
        ("https://user@api.test", "api.test"),
        ("ws://api.test", "api.test"),
        ("file://api.test", "api.test"),
        ("https://api.test, https://evil.test", "api.test"),
    ] {
        check(false, origin, authority, false);
    }
    // Over TLS a page in plain text is a stranger's too.
    check(false, "http://api.test", "api.test", true);
    check(true, "https://api.test", "api.test", true);
}
