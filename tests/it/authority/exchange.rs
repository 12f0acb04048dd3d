//! Token exchange (RFC 8693): never more out than in.

use serde_json::json;

use crate::authority::oauth::OAUTH;
use crate::authority::{ALICE, ASKER, BOB, CLIENTS, Scene, assert_error, claims, text};
use crate::harness::client::Response;
use crate::harness::issuer::Issuer;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn exchange(scene: &Scene, client: (&str, &str), subject: &str, more: &[(&str, &str)]) -> Response {
    let mut pairs =
        vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    pairs.extend(more);
    scene.form("/oauth/token", Some(client), &pairs)
}

#[test]
fn a_token_is_narrowed_and_dies_with_its_family() {
    let scene = Scene::with(OAUTH);
    let (whole, refresh) = scene.pair(("alice", ALICE), "orders:read orders:write");
    let response = exchange(&scene, ("bob", BOB), &whole, &[("scope", "orders:read")]);
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    assert_eq!(body["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(body["scope"], "orders:read");
    assert_eq!(body.get("refresh_token"), None);
    let narrow = text(&body, "access_token");
    let (said, before) = (claims(&narrow), claims(&whole));
    assert_eq!(said["sub"], "alice", "the subject is the same");
    assert_eq!(said["client_id"], "bob", "it is another client's");
    assert_eq!(said["sid"], before["sid"]);
    assert_ne!(said["jti"], before["jti"]);
    assert!(said["exp"].as_i64() <= before["exp"].as_i64(), "it lives no longer");
    assert_eq!(scene.status("/orders", &narrow), 200);
    let post = crate::harness::client::Request::post("/orders", "{}").bearer(&narrow);
    assert_eq!(scene.gateway.send(&post).status, 403);
    scene.form("/oauth/revoke", Some(("alice", ALICE)), &[("token", &refresh)]);
    assert_eq!(scene.status("/orders", &narrow), 401, "it died with its family");
}

#[test]
fn an_exchange_gives_no_more_than_there_was() {
    let scene = Scene::with(OAUTH);
    let (narrow, refresh) = scene.pair(("alice", ALICE), "orders:read");
    let alice = ("alice", ALICE);
    assert_error(&exchange(&scene, alice, &narrow, &[("scope", "orders:write")]), 400, "invalid_scope");
    assert_error(&exchange(&scene, alice, "nonsense", &[]), 400, "invalid_request");
    assert_error(&exchange(&scene, alice, &refresh, &[]), 400, "invalid_request");
    let target = [("audience", "https://elsewhere.example")];
    assert_error(&exchange(&scene, alice, &narrow, &target), 400, "invalid_target");
    let kind = [("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")];
    assert_error(&exchange(&scene, alice, &narrow, &kind), 400, "invalid_request");
    let no_type = [("grant_type", EXCHANGE), ("subject_token", narrow.as_str())];
    assert_error(&scene.form("/oauth/token", Some(alice), &no_type), 400, "invalid_request");
    let no_client =
        [("grant_type", EXCHANGE), ("subject_token", &narrow), ("subject_token_type", ACCESS_TOKEN)];
    assert_error(&scene.form("/oauth/token", None, &no_client), 401, "invalid_client");
    scene.form("/oauth/revoke", Some(alice), &[("token", &narrow)]);
    assert_error(&exchange(&scene, alice, &narrow, &[]), 400, "invalid_request");
}

#[test]
fn who_acts_is_written_down() {
    let scene = Scene::with(OAUTH);
    let (subject, _) = scene.pair(("alice", ALICE), "orders:read");
    let (actor, _) = scene.pair(("bob", BOB), "orders:read");
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let body = exchange(&scene, ("bob", BOB), &subject, &acting).json();
    let once = text(&body, "access_token");
    assert_eq!(claims(&once)["act"], json!({"sub": "bob"}));
    let (second, _) = scene.pair(("alice", ALICE), "orders:read");
    let acting = [("actor_token", second.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let body = exchange(&scene, ("bob", BOB), &once, &acting).json();
    let twice = claims(&text(&body, "access_token"));
    assert_eq!(twice["act"], json!({"sub": "alice", "act": {"sub": "bob"}}));
    let without_type = [("actor_token", actor.as_str())];
    assert_error(&exchange(&scene, ("bob", BOB), &subject, &without_type), 400, "invalid_request");
}

/// A route that trusts only the gateway's tokens must not be open to whatever another issuer says.
#[test]
fn a_token_of_another_issuer_gives_no_more_than_its_client_has() {
    let corp = Issuer::start();
    let scene = Scene::of(&format!("{CLIENTS}{OAUTH}"), |setup| {
        setup
            .issuer("corp", &corp)
            .route("GET /orders", "{require: {issuers: [access], scopes: [orders:read]}}")
    });
    let foreign = corp.mint("orders:read orders:write admin");
    assert_eq!(scene.status("/orders", &foreign), 401, "the route does not trust it");
    let body = exchange(&scene, ("bob", BOB), &foreign, &[]).json();
    assert_eq!(body["scope"], "orders:read", "{body}");
    assert_eq!(scene.status("/orders", &text(&body, "access_token")), 200);
    let more = exchange(&scene, ("bob", BOB), &foreign, &[("scope", "orders:read admin")]);
    assert_error(&more, 400, "invalid_scope");
    let strangers = Issuer::start().mint("orders:read");
    assert_error(&exchange(&scene, ("bob", BOB), &strangers, &[]), 400, "invalid_request");
}

/// Whoever holds a token of another kind may have said themselves for whom it is.
#[test]
fn a_token_of_another_kind_is_not_exchanged() {
    let scene = Scene::with(
        "
tokens:
  invitation: {lifetime: 1h, subject: '{body.guest}', claims: {sub: '{subject}'}}
endpoints:
  POST /invitations: {issue: [invitation], credential: clients, answer: {body: {access_token: '{token.invitation}'}}}
oauth: {issuer: http://localhost, clients: clients}
",
    );
    let invited = scene.form("/invitations", Some(("alice", ALICE)), &[("guest", "bob")]);
    let invitation = text(&invited.json(), "access_token");
    assert_eq!(claims(&invitation)["sub"], "bob");
    assert_error(&exchange(&scene, ("alice", ALICE), &invitation, &[]), 400, "invalid_request");
    let (own, _) = scene.pair(("alice", ALICE), "orders:read");
    let acting = [("actor_token", invitation.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    assert_error(&exchange(&scene, ("alice", ALICE), &own, &acting), 400, "invalid_request");
}

#[test]
fn t6_an_exchanged_token_is_no_say_over_the_family_it_came_from() {
    let scene = Scene::with(OAUTH);
    let (alices, refresh) = scene.pair(("alice", ALICE), "orders:read");
    let bobs = text(&exchange(&scene, ("bob", BOB), &alices, &[]).json(), "access_token");
    assert_eq!(scene.form("/oauth/revoke", Some(("bob", BOB)), &[("token", &bobs)]).status, 200);
    assert_eq!(scene.status("/orders", &bobs), 401, "what is one's own is revoked");
    assert_eq!(scene.status("/orders", &alices), 200);
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(scene.form("/oauth/token", Some(("alice", ALICE)), &pairs).status, 200);
}

/// Whoever leaves the actor out acts itself (RFC 8693 section 4.4): leaving it out is no way around `may_act`.
#[test]
fn may_act_holds_for_a_client_that_names_no_actor() {
    let corp = Issuer::start();
    let yaml = "
tokens:
  access:
    claims: {sub: '{subject}', client_id: '{credential.id}', scope: '{scope}', may_act: {client_id: bob}}
";
    let scene = Scene::of(&format!("{CLIENTS}{yaml}{OAUTH}"), |setup| setup.issuer("corp", &corp));
    let (alices, _) = scene.pair(("alice", ALICE), "orders:read");
    assert_error(&exchange(&scene, ("asker", ASKER), &alices, &[]), 400, "invalid_request");
    assert_eq!(exchange(&scene, ("bob", BOB), &alices, &[]).status, 200);
    let (askers, _) = scene.pair(("asker", ASKER), "introspect");
    let acting = [("actor_token", askers.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    assert_error(&exchange(&scene, ("bob", BOB), &alices, &acting), 400, "invalid_request");
    for (may, status) in [
        (json!({"sub": "bob"}), 200),
        (json!({"sub": "bob", "iss": "http://localhost"}), 200),
        (json!({"sub": "bob", "iss": "https://elsewhere.example"}), 400),
        (json!({"email": "bob@example.com"}), 400),
        (json!({}), 400),
        (json!("bob"), 400),
    ] {
        let theirs = corp.token().scope("orders:read").set("may_act", may.clone()).sign();
        assert_eq!(exchange(&scene, ("bob", BOB), &theirs, &[]).status, status, "{may}");
    }
}

/// Without a family nothing else says whose the session is.
#[test]
fn t6_revoking_an_exchanged_token_leaves_the_session_that_it_came_from() {
    let scene = Scene::with("oauth: {issuer: http://localhost, clients: clients, refresh: none}");
    let alice = ("alice", ALICE);
    let revoke = |client, token: &str| {
        assert_eq!(scene.form("/oauth/revoke", Some(client), &[("token", token)]).status, 200);
    };
    let given = scene.form("/oauth/token", Some(alice), &[("grant_type", "client_credentials")]);
    let alices = text(&given.json(), "access_token");
    let bobs = text(&exchange(&scene, ("bob", BOB), &alices, &[]).json(), "access_token");
    let again = text(&exchange(&scene, ("bob", BOB), &bobs, &[]).json(), "access_token");
    for token in [&bobs, &again] {
        assert_eq!(claims(token)["sid"], claims(&alices)["sid"]);
        revoke(("bob", BOB), token);
        assert_eq!(scene.status("/orders", token), 401, "what is one's own is revoked");
    }
    assert_eq!(scene.status("/orders", &alices), 200);
    let bobs = text(&exchange(&scene, ("bob", BOB), &alices, &[]).json(), "access_token");
    revoke(alice, &alices);
    for token in [&alices, &bobs] {
        assert_eq!(scene.status("/orders", token), 401, "the session is alice's to end");
    }
}

/// Whoever exchanges a token gets no more time than it had, whatever they do with the outcome.
#[test]
fn an_exchanged_token_that_refreshes_itself_lives_no_longer() {
    let scene = Scene::with(
        "
tokens: {access: {lifetime: {default: 1h, asked: {body: expires_in}}}}
endpoints: {POST /renew: {refresh: access}}
oauth: {issuer: http://localhost, clients: clients}
",
    );
    let alice = ("alice", ALICE);
    let pairs = [("grant_type", "client_credentials"), ("expires_in", "100")];
    let short = text(&scene.form("/oauth/token", Some(alice), &pairs).json(), "access_token");
    for client in [("bob", BOB), alice] {
        let exchanged = text(&exchange(&scene, client, &short, &[]).json(), "access_token");
        let renewed = scene.ask(&crate::harness::client::Request::post("/renew", "").bearer(&exchanged));
        assert_eq!(renewed.status, 200, "{renewed:?}");
        let renewed = claims(&text(&renewed.json(), "access_token"));
        assert!(renewed["exp"].as_i64() <= claims(&short)["exp"].as_i64(), "{renewed}");
    }
}

/// Each `act` is one object deeper, and the gateway reads no document of any depth.
#[test]
fn actors_are_nested_no_deeper_than_the_gateway_itself_reads() {
    let scene = Scene::with(OAUTH);
    let bob = ("bob", BOB);
    let (mut token, _) = scene.pair(("alice", ALICE), "orders:read");
    let (actor, _) = scene.pair(bob, "orders:read");
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    for depth in 1..=16 {
        let response = exchange(&scene, bob, &token, &acting);
        assert_eq!(response.status, 200, "{depth}: {response:?}");
        token = text(&response.json(), "access_token");
    }
    assert_eq!(scene.status("/orders", &token), 200);
    assert_error(&exchange(&scene, bob, &token, &acting), 400, "invalid_request");
    let without = exchange(&scene, bob, &token, &[]);
    assert_eq!(without.status, 200, "nobody more acts: {without:?}");
}
