//! What one client can make the gateway hold, or do.

use serde_json::json;

use crate::graphql::conversation::spoken::{BOTH, DELETE, EVENTS, NEW, PUBLIC, Scene};
use crate::harness::wait::wait_until;
use crate::harness::websocket::{CONTINUATION, Frame, PING, PONG, TEXT};

#[test]
fn operations_past_the_bound_are_refused_one_by_one() {
    let scene = Scene::with(", messages: {operations: 2}", |setup| setup);
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        for id in ["1", "2"] {
            client.run(id, EVENTS);
            client.result(id);
        }
        for id in ["3", "3"] {
            client.run(id, EVENTS);
            assert_eq!(client.refused(id), "OVERLOADED");
        }
        client.stop("1");
        client.run("3", EVENTS);
        client.result("3");
    }
}

#[test]
fn a_message_past_the_bound_ends_the_conversation() {
    let scene = Scene::with(", messages: {message: 1KiB}", |setup| setup);
    let fits = |length: usize| {
        let text =
            json!({"id": "1", "type": "subscribe", "payload": {"query": PUBLIC, "variables": {"a": ""}}})
                .to_string();
        text.replace(r#""a":"""#, &format!(r#""a":"{}""#, "x".repeat(length - text.len())))
    };
    let mut client = scene.begin(NEW, "");
    client.socket.send(&Frame::new(TEXT, fits(1024)));
    client.only_result("1");
    client.socket.send(&Frame::new(TEXT, fits(1025)));
    client.closes(1009);
    // In fragments, the last of which is never sent: nothing of it is kept.
    let mut client = scene.begin(NEW, "");
    client.socket.send(&Frame::new(TEXT, "x".repeat(600)).more());
    client.socket.send(&Frame::new(CONTINUATION, "x".repeat(600)));
    client.closes(1009);
    assert_eq!(scene.heard.ran().len(), 1);
}

/// They were counted of requests alone.
#[test]
fn what_only_warns_is_counted_of_messages_too() {
    let scene = Scene::with(", limits: {depth: {most: 1, warn: true}}", |setup| setup);
    let warned = |count: f64| {
        scene.api.gateway.wait_for_metric("graphql_warnings_total", &[("warning", "depth")], count);
    };
    for (protocol, count) in BOTH.into_iter().zip([1.0, 2.0]) {
        let mut client = scene.begin(protocol, "");
        client.run("1", PUBLIC);
        client.only_result("1");
        warned(count);
    }
}

/// It is kept as long as the conversation lasts: three hundred of a megabyte took three hundred megabytes, without any token.
#[test]
fn d7_the_payload_of_an_init_is_a_small_one() {
    let scene = Scene::new();
    let init = |octets: usize| json!({"type": "connection_init", "payload": {"a": "x".repeat(octets)}});
    for protocol in BOTH {
        let mut client = scene.open(protocol);
        client.say(&init(15 * 1024));
        assert_eq!(client.hear()["type"], "connection_ack");
        let mut client = scene.open(protocol);
        client.say(&init(17 * 1024));
        client.closes(1009);
    }
}

/// A flood of refused operations, and of questions whose answers nobody reads, costs their sender its own time.
#[test]
fn d7_a_flood_of_messages_is_held_nowhere() {
    let scene = Scene::new();
    let mut client = scene.begin(NEW, "");
    let before = scene.api.gateway.resident_kib();
    let refused = json!({"id": "1", "type": "subscribe", "payload": {"query": DELETE}}).to_string();
    let frames = Frame::new(TEXT, &refused).octets().repeat(50);
    let mut heard = 0;
    for _ in 0..100 {
        client.socket.connection.write(&frames);
        for _ in 0..50 {
            assert_eq!(client.refused("1"), "UNAUTHENTICATED");
            heard += 1;
        }
    }
    assert_eq!(heard, 5000);
    client.goes_on();
    // Nobody reads: the gateway stops reading too.
    let mut deaf = scene.begin(NEW, "");
    let ping =
        Frame::new(TEXT, json!({"type": "ping", "payload": {"a": "x".repeat(60_000)}}).to_string()).octets();
    deaf.socket.connection.set_write_timeout();
    let mut sent = 0;
    while sent < 1000 && deaf.socket.connection.try_write(&ping).is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "60 MB were taken of a client that reads nothing");
    let grown = scene.api.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB");
    client.goes_on();
}

#[test]
fn an_idle_conversation_does_not_end() {
    let scene = Scene::with("", |setup| setup.limits("idle_time: 1s"));
    let mut client = scene.begin(NEW, "");
    crate::harness::wait::pass(std::time::Duration::from_secs(3));
    client.goes_on();
    wait_until("it is one connection", || scene.api.upstream.connections() == 1);
}

/// Threat D7: what is held of messages counts with what is held of bodies.
#[test]
fn d7_messages_that_are_on_their_way_are_held_within_the_bound_of_all() {
    let scene = Scene::with("", |setup| setup.limits("inspected_body: 64KiB, inspected_total: 128KiB"));
    let most = "x".repeat(60 << 10);
    let begun = Frame::new(TEXT, &most).more();
    let mut held: Vec<_> = (0..2).map(|_| scene.begin(NEW, "")).collect();
    for client in &mut held {
        client.socket.send(&begun);
        // It has been read, so it is held.
        client.socket.send(&Frame::new(PING, ""));
        assert_eq!(client.receive().map(|frame| frame.opcode), Some(PONG));
    }
    let mut late = scene.begin(NEW, "");
    late.socket.send(&begun);
    late.closes(1013);
    // What was held is free again with its conversation.
    for mut client in held {
        client.socket.send(&Frame::close(1000));
        client.closes(1000);
    }
    let mut again = scene.begin(NEW, "");
    again.socket.send(&begun);
    again.socket.send(&Frame::new(PING, ""));
    assert_eq!(again.receive().map(|frame| frame.opcode), Some(PONG));
}

/// An upstream's was held outside that bound, 16 MiB of each.
#[test]
fn d7_what_upstreams_say_is_held_within_the_bound_of_all() {
    let scene = Scene::with("", |setup| setup.limits("inspected_body: 64KiB, inspected_total: 128KiB"));
    let mut client = scene.begin(NEW, "");
    client.goes_on();
    client.run("1", "{ large }");
    client.closes(1014);
    let scene = Scene::new();
    let mut client = scene.begin(NEW, "");
    client.run("1", "{ large }");
    client.only_result("1");
}

#[test]
fn a_message_that_does_not_end_ends_the_conversation() {
    let scene = Scene::with("", |setup| setup.limits("idle_time: 1s"));
    let mut client = scene.begin(NEW, "");
    client.socket.send(&Frame::new(TEXT, "{").more());
    client.closes(1008);
}
