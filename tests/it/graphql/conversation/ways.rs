//! Conversations that come over TLS and over HTTP/2, on a route that only shadows, and with a client that says nothing.

use serde_json::{Value, json};

use crate::graphql::conversation::spoken::{BOTH, CREATE, Client, DELETE, NEW, Scene, route};
use crate::harness::certificates::Authority;
use crate::harness::client::Request;
use crate::harness::h2::client::{Client as Http2, Stream};
use crate::harness::tls::TlsClient;
use crate::harness::websocket::{Frame, PING, PONG, TEXT, WebSocket};

#[test]
fn a_conversation_over_tls_is_judged_alike() {
    let authority = Authority::new("ours");
    let shown = authority.server(&["api.test"]);
    let scene = Scene::with("", |setup| {
        setup
            .file("cert.pem", &shown.certificate)
            .file("key.pem", &shown.key)
            .listener("tls: {certificate: cert.pem, private_key: {file: key.pem}}")
    });
    let token = scene.token("Mutation:Person:Create");
    for protocol in BOTH {
        let mut connection = TlsClient::new(&authority).connect(scene.api.gateway.ports.public, "api.test");
        connection.write(&Scene::handshake(protocol).octets());
        let mut client = Client { socket: WebSocket::opened(connection), protocol };
        client.init(&json!({"Authorization": format!("Bearer {token}")}));
        client.run("1", CREATE);
        assert_eq!(client.only_result("1"), "alice");
        client.run("2", DELETE);
        assert_eq!(client.refused("2"), "FORBIDDEN");
        client.goes_on();
    }
    assert_eq!(scene.heard.ran().iter().filter(|ran| *ran == DELETE).count(), 0);
}

#[test]
fn a_conversation_over_http_2_is_judged_alike() {
    let scene = Scene::new();
    let http = Http2::connect(scene.api.gateway.ports.public);
    let request = Request::get("/graphql").header("sec-websocket-version", "13");
    let mut stream = http.extended_connect("websocket", &request.header("sec-websocket-protocol", NEW));
    let answer = stream.head().expect("an answer");
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (200, Some(NEW)));
    let mut held = Vec::new();
    let mut hear = |stream: &mut Stream<'_>| -> Value {
        loop {
            if let Some((frame, length)) = Frame::parse(&held) {
                held.drain(..length);
                return serde_json::from_slice(&frame.payload).expect("JSON");
            }
            held.extend_from_slice(&stream.data().expect("no end").expect("no reset"));
        }
    };
    let token = scene.token("Mutation:Person:Create");
    let messages = [
        (json!({"type": "connection_init", "payload": {"token": token}}), "connection_ack"),
        (json!({"type": "subscribe", "id": "1", "payload": {"query": DELETE}}), "error"),
        (json!({"type": "subscribe", "id": "2", "payload": {"query": CREATE}}), "next"),
    ];
    for (message, answer) in messages {
        stream.send_data(&Frame::new(TEXT, message.to_string()).octets(), false).expect("room");
        let heard = hear(&mut stream);
        assert_eq!(heard["type"], answer, "{heard}");
    }
    assert_eq!(scene.heard.ran(), [CREATE]);
}

/// What would be refused runs as nobody; what is no matter of tokens is refused all the same.
#[test]
fn a_conversation_in_shadow_runs_what_would_be_refused_as_nobody() {
    let scene = Scene::routed(&route("", ", enforce: shadow"), |setup| setup);
    let token = scene.token("Mutation:Person:Create");
    for protocol in BOTH {
        let mut client = scene.begin(protocol, &token);
        client.run("1", CREATE);
        assert_eq!(client.only_result("1"), "alice");
        client.run("2", DELETE);
        assert_eq!(client.only_result("2"), "");
        client.run("3", "mutation {");
        assert_eq!(client.refused("3"), "GRAPHQL_PARSE_FAILED");
        let mut stranger = scene.begin(protocol, "garbage");
        stranger.run("1", CREATE);
        assert_eq!(stranger.only_result("1"), "");
    }
    let labels = [("decision", "shadow_refuse"), ("reason", "insufficient_scope")];
    scene.api.gateway.wait_for_metric("decisions_total", &labels, 2.0);
    let labels = [("decision", "shadow_refuse"), ("reason", "malformed_token")];
    scene.api.gateway.wait_for_metric("decisions_total", &labels, 2.0);
}

/// Nobody asked: what stands between a client and the gateway closed connections that were silent, and a client that was
/// gone without a word held its place for as long as the kernel took to find out.
#[test]
fn a_silent_client_is_asked_whether_it_is_there_and_let_go_if_it_is_not() {
    let scene = Scene::with(", messages: {keep_alive: 1s}", |setup| setup);
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        for _ in 0..3 {
            let ping = client.receive().expect("a ping");
            assert_eq!((ping.opcode, ping.last, ping.masked, ping.payload.len()), (PING, true, false, 0));
            client.socket.send(&Frame::new(PONG, ""));
        }
        client.goes_on();
        assert_eq!(client.receive().map(|ping| ping.opcode), Some(PING));
        assert_eq!(client.receive(), None, "it is let go, and told nothing more");
    }
    scene.api.gateway.wait_for_metric("streams_closed_total", &[("reason", "stalled")], 2.0);
}
