use std::net::{IpAddr, Ipv4Addr};
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{self, Context};
use crate::gate::denial::Reason;
use crate::gate::evidence::{Evidence, KeysAnswer, Need};
use crate::gate::explain::{Outcome, explain};
use crate::gate::memo::Memo;
use crate::gate::{Decision, Field, Request, decide};
use crate::keys::jwk;
use crate::keys::rotation::SigningKey;
use crate::path;
use crate::policy::route::Routes;
use crate::revocation::{Entry, Kind, Revocations};
use crate::snapshot::{self, Change, Keys, Publisher, Reader};
use crate::token::{Algorithm, NumericDate};

const NOW: i64 = 1_800_000_000;
const ISS: &str = "https://corp.test/";
const OTHER: &str = "https://other.test/";

const CONFIG: &str = r#"
version: 1
listeners: [127.0.0.1:8080]
upstreams: {api: http://127.0.0.1:3000}
key_mirror: none
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
struct Scene {
    corp: SigningKey,
    other: SigningKey,
    routes: Arc<Routes>,
    config: config::Config,
    publisher: Publisher,
    reader: Reader,
    memo: Memo,
}

impl Scene {
    fn new() -> Self {
        let context = Context { name: "test.yaml", directory: FilePath::new("/"), env: &|_| None };
        let (config, _) = config::parse(CONFIG, &context).unwrap_or_else(|problems| panic!("{problems}"));
        let corp = SigningKey::generate(Algorithm::ES256).expect("a key");
        let other = SigningKey::generate(Algorithm::EdDSA).expect("a key");
        let routes = Arc::new(Routes::compile(&config));
        let keys = [keys(&corp, true), keys(&other, false)];
        let (publisher, reader) = snapshot::channel(change(&config, &routes, keys, Revocations::default()));
        Self { corp, other, routes, config, publisher, reader, memo: Memo::new([7; 16], 1 << 20) }
    }

    fn revoke(&mut self, entries: &[Entry]) {
        let compiled = Revocations::compile(entries, NumericDate(NOW));
        self.publisher.publish(Change::Revocations(Arc::new(compiled)));
    }

    fn publish_keys(&mut self, corp: Keys) {
        self.publisher.publish(Change::Keys { issuer: "corp".into(), keys: corp });
    }

    /// Decides with every need done at once; keys that are asked for come to `answer`.
    fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)], answer: KeysAnswer) -> Decision {
        let (raw, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let fields: Vec<Field<'_>> =
            headers.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect();
        let request = Request {
            method,
            host: "api.test",
            path: path::canonical(raw).expect("a path"),
            query,
            headers: &fields,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let mut evidence = Evidence::default();
        loop {
            let snapshot = self.reader.load();
            match decide(&snapshot, &mut self.memo, &request, &mut evidence, NumericDate(NOW)) {
                Decision::Need(Need::Keys(_)) => evidence.keys = Some(answer),
                Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
                done @ (Decision::Allow(_) | Decision::Refuse(_) | Decision::Preflight(_)) => return done,
            }
        }
    }

    fn refused(&mut self, target: &str, headers: &[(&str, &str)]) -> Option<Reason> {
        match self.ask("GET", target, headers, KeysAnswer::Unavailable) {
            Decision::Refuse(refusal) => Some(refusal.denial.reason),
            Decision::Allow(_) | Decision::Preflight(_) => None,
            Decision::Need(need) => panic!("an open need: {need:?}"),
        }
    }

    /// The corp token of `claims` on `target`, twice: remembered or not, the verdict is the same.
    #[track_caller]
    fn check(&mut self, target: &str, claims: Value, expected: Option<Reason>) {
        let authorization = format!("Bearer {}", self.token(claims.clone()));
        for round in ["fresh", "again"] {
            let headers = [("Authorization", authorization.as_str()), ("X-Tenant", "acme")];
            assert_eq!(self.refused(target, &headers), expected, "{round}: {target} {claims}");
        }
    }

    fn token(&self, claims: Value) -> String {
        self.corp.mint(&claims, "JWT").expect("a token")
    }
}

fn keys(key: &SigningKey, fetched: bool) -> Keys {
    let jwks = json!({"keys": [key.public_jwk().expect("an asymmetric key")]}).to_string();
    let (set, _) = jwk::parse_jwks(jwks.as_bytes(), None).expect("a key set");
    Keys::Ready { set: Arc::new(set), fetched }
}

fn change(
    config: &config::Config,
    routes: &Arc<Routes>,
    keys: [Keys; 2],
    revocations: Revocations,
) -> Change {
    Change::Config {
        routes: Arc::clone(routes),
        issuers: config.issuers.iter().cloned().zip(keys).collect(),
        revocations: Arc::new(revocations),
        token_limit: config.limits.token,
    }
}

/// Good claims with some members replaced; `null` takes a member away.
fn claims(over: Value) -> Value {
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

#[test]
fn p6_what_matches_no_route_is_refused() {
    let mut scene = Scene::new();
    assert_eq!(scene.refused("/nowhere", &[]), Some(Reason::NoRoute));
    assert_eq!(scene.refused("/orders", &[]), Some(Reason::MethodNotAllowed));
    assert_eq!(scene.refused("/orders/1/", &[]), Some(Reason::NoRoute));
}

#[test]
fn p1_a_dangerous_spelling_needs_a_route_that_takes_it() {
    let mut scene = Scene::new();
    for path in
        ["/orders/..", "//orders/1", "/public/%2e%2e/me", "/public/a%2fb", "/nowhere/%00", "/orders/a;b"]
    {
        assert_eq!(scene.refused(path, &[]), Some(Reason::MalformedRequest), "{path}");
    }
    assert_eq!(scene.refused("/raw/a%2fb/../c", &[]), None);
}

#[test]
fn c6_a_request_without_one_token_is_refused() {
    let mut scene = Scene::new();
    let token = scene.token(claims(json!({})));
    let bearer = format!("Bearer {token}");
    let two = format!("Bearer {token}, Bearer {token}");
    let cases: &[(&[(&str, &str)], Reason)] = &[
        (&[], Reason::NoCredentials),
        (&[("Authorization", "Basic YTpi")], Reason::NoCredentials),
        (&[("X-Elsewhere", &token)], Reason::NoCredentials),
        (&[("Authorization", "Bearer")], Reason::MalformedRequest),
        (&[("Authorization", &two)], Reason::MalformedRequest),
        (&[("Authorization", &bearer), ("authorization", &bearer)], Reason::MalformedRequest),
        (&[("Authorization", &bearer), ("X-Other", &token)], Reason::ManyCredentials),
        (&[("X-Other", &token)], Reason::UntrustedIssuer),
        (&[("Authorization", "Bearer not.a.token")], Reason::MalformedToken),
    ];
    for (headers, expected) in cases {
        assert_eq!(scene.refused("/me", headers), Some(*expected), "{headers:?}");
    }
    assert_eq!(scene.refused("/orders/1?access_token=x", &[]), Some(Reason::NoCredentials));
}

#[test]
fn c1_time_is_checked_with_leeway_on_every_request() {
    let mut scene = Scene::new();
    let cases = [
        (json!({"exp": NOW - 31}), Some(Reason::Expired)),
        (json!({"exp": NOW - 30}), Some(Reason::Expired)),
        (json!({"exp": NOW - 29}), None),
        (json!({"nbf": NOW + 31}), Some(Reason::NotYetValid)),
        (json!({"nbf": NOW + 30}), None),
        (json!({"iat": NOW + 31}), Some(Reason::NotYetValid)),
        (json!({"iat": NOW + 30}), None),
        (json!({"exp": NOW + 3600}), Some(Reason::LivesTooLong)),
        (json!({"exp": NOW + 3590}), None),
        (json!({"exp": NOW + 3601, "iat": null}), Some(Reason::LivesTooLong)),
        (json!({"exp": NOW + 3600, "iat": null}), None),
        (json!({"exp": null}), Some(Reason::MissingClaim)),
        // `expired` is said before `lives_too_long`.
        (json!({"exp": NOW - 60, "iat": NOW - 100_000}), Some(Reason::Expired)),
    ];
    for (over, expected) in cases {
        scene.check("/orders/1", claims(over), expected);
    }
}

#[test]
fn c4_the_audience_is_one_of_ours() {
    let mut scene = Scene::new();
    for aud in [json!("API"), json!("api "), json!("api,other"), json!("ap"), json!([]), json!(["x", "apis"])]
    {
        scene.check("/orders/1", claims(json!({"aud": aud})), Some(Reason::WrongAudience));
    }
    scene.check("/orders/1", claims(json!({"aud": null})), Some(Reason::MissingClaim));
    for aud in [json!("api"), json!(["x", "api"]), json!(["api", "api"])] {
        scene.check("/orders/1", claims(json!({"aud": aud})), None);
    }
}

#[test]
fn j17_a_token_of_another_kind_is_no_access_token() {
    let mut scene = Scene::new();
    for mark in [
        json!({"at_hash": "x"}),
        json!({"nonce": "x", "scope": null}),
        json!({"token_use": "refresh"}),
        json!({"events": {}}),
    ] {
        scene.check("/me", claims(mark), Some(Reason::WrongType));
    }
    scene.check("/me", claims(json!({"nonce": "x"})), None);
    let logout = scene.corp.mint(&claims(json!({})), "logout+jwt").expect("a token");
    assert_eq!(
        scene.refused("/me", &[("Authorization", &format!("Bearer {logout}"))]),
        Some(Reason::WrongType)
    );
}

#[test]
fn the_rfc_9068_profile_wants_its_type_and_claims() {
    let mut scene = Scene::new();
    let good = claims(json!({"iss": OTHER, "client_id": "c"}));
    for (over, typ, expected) in [
        (json!({}), "JWT", Some(Reason::WrongType)),
        (json!({"client_id": null}), "at+jwt", Some(Reason::MissingClaim)),
        (json!({"jti": null}), "at+jwt", Some(Reason::MissingClaim)),
        (json!({}), "at+jwt", None),
        (json!({}), "application/at+jwt", None),
    ] {
        let mut all = good.clone();
        for (name, value) in over.as_object().expect("an object") {
            all[name] = value.clone();
            if value.is_null() {
                all.as_object_mut().expect("an object").remove(name);
            }
        }
        let token = scene.other.mint(&all, typ).expect("a token");
        assert_eq!(scene.refused("/me", &[("X-Other", &token)]), expected, "{typ} {over}");
    }
}

#[test]
fn j16_a_key_speaks_for_its_own_issuer_only() {
    let mut scene = Scene::new();
    let foreign = scene.other.mint(&claims(json!({})), "JWT").expect("a token");
    let headers = [("Authorization", format!("Bearer {foreign}"))];
    let headers = [(headers[0].0, headers[0].1.as_str())];
    assert_eq!(scene.refused("/me", &headers), Some(Reason::KeysUnavailable));
    let known = scene.ask("GET", "/me", &headers, KeysAnswer::Fetched);
    assert!(matches!(known, Decision::Refuse(refusal) if refusal.denial.reason == Reason::UnknownKey));
    scene.check("/me", claims(json!({"iss": OTHER})), Some(Reason::UntrustedIssuer));
    scene.check("/me", claims(json!({"iss": "https://nobody.test/"})), Some(Reason::UntrustedIssuer));
    scene.check("/me", claims(json!({"iss": null})), Some(Reason::MissingClaim));
}

#[test]
fn a_changed_signature_is_refused_and_stays_so() {
    let mut scene = Scene::new();
    let token = scene.token(claims(json!({})));
    let at = token.rfind('.').expect("a signature") + 5;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    let broken = format!("Bearer {}{other}{}", &token[..at], &token[at + 1..]);
    for _ in 0..2 {
        assert_eq!(scene.refused("/me", &[("Authorization", &broken)]), Some(Reason::BadSignature));
    }
    scene.check("/me", claims(json!({})), None);
}

#[test]
fn k1_a_remembered_token_dies_with_its_key() {
    let mut scene = Scene::new();
    scene.check("/me", claims(json!({})), None);
    let rotated = SigningKey::generate(Algorithm::ES256).expect("a key");
    scene.publish_keys(keys(&rotated, true));
    scene.check("/me", claims(json!({})), Some(Reason::KeysUnavailable));
    scene.publish_keys(Keys::Unavailable);
    scene.check("/me", claims(json!({})), Some(Reason::KeysUnavailable));
    scene.publish_keys(keys(&scene.corp, true));
    scene.check("/me", claims(json!({})), None);
}

#[test]
fn r1_a_revocation_counts_on_the_very_next_request() {
    let mut scene = Scene::new();
    let entry = |kind, value: &str, not_before| Entry {
        kind,
        issuer: ISS.into(),
        value: value.into(),
        not_before,
        expires: None,
        reason: None,
    };
    scene.check("/me", claims(json!({})), None);
    scene.revoke(&[entry(Kind::Jti, "t1", None)]);
    scene.check("/me", claims(json!({})), Some(Reason::Revoked));
    scene.check("/me", claims(json!({"jti": "t2"})), None);
    scene.revoke(&[entry(Kind::Subject, "alice", Some(NumericDate(NOW)))]);
    scene.check("/me", claims(json!({})), Some(Reason::Revoked));
    scene.check("/me", claims(json!({"iat": null})), Some(Reason::Revoked));
    scene.check("/me", claims(json!({"sub": "bob"})), None);
    scene.revoke(&[]);
    scene.check("/me", claims(json!({})), None);
}

#[test]
fn r2_a_remembered_token_is_judged_anew_on_every_route() {
    let mut scene = Scene::new();
    scene.check("/orders/1", claims(json!({})), None);
    scene.check("/orders/1", claims(json!({"scope": "profile"})), Some(Reason::InsufficientScope));
    scene.check("/me", claims(json!({"scope": "profile"})), None);
    scene.check("/tenant", claims(json!({})), None);
    scene.check("/tenant", claims(json!({"tid": "umbrella"})), Some(Reason::ConditionFailed));
    scene.check("/tenant", claims(json!({"tid": null})), Some(Reason::ConditionFailed));
}

#[test]
fn any_scope_takes_one_of_them() {
    let mut scene = Scene::new();
    for (scope, allowed) in
        [("orders:write", true), ("x orders:admin", true), ("orders:read", false), ("", false)]
    {
        let authorization = format!("Bearer {}", scene.token(claims(json!({"scope": scope}))));
        let decision =
            scene.ask("POST", "/orders", &[("Authorization", &authorization)], KeysAnswer::Unavailable);
        assert_eq!(matches!(decision, Decision::Allow(_)), allowed, "{scope}");
    }
}

#[test]
fn a_shadowed_refusal_passes_without_an_identity() {
    let mut scene = Scene::new();
    for authorization in ["Bearer garbage".to_owned(), format!("Bearer {}", scene.token(claims(json!({}))))] {
        let Decision::Allow(grant) =
            scene.ask("GET", "/shadow", &[("Authorization", &authorization)], KeysAnswer::Unavailable)
        else {
            panic!("refused: {authorization}");
        };
        assert!(grant.shadow().is_some());
        assert!(grant.headers().is_empty());
        assert_eq!(grant.identity().subject(), None);
    }
}

#[test]
fn s1_a_grant_names_the_caller_by_claims_alone() {
    let mut scene = Scene::new();
    let headers = |scene: &mut Scene, over: Value| {
        let authorization = format!("Bearer {}", scene.token(claims(over)));
        match scene.ask("GET", "/named", &[("Authorization", &authorization)], KeysAnswer::Unavailable) {
            Decision::Allow(grant) => Ok(grant.headers().to_vec()),
            Decision::Refuse(refusal) => Err(refusal.denial.reason),
            Decision::Need(_) | Decision::Preflight(_) => panic!("neither allowed nor refused"),
        }
    };
    assert_eq!(headers(&mut scene, json!({"sub": "a\r\nX-Role: admin"})), Err(Reason::MissingClaim));
    assert_eq!(headers(&mut scene, json!({"sub": "alice,admin"})), Err(Reason::MissingClaim));
    assert_eq!(headers(&mut scene, json!({"sub": null})), Ok(Vec::new()));
    let both = headers(&mut scene, json!({"realm": {"roles": ["a", "b"]}}));
    assert_eq!(both, Ok(vec![("X-Subject".into(), "alice".into()), ("X-Roles".into(), "a,b".into())]));
}

#[test]
fn h12_a_preflight_is_options_with_origin_and_method_and_nothing_looser() {
    let mut scene = Scene::new();
    let origin = ("Origin", "https://app.test");
    let method = ("Access-Control-Request-Method", "GET");
    for headers in [&[][..], &[origin], &[method]] {
        let decision = scene.ask("OPTIONS", "/cors", headers, KeysAnswer::Unavailable);
        assert!(matches!(decision, Decision::Refuse(_)), "{headers:?}");
    }
    for target in ["/corp", "/nowhere"] {
        let decision = scene.ask("OPTIONS", target, &[origin, method], KeysAnswer::Unavailable);
        assert!(matches!(decision, Decision::Refuse(_)), "{target}");
    }
    let Decision::Preflight(preflight) =
        scene.ask("OPTIONS", "/cors", &[origin, method], KeysAnswer::Unavailable)
    else {
        panic!("no preflight");
    };
    assert!(preflight.headers.contains(&("access-control-allow-origin", "https://app.test".to_owned())));
    let evil = [("Origin", "https://evil.test"), method];
    let Decision::Preflight(preflight) = scene.ask("OPTIONS", "/cors", &evil, KeysAnswer::Unavailable) else {
        panic!("no preflight");
    };
    assert!(
        preflight.headers.iter().all(|(name, _)| !name.starts_with("access-control")),
        "{:?}",
        preflight.headers
    );
}

#[test]
fn an_unchanged_issuer_keeps_its_remembered_tokens_over_a_reload() {
    let mut scene = Scene::new();
    scene.check("/me", claims(json!({})), None);
    let before = scene.memo.counts();
    let again = change(
        &scene.config,
        &scene.routes,
        [keys(&scene.corp, true), keys(&scene.other, false)],
        Revocations::default(),
    );
    scene.publisher.publish(again);
    let authorization = format!("Bearer {}", scene.token(claims(json!({"jti": "another"}))));
    scene.refused("/me", &[("Authorization", &authorization)]);
    scene.refused("/me", &[("Authorization", &authorization)]);
    assert_eq!(scene.memo.counts().hits, before.hits + 1);
}

#[test]
fn explain_decides_as_production_does() {
    let scene = Scene::new();
    let token = format!("Bearer {}", scene.token(claims(json!({}))));
    let headers = [Field { name: "Authorization", value: token.as_bytes() }];
    let request = |target| Request {
        method: "GET",
        host: "api.test",
        path: path::canonical(target).expect("a path"),
        query: None,
        headers: &headers,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let allowed = explain(&scene.reader.load(), &request("/orders/1"), NumericDate(NOW));
    assert!(matches!(allowed.outcome, Outcome::Allowed { .. }));
    let steps: Vec<_> = allowed.steps.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        steps,
        ["route", "credential", "issuer", "signature", "time", "claims", "revoked", "permission", "grant"]
    );
    let late = explain(&scene.reader.load(), &request("/orders/1"), NumericDate(NOW + 10_000));
    assert!(matches!(late.outcome, Outcome::Refused(refusal) if refusal.denial.reason == Reason::Expired));
}

#[test]
fn a_removed_issuer_takes_no_remembered_token_of_another_with_it() {
    let mut scene = Scene::new();
    let good = claims(json!({"iss": OTHER, "client_id": "c"}));
    let token = scene.other.mint(&good, "at+jwt").expect("a token");
    let bad = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(scene.refused("/me", &[("X-Other", &token)]), None);
    assert_eq!(scene.refused("/me", &[("X-Other", &bad)]), Some(Reason::BadSignature));
    // What stood second stands first now, under the same epoch.
    let without: String =
        CONFIG.lines().filter(|line| !line.contains("corp")).map(|line| format!("{line}\n")).collect();
    let context = Context { name: "test.yaml", directory: FilePath::new("/"), env: &|_| None };
    let (config, _) = config::parse(&without, &context).unwrap_or_else(|problems| panic!("{problems}"));
    scene.publisher.publish(Change::Config {
        routes: Arc::new(Routes::compile(&config)),
        issuers: vec![(Arc::clone(&config.issuers[0]), keys(&scene.other, false))],
        revocations: Arc::new(Revocations::default()),
        token_limit: config.limits.token,
    });
    assert_eq!(scene.refused("/me", &[("X-Other", &token)]), None);
    assert_eq!(scene.refused("/me", &[("X-Other", &bad)]), Some(Reason::BadSignature));
}

#[test]
fn a_shadowed_route_refuses_what_is_no_matter_of_tokens() {
    let mut scene = Scene::new();
    for headers in [&[("Authorization", "Bearer ")][..], &[("Authorization", "Bearer a,b")]] {
        assert_eq!(scene.refused("/shadow", headers), Some(Reason::MalformedRequest), "{headers:?}");
    }
}
