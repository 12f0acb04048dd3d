//! The core alone: what a decision costs, remembered or not, and what each refusal costs beside it.
//!
//! An attack must not cost more than a success: read `refuse` against `remembered`, and what has to be verified first
//! against `fresh`. The bounds: `token/known` 250 ns, `route` 100 ns, `verify/*/whole` 1.1 of `verify/*/bare`, and of an
//! operation of 436 octets, over `remembered`: 1 us where it was planned before, 5 us where not.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a bench, not an interface")]

#[path = "scene/core.rs"]
mod core;
#[path = "scene/decision.rs"]
mod decision;
#[path = "scene/operation.rs"]
#[expect(dead_code, reason = "the other benches send what this one does not")]
mod operation;

use std::cell::RefCell;
use std::hint::black_box;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use portcullis::config::Config;
use portcullis::gate::Field;
use portcullis::gate::denial::Reason;
use portcullis::gate::memo::{Memo, Remembered};
use portcullis::keys::Unverified;
use portcullis::keys::jwk;
use portcullis::keys::rotation::SigningKey;
use portcullis::policy::route::{Match, Routes};
use portcullis::snapshot::{self, Reader};
use portcullis::token::Algorithm;
use serde_json::json;

use crate::core::{ISS, NOW, change, config, config_with};
use crate::decision::decided;

/// A gateway's core and its signer.
struct Scene {
    key: SigningKey,
    reader: Reader,
    memo: Memo,
}

impl Scene {
    fn new(algorithm: Algorithm, routes: usize) -> Self {
        Self::of(algorithm, &config(routes))
    }

    fn of(algorithm: Algorithm, config: &Config) -> Self {
        let key = SigningKey::generate(algorithm).expect("a key");
        let (_, reader) = snapshot::channel(change(config, &key));
        Self { key, reader, memo: Memo::new([7; 16], 64 << 20) }
    }

    /// A token as identity providers make them, with this id and life left.
    fn token(&self, id: usize, expires_in: i64, scope: &str) -> String {
        let claims = json!({
            "iss": ISS, "aud": "api", "sub": format!("user-{id:012}"), "azp": "web-frontend", "jti": format!("{id:032x}"),
            "iat": NOW - 10, "nbf": NOW - 70, "exp": NOW + expires_in, "scope": scope,
        });
        self.key.mint(&claims, "JWT").expect("a token")
    }

    /// Decides one request with every need done at once; `None` is allowed.
    fn decide(&mut self, target: &str, authorization: &str) -> Option<Reason> {
        let mut headers = vec![
            Field { name: b"Host", value: b"api.test" },
            Field { name: b"User-Agent", value: b"bench" },
            Field { name: b"Accept", value: b"*/*" },
        ];
        if !authorization.is_empty() {
            headers.push(Field { name: b"Authorization", value: authorization.as_bytes() });
        }
        decided(&self.reader, &mut self.memo, ("GET", target), &headers, &[])
    }

    /// Decides one operation by its body.
    fn operate(&mut self, authorization: &str, body: &[u8]) -> Option<Reason> {
        let headers = [
            Field { name: b"Host", value: b"api.test" },
            Field { name: b"User-Agent", value: b"bench" },
            Field { name: b"Accept", value: b"application/json" },
            Field { name: b"Content-Type", value: b"application/json" },
            Field { name: b"Authorization", value: authorization.as_bytes() },
        ];
        decided(&self.reader, &mut self.memo, ("POST", "/graphql"), &headers, body)
    }
}

const SCOPE: &str = "openid profile orders:read orders:write";
const TARGET: &str = "/service0/orders/123";

/// Tokens that are never seen twice within a sample.
const FRESH: usize = 2_000;

fn parse(criterion: &mut Criterion) {
    let scene = Scene::new(Algorithm::RS256, 1);
    let token = scene.token(1, 600, SCOPE);
    criterion.bench_function("parse/RS256", |bencher| {
        bencher.iter(|| Unverified::parse(black_box(&token), 8192).unwrap());
    });
}

fn remembered(criterion: &mut Criterion) {
    for routes in [1, 100, 10_000] {
        let mut scene = Scene::new(Algorithm::ES256, routes);
        let bearer = format!("Bearer {}", scene.token(1, 600, SCOPE));
        let target = format!("/service{}/orders/123", routes - 1);
        assert_eq!(scene.decide(&target, &bearer), None);
        criterion.bench_function(&format!("remembered/{routes}_routes"), |bencher| {
            bencher.iter(|| scene.decide(black_box(&target), black_box(&bearer)));
        });
    }
    let mut scene = Scene::new(Algorithm::ES256, 1);
    let bearers: Vec<_> = (0..10_000).map(|id| format!("Bearer {}", scene.token(id, 600, SCOPE))).collect();
    for bearer in &bearers {
        assert_eq!(scene.decide(TARGET, bearer), None);
    }
    let mut next = 0;
    criterion.bench_function("remembered/10000_tokens", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % bearers.len();
            scene.decide(TARGET, black_box(&bearers[next]))
        });
    });
}

/// What every request with a token pays before its claims are looked at.
fn known(criterion: &mut Criterion) {
    let mut scene = Scene::new(Algorithm::RS256, 1);
    let tokens: Vec<_> = (0..10_000).map(|id| scene.token(id, 600, SCOPE)).collect();
    for token in &tokens {
        assert_eq!(scene.decide(TARGET, &format!("Bearer {token}")), None);
    }
    let memo = &mut scene.memo;
    criterion.bench_function("token/fingerprint", |bencher| {
        bencher.iter(|| memo.fingerprint(black_box(tokens[0].as_bytes())));
    });
    for (name, tokens) in [("token/known", &tokens[..1]), ("token/known_of_10000", &tokens)] {
        let mut next = 0;
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                next = (next + 1) % tokens.len();
                let token = memo.fingerprint(black_box(tokens[next].as_bytes()));
                let found = memo.find(token, |_, _| true, |_| None);
                assert!(matches!(found, Remembered::Good(_)));
            });
        });
    }
}

fn route(criterion: &mut Criterion) {
    for count in [1, 100, 10_000] {
        let routes = Routes::compile(&config(count));
        let paths: Vec<_> = (0..count).map(|number| format!("/service{number}/orders/123")).collect();
        let mut next = 0;
        criterion.bench_function(&format!("route/{count}"), |bencher| {
            bencher.iter(|| {
                // A step that is a prime: each route in its turn, and none beside the one before.
                next = (next + 7919) % count;
                let found = routes.find("GET", "api.test", black_box(&paths[next]));
                assert!(matches!(found, Match::Route(_)));
            });
        });
    }
}

/// A whole token that was never seen, and its bare signature under the same key.
fn verify(criterion: &mut Criterion) {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let scene = Scene::new(algorithm, 1);
        let token = scene.token(1, 600, SCOPE);
        let jwk = scene.key.public_jwk().expect("a public key");
        let set =
            jwk::parse_jwks(json!({ "keys": [jwk] }).to_string().as_bytes(), None).expect("a key set").0;
        criterion.bench_function(&format!("verify/{}/whole", algorithm.name()), |bencher| {
            bencher.iter(|| {
                let unverified = Unverified::parse(black_box(&token), 8192).unwrap();
                let key = set.select(unverified.key_id(), algorithm, None).unwrap();
                key.verify(unverified).unwrap()
            });
        });
        let key = bare_key(algorithm, &jwk);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap();
        criterion.bench_function(&format!("verify/{}/bare", algorithm.name()), |bencher| {
            bencher.iter(|| key.verify_sig(black_box(input.as_bytes()), &signature).unwrap());
        });
    }
}

fn bare_key(algorithm: Algorithm, jwk: &serde_json::Value) -> ParsedPublicKey {
    let member =
        |name: &str| base64_simd::URL_SAFE_NO_PAD.decode_to_vec(jwk[name].as_str().unwrap()).unwrap();
    if algorithm == Algorithm::RS256 {
        let key = RsaPublicKeyComponents { n: member("n"), e: member("e") };
        return key.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256).unwrap();
    }
    if algorithm == Algorithm::ES256 {
        let point = [vec![4], member("x"), member("y")].concat();
        return ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).unwrap();
    }
    ParsedPublicKey::new(&signature::ED25519, member("x")).unwrap()
}

fn fresh(criterion: &mut Criterion) {
    let algorithms =
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    for algorithm in algorithms {
        let scene = Scene::new(algorithm, 1);
        let bearers: Vec<_> =
            (0..FRESH).map(|id| format!("Bearer {}", scene.token(id, 600, SCOPE))).collect();
        let (scene, mut next) = (RefCell::new(scene), 0);
        criterion.bench_function(&format!("fresh/{}", algorithm.name()), |bencher| {
            bencher.iter_batched(
                || {
                    next = (next + 1) % FRESH;
                    // A memo that remembers nothing: every token is new.
                    scene.borrow_mut().memo = Memo::new([7; 16], 1 << 16);
                    next
                },
                |at| scene.borrow_mut().decide(TARGET, black_box(&bearers[at])),
                BatchSize::PerIteration,
            );
        });
    }
}

fn refusals(criterion: &mut Criterion) {
    let mut scene = Scene::new(Algorithm::ES256, 1);
    let good = scene.token(1, 600, SCOPE);
    let bad = format!("{}AAAA", &good[..good.len() - 4]);
    let cases = [
        ("no_credentials", String::new(), Reason::NoCredentials),
        ("malformed_token", "Bearer abc.def.ghi".to_owned(), Reason::MalformedToken),
        ("bad_signature_remembered", format!("Bearer {bad}"), Reason::BadSignature),
        ("expired", format!("Bearer {}", scene.token(2, -600, SCOPE)), Reason::Expired),
        (
            "insufficient_scope",
            format!("Bearer {}", scene.token(3, 600, "openid")),
            Reason::InsufficientScope,
        ),
    ];
    for (name, authorization, reason) in cases {
        assert_eq!(scene.decide(TARGET, &authorization), Some(reason), "{name}");
        criterion.bench_function(&format!("refuse/{name}"), |bencher| {
            bencher.iter(|| scene.decide(TARGET, black_box(&authorization)));
        });
    }
    criterion.bench_function("refuse/no_route", |bencher| {
        bencher.iter(|| scene.decide(black_box("/nowhere"), ""))
    });
}

/// One operation, from the octets of its body to the grant: one that was planned before, and one that nobody has sent yet.
/// The token is remembered, as in `remembered`, which is what it costs without an operation.
fn operations(criterion: &mut Criterion) {
    let mut scene = Scene::of(
        Algorithm::ES256,
        &config_with(1, &format!("  POST /graphql: {{require: {}}}\n", operation::RULES)),
    );
    let bearer = format!("Bearer {}", scene.token(1, 600, operation::SCOPES));
    let body = operation::body(operation::DOCUMENT);
    assert_eq!(scene.operate(&bearer, body.as_bytes()), None);
    criterion.bench_function("operation/remembered", |bencher| {
        bencher.iter(|| scene.operate(black_box(&bearer), black_box(body.as_bytes())));
    });
    let mut number = 0;
    let mut unseen = || {
        number += 1;
        operation::body(&operation::DOCUMENT.replace("created", &format!("c{number:06}")))
    };
    criterion.bench_function("operation/unseen", |bencher| {
        bencher.iter_batched(
            &mut unseen,
            |body| scene.operate(black_box(&bearer), black_box(body.as_bytes())),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, parse, known, route, remembered, operations, verify, fresh, refusals);
criterion_main!(benches);
