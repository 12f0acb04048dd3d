//! Credentials are not guessed: failed attempts are counted by id and by address (threats T3).

use std::net::Ipv4Addr;

use crate::authority::oauth::OAUTH;
use crate::authority::shapes::{SERVER, subjects};
use crate::authority::{ALICE, BOB, CLIENTS, Scene, assert_error};
use crate::harness::client::{Connection, Request};

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

/// A key that is one text has no id that could be counted before it is known.
#[test]
fn strangers_who_guess_at_whole_keys_keep_nobody_out() {
    let (scene, _) = subjects();
    let guess = Request::post("/api/users/bugs/tokens", "{}").bearer("wys_wrong");
    let statuses: Vec<u16> = (0..11)
        .map(|_| {
            let stranger =
                Connection::from_source(Ipv4Addr::new(127, 0, 0, 2).into(), scene.gateway.ports.public);
            stranger.expect("another address of this machine").unaudited().send(&guess).status
        })
        .collect();
    assert_eq!((statuses[9], statuses[10]), (401, 429), "{statuses:?}");
    let own = Request::post("/api/users/bugs/tokens", "{}").bearer(SERVER);
    assert_eq!(scene.ask(&own).status, 200);
}
