//! Tokens that are minted here: credentials in, tokens out, refreshed, revoked and told about, by configuration alone.

pub mod discovery;
pub mod example;
pub mod exchange;
pub mod families;
pub mod guessing;
pub mod introspection;
pub mod oauth;
pub mod reuse;
pub mod shapes;
pub mod signing;

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::canary;
use crate::harness::client::{Connection, Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;

/// Secrets of the clients, whole: what they are guessed as is never among them.
pub const ALICE: &str = "alices-secret-oOdV4pRk2sXq9LmC";
pub const BOB: &str = "bobs-secret-Zt8YwN3hUe6JgBf1";

/// A gateway that mints, before an upstream that knows nothing of tokens.
pub struct Scene {
    /// Dropped first.
    pub gateway: Gateway,
    /// What it guards.
    pub upstream: Upstream,
}

/// What every configuration here begins with: a store, and two clients.
pub const CLIENTS: &str = "
store: {sqlite: portcullis.db}
signing_keys: {sealed_with: {file: kek}}
credentials:
  clients:
    api_keys:
      entries:
        - {id: alice, secret: {env: ALICE}, scopes: [orders:read, orders:write], tenant: acme}
        - {id: bob, secret: {env: BOB}, scopes: [orders:read]}
        - {id: asker, secret: {env: ASKER}, scopes: [introspect]}
";

/// Secret of the client that may ask about every token.
pub const ASKER: &str = "askers-secret-Qm5TrX7vKc2PzDa9";

impl Scene {
    /// With the usual clients, and this.
    #[track_caller]
    pub fn with(yaml: &str) -> Self {
        Self::of(&format!("{CLIENTS}{yaml}"), |setup| setup)
    }

    /// With nothing but this.
    #[track_caller]
    pub fn of(yaml: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let upstream = Upstream::start();
        let setup = Gateway::new()
            .upstream(&upstream)
            .route("GET /orders", "orders:read")
            .route("POST /orders", "orders:write")
            .route(
                "GET /me",
                "{require: authenticated, forward: {headers: {X-Subject: sub, X-Client: client_id}}}",
            )
            .file("kek", [7; 32])
            .file("pepper", "a pepper of some thirty-two octets")
            .env("ALICE", &canary::secret(ALICE))
            .env("BOB", &canary::secret(BOB))
            .env("ASKER", &canary::secret(ASKER))
            .yaml_tail(yaml);
        Self { gateway: change(setup).start(), upstream }
    }

    /// Sends a request to an endpoint, whose answers are not those of the data plane.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        Connection::open(self.gateway.ports.public).unaudited().send(request)
    }

    /// Posts a form, as a client.
    #[track_caller]
    pub fn form(&self, target: &str, client: Option<(&str, &str)>, pairs: &[(&str, &str)]) -> Response {
        let mut request =
            Request::post(target, form(pairs)).header("Content-Type", "application/x-www-form-urlencoded");
        if let Some((id, secret)) = client {
            request = request.header("Authorization", &basic(id, secret));
        }
        self.ask(&request)
    }

    /// Posts JSON.
    #[track_caller]
    pub fn json(&self, target: &str, body: &Value) -> Response {
        self.ask(&Request::post(target, body.to_string()).header("Content-Type", "text/plain"))
    }

    /// What a route answers to a token.
    #[track_caller]
    pub fn status(&self, target: &str, token: &str) -> u16 {
        self.gateway.get(target, token).status
    }

    /// A pair of tokens by `client_credentials`, with these scopes.
    #[track_caller]
    pub fn pair(&self, client: (&str, &str), scope: &str) -> (String, String) {
        let pairs = [("grant_type", "client_credentials"), ("scope", scope)];
        let response = self.form("/oauth/token", Some(client), &pairs);
        assert_eq!(response.status, 200, "{response:?}");
        let body = response.json();
        (text(&body, "access_token"), text(&body, "refresh_token"))
    }
}

/// A member that is a text.
#[track_caller]
pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

/// `Authorization: Basic`.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode_to_string(format!("{id}:{secret}")))
}

/// `application/x-www-form-urlencoded`.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        text.bytes().fold(String::new(), |mut written, octet| {
            if octet.is_ascii_alphanumeric() || b"-._*".contains(&octet) {
                written.push(octet.into());
            } else {
                written.push_str(&format!("%{octet:02X}"));
            }
            written
        })
    };
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The claims of a JWT, whoever signed it.
#[track_caller]
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    let octets = URL_SAFE_NO_PAD.decode_to_vec(payload).expect("base64url");
    serde_json::from_slice(&octets).expect("claims")
}

/// An error as RFC 6749 section 5.2 has it.
#[track_caller]
pub fn assert_error(response: &Response, status: u16, code: &str) {
    assert_eq!((response.status, &response.json()["error"]), (status, &json!(code)), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
}
