//! Under which identity an operation runs.

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::graphql::conversation::spoken::{BOTH, CREATE, EVENTS, MINE, NEW, OLD, PUBLIC, Scene, route};
use crate::harness::wait::wait_until;

#[test]
fn each_operation_runs_under_its_own_identity() {
    let scene = Scene::new();
    let token = scene.token("Mutation:Person:Create");
    for protocol in BOTH {
        let request = Scene::handshake(protocol).header("X-Subject", "mallory");
        let mut client = scene.open_by(protocol, &request);
        client.init(&json!({"headers": {"authorization": token}}));
        client.run("1", EVENTS);
        assert_eq!(client.result("1"), "", "what needs no token runs for nobody");
        client.run("2", CREATE);
        assert_eq!(client.only_result("2"), "alice");
        client.run("3", PUBLIC);
        assert_eq!(client.only_result("3"), "");
        client.run("4", MINE);
        assert_eq!(client.result("4"), "alice");
    }
    let offered = scene.heard.of(&["offered"]);
    let subjects: Vec<&str> = offered.iter().map(|told| told.subject.as_str()).collect();
    assert_eq!(subjects, ["", "alice", "", "alice"], "one connection for each identity");
}

/// Threat I4: the upstream learns who it is, and not by which token.
#[test]
fn i4_no_token_goes_on_in_the_payload() {
    let scene = Scene::new();
    let token = scene.token("Mutation:Person:Create");
    let payload = json!({"Authorization": format!("Bearer {token}"), "token": "x", "headers": {"authorization": "y", "z": 1}, "tenant": "t"});
    for protocol in BOTH {
        let mut client = scene.open(protocol);
        client.init(&payload);
        client.run("1", CREATE);
        assert_eq!(client.only_result("1"), "alice");
    }
    for told in scene.heard.of(&["connection_init"]) {
        assert_eq!(told.message["payload"], json!({"headers": {"z": 1}, "tenant": "t"}));
    }
    assert!(!scene.api.upstream.raw().contains(&token));
}

#[test]
fn a_token_of_the_handshake_counts_and_another_beside_it_does_not() {
    let scene = Scene::new();
    let (token, other) = (scene.token("Mutation:Person:Create"), scene.token("Mutation:Person:Create"));
    for protocol in BOTH {
        let request = Scene::handshake(protocol).bearer(&token);
        let mut client = scene.open_by(protocol, &request);
        client.init(&json!({}));
        client.run("1", CREATE);
        assert_eq!(client.only_result("1"), "alice");
        let mut client = scene.open_by(protocol, &request);
        client.init(&json!({"token": token}));
        client.run("1", CREATE);
        assert_eq!(client.only_result("1"), "alice");
        let mut client = scene.open_by(protocol, &request);
        client.say(&json!({"type": "connection_init", "payload": {"token": other}}));
        client.ends(4400, "Two credentials");
    }
}

#[test]
fn the_places_of_the_token_are_the_routes() {
    let scene = Scene::with(", messages: {token: [/auth/jwt]}", |setup| setup);
    let token = scene.token("Mutation:Person:Create");
    let mut client = scene.open(NEW);
    client.init(&json!({"Authorization": token}));
    client.run("1", CREATE);
    assert_eq!(client.refused("1"), "UNAUTHENTICATED");
    let mut client = scene.open(NEW);
    client.init(&json!({"auth": {"jwt": token}}));
    client.run("1", CREATE);
    assert_eq!(client.only_result("1"), "alice");
}

#[test]
fn a_new_token_counts_for_what_comes_after_it() {
    let scene = Scene::new();
    let (less, more) = (scene.token("Mutation:Place:Create"), scene.token("Mutation:Person:Create"));
    let mut client = scene.begin(NEW, &less);
    client.run("1", CREATE);
    assert_eq!(client.refused("1"), "FORBIDDEN");
    client.say(&json!({"type": "ping", "payload": {"authorization": format!("Bearer {more}")}}));
    assert_eq!(client.hear(), json!({"type": "pong"}));
    client.run("2", CREATE);
    assert_eq!(client.only_result("2"), "alice");
    let mut client = scene.begin(OLD, &less);
    client.say(&json!({"type": "connection_init", "payload": {"authorization": more}}));
    assert_eq!(client.hear()["type"], "connection_ack");
    client.run("2", CREATE);
    assert_eq!(client.only_result("2"), "alice");
    // Nobody may become somebody.
    let mut client = scene.begin(NEW, "");
    client.goes_on();
    client.say(&json!({"type": "ping", "payload": {"token": more}}));
    assert_eq!(client.hear()["type"], "pong");
    client.run("2", CREATE);
    assert_eq!(client.only_result("2"), "alice");
}

#[test]
fn r8_a_new_token_that_is_refused_ends_all() {
    let scene = Scene::new();
    let token = scene.token("Mutation:Person:Create");
    let mallory =
        scene.api.issuer.token().scope("Mutation:Person:Create").set("sub", json!("mallory")).sign();
    for bad in [mallory, "hello".to_owned()] {
        for protocol in BOTH {
            let mut client = scene.begin(protocol, &token);
            client.run("1", MINE);
            assert_eq!(client.result("1"), "alice");
            let kind = if protocol == NEW { "ping" } else { "connection_init" };
            client.say(&json!({"type": kind, "payload": {"token": bad}}));
            client.ends(4403, "Forbidden");
        }
    }
    wait_until("every upstream hears the end", || scene.heard.of(&["close"]).len() == 4);
    let labels = [("decision", "refuse"), ("reason", Reason::ConditionFailed.code())];
    assert_eq!(scene.api.gateway.metric("decisions_total", &labels), 2.0);
}

#[test]
fn many_identities_are_not_kept_at_once() {
    let scene = Scene::routed(&route("", "").replace("X-Subject: sub", "X-Subject: jti"), |setup| setup);
    let token =
        |jti: &str| scene.api.issuer.token().scope("Mutation:Person:Create").set("jti", json!(jti)).sign();
    let mut client = scene.begin(NEW, &token("1"));
    for jti in ["1", "2", "3", "4"] {
        client.say(&json!({"type": "ping", "payload": {"token": token(jti)}}));
        assert_eq!(client.hear()["type"], "pong");
        client.run(jti, MINE);
        assert_eq!(client.result(jti), jti);
    }
    client.say(&json!({"type": "ping", "payload": {"token": token("5")}}));
    assert_eq!(client.hear()["type"], "pong");
    client.run("5", MINE);
    assert_eq!(client.refused("5"), "OVERLOADED");
    // One that runs nothing any more gives its place up.
    client.stop("2");
    client.run("5", MINE);
    assert_eq!(client.result("5"), "5");
    scene.heard.wait("it is let go", |told| told.message["type"] == "close" && told.subject == "2");
}
