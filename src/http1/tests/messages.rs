//! Messages for the oracle: most of them good, the others wrong in one of the ways that smuggle.

use proptest::prelude::*;

fn line_ends() -> impl Strategy<Value = &'static str> {
    prop_oneof![120 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\r\n"), 1 => Just("\r\n ")]
}

fn request_lines() -> impl Strategy<Value = String> {
    let method = prop_oneof![
        20 => prop::sample::select(vec!["GET", "POST", "HEAD", "PUT", "OPTIONS", "PROPFIND", "M-SEARCH"]),
        1 => prop::sample::select(vec!["get", "GETx", "-BLARGH", "CONNECT", "TRACE", "", " GET", "G\u{1}T", "PRI", "G?T"]),
    ];
    let target = prop_oneof![
        12 => "/[a-z/.%?&=A-F0-9]{0,12}",
        2 => prop::sample::select(vec![
            "*", "", "a", "//", "/a b", "/#", "/?#", "/\u{e9}", "http://a", "http://a/", "http://a?x", "HTTP://A:80/b",
            "https://a:443/", "http://b/", "ftp://a/", "http:///", "a:80", "http://u@a/", "http://a:/", "http://a./",
            "/\\", "/\"", "/{}", "/?{}|^`", "/?\"", "/?<", "/[", "http://[::1]/", "http://a%41/", "http://a:99999/", "/?",
        ]).prop_map(str::to_owned),
    ];
    let version = prop_oneof![
        24 => Just("HTTP/1.1"),
        2 => Just("HTTP/1.0"),
        1 => prop::sample::select(vec!["HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/01.1", "", "HTTP/1.10"]),
    ];
    (method, target, version).prop_map(|(method, target, version)| format!("{method} {target} {version}"))
}

fn fields() -> impl Strategy<Value = String> {
    prop_oneof![
        15 => prop::sample::select(vec![
            "Content-Length: 5", "Content-Length: 0", "content-length:5", "Transfer-Encoding: chunked",
            "transfer-encoding:\tCHUNKED ", "Connection: keep-alive", "Connection: close", "Connection: x, close",
            "Expect: 100-continue", "X: y", "X:", "X: \t", "Accept: a, b", "Cookie: a=\u{e9}x", "Connection: upgrade",
            "Upgrade: h2c", "Authorization: Bearer a.b.c", "Keep-Alive: timeout=1", "TE: trailers", "Connection: te,,x",
        ]),
        3 => prop::sample::select(vec![
            "Content-Length: +5", "Content-Length: 05", "Content-Length: 5, 5", "Content-Length: 5 5",
            "Content-Length:", "Content-Length: 6", "Content-Length: 0x5", "Content-Length: -1",
            "Content-Length: 9223372036854775807", "Content-Length: 9223372036854775808",
            "Content-Length: 18446744073709551615", "Content-Length: 18446744073709551616",
            "Transfer-Encoding: identity", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: ,chunked",
            "Transfer-Encoding: xchunked", "Transfer-Encoding: \u{b}chunked", "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding : chunked", "Transfer_Encoding: chunked", "Transfer-Encoding:", "Content_Length: 5",
            "Host: b", "Host: a", "Host :a", "Host:", "Host: a,b", "Expect: x", "Upgrade: websocket", ": x", "X",
            "X Y: z", "X: a\0b", "X: a\u{7f}", "\u{e9}: x", "X: \u{85}", "X(: y", "Connection: host", "Connection: \"x\"",
        ]),
    ]
    .prop_map(str::to_owned)
}

/// A line that declares a body (or nothing), and octets that mostly are such a body.
fn bodies() -> impl Strategy<Value = (&'static str, String)> {
    let chunk = prop_oneof![
        6 => prop::sample::select(vec![
            "5\r\nhello\r\n", "5;a=b\r\nhello\r\n", "a\r\nhellohello\r\n", "0005\r\nhello\r\n", "1;c\r\nx\r\n",
        ]),
        1 => prop::sample::select(vec![
            "5 \r\nhello\r\n", "0x5\r\nhello\r\n", "5\nhello\r\n", "5\r\nhello\n", "5;\r\nhello\r\n", "5\r\nhello\r\r",
            " 5\r\nhello\r\n", "5;\n\r\nhello\r\n", "FFFFFFFFFFFFFFFF\r\n", "10000000000000000\r\n", "-5\r\n", "\r\n",
        ]),
    ];
    let last = prop_oneof![
        6 => prop::sample::select(vec!["0\r\n\r\n", "0\r\nX: y\r\n\r\n", "00;a\r\nContent-Length: 5\r\nY:\r\n\r\n"]),
        1 => prop::sample::select(vec!["0\r\n", "0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX: y\n\r\n", "0\r\n\n", ""]),
    ];
    let chunks = (prop::collection::vec(chunk, 0..4), last).prop_map(|(chunks, last)| chunks.concat() + last);
    prop_oneof![
        3 => Just(("", String::new())),
        3 => Just(("Content-Length: 5\r\n", "hello".to_owned())),
        6 => chunks.prop_map(|body| ("Transfer-Encoding: chunked\r\n", body)),
        1 => Just(("", "hello".to_owned())),
    ]
}

/// Requests in a row, most of them good.
pub(super) fn requests() -> impl Strategy<Value = Vec<u8>> {
    let host = prop_oneof![20 => Just("Host: a"), 1 => Just("host:A:80"), 1 => Just("Host: [::1]"), 1 => Just("X: y")];
    let lead = prop_oneof![20 => Just(""), 1 => Just("\r\n"), 1 => Just("\r\n\r\n"), 1 => Just("\n"), 1 => Just(" ")];
    let lines = prop::collection::vec((fields(), line_ends()), 0..3);
    let one = (lead, request_lines(), line_ends(), host, lines, line_ends(), bodies());
    let one = one.prop_map(|(lead, start, end, host, lines, last, (declared, body))| {
        let lines: String = lines.iter().map(|(line, end)| format!("{line}{end}")).collect();
        format!("{lead}{start}{end}{host}\r\n{declared}{lines}{last}{body}")
    });
    (prop::collection::vec(one, 1..4), spoiling()).prop_map(|(texts, spoilt)| spoil(&texts.concat(), spoilt))
}

/// A response, mostly good.
pub(super) fn responses() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        8 => prop::sample::select(vec![
            "HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 404 Not \u{e9}", "HTTP/1.1 204 No", "HTTP/1.1 304 N", "HTTP/1.0 200 OK",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", "HTTP/1.1 103 E\r\nX: y\r\n\r\nHTTP/1.1 201 C", "HTTP/1.1 599 x",
        ]),
        2 => prop::sample::select(vec![
            "HTTP/1.1 200", "HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/1.1 099 x", "HTTP/1.1 600 x", "HTTP/1.1 101 S",
            "HTTP/0.9 200 OK", "HTTP/2 200 OK", "HTTP/1.1  200 OK", "http/1.1 200 OK", "HTTP/1.1 200 a\0b", "ICY 200 OK",
        ]),
    ];
    let lines = prop::collection::vec((fields(), line_ends()), 0..3);
    (start, line_ends(), lines, line_ends(), bodies(), spoiling()).prop_map(
        |(start, end, lines, last, (declared, body), spoilt)| {
            let lines: String = lines.iter().map(|(line, end)| format!("{line}{end}")).collect();
            spoil(&format!("{start}{end}{declared}{lines}{last}{body}"), spoilt)
        },
    )
}

/// Where to put which octet, and whether to cut there.
fn spoiling() -> impl Strategy<Value = Option<(prop::sample::Index, u8, bool)>> {
    let octet = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n \t:;,05x\0".to_vec())];
    prop::option::weighted(0.4, (any::<prop::sample::Index>(), octet, any::<bool>()))
}

/// The octets of `text` in Latin-1, with one of them changed.
fn spoil(text: &str, spoilt: Option<(prop::sample::Index, u8, bool)>) -> Vec<u8> {
    let mut octets: Vec<u8> =
        text.chars().map(|scalar| u8::try_from(u32::from(scalar)).expect("Latin-1")).collect();
    if let Some((index, octet, cut)) = spoilt {
        let at = index.index(octets.len());
        octets[at] = octet;
        octets.truncate(if cut { at } else { octets.len() });
    }
    octets
}
