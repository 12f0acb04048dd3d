//! Credentials are not guessed: failed attempts are counted by id and by address (threats T3).

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::authority::oauth::OAUTH;
use crate::authority::shapes::{SERVER, subjects};
use crate::authority::{ALICE, BOB, CLIENTS, Scene, assert_error, basic, text};
use crate::harness::client::{Connection, Request};

const MANAGED: &str = "
store: {sqlite: portcullis.db}
signing_keys: {sealed_with: {file: kek}}
oauth: {issuer: http://localhost, pepper: {file: pepper}}
";

const PEOPLE: &str = "
store: {sqlite: portcullis.db}
signing_keys: {sealed_with: {file: kek}}
credentials: {people: {people: {entries: {file: people.json, id: name}}, from: {id: {body: name}, secret: {body: password}}}}
tokens: {access: {}}
endpoints: {POST /login: {issue: [access], credential: people, attempts: 1000, answer: {body: {access: '{token.access}'}}}}
";

/// `secret-password` by argon2id, with the parameters that the configuration has by default.
const ANN: &str = r#"[{"name": "ann", "password":
    "$argon2id$v=19$m=19456,t=2,p=1$pyUyL2TUERQHSVaWTww8kQ$zbZbuNgQX9LkD7oCduGKizNoXVKw8BPIoCUvEc6JWvg"}]"#;

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

/// What a client says of the way it came is nobody's address, unless a trusted peer says it.
#[test]
fn t3_another_forwarded_address_is_no_other_address() {
    let scene = Scene::with(OAUTH);
    let statuses: Vec<u16> = (0..12)
        .map(|number| {
            let ids = ["alice", "bob", "nobody"];
            let request = Request::post("/oauth/token", "grant_type=client_credentials")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("Authorization", &basic(ids[number % 3], "wrong"))
                .header("X-Forwarded-For", &format!("192.0.2.{number}"))
                .header("X-Real-IP", &format!("192.0.2.{number}"))
                .header("Forwarded", &format!("for=192.0.2.{number}"));
            scene.ask(&request).status
        })
        .collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
}

/// Secrets that were made here are beyond guessing: to count attempts with their ids would only let strangers lock their
/// owners out. Of ids that nobody has, the same is seen.
#[test]
fn t3_strangers_who_know_the_id_of_a_key_that_was_made_here_keep_nobody_out() {
    let scene = Scene::of(MANAGED, |setup| setup);
    let make = Request::post("/v1/api-keys", "{}").host(&scene.gateway.ports.admin.to_string());
    let made = scene.gateway.send_admin(&make);
    assert_eq!(made.status, 201, "{made:?}");
    let (id, secret) = (text(&made.json(), "id"), text(&made.json(), "secret"));
    let ask = |from: u8, id: &str, secret: &str| {
        let from = Ipv4Addr::new(127, 0, 0, from).into();
        let connection = Connection::from_source(from, scene.gateway.ports.public);
        let request = Request::post("/oauth/token", "grant_type=client_credentials")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Authorization", &basic(id, secret));
        connection.expect("another address of this machine").unaudited().send(&request).status
    };
    for id in [&*id, "0123456789aB"] {
        // Two addresses, so that the id fails more often than either of them may.
        let (one, other) = if id == "0123456789aB" { (4, 5) } else { (2, 3) };
        let guesses: Vec<u16> =
            (0..16).map(|guess| ask(if guess < 8 { one } else { other }, id, "wrong")).collect();
        assert_eq!(guesses, [401; 16], "{id}");
    }
    assert_eq!(ask(1, &id, &secret), 200);
    // Each address may fail only so often still.
    let more: Vec<u16> = (0..4).map(|_| ask(2, &id, "wrong")).collect();
    assert_eq!(more, [401, 401, 429, 429]);
}

/// T2: two hundred who try passwords at once are all refused, and what they are given to work with is bounded.
#[test]
fn t2_two_hundred_passwords_at_once_are_refused_within_bounded_memory() {
    let scene = Scene::of(PEOPLE, |setup| setup.file("people.json", ANN));
    let sign_in = |password: &str| {
        let body = serde_json::json!({"name": "ann", "password": password}).to_string();
        Request::post("/login", body).header("Content-Type", "application/json")
    };
    assert_eq!(scene.ask(&sign_in("secret-password")).status, 200);
    let before = scene.gateway.resident_kib();
    let (most, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(scene.gateway.resident_kib(), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let tries: Vec<_> = (0..200)
            .map(|number| {
                scope.spawn({
                    let request = sign_in(&format!("wrong-{number}"));
                    let scene = &scene;
                    move || scene.ask(&request).status
                })
            })
            .collect();
        let tried: Vec<_> = tries.into_iter().map(|tried| tried.join()).collect();
        over.store(true, Ordering::Relaxed);
        watch.join().expect("watched");
        tried.into_iter().map(|tried| tried.expect("an answer")).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429 | 503)), "{statuses:?}");
    assert!(statuses.contains(&401), "somebody's password was looked at: {statuses:?}");
    // Each that is looked at takes 19 MiB, and half as many as there are cores are at once; the rest is what two hundred
    // connections take.
    let grown = most.load(Ordering::Relaxed).saturating_sub(before);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let at_once = (cores / 2).max(1);
    assert!(grown < (at_once * 19 + 96) << 10, "{grown} KiB, where {at_once} may be looked at at once");
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
