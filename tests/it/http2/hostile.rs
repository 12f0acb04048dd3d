//! Clients that keep to no rule (threats D1 to D5).

use std::time::Duration;

use portcullis::gate::denial::Reason;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::Request;
use crate::harness::h2::client::Client;
use crate::harness::h2::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE,
    fields, frame, integer, request,
};
use crate::harness::upstream::Then;
use crate::harness::wait::wait_until;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
const INITIAL_WINDOW_SIZE: u16 = 4;

fn api() -> Api {
    Api::with(|setup| setup.route("/any/{*rest}", "public"))
}

fn raw(api: &Api) -> Raw {
    Raw::connect(api.gateway.ports.public, &[])
}

/// The status of the next answer on this stream, from a field block of the gateway's own making.
fn status(raw: &mut Raw) -> u16 {
    let head = raw.next_of(HEADERS).expect("an answer");
    h2_status(&head.payload)
}

/// RFC 7541 appendix A: the statuses of the static table, or a literal with its name.
fn h2_status(block: &[u8]) -> u16 {
    match block[0] & 0x7f {
        8 if block[0] & 0x80 != 0 => 200,
        9 if block[0] & 0x80 != 0 => 204,
        12 if block[0] & 0x80 != 0 => 400,
        13 if block[0] & 0x80 != 0 => 404,
        14 if block[0] & 0x80 != 0 => 500,
        _ => 0,
    }
}

#[test]
fn d5_connection_specific_fields_are_malformed() {
    let api = api();
    let mut raw = raw(&api);
    let cases = [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "x"),
        ("proxy-connection", "x"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        (":path", "/admin"),
    ];
    for (index, line) in cases.into_iter().enumerate() {
        let stream = index as u32 * 2 + 1;
        raw.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/any/x", &[line]));
        assert_eq!(raw.reset(), Some(PROTOCOL_ERROR), "{line:?}");
    }
    // What no field of HTTP/2 may be (RFC 9113 section 8.2.1) ends the connection.
    for line in [("X-Upper", "x"), ("a b", "x"), ("", "x"), (":unknown", "x")] {
        let mut raw = Raw::connect(api.gateway.ports.public, &[]);
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/any/x", &[line]));
        assert!(raw.next_of(HEADERS).is_none(), "{line:?}");
    }
    for value in ["a\r\nGET /admin HTTP/1.1", "a\nb", "a\0b", "a\rb"] {
        let mut raw = Raw::connect(api.gateway.ports.public, &[]);
        let block = request("GET", "/any/x", &[("x-own", value)]);
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        assert!(raw.next_of(HEADERS).is_none(), "{value:?}");
    }
    for path in ["/any/a b", "/any/\r\nx", "any", ""] {
        let mut raw = Raw::connect(api.gateway.ports.public, &[]);
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", path, &[]));
        raw.send(PING, 0, 0, &[0; 8]);
        let answered = raw.next_of(PING);
        assert!(answered.is_some(), "{path:?}");
    }
    assert_eq!(api.upstream.count(), 0, "{:?}", api.upstream.requests());
}

#[test]
fn p2_a_value_with_white_space_at_its_edges_is_malformed() {
    let api = api();
    let mut raw = raw(&api);
    let values = [" a", "a ", "\ta", "a\t", " ", "\t"];
    for (index, value) in values.into_iter().enumerate() {
        let stream = index as u32 * 2 + 1;
        raw.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/any/x", &[("x-own", value)]));
        assert_eq!(raw.reset(), Some(PROTOCOL_ERROR), "{value:?}");
    }
    assert_eq!(api.upstream.count(), 0, "{:?}", api.upstream.requests());
    // The connection goes on, and what stands between the edges is the client's own.
    raw.send(HEADERS, END_HEADERS | END_STREAM, 101, &request("GET", "/any/x", &[("x-own", "a \tb")]));
    assert_eq!(status(&mut raw), 200);
    assert_eq!(api.upstream.last().head.header("x-own"), Some("a \tb"));
}

#[test]
fn d1_malformed_requests_are_counted_too() {
    let api = api();
    let mut raw = raw(&api);
    for index in 0..200_u32 {
        let block = request("GET", "/any/x", &[("x-own", " a")]);
        if !raw.send(HEADERS, END_HEADERS | END_STREAM, index * 2 + 1, &block) {
            break;
        }
    }
    assert_eq!(raw.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(api.upstream.count(), 0);
}

/// A fragment is cut off before the gateway sees it: what is decided on is then what is forwarded, and nothing else.
#[test]
fn p2_a_fragment_takes_no_part() {
    let api = api();
    let mut raw = raw(&api);
    for (index, (path, seen)) in
        [("/any/x#/admin", "/any/x"), ("/any/x?a=b#c?d", "/any/x?a=b")].into_iter().enumerate()
    {
        raw.send(HEADERS, END_HEADERS | END_STREAM, index as u32 * 2 + 1, &request("GET", path, &[]));
        assert_eq!(status(&mut raw), 200, "{path}");
        assert_eq!(api.upstream.last().head.target, seen);
    }
    // Nor can it lend a path that needs a token one that does not.
    raw.send(HEADERS, END_HEADERS | END_STREAM, 5, &request("GET", "/orders/1#/any/x", &[]));
    api.gateway.wait_for_log(&["no_credentials", "\"path\":\"/orders/1\""]);
    assert_eq!(api.upstream.count(), 2);
    assert!(!api.upstream.raw().contains('#'));
}

#[test]
fn d5_a_body_of_another_length_than_declared_is_reset() {
    let api = api();
    let mut raw = raw(&api);
    let head = |length: &str| request("POST", "/any/x", &[("content-length", length)]);
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &head("50"));
    assert_eq!(raw.reset(), Some(PROTOCOL_ERROR));
    raw.send(HEADERS, END_HEADERS, 3, &head("4"));
    raw.send(DATA, END_STREAM, 3, b"longer");
    assert_eq!(raw.reset(), Some(PROTOCOL_ERROR));
    raw.send(HEADERS, END_HEADERS, 5, &head("9"));
    raw.send(DATA, END_STREAM, 5, b"short");
    assert_eq!(raw.reset(), Some(PROTOCOL_ERROR));
    raw.send(HEADERS, END_HEADERS, 7, &head("0"));
    raw.send(DATA, END_STREAM, 7, b"GET /admin HTTP/1.1\r\n\r\n");
    assert_eq!(raw.reset(), Some(PROTOCOL_ERROR));
    // What reached the upstream of these was never whole, nor is its connection used for the next.
    let before = api.upstream.requests();
    assert!(
        before.iter().all(|seen| !seen.whole || seen.head.header("content-length") == Some("0")),
        "{before:?}"
    );
    assert_allowed(&api.gateway.send(&Request::get("/any/next")));
    assert_eq!(api.upstream.count_of("/admin"), 0);
}

#[test]
fn d5_host_and_authority_have_to_agree() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let get = Request::get("/any/x");
    assert_refused(&client.send(&get.clone().header("host", "other.test")), Reason::MalformedRequest);
    assert_eq!(api.upstream.count(), 0);
    for same in ["api.test", "API.test", "api.test:80"] {
        assert_allowed(&client.send(&get.clone().header("host", same)));
    }
    let several = get.clone().header("host", "api.test").header("host", "api.test");
    assert_refused(&client.send(&several), Reason::MalformedRequest);
    let mut raw = raw(&api);
    let without = [(":method", "GET"), (":scheme", "http"), (":path", "/any/x")];
    raw.send(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &fields(&[&without[..], &[("host", "own.test")]].concat()),
    );
    assert_eq!(status(&mut raw), 200);
    assert_eq!(api.upstream.last().head.header("host"), Some("own.test"));
    raw.send(HEADERS, END_HEADERS | END_STREAM, 3, &fields(&without));
    assert_eq!(status(&mut raw), 400);
}

#[test]
fn connect_is_never_served() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let head =
        http::Request::builder().method("CONNECT").uri("db.internal:5432").body(()).expect("a request");
    let mut stream = client.open_head(head, true).expect("a stream");
    assert_refused(&stream.answer().expect("an answer"), Reason::MethodNotAllowed);
}

#[test]
fn d1_rapid_resets_are_told_to_calm_down() {
    let api = api();
    api.upstream.on("/any/hang", |exchange| {
        exchange.body()?;
        while !matches!(exchange.read_some().as_deref(), Ok([]) | Err(_)) {}
        Ok(Then::Close)
    });
    // At once, and each only after it has reached the upstream.
    for wait in [false, true] {
        let mut raw = raw(&api);
        let before = api.upstream.count();
        for index in 0..400_u32 {
            let (stream, seen) = (index * 2 + 1, api.upstream.count());
            raw.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/any/hang", &[]));
            if wait && index < 110 {
                // Or the gateway has had enough.
                wait_until("the request is upstream", || api.upstream.count() > seen || raw.is_over());
            }
            if !raw.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()) {
                break;
            }
        }
        assert_eq!(raw.goaway(), Some(ENHANCE_YOUR_CALM));
        assert!(raw.next_of(255).is_none(), "the connection ends");
        assert!(api.upstream.count() - before < 200, "{}", api.upstream.count() - before);
    }
    assert_allowed(&api.gateway.send(&Request::get("/health")));
}

#[test]
fn d1_made_to_reset_streams_are_counted_too() {
    let api = api();
    let mut raw = raw(&api);
    for index in 0..200_u32 {
        let stream = index * 2 + 1;
        raw.send(HEADERS, END_HEADERS, stream, &request("POST", "/any/x", &[]));
        // RFC 9113 section 6.9: an increment of 0 is an error of the stream.
        if !raw.send(WINDOW_UPDATE, 0, stream, &[0; 4]) {
            break;
        }
    }
    assert!(raw.goaway().is_some_and(|code| code != 0));
    assert_allowed(&api.gateway.send(&Request::get("/health")));
}

#[test]
fn d2_endless_continuations_are_cut_off() {
    let api = api();
    let mut raw = raw(&api);
    raw.send(HEADERS, END_STREAM, 1, &request("GET", "/any/x", &[]));
    let piece = frame(CONTINUATION, 0, 1, &fields(&[("x-filler", &"a".repeat(1000))]));
    let sent = (0..100_000).take_while(|_| raw.write(&piece)).count();
    assert!(sent < 20_000, "{sent} were taken");
    let mut raw = Raw::connect(api.gateway.ports.public, &[]);
    raw.send(HEADERS, END_STREAM, 1, &request("GET", "/any/x", &[]));
    let empty = frame(CONTINUATION, 0, 1, &[]).repeat(100);
    let sent = (0..100_000).take_while(|_| raw.write(&empty)).count();
    assert!(sent < 10_000, "{sent} hundreds of empty ones were taken");
    assert_eq!(api.upstream.count(), 0);
    assert_allowed(&api.gateway.send(&Request::get("/health")));
}

#[test]
fn d4_floods_of_what_costs_nothing_to_send_end() {
    let api = api();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    // Never reads the body.
    api.upstream.on("/any/undrained", move |_| {
        wait.lock().expect("no test panics in here").recv().ok();
        Ok(Then::Close)
    });
    assert_allowed(&Client::connect(api.gateway.ports.public).send(&Request::get("/health")));
    let floods: [(&str, Vec<u8>); 4] = [
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("DATA of one octet", frame(DATA, 0, 1, b"a")),
    ];
    for (name, flood) in floods {
        let resident = api.gateway.resident_kib();
        let mut raw = raw(&api);
        raw.shrink_receive_buffer();
        raw.send(HEADERS, END_HEADERS, 1, &request("POST", "/any/undrained", &[]));
        let many = flood.repeat(1000);
        // What it answers is not read: it either stops reading too, or ends the connection.
        raw.give_up_writing_after(Duration::from_millis(500));
        let sent = (0..5000).take_while(|_| raw.write(&many)).count();
        assert!(sent < 5000, "{name}: five millions were taken");
        let grown = api.gateway.resident_kib().saturating_sub(resident);
        assert!(grown < 16 << 10, "I5: {grown} KiB for {name}");
    }
    done.send(()).ok();
    assert_allowed(&api.gateway.send(&Request::get("/health")));
}

#[test]
fn d6_a_window_that_stays_closed_ends_the_stream() {
    let api = Api::with(|setup| setup.route("/any/{*rest}", "public").limits("write_stall: 500ms"));
    api.upstream.on("/any/large", |exchange| exchange.answer(200, "X-Upstream: yes\r\n", &[b'a'; 100_000]));
    let mut raw = Raw::connect(api.gateway.ports.public, &[(INITIAL_WINDOW_SIZE, 10)]);
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/any/large", &[]));
    assert_eq!(status(&mut raw), 200);
    assert!(raw.reset().is_some(), "the stream ends");
    // And only the stream.
    raw.send(HEADERS, END_HEADERS | END_STREAM, 3, &request("HEAD", "/health", &[]));
    assert_eq!(status(&mut raw), 200);
}

#[test]
fn d6_a_client_that_takes_nothing_at_all_is_closed() {
    let api = Api::with(|setup| setup.route("/any/{*rest}", "public").limits("write_stall: 500ms"));
    api.upstream
        .on("/any/large", |exchange| exchange.answer(200, "X-Upstream: yes\r\n", &vec![b'a'; 16 << 20]));
    let mut raw = Raw::connect(api.gateway.ports.public, &[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    raw.shrink_receive_buffer();
    raw.send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/any/large", &[]));
    wait_until("the connection is gone", || api.gateway.metric("connections", &[]) == 0.0);
}

#[test]
fn d6_a_preface_that_is_not_finished_is_not_waited_for() {
    let api = Api::with(|setup| setup.limits("header_time: 500ms"));
    for start in ["PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut connection = api.gateway.connect();
        connection.write(start.as_bytes());
        assert!(connection.ends_within(Duration::from_secs(10)), "{start:?}");
    }
    // HTTP/2 begins a connection, or it does not begin.
    let mut connection = api.gateway.connect();
    assert_allowed(&connection.send(&Request::get("/health")));
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_refused(&connection.answer(), Reason::MalformedRequest);
}

#[test]
fn h2_header_list_and_h2_streams_are_announced_and_kept() {
    let api = Api::with(|setup| {
        setup.route("/any/{*rest}", "public").limits("h2_header_list: 4KiB, h2_streams: 3")
    });
    let mut raw = raw(&api);
    let settings = raw.next_of(SETTINGS).expect("settings").payload;
    let said = |id: u16| {
        let pairs = settings.chunks(6).map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), &pair[2..]));
        pairs
            .filter(|(name, _)| *name == id)
            .map(|(_, value)| u32::from_be_bytes(value.try_into().unwrap()))
            .next_back()
    };
    assert_eq!((said(3), said(6)), (Some(3), Some(4096)));
    let large = request("GET", "/health", &[("x-large", &"a".repeat(5000))]);
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &large);
    assert_eq!(status(&mut raw), 0, "431 is in no static table");
    assert_eq!(api.upstream.count(), 0);
    // Three at once, whatever the client thinks of it.
    for stream in [3, 5, 7, 9] {
        raw.send(HEADERS, END_HEADERS, stream, &request("POST", "/any/x", &[]));
    }
    let refused = raw.next_of(RST_STREAM).map(|frame| (frame.stream, frame.payload));
    assert_eq!(refused, Some((9, vec![0, 0, 0, REFUSED_STREAM])));
}

/// The HTTP/2 bomb: a table that is filled once, heads of one octet a field, and windows that let no answer out.
#[test]
fn d3_the_bomb_stays_within_3_mib_a_connection_and_is_released() {
    const CONNECTIONS: u64 = 8;
    let api =
        Api::with(|setup| setup.workers(1).route("/any/{*rest}", "public").limits("write_stall: 3s").quiet());
    api.upstream.on("/any/large", |exchange| exchange.answer(200, "X-Upstream: yes\r\n", &[b'a'; 200_000]));
    // What a worker keeps for lending, and what serving a first connection takes.
    let warm = Client::connect(api.gateway.ports.public);
    for _ in 0..40 {
        warm.send(&Request::get("/any/large"));
    }
    drop(warm);
    wait_until("nothing is open", || api.gateway.metric("connections", &[]) == 0.0);
    let grown = |since: u64| api.gateway.resident_kib().saturating_sub(since) / CONNECTIONS;
    let (mut before, mut answered) = (api.gateway.resident_kib(), 40);
    // What the first round leaves behind is for the next: buffers to lend, and what the allocator keeps at hand.
    for (round, bound) in [(1, 3 << 10), (2, 512), (3, 512)] {
        let mut held: Vec<Raw> = (0..CONNECTIONS).map(|_| bomb(&api)).collect();
        for raw in &mut held {
            for stream in (1..63).step_by(2) {
                raw.send(WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes());
            }
        }
        answered += 16 * CONNECTIONS as usize;
        wait_until("all are being answered", || api.upstream.count() >= answered);
        let kib = grown(before);
        eprintln!("the bomb, round {round}: {kib} KiB more a connection");
        assert!(kib <= bound, "D3: {kib} KiB more a connection in round {round}");
        drop(held);
        wait_until("nothing is open", || api.gateway.metric("connections", &[]) == 0.0);
        before = api.gateway.resident_kib();
    }
    // Past four times the list it is no mistake any more, and the connection ends.
    let mut raw = bomb(&api);
    let block = [request("GET", "/any/large", &[]), vec![0x80 | 62; 4000]].concat();
    raw.send(HEADERS, END_HEADERS | END_STREAM, 63, &block);
    assert!(raw.goaway().is_some_and(|code| code != 0));
    assert_allowed(&api.gateway.send(&Request::get("/health")));
}

/// A connection with 31 requests on it, each of as many fields as the list may hold or of far more.
fn bomb(api: &Api) -> Raw {
    let mut raw = Raw::connect(api.gateway.ports.public, &[(INITIAL_WINDOW_SIZE, 0)]);
    // One field of 3,000 octets enters the table (RFC 7541 section 6.2.1); each octet is then one of it.
    let mut seed = request("GET", "/any/large", &[]);
    seed.push(0x40);
    for text in ["x-bomb", &"b".repeat(3000)] {
        integer(&mut seed, 7, 0, text.len());
        seed.extend_from_slice(text.as_bytes());
    }
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &seed);
    for stream in (3..63).step_by(2) {
        let references = if stream % 4 == 3 { 4 } else { 18 };
        let block = [request("GET", "/any/large", &[]), vec![0x80 | 62; references]].concat();
        raw.send(HEADERS, END_HEADERS | END_STREAM, stream, &block);
    }
    raw
}
