//! What clients and protected resources find out by themselves: keys (RFC 7517), RFC 8414, RFC 9728.

use serde_json::{Value, json};

use crate::authority::oauth::OAUTH;
use crate::authority::{ALICE, Scene};
use crate::harness::client::Request;

fn document(scene: &Scene, target: &str) -> Value {
    let response = scene.ask(&Request::get(target).host("api.example.com"));
    assert_eq!(response.status, 200, "{response:?}");
    let cached = response.header("cache-control").unwrap_or_default();
    assert!(cached.starts_with("public, max-age="), "{response:?}");
    response.json()
}

#[test]
fn the_keys_are_public_and_nothing_else_is() {
    let scene = Scene::with(OAUTH);
    let (token, _) = scene.pair(("alice", ALICE), "orders:read");
    let set = document(&scene, "/.well-known/jwks.json");
    let keys = set["keys"].as_array().expect("keys");
    assert!(!keys.is_empty(), "{set}");
    for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
        assert!(keys.iter().all(|key| key.get(private).is_none()), "{private} in {set}");
    }
    let header = token.split('.').next().unwrap();
    let header: Value =
        serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).unwrap()).unwrap();
    assert!(keys.iter().any(|key| key["kid"] == header["kid"]), "{header} {set}");
    assert_eq!(header["typ"], "at+jwt");
}

#[test]
fn the_metadata_names_the_endpoints() {
    let scene = Scene::with(OAUTH);
    let metadata = document(&scene, "/.well-known/oauth-authorization-server");
    for (name, value) in [
        ("issuer", json!("http://localhost")),
        ("token_endpoint", json!("http://localhost/oauth/token")),
        ("revocation_endpoint", json!("http://localhost/oauth/revoke")),
        ("introspection_endpoint", json!("http://localhost/oauth/introspect")),
        ("jwks_uri", json!("http://localhost/.well-known/jwks.json")),
    ] {
        assert_eq!(metadata[name], value, "{name}: {metadata}");
    }
}

/// The name of the issuer has a path; what it names stands where it is served.
#[test]
fn bug_an_issuer_with_a_path_named_endpoints_that_are_not_there() {
    let scene = Scene::with(&OAUTH.replace("issuer: http://localhost", "issuer: http://localhost/tenant"));
    let metadata = document(&scene, "/.well-known/oauth-authorization-server/tenant");
    assert_eq!(metadata["issuer"], "http://localhost/tenant");
    let path = |name: &str| {
        let url = metadata[name].as_str().unwrap_or_default();
        url.strip_prefix("http://localhost").unwrap_or_else(|| panic!("{name}: {metadata}")).to_owned()
    };
    assert!(document(&scene, &path("jwks_uri"))["keys"].is_array());
    for name in ["token_endpoint", "revocation_endpoint", "introspection_endpoint"] {
        let answer = scene.ask(&Request::post(&path(name), ""));
        assert!(matches!(answer.status, 400 | 401), "{name}: {answer:?}");
    }
}

#[test]
fn a_resource_says_what_its_routes_ask_for() {
    let scene = Scene::with(OAUTH);
    let document = document(&scene, "/.well-known/oauth-protected-resource");
    assert_eq!(
        document,
        json!({
            "resource": "http://api.example.com",
            "authorization_servers": ["http://localhost"],
            "scopes_supported": ["orders:read", "orders:write"],
            "bearer_methods_supported": ["header"],
        })
    );
}

/// Whoever reads it asks these for access tokens: an API key, a session in a cookie, and a token that another endpoint gives are
/// none.
#[test]
fn a_resource_names_no_server_that_gives_nobody_an_access_token() {
    let scene = Scene::of(
        "
store: {sqlite: portcullis.db}
signing_keys: {sealed_with: {file: kek}}
credentials:
  clients: {api_keys: {entries: [{id: alice, secret: {env: ALICE}, scopes: [orders:read]}]}}
  keys: {api_keys: {entries: [{id: bob, secret: {env: BOB}}], issuer: https://keys.example.com}, from: {header: X-KEY}}
tokens:
  access: {}
  refresh: {format: refresh}
  page: {issuer: https://pages.example.com}
  ticket: {format: opaque, issuer: https://tickets.example.com}
endpoints:
  POST /page: {issue: [page], credential: keys, answer: {body: {page: '{token.page}'}}}
  POST /ticket: {issue: [ticket], credential: keys, answer: {body: {ticket: '{token.ticket}'}}}
oauth: {issuer: http://localhost, clients: clients}
issuers:
  session: {issuer: https://app.example.com, audience: any, keys: {secret: {env: SHARED}}, from: {cookie: sid}}
  partner: {issuer: https://partner.example.com, audience: any, keys: {secret: {env: SHARED}}}
",
        |setup| {
            let setup = setup.env("SHARED", "a-secret-of-thirty-two-octets-and-more");
            setup.route("GET /all", "{require: {issuers: [access, page, ticket, keys, session, partner]}}")
        },
    );
    let document = document(&scene, "/.well-known/oauth-protected-resource");
    assert_eq!(document["authorization_servers"], json!(["http://localhost", "https://partner.example.com"]));
}
