//! The words of both protocols, and what is none of them.

use portcullis::gate::denial::Reason;
use serde_json::{Value, json};

use crate::graphql::conversation::spoken::{BOTH, CREATE, DELETE, EVENTS, NEW, OLD, PUBLIC, Scene, route};
use crate::harness::client::Request;
use crate::harness::h2::client::{Client as Http2, Stream};
use crate::harness::wait::wait_until;
use crate::harness::websocket::{
    BINARY, CONTINUATION, Frame, PING, PONG, TEXT, WebSocket, handshake, next_answer,
};

/// CVE-2026-35523: an operation that comes before `connection_init` is not run, whatever its handshake brought.
#[test]
fn cve_2026_35523_nothing_runs_before_connection_init() {
    let scene = Scene::new();
    let token = scene.token("Mutation:Person:Create");
    for protocol in BOTH {
        for query in [PUBLIC, CREATE] {
            let mut client = scene.open_by(protocol, &Scene::handshake(protocol).bearer(&token));
            client.run("1", query);
            client.ends(4401, "Unauthorized");
        }
    }
    assert_eq!(scene.api.upstream.connections(), 0, "no upstream heard of it");
}

#[test]
fn a_mutation_is_refused_and_the_conversation_goes_on() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, &scene.token("Mutation:Person:Create"));
        client.run("1", DELETE);
        assert_eq!(client.refused("1"), "FORBIDDEN");
        client.run("1", CREATE);
        assert_eq!(client.only_result("1"), "alice");
        client.run("2", "mutation { createPerson }");
        assert_eq!(client.refused("2"), "FORBIDDEN");
        client.run("3", "{ a");
        assert_eq!(client.refused("3"), "GRAPHQL_PARSE_FAILED");
        client.goes_on();
    }
    assert!(scene.heard.ran().iter().all(|ran| ran == CREATE || ran == PUBLIC), "{:?}", scene.heard.ran());
}

#[test]
fn what_is_public_needs_no_token_and_what_is_not_says_so() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        client.run("1", CREATE);
        assert_eq!(client.refused("1"), "UNAUTHENTICATED");
        client.run("2", EVENTS);
        assert_eq!(client.result("2"), "");
        client.stop("2");
        client.run("3", "query { me { identifier } }");
        assert_eq!(client.refused("3"), "UNAUTHENTICATED");
        client.goes_on();
    }
    scene.heard.wait("the upstream hears the end", |told| told.message["type"] == "complete");
    scene.heard.wait("the upstream hears the end", |told| told.message["type"] == "stop");
}

#[test]
fn a_second_init_is_one_too_many() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        client.say(&json!({"type": "connection_init"}));
        client.ends(4429, "Too many initialisation requests");
    }
}

#[test]
fn who_does_not_begin_is_let_go() {
    let scene = Scene::with(", messages: {init_time: 1s}", |setup| setup);
    for protocol in BOTH {
        scene.open(protocol).ends(4408, "Connection initialisation timeout");
        // Talking is not beginning.
        let mut client = scene.open(protocol);
        client.socket.send(&Frame::new(PING, ""));
        assert_eq!(client.socket.receive().expect("a pong").opcode, PONG);
        client.ends(4408, "Connection initialisation timeout");
    }
    let mut client = scene.begin(NEW, "");
    scene.open(NEW).ends(4408, "Connection initialisation timeout");
    client.goes_on();
}

#[test]
fn an_id_is_taken_as_long_as_its_operation_runs() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        client.run("1", EVENTS);
        client.result("1");
        client.stop("1");
        client.run("1", EVENTS);
        client.result("1");
        client.run("1", PUBLIC);
        client.ends(4409, "Subscriber already exists");
    }
}

#[test]
fn what_is_no_message_ends_the_conversation() {
    let scene = Scene::new();
    let begin =
        |members: &str| format!(r#"{{"type":"subscribe","id":"1","payload":{{"query":"{{a}}"}}{members}}}"#);
    for text in [
        "".to_owned(),
        "hello".to_owned(),
        "[]".to_owned(),
        r#"{"type":"nonsense"}"#.to_owned(),
        r#"{"type":"connection_ack"}"#.to_owned(),
        r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#.to_owned(),
        begin(r#","payload":{"query":"mutation{CreatePerson}"}"#),
        begin(r#","p\u0061yload":{"query":"mutation{CreatePerson}"}"#),
        begin(r#","Payload":{"query":"mutation{CreatePerson}"}"#),
        begin(r#","id":"2""#),
        format!(r#"{{"type":"complete","id":"{}"}}"#, "a".repeat(257)),
    ] {
        let mut client = scene.begin(NEW, "");
        client.socket.send(&Frame::new(TEXT, &text));
        client.ends(4400, "Invalid message");
    }
    for text in ["{}", r#"{"type":"subscribe","id":"1","payload":{"query":"{a}"}}"#] {
        let mut client = scene.begin(OLD, "");
        client.socket.send(&Frame::new(TEXT, text));
        client.ends(4400, "Invalid message");
    }
    // A token that two parsers read differently.
    let mut client = scene.open(NEW);
    client
        .socket
        .send(&Frame::new(TEXT, r#"{"type":"connection_init","payload":{"token":"a","token":"b"}}"#));
    client.ends(4400, "Invalid message");
    assert!(scene.heard.ran().is_empty());
}

#[test]
fn what_is_no_text_ends_the_conversation_with_the_codes_of_rfc_6455() {
    let scene = Scene::new();
    let ping = r#"{"type":"ping"}"#;
    for (frame, code) in [
        (Frame::new(BINARY, ping), 1003),
        (Frame::new(TEXT, b"\"\xff\""), 1007),
        (Frame::new(TEXT, ping).plain(), 1002),
        (Frame::new(CONTINUATION, ping), 1002),
        (Frame::new(3, ping), 1002),
    ] {
        for protocol in BOTH {
            let mut client = scene.begin(protocol, "");
            client.socket.send(&frame);
            client.closes(code);
        }
    }
}

#[test]
fn fragments_are_one_message() {
    let scene = Scene::new();
    let mut client = scene.begin(NEW, "");
    let text = json!({"id": "1", "type": "subscribe", "payload": {"query": PUBLIC}}).to_string();
    let (first, last) = text.split_at(20);
    client.socket.send(&Frame::new(TEXT, first).more());
    client.socket.send(&Frame::new(PING, "there?"));
    client.socket.send(&Frame::new(CONTINUATION, last));
    assert_eq!(client.socket.receive(), Some(Frame::new(PONG, "there?").plain()));
    client.only_result("1");
    // An octet at a time.
    for octet in Frame::new(TEXT, text.replace("\"1\"", "\"2\"")).octets() {
        client.socket.connection.write(&[octet]);
    }
    client.only_result("2");
}

#[test]
fn pings_are_answered_on_both_sides() {
    let scene = Scene::new();
    let mut client = scene.open(NEW);
    client.say(&json!({"type": "ping", "payload": {"a": 1}}));
    assert_eq!(client.hear(), json!({"type": "pong", "payload": {"a": 1}}));
    client.init(&json!(null));
    client.say(&json!({"type": "pong"}));
    client.goes_on();
    // The upstream's were answered here.
    scene.heard.wait("a pong", |told| told.message["type"] == "pong");
}

#[test]
fn either_side_may_end_it() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        client.run("1", EVENTS);
        client.result("1");
        client.socket.send(&Frame::close(1000));
        client.closes(1000);
    }
    wait_until("both upstreams hear it", || scene.heard.of(&["close"]).len() == 2);
    let mut client = scene.begin(OLD, "");
    client.say(&json!({"type": "connection_terminate"}));
    client.closes(1000);
    // A client that is gone without a word.
    let mut client = scene.begin(NEW, "");
    client.goes_on();
    drop(client);
    wait_until("the upstream hears it", || scene.heard.of(&["close"]).len() == 3);
    scene.api.gateway.wait_for_metric("streams_closed_total", &[("reason", "client")], 4.0);
}

/// Graphql.md section 3: one supported protocol is answered; a handshake that offers none is refused before it is one.
#[test]
fn one_protocol_of_those_offered_is_spoken() {
    let scene = Scene::new();
    for (offered, chosen) in [
        ("graphql-transport-ws", NEW),
        ("graphql-ws", OLD),
        ("graphql-ws, graphql-transport-ws", NEW),
        ("mqtt,graphql-ws", OLD),
    ] {
        let mut connection = scene.api.gateway.connect();
        connection.write(&Scene::handshake(offered).octets());
        let answer = next_answer(&mut connection);
        assert_eq!((answer.status, answer.all("sec-websocket-protocol")), (101, vec![chosen]), "{answer:?}");
        assert_eq!(answer.header("sec-websocket-extensions"), None);
    }
    let two = handshake("/graphql").header("Sec-WebSocket-Protocol", "mqtt");
    for request in [
        handshake("/graphql"),
        Scene::handshake("mqtt"),
        Scene::handshake(""),
        Scene::handshake("GraphQL-WS"),
        Scene::handshake("graphql-ws2, graphql-transport-ws-2"),
        two,
    ] {
        let answer = scene.api.gateway.send(&request);
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let two = handshake("/graphql")
        .header("Sec-WebSocket-Protocol", "mqtt")
        .header("Sec-WebSocket-Protocol", "graphql-ws");
    WebSocket::open(&scene.api.gateway, &two);
    assert_eq!(scene.api.upstream.connections(), 0);
}

/// No extension is negotiated: what is compressed could not be read.
#[test]
fn no_extension_reaches_the_upstream() {
    let scene = Scene::new();
    let request = Scene::handshake(NEW).header("Sec-WebSocket-Extensions", "permessage-deflate");
    let mut client = scene.open_by(NEW, &request);
    client.init(&json!({}));
    client.goes_on();
    let head = scene.api.upstream.last().head;
    assert_eq!(
        (head.header("sec-websocket-extensions"), head.header("sec-websocket-protocol")),
        (None, Some(NEW))
    );
}

/// Threat S7: the page that opens it is asked about before anything is.
#[test]
fn s7_a_strangers_page_opens_no_conversation() {
    let scene = Scene::new();
    let request = Scene::handshake(NEW).header("Origin", "https://evil.test");
    let answer = scene.api.gateway.send(&request);
    assert_eq!(answer.status, 403, "{answer:?}");
    let never = Scene::routed(&route("", "").replace("same_origin", "none"), |setup| setup);
    let answer = never.api.gateway.send(&Scene::handshake(NEW));
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// Reads frames until one is whole, with what was read before in `held`.
fn receive(stream: &mut Stream<'_>, held: &mut Vec<u8>) -> Value {
    loop {
        if let Some((frame, length)) = Frame::parse(held) {
            held.drain(..length);
            return match frame.code() {
                Some(code) => json!(code),
                None => serde_json::from_slice(&frame.payload).expect("JSON"),
            };
        }
        let data = stream.data().expect("no end").expect("no reset");
        held.extend_from_slice(&data);
    }
}

#[test]
fn it_is_the_same_over_http_2() {
    let scene = Scene::new();
    let client = Http2::connect(scene.api.gateway.ports.public);
    let request = Request::get("/graphql")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "graphql-transport-ws");
    let mut stream = client.extended_connect("websocket", &request);
    let answer = stream.head().expect("an answer");
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (200, Some(NEW)), "{answer:?}");
    let mut held = Vec::new();
    let token = scene.token("Mutation:Person:Create");
    let say = |stream: &mut Stream<'_>, message: Value| {
        stream.send_data(&Frame::new(TEXT, message.to_string()).octets(), false).expect("room");
    };
    say(&mut stream, json!({"type": "connection_init", "payload": {"token": token}}));
    assert_eq!(receive(&mut stream, &mut held)["type"], "connection_ack");
    say(&mut stream, json!({"type": "subscribe", "id": "1", "payload": {"query": CREATE}}));
    assert_eq!(receive(&mut stream, &mut held)["payload"]["data"]["by"], "alice");
    assert_eq!(receive(&mut stream, &mut held)["type"], "complete");
    say(&mut stream, json!({"type": "subscribe", "id": "2", "payload": {"query": DELETE}}));
    assert_eq!(receive(&mut stream, &mut held)["payload"][0]["extensions"]["code"], "FORBIDDEN");
    say(&mut stream, json!({"type": "connection_init"}));
    assert_eq!(receive(&mut stream, &mut held), 4429);
    while let Some(data) = stream.data() {
        assert_eq!(data.expect("it ends in good order"), "");
    }
    let answer = client.send(&Request::get("/health"));
    assert_eq!(answer.status, 200);
    let refused =
        client.extended_connect("websocket", &Request::get("/graphql").header("sec-websocket-version", "13"));
    let mut refused = refused;
    assert_eq!(refused.head().expect("an answer").status, Reason::GraphqlRejected.status());
}
