//! How long an API key takes to be refused does not say what of it is right (threats T1).
//!
//! Measured as whoever guesses would: by requests. Here because nothing else runs beside these tests.

use std::time::Instant;

use portcullis::mint::api_key;
use serde_json::Value;

use crate::authority::{Scene, text};
use crate::harness::client::{Connection, Request};
use crate::harness::keys::random;

const KEYS: &str = "
store: {sqlite: portcullis.db}
signing_keys: {sealed_with: {file: kek}}
credentials: {keys: {api_keys: {prefix: pk_, managed: true, pepper: {file: pepper}}, from: {header: x-api-key}}}
tokens: {access: {format: jwt}}
endpoints: {POST /token: {issue: [access], credential: keys, attempts: 1000000, answer: {body: {access: '{token.access}'}}}}
";

/// Of each kind.
const SAMPLES: usize = 20_000;

/// Keys, so that what one text takes longer to be read than another is in every kind.
const MADE: usize = 64;

/// The rule of dudect (Reparaz and others, "Dude, is my code constant time?").
const BOUND: f64 = 4.5;

/// A machine that is busy with something else disturbs a run; a difference of the work itself is in all of them.
const RUNS: usize = 5;

/// An id that nobody has, the first character of a secret wrong, and the last; each as often as any other. What a difference
/// would have to be to be seen is said. (Where nothing stands between the clock and the work, a planted one is found:
/// `authority::api_keys::tests::t1_a_look_up_takes_as_long_whatever_is_wrong`.)
#[test]
fn t1_a_key_takes_as_long_to_be_refused_whatever_is_wrong() {
    let scene = Scene::of(KEYS, |setup| setup.workers(1).quiet());
    let keys: Vec<[String; 3]> = (0..MADE).map(|_| guesses(&scene)).collect();
    let mut seen = Vec::new();
    while seen.len() < RUNS && seen.last().is_none_or(|t| *t >= BOUND) {
        let [unknown, first, last] = measure(&scene, &keys).map(moments);
        seen.push(t(unknown, first).max(t(first, last)).max(t(unknown, last)));
        let visible = BOUND * (unknown.1 + first.1).sqrt();
        println!("attack key lookup: Welch's t {seen:.2?}, a difference of {visible:.0} ns would show");
    }
    assert!(seen.last().is_some_and(|t| *t < BOUND), "Welch's t: {seen:?}");
}

/// What is guessed of a key that is made for it.
fn guesses(scene: &Scene) -> [String; 3] {
    let make = Request::post("/v1/api-keys", r#"{"credential": "keys"}"#);
    let made = scene.gateway.send_admin(&make.host(&scene.gateway.ports.admin.to_string()));
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = made.json();
    let (id, whole) = (text(&made, "id"), text(&made, "secret"));
    let secret = &whole["pk_".len() + id.len()..whole.len() - api_key::CHECKSUM];
    let changed = |text: &str, at: usize| {
        let mut octets = text.as_bytes().to_vec();
        octets[at] = match octets[at] {
            octet @ (b'9' | b'Z' | b'z') => octet - 1,
            octet => octet + 1,
        };
        String::from_utf8(octets).expect("text")
    };
    let (first, last) = (changed(secret, 0), changed(secret, secret.len() - 1));
    let unknown = api_key::written("pk_", &changed(&id, 5), secret);
    let written = |secret: &str| api_key::written("pk_", &id, secret).to_string();
    [unknown.to_string(), written(&first), written(&last)]
}

/// How long each kind took, in nanoseconds, in an order that nothing can learn.
fn measure(scene: &Scene, keys: &[[String; 3]]) -> [Vec<u64>; 3] {
    let asked = |key: &String| Request::post("/token", "").header("X-Api-Key", key).octets();
    let asked: Vec<[Vec<u8>; 3]> = keys.iter().map(|kinds| kinds.each_ref().map(asked)).collect();
    let mut connection = Connection::open(scene.gateway.ports.public).unaudited();
    let mut taken: [Vec<u64>; 3] = std::array::from_fn(|_| Vec::with_capacity(SAMPLES));
    let order = random(SAMPLES * 6);
    for dice in order.chunks_exact(6) {
        let mut kinds = [0, 1, 2];
        (1..3).rev().for_each(|place| kinds.swap(place, usize::from(dice[place]) % (place + 1)));
        for (kind, dice) in kinds.into_iter().zip(&dice[3..]) {
            let octets = &asked[usize::from(*dice) % MADE][kind];
            let begun = Instant::now();
            connection.write(octets);
            let answer = connection.answer_to("POST");
            taken[kind].push(begun.elapsed().as_nanos() as u64);
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    }
    taken
}

/// The mean, and the square of its standard error. The slowest twentieth of a kind was interrupted.
fn moments(mut taken: Vec<u64>) -> (f64, f64) {
    taken.sort_unstable();
    taken.truncate(taken.len() - taken.len() / 20);
    let count = taken.len() as f64;
    let mean = taken.iter().map(|took| *took as f64).sum::<f64>() / count;
    let variance = taken.iter().map(|took| (*took as f64 - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

/// Welch's t.
fn t(one: (f64, f64), other: (f64, f64)) -> f64 {
    (one.0 - other.0).abs() / (one.1 + other.1).sqrt()
}
