//! A conversation ends with its token, and with nobody else's.

use std::time::Instant;

use serde_json::{Value, json};

use crate::graphql::conversation::spoken::{BOTH, CREATE, EVENTS, MINE, NEW, OLD, Scene, route};
use crate::harness::client::{Connection, Request};
use crate::harness::token::now;
use crate::harness::wait::wait_until;

fn scene() -> Scene {
    Scene::with("", |setup| {
        setup.yaml_tail("store: {sqlite: portcullis.db}\nrevocation: {recheck_streams: 1h}\n")
    })
}

fn token(scene: &Scene, claims: Value) -> String {
    scene.api.issuer.token().scope("Mutation:Person:Create").merge(claims).sign()
}

fn revoke(scene: &Scene, jti: &str) {
    let admin = scene.api.gateway.ports.admin;
    let entry = json!({"kind": "jti", "issuer": scene.api.issuer.iss, "value": jti});
    let request = Request::post("/v1/revocations", entry.to_string()).host(&admin.to_string());
    let response = Connection::open(admin).unaudited().send(&request);
    assert_eq!(response.status, 201, "{response:?}");
}

#[test]
fn r8_a_conversation_ends_when_its_token_expires() {
    let scene = scene();
    for protocol in BOTH {
        let end = now() + 3;
        let mut client = scene.begin(protocol, &token(&scene, json!({"exp": end})));
        client.run("1", MINE);
        assert_eq!(client.result("1"), "alice");
        client.run("2", EVENTS);
        assert_eq!(client.result("2"), "");
        client.ends(4403, "Token expired");
        assert!(now() >= end, "too soon");
    }
    wait_until("every upstream hears it", || scene.heard.of(&["close"]).len() == 4);
    scene.api.gateway.wait_for_metric("streams_closed_total", &[("reason", "expired")], 2.0);
}

/// What needs no token is not held to one, as over HTTP.
#[test]
fn r8_what_is_public_lives_on_without_its_token() {
    let scene = scene();
    let expired = token(&scene, json!({"exp": now() - 10}));
    for protocol in BOTH {
        let mut client = scene.begin(protocol, &expired);
        client.run("1", EVENTS);
        assert_eq!(client.result("1"), "");
        client.run("2", CREATE);
        assert_eq!(client.refused("2"), "UNAUTHENTICATED");
        client.goes_on();
    }
}

#[test]
fn r8_a_conversation_ends_within_a_second_of_its_revocation() {
    let scene = scene();
    let stolen = token(&scene, json!({"jti": "stolen"}));
    for protocol in BOTH {
        let mut client = scene.begin(protocol, &token(&scene, json!({"jti": format!("stolen-{protocol}")})));
        let mut other = scene.begin(protocol, &stolen);
        for client in [&mut client, &mut other] {
            client.run("1", MINE);
            assert_eq!(client.result("1"), "alice");
        }
        revoke(&scene, &format!("stolen-{protocol}"));
        let start = Instant::now();
        client.ends(4403, "Token revoked");
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        other.goes_on();
        // A new operation is decided on anew, of course.
        let mut again = scene.begin(protocol, &token(&scene, json!({"jti": format!("stolen-{protocol}")})));
        again.run("1", CREATE);
        assert_eq!(again.refused("1"), "UNAUTHENTICATED");
    }
}

#[test]
fn r8_a_new_token_extends_the_conversation() {
    let scene = scene();
    for protocol in BOTH {
        let end = now() + 3;
        let mut client = scene.begin(protocol, &token(&scene, json!({"exp": end})));
        client.run("1", MINE);
        assert_eq!(client.result("1"), "alice");
        let renewed = token(&scene, json!({"exp": end + 300, "jti": format!("new-{protocol}")}));
        let (kind, answer) =
            if protocol == NEW { ("ping", "pong") } else { ("connection_init", "connection_ack") };
        client.say(&json!({"type": kind, "payload": {"token": renewed}}));
        assert_eq!(client.hear()["type"], answer);
        wait_until("the first token is over", || now() > end + 1);
        client.goes_on();
        client.run("2", CREATE);
        assert_eq!(client.only_result("2"), "alice");
        // It is held to the new one now.
        revoke(&scene, &format!("new-{protocol}"));
        client.ends(4403, "Token revoked");
    }
}

#[test]
fn a_gateway_that_leaves_says_goodbye() {
    let scene = Scene::with("", |setup| setup.yaml_tail("shutdown_grace: 1s\n"));
    let mut clients: Vec<_> = [NEW, OLD].map(|protocol| scene.begin(protocol, "")).into();
    for client in &mut clients {
        client.run("1", EVENTS);
        client.result("1");
    }
    scene.api.gateway.signal("TERM");
    for client in &mut clients {
        client.closes(1001);
    }
    wait_until("every upstream hears it", || scene.heard.of(&["close"]).len() == 2);
    assert!(scene.heard.of(&["close"]).iter().all(|told| told.message["code"] == 1001));
    scene.api.gateway.wait_for_exit(0);
}

/// A reload counts for the next operation of a conversation that there is.
#[test]
fn a_new_configuration_counts_for_the_next_operation() {
    let scene = Scene::new();
    let mut client = scene.begin(NEW, &scene.token("Mutation:Person:Create"));
    client.run("1", CREATE);
    assert_eq!(client.only_result("1"), "alice");
    client.goes_on();
    scene.api.gateway.rewrite(|config| {
        config.replace(&route("", ""), &route("", "").replace("public: [Query, ", "public: ["))
    });
    assert_eq!(scene.api.gateway.reload().status, 200);
    client.run("2", "{ Place { identifier } }");
    assert_eq!(client.refused("2"), "FORBIDDEN");
}
