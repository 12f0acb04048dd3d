//! One interpretation (I2): what is not fully understood is refused and closed, and one request in is at most one
//! request at the upstream.

mod hostile;

use portcullis::gate::denial::Reason;

use crate::framing::hostile::{CHUNKS, HEADS, LINES, SMUGGLED};
use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Outcome, Request, send_raw};
use crate::harness::wait::PATIENCE;

/// `/open` is public for any method, `/admin` is not: a refusal on `/open` is for the framing alone.
fn api() -> Api {
    Api::with(|setup| {
        let setup = setup.route("/open", "public").route("/open/{*rest}", "public").route("/admin", "admin");
        setup.limits("header_time: 3s")
    })
}

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Sends hostile octets and demands one refusal, the end of the connection, and nothing upstream.
#[track_caller]
fn refuse(api: &Api, what: &str, octets: &[u8], reason: Reason) {
    let before = api.upstream.count();
    let mut connection = api.gateway.connect();
    connection.write(octets);
    let Outcome::Answer(response) = connection.wait("GET", PATIENCE) else { panic!("{what}: no answer") };
    assert_eq!((response.status, response.reason().as_str()), (reason.status(), reason.code()), "{what}");
    assert!(response.closes(), "{what}: the connection has to be closed: {response:?}");
    let next = connection.wait("GET", PATIENCE);
    assert!(matches!(next, Outcome::Closed), "{what}: after the refusal came {next:?}");
    assert_eq!(api.upstream.count(), before, "{what}: the upstream heard of it");
}

/// After all the hostility: the upstream has heard of nothing, and a sound request still passes.
#[track_caller]
fn still_sound(api: &Api) {
    assert_eq!(api.upstream.count_of("/admin"), 0);
    assert!(!api.upstream.raw().contains("/admin"), "{}", api.upstream.raw());
    assert_allowed(&api.gateway.send(&Request::get("/open")));
}

#[test]
fn h2_h3_h5_a_head_that_is_not_fully_understood_is_refused_and_closed() {
    let api = api();
    for (what, lines) in LINES {
        let start = b"POST /open HTTP/1.1\r\nHost: api.test\r\n";
        refuse(&api, what, &concat(&[start, lines, b"\r\n", SMUGGLED.as_bytes()]), Reason::MalformedRequest);
    }
    assert_eq!(api.upstream.count(), 0);
    still_sound(&api);
}

#[test]
fn h5_h7_h8_h10_h12_a_start_line_host_or_target_that_is_not_sound_is_refused_and_closed() {
    let api = api();
    for (what, head, reason) in HEADS {
        refuse(&api, what, &concat(&[head, SMUGGLED.as_bytes()]), reason);
    }
    assert_eq!(api.upstream.count(), 0);
    still_sound(&api);
}

/// The head was sound and the decision made, so the upstream may have heard the beginning; it never gets a whole
/// request, and never a second one.
#[test]
fn h6_a_broken_chunk_ends_the_request_and_the_connection() {
    let api = api();
    let long = [b"5;".as_slice(), &[b'a'; 300], b"\r\nhello\r\n0\r\n\r\n"].concat();
    let trailers =
        [b"0\r\n".as_slice(), &b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(300), b"\r\n"].concat();
    let grown = [("H6 a long extension", long.as_slice()), ("H6 too many trailers", trailers.as_slice())];
    for (what, body) in CHUNKS.into_iter().chain(grown) {
        let before = api.upstream.count();
        let head = b"POST /open HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut connection = api.gateway.connect();
        connection.write(&concat(&[head, body, SMUGGLED.as_bytes()]));
        connection.finish_writing();
        match connection.wait("POST", PATIENCE) {
            Outcome::Answer(response) => {
                assert_eq!(response.status, 400, "{what}: {response:?}");
                let next = connection.wait("GET", PATIENCE);
                assert!(matches!(next, Outcome::Closed), "{what}: after the refusal came {next:?}");
            }
            Outcome::Closed => {}
            Outcome::Silence => panic!("{what}: neither an answer nor the end"),
        }
        let seen = api.upstream.requests().split_off(before);
        assert!(seen.len() < 2, "{what}: more than one request upstream: {seen:?}");
        assert!(!seen.iter().any(|seen| seen.whole), "{what}: passed off as whole: {seen:?}");
    }
    still_sound(&api);
}

/// What is sound, if unusual, means one thing: the start line's beginning, field lines, the body on the wire; what
/// the upstream has to have got, and its body.
type Sound = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const CHUNKED: &str = "Host: api.test\r\nTransfer-Encoding: chunked\r\n";

#[rustfmt::skip]
const SOUND: [Sound; 20] = [
    ("one empty line before", "\r\nGET /open", "Host: api.test\r\n", "", "GET /open", ""),
    ("a length", "POST /open", "Host: api.test\r\nContent-Length: 5\r\n", "hello", "POST /open", "hello"),
    ("space around", "POST /open", "Host: api.test\r\nContent-Length: \t5 \r\n", "hello", "POST /open", "hello"),
    ("no space", "POST /open", "Host:api.test\r\nContent-Length:5\r\n", "hello", "POST /open", "hello"),
    ("a length of nothing", "POST /open", "Host: api.test\r\nContent-Length: 0\r\n", "", "POST /open", ""),
    ("a body on GET", "GET /open", "Host: api.test\r\nContent-Length: 5\r\n", "hello", "GET /open", "hello"),
    ("chunks", "POST /open", CHUNKED, "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "POST /open", "hello!"),
    ("another case", "POST /open", "hOST: api.test\r\ntransfer-ENCODING: CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n", "POST /open", "a"),
    ("zeros before a size", "POST /open", CHUNKED, "0005\r\nhello\r\n00\r\n\r\n", "POST /open", "hello"),
    ("large digits", "POST /open", CHUNKED, "A\r\nhellohello\r\n0\r\n\r\n", "POST /open", "hellohello"),
    ("small digits", "POST /open", CHUNKED, "a\r\nhellohello\r\n0\r\n\r\n", "POST /open", "hellohello"),
    ("an extension", "POST /open", CHUNKED, "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n", "POST /open", "hello"),
    ("a trailer", "POST /open", CHUNKED, "5\r\nhello\r\n0\r\nX-T: y\r\n\r\n", "POST /open", "hello"),
    ("the absolute form", "GET http://api.test/open?x", "Host: api.test\r\n", "", "GET /open?x", ""),
    ("the same in another case", "GET HTTP://API.test/open", "Host: api.TEST\r\n", "", "GET /open", ""),
    ("a port", "GET /open", "Host: api.test:8080\r\n", "", "GET /open", ""),
    ("an address", "GET /open", "Host: [::1]:8080\r\n", "", "GET /open", ""),
    ("an empty value", "GET /open", "Host: api.test\r\nX-Empty:\r\n", "", "GET /open", ""),
    ("an empty query", "GET /open?", "Host: api.test\r\n", "", "GET /open?", ""),
    ("all of a query", "GET /open?a=/../b&c=%2f%00;d", "Host: api.test\r\n", "", "GET /open?a=/../b&c=%2f%00;d", ""),
];

#[test]
fn i2_what_is_sound_means_the_same_at_the_upstream() {
    let api = api();
    for (what, begin, lines, wire, start, body) in SOUND {
        let before = api.upstream.count();
        let mut connection = api.gateway.connect();
        connection.write(format!("{begin} HTTP/1.1\r\n{lines}\r\n{wire}").as_bytes());
        assert_allowed(&connection.answer());
        let seen = api.upstream.last();
        assert_eq!(api.upstream.count(), before + 1, "{what}");
        let got = format!("{} {}", seen.head.method, seen.head.target);
        assert_eq!((got.as_str(), seen.body.as_slice()), (start, body.as_bytes()), "{what}: {seen:?}");
        // At most one length or coding goes on, and the length is canonical.
        let framed = seen.head.all("content-length").len() + seen.head.all("transfer-encoding").len();
        assert!(framed < 2, "{what}: {seen:?}");
        assert!(
            seen.head.header("x-t").is_none() && !api.upstream.raw().contains("X-T"),
            "{what}: trailers are dropped"
        );
        // And the connection goes on in step.
        assert_allowed(&connection.send(&Request::get("/open")));
    }
}

#[test]
fn h4_a_refused_body_is_never_parsed_as_a_request() {
    let api = api();
    let framings = [
        format!("POST /admin HTTP/1.1\r\nHost: api.test\r\nContent-Length: 39\r\n\r\n{SMUGGLED}"),
        format!(
            "POST /admin HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n27\r\n{SMUGGLED}\r\n0\r\n\r\n"
        ),
        format!("POST /nowhere HTTP/1.1\r\nHost: api.test\r\nContent-Length: 39\r\n\r\n{SMUGGLED}"),
        format!("DELETE /orders HTTP/1.1\r\nHost: api.test\r\nContent-Length: 39\r\n\r\n{SMUGGLED}"),
    ];
    for refused in &framings {
        let mut connection = api.gateway.connect();
        connection.write(refused.as_bytes());
        let response = connection.answer();
        assert!(matches!(response.status, 401 | 404 | 405), "{response:?}");
        // Either the body was drained and the next answer is to the next request, or the connection ends.
        connection.write(&Request::get("/open").octets());
        match connection.wait("GET", PATIENCE) {
            Outcome::Answer(next) => assert_allowed(&next),
            Outcome::Closed => assert!(response.closes(), "closed without saying so: {response:?}"),
            Outcome::Silence => panic!("the connection hangs"),
        }
    }
    assert_eq!(api.upstream.count_of("/admin") + api.upstream.count_of("/nowhere"), 0);
}

#[test]
fn h4_an_answer_before_the_body_does_not_let_the_body_loose() {
    let api = api();
    api.upstream.on("/open", |exchange| {
        // Answers without reading the body, and keeps the connection: the careless upstream of the advisories.
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(crate::harness::upstream::Then::Keep)
    });
    for _ in 0..20 {
        let head = "POST /open HTTP/1.1\r\nHost: api.test\r\nContent-Length: 39\r\n\r\n";
        let mut connection = api.gateway.connect();
        connection.write(head.as_bytes());
        connection.write(SMUGGLED.as_bytes());
        connection.answer();
    }
    for _ in 0..20 {
        assert_allowed(&api.gateway.send(&Request::get("/open/after")));
    }
    assert_eq!(api.upstream.count_of("/open/after"), 20, "each of the later requests is its own");
}

#[test]
fn h1_an_upgrade_does_not_open_a_tunnel() {
    let api = api();
    let hostile = format!(
        "GET /open HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n{SMUGGLED}"
    );
    let answers = send_raw(api.gateway.ports.public, hostile.as_bytes());
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_refused(&answers[0], Reason::MalformedRequest);
    assert_eq!(api.upstream.count(), 0);
}

/// An offer of HTTP/2 over plain text, as some clients make with every first request, may be ignored (RFC 9113
/// section 3.1); then it is not passed on either.
#[test]
fn h1_an_offer_of_h2c_is_ignored_and_kept_here() {
    let api = api();
    let offer = Request::get("/open")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__");
    let mut connection = api.gateway.connect();
    assert_allowed(&connection.send(&offer));
    let head = api.upstream.last().head;
    for name in ["upgrade", "http2-settings"] {
        assert!(head.header(name).is_none(), "{head:?}");
    }
    assert!(
        !head.header("connection").is_some_and(|value| value.to_lowercase().contains("upgrade")),
        "{head:?}"
    );
    assert_allowed(&connection.send(&Request::get("/open")));
}

/// An upstream that maps names to variables reads `Content_Length` as `Content-Length`.
#[test]
fn s2_aliases_of_the_framing_headers_never_arrive() {
    let api = api();
    for alias in
        ["Content_Length: 39", "Transfer_Encoding: chunked", "Content.Length: 39", "content_length: 0"]
    {
        let octets = format!("GET /open HTTP/1.1\r\nHost: api.test\r\n{alias}\r\n\r\n");
        let mut connection = api.gateway.connect();
        connection.write(octets.as_bytes());
        let response = connection.answer();
        assert!(matches!(response.status, 200 | 400), "{alias}: {response:?}");
    }
    for seen in api.upstream.requests() {
        let names = [seen.head.aliases("content-length"), seen.head.aliases("transfer-encoding")].concat();
        assert!(names.is_empty(), "{names:?}");
    }
}

#[test]
fn h12_the_method_is_the_one_on_the_start_line() {
    let api = api();
    let token = api.reader();
    for method in ["get", "GETx", "Get", "POST", "OPTIONS", "PATCH", "PROPFIND"] {
        let response = api.gateway.send(&Request::new(method, "/orders/1").bearer(&token));
        assert!(matches!(response.status, 400 | 405), "{method}: {response:?}");
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Forwarded-Method"] {
        let request = Request::new("DELETE", "/orders/1").bearer(&token).header(name, "GET");
        api.refuses(&request, Reason::MethodNotAllowed);
    }
    api.refuses(&Request::new("DELETE", "/orders/1?_method=GET").bearer(&token), Reason::MethodNotAllowed);
    // Not a preflight: no `Origin`, and no CORS on the route.
    let options = Request::new("OPTIONS", "/admin").header("Access-Control-Request-Method", "GET");
    api.refuses(&options, Reason::NoCredentials);
}

#[test]
fn h9_heads_past_their_bounds_are_refused() {
    let api = api();
    let many = |count: usize| {
        (0..count).fold(Request::get("/open"), |request, n| request.header(&format!("X-{n}"), "y"))
    };
    let wide = |count: usize, size: usize| {
        let value = "a".repeat(size);
        (0..count).fold(Request::get("/open"), |request, n| request.header(&format!("X-{n}"), &value))
    };
    let cases = [
        ("100 lines", many(99), 200),
        ("101 lines", many(100), 431),
        ("a line of 15 KiB", wide(1, 15 << 10), 200),
        ("a line over 16 KiB", wide(1, 16 << 10), 431),
        ("a line of 1 MiB", wide(1, 1 << 20), 431),
        ("30 KiB in all", wide(10, 3 << 10), 200),
        ("33 KiB in all", wide(11, 3 << 10), 431),
        ("1 MiB in all", wide(90, 12 << 10), 431),
        ("a long target", Request::get(&format!("/open?{}", "a".repeat(17 << 10))), 431),
    ];
    for (what, request, status) in cases {
        let response = api.gateway.send(&request);
        assert_eq!(response.status, status, "{what}: {response:?}");
    }
    assert_eq!(api.upstream.count(), 3);
}
