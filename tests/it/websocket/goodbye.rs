//! At the end of a drain a long stream hears it in its own protocol's words; whatever else is unfinished is cut, and
//! looks it (threats O5, U4).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::api::Api;
use crate::harness::client::{Connection, Request};
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, wait_until};
use crate::harness::websocket::{BINARY, Frame, Served, TEXT, WebSocket, echo, handshake};

fn api(grace: &str) -> Api {
    let tail = format!("shutdown_grace: {grace}");
    let api = Api::with(|setup| setup.yaml_tail(&tail).route("/any/{*rest}", "public"));
    api.upstream.on("/any/echo", echo);
    api
}

/// What a script tells the test.
fn told<T>() -> (Mutex<Sender<T>>, Receiver<T>) {
    let (tell, told) = channel();
    (Mutex::new(tell), told)
}

fn tell<T>(told: &Mutex<Sender<T>>, what: T) {
    told.lock().expect("no test panics in here").send(what).ok();
}

/// An answer that has begun and does not end: its head, and what has come of its body.
fn begun(api: &Api, path: &str, request: &[u8], head: &str) -> Connection {
    let head = format!("HTTP/1.1 200 OK\r\nX-Upstream: yes\r\n{head}\r\n\r\n");
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    // Held as long as the process: the upstream never ends it.
    std::mem::forget(hold);
    api.upstream.on(path, move |exchange| {
        let first = if head.contains("chunked") { "5\r\nfirst\r\n" } else { "first" };
        exchange.write(format!("{head}{first}").as_bytes())?;
        held.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
        Ok(Then::Close)
    });
    let mut connection = api.gateway.connect();
    connection.write(request);
    connection.read_until("first");
    connection
}

#[test]
fn o5_a_websocket_hears_1001_on_both_sides() {
    let api = api("3s");
    let (said, hears) = told();
    api.upstream.on("/any/listens", move |exchange| {
        let mut served = Served::accept(exchange)?;
        let frame = served.receive();
        tell(&said, frame);
        // What the gateway reads of an upstream that was told is the end.
        served.receive();
        Ok(Then::Close)
    });
    let mut sockets: Vec<WebSocket> =
        (0..10).map(|_| WebSocket::open(&api.gateway, &handshake("/any/echo"))).collect();
    sockets.iter_mut().for_each(|socket| socket.echoes("still here"));
    let mut listens = WebSocket::open(&api.gateway, &handshake("/any/listens"));
    // Keeps it up to the end of the grace, so that it can be asked what it has counted.
    let _unfinished =
        begun(&api, "/any/length", &Request::get("/any/length").octets(), "Content-Length: 100");
    let start = Instant::now();
    api.gateway.signal("TERM");
    for socket in sockets.iter_mut().chain([&mut listens]) {
        let frame = socket.receive().expect("a goodbye");
        assert_eq!((frame.code(), frame.masked, frame.last), (Some(1001), false, true), "{frame:?}");
        assert!(socket.connection.ends_well(), "nothing follows, and no reset");
    }
    assert!(start.elapsed() >= Duration::from_millis(1400), "no grace was given: {:?}", start.elapsed());
    let frame = hears.recv_timeout(PATIENCE).expect("the upstream heard").expect("a frame");
    assert_eq!((frame.code(), frame.masked), (Some(1001), true), "{frame:?}");
    let drained = [("reason", "drained")];
    wait_until("they are counted", || api.gateway.metric("streams_closed_total", &drained) == 11.0);
    api.gateway.wait_for_exit(0);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} of grace", start.elapsed());
}

/// A client that does not go, however often it is asked, holds nobody up.
#[test]
fn o5_a_client_that_stays_holds_nobody_up() {
    let api = api("1s");
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/echo"));
    socket.echoes("still here");
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?} of grace", start.elapsed());
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(1001));
}

/// The goodbye stands between two frames, however long the first one takes.
#[test]
fn o5_a_frame_that_is_on_its_way_ends_first() {
    let api = api("4s");
    let large = vec![7; 100_000];
    let octets = Frame::new(BINARY, &large).plain().octets();
    api.upstream.on("/any/slow", move |exchange| {
        let mut served = Served::accept(exchange)?;
        served.write(&octets[..50_000])?;
        let frame = served.receive().and_then(|frame| frame.code());
        assert_eq!(frame, Some(1001), "told before the frame ends");
        served.write(&octets[50_000..])?;
        served.send(Frame::new(TEXT, "too late"))?;
        served.receive();
        Ok(Then::Close)
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/slow"));
    api.gateway.signal("TERM");
    assert!(socket.receive() == Some(Frame::new(BINARY, &large).plain()), "not the whole frame");
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(1001));
    assert!(socket.connection.ends_well(), "nothing follows the goodbye");
    api.gateway.wait_for_exit(0);
}

/// One that never ends is cut, and looks it.
#[test]
fn u4_half_a_frame_at_the_end_of_a_drain_is_reset() {
    let api = api("1s");
    api.upstream.on("/any/half", |exchange| {
        let mut served = Served::accept(exchange)?;
        served.write(&Frame::new(TEXT, "cut in half").plain().octets()[..6])?;
        while served.receive().is_some() {}
        Ok(Then::Close)
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/half"));
    assert!(socket.connection.read_exactly(6).is_some());
    api.gateway.stop();
    assert!(!socket.connection.ends_well(), "half a frame passed for everything there was");
}

/// A goodbye that the two have said already is not said again.
#[test]
fn o5_what_is_closing_is_left_to_it() {
    let api = api("1s");
    api.upstream.on("/any/closing", |exchange| {
        let mut served = Served::accept(exchange)?;
        served.send(Frame::close(1000))?;
        while served.receive().is_some() {}
        Ok(Then::Close)
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/closing"));
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(1000));
    api.gateway.stop();
    assert_eq!(socket.receive(), None);
}

/// No time is left, and it is said all the same.
#[test]
fn o5_a_second_signal_says_goodbye_at_once() {
    let api = api("60s");
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/echo"));
    socket.echoes("still here");
    let request = Request::get("/any/events").octets();
    let mut events =
        begun(&api, "/any/events", &request, "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked");
    api.gateway.signal("TERM");
    wait_until("it drains", || api.gateway.probe("/readyz") != Some(200));
    socket.echoes("draining");
    let start = Instant::now();
    api.gateway.signal("TERM");
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(1001));
    assert_eq!(events.read_to_end(), b"0\r\n\r\n");
    api.gateway.wait_for_exit(0);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} after the second signal", start.elapsed());
}

#[test]
fn o5_u4_an_event_stream_ends_well_and_nothing_else_that_is_unfinished_does() {
    let api = api("2s");
    let get = |path: &str| Request::get(path).octets();
    let old = |path: &str| format!("GET {path} HTTP/1.0\r\nHost: api.test\r\n\r\n").into_bytes();
    let (events, chunked) = ("Content-Type: Text/Event-Stream; charset=utf-8", "Transfer-Encoding: chunked");
    // However the upstream delimits it, the client has it in chunks.
    let streams = [
        begun(&api, "/any/1", &get("/any/1"), &format!("{events}\r\n{chunked}")),
        begun(&api, "/any/2", &get("/any/2"), events),
        begun(
            &api,
            "/any/3",
            &Request::post("/any/3", "a question").octets(),
            &format!("{events}\r\n{chunked}"),
        ),
        begun(
            &api,
            "/any/4",
            b"POST /any/4 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nask",
            &format!("{events}\r\n{chunked}"),
        ),
    ];
    let cut = [
        begun(&api, "/any/5", &get("/any/5"), chunked),
        begun(&api, "/any/6", &get("/any/6"), "Content-Length: 100"),
        begun(&api, "/any/7", &get("/any/7"), "Connection: close"),
        begun(&api, "/any/8", &get("/any/8"), "Content-Type: text/event-streams\r\nConnection: close"),
        // To HTTP/1.0 the end of the connection would be the end of the answer.
        begun(&api, "/any/9", &old("/any/9"), chunked),
        begun(&api, "/any/10", &old("/any/10"), &format!("{events}\r\n{chunked}")),
    ];
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} of grace", start.elapsed());
    for (number, mut stream) in streams.into_iter().enumerate() {
        let rest = stream.read_to_end();
        assert_eq!(rest, b"0\r\n\r\n", "stream {number}: {}", rest.escape_ascii());
    }
    for (number, mut connection) in cut.into_iter().enumerate() {
        assert!(!connection.ends_well(), "the unfinished answer {number} passed for whole");
    }
}

/// An event stream that ends by itself is counted as that, and its connection goes on.
#[test]
fn an_event_stream_that_ends_leaves_its_connection() {
    let api = api("1s");
    let body = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n";
    api.upstream.on_raw("/any/short", body, Then::Keep);
    let mut connection = api.gateway.connect();
    for _ in 0..3 {
        let response = connection.send(&Request::get("/any/short"));
        assert!(response.whole && response.text() == "data: 1\n\n", "{response:?}");
    }
    let upstream = [("reason", "upstream")];
    wait_until("they are counted", || api.gateway.metric("streams_closed_total", &upstream) == 3.0);
    drop(connection);
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Each event arrives before the next is sent (threat row H1's sibling in streaming: nothing is gathered).
#[test]
fn events_arrive_as_they_are_sent() {
    let api = api("1s");
    for (path, head, chunked) in [
        ("/any/chunked", "Transfer-Encoding: chunked", true),
        ("/any/until-close", "Connection: close", false),
    ] {
        let (next, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        api.upstream.on(path, move |exchange| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Type: text/event-stream\r\n{head}\r\n\r\n"
            );
            exchange.write(head.as_bytes())?;
            for number in 0..20 {
                let event = format!("data: {number:02}\n\n");
                let event = if chunked { format!("a\r\n{event}\r\n") } else { event };
                exchange.write(event.as_bytes())?;
                wait.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
            }
            exchange.write(if chunked { b"0\r\n\r\n" } else { b"" })?;
            Ok(Then::Close)
        });
        let mut connection = api.gateway.connect();
        connection.write(&Request::get(path).octets());
        for number in 0..20 {
            connection.read_until(&format!("data: {number:02}\n\n"));
            next.send(()).expect("the script waits");
        }
        connection.read_until("0\r\n\r\n");
    }
}
