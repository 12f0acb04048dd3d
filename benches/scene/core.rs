//! A configuration and its keys, compiled, without sockets.

use std::path::Path;
use std::sync::Arc;

use portcullis::config::{self, Config, Context};
use portcullis::keys::jwk;
use portcullis::keys::rotation::SigningKey;
use portcullis::policy::route::Routes;
use portcullis::revocation::Revocations;
use portcullis::snapshot::{Change, Keys};
use serde_json::json;

/// The moment that every bench takes for now.
pub(crate) const NOW: i64 = 1_800_000_000;

/// Who signs in the benches.
pub(crate) const ISS: &str = "https://idp.test/";

/// A configuration of one issuer, one scope and this many routes.
pub(crate) fn config(routes: usize) -> Config {
    config_with(routes, "")
}

/// The same with these lines among the routes.
pub(crate) fn config_with(routes: usize, more: &str) -> Config {
    let mut text = String::from(
        "version: 1\nlisteners: [127.0.0.1:8080]\nupstreams: {api: http://127.0.0.1:3000}\nkey_mirror: none\n\
         issuers: {idp: {issuer: https://idp.test/, audience: api, max_token_lifetime: 31d, keys: {jwks: {file: jwks.json}}}}\nroutes:\n",
    );
    for number in 0..routes {
        text.push_str(&format!("  GET /service{number}/orders/{{id}}: orders:read\n"));
    }
    text.push_str(more);
    let context = Context { name: "bench.yaml", directory: Path::new("/"), env: &|_| None };
    config::parse(&text, &context).expect("a valid configuration").0
}

/// A change that publishes `config` with `key`.
pub(crate) fn change(config: &Config, key: &SigningKey) -> Change {
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
        listeners: Vec::new(),
        token_limit: config.limits.token,
    }
}
