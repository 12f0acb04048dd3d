use super::*;
use crate::http1::head::HeadLimits;

const LIMITS: HeadLimits = HeadLimits { line: 16 << 10, total: 32 << 10, lines: 100 };

const EDITS: RequestEdits<'static> = RequestEdits {
    path: "/",
    query: None,
    length: None,
    host: "up:3000",
    original_host: "a",
    client: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 200, 3)),
    through: &[],
    scheme: "http",
    received: "1.1",
    authorization: true,
    drop: &|_, _| false,
    add: &[],
};

const REBUILT: &str = "X-Forwarded-For: 10.0.200.3\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
                       Forwarded: for=10.0.200.3;host=a;proto=http\r\nVia: 1.1 portcullis\r\n";

fn request(text: &str, edits: &RequestEdits<'_>) -> String {
    let mut head = RequestHead::default();
    assert_eq!(head.read(text.as_bytes(), &LIMITS), Ok(true), "{text}");
    let mut out = b"before".to_vec();
    request_head(&mut out, text.as_bytes(), &head, edits);
    let out = String::from_utf8(out).expect("text");
    out.strip_prefix("before").expect("appended").to_owned()
}

fn response(text: &str, to_head: bool, edit: impl Fn(&ResponseHead) -> ResponseEdits<'static>) -> String {
    let mut head = ResponseHead::default();
    assert_eq!(head.read(text.as_bytes(), &LIMITS, to_head), Ok(true), "{text}");
    let mut out = Vec::new();
    response_head(&mut out, text.as_bytes(), &head, &edit(&head));
    String::from_utf8(out).expect("text")
}

fn as_read(head: &ResponseHead) -> ResponseEdits<'static> {
    let (framing, declared_length) = (head.framing, head.declared_length);
    ResponseEdits { framing, declared_length, close: false, own_cors: false, add: &[] }
}

#[test]
fn s5_nothing_that_a_client_says_about_its_way_is_copied() {
    let spoofed = "GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nHost: a\r\nForwarded: for=1.1.1.1\r\nX_Forwarded_Proto: https\r\n\
                   X-Real-IP: 1.1.1.1\r\nX-Original-URL: /admin\r\nVia: 1.1 x\r\nX-Forwarded-Prefix: /x\r\n\r\n";
    assert_eq!(request(spoofed, &EDITS), format!("GET / HTTP/1.1\r\nHost: up:3000\r\n{REBUILT}\r\n"));
}

#[test]
fn s3_hop_by_hop_lines_are_not_copied() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nConnection: keep-alive, B\r\nB: 2\r\nKeep-Alive: x\r\nC: 3\r\nTE: trailers\r\n\
                Proxy-Authorization: secret\r\nUpgrade: h2c\r\nTrailer: x\r\nD:  4 \r\n\r\n";
    assert_eq!(
        request(text, &EDITS),
        format!("GET / HTTP/1.1\r\nHost: up:3000\r\nA: 1\r\nC: 3\r\nD:  4 \r\n{REBUILT}\r\n")
    );
}

#[test]
fn s1_dropped_lines_leave_and_added_ones_stand_last() {
    let text = "GET /%61 HTTP/1.1\r\nX-User: admin\r\nHost: a\r\nCookie: c=d\r\nAuthorization: Bearer t\r\nx_user: admin\r\n\
                Origin: o\r\nX-Other: y\r\nX-User: root\r\n\r\nbody";
    let drop = |name: &[u8], _: &[u8]| {
        String::from_utf8_lossy(name).replace('_', "-").eq_ignore_ascii_case("x-user")
    };
    let edits = RequestEdits {
        path: "/a",
        query: Some("b=c"),
        authorization: false,
        drop: &drop,
        add: &[("X-User", b"alice"), ("X-Role", b"r")],
        ..EDITS
    };
    assert_eq!(
        request(text, &edits),
        format!(
            "GET /a?b=c HTTP/1.1\r\nHost: up:3000\r\nCookie: c=d\r\nOrigin: o\r\nX-Other: y\r\n{REBUILT}X-User: alice\r\nX-Role: r\r\n\r\n"
        )
    );
}

#[test]
fn h3_exactly_one_framing_is_sent() {
    for (lines, framing) in [
        ("Content-Length: 5", "Content-Length: 5\r\n"),
        ("Content-Length: 0", "Content-Length: 0\r\n"),
        ("Content-Length: 9223372036854775807", "Content-Length: 9223372036854775807\r\n"),
        ("transfer-encoding: CHUNKED\r\nTrailer: x", "Transfer-Encoding: chunked\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 10", "Content-Length: 10\r\n"),
        ("A: b", "A: b\r\n"),
    ] {
        let sent = request(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"), &EDITS);
        let expected =
            if framing == "A: b\r\n" { format!("{framing}{REBUILT}") } else { format!("{REBUILT}{framing}") };
        assert_eq!(sent, format!("POST / HTTP/1.1\r\nHost: up:3000\r\n{expected}\r\n"));
    }
}

#[test]
fn s5_forwarded_is_quoted_where_it_must_be() {
    for (client, host, forwarded_for, forwarded) in [
        ("192.0.2.1", "a.b", "192.0.2.1", "for=192.0.2.1;host=a.b;proto=https"),
        ("2001:db8::1", "a:81", "2001:db8::1", "for=\"[2001:db8::1]\";host=\"a:81\";proto=https"),
        ("::ffff:192.0.2.1", "[::1]", "192.0.2.1", "for=192.0.2.1;host=\"[::1]\";proto=https"),
    ] {
        let edits = RequestEdits {
            client: client.parse().expect("an address"),
            original_host: host,
            scheme: "https",
            received: "1.0",
            ..EDITS
        };
        let sent = request("GET / HTTP/1.0\r\nHost: a\r\n\r\n", &edits);
        let expected = format!(
            "GET / HTTP/1.1\r\nHost: up:3000\r\nX-Forwarded-For: {forwarded_for}\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: {host}\r\nForwarded: {forwarded}\r\nVia: 1.0 portcullis\r\n\r\n"
        );
        assert_eq!(sent, expected);
    }
}

#[test]
fn s5_proxies_on_the_way_are_named_in_order() {
    let address = |text: &str| text.parse().expect("an address");
    let through = [address("10.0.0.1"), address("2001:db8::2"), address("::ffff:10.0.0.3")];
    let edits = RequestEdits { client: address("192.0.2.1"), through: &through, ..EDITS };
    let sent = request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &edits);
    assert!(sent.contains("\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.1, 2001:db8::2, 10.0.0.3\r\n"), "{sent}");
    assert!(sent.contains("\r\nForwarded: for=192.0.2.1;"), "{sent}");
    assert!(sent.contains(", for=10.0.0.1, for=\"[2001:db8::2]\", for=10.0.0.3\r\n"), "{sent}");
}

#[test]
fn what_is_sent_upstream_is_read_back_with_the_same_meaning() {
    let text = "PUT http://a:81/x?y HTTP/1.1\r\nHost: a:81\r\nTransfer-Encoding: chunked\r\nX-A:\r\nX-B: \u{e9}\r\nConnection: close\r\n\r\n";
    let edits = RequestEdits { path: "/x", query: Some("y"), ..EDITS };
    let sent = request(text, &edits);
    let mut head = RequestHead::default();
    assert_eq!(head.read(sent.as_bytes(), &LIMITS), Ok(true));
    assert_eq!((head.framing, head.keep_alive, head.length), (Framing::Chunked, true, sent.len()));
}

#[test]
fn responses_lose_what_is_between_us_and_the_upstream() {
    let text = "HTTP/1.0 404 Not Found\r\nServer: x\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: y\r\nContent-Length: 7\r\n\
                Via: 1.1 u\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
    assert_eq!(
        response(text, false, as_read),
        "HTTP/1.1 404 Not Found\r\nServer: x\r\nVia: 1.1 u\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 7\r\n\r\n"
    );
}

#[test]
fn responses_are_framed_anew() {
    for (text, to_head, expected) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", false, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
        ("HTTP/1.1 200\r\nContent-Length: 9\r\n\r\n", true, "HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, "HTTP/1.1 200 OK\r\n\r\n"),
        ("HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n", false, "HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n"),
        ("HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 204 N\r\n\r\n"),
        ("HTTP/1.1 100 C\r\n\r\n", false, "HTTP/1.1 100 C\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            false,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        assert_eq!(response(text, to_head, as_read), expected);
    }
    let text = "HTTP/1.1 204 N\r\nX: y\r\n\r\n";
    let edit = |_: &ResponseHead| ResponseEdits {
        framing: Framing::Chunked,
        declared_length: Some(5),
        close: true,
        own_cors: false,
        add: &[],
    };
    assert_eq!(
        response(text, false, edit),
        "HTTP/1.1 204 N\r\nX: y\r\nConnection: close\r\n\r\n",
        "never a body in a 204"
    );
}

#[test]
fn the_routes_cors_replaces_the_upstreams() {
    let text = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nA: b\r\naccess-control-max-age: 1\r\nContent-Length: 0\r\n\r\n";
    let edit = |head: &ResponseHead| ResponseEdits {
        own_cors: true,
        close: true,
        add: &[("Access-Control-Allow-Origin", "https://o"), ("Vary", "Origin")],
        ..as_read(head)
    };
    assert_eq!(
        response(text, false, edit),
        "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\nConnection: close\r\n\
         Access-Control-Allow-Origin: https://o\r\nVary: Origin\r\n\r\n"
    );
    assert!(
        response(text, false, as_read)
            .contains("Access-Control-Allow-Origin: *\r\nA: b\r\naccess-control-max-age: 1\r\n")
    );
}

#[test]
fn chunk_sizes_are_plain_hexadecimal() {
    for (length, line) in [
        (0, "0\r\n"),
        (9, "9\r\n"),
        (10, "a\r\n"),
        (255, "ff\r\n"),
        (4096, "1000\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ] {
        let mut out = b"x".to_vec();
        chunk_size(&mut out, length);
        assert_eq!(out, format!("x{line}").as_bytes());
    }
}

/// Trailers that a recipient could take for a head's (RFC 9110 section 6.5.1), or that speak of the way, end here.
#[test]
fn h6_only_harmless_trailers_follow_the_last_chunk() {
    let mut out = Vec::new();
    last_chunk(&mut out, b"");
    assert_eq!(out, b"0\r\n\r\n");
    let never = [
        "content-length: 5",
        "Transfer-Encoding: chunked",
        "Connection: x",
        "te: x",
        "Host: a",
        "X-Forwarded-For: a",
        "X_Forwarded_For: a",
        "Access-Control-Allow-Origin: *",
        "Authorization: a",
        "Cookie: a",
        "Set-Cookie: a",
        "content-encoding: gzip",
        "Content-Type: text/html",
        "Location: /",
        "WWW-Authenticate: Bearer",
        "cache-control: public",
        "Via: 1.1 x",
    ];
    for line in never {
        let mut out = Vec::new();
        last_chunk(&mut out, format!("{line}\r\nGrpc-Status: 0\r\nx:\r\n").as_bytes());
        assert_eq!(out, b"0\r\nGrpc-Status: 0\r\nx:\r\n\r\n", "{line}");
    }
}
