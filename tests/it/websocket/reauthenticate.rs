//! A stream that goes on under a new token, which came in a message of its own.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::Api;
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::keys::Key;
use crate::harness::token::{Token, now};
use crate::harness::upstream::{Exchange, Then};
use crate::harness::wait::{holds, wait_until};
use crate::harness::websocket::{
    BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, Served, TEXT, WebSocket, echo, handshake,
};

const ROUTE: &str = "{require: orders:read, streams: {close: 4401, reauthenticate: {token: /payload/access_token, \
                     when: {/event: access_token}}}}";

fn api() -> Api {
    let api = Api::with(|setup| {
        let setup = setup.route("/live", ROUTE).route("/plain", "orders:read").route("/shadow", SHADOW);
        setup.file("revoked.yaml", "[]").yaml_tail("revocation: {file: revoked.yaml}")
    });
    for path in ["/live", "/plain", "/shadow"] {
        api.upstream.on(path, echo);
    }
    api
}

const SHADOW: &str = "{require: orders:read, enforce: shadow, streams: {reauthenticate: {token: token}}}";

fn open(api: &Api, token: &str) -> WebSocket {
    WebSocket::open(&api.gateway, &handshake("/live").bearer(token))
}

fn message(token: &str) -> String {
    json!({"topic": "t", "event": "access_token", "payload": {"access_token": token}}).to_string()
}

fn bring(token: &str) -> Frame {
    Frame::new(TEXT, message(token))
}

fn token(api: &Api) -> Token {
    api.issuer.token().scope("orders:read")
}

/// A token that lives on for about so many seconds, by the leeway alone.
fn lasting(api: &Api, seconds: i64) -> String {
    token(api).merge(json!({"iat": now() - 300, "exp": now() - 30 + seconds})).sign()
}

/// The next frame is the end, with this reason.
#[track_caller]
fn closes(socket: &mut WebSocket, reason: Reason) {
    let frame = socket.receive().expect("a Close frame");
    assert_eq!(frame.code(), Some(4401), "{frame:?}");
    assert_eq!(String::from_utf8_lossy(&frame.payload[2..]), reason.code());
    assert_eq!(socket.receive(), None, "something after the end");
}

#[test]
fn r8_what_is_refused_ends_the_stream_and_says_why() {
    let api = api();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    api.upstream.on("/live", move |exchange| {
        let mut served = Served::accept(exchange)?;
        while let Some(frame) = served.receive() {
            let ends = frame.opcode == CLOSE;
            hears.lock().expect("no test panics in here").push(frame);
            if ends {
                break;
            }
        }
        Ok(Then::Close)
    });
    let revoked = json!([{"kind": "jti", "issuer": api.issuer.iss, "value": "stolen"}]);
    api.gateway.replace("revoked.yaml", revoked.to_string());
    assert_eq!(api.gateway.reload().status, 200);
    let stranger = Key::new("ES256", &api.issuer.key().id);
    let cases = [
        (token(&api).set("sub", json!("mallory")).sign(), Reason::ConditionFailed),
        (token(&api).without("sub").sign(), Reason::ConditionFailed),
        (token(&api).set("exp", json!(now() - 40)).sign(), Reason::Expired),
        (token(&api).signed_by(&stranger).sign(), Reason::BadSignature),
        (token(&api).set("jti", json!("stolen")).sign(), Reason::Revoked),
        (token(&api).scope("profile").sign(), Reason::InsufficientScope),
        (token(&api).set("aud", json!("else")).sign(), Reason::WrongAudience),
        (token(&api).set("iss", json!("https://else.test")).sign(), Reason::UntrustedIssuer),
        ("hello".to_owned(), Reason::MalformedToken),
        (String::new(), Reason::MalformedToken),
    ];
    for (bad, reason) in &cases {
        heard.lock().expect("no test panics in here").clear();
        let mut socket = open(&api, &api.reader());
        socket.send(&Frame::new(TEXT, "before"));
        socket.send(&bring(bad));
        socket.send(&Frame::new(TEXT, "after"));
        closes(&mut socket, *reason);
        // The upstream hears what came before, and the end; never a token, nor what came after it.
        wait_until("the upstream hears the end", || {
            heard.lock().expect("no test panics in here").iter().any(|frame| frame.opcode == CLOSE)
        });
        let frames = heard.lock().expect("no test panics in here").clone();
        assert_eq!(frames.len(), 2, "{frames:?}");
        assert_eq!((&frames[0], frames[1].code()), (&Frame::new(TEXT, "before"), Some(4401)));
    }
    let refused = |reason: Reason| {
        api.gateway.metric(
            "decisions_total",
            &[("decision", "refuse"), ("reason", reason.code()), ("route", "/live")],
        )
    };
    assert_eq!(refused(Reason::Revoked), 1.0);
}

#[test]
fn what_is_no_such_message_goes_on_octet_for_octet() {
    let api = api();
    let mut socket = open(&api, &api.reader());
    let bad = "no.good.token";
    let texts = [
        "hello".to_owned(),
        String::new(),
        " {".to_owned(),
        message(bad).replace("access_token\",\"payload", "else\",\"payload"),
        message(bad).replace("\"event\"", "\"event\":\"else\",\"event\""),
        json!({"event": "access_token", "payload": {"access_token": 7}}).to_string(),
        json!([message(bad)]).to_string(),
        // Longer than a token may be, and then some.
        message(&"x".repeat(9 << 10)),
    ];
    for text in &texts {
        socket.echoes(text);
    }
    let other = |frame: Frame, socket: &mut WebSocket| {
        socket.send(&frame);
        assert_eq!(socket.receive(), Some(frame.plain()));
    };
    other(Frame::new(BINARY, message(bad)), &mut socket);
    socket.send(&Frame::new(PING, message(bad)));
    assert_eq!(socket.receive(), Some(Frame::new(PONG, message(bad)).plain()));
    // Fragments of text that could have been one, as they were; and half a frame of what cannot be is not held.
    for frame in [Frame::new(TEXT, "{\"a\"").more(), Frame::new(CONTINUATION, ":").more()] {
        socket.send(&frame);
    }
    socket.send(&Frame::new(CONTINUATION, "1}"));
    for expected in [Frame::new(TEXT, "{\"a\"").more(), Frame::new(CONTINUATION, ":").more()] {
        assert_eq!(socket.receive(), Some(expected.plain()));
    }
    assert_eq!(socket.receive(), Some(Frame::new(CONTINUATION, "1}").plain()));
    // On a route that reads no messages a token is one like any other.
    let mut plain = WebSocket::open(&api.gateway, &handshake("/plain").bearer(&api.reader()));
    plain.echoes(&message(bad));
}

#[test]
fn r8_a_stream_outlives_its_first_token() {
    let api = api();
    let first = lasting(&api, 6);
    let end = now() + 6;
    let (mut renewed, mut other) = (open(&api, &first), open(&api, &first));
    renewed.echoes("hello");
    other.echoes("hello");
    renewed.send(&bring(&token(&api).sign()));
    renewed.echoes("still here");
    closes(&mut other, Reason::Expired);
    wait_until("the first token is long over", || now() > end + 2);
    renewed.echoes("and still");
    assert_eq!(api.upstream.count(), 2);
}

/// What a decision needs done is done for a message too: here a key that nobody has asked for yet.
#[test]
fn a_token_by_a_new_key_has_it_fetched() {
    let issuer = Issuer::start();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        setup.issuer_fetched("corp", issuer, "cooldown: 100ms, miss_wait: 2s").route("/live", ROUTE)
    });
    api.upstream.on("/live", echo);
    let mut socket = open(&api, &api.reader());
    socket.echoes("under the first key");
    api.issuer.rotate("k2");
    let fetched = api.issuer.fetches();
    socket.send(&bring(&token(&api).sign()));
    socket.echoes("under the second");
    assert!(api.issuer.fetches() > fetched, "nobody asked for the key");
}

/// In pieces, in fragments with a ping between them, behind another message in one segment: a token is a token.
#[test]
fn a_token_may_come_in_any_pieces() {
    let api = api();
    let mut socket = open(&api, &lasting(&api, 6));
    let end = now() + 6;
    let (text, middle) = (message(&token(&api).sign()), 40);
    socket.send(&Frame::new(TEXT, &text[..middle]).more());
    socket.send(&Frame::new(PING, "there?"));
    assert_eq!(socket.receive(), Some(Frame::new(PONG, "there?").plain()), "a ping waits for no message");
    socket.send(&Frame::new(CONTINUATION, "").more());
    socket.send(&Frame::new(CONTINUATION, &text[middle..]));
    socket.echoes("on");
    wait_until("the first token is over", || now() > end + 1);
    socket.echoes("after the first");
    // Octet by octet.
    for octet in bring(&token(&api).sign()).octets() {
        socket.connection.write(&[octet]);
    }
    socket.echoes("after the second");
    let both =
        [Frame::new(TEXT, "a").octets(), bring(&token(&api).sign()).octets(), Frame::new(TEXT, "b").octets()];
    socket.connection.write(&both.concat());
    for text in ["a", "b"] {
        assert_eq!(socket.receive(), Some(Frame::new(TEXT, text).plain()));
    }
}

#[test]
fn r8_a_hundred_tokens_one_after_another() {
    let api = api();
    let mut socket = open(&api, &token(&api).set("jti", json!("t-0")).sign());
    for number in 1..=100 {
        let next = token(&api).set("jti", json!(format!("t-{number}"))).sign();
        socket.send(&bring(&next));
        socket.echoes(&format!("under the {number}th"));
    }
    // It hangs by the last one alone.
    let entry = |value: &str| json!([{"kind": "jti", "issuer": api.issuer.iss, "value": value}]).to_string();
    api.gateway.replace("revoked.yaml", entry("t-99"));
    assert_eq!(api.gateway.reload().status, 200);
    assert!(holds(Duration::from_millis(800), || !api.gateway.has_exited()));
    socket.echoes("the last but one is revoked");
    api.gateway.replace("revoked.yaml", entry("t-100"));
    assert_eq!(api.gateway.reload().status, 200);
    closes(&mut socket, Reason::Revoked);
    let allowed = [("decision", "allow"), ("reason", "none"), ("route", "/live")];
    assert_eq!(api.gateway.metric("decisions_total", &allowed), 101.0);
}

/// What is kept of a handshake, and what reads its messages, fit into what an idle WebSocket may cost.
#[test]
fn i5_idle_websockets_that_may_be_renewed_are_small() {
    const COUNT: u64 = 300;
    let api = Api::with(|setup| setup.route("/live", ROUTE).quiet());
    api.upstream.on("/live", echo);
    let bearer = api.reader();
    let open_one = || {
        let mut socket = open(&api, &bearer);
        socket.echoes(&message("no such event").replace("\"event\"", "\"other\""));
        socket
    };
    let mut sockets: Vec<WebSocket> = (0..50).map(|_| open_one()).collect();
    let before = api.gateway.resident_kib();
    sockets.extend((0..COUNT).map(|_| open_one()));
    let each = api.gateway.resident_kib().saturating_sub(before) as f64 / COUNT as f64;
    eprintln!("{each:.1} KiB an idle WebSocket");
    assert!(each < 25.0, "I5: {each:.1} KiB an idle WebSocket");
    assert_eq!(sockets.len() as u64, COUNT + 50);
}

/// A message of a gibibyte is announced: what comes of it goes on, and none of it is kept.
#[test]
fn i5_a_long_message_is_not_kept() {
    const SENT: usize = 48 << 20;
    let api = api();
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    api.upstream.on("/live", move |exchange| counted(exchange, &counts));
    let mut socket = open(&api, &api.reader());
    wait_until("the upstream is there", || api.upstream.count() == 1);
    let before = api.gateway.resident_kib();
    // Unmasked with zeros, so that what is sent is what it says.
    socket
        .connection
        .write(&[&[0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0], &b"{\"event\":\""[..]].concat());
    let piece = vec![b'a'; 1 << 16];
    for _ in 0..SENT / piece.len() {
        socket.connection.write(&piece);
    }
    wait_until("all of it has gone on", || count.load(Ordering::SeqCst) >= SENT);
    let grown = api.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 8 << 10, "I5: {grown} KiB are held of a long message");
    // The same of many small fragments, of which a message has no end.
    let mut socket = open(&api, &api.reader());
    let before = count.load(Ordering::SeqCst);
    socket.send(&Frame::new(TEXT, "{").more());
    let crumbs: Vec<u8> = (0..10_000).flat_map(|_| Frame::new(CONTINUATION, "").more().octets()).collect();
    socket.connection.write(&crumbs);
    wait_until("they have gone on", || count.load(Ordering::SeqCst) >= before + crumbs.len());
}

/// Accepts, and counts what comes.
fn counted(exchange: &mut Exchange, count: &AtomicUsize) -> io::Result<Then> {
    drop(Served::accept(exchange)?);
    loop {
        let octets = exchange.read_some()?;
        if octets.is_empty() {
            return Ok(Then::Close);
        }
        count.fetch_add(octets.len(), Ordering::SeqCst);
    }
}

/// A compressed message could not be read: no extension is offered to the upstream.
#[test]
fn no_extension_is_agreed_where_messages_are_read() {
    let api = api();
    let offer = |path: &str| -> Request {
        handshake(path).header("Sec-WebSocket-Extensions", "permessage-deflate").bearer(&api.reader())
    };
    WebSocket::open(&api.gateway, &offer("/live")).echoes("a");
    assert_eq!(api.upstream.last().head.header("sec-websocket-extensions"), None);
    WebSocket::open(&api.gateway, &offer("/plain")).echoes("a");
    assert_eq!(api.upstream.last().head.header("sec-websocket-extensions"), Some("permessage-deflate"));
    // One that uses it all the same sends what nobody agreed on, and so does one that does not mask.
    for wrong in [vec![0xc1, 0x80, 0, 0, 0, 0], Frame::new(TEXT, "a").plain().octets()] {
        let mut socket = open(&api, &api.reader());
        socket.echoes("a");
        socket.connection.write(&wrong);
        assert_eq!(socket.receive(), None);
    }
}

/// A route that only says what it would refuse ends no stream; the message is taken out all the same.
#[test]
fn a_shadowed_route_refuses_no_token() {
    let api = api();
    let mut socket = WebSocket::open(&api.gateway, &handshake("/shadow"));
    socket.send(&Frame::new(TEXT, json!({"token": "no.good.token"}).to_string()));
    socket.echoes("still here");
    socket.send(&Frame::new(TEXT, json!({"token": api.reader()}).to_string()));
    socket.echoes("still here");
}

/// What a route lets pass while it only shadows speaks for nobody, and opens the stream to nobody else.
#[test]
fn r8_a_while_in_shadow_lets_no_other_subject_in() {
    let api = api();
    let mut socket = open(&api, &api.reader());
    socket.echoes("still here");
    let (deny, shadow) = ("orders:read, streams: {close", "orders:read, enforce: shadow, streams: {close");
    let reloaded = |from: &str, to: &str| {
        api.gateway.rewrite(|text| text.replace(from, to));
        assert_eq!(api.gateway.reload().status, 200);
    };
    reloaded(deny, shadow);
    socket.send(&bring("no.good.token"));
    socket.echoes("nothing is refused");
    reloaded(shadow, deny);
    socket.send(&bring(&token(&api).set("sub", json!("mallory")).sign()));
    closes(&mut socket, Reason::ConditionFailed);
}
