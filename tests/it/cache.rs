//! Remembering a verified token answers for its signature alone (threats R1 to R4).

use std::time::Duration;

use portcullis::gate::denial::Reason::{BadSignature, Expired, InsufficientScope, Revoked, UntrustedIssuer};
use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::keys::random;
use crate::harness::token::now;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{holds, wait_until};

fn orders(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// One worker, so that what was remembered is remembered where the next request is served.
fn api(limits: &'static str) -> Api {
    Api::with(|setup| {
        let setup = setup.workers(1).log("{format: json, level: info, access: false}");
        if limits.is_empty() { setup } else { setup.limits(limits) }
    })
}

fn hits(api: &Api) -> f64 {
    api.gateway.metric("verified_cache_hits_total", &[])
}

#[test]
fn a_token_seen_before_is_remembered() {
    let api = api("");
    let token = api.reader();
    api.allows_token(&token);
    let (before, verified) = (hits(&api), api.gateway.metric("token_verify_seconds_count", &[]));
    for _ in 0..10 {
        api.allows_token(&token);
    }
    wait_until("ten hits", || hits(&api) - before == 10.0);
    assert_eq!(api.gateway.metric("token_verify_seconds_count", &[]), verified);
}

#[test]
fn r2_a_remembered_token_is_checked_anew_on_every_route() {
    let (corp, other) = (Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let gateway = usual(&upstream)
        .workers(1)
        .issuer_with("corp", &corp, "from: [bearer, {header: X-Token}]")
        .issuer_with("other", &other, "from: bearer")
        .route("GET /other", "{require: {issuers: [other]}}")
        .route("GET /bobs", r#"{require: {when: 'claims.sub == "bob"'}}"#)
        .start();
    let token = corp.mint("orders:write");
    assert_allowed(&gateway.get("/me", &token));
    assert_refused(&gateway.get("/other", &token), UntrustedIssuer);
    assert_refused(&gateway.send(&orders(&token)), InsufficientScope);
    assert_eq!(gateway.get("/bobs", &token).status, 403);
    // Remembered from one place, presented in another that its issuer does not name.
    let others = other.mint("");
    assert_allowed(&gateway.get("/me", &others));
    assert_refused(&gateway.send(&Request::get("/me").header("X-Token", &others)), UntrustedIssuer);
    assert_allowed(&gateway.send(&Request::get("/me").header("X-Token", &token)));
}

#[test]
fn r2_a_remembered_token_expires_on_time() {
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup.workers(1).issuer_with("corp", issuer, "leeway: 0s")
    });
    let expires = now() + 3;
    let token = api.issuer.token().scope("orders:read").set("exp", json!(expires)).sign();
    api.allows_token(&token);
    wait_until("the token expires", || api.gateway.send(&orders(&token)).reason() == Expired.code());
    let late = now() - expires;
    assert!((0..=1).contains(&late), "refused {late} seconds after its end");
    let connection = &mut api.gateway.connect();
    assert!(holds(Duration::from_millis(200), || connection.send(&orders(&token)).reason() == Expired.code()));
}

#[test]
fn r2_tokens_that_look_alike_are_told_apart() {
    let api = Api::with(|setup| {
        setup.workers(1).route("GET /me", "{require: authenticated, forward: {headers: {X-Subject: sub}}}")
    });
    // The claims are written in order of their names, so the tokens share their first kilobyte and more.
    let token = |subject: &str| {
        let token = api
            .issuer
            .token()
            .set("aaa", json!("x".repeat(2000)))
            .set("jti", json!("same"))
            .set("iat", json!(now()));
        token.set("sub", json!(subject)).sign()
    };
    let (alice, bob) = (token("alice"), token("bobby"));
    assert_eq!(alice[..1500], bob[..1500]);
    assert_eq!(alice.len(), bob.len());
    for _ in 0..3 {
        for (token, subject) in [(&alice, "alice"), (&bob, "bobby")] {
            assert_allowed(&api.gateway.get("/me", token));
            assert_eq!(api.upstream.last().head.header("x-subject"), Some(subject));
        }
    }
    // Remembered claims under another's signature.
    let (input, _) = alice.rsplit_once('.').expect("three parts");
    let (_, signature) = bob.rsplit_once('.').expect("three parts");
    assert_refused(&api.gateway.get("/me", &format!("{input}.{signature}")), BadSignature);
}

#[test]
fn r3_garbage_never_evicts_what_is_good() {
    let api = api("verified_cache: 1MiB");
    let good: Vec<String> = (0..100).map(|_| api.reader()).collect();
    let mut connection = api.gateway.connect();
    for token in &good {
        assert_allowed(&connection.send(&orders(token)));
    }
    let resident = api.gateway.resident_kib();
    for _ in 0..5000 {
        let garbage = api.issuer.token().scope("orders:read").with_signature(&random(64));
        assert_refused(&connection.send(&orders(&garbage)), BadSignature);
    }
    let before = hits(&api);
    for token in &good {
        assert_allowed(&connection.send(&orders(token)));
    }
    wait_until("every good token is remembered still", || hits(&api) - before >= 99.0);
    let grown = api.gateway.resident_kib().saturating_sub(resident);
    assert!(grown < 16 << 10, "I5: {grown} KiB more for garbage");
}

/// A bad token that is remembered as bad never answers for a good one, nor a good one for it.
#[test]
fn r3_a_bad_token_stays_bad_and_harms_no_other() {
    let api = api("");
    let token = api.issuer.token().scope("orders:read");
    let (good, bad) = (token.sign(), token.with_signature(&random(64)));
    for _ in 0..5 {
        api.refuses(&orders(&bad), BadSignature);
        api.allows(&orders(&good));
    }
}

#[test]
fn r3_the_memory_is_bounded() {
    let api = api("verified_cache: 256KiB");
    let mut connection = api.gateway.connect();
    let resident = api.gateway.resident_kib();
    for _ in 0..4000 {
        assert_allowed(&connection.send(&orders(&api.reader())));
    }
    let metrics = api.gateway.metrics();
    let entries = metrics.sum("verified_cache_entries", &[]);
    assert!(entries > 0.0 && entries < 2000.0, "{entries} entries in 256 KiB");
    wait_until("evictions", || api.gateway.metric("verified_cache_evictions_total", &[]) > 0.0);
    let grown = api.gateway.resident_kib().saturating_sub(resident);
    assert!(grown < 24 << 10, "I5: {grown} KiB more for 256 KiB of memory");
}

/// Publishing a route or a revocation does not flush what was verified; it is merely judged anew.
#[test]
fn r2_a_new_configuration_forgets_no_signature() {
    let issuer = Issuer::start();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        let setup = setup.workers(1).issuer("corp", issuer).file("revoked.yaml", "[]");
        setup.yaml_tail("revocation: {file: revoked.yaml}")
    });
    let token = api.reader();
    api.allows_token(&token);
    let verified = || api.gateway.metric("token_verify_seconds_count", &[]);
    let before = verified();
    api.gateway.rewrite(|yaml| yaml + "  \"GET /more\": public\n");
    api.gateway.wait_for_status(&Request::get("/more"), 200);
    api.allows_token(&token);
    assert_eq!(verified(), before, "a new route cost a signature");
    let entry = json!([{"kind": "subject", "issuer": api.issuer.iss, "value": "alice"}]).to_string();
    api.gateway.replace("revoked.yaml", entry);
    assert_refused(&api.gateway.wait_for_status(&orders(&token), 401), Revoked);
    api.gateway.replace("revoked.yaml", "[]");
    assert_allowed(&api.gateway.wait_for_status(&orders(&token), 200));
    assert_eq!(verified(), before, "a revocation cost a signature");
}
