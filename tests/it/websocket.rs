//! WebSocket over HTTP/1.1 (RFC 6455): decided on the handshake like any request, and a tunnel only after the
//! upstream's 101 (threats H1).

mod bounds;
mod goodbye;
mod origin;
mod reauthenticate;
mod warning;

use portcullis::gate::denial::Reason::{MalformedRequest, UpstreamFailed};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::Request;
use crate::harness::keys::random;
use crate::harness::upstream::Then;
use crate::harness::wait::wait_until;
use crate::harness::websocket::{
    BINARY, CONTINUATION, Frame, PING, PONG, Served, TEXT, WebSocket, echo, handshake, next_answer, switch,
};

fn api() -> Api {
    let api = Api::with(|setup| setup.route("/ws/{*rest}", "public").route("GET /chat", "orders:read"));
    api.upstream.on("/ws/echo", echo);
    api.upstream.on("/chat", echo);
    api
}

#[test]
fn messages_go_both_ways_as_they_are() {
    let api = api();
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/echo"));
    socket.echoes("hello");
    // Fragments, with a ping between them; a large message; an empty one.
    let large = random(1 << 20);
    let frames = [
        Frame::new(TEXT, "first").more(),
        Frame::new(PING, "there?"),
        Frame::new(CONTINUATION, "last"),
        Frame::new(BINARY, &large),
        Frame::new(TEXT, ""),
        Frame::new(BINARY, vec![7; 300]),
    ];
    for frame in &frames {
        socket.send(frame);
        let opcode = if frame.opcode == PING { PONG } else { frame.opcode };
        let echo = socket.receive().expect("an echo");
        assert!(echo == Frame { opcode, ..frame.clone() }.plain(), "not an echo");
    }
    socket.send(&Frame::close(1000));
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(1000));
    assert!(socket.connection.ends_well(), "the upstream closed in good order");
    let head = &api.upstream.last().head;
    assert_eq!((head.header("upgrade"), head.header("connection")), (Some("websocket"), Some("Upgrade")));
    assert_eq!(api.upstream.count(), 1);
}

/// Threat H1: what is no WebSocket handshake to the last line opens nothing.
#[test]
fn h1_foreign_and_half_upgrades_are_refused() {
    let api = api();
    let base = || Request::get("/ws/echo").header("Connection", "Upgrade");
    let key = |request: Request| request.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for request in [
        base().header("Upgrade", "foo"),
        key(base().header("Upgrade", "websocket, foo").header("Sec-WebSocket-Version", "13")),
        key(base().header("Upgrade", "websocket")),
        key(base().header("Upgrade", "websocket").header("Sec-WebSocket-Version", "8")),
        base().header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13"),
        handshake("/ws/echo").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        handshake("/ws/echo").body("body"),
    ] {
        let answer = api.gateway.send(&request);
        assert_refused(&answer, MalformedRequest);
        assert!(answer.closes(), "{answer:?}");
    }
    assert_eq!((api.upstream.count(), api.upstream.connections()), (0, 0));
}

/// Threat H1: an upstream that answers anything but 101 has answered a request, and no octet behind the handshake
/// becomes another one.
#[test]
fn h1_an_ordinary_answer_to_a_handshake_is_an_answer() {
    let api = api();
    for status in [200, 403, 404] {
        api.upstream.on("/ws/no", move |exchange| exchange.answer(status, "X-Upstream: yes\r\n", b"no"));
        let mut connection = api.gateway.connect();
        connection.write(&handshake("/ws/no").octets());
        let answer = next_answer(&mut connection);
        assert_eq!((answer.status, answer.text().as_str()), (status, "no"), "{answer:?}");
        // The connection goes on as what it was.
        assert_allowed(&connection.send(&Request::get("/health")));
    }
    let before = api.upstream.count();
    let mut connection = api.gateway.connect();
    connection.write(&[handshake("/ws/no").octets(), Request::get("/health").octets()].concat());
    let answer = next_answer(&mut connection);
    assert_eq!((answer.status, answer.closes()), (404, true), "{answer:?}");
    connection.expect_end();
    assert_eq!(api.upstream.count(), before + 1, "one request: {:?}", api.upstream.last());
}

#[test]
fn h1_a_101_that_does_not_answer_the_handshake_is_502() {
    let api = api();
    let good = switch("dGhlIHNhbXBsZSBub25jZQ==");
    for (what, answer) in [
        ("no accept", good.replace("Sec-WebSocket-Accept", "X-Accept")),
        ("the accept of another key", switch("AAAAAAAAAAAAAAAAAAAAAA==")),
        ("another protocol", good.replace("Upgrade: websocket", "Upgrade: foo")),
        ("no option", good.replace("Connection: Upgrade", "Connection: keep-alive")),
        ("a body", good.replace("Upgrade: websocket", "Content-Length: 3\r\nUpgrade: websocket")),
    ] {
        api.upstream.on_raw("/ws/bad", answer, Then::Keep);
        let answer = api.gateway.send(&handshake("/ws/bad"));
        assert_refused(&answer, UpstreamFailed);
        assert!(!answer.text().contains("101"), "{what}: {answer:?}");
    }
    // One that closes instead, and a switch that nobody asked for.
    api.upstream.on_raw("/ws/bad", "", Then::Close);
    assert_refused(&api.gateway.send(&handshake("/ws/bad")), UpstreamFailed);
    api.upstream.on_raw("/ws/bad", good, Then::Keep);
    assert_refused(&api.gateway.send(&Request::get("/ws/bad")), UpstreamFailed);
}

/// Two answers to one handshake: the second belongs to nobody.
#[test]
fn h11_two_answers_to_a_handshake_stay_with_it() {
    let api = api();
    let answer = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 5\r\n\r\n";
    api.upstream.on_raw("/ws/two", format!("{answer}first{answer}other"), Then::Keep);
    let mut connection = api.gateway.connect();
    connection.write(&handshake("/ws/two").octets());
    assert_eq!(next_answer(&mut connection).text(), "first");
    for _ in 0..4 {
        assert_eq!(connection.send(&Request::get("/health")).text(), r#"{"ok":true}"#);
    }
}

/// What a client sends before it has its 101 waits for it.
#[test]
fn h1_early_octets_wait_for_the_101() {
    let api = api();
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    api.upstream.on("/ws/slow", move |exchange| {
        wait.lock().expect("no test panics in here").recv().ok();
        echo(exchange)
    });
    let mut connection = api.gateway.connect();
    let early = Frame::new(TEXT, "early bird").octets();
    connection.write(&[handshake("/ws/slow").octets(), early.clone()].concat());
    wait_until("the handshake is there", || api.upstream.count() == 1);
    let masked = String::from_utf8_lossy(&early[6..]).into_owned();
    assert!(!api.upstream.raw().contains(&masked), "they went ahead of the 101");
    open.send(()).expect("the script waits");
    let mut socket = WebSocket::opened(connection);
    assert_eq!(socket.receive(), Some(Frame::new(TEXT, "early bird").plain()));
    socket.echoes("and on");
}

/// The upstream's first frames may come in the same segment as its 101.
#[test]
fn octets_behind_the_101_are_the_tunnels() {
    let api = api();
    api.upstream.on("/ws/greets", |exchange| {
        let key = exchange.request.header("sec-websocket-key").unwrap_or_default().to_owned();
        let greeting = Frame::new(TEXT, "welcome").plain().octets();
        exchange.write(&[switch(&key).as_bytes(), &greeting].concat())?;
        exchange.read_some()?;
        Ok(Then::Close)
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/greets"));
    assert_eq!(socket.receive(), Some(Frame::new(TEXT, "welcome").plain()));
}

/// Whoever ends it, the other side hears of it; and within a frame it is a reset.
#[test]
fn u4_an_end_is_passed_on_as_what_it_is() {
    let api = api();
    api.upstream.on("/ws/frame", |exchange| {
        let mut served = Served::accept(exchange)?;
        served.send(Frame::new(TEXT, "whole"))?;
        Ok(Then::Close)
    });
    api.upstream.on("/ws/half", |exchange| {
        let mut served = Served::accept(exchange)?;
        served.write(&Frame::new(TEXT, "cut in half").plain().octets()[..6])?;
        Ok(Then::Close)
    });
    api.upstream.on("/ws/reset", |exchange| {
        let mut served = Served::accept(exchange)?;
        served.receive();
        Ok(served.reset())
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/frame"));
    assert_eq!(socket.receive(), Some(Frame::new(TEXT, "whole").plain()));
    assert!(socket.connection.ends_well(), "after a whole frame");
    drop(socket);
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/half"));
    assert!(!socket.connection.ends_well(), "half a frame passed for everything there was");
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/reset"));
    socket.send(&Frame::new(TEXT, "go"));
    assert!(!socket.connection.ends_well(), "a reset passed for a close");
    wait_until("they are counted", || {
        api.gateway.metric("streams_closed_total", &[("reason", "upstream")]) == 3.0
    });
    // The client's end: the upstream's script ends only when it hears of it.
    for well in [true, false] {
        let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/echo"));
        socket.echoes("still here");
        if well { drop(socket) } else { socket.connection.reset() }
    }
    wait_until("they are counted", || {
        api.gateway.metric("streams_closed_total", &[("reason", "client")]) == 2.0
    });
    let lines = api.gateway.logs();
    assert_eq!(lines.lines().filter(|line| line.contains("\"status\":101")).count(), 5, "a line each");
}
