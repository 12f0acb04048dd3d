//! What entries would stop, of what is remembered; and what a token that is held out names.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::gate::denial::Reason;
use crate::gate::matching::{Matching, Stopped, count};
use crate::gate::memo::TokenFacts;
use crate::gate::presented;
use crate::gate::tests::scene::{ISS, NOW, Scene, claims, keys};
use crate::revocation::held::{Held, Id};
use crate::revocation::{Entry, Kind};
use crate::snapshot::Keys;
use crate::token::NumericDate;

fn entry(kind: Kind, value: &str, not_before: Option<i64>) -> Entry {
    Entry {
        kind,
        issuer: if kind == Kind::All { "" } else { ISS }.into(),
        claim: "".into(),
        value: value.into(),
        not_before: not_before.map(NumericDate),
        expires: None,
        reason: None,
    }
}

fn remembered(scene: &Scene) -> Vec<Arc<TokenFacts>> {
    scene.memo.good().cloned().collect()
}

fn matching(scene: &Scene, tokens: &[Arc<TokenFacts>], entries: &[Entry], now: i64) -> Matching {
    let held: Vec<Held> = entries.iter().map(|entry| entry.held(Id(1))).collect();
    count(&scene.reader.load(), (tokens, Vec::new()), &held, NumericDate(now))
}

/// So many tokens, each of these and all of them.
fn tokens<const N: usize>(each: [usize; N], any: usize, of: usize) -> Matching {
    let tokens = |tokens| Stopped { tokens, streams: 0 };
    Matching { each: each.map(tokens).into(), any: tokens(any), of: tokens(of) }
}

fn seen(scene: &mut Scene, over: Value) {
    let authorization = format!("Bearer {}", scene.token(claims(over)));
    scene.refused("/me", &[("Authorization", authorization.as_str())]);
}

#[test]
fn a_token_counts_once_for_each_entry_that_would_stop_it() {
    let mut scene = Scene::new();
    seen(&mut scene, json!({"jti": "t1", "iat": NOW - 500}));
    seen(&mut scene, json!({"jti": "t2"}));
    seen(&mut scene, json!({"jti": "t3", "sub": "bob", "iat": null}));
    // Two workers have seen it.
    let twice = [remembered(&scene), remembered(&scene)].concat();
    let entries = [
        entry(Kind::Subject, "alice", None),
        entry(Kind::Subject, "alice", Some(NOW - 100)),
        // Within the leeway after a watermark it is stopped too; and without `iat`, by any.
        entry(Kind::Subject, "alice", Some(NOW - 30)),
        entry(Kind::Subject, "bob", Some(1)),
        entry(Kind::Jti, "t2", None),
        entry(Kind::Jti, "t9", None),
        entry(Kind::Tenant, "acme", None),
    ];
    let found = matching(&scene, &twice, &entries, NOW);
    assert_eq!(found, tokens([2, 1, 2, 1, 1, 0, 3], 3, 3));
    let found = matching(&scene, &twice, &entries[4..6], NOW);
    assert_eq!(found, tokens([1, 0], 1, 3));
}

#[test]
fn what_is_not_accepted_anyway_does_not_count() {
    let mut scene = Scene::new();
    seen(&mut scene, json!({"jti": "t1"}));
    seen(&mut scene, json!({"jti": "t2", "aud": "another"}));
    seen(&mut scene, json!({"jti": "t3", "exp": NOW + 10}));
    let seen = remembered(&scene);
    assert_eq!(seen.len(), 3);
    let all = [entry(Kind::All, "", None)];
    assert_eq!(matching(&scene, &seen, &all, NOW).any.tokens, 2, "of another audience");
    assert_eq!(matching(&scene, &seen, &all, NOW + 100).any.tokens, 1, "and one that has ended");
    scene.revoke(&[entry(Kind::Jti, "t1", None)]);
    assert_eq!(matching(&scene, &seen, &all, NOW + 100), tokens([0], 0, 0));
    scene.revoke(&[]);
    let others = keys(&scene.other, true);
    scene.publish_keys(others);
    assert_eq!(matching(&scene, &seen, &all, NOW).of.tokens, 0, "its key is gone");
}

#[track_caller]
fn refused(scene: &Scene, token: &str, now: i64) -> Option<Reason> {
    presented::read(&scene.reader.load(), token, NumericDate(now)).err().map(|denial| denial.reason)
}

/// A token lasts as long as it is accepted, and what names it is what the issuer's map finds.
#[test]
fn a_token_that_is_held_out_is_verified_first() {
    let mut scene = Scene::new();
    let token = scene.token(claims(json!({"sid": "s1", "aud": "another", "jti": ""})));
    let found = presented::read(&scene.reader.load(), &token, NumericDate(NOW)).expect("one of ours");
    assert_eq!((&*found.issuer, found.ends), (ISS, NumericDate(NOW + 630)));
    // An empty name is none.
    assert_eq!((found.ids, found.sessions), (vec![], vec!["s1".into()]));
    assert_eq!(refused(&scene, &token, NOW + 629), None);
    assert_eq!(refused(&scene, &token, NOW + 630), Some(Reason::Expired));
    let forged = scene.other.mint(&claims(json!({})), "JWT").expect("a token");
    assert!(matches!(refused(&scene, &forged, NOW), Some(Reason::UnknownKey | Reason::BadSignature)));
    for (over, reason) in [
        (json!({"exp": null}), Reason::MissingClaim),
        (json!({"iss": null}), Reason::MissingClaim),
        (json!({"iss": "https://nobody.test/"}), Reason::UntrustedIssuer),
    ] {
        assert_eq!(refused(&scene, &scene.token(claims(over)), NOW), Some(reason));
    }
    assert_eq!(refused(&scene, "x.y.z", NOW), Some(Reason::MalformedToken));
    scene.publish_keys(Keys::Unavailable);
    assert_eq!(refused(&scene, &token, NOW), Some(Reason::KeysUnavailable));
}
