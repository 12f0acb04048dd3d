//! Step 11: by what a token can be revoked.

use serde_json::{Value, json};

use crate::gate::Decision;
use crate::gate::denial::Reason;
use crate::gate::evidence::KeysAnswer;
use crate::gate::tests::scene::{ISS, NOW, OTHER, Scene, claims};
use crate::revocation::{Entry, Kind};
use crate::token::NumericDate;

fn entry(kind: Kind, value: &str) -> Entry {
    Entry {
        kind,
        issuer: if kind == Kind::All { "" } else { ISS }.into(),
        claim: "".into(),
        value: value.into(),
        not_before: None,
        expires: None,
        reason: None,
    }
}

fn of_claim(claim: &str, value: &str) -> Entry {
    Entry { claim: claim.into(), ..entry(Kind::Claim, value) }
}

/// Published and asked at once: a token that is remembered and one that is not.
#[track_caller]
fn revokes(scene: &mut Scene, entry: Entry, more: Value, revoked: bool) {
    let what = format!("{entry:?} {more}");
    scene.revoke(&[]);
    scene.check("/me", claims(more.clone()), None);
    scene.revoke(std::slice::from_ref(&entry));
    let authorization = format!("Bearer {}", scene.token(claims(more.clone())));
    let headers = [("Authorization", authorization.as_str())];
    for round in ["fresh", "again"] {
        match scene.ask("GET", "/me", &headers, KeysAnswer::Unavailable) {
            Decision::Refuse(refusal) => {
                assert!(revoked, "{round}: {what}");
                assert_eq!(refusal.denial.reason, Reason::Revoked, "{what}");
                assert_eq!(refusal.denial.detail, format!("revoked by {}", entry.kind.name()), "{what}");
            }
            Decision::Allow(_) => assert!(!revoked, "{round}: {what}"),
            Decision::Answer(_) | Decision::Converse(_) | Decision::Preflight(_) | Decision::Need(_) => {
                panic!("{what}")
            }
        }
    }
    let verdict = revoked.then_some(Reason::Revoked);
    scene.check("/me", claims(more), verdict);
}

#[test]
fn r1_a_revocation_counts_on_the_very_next_request() {
    let mut scene = Scene::new();
    scene.check("/me", claims(json!({})), None);
    scene.revoke(&[entry(Kind::Jti, "t1")]);
    scene.check("/me", claims(json!({})), Some(Reason::Revoked));
    scene.check("/me", claims(json!({"jti": "t2"})), None);
    let watermark = Entry { not_before: Some(NumericDate(NOW)), ..entry(Kind::Subject, "alice") };
    scene.revoke(&[watermark]);
    scene.check("/me", claims(json!({})), Some(Reason::Revoked));
    scene.check("/me", claims(json!({"iat": null})), Some(Reason::Revoked));
    scene.check("/me", claims(json!({"sub": "bob"})), None);
    scene.revoke(&[]);
    scene.check("/me", claims(json!({})), None);
}

#[test]
fn a_token_is_revoked_by_whatever_it_has() {
    let mut scene = Scene::new();
    let kid = scene.corp.key_id().expect("a key id").to_owned();
    let all = json!({"tid": "acme", "client_id": "app", "azp": "other-app", "sid": "s-1"});
    for (entry, revoked) in [
        (entry(Kind::All, ""), true),
        (entry(Kind::Issuer, ""), true),
        (entry(Kind::Kid, &kid), true),
        (entry(Kind::Kid, "another"), false),
        (entry(Kind::Tenant, "acme"), true),
        (entry(Kind::Tenant, "Acme"), false),
        (entry(Kind::Client, "app"), true),
        // The first of `claims.client` that is there is the client.
        (entry(Kind::Client, "other-app"), false),
        (entry(Kind::Subject, "alice"), true),
        (entry(Kind::Session, "s-1"), true),
        (entry(Kind::Session, "alice"), false),
        (entry(Kind::Jti, "t1"), true),
        // It is no API key.
        (entry(Kind::ApiKey, "t1"), false),
        (Entry { issuer: OTHER.into(), ..entry(Kind::Issuer, "") }, false),
        (Entry { issuer: OTHER.into(), ..entry(Kind::Kid, &kid) }, false),
        (Entry { issuer: OTHER.into(), ..entry(Kind::Subject, "alice") }, false),
    ] {
        revokes(&mut scene, entry, all.clone(), revoked);
    }
    for kind in [Kind::Tenant, Kind::Client, Kind::Session] {
        revokes(&mut scene, entry(kind, ""), json!({}), false);
    }
    revokes(&mut scene, entry(Kind::Client, "other-app"), json!({"azp": "other-app"}), true);
}

/// A value that is no text is written as JSON writes it: an entry that names it must not be passed by.
#[test]
fn a_value_may_be_a_number_or_one_of_a_list() {
    let mut scene = Scene::new();
    for (entry, more, revoked) in [
        (entry(Kind::Tenant, "42"), json!({"tid": 42}), true),
        (entry(Kind::Tenant, "42"), json!({"tid": "42"}), true),
        (entry(Kind::Tenant, "42"), json!({"tid": 43}), false),
        (entry(Kind::Session, "true"), json!({"sid": true}), true),
        (entry(Kind::Session, "null"), json!({"sid": null}), false),
        (entry(Kind::Session, "{}"), json!({"sid": {}}), false),
        (of_claim("amr", "otp"), json!({"amr": ["pwd", "otp"]}), true),
        (of_claim("amr", "sms"), json!({"amr": ["pwd", "otp"]}), false),
        (of_claim("amr", "7"), json!({"amr": ["pwd", 7]}), true),
    ] {
        revokes(&mut scene, entry, more, revoked);
    }
}

#[test]
fn only_declared_claims_are_looked_at() {
    let mut scene = Scene::new();
    let more = json!({"device_id": "d", "device": {"serial": "x"}, "colour": "red"});
    for (entry, revoked) in [
        (of_claim("device_id", "d"), true),
        (of_claim("device_id", "e"), false),
        (of_claim("/device/serial", "x"), true),
        (of_claim("device_id", "x"), false),
        (of_claim("colour", "red"), false),
        (Entry { issuer: OTHER.into(), ..of_claim("device_id", "d") }, false),
    ] {
        revokes(&mut scene, entry, more.clone(), revoked);
    }
}
