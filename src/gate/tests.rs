mod endpoints;
mod lasting;
mod matching;
mod reauthenticate;
mod revoked;
mod scene;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{self, Context};
use crate::gate::denial::Reason;
use crate::gate::evidence::KeysAnswer;
use crate::gate::explain::{Outcome, explain};
use crate::gate::tests::scene::{CONFIG, NOW, OTHER, Scene, change, claims, keys};
use crate::gate::{Decision, Field, Request};
use crate::keys::rotation::SigningKey;
use crate::path;
use crate::policy::route::Routes;
use crate::revocation::Revocations;
use crate::snapshot::{Change, Keys};
use crate::token::{Algorithm, NumericDate};

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
            Decision::Need(_) | Decision::Answer(_) | Decision::Converse(_) | Decision::Preflight(_) => {
                panic!("neither allowed nor refused")
            }
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
    let headers = [Field { name: b"Authorization", value: token.as_bytes() }];
    let request = |target| Request {
        method: "GET",
        host: "api.test",
        path: path::canonical(target).expect("a path"),
        query: None,
        headers: &headers,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        websocket: None,
        tls: None,
        presented: None,
        message: None,
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
        listeners: Vec::new(),
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

#[test]
fn c7_no_clock_makes_a_fault() {
    let scene = Scene::new();
    let token = format!("Bearer {}", scene.token(claims(json!({}))));
    let headers = [Field { name: b"Authorization", value: token.as_bytes() }];
    let request = Request {
        method: "GET",
        host: "api.test",
        path: path::canonical("/orders/1").expect("a path"),
        query: None,
        headers: &headers,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        websocket: None,
        tls: None,
        presented: None,
        message: None,
    };
    for (now, expected) in [
        (i64::MIN, Reason::NotYetValid),
        (-1, Reason::NotYetValid),
        (0, Reason::NotYetValid),
        (30, Reason::NotYetValid),
        (i64::MAX, Reason::Expired),
    ] {
        let told = explain(&scene.reader.load(), &request, NumericDate(now));
        assert!(
            matches!(told.outcome, Outcome::Refused(refusal) if refusal.denial.reason == expected),
            "{now}"
        );
    }
}
