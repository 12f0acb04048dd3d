//! Routes that lead to endpoints of the gateway's own.

use std::sync::Arc;

use serde_json::json;

use crate::config::endpoint::{Action, Endpoint, Errors, ROUTE_REASONS};
use crate::config::problems::Position;
use crate::config::{Config, Enforce};
use crate::gate::call::Called;
use crate::gate::denial::Reason;
use crate::gate::evidence::KeysAnswer;
use crate::gate::explain::{Outcome, explain};
use crate::gate::tests::scene::{NOW, Scene, change, claims, keys};
use crate::gate::{Decision, Request};
use crate::path;
use crate::policy::route::Routes;
use crate::revocation::Revocations;
use crate::token::NumericDate;

/// The scene with these routes leading to an endpoint.
fn scene(routes: &[&str]) -> Scene {
    let mut scene = Scene::new();
    edit(&mut scene.config, routes);
    let routes = Arc::new(Routes::compile(&scene.config));
    let issuers = [keys(&scene.corp, true), keys(&scene.other, false)];
    scene.publisher.publish(change(&scene.config, &routes, issuers, Revocations::default()));
    scene.routes = routes;
    scene
}

fn edit(config: &mut Config, routes: &[&str]) {
    let endpoint = Arc::new(Endpoint {
        name: "ours".into(),
        at: Position::default(),
        action: Action::Resource,
        answer: None,
        errors: Arc::new(Errors::default()),
        attempts: 10,
    });
    let found = config.routes.iter_mut().filter(|route| routes.contains(&&*route.name));
    for route in found {
        Arc::make_mut(route).endpoint = Some(Arc::clone(&endpoint));
    }
}

#[test]
fn the_configuration_knows_every_reason_that_a_template_may_be_for() {
    let codes: Vec<&str> = Reason::ALL.into_iter().map(Reason::code).collect();
    assert_eq!(codes, ROUTE_REASONS);
}

#[track_caller]
fn called(decision: Decision) -> Called {
    let Decision::Answer(called) = decision else { panic!("not an endpoint's: {decision:?}") };
    assert_eq!(&*called.endpoint().name, "ours");
    called
}

#[test]
fn what_leads_to_an_endpoint_has_no_upstream_to_be_granted() {
    let scene = scene(&["GET /me"]);
    for route in scene.routes.all() {
        assert_eq!(route.upward().is_none(), &*route.config.name == "GET /me", "{}", route.config.name);
    }
}

#[test]
fn a_refusal_of_its_token_is_the_endpoints_to_word() {
    let mut scene = scene(&["GET /me", "GET /orders/{id}", "GET /shadow"]);
    let bearer = |claims| format!("Bearer {}", scene.token(claims));
    let expired = bearer(claims(json!({"exp": NOW - 60})));
    let poor = bearer(claims(json!({"scope": "profile"})));
    for (target, header, reason) in [
        ("/me", None, Reason::NoCredentials),
        ("/me", Some("Bearer a.b.c"), Reason::MalformedToken),
        ("/me", Some(&*expired), Reason::Expired),
        ("/orders/1", Some(&poor), Reason::InsufficientScope),
        ("/shadow", Some(&poor), Reason::InsufficientScope),
    ] {
        let headers: Vec<(&str, &str)> = header.into_iter().map(|value| ("Authorization", value)).collect();
        let called = called(scene.ask("GET", target, &headers, KeysAnswer::Unavailable));
        assert_eq!(called.refused().map(|denial| denial.reason), Some(reason), "{target}");
        assert!(called.facts().is_none(), "nobody was let through: {target}");
    }
}

/// What is wrong with the request itself is said as everywhere.
#[test]
fn a_request_that_is_not_sound_reaches_no_endpoint() {
    let mut scene = scene(&["GET /me", "/public/{*rest}"]);
    let token = scene.token(claims(json!({})));
    let twice = [("X-Other", &*token), ("Authorization", &*format!("Bearer {token}"))];
    for (target, headers, reason) in [
        ("/me", &twice[..], Reason::ManyCredentials),
        ("/me", &[("Authorization", "Bearer a b")], Reason::MalformedRequest),
        ("/public/..", &[], Reason::MalformedRequest),
    ] {
        assert_eq!(scene.refused(target, headers), Some(reason), "{target}");
    }
    let wrong = scene.ask("DELETE", "/me", &[], KeysAnswer::Unavailable);
    assert!(matches!(wrong, Decision::Refuse(refusal) if refusal.denial.reason == Reason::MethodNotAllowed));
}

#[test]
fn a_good_token_comes_with_what_it_says_and_a_public_endpoint_asks_for_none() {
    let mut scene = scene(&["GET /me", "/public/{*rest}"]);
    let bearer = format!("Bearer {}", scene.token(claims(json!({}))));
    let headers = [("Authorization", &*bearer)];
    let with = called(scene.ask("GET", "/me", &headers, KeysAnswer::Unavailable));
    assert_eq!(with.facts().and_then(|facts| facts.subject()), Some("alice"));
    assert_eq!(with.issuer().map(|issuer| &*issuer.name), Some("corp"));
    assert!(with.refused().is_none());
    let open = called(scene.ask("POST", "/public/x", &headers, KeysAnswer::Unavailable));
    assert!(open.facts().is_none() && open.issuer().is_none() && open.refused().is_none());
}

#[test]
fn it_has_no_shadow_and_its_preflights_are_answered_by_its_rule() {
    let mut scene = scene(&["GET /cors", "GET /shadow"]);
    assert!(scene.config.routes.iter().any(|route| route.enforce == Enforce::Shadow));
    let refused = called(scene.ask("GET", "/shadow", &[], KeysAnswer::Unavailable));
    assert!(refused.refused().is_some());
    let asks = [("Origin", "https://app.test"), ("Access-Control-Request-Method", "GET")];
    let preflight = scene.ask("OPTIONS", "/cors", &asks, KeysAnswer::Unavailable);
    assert!(matches!(preflight, Decision::Converse(_) | Decision::Preflight(_)), "{preflight:?}");
}

#[test]
fn explain_says_which_endpoint_would_answer() {
    let scene = scene(&["GET /me"]);
    let request = Request {
        method: "GET",
        host: "api.test",
        path: path::canonical("/me").expect("a path"),
        query: None,
        headers: &[],
        peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        websocket: None,
        tls: None,
        presented: None,
        message: None,
    };
    let explained = explain(&scene.reader.load(), &request, NumericDate(NOW));
    let Outcome::Endpoint { endpoint, refused, .. } = explained.outcome else {
        panic!("{:?}", explained.outcome)
    };
    assert_eq!(endpoint, "ours");
    assert_eq!(refused.map(|denial| denial.reason), Some(Reason::NoCredentials));
}
