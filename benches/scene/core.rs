//! A compiled gateway without sockets, and tokens for it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use portcullis::config::{self, Config, Context};
use portcullis::gate::denial::Reason;
use portcullis::gate::evidence::{Evidence, KeysAnswer, Need};
use portcullis::gate::memo::Memo;
use portcullis::gate::{Decision, Field, Request, decide};
use portcullis::keys::jwk;
use portcullis::keys::rotation::SigningKey;
use portcullis::path;
use portcullis::policy::route::Routes;
use portcullis::revocation::Revocations;
use portcullis::snapshot::{self, Change, Keys, Reader};
use portcullis::token::{Algorithm, NumericDate};
use serde_json::json;

/// The moment that every bench takes for now.
pub const NOW: i64 = 1_800_000_000;

/// Who signs in the benches.
pub const ISS: &str = "https://idp.test/";

/// A configuration of one issuer, one scope and this many routes.
pub fn config(routes: usize) -> Config {
    let mut text = String::from(
        "version: 1\nlisteners: [127.0.0.1:8080]\nupstreams: {api: http://127.0.0.1:3000}\nkey_mirror: none\n\
         issuers: {idp: {issuer: https://idp.test/, audience: api, max_token_lifetime: 31d, keys: {jwks: {file: jwks.json}}}}\nroutes:\n",
    );
    for number in 0..routes {
        text.push_str(&format!("  GET /service{number}/orders/{{id}}: orders:read\n"));
    }
    let context = Context { name: "bench.yaml", directory: Path::new("/"), env: &|_| None };
    config::parse(&text, &context).expect("a valid configuration").0
}

/// A change that publishes `config` with `key`.
pub fn change(config: &Config, key: &SigningKey) -> Change {
    let jwks = json!({"keys": [key.public_jwk().expect("an asymmetric key")]}).to_string();
    let (set, _) = jwk::parse_jwks(jwks.as_bytes(), None).expect("a key set");
    let set = Arc::new(set);
    Change::Config {
        routes: Arc::new(Routes::compile(config)),
        issuers: config
            .issuers
            .iter()
            .map(|issuer| (Arc::clone(issuer), Keys::Ready { set: Arc::clone(&set), fetched: false }))
            .collect(),
        revocations: Arc::new(Revocations::default()),
        token_limit: config.limits.token,
    }
}

/// A gateway's core and its signer.
pub struct Scene {
    pub key: SigningKey,
    pub reader: Reader,
    pub memo: Memo,
}

impl Scene {
    pub fn new(algorithm: Algorithm, routes: usize) -> Self {
        let key = SigningKey::generate(algorithm).expect("a key");
        let (_, reader) = snapshot::channel(change(&config(routes), &key));
        Self { key, reader, memo: Memo::new([7; 16], 64 << 20) }
    }

    /// A token as identity providers make them, with this id and life left.
    pub fn token(&self, id: usize, expires_in: i64, scope: &str) -> String {
        let claims = json!({
            "iss": ISS, "aud": "api", "sub": format!("user-{id:012}"), "azp": "web-frontend", "jti": format!("{id:032x}"),
            "iat": NOW - 10, "nbf": NOW - 70, "exp": NOW + expires_in, "scope": scope,
        });
        self.key.mint(&claims, "JWT").expect("a token")
    }

    /// Decides one request with every need done at once; `None` is allowed.
    pub fn decide(&mut self, target: &str, authorization: &str) -> Option<Reason> {
        let mut headers = vec![
            Field { name: "Host", value: b"api.test" },
            Field { name: "User-Agent", value: b"bench" },
            Field { name: "Accept", value: b"*/*" },
        ];
        if !authorization.is_empty() {
            headers.push(Field { name: "Authorization", value: authorization.as_bytes() });
        }
        let request = Request {
            method: "GET",
            host: "api.test",
            path: path::canonical(target).expect("a path"),
            query: None,
            headers: &headers,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let mut evidence = Evidence::default();
        loop {
            match decide(&self.reader.load(), &mut self.memo, &request, &mut evidence, NumericDate(NOW)) {
                Decision::Allow(_) | Decision::Preflight(_) => return None,
                Decision::Refuse(refusal) => return Some(refusal.denial.reason),
                Decision::Need(Need::Keys(_)) => evidence.keys = Some(KeysAnswer::Unavailable),
                Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
            }
        }
    }
}
