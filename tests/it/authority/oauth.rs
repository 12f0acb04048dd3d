//! `oauth: {}`: RFC 6749 client_credentials and refresh_token, RFC 7009, RFC 7662.

use serde_json::{Value, json};

use crate::authority::{ALICE, ASKER, BOB, Scene, assert_error, basic, claims, form, text};
use crate::harness::client::{Connection, Request, Response};

pub const OAUTH: &str = "oauth: {issuer: http://localhost, clients: clients}";
const TOKEN: &str = "/oauth/token";
const CLIENT_CREDENTIALS: [(&str, &str); 1] = [("grant_type", "client_credentials")];

fn introspected(scene: &Scene, client: (&str, &str), token: &str) -> Value {
    let response = scene.form("/oauth/introspect", Some(client), &[("token", token)]);
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn refresh(scene: &Scene, client: (&str, &str), token: &str, more: &[(&str, &str)]) -> Response {
    let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    pairs.extend(more);
    scene.form(TOKEN, Some(client), &pairs)
}

#[test]
fn a_client_gets_a_token_that_routes_take() {
    let scene = Scene::with(OAUTH);
    let response = scene.form(TOKEN, Some(("alice", ALICE)), &CLIENT_CREDENTIALS);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("pragma"), Some("no-cache"));
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body = response.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "orders:read orders:write");
    let token = text(&body, "access_token");
    let said = claims(&token);
    assert_eq!((&said["sub"], &said["client_id"]), (&json!("alice"), &json!("alice")), "{said}");
    assert!(said["jti"].is_string() && said["sid"].is_string(), "{said}");
    // RFC 9068 section 2.2: for whom it is, always.
    assert_eq!(said["aud"], "http://localhost", "{said}");
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3600);
    assert_eq!(scene.status("/orders", &token), 200);
    assert_eq!(scene.status("/me", &token), 200);
    assert_eq!(scene.upstream.last().head.header("x-client"), Some("alice"));
}

/// Clients of OAuth read what refuses them as RFC 6749 section 5.2 has it, also what was refused before it was read.
#[test]
fn a_body_that_is_too_large_is_an_error_of_oauth() {
    let scene = Scene::with(OAUTH);
    for target in [TOKEN, "/oauth/revoke", "/oauth/introspect"] {
        for chunked in [false, true] {
            let large = "a".repeat((64 << 10) + 1);
            let mut connection = Connection::open(scene.gateway.ports.public).unaudited();
            let response = if chunked {
                let head = format!(
                    "POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                );
                connection.write(format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len()).as_bytes());
                connection.answer()
            } else {
                connection.send(&Request::post(target, large))
            };
            assert_eq!(response.status, 413, "{target}: {response:?}");
            assert_eq!(response.header("content-type"), Some("application/json"), "{target}");
            assert_eq!(response.json()["error"], "invalid_request", "{target}: {response:?}");
            assert!(response.json()["error_description"].is_string(), "{target}: {response:?}");
        }
    }
}

#[test]
fn a_client_shows_itself_in_one_way() {
    let scene = Scene::with(OAUTH);
    let body = [("grant_type", "client_credentials"), ("client_id", "alice"), ("client_secret", ALICE)];
    assert_eq!(scene.form(TOKEN, None, &body).status, 200, "in the body");
    assert_error(&scene.form(TOKEN, Some(("alice", ALICE)), &body), 400, "invalid_request");
    let id = [("grant_type", "client_credentials"), ("client_id", "alice")];
    assert_eq!(scene.form(TOKEN, Some(("alice", ALICE)), &id).status, 200, "the same id again");
    assert_error(&scene.form(TOKEN, Some(("bob", BOB)), &id), 400, "invalid_request");
    let missing = scene.form(TOKEN, None, &CLIENT_CREDENTIALS);
    assert_error(&missing, 401, "invalid_client");
    assert!(missing.header("www-authenticate").unwrap().starts_with("Basic realm="));
    let wrong = scene.form(TOKEN, Some(("alice", "wrong")), &CLIENT_CREDENTIALS);
    assert_error(&wrong, 401, "invalid_client");
    assert!(wrong.header("www-authenticate").unwrap().starts_with("Basic realm="));
    let in_body = [("grant_type", "client_credentials"), ("client_id", "alice"), ("client_secret", "wrong")];
    let wrong = scene.form(TOKEN, None, &in_body);
    assert_error(&wrong, 401, "invalid_client");
    assert_eq!(wrong.header("www-authenticate"), None);
}

/// RFC 6749 section 2.3.1: both parts of `Basic` are encoded as in a form before.
#[test]
fn what_basic_holds_is_form_encoded() {
    let scene = Scene::with(OAUTH);
    let encoded = ALICE.replace('-', "%2D");
    assert_eq!(scene.form(TOKEN, Some(("al%69ce", &encoded)), &CLIENT_CREDENTIALS).status, 200);
    for authorization in ["Basic", "Basic !", "Basic YWxpY2U=", "Basic YWxpY2U6JQ=="] {
        let request = Request::post(TOKEN, form(&CLIENT_CREDENTIALS)).header("Authorization", authorization);
        assert_error(&scene.ask(&request), 401, "invalid_client");
    }
}

#[test]
fn t4_a_token_request_is_a_form_and_says_everything_once() {
    let scene = Scene::with(OAUTH);
    let post = |target: &str, body: &[u8], content_type: &str| {
        let request = Request::post(target, body)
            .header("Authorization", &basic("alice", ALICE))
            .header("Content-Type", content_type);
        scene.ask(&request)
    };
    let form_type = "application/x-www-form-urlencoded";
    let utf16: Vec<u8> = "grant_type=client_credentials".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let long = format!("grant_type=client_credentials&x={}", "a".repeat(8 * 1024));
    for (body, content_type) in [
        (&b"grant_type=client_credentials&grant_type=client_credentials"[..], form_type),
        (b"grant_type=client_credentials&grant%5Ftype=refresh_token", form_type),
        (b"grant_type=client_credentials&scope=orders:read&scope=orders:write", form_type),
        (b"grant_type%5B%5D=client_credentials", form_type),
        (b"{\"grant_type\": \"client_credentials\"}", "application/json"),
        (b"{\"grant_type\": \"client_credentials\"}", form_type),
        (b"[\"grant_type\"]", form_type),
        (b"", form_type),
        (&utf16, "application/x-www-form-urlencoded; charset=utf-16"),
        (b"grant_type=\xff", form_type),
        (b"grant_type=", form_type),
        (long.as_bytes(), form_type),
    ] {
        let response = post(TOKEN, body, content_type);
        assert_error(&response, 400, "invalid_request");
    }
    let good = b"grant_type=client_credentials";
    for other in [
        "text/plain",
        "application/json",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded, text/plain",
    ] {
        assert_error(&post(TOKEN, good, other), 400, "invalid_request");
    }
    let encoded = Request::post(TOKEN, good)
        .header("Authorization", &basic("alice", ALICE))
        .header("Content-Type", form_type)
        .header("Content-Encoding", "gzip");
    assert_error(&scene.ask(&encoded), 400, "invalid_request");
    assert_eq!(post(TOKEN, good, form_type).status, 200);
    assert_eq!(post(TOKEN, good, "application/x-www-form-urlencoded; charset=UTF-8").status, 200);
    assert_error(&post("/oauth/token?scope=orders:read", good, form_type), 400, "invalid_request");
    let in_query = "/oauth/token?client_id=alice&client_secret=wrong&grant_type=client_credentials";
    assert_error(&scene.ask(&Request::post(in_query, "")), 400, "invalid_request");
    let get = scene.ask(&Request::get(TOKEN));
    assert_eq!(get.status, 405, "{get:?}");
    assert_error(&post(TOKEN, b"grant_type=password", form_type), 400, "unsupported_grant_type");
    let unknown = b"grant_type=client_credentials&scope=orders:delete";
    assert_error(&post(TOKEN, unknown, form_type), 400, "invalid_scope");
}

#[test]
fn t4_a_refresh_does_not_widen_what_was_granted() {
    let scene = Scene::with(OAUTH);
    let (_, token) = scene.pair(("alice", ALICE), "orders:read");
    let widened = refresh(&scene, ("alice", ALICE), &token, &[("scope", "orders:read orders:write")]);
    assert_error(&widened, 400, "invalid_scope");
    let same = refresh(&scene, ("alice", ALICE), &token, &[]);
    assert_eq!(same.status, 200, "what was refused did not use the token up: {same:?}");
    let body = same.json();
    assert_eq!(body["scope"], "orders:read");
    assert_eq!(scene.status("/orders", &text(&body, "access_token")), 200);
}

#[test]
fn a_refresh_may_narrow_and_the_family_keeps_what_it_had() {
    let scene = Scene::with(OAUTH);
    let (first, token) = scene.pair(("alice", ALICE), "orders:read orders:write");
    let narrowed = refresh(&scene, ("alice", ALICE), &token, &[("scope", "orders:read")]);
    assert_eq!(narrowed.status, 200, "{narrowed:?}");
    let body = narrowed.json();
    assert_eq!(body["scope"], "orders:read");
    let narrow = claims(&text(&body, "access_token"));
    assert_eq!(narrow["scope"], "orders:read");
    assert_eq!(narrow["sid"], claims(&first)["sid"], "one family");
    assert_ne!(narrow["jti"], claims(&first)["jti"]);
    let whole = refresh(&scene, ("alice", ALICE), &text(&body, "refresh_token"), &[]).json();
    assert_eq!(whole["scope"], "orders:read orders:write");
}

#[test]
fn a_refresh_token_is_of_its_client() {
    let scene = Scene::with(OAUTH);
    let (_, token) = scene.pair(("alice", ALICE), "orders:read");
    assert_error(&refresh(&scene, ("bob", BOB), &token, &[]), 400, "invalid_grant");
    assert_eq!(refresh(&scene, ("alice", ALICE), &token, &[]).status, 200, "nothing had happened to it");
    assert_error(&refresh(&scene, ("alice", ALICE), "nonsense", &[]), 400, "invalid_grant");
    assert_error(
        &scene.form(TOKEN, Some(("alice", ALICE)), &[("grant_type", "refresh_token")]),
        400,
        "invalid_request",
    );
}

#[test]
fn t6_revoking_tells_nothing_and_reaches_only_ones_own() {
    let scene = Scene::with(OAUTH);
    let (access, token) = scene.pair(("alice", ALICE), "orders:read");
    let revoke = |client, token: &str| scene.form("/oauth/revoke", client, &[("token", token)]);
    let strangers = revoke(Some(("bob", BOB)), &access);
    let unknown = revoke(Some(("bob", BOB)), "nonsense");
    let whole = |response: &Response| (response.status, response.text());
    assert_eq!(whole(&strangers), whole(&unknown), "no oracle");
    assert_eq!(strangers.status, 200);
    assert_eq!(revoke(Some(("bob", BOB)), &token).status, 200);
    assert_eq!(scene.status("/orders", &access), 200, "another client's revocation had no effect");
    assert_error(&revoke(None, &access), 401, "invalid_client");
    assert_error(&revoke(Some(("alice", "wrong")), &access), 401, "invalid_client");
    assert_error(&scene.form("/oauth/revoke", Some(("alice", ALICE)), &[]), 400, "invalid_request");
    assert_eq!(scene.status("/orders", &access), 200);
    let own = revoke(Some(("alice", ALICE)), &access);
    assert_eq!(whole(&own), whole(&unknown));
    assert_eq!(scene.status("/orders", &access), 401, "in force at once");
}

#[test]
fn revoking_a_refresh_token_ends_what_it_gave() {
    let scene = Scene::with(OAUTH);
    let (access, token) = scene.pair(("alice", ALICE), "orders:read");
    let (other, _) = scene.pair(("alice", ALICE), "orders:read");
    let revoked = scene.form("/oauth/revoke", Some(("alice", ALICE)), &[("token", &token)]);
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(scene.status("/orders", &access), 401);
    assert_error(&refresh(&scene, ("alice", ALICE), &token, &[]), 400, "invalid_grant");
    assert_eq!(scene.status("/orders", &other), 200, "another family lives on");
}

/// A refresh may be on its way while somebody signs out, and a thief's may have been first.
#[test]
fn t6_revoking_a_used_refresh_token_ends_its_family() {
    let scene = Scene::with(OAUTH);
    let alice = ("alice", ALICE);
    let (access, first) = scene.pair(alice, "orders:read");
    let renewed = refresh(&scene, alice, &first, &[]).json();
    let second = renewed["refresh_token"].as_str().expect("a refresh token");
    let strangers = scene.form("/oauth/revoke", Some(("bob", BOB)), &[("token", &first)]);
    assert_eq!((strangers.status, scene.status("/orders", &access)), (200, 200));
    assert_eq!(scene.form("/oauth/revoke", Some(alice), &[("token", &first)]).status, 200);
    for token in [&access, renewed["access_token"].as_str().expect("a token")] {
        assert_eq!(scene.status("/orders", token), 401);
    }
    assert_error(&refresh(&scene, alice, second, &[]), 400, "invalid_grant");
}

/// Whoever took a refresh token would otherwise have new access tokens for as long as the family lasts.
#[test]
fn a_watermark_ends_the_families_that_began_before_it() {
    let scene = Scene::with(OAUTH);
    let (access, token) = scene.pair(("alice", ALICE), "orders:read");
    let (others, _) = scene.pair(("bob", BOB), "orders:read");
    let not_before = claims(&access)["iat"].as_i64().unwrap() + 1;
    let entry =
        json!({"kind": "subject", "issuer": "http://localhost", "value": "alice", "not_before": not_before});
    let revoked = scene.gateway.send_admin(
        &Request::post("/v1/revocations", entry.to_string())
            .host(&scene.gateway.ports.admin.to_string())
            .header("Content-Type", "application/json"),
    );
    assert_eq!(revoked.status, 201, "{revoked:?}");
    assert_eq!(scene.status("/orders", &access), 401);
    assert_error(&refresh(&scene, ("alice", ALICE), &token, &[]), 400, "invalid_grant");
    let (again, _) = scene.pair(("alice", ALICE), "orders:read");
    assert_eq!(scene.status("/orders", &again), 200, "whoever signs in again at once is let in");
    assert_eq!(scene.status("/orders", &others), 200);
}

#[test]
fn t9_nothing_tells_why_a_client_is_refused() {
    let scene = Scene::with(OAUTH);
    let answers: Vec<_> = [("nobody", ALICE), ("alice", "wrong"), ("bob", ALICE)]
        .into_iter()
        .map(|client| {
            let response = scene.form(TOKEN, Some(client), &CLIENT_CREDENTIALS);
            assert_error(&response, 401, "invalid_client");
            let mut headers = response.headers.clone();
            headers.retain(|(name, _)| !["date", "x-request-id"].contains(&&*name.to_ascii_lowercase()));
            (headers, response.text())
        })
        .collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[test]
fn t10_a_token_is_told_about_to_those_who_may_know() {
    let scene = Scene::with(OAUTH);
    let (access, token) = scene.pair(("alice", ALICE), "orders:read");
    let nothing = json!({"active": false});
    for text in [&access, &token] {
        assert_eq!(introspected(&scene, ("bob", BOB), text), nothing, "another client's");
        assert_eq!(introspected(&scene, ("alice", ALICE), text)["active"], true);
    }
    let known = introspected(&scene, ("asker", ASKER), &access);
    for (name, value) in [
        ("active", json!(true)),
        ("token_type", json!("Bearer")),
        ("client_id", json!("alice")),
        ("sub", json!("alice")),
        ("scope", json!("orders:read")),
        ("exp", claims(&access)["exp"].clone()),
        ("jti", claims(&access)["jti"].clone()),
    ] {
        assert_eq!(known[name], value, "{name}: {known}");
    }
    for none in ["nonsense", "", &access[..access.len() - 2]].into_iter().filter(|none| !none.is_empty()) {
        assert_eq!(introspected(&scene, ("asker", ASKER), none), nothing);
    }
    scene.form("/oauth/revoke", Some(("alice", ALICE)), &[("token", &token)]);
    for text in [&access, &token] {
        assert_eq!(introspected(&scene, ("asker", ASKER), text), nothing, "revoked");
    }
    assert_error(&scene.form("/oauth/introspect", None, &[("token", &access)]), 401, "invalid_client");
    let without = scene.form("/oauth/introspect", Some(("asker", ASKER)), &[]);
    assert_error(&without, 400, "invalid_request");
}

#[test]
fn what_comes_of_requests_is_counted_by_closed_words() {
    let scene = Scene::with(OAUTH);
    scene.pair(("alice", ALICE), "orders:read");
    scene.form(TOKEN, Some(("alice", "wrong")), &CLIENT_CREDENTIALS);
    scene.form(TOKEN, Some(("alice", ALICE)), &[("grant_type", "a-word-of-the-client")]);
    let count = |result| scene.gateway.metric("tokens_issued_total", &[("result", result)]);
    assert_eq!(count("success"), 1.0);
    assert_eq!(count("bad_credential"), 1.0);
    assert_eq!(count("unsupported_grant_type"), 1.0);
}

/// A refresh would otherwise mint what is newer than the watermark, and passes.
#[test]
fn a_watermark_on_a_tenant_or_a_declared_claim_ends_the_families_before_it() {
    let scene = Scene::with(
        "
revocation: {claims: [device]}
tokens:
  access:
    claims: {sub: '{subject}', client_id: '{credential.id}', scope: '{scope}', tid: '{credential.tenant?}', device: '{body.device?}'}
    claim_names: {tenant: tid}
oauth: {issuer: http://localhost, clients: clients}
",
    );
    let alice = ("alice", ALICE);
    let sign_in = |device: &str| {
        let pairs = [("grant_type", "client_credentials"), ("scope", "orders:read"), ("device", device)];
        let body = scene.form(TOKEN, Some(alice), &pairs).json();
        (text(&body, "access_token"), text(&body, "refresh_token"))
    };
    let watermark = |mut entry: Value, after: &str| {
        entry["issuer"] = json!("http://localhost");
        entry["not_before"] = json!(claims(after)["iat"].as_i64().unwrap() + 1);
        let request = Request::post("/v1/revocations", entry.to_string())
            .host(&scene.gateway.ports.admin.to_string())
            .header("Content-Type", "application/json");
        let revoked = scene.gateway.send_admin(&request);
        assert_eq!(revoked.status, 201, "{revoked:?}");
    };
    let (access, lost) = sign_in("lost");
    let (_, kept) = sign_in("kept");
    watermark(json!({"kind": "claim", "claim": "device", "value": "lost"}), &access);
    assert_eq!(scene.status("/orders", &access), 401);
    assert_error(&refresh(&scene, alice, &lost, &[]), 400, "invalid_grant");
    let kept = refresh(&scene, alice, &kept, &[]).json();
    let (others, _) = scene.pair(("bob", BOB), "orders:read");
    watermark(json!({"kind": "tenant", "value": "acme"}), &text(&kept, "access_token"));
    assert_error(&refresh(&scene, alice, &text(&kept, "refresh_token"), &[]), 400, "invalid_grant");
    let (again, _) = sign_in("found");
    assert_eq!(scene.status("/orders", &again), 200, "whoever signs in again at once is let in");
    assert_eq!(scene.status("/orders", &others), 200, "of no tenant");
}
