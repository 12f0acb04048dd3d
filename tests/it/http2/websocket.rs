//! WebSocket over HTTP/2 (RFC 8441): the same handshake to the gate and to the upstream, which speaks HTTP/1.1.

use portcullis::gate::denial::Reason;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::Request;
use crate::harness::h2::client::{Client, Stream};
use crate::harness::keys::random;
use crate::harness::upstream::Then;
use crate::harness::wait::wait_until;
use crate::harness::websocket::{BINARY, CLOSE, Frame, TEXT, echo};

fn api() -> Api {
    let api = Api::with(|setup| setup.route("/ws/{*rest}", "public").route("GET /chat", "orders:read"));
    api.upstream.on("/ws/echo", echo);
    api.upstream.on("/chat", echo);
    api
}

fn version(request: Request) -> Request {
    request.header("sec-websocket-version", "13")
}

/// Reads frames until one is whole, with what was read before in `held`.
fn receive(stream: &mut Stream<'_>, held: &mut Vec<u8>) -> Frame {
    loop {
        if let Some((frame, length)) = Frame::parse(held) {
            held.drain(..length);
            return frame;
        }
        let data = stream.data().expect("no end").expect("no reset");
        held.extend_from_slice(&data);
    }
}

#[test]
fn messages_go_both_ways_over_http_2() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/echo?a=b")));
    let answer = stream.head().expect("an answer");
    assert_eq!(
        (answer.status, answer.header("sec-websocket-accept"), answer.header("upgrade")),
        (200, None, None)
    );
    let mut held = Vec::new();
    for frame in [Frame::new(TEXT, "hello"), Frame::new(BINARY, random(1 << 18)), Frame::new(TEXT, "")] {
        stream.send_data(&frame.octets(), false).expect("room");
        assert!(receive(&mut stream, &mut held) == frame.plain(), "not an echo");
    }
    // Other requests go on beside it.
    assert_allowed(&client.send(&Request::get("/health")));
    stream.send_data(&Frame::close(1000).octets(), true).expect("room");
    assert_eq!(receive(&mut stream, &mut held).opcode, CLOSE);
    while let Some(data) = stream.data() {
        assert_eq!(data.expect("it ends in good order"), "");
    }
    let head = api.upstream.requests()[0].head.clone();
    assert_eq!((head.method.as_str(), head.target.as_str()), ("GET", "/ws/echo?a=b"));
    assert_eq!((head.header("upgrade"), head.header("connection")), (Some("websocket"), Some("Upgrade")));
    assert_eq!(head.all("sec-websocket-key").len(), 1);
}

#[test]
fn s7_the_handshake_is_decided_like_any_request() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let chat = version(Request::get("/chat"));
    for (request, reason) in [
        (chat.clone(), Reason::NoCredentials),
        (chat.clone().bearer(&api.issuer.mint("orders:write")), Reason::InsufficientScope),
        (version(Request::get("/nowhere")), Reason::NoRoute),
        // No version, no handshake.
        (Request::get("/ws/echo"), Reason::MalformedRequest),
        (
            version(Request::get("/ws/echo")).header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            Reason::MalformedRequest,
        ),
        (version(Request::get("/ws/echo")).header("content-length", "5"), Reason::MalformedRequest),
    ] {
        let mut stream = client.extended_connect("websocket", &request);
        assert_refused(&stream.answer().expect("an answer"), reason);
    }
    for protocol in ["connect-udp", "websocket\r\nX: y", "WebSocket"] {
        let mut stream = client.extended_connect(protocol, &version(Request::get("/ws/echo")));
        assert_refused(&stream.answer().expect("an answer"), Reason::MalformedRequest);
    }
    assert_eq!((api.upstream.count(), api.upstream.connections()), (0, 0));
    let mut stream = client.extended_connect("websocket", &chat.bearer(&api.reader()));
    assert_eq!(stream.head().expect("an answer").status, 200);
}

#[test]
fn h1_an_ordinary_answer_is_an_answer() {
    let api = api();
    api.upstream.on("/ws/no", |exchange| exchange.answer(404, "X-Upstream: yes\r\n", b"no"));
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/no")));
    let answer = stream.answer().expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (404, "no"));
    assert_allowed(&client.send(&Request::get("/health")));
}

#[test]
fn a_side_that_is_gone_ends_the_other() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/echo")));
    assert_eq!(stream.head().expect("an answer").status, 200);
    let mut held = Vec::new();
    stream.send_data(&Frame::new(TEXT, "a").octets(), false).expect("room");
    receive(&mut stream, &mut held);
    api.upstream.cut_idle_connections();
    // Its end came without a Close frame, which is for the client to judge.
    while let Some(Ok(_)) = stream.data() {}
    drop(stream);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/echo")));
    assert_eq!(stream.head().expect("an answer").status, 200);
    stream.reset();
    wait_until("the tunnel is gone", || api.gateway.metric("streams_closed_total", &[]) >= 2.0);
}

#[test]
fn o5_a_goodbye_is_a_close_frame() {
    let api = Api::with(|setup| setup.route("/ws/{*rest}", "public").yaml_tail("shutdown_grace: 3s"));
    api.upstream.on("/ws/echo", echo);
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/echo")));
    assert_eq!(stream.head().expect("an answer").status, 200);
    api.gateway.signal("TERM");
    assert_eq!(receive(&mut stream, &mut Vec::new()).code(), Some(1001));
    // Which is the end of it.
    while let Some(data) = stream.data() {
        data.expect("no reset");
    }
    api.gateway.wait_for_exit(0);
}

/// A 2xx would tell the client that the tunnel is open (RFC 8441 section 5).
#[test]
fn h1_an_upstream_that_does_not_switch_opens_no_tunnel() {
    let api = api();
    let answer = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 2\r\n\r\nok";
    api.upstream.on_raw("/ws/plain", answer, Then::Keep);
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/plain")));
    assert_eq!(stream.head().expect("an answer").status, 502);
    assert_allowed(&client.send(&Request::get("/health")));
}

/// What a client sends before it is answered waits for the upstream's 101, as over HTTP/1.1.
#[test]
fn a_message_before_the_answer_is_not_the_clients_end() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.extended_connect("websocket", &version(Request::get("/ws/echo")));
    stream.send_data(&Frame::new(TEXT, "early").octets(), false).expect("room");
    assert_eq!(stream.head().expect("an answer").status, 200);
    assert!(receive(&mut stream, &mut Vec::new()) == Frame::new(TEXT, "early").plain(), "not an echo");
}

#[test]
fn a_stream_goes_on_under_a_new_token_over_http_2_too() {
    let route = "{require: orders:read, streams: {close: 4401, reauthenticate: {token: token}}}";
    let api = Api::with(|setup| setup.route("GET /live", route));
    api.upstream.on("/live", echo);
    let client = Client::connect(api.gateway.ports.public);
    let request = version(Request::get("/live")).header("sec-websocket-extensions", "permessage-deflate");
    let mut stream = client.extended_connect("websocket", &request.bearer(&api.reader()));
    assert_eq!(stream.head().expect("an answer").status, 200);
    assert_eq!(api.upstream.last().head.header("sec-websocket-extensions"), None);
    let mut held = Vec::new();
    let bring = |token: &str| Frame::new(TEXT, format!("{{\"token\":\"{token}\"}}")).octets();
    stream.send_data(&bring(&api.reader()), false).expect("room");
    stream.send_data(&Frame::new(TEXT, "on").octets(), false).expect("room");
    assert_eq!(receive(&mut stream, &mut held), Frame::new(TEXT, "on").plain());
    stream.send_data(&bring(&api.issuer.mint("profile")), false).expect("room");
    let last = receive(&mut stream, &mut held);
    assert_eq!((last.code(), &last.payload[2..]), (Some(4401), &b"insufficient_scope"[..]), "{last:?}");
}
