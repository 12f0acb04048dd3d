use super::*;

fn read(octets: &[u8]) -> Result<Option<RequestHead>, RequestError> {
    read_within(octets, &LIMITS)
}

fn read_within(octets: &[u8], limits: &HeadLimits) -> Result<Option<RequestHead>, RequestError> {
    let mut head = RequestHead::default();
    Ok(head.read(octets, limits)?.then_some(head))
}

/// A request with a `Host` and these lines.
fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

#[track_caller]
fn check_malformed<T: AsRef<[u8]>>(heads: impl IntoIterator<Item = T>) {
    for head in heads {
        let head = head.as_ref();
        let outcome = read(head);
        assert!(matches!(outcome, Err(RequestError::Malformed(_))), "{}: {outcome:?}", head.escape_ascii());
    }
}

#[track_caller]
fn check_lines_malformed(lines: &[&str]) {
    check_malformed(lines.iter().map(|lines| with(lines)));
}

#[track_caller]
fn accepted(head: &str) -> RequestHead {
    read(head.as_bytes()).unwrap_or_else(|error| panic!("{head:?}: {error}")).expect("a whole head")
}

#[test]
fn h2_http10_with_transfer_encoding_is_refused() {
    check_malformed(["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]);
}

#[test]
fn h2_transfer_encoding_other_than_chunked_alone_is_refused() {
    check_lines_malformed(&[
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunke",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chun\u{e9}ked",
    ]);
}

#[test]
fn h3_length_with_transfer_encoding_is_refused() {
    check_lines_malformed(&[
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
    ]);
}

#[test]
fn h3a_length_in_any_but_its_one_spelling_is_refused() {
    for value in [
        "",
        "+5",
        "-0",
        "-5",
        "05",
        "00",
        "000",
        "0x5",
        "5,5",
        "34, 34",
        "5;",
        "5/",
        "5 5",
        "5.0",
        "1e1",
        "a",
        "\u{b2}",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999",
        "5\u{a0}",
        "\u{85}5",
        "5_0",
    ] {
        check_lines_malformed(&[&format!("Content-Length: {value}")]);
    }
    check_lines_malformed(&[
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 6",
    ]);
}

#[test]
fn h5_line_ends_other_than_crlf_are_refused() {
    check_malformed([
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\nxx\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
}

#[test]
fn h5_names_and_values_out_of_the_grammar_are_refused() {
    check_lines_malformed(&[
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        " X: a",
        "X : a",
        "X\t: a",
        ": a",
        "X",
        "X y: a",
        "X(: a",
        "X\": a",
        "X: a\0b",
        "X: a\u{1}b",
        "X: a\u{7f}b",
        "X: \u{8}",
        "X\0: a",
        "Transfer-Encoding : chunked",
        "\u{e9}: x",
    ]);
    check_malformed([b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: y\r\n\r\n"]);
    check_malformed([
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n",
    ]);
}

#[test]
fn h5_white_space_of_other_parsers_is_refused_at_the_edge_of_a_value() {
    for value in [&b"\x85x"[..], b"x\x85", b"\xa0x", b"x\xa0", b"\xa0", b" \x85 "] {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", value, b"\r\n\r\n"].concat();
        check_malformed([head]);
    }
}

#[test]
fn h5_text_beyond_ascii_passes_only_where_nobody_reads_it() {
    for name in ["Host", "Authorization", "Connection", "Content-Length", "Transfer-Encoding", "TE", "Origin"]
    {
        let host = if name == "Host" { "" } else { "Host: a\r\n" };
        let head = [format!("GET / HTTP/1.1\r\n{host}{name}: a").as_bytes(), b"\xe9b\r\n\r\n"].concat();
        check_malformed([head]);
    }
    for name in ["X", "Cookie", "User-Agent"] {
        let head = [format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: a").as_bytes(), b"\xe9b\r\n\r\n"].concat();
        let read = read(&head).expect("obs-text is opaque").expect("a whole head");
        assert_eq!(octets(&head, &read.lines[1].value), b"a\xe9b");
    }
}

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
fn h9_heads_past_their_bounds_are_too_large() {
    let limits = HeadLimits { line: 40, total: 200, lines: 4 };
    let line = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(length - 3));
    let start = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(length - 14));
    let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    for head in [line(40), start(40), lines(4)] {
        assert!(read_within(head.as_bytes(), &limits).expect("within").is_some(), "{head}");
        // Neither is any beginning of them refused.
        for end in 0..head.len() {
            assert!(read_within(&head.as_bytes()[..end], &limits).expect("within").is_none());
        }
    }
    for head in [line(41), start(41), lines(5), lines(50), line(5000), start(5000)] {
        assert_eq!(read_within(head.as_bytes(), &limits).err(), Some(RequestError::TooLarge), "{head}");
    }
    let total = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(length));
    let limits = HeadLimits { line: 40, total: 27 + 6 * 10, lines: 100 };
    assert!(read_within(total(10).as_bytes(), &limits).expect("within").is_some());
    assert_eq!(read_within(total(11).as_bytes(), &limits).err(), Some(RequestError::TooLarge));
    // Before the end is there, too.
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(100));
    assert_eq!(read_within(endless.as_bytes(), &limits).err(), Some(RequestError::TooLarge));
    // What follows the head does not count.
    let followed = format!("{}{}", total(10), "y".repeat(1000));
    assert!(read_within(followed.as_bytes(), &limits).expect("within").is_some());
}

#[test]
fn h9_more_lines_than_fit_the_stack_are_too_large_whatever_the_limit() {
    let limits = HeadLimits { line: 1000, total: 1 << 20, lines: 10_000 };
    let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert!(read_within(lines(256).as_bytes(), &limits).expect("within").is_some());
    assert_eq!(read_within(lines(257).as_bytes(), &limits).err(), Some(RequestError::TooLarge));
}

#[test]
fn h10_connect_and_trace_are_never_served() {
    for line in ["CONNECT a:443", "CONNECT /", "TRACE /", "TRACE http://b/", "CONNECT *"] {
        let outcome = read(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(outcome.err(), Some(RequestError::Method), "{line}");
    }
}

#[test]
fn h10_expectations_that_cannot_be_met_are_refused() {
    for value in ["", "y", "y 100-continue", "100-continue, y", "100-continue;q=1", "200-ok", "100-continu"] {
        let outcome = read(with(&format!("Expect: {value}\r\nContent-Length: 5")).as_bytes());
        assert_eq!(outcome.err(), Some(RequestError::Expectation), "{value}");
    }
    check_lines_malformed(&["Expect: 100-continue\r\nExpect: 100-continue", "Expect: x\r\nHost: a"]);
}

#[test]
fn h10_continue_is_expected_only_with_a_body_to_come() {
    for (head, expects) in [
        (with("Expect: 100-Continue\r\nContent-Length: 5"), true),
        (with("Expect: 100-continue\r\nTransfer-Encoding: chunked"), true),
        (with("Expect: 100-continue\r\nContent-Length: 0"), false),
        (with("Expect: 100-continue"), false),
        (with("Content-Length: 5"), false),
        ("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned(), false),
    ] {
        assert_eq!(accepted(&head).expects_continue, expects, "{head}");
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

#[test]
fn garbage_is_refused_at_its_first_octets() {
    check_malformed([
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"\x16",
        b"\0",
        b"\x80\x2e",
        b"SSH-2.0-x\r\n",
        b"\n",
        b" ",
        b"{",
        b"get",
    ]);
    check_malformed([
        "GET / HTTP/1.1\nHost",
        "GET / HTTP/1.1\r\n\nHost",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]);
}

#[test]
fn s2_misspelt_framing_is_refused_and_misspelt_forwarding_known() {
    check_lines_malformed(&[
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "content.length: 5",
        "TRANSFER_ENCODING: x",
        "Transfer~Encoding: chunked",
    ]);
    for name in [
        "Forwarded",
        "forwarded",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "x.forwarded.host",
        "X~Forwarded-Prefix",
        "X-Forwarded",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X_REAL_IP",
        "X-Original-URL",
        "X-Original-Method",
        "X_Rewrite_Url",
        "X-Rewrite-URL",
    ] {
        let head = accepted(&with(&format!("{name}: spoofed")));
        assert_eq!(kinds(&head.lines), [Known::Host, Known::Forwarding], "{name}");
    }
    for name in ["XForwardedFor", "X-Real-IPs", "Forwarde", "Y-Forwarded-For", "X-Forward"] {
        assert_eq!(
            kinds(&accepted(&with(&format!("{name}: y"))).lines),
            [Known::Host, Known::Other],
            "{name}"
        );
    }
}

#[test]
fn s3_connection_nominates_nothing_that_matters() {
    for option in [
        "Host",
        "authorization",
        "Cookie",
        "Content-Length",
        "content-type",
        "Content-Encoding",
        "Content_Type",
        "transfer-encoding",
        "X-Forwarded-For",
        "x_forwarded_host",
        "Forwarded",
        "Via",
        "Origin",
        "X-Real-IP",
        "Expect",
    ] {
        check_lines_malformed(&[
            &format!("Connection: {option}"),
            &format!("Connection: close, {option}"),
            &format!("Connection: keep-alive\r\nX: y\r\nConnection: x,\t{option} "),
        ]);
    }
    check_lines_malformed(&[
        "Connection: \"x-user-id\"",
        "Connection: a b",
        "Connection: x;y",
        "Connection: x\u{e9}",
    ]);
    check_lines_malformed(&[
        &format!("Connection: {}a", "a,".repeat(16)),
        &format!("Connection: {}", ",".repeat(16)),
    ]);
    assert!(read(with(&format!("Connection: {}a", "a,".repeat(15))).as_bytes()).is_ok());
}

#[test]
fn s3_what_connection_nominates_ends_here() {
    let request = with(
        "X-A: 1\r\nx-b: 2\r\nConnection: keep-alive, X-B\r\nX-B: 3\r\nConnection: ,x-C\r\nX-C: 4\r\nX-D: 5",
    );
    let hop = Known::HopByHop;
    let expected = [Known::Host, Known::Other, hop, hop, hop, hop, hop, Known::Other];
    assert_eq!(kinds(&accepted(&request).lines), expected);
}

#[test]
fn s4_several_of_what_there_is_one_of_are_refused() {
    for name in
        ["Authorization", "Origin", "Content-Type", "Content-Length", "Host", "Expect", "authorization"]
    {
        let value = if name == "Content-Length" { "5" } else { "100-continue" };
        check_lines_malformed(&[&format!("{name}: {value}\r\nX: y\r\n{}: {value}", name.to_uppercase())]);
    }
    assert_eq!(accepted(&with("Cookie: a=1\r\nCookie: b=2\r\nX: 1\r\nX: 2")).lines.len(), 5);
}

#[test]
fn h1_upgrades_are_refused_and_h2c_is_ignored() {
    for lines in ["Connection: upgrade\r\nUpgrade: websocket", "Upgrade: foo\r\nConnection: close, Upgrade"] {
        assert_eq!(read(with(lines).as_bytes()).err(), Some(RequestError::Upgrade), "{lines}");
    }
    let both = "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket";
    assert_eq!(read(with(both).as_bytes()).err(), Some(RequestError::Upgrade));
    for lines in
        ["Upgrade: websocket", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: x"]
    {
        let head = accepted(&with(lines));
        assert!(head.lines[1..].iter().all(|line| line.known == Known::HopByHop), "{lines}");
    }
}

#[test]
fn hop_by_hop_fields_are_known() {
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "proxy-authorization",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep_Alive",
        "Proxy.Connection",
    ] {
        assert_eq!(
            kinds(&accepted(&with(&format!("{name}: x"))).lines),
            [Known::Host, Known::HopByHop],
            "{name}"
        );
    }
}

#[test]
fn a_whole_head_is_read_with_every_place() {
    let text = "\r\nPOST /a/%20?b=c HTTP/1.1\r\nHOST:api:81\r\nAuthorization: Bearer t\r\nCookie:  a=b \r\nOrigin: null\r\n\
                Content-Length: 5\r\nExpect: 100-continue\r\nVia: 1.1 x\r\nX-Empty:\r\nAccess-Control-Request-Method: PUT\r\n\r\nhello";
    let head = accepted(text);
    let buffer = text.as_bytes();
    let at = |span: &Span| super::text(buffer, span);
    assert_eq!((at(&head.method), at(&head.path)), ("POST", "/a/%20"));
    assert_eq!(head.query.as_ref().map(at), Some("b=c"));
    assert_eq!((at(&head.host), at(&head.authority)), ("api", "api:81"));
    assert_eq!((head.framing, head.declared_length), (Framing::Length(5), Some(5)));
    assert!(!head.http10 && head.keep_alive && head.expects_continue);
    assert_eq!(&text[head.length..], "hello");
    let lines = known(buffer, &head.lines);
    let lines: Vec<_> =
        lines.iter().map(|(name, value, known)| (name.as_str(), value.as_str(), *known)).collect();
    assert_eq!(
        lines,
        [
            ("HOST", "api:81", Known::Host),
            ("Authorization", "Bearer t", Known::Authorization),
            ("Cookie", "a=b", Known::Cookie),
            ("Origin", "null", Known::Origin),
            ("Content-Length", "5", Known::ContentLength),
            ("Expect", "100-continue", Known::Expect),
            ("Via", "1.1 x", Known::Via),
            ("X-Empty", "", Known::Other),
            ("Access-Control-Request-Method", "PUT", Known::Other),
        ]
    );
    for end in 0..head.length {
        assert!(matches!(read(&buffer[..end]), Ok(None)), "{end} octets are no whole head");
    }
}

#[test]
fn framing_and_keep_alive_are_as_said() {
    for (lines, framing, declared) in [
        ("X: y", Framing::None, None),
        ("Content-Length: 0", Framing::None, Some(0)),
        (
            "Content-Length: 9223372036854775807",
            Framing::Length(9_223_372_036_854_775_807),
            Some(9_223_372_036_854_775_807),
        ),
        ("Transfer-Encoding: Chunked", Framing::Chunked, None),
    ] {
        let head = accepted(&with(lines));
        assert_eq!((head.framing, head.declared_length), (framing, declared), "{lines}");
    }
    for (start, lines, keep_alive) in [
        ("GET / HTTP/1.1", "X: y", true),
        ("GET / HTTP/1.1", "Connection: x, Close", false),
        ("GET / HTTP/1.1", "Connection: keep-alive", true),
        ("GET / HTTP/1.1", "Connection: close\r\nConnection: keep-alive", false),
        ("GET / HTTP/1.0", "Connection: keep-alive", false),
        ("GET / HTTP/1.0", "X: y", false),
    ] {
        assert_eq!(
            accepted(&format!("{start}\r\nHost: a\r\n{lines}\r\n\r\n")).keep_alive,
            keep_alive,
            "{start} {lines}"
        );
    }
}

#[test]
fn a_head_read_again_remembers_nothing() {
    let mut head = RequestHead::default();
    let first =
        "POST http://a:81/x?y HTTP/1.0\r\nHost: a:81\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    assert_eq!(head.read(first.as_bytes(), &LIMITS), Ok(true));
    let second = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_eq!(head.read(second.as_bytes(), &LIMITS), Ok(true));
    let fresh = accepted(second);
    assert_eq!(format!("{head:?}"), format!("{fresh:?}"));
}
