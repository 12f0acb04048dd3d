//! What a tunnel may cost, and what ends one that costs too much (invariant I5).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, holds, wait_until};
use crate::harness::websocket::{BINARY, Frame, Served, TEXT, WebSocket, echo, handshake};

fn api(limits: &'static str) -> Api {
    let api = Api::with(|setup| setup.limits(limits).route("/ws/{*rest}", "public").quiet());
    api.upstream.on("/ws/echo", echo);
    api
}

/// Waits until a count has risen and stands still.
#[track_caller]
fn settles(count: &AtomicUsize) {
    let end = Instant::now() + PATIENCE;
    wait_until("something flows", || count.load(Ordering::SeqCst) > 0);
    let mut last = count.load(Ordering::SeqCst);
    while !holds(Duration::from_millis(300), || count.load(Ordering::SeqCst) == last) {
        assert!(Instant::now() < end, "it flows and flows: {last}");
        last = count.load(Ordering::SeqCst);
    }
}

/// What lies idle holds no buffer. There are two connections to it, each with a timer; two buffers would be 32 KiB
/// more.
#[test]
fn i5_idle_websockets_hold_no_buffers() {
    const COUNT: u64 = 400;
    let api = api("idle_time: 1s");
    // What the first ones grow is there for all.
    let mut sockets: Vec<WebSocket> =
        (0..50).map(|_| WebSocket::open(&api.gateway, &handshake("/ws/echo"))).collect();
    sockets.iter_mut().for_each(|socket| socket.echoes("warm"));
    let before = api.gateway.resident_kib();
    for _ in 0..COUNT {
        let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/echo"));
        socket.echoes("a message that needed a buffer for a moment");
        sockets.push(socket);
    }
    let each = api.gateway.resident_kib().saturating_sub(before) as f64 / COUNT as f64;
    eprintln!("{each:.1} KiB an idle WebSocket");
    assert!(each < 24.0, "I5: {each:.1} KiB an idle WebSocket");
    // Silence is nothing to end one for: longer than `idle_time`, and it is still there.
    assert!(holds(Duration::from_millis(1500), || !api.gateway.has_exited()));
    sockets.iter_mut().for_each(|socket| socket.echoes("still here"));
}

#[test]
fn i5_a_slow_reader_holds_the_sender_back() {
    let api = api("idle_time: 60s");
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    api.upstream.on("/ws/flood", move |exchange| {
        let mut served = Served::accept(exchange)?;
        loop {
            served.send(Frame::new(BINARY, vec![7; 64 << 10]))?;
            count.fetch_add(64 << 10, Ordering::SeqCst);
        }
    });
    let before = api.gateway.resident_kib();
    let socket = WebSocket::open(&api.gateway, &handshake("/ws/flood"));
    socket.connection.shrink_receive_buffer();
    settles(&written);
    assert!(written.load(Ordering::SeqCst) < 64 << 20, "{written:?} octets went nowhere");
    let grown = api.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "I5: {grown} KiB are held for one slow reader");
    // Others are served as ever.
    assert_allowed(&api.gateway.send(&Request::get("/health")));
}

/// The same the other way: an upstream that does not read holds its client back, not the gateway's memory.
#[test]
fn i5_a_slow_upstream_holds_the_client_back() {
    let api = api("idle_time: 60s");
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    api.upstream.on("/ws/deaf", move |exchange| {
        let mut served = Served::accept(exchange)?;
        wait.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
        let mut read = 0;
        while let Some(frame) = served.receive() {
            read += frame.payload.len();
            if frame.opcode == TEXT {
                served.send(Frame::new(TEXT, read.to_string()))?;
            }
        }
        Ok(Then::Close)
    });
    let before = api.gateway.resident_kib();
    let sent = AtomicUsize::new(0);
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/deaf"));
    let answer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..512 {
                socket.send(&Frame::new(BINARY, vec![7; 64 << 10]));
                sent.fetch_add(64 << 10, Ordering::SeqCst);
            }
            socket.send(&Frame::new(TEXT, "done!"));
            socket.receive()
        });
        settles(&sent);
        assert!(sent.load(Ordering::SeqCst) < 30 << 20, "{sent:?} octets went nowhere");
        let grown = api.gateway.resident_kib().saturating_sub(before);
        assert!(grown < 16 << 10, "I5: {grown} KiB are held for one slow upstream");
        open.send(()).expect("the script waits");
        writer.join().expect("the client is answered")
    });
    let all = ((32 << 20) + 5).to_string();
    assert_eq!(answer, Some(Frame::new(TEXT, all).plain()), "something was lost");
}

#[test]
fn d6_a_client_that_takes_nothing_for_write_stall_is_cut_off() {
    let api = api("write_stall: 1s");
    api.upstream.on("/ws/flood", |exchange| {
        let mut served = Served::accept(exchange)?;
        loop {
            served.send(Frame::new(BINARY, vec![7; 64 << 10]))?;
        }
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/flood"));
    socket.connection.shrink_receive_buffer();
    let stalled = [("reason", "stalled")];
    wait_until("it is cut off", || api.gateway.metric("streams_closed_total", &stalled) == 1.0);
    assert!(!socket.connection.ends_well(), "it passed for a close");
}

/// One end of a tunnel that stays after the other has gone is let go of.
#[test]
fn d6_a_tunnel_with_one_end_ends() {
    let api = api("idle_time: 1s");
    api.upstream.on("/ws/leaves", |exchange| {
        Served::accept(exchange)?.send(Frame::new(TEXT, "bye"))?;
        Ok(Then::Close)
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/ws/leaves"));
    assert!(socket.receive().is_some());
    let open = || api.gateway.metric("connections", &[]);
    wait_until("its place is free again, though the client stays", || open() == 0.0);
    drop(socket);
}
