//! Two issuers behind a table of routes, without sockets.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{self, Context};
use crate::gate::denial::Reason;
use crate::gate::evidence::{Evidence, KeysAnswer, Need};
use crate::gate::memo::Memo;
use crate::gate::{Decision, Field, Request, decide};
use crate::keys::jwk;
use crate::keys::rotation::SigningKey;
use crate::path;
use crate::policy::route::Routes;
use crate::revocation::{Entry, Revocations};
use crate::snapshot::{self, Change, Keys, Publisher, Reader};
use crate::token::{Algorithm, NumericDate};

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const ISS: &str = "https://corp.test/";
pub(super) const OTHER: &str = "https://other.test/";

pub(super) const CONFIG: &str = r#"
version: 1
listeners: [127.0.0.1:8080]
upstreams: {api: http://127.0.0.1:3000}
key_mirror: none
revocation: {claims: [device_id, /device/serial, amr]}
issuers:
  corp: {issuer: https://corp.test/, audience: [api], keys: {jwks: {file: corp.json}}, leeway: 30s, max_token_lifetime: 1h}
  other: {issuer: https://other.test/, audience: any, keys: {jwks: {file: other.json}}, from: {header: X-Other}, token_type: at+jwt}
routes:
  GET /orders/{id}: orders:read
  POST /orders: {require: {any_scope: [orders:write, orders:admin]}}
  /public/{*rest}: public
  GET /me: authenticated
  GET /corp: {require: {issuers: [corp]}}
  GET /tenant: {require: {issuers: [corp], when: 'claims.tid == request.headers["x-tenant"]'}}
  GET /shadow: {require: {issuers: [corp], scopes: [never]}, enforce: shadow, forward: {headers: {X-Subject: sub}}}
  GET /named: {require: {issuers: [corp]}, forward: {headers: {X-Subject: sub, X-Roles: {claim: /realm/roles}}}}
  GET /raw/{*rest}: {require: public, dangerous_path: true}
  GET /cors: {require: {issuers: [corp]}, cors: {origins: [https://app.test], credentials: true, headers: [authorization]}}
"#;

/// Two issuers, their keys, and what a gateway would have published.
pub(super) struct Scene {
    pub(super) corp: SigningKey,
    pub(super) other: SigningKey,
    pub(super) routes: Arc<Routes>,
    pub(super) config: config::Config,
    pub(super) publisher: Publisher,
    pub(super) reader: Reader,
    pub(super) memo: Memo,
}

impl Scene {
    pub(super) fn new() -> Self {
        let context = Context { name: "test.yaml", directory: FilePath::new("/"), env: &|_| None };
        let (config, _) = config::parse(CONFIG, &context).unwrap_or_else(|problems| panic!("{problems}"));
        let corp = SigningKey::generate(Algorithm::ES256).expect("a key");
        let other = SigningKey::generate(Algorithm::EdDSA).expect("a key");
        let routes = Arc::new(Routes::compile(&config));
        let keys = [keys(&corp, true), keys(&other, false)];
        let (publisher, reader) = snapshot::channel(change(&config, &routes, keys, Revocations::default()));
        Self { corp, other, routes, config, publisher, reader, memo: Memo::new([7; 16], 1 << 20) }
    }

    pub(super) fn revoke(&mut self, entries: &[Entry]) {
        let compiled = Revocations::compile(entries, NumericDate(NOW));
        self.publisher.publish(Change::Revocations(Arc::new(compiled)));
    }

    pub(super) fn publish_keys(&mut self, corp: Keys) {
        self.publisher.publish(Change::Keys { issuer: "corp".into(), keys: corp });
    }

    /// Decides with every need done at once; keys that are asked for come to `answer`.
    pub(super) fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        answer: KeysAnswer,
    ) -> Decision {
        let (raw, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let fields: Vec<Field<'_>> = headers
            .iter()
            .map(|(name, value)| Field { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let request = Request {
            method,
            host: "api.test",
            path: path::canonical(raw).expect("a path"),
            query,
            headers: &fields,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            websocket: None,
            tls: None,
            presented: None,
            message: None,
        };
        let mut evidence = Evidence::default();
        loop {
            let snapshot = self.reader.load();
            match decide(&snapshot, &mut self.memo, &request, &mut evidence, NumericDate(NOW)) {
                Decision::Need(Need::Keys(_)) => evidence.keys = Some(answer),
                Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
                Decision::Need(Need::Body(asked)) => panic!("no body is read here: {asked:?}"),
                Decision::Need(Need::Record(asked)) => panic!("nothing here is looked up: {asked:?}"),
                done @ (Decision::Allow(_)
                | Decision::Answer(_)
                | Decision::Refuse(_)
                | Decision::Converse(_)
                | Decision::Preflight(_)) => return done,
            }
        }
    }

    pub(super) fn refused(&mut self, target: &str, headers: &[(&str, &str)]) -> Option<Reason> {
        match self.ask("GET", target, headers, KeysAnswer::Unavailable) {
            Decision::Refuse(refusal) => Some(refusal.denial.reason),
            Decision::Allow(_) | Decision::Answer(_) | Decision::Converse(_) | Decision::Preflight(_) => None,
            Decision::Need(need) => panic!("an open need: {need:?}"),
        }
    }

    /// The corp token of `claims` on `target`, twice: remembered or not, the verdict is the same.
    #[track_caller]
    pub(super) fn check(&mut self, target: &str, claims: Value, expected: Option<Reason>) {
        let authorization = format!("Bearer {}", self.token(claims.clone()));
        for round in ["fresh", "again"] {
            let headers = [("Authorization", authorization.as_str()), ("X-Tenant", "acme")];
            assert_eq!(self.refused(target, &headers), expected, "{round}: {target} {claims}");
        }
    }

    pub(super) fn token(&self, claims: Value) -> String {
        self.corp.mint(&claims, "JWT").expect("a token")
    }
}

pub(super) fn keys(key: &SigningKey, fetched: bool) -> Keys {
    let jwks = json!({"keys": [key.public_jwk().expect("an asymmetric key")]}).to_string();
    let (set, _) = jwk::parse_jwks(jwks.as_bytes(), None).expect("a key set");
    Keys::Ready { set: Arc::new(set), fetched }
}

pub(super) fn change(
    config: &config::Config,
    routes: &Arc<Routes>,
    keys: [Keys; 2],
    revocations: Revocations,
) -> Change {
    Change::Config {
        routes: Arc::clone(routes),
        issuers: config.issuers.iter().cloned().zip(keys).collect(),
        revocations: Arc::new(revocations),
        listeners: Vec::new(),
        token_limit: config.limits.token,
    }
}

/// Good claims with some members replaced; `null` takes a member away.
pub(super) fn claims(over: Value) -> Value {
    let mut claims = json!({
        "iss": ISS, "aud": "api", "sub": "alice", "jti": "t1", "tid": "acme",
        "iat": NOW - 10, "exp": NOW + 600, "scope": "orders:read profile",
    });
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in over.as_object().expect("an object") {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}
