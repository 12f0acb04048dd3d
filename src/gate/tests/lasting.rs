//! What a stream hangs by, asked again while it lasts.

use std::sync::Arc;

use serde_json::json;

use crate::gate::Decision;
use crate::gate::denial::Reason;
use crate::gate::evidence::KeysAnswer;
use crate::gate::lasting::Lasting;
use crate::gate::tests::scene::{ISS, NOW, Scene, claims, keys};
use crate::keys::rotation::SigningKey;
use crate::revocation::{Entry, Kind};
use crate::snapshot::{Change, Keys};
use crate::token::{Algorithm, NumericDate};

/// What a grant of a token with these claims hangs by.
fn lasting(scene: &mut Scene, target: &str, over: serde_json::Value) -> Option<Lasting> {
    let authorization = format!("Bearer {}", scene.token(claims(over)));
    match scene.ask("GET", target, &[("Authorization", &authorization)], KeysAnswer::Unavailable) {
        Decision::Allow(grant) => Lasting::of(&grant),
        other @ (Decision::Answer(_)
        | Decision::Refuse(_)
        | Decision::Converse(_)
        | Decision::Preflight(_)
        | Decision::Need(_)) => {
            panic!("{other:?}")
        }
    }
}

fn ended(scene: &Scene, lasting: &mut Lasting, at: i64) -> Option<Reason> {
    lasting.holds(&scene.reader.load(), NumericDate(at)).err().map(|denial| denial.reason)
}

#[test]
fn a_stream_ends_in_the_second_in_which_its_token_is_refused() {
    let mut scene = Scene::new();
    let mut stream = lasting(&mut scene, "/me", json!({"exp": NOW + 100})).expect("a token");
    assert_eq!(stream.until(), NumericDate(NOW + 130), "exp and the leeway");
    assert_eq!(ended(&scene, &mut stream, NOW + 129), None);
    assert_eq!(ended(&scene, &mut stream, NOW + 130), Some(Reason::Expired));
}

#[test]
fn what_hangs_by_no_token_is_not_asked() {
    let mut scene = Scene::new();
    for target in ["/public/a", "/shadow"] {
        assert!(lasting(&mut scene, target, json!({})).is_none(), "{target}");
    }
}

#[test]
fn a_revocation_ends_it_and_another_does_not() {
    let mut scene = Scene::new();
    let mut stream = lasting(&mut scene, "/me", json!({"sub": "alice"})).expect("a token");
    let entry = |value: &str| Entry {
        kind: Kind::Subject,
        issuer: ISS.into(),
        claim: "".into(),
        value: value.into(),
        not_before: None,
        expires: None,
        reason: None,
    };
    scene.revoke(&[entry("bob")]);
    assert_eq!(ended(&scene, &mut stream, NOW), None);
    scene.revoke(&[entry("bob"), entry("alice")]);
    assert_eq!(ended(&scene, &mut stream, NOW), Some(Reason::Revoked));
}

#[test]
fn the_removal_of_its_key_ends_it_and_no_other_change_of_keys_does() {
    let mut scene = Scene::new();
    let mut stream = lasting(&mut scene, "/me", json!({})).expect("a token");
    let other = SigningKey::generate(Algorithm::ES256).expect("a key");
    // An outage takes no key away; nor does another key that comes.
    scene.publish_keys(Keys::Unavailable);
    assert_eq!(ended(&scene, &mut stream, NOW), None);
    let again = keys(&scene.corp, true);
    scene.publish_keys(again);
    assert_eq!(ended(&scene, &mut stream, NOW), None, "the same key, loaded again");
    scene.publish_keys(keys(&other, true));
    assert_eq!(ended(&scene, &mut stream, NOW), Some(Reason::UnknownKey));
}

#[test]
fn the_removal_of_its_issuer_ends_it() {
    let mut scene = Scene::new();
    let mut stream = lasting(&mut scene, "/me", json!({})).expect("a token");
    let other = (Arc::clone(&scene.config.issuers[1]), keys(&scene.other, false));
    scene.publisher.publish(Change::Config {
        routes: Arc::clone(&scene.routes),
        issuers: vec![other],
        revocations: Arc::default(),
        listeners: Vec::new(),
        token_limit: scene.config.limits.token,
    });
    assert_eq!(ended(&scene, &mut stream, NOW), Some(Reason::UntrustedIssuer));
}
