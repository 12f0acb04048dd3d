//! WebSockets.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::client::Request;
use crate::harness::token::now;
use crate::harness::upstream::Then;
use crate::harness::wait::{eventually, wait_until};
use crate::harness::websocket::{BINARY, Frame, Served, WebSocket, echo, handshake, next_answer};
use crate::lasting::{LATE, api, api_with, revoke, revoke_at, token};

fn open(api: &crate::harness::api::Api, path: &str, token: &str) -> WebSocket {
    WebSocket::open(&api.gateway, &handshake(path).bearer(token))
}

fn ended(api: &crate::harness::api::Api, reason: &str, count: f64) {
    let labels = [("reason", reason)];
    wait_until("it is counted", || api.gateway.metric("streams_closed_total", &labels) == count);
}

#[test]
fn r8_a_websocket_is_closed_when_its_token_expires() {
    let api = api();
    let (mut short, mut long) =
        (open(&api, "/s/echo", &token(&api, "a", 3)), open(&api, "/s/echo", &token(&api, "b", 900)));
    let end = now() + 3;
    short.echoes("still here");
    let frame = short.receive().expect("a goodbye");
    assert!(now() >= end - 1, "too soon");
    assert_eq!((frame.code(), frame.masked, frame.last), (Some(4403), false, true), "{frame:?}");
    assert!(short.connection.ends_well(), "nothing follows, and no reset");
    long.echoes("another token's");
    ended(&api, "expired", 1.0);
    let line = api.gateway.wait_for_log(&["\"status\":101", "\"reason\":\"expired\""]);
    assert!(line.contains("the stream ended with its token"), "{line}");
}

#[test]
fn r8_a_websocket_is_closed_within_a_second_of_its_revocation() {
    let api = api();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    api.upstream.on("/s/listens", move |exchange| {
        let mut served = Served::accept(exchange)?;
        let frame = served.receive();
        hears.lock().expect("no panic").push(frame);
        Ok(Then::Close)
    });
    let mut revoked: Vec<WebSocket> =
        (0..20).map(|_| open(&api, "/s/echo", &token(&api, "revoked", 900))).collect();
    revoked.push(open(&api, "/s/listens", &token(&api, "revoked", 900)));
    let mut other = open(&api, "/s/echo", &token(&api, "other", 900));
    let mut public = WebSocket::open(&api.gateway, &handshake("/any/echo"));
    revoke(&api, "revoked");
    let start = Instant::now();
    for socket in &mut revoked {
        let frame = socket.receive().expect("a goodbye");
        assert_eq!((frame.code(), frame.masked), (Some(4403), false), "{frame:?}");
        assert!(socket.connection.ends_well(), "nothing follows, and no reset");
    }
    assert!(start.elapsed() < LATE, "{:?}", start.elapsed());
    other.echoes("another token's");
    public.echoes("nobody's");
    ended(&api, "revoked", 21.0);
    wait_until("the upstream heard", || !heard.lock().expect("no panic").is_empty());
    let frame = heard.lock().expect("no panic").pop().flatten().expect("a frame");
    assert_eq!((frame.code(), frame.masked), (Some(4403), true), "{frame:?}");
}

/// What a client may send without end, or leave half sent, does not put the end off.
#[test]
fn r8_a_frame_that_does_not_end_is_cut_off() {
    let api = api();
    api.upstream.on("/s/half", |exchange| {
        let mut served = Served::accept(exchange)?;
        served.write(&Frame::new(BINARY, vec![7; 1000]).plain().octets()[..600])?;
        while served.receive().is_some() {}
        Ok(Then::Close)
    });
    let mut half = open(&api, "/s/half", &token(&api, "a", 900));
    assert!(half.connection.read_exactly(600).is_some());
    let mut sends_half = open(&api, "/s/echo", &token(&api, "a", 900));
    sends_half.connection.write(&Frame::new(BINARY, vec![7; 1000]).octets()[..600]);
    revoke(&api, "a");
    assert!(!half.connection.ends_well(), "half a frame passed for everything there was");
    assert_eq!(sends_half.receive().and_then(|frame| frame.code()), Some(4403));
    sends_half.connection.ends_within(LATE);
    ended(&api, "revoked", 2.0);
}

/// Nobody reads what is sent: the goodbye cannot be said.
#[test]
fn r8_a_client_that_does_not_read_is_cut_off() {
    let api = api();
    api.upstream.on("/s/floods", |exchange| {
        let mut served = Served::accept(exchange)?;
        while served.send(Frame::new(BINARY, vec![7; 60_000])).is_ok() {}
        Ok(Then::Close)
    });
    let _unread = open(&api, "/s/floods", &token(&api, "a", 900));
    let before = api.gateway.processor_time();
    wait_until("the way is full", || {
        let now = api.gateway.processor_time();
        !eventually(Duration::from_millis(300), || {
            api.gateway.processor_time() > now + Duration::from_millis(100)
        }) && now >= before
    });
    revoke(&api, "a");
    ended(&api, "revoked", 1.0);
}

/// A revocation between the decision and the beginning of the stream is not lost.
#[test]
fn r8_a_revocation_while_the_handshake_is_answered_ends_the_stream() {
    let api = api();
    api.upstream.on("/s/revokes", {
        let (iss, admin) = (api.issuer.iss.clone(), api.gateway.ports.admin);
        move |exchange| {
            revoke_at(admin, &iss, "a");
            echo(exchange)
        }
    });
    let mut connection = api.gateway.connect().unaudited();
    connection.write(&handshake("/s/revokes").bearer(&token(&api, "a", 900)).octets());
    // On a slow machine it is known before the handshake is answered.
    let answer = next_answer(&mut connection);
    if answer.status == 101 {
        let code = WebSocket { connection }.receive().and_then(|frame| frame.code());
        assert_eq!(code, Some(4403));
    } else {
        assert_eq!((answer.status, answer.reason().as_str()), (401, "revoked"));
    }
}

#[test]
fn the_code_and_the_grace_are_the_routes() {
    let api =
        crate::harness::api::Api::with_issuer(crate::harness::issuer::Issuer::start(), |setup, issuer| {
            setup
                .issuer_with("corp", issuer, "leeway: 1s")
                .yaml_tail(crate::lasting::STORE)
                .route("/s/{*rest}", "{require: orders:read, streams: {close: 4001, grace: 2s}}")
        });
    api.upstream.on("/s/echo", echo);
    let (mut graced, mut revoked) =
        (open(&api, "/s/echo", &token(&api, "a", 2)), open(&api, "/s/echo", &token(&api, "b", 2)));
    let end = now() + 2;
    // No grace for what is revoked.
    revoke(&api, "b");
    assert_eq!(revoked.receive().and_then(|frame| frame.code()), Some(4001));
    assert_eq!(graced.receive().and_then(|frame| frame.code()), Some(4001));
    assert!(now() >= end + 2, "exp, the leeway and the grace");
}

#[test]
fn r8_the_removal_of_its_key_closes_a_websocket() {
    let api = api_with("");
    let mut socket = open(&api, "/s/echo", &token(&api, "a", 900));
    socket.echoes("still here");
    let file = api.gateway.config_path().with_file_name("corp.json");
    // A key beside it takes nothing away.
    let old = api.issuer.key();
    api.issuer.publish(vec![old.clone(), crate::harness::keys::Key::new("ES256", "new")]);
    std::fs::write(&file, api.issuer.jwks().to_string()).expect("written");
    assert_eq!(api.gateway.reload().status, 200);
    socket.echoes("its key is there still");
    api.issuer.publish(vec![crate::harness::keys::Key::new("ES256", "new")]);
    std::fs::write(&file, api.issuer.jwks().to_string()).expect("written");
    assert_eq!(api.gateway.reload().status, 200);
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(4403));
    ended(&api, "untrusted", 1.0);
}

/// Over HTTP/1.1 a token may stand in the query: browsers have no other way. Nothing else is different.
#[test]
fn r8_a_browsers_websocket_is_held_to_its_token_too() {
    let api = api();
    let target = format!("/s/echo?access_token={}", token(&api, "a", 900));
    let mut socket = WebSocket::open(&api.gateway, &handshake(&target));
    socket.echoes("still here");
    revoke(&api, "a");
    assert_eq!(socket.receive().and_then(|frame| frame.code()), Some(4403));
    assert!(api.gateway.send(&Request::get(&target)).status == 401);
}
