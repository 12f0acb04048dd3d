//! A client is told before its token ends, between two messages, once a token.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::harness::api::Api;
use crate::harness::token::now;
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, holds, wait_until};
use crate::harness::websocket::{CLOSE, CONTINUATION, Frame, PING, Served, TEXT, WebSocket, echo, handshake};

const WARNING: &str = r#"{"type":"token_expiring"}"#;

fn api() -> Api {
    let streams =
        format!("{{warning: {{before: 4s, message: '{WARNING}'}}, reauthenticate: {{token: token}}}}");
    let route = format!("{{require: orders:read, streams: {streams}}}");
    let api = Api::with(|setup| setup.route("/live", &route));
    api.upstream.on("/live", echo);
    api
}

/// A token that lives on for about so many seconds, by the leeway alone.
fn lasting(api: &Api, seconds: i64) -> String {
    let claims = json!({"iat": now() - 300, "exp": now() - 30 + seconds});
    api.issuer.token().scope("orders:read").merge(claims).sign()
}

fn open(api: &Api, token: &str) -> WebSocket {
    WebSocket::open(&api.gateway, &handshake("/live").bearer(token))
}

fn warning() -> Option<Frame> {
    Some(Frame::new(TEXT, WARNING).plain())
}

#[test]
fn a_client_is_warned_once_before_its_token_ends() {
    let api = api();
    let end = now() + 8;
    let mut socket = open(&api, &lasting(&api, 8));
    socket.echoes("nothing yet");
    assert_eq!(socket.receive(), warning());
    assert!(now() >= end - 4, "warned too early");
    socket.echoes("still open");
    let last = socket.receive().expect("a Close frame");
    assert_eq!((last.opcode, last.code()), (CLOSE, Some(4403)), "{last:?}");
    // One that lives for less than that is warned as soon as it is there.
    let mut socket = open(&api, &lasting(&api, 4));
    assert_eq!(socket.receive(), warning());
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(4403));
}

/// What stands within a message is part of it: a warning waits for the last fragment.
#[test]
fn a_warning_stands_between_two_messages() {
    let api = api();
    let (tell, told) = channel::<()>();
    let told = Arc::new(Mutex::new(told));
    api.upstream.on("/live", move |exchange| {
        let mut served = Served::accept(exchange)?;
        served.send(Frame::new(TEXT, "first").more())?;
        told.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
        served.send(Frame::new(PING, "between"))?;
        served.send(Frame::new(CONTINUATION, "middle").more())?;
        // The end of one message and the beginning of another, in one write.
        let last = Frame::new(CONTINUATION, "last").plain().octets();
        let next = Frame::new(TEXT, "next").more().plain().octets();
        served.write(&[last, next].concat())?;
        served.receive();
        Ok(Then::Close)
    });
    let end = now() + 8;
    let mut socket = open(&api, &lasting(&api, 8));
    assert_eq!(socket.receive(), Some(Frame::new(TEXT, "first").more().plain()));
    wait_until("the warning is due", || now() >= end - 4);
    assert!(holds(Duration::from_millis(400), || !api.gateway.has_exited()));
    tell.send(()).expect("the script waits");
    for expected in [
        Frame::new(PING, "between"),
        Frame::new(CONTINUATION, "middle").more(),
        Frame::new(CONTINUATION, "last"),
    ] {
        assert_eq!(socket.receive(), Some(expected.plain()));
    }
    assert_eq!(socket.receive(), warning());
    assert_eq!(socket.receive(), Some(Frame::new(TEXT, "next").more().plain()));
}

#[test]
fn every_token_has_a_warning_of_its_own() {
    let api = api();
    let mut socket = open(&api, &lasting(&api, 8));
    let bring = |socket: &mut WebSocket, token: String| {
        socket.send(&Frame::new(TEXT, json!({"token": token}).to_string()));
    };
    // One that is replaced in time is not warned of.
    bring(&mut socket, lasting(&api, 9));
    assert_eq!(socket.receive(), warning());
    let long = now() + 9;
    bring(&mut socket, lasting(&api, 9));
    assert_eq!(socket.receive(), warning());
    assert!(now() >= long - 4, "it was warned of the token before");
    bring(&mut socket, api.reader());
    wait_until("the others are over", || now() > long + 1);
    socket.echoes("nothing more was said");
}
