//! The presets of OAuth 2.0, by client libraries that others wrote: `oauth4webapi` of npm, which takes nothing that the RFCs
//! do not have, and `requests-oauthlib` of PyPI.

use serde_json::{Value, json};

use crate::external::systems::{Client, address, never_reached, secret, send};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

/// The API's own name, which tokens are for.
const AUDIENCE: &str = "https://api.example.com";

struct Presets {
    upstream: Upstream,
    secret: String,
    gateway: Gateway,
}

impl Presets {
    fn start() -> Self {
        let (upstream, secret) = (Upstream::start(), secret("client-"));
        let clients =
            json!([{"id": "reporting", "secret": secret, "scopes": ["orders:read", "orders:write"]}]);
        let gateway = setup(&upstream).env("CLIENTS", &clients.to_string()).start();
        Self { upstream, secret, gateway }
    }

    fn variables(&self) -> [(&'static str, String); 3] {
        let id = "reporting".to_owned();
        [("GATEWAY", address(&self.gateway)), ("CLIENT_ID", id), ("CLIENT_SECRET", self.secret.clone())]
    }

    fn call(&self, path: &str, token: &str) -> u16 {
        send(&self.gateway, &Request::get(path).bearer(token)).status
    }
}

fn setup(upstream: &Upstream) -> Setup {
    let setup = Gateway::new().upstream(upstream).route("GET /orders", "orders:read");
    let setup = setup.route("GET /people", "people:read").file("kek", vec![7_u8; 32]);
    setup.yaml(|text| {
        let public = text.split('"').nth(1).expect("an address").to_owned();
        format!(
            "{text}store: {{sqlite: portcullis.db}}\nsigning_keys: {{sealed_with: {{file: kek}}}}\n\
             credentials: {{clients: {{api_keys: {{entries: {{env: CLIENTS}}}}}}}}\n\
             tokens: {{access: {{issuer: \"http://{public}\", audience: {AUDIENCE}, lifetime: 5m}}, refresh: {{format: refresh}}}}\n\
             oauth: {{issuer: \"http://{public}\"}}\n"
        )
    })
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned()
}

#[test]
fn oauth4webapi_discovers_issues_narrows_introspects_refreshes_and_revokes() {
    let presets = Presets::start();
    let variables = presets.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut client = Client::node("oauth_client.mjs", &[], &variables);
    let metadata = client.value("discover", json!({}));
    let base = address(&presets.gateway);
    assert_eq!(
        (&metadata["issuer"], text(&metadata, "token_endpoint")),
        (&json!(base), format!("{base}/oauth/token"))
    );

    let all = client.value("issue", json!({}));
    assert_eq!(
        (text(&all, "token_type").to_lowercase(), &all["expires_in"]),
        ("bearer".into(), &json!(300)),
        "{all}"
    );
    let access = text(&all, "access_token");
    assert_eq!([presets.call("/orders", &access), presets.call("/people", &access)], [200, 403]);
    // By the published keys alone, as RFC 9068 has it.
    let claims = client.value("validate", json!({"token": access, "audience": AUDIENCE}));
    assert_eq!(
        (&claims["client_id"], &claims["sub"]),
        (&json!("reporting"), &json!("reporting")),
        "{claims}"
    );
    let wrong = client.error("validate", json!({"token": access, "audience": "https://other.example"}));
    assert!(wrong["message"].is_string(), "{wrong}");
    let narrow = client.value("issueByPost", json!({"scope": "orders:write"}));
    assert_eq!(presets.call("/orders", &text(&narrow, "access_token")), 403);
    let refused = client.error("issue", json!({"scope": "people:read"}));
    assert_eq!(refused["status"], 400, "{refused}");

    // Less, by token exchange.
    let exchanged = client.value("exchange", json!({"token": access, "scope": "orders:read"}));
    let lesser = text(&exchanged, "access_token");
    assert_eq!(presets.call("/orders", &lesser), 200);
    let said = client.value("introspect", json!({"token": lesser}));
    assert_eq!((&said["active"], &said["scope"]), (&json!(true), &json!("orders:read")), "{said}");
    assert_eq!(client.value("introspect", json!({"token": "nothing"})), json!({"active": false}));

    client.value("revoke", json!({"token": access}));
    wait_until("the revoked token is refused", || presets.call("/orders", &access) == 401);
    assert_eq!(client.value("introspect", json!({"token": access})), json!({"active": false}));
    client.value("revoke", json!({"token": "nothing"}));
    let refresh = text(&all, "refresh_token");
    let pair = client.value("refresh", json!({"token": text(&narrow, "refresh_token")}));
    assert_eq!(presets.call("/orders", &text(&pair, "access_token")), 403, "a refresh widened its scopes");
    never_reached(&presets.upstream, &[&refresh, &access, &presets.secret]);
}

#[test]
fn requests_oauthlib_gets_a_token_and_uses_it() {
    let presets = Presets::start();
    let variables = presets.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut client = Client::python("python", "oauth_client.py", &variables);
    let token = client.value("issue", json!({"scope": ["orders:read"]}));
    assert_eq!(text(&token, "token_type").to_lowercase(), "bearer", "{token}");
    assert_eq!(client.value("call", json!({"path": "/orders"})), 200);
    assert_eq!(client.value("call", json!({"path": "/people"})), 403);
    let refused = client.error("issue", json!({"scope": ["people:read"]}));
    assert!(refused["name"].as_str().is_some_and(|name| name.contains("Scope")), "{refused}");
    // With what it was given: the session of the library uses the new token from then on.
    let second = client.value("issue", json!({"scope": ["orders:read"]}));
    let refreshed = client.value("refresh", json!({}));
    for before in [&token, &second] {
        assert_ne!(text(&refreshed, "access_token"), text(before, "access_token"));
        assert_ne!(text(&refreshed, "refresh_token"), text(before, "refresh_token"));
    }
    assert_eq!(client.value("call", json!({"path": "/orders"})), 200);
    assert_eq!(client.value("call", json!({"path": "/people"})), 403);
    let given = text(&refreshed, "refresh_token");
    never_reached(&presets.upstream, &[&text(&token, "access_token"), &given, &presets.secret]);
}
