//! What an upstream does to a conversation.

use serde_json::json;

use crate::graphql::conversation::spoken::{BOTH, EVENTS, MINE, NEW, OLD, PUBLIC, Scene};
use crate::harness::upstream::Then;
use crate::harness::websocket::{Frame, Served, TEXT};

#[test]
fn the_upstreams_own_code_is_passed_on() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        client.run("1", "{ close4321 }");
        let frame = client.receive().expect("a Close frame");
        assert_eq!((frame.code(), &frame.payload[2..]), (Some(4321), &b"why"[..]));
        assert!(client.socket.connection.ends_well());
    }
}

#[test]
fn an_upstream_that_breaks_off_ends_it_so_that_clients_come_again() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        client.run("1", "{ reset }");
        client.closes(1014);
    }
}

/// An upstream that ends while nothing runs there is not missed by what runs elsewhere.
#[test]
fn an_upstream_that_cannot_be_had_refuses_what_waits_for_it_and_no_more() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, &scene.token("a"));
        client.run("1", EVENTS);
        client.result("1");
        scene.api.upstream.on("/graphql", |exchange| exchange.answer(503, "", b""));
        client.run("2", MINE);
        assert_eq!(client.refused("2"), "UPSTREAM_FAILED");
        scene.api.upstream.on_raw("/graphql", "", Then::Close);
        client.run("2", MINE);
        assert_eq!(client.refused("2"), "UPSTREAM_FAILED");
        client.run("3", EVENTS);
        assert_eq!(client.result("3"), "", "the other upstream connection goes on");
        scene.upstream_speaks(&BOTH);
        client.run("4", MINE);
        assert_eq!(client.result("4"), "alice");
    }
}

#[test]
fn an_upstream_that_does_not_speak_either_is_none() {
    let scene = Scene::new();
    scene.upstream_speaks(&["mqtt"]);
    let mut client = scene.begin(NEW, "");
    client.run("1", PUBLIC);
    assert_eq!(client.refused("1"), "UPSTREAM_FAILED");
    // One that does not acknowledge, and one that refuses to.
    for said in
        [r#"{"type":"connection_error","payload":{}}"#, r#"{"type":"next","id":"1","payload":{}}"#, "x"]
    {
        scene.api.upstream.on("/graphql", move |exchange| {
            let key = exchange.request.header("sec-websocket-key").unwrap_or_default().to_owned();
            let protocol = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
            let switch = crate::harness::websocket::switch(&key);
            exchange.write(
                format!("{}{protocol}", switch.trim_end_matches("\r\n"))
                    .replace("\r\n\r\nSec", "\r\nSec")
                    .as_bytes(),
            )?;
            let mut served = Served::new(exchange);
            served.send(Frame::new(TEXT, said))?;
            while served.receive().is_some() {}
            Ok(Then::Close)
        });
        client.run("1", PUBLIC);
        assert_eq!(client.refused("1"), "UPSTREAM_FAILED");
    }
}

/// A client that offers both protocols is understood by an upstream that speaks one.
#[test]
fn each_side_may_speak_its_own_protocol() {
    let scene = Scene::new();
    scene.upstream_speaks(&[OLD]);
    let both = Scene::handshake("graphql-ws, graphql-transport-ws");
    let mut client = scene.open_by(NEW, &both);
    client.init(&json!({}));
    client.run("1", PUBLIC);
    client.only_result("1");
    client.run("2", "{ fails }");
    let error = client.hear();
    assert_eq!(
        (&error["type"], &error["payload"]),
        (&json!("error"), &json!([{"message": "no such field"}]))
    );
    client.run("3", EVENTS);
    client.result("3");
    client.stop("3");
    scene.heard.wait("the upstream hears it in its own words", |told| {
        told.message == json!({"type": "stop", "id": "3"})
    });
    // Who offers one is not given the other.
    let mut client = scene.begin(NEW, "");
    client.run("1", PUBLIC);
    assert_eq!(client.refused("1"), "UPSTREAM_FAILED");
}

#[test]
fn an_operation_that_the_upstream_refuses_is_over() {
    let scene = Scene::new();
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        for _ in 0..2 {
            client.run("1", "{ fails }");
            let error = client.hear();
            assert_eq!((error["type"].as_str(), error["id"].as_str()), (Some("error"), Some("1")), "{error}");
        }
        client.goes_on();
    }
}
