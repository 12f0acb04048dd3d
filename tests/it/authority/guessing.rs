//! Credentials are not guessed: failed attempts are counted by id and by address (threats T3).

use crate::authority::oauth::OAUTH;
use crate::authority::{ALICE, BOB, CLIENTS, Scene, assert_error};

#[test]
fn t3_whoever_fails_too_often_waits() {
    let scene = Scene::with(OAUTH);
    let grant = [("grant_type", "client_credentials")];
    let ask = |client| scene.form("/oauth/token", Some(client), &grant);
    for _ in 0..10 {
        assert_error(&ask(("alice", "wrong")), 401, "invalid_client");
    }
    let waits = ask(("alice", ALICE));
    assert_error(&waits, 429, "slow_down");
    let seconds: u64 = waits.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{waits:?}");
    assert_error(&ask(("bob", BOB)), 429, "slow_down");
}

#[test]
fn what_is_right_is_not_counted() {
    let scene = Scene::of(&format!("{CLIENTS}{OAUTH}"), |setup| setup);
    let grant = [("grant_type", "client_credentials")];
    for _ in 0..30 {
        assert_eq!(scene.form("/oauth/token", Some(("bob", BOB)), &grant).status, 200);
    }
}
