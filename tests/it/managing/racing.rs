//! Whoever is taken something away while they use it: what they are given at that moment counts no longer than what they
//! were given before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::authority::{Scene, text};
use crate::harness::client::Request;
use crate::harness::wait::wait_until;
use crate::managing::{KEYS, USERS, ask, by_key, by_password, change, issue, made, scene};

/// Asks for tokens from all sides, does this meanwhile, and gives every token that was given to anybody.
#[track_caller]
fn given(scene: &Scene, request: &Request, at_once: usize, meanwhile: impl FnOnce()) -> Vec<String> {
    let (over, count) = (AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    let ask = || {
        let mut tokens = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let answer = scene.ask(request);
            if answer.status != 200 {
                // Once it is over for one it is over; whoever fails more often has to wait.
                break;
            }
            tokens.push(text(&answer.json(), "access"));
            count.fetch_add(1, Ordering::Relaxed);
        }
        tokens
    };
    thread::scope(|scope| {
        let askers: Vec<_> = (0..at_once).map(|_| scope.spawn(ask)).collect();
        wait_until("all of them were given something", || count.load(Ordering::Relaxed) >= 2 * at_once);
        meanwhile();
        over.store(true, Ordering::Relaxed);
        askers.into_iter().flat_map(|asker| asker.join().expect("an asker")).collect()
    })
}

#[track_caller]
fn none_counts(scene: &Scene, tokens: &[String]) {
    let live = tokens.iter().filter(|token| scene.status("/minted", token) != 401).count();
    assert_eq!(live, 0, "of {} tokens", tokens.len());
}

/// The answer to a removal is the end of what the secret brings, of that too which was asked for before and is given after.
#[test]
fn bug_a_removed_secret_was_given_tokens_by_requests_that_waited() {
    for _ in 0..3 {
        let scene = scene();
        let key = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
        let one = format!("{KEYS}/clients/{}", text(&key, "id"));
        let second = made(&scene, &format!("{one}/secrets"), &json!(null));
        let tokens = given(&scene, &by_key(&key), 6, || {
            assert_eq!(ask(&scene, "DELETE", &format!("{one}/secrets/1"), None).status, 204);
        });
        none_counts(&scene, &tokens);
        let again = issue(&scene, "/auth", by_key(&second));
        assert_eq!(scene.status("/minted", &again), 200, "the other secret counts");
    }
}

#[test]
fn bug_a_disabled_key_was_given_tokens_by_requests_that_waited() {
    for gone in [false, false, true] {
        let scene = scene();
        let key = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
        let one = format!("{KEYS}/clients/{}", text(&key, "id"));
        let tokens = given(&scene, &by_key(&key), 6, || {
            if gone {
                assert_eq!(ask(&scene, "DELETE", &one, None).status, 204);
            } else {
                change(&scene, &one, &json!({"disabled": true}));
            }
        });
        none_counts(&scene, &tokens);
        if !gone {
            change(&scene, &one, &json!({"disabled": true}));
            change(&scene, &one, &json!({"disabled": false}));
            let again = issue(&scene, "/auth", by_key(&key));
            assert_eq!(scene.status("/minted", &again), 200);
        }
    }
}

/// Hashing takes its time: who signed in with the password of before is still being let in when it is another one.
#[test]
fn bug_a_changed_password_and_a_disabled_person_were_let_in_by_sign_ins_under_way() {
    let scene = scene();
    let (old, new) = ("correct horse battery", "another battery, stapled");
    let ann = json!({"id": "ann@example.com", "password": old, "scopes": ["orders:read"]});
    made(&scene, USERS, &ann);
    let one = format!("{USERS}/people/ann@example.com");
    let tokens = given(&scene, &by_password(old), 3, || change(&scene, &one, &json!({"password": new})));
    none_counts(&scene, &tokens);
    let tokens = given(&scene, &by_password(new), 3, || change(&scene, &one, &json!({"disabled": true})));
    none_counts(&scene, &tokens);
    change(&scene, &one, &json!({"disabled": false}));
    let again = issue(&scene, "/login", by_password(new));
    assert_eq!(scene.status("/minted", &again), 200);
}
