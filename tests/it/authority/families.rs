//! Refresh tokens: one use each, a grace for those who come together, and death to the family of one that comes back (T5).

use std::process::{Child, Stdio};
use std::thread;

use serde_json::json;

use crate::authority::oauth::OAUTH;
use crate::authority::{ALICE, ASKER, BOB, Scene, assert_error, claims, text};
use crate::harness::client::{Request, Response};
use crate::harness::process::{command, signal, wait_for_exit};
use crate::harness::wait::wait_until;

const SHORT: &str = "
tokens: {renewal: {format: refresh, lifetime: 1h, grace: 0s}}
oauth: {issuer: http://localhost, clients: clients, refresh: renewal}
";

fn refresh(scene: &Scene, token: &str) -> Response {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
    scene.form("/oauth/token", Some(("alice", ALICE)), &pairs)
}

fn pair(response: &Response) -> (String, String) {
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    (text(&body, "access_token"), text(&body, "refresh_token"))
}

#[test]
fn t5_a_replayed_refresh_token_ends_its_family_and_its_access_tokens() {
    let scene = Scene::with(SHORT);
    let (access, first) = scene.pair(("alice", ALICE), "orders:read");
    let (other_access, other) = scene.pair(("alice", ALICE), "orders:read");
    let (renewed, second) = pair(&refresh(&scene, &first));
    for token in [&access, &renewed, &other_access] {
        assert_eq!(scene.status("/orders", token), 200);
    }
    assert_error(&refresh(&scene, &first), 400, "invalid_grant");
    assert_error(&refresh(&scene, &second), 400, "invalid_grant");
    // Those that were remembered as good too.
    for token in [&access, &renewed] {
        assert_eq!(scene.status("/orders", token), 401);
    }
    assert_eq!(scene.status("/orders", &other_access), 200, "another family of the same client");
    assert_eq!(refresh(&scene, &other).status, 200);
}

#[test]
fn t5_callers_that_come_together_get_the_same_token() {
    let scene = Scene::with(OAUTH);
    let (_, first) = scene.pair(("alice", ALICE), "orders:read");
    let answers: Vec<(String, String)> = thread::scope(|scope| {
        let callers: Vec<_> = (0..64).map(|_| scope.spawn(|| pair(&refresh(&scene, &first)))).collect();
        callers.into_iter().map(|caller| caller.join().expect("an answer")).collect()
    });
    let (access, next) = &answers[0];
    assert!(answers.iter().all(|(_, refresh)| refresh == next), "{answers:?}");
    assert_eq!(scene.status("/orders", access), 200);
    let (access, _) = pair(&refresh(&scene, next));
    assert_eq!(scene.status("/orders", &access), 200, "the family lives");
}

#[test]
fn t5_without_a_grace_one_of_many_callers_succeeds() {
    let scene = Scene::with(SHORT);
    let (_, first) = scene.pair(("alice", ALICE), "orders:read");
    let statuses: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> = (0..64).map(|_| scope.spawn(|| refresh(&scene, &first).status)).collect();
        callers.into_iter().map(|caller| caller.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
}

/// A gateway with the configuration of another that has ended.
pub struct Again(Child);

impl Again {
    /// Kills the scene's gateway without a word, and starts another in its place.
    pub fn after_a_kill(scene: &Scene) -> Self {
        scene.gateway.signal("KILL");
        scene.gateway.wait_for_any_exit();
        let mut command = command();
        command.arg("run").arg("--config").arg(scene.gateway.config_path());
        for (name, value) in [("ALICE", ALICE), ("BOB", BOB), ("ASKER", ASKER)] {
            command.env(name, value);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let again = Self(child.expect("the binary can be started"));
        wait_until("it is ready", || scene.gateway.probe("/readyz") == Some(200));
        again
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        signal(&self.0, "KILL");
        wait_for_exit(&mut self.0);
    }
}

/// What the client has counts for as long as the grace, and gives another than the one that it never got.
#[test]
fn t5_a_kill_between_rotation_and_answer_does_not_lock_the_client_out() {
    let scene = Scene::with(&OAUTH.replace(
        "oauth: {",
        "tokens: {renewal: {format: refresh, lifetime: 1h, grace: 30s}}\noauth: {refresh: renewal, ",
    ));
    let (access, first) = scene.pair(("alice", ALICE), "orders:read");
    let (_, lost) = pair(&refresh(&scene, &first));
    let _again = Again::after_a_kill(&scene);
    assert_eq!(scene.status("/orders", &access), 200, "its key was kept");
    let (renewed, second) = pair(&refresh(&scene, &first));
    assert_eq!(scene.status("/orders", &renewed), 200);
    assert_ne!(second, lost);
    let (_, third) = pair(&refresh(&scene, &second));
    assert_ne!(third, second);
    // Two there were, and one goes on: the other one's next is the same.
    assert_eq!(pair(&refresh(&scene, &lost)).1, third);
}

/// No secret and no token stands in the store, in whatever spelling.
#[test]
fn t7_no_token_stands_in_the_store_file() {
    let scene = Scene::with(OAUTH);
    let (access, first) = scene.pair(("alice", ALICE), "orders:read");
    let (_, second) = pair(&refresh(&scene, &first));
    let directory = scene.gateway.directory.path();
    let files = std::fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file").path());
    let files = files.filter(|path| path.display().to_string().contains("portcullis.db"));
    let kept: Vec<u8> = files.flat_map(|path| std::fs::read(path).unwrap_or_default()).collect();
    let has = |text: &[u8]| kept.windows(text.len()).any(|window| window == text);
    assert!(has(b"signing_key") && has(b"family"), "the records are there");
    let signature = access.rsplit('.').next().unwrap_or_default();
    for secret in [ALICE, &first[first.len() - 20..], &second[second.len() - 20..], signature] {
        assert!(!has(secret.as_bytes()), "{secret}");
    }
    for private in ["PRIVATE KEY", "-----BEGIN", "\"d\":"] {
        assert!(!has(private.as_bytes()), "{private}");
    }
}

const LISTED: &str = "
store: {sqlite: portcullis.db}
credentials:
  keys: {api_keys: {entries: {file: keys.json}}, from: basic}
  people: {people: {entries: {file: people.json, secret: secret}}, from: {id: {body: email}, secret: {body: password}}}
tokens:
  access: {sign: {algorithm: HS256, secret: {env: SIGNING}}}
  refresh: {format: refresh, sliding: true}
endpoints:
  POST /auth: {issue: [access, refresh], credential: keys}
  POST /login: {issue: [access, refresh], credential: people}
  POST /renew: {refresh: refresh}
  POST /introspect: {introspect: refresh, credential: keys}
";

/// Whoever was taken out of the list could refresh for ever, where the endpoint asks for no credential.
#[test]
fn a_family_ends_with_the_credential_that_it_was_begun_with() {
    let entry = |id: &str, secret: &str| json!({"id": id, "secret": secret, "scopes": ["orders:read"]});
    let (alice, bob) = (entry("alice", ALICE), entry("bob", BOB));
    let all = json!([alice, bob]).to_string();
    let scene = Scene::of(LISTED, |setup| {
        let signing = crate::harness::canary::secret("a-secret-that-signs-Wq7NbM4xLk9JhGf2Rt5Ye");
        setup.file("keys.json", &all).file("people.json", &all).env("SIGNING", &signing)
    });
    let by_key = |id: &str, secret: &str| {
        pair(&scene.ask(&Request::post("/auth", "{}").header("Authorization", &super::basic(id, secret)))).1
    };
    let by_password =
        |id: &str, secret: &str| pair(&scene.json("/login", &json!({"email": id, "password": secret}))).1;
    let renew = |token: &str| scene.json("/renew", &json!({"refresh_token": token}));
    let (gone, person, kept) = (by_key("alice", ALICE), by_password("alice", ALICE), by_key("bob", BOB));
    let (_, gone) = pair(&renew(&gone));
    let (_, person) = pair(&renew(&person));
    scene.gateway.replace("keys.json", json!([bob]).to_string());
    scene.gateway.replace("people.json", json!([bob]).to_string());
    assert_eq!(scene.gateway.reload().status, 200);
    assert_error(&renew(&gone), 400, "invalid_grant");
    assert_error(&renew(&person), 400, "invalid_grant");
    pair(&renew(&kept));
    scene.gateway.replace("keys.json", &all);
    assert_eq!(scene.gateway.reload().status, 200);
    pair(&renew(&gone));
}

/// The answer would not have had the next token in it, and the one before was used up.
#[test]
fn an_answer_that_cannot_be_filled_uses_no_refresh_token_up() {
    let scene = Scene::with(
        "
tokens: {access: {}, renewal: {format: refresh, grace: 0s}}
endpoints:
  POST /auth: {issue: [access, renewal], credential: clients}
  POST /renew:
    refresh: renewal
    answer: {headers: {X-Echo: '{body.echo}'}, body: {access_token: '{token.access}', refresh_token: '{token.renewal}'}}
",
    );
    let (_, first) = pair(&scene.form("/auth", Some(("alice", ALICE)), &[]));
    for body in [json!({"refresh_token": first}), json!({"refresh_token": first, "echo": "a\r\nb: c"})] {
        assert_error(&scene.json("/renew", &body), 400, "invalid_request");
    }
    pair(&scene.json("/renew", &json!({"refresh_token": first, "echo": "a"})));
}

/// It kept for ever what it was begun with: only disabling its holder ended that.
#[test]
fn a_refresh_gives_no_scope_that_its_holder_has_lost() {
    let entry =
        |id: &str, secret: &str, scopes: &[&str]| json!({"id": id, "secret": secret, "scopes": scopes});
    let both = ["orders:read", "orders:write"];
    let list = |scopes: &[&str]| json!([entry("alice", ALICE, scopes), entry("bob", BOB, &both)]).to_string();
    let scene = Scene::of(LISTED, |setup| {
        let signing = crate::harness::canary::secret("a-secret-that-signs-Wq7NbM4xLk9JhGf2Rt5Ye");
        let setup = setup.file("keys.json", list(&both)).file("people.json", list(&both));
        setup.env("SIGNING", &signing)
    });
    let by_key = |id: &str, secret: &str| {
        pair(&scene.ask(&Request::post("/auth", "{}").header("Authorization", &super::basic(id, secret)))).1
    };
    let person = pair(&scene.json("/login", &json!({"email": "alice", "password": ALICE}))).1;
    let renew = |token: &str| pair(&scene.json("/renew", &json!({"refresh_token": token})));
    let (key, other) = (by_key("alice", ALICE), by_key("bob", BOB));
    let scopes = |access: &str| claims(access)["scope"].clone();
    let (access, key) = renew(&key);
    assert_eq!(scopes(&access), "orders:read orders:write");
    scene.gateway.replace("keys.json", list(&["orders:read"]));
    scene.gateway.replace("people.json", list(&[]));
    assert_eq!(scene.gateway.reload().status, 200);
    let (access, key) = renew(&key);
    assert_eq!(scopes(&access), "orders:read");
    assert_ne!(scopes(&renew(&person).0), "orders:read orders:write");
    assert_eq!(scopes(&renew(&other).0), "orders:read orders:write");
    // What is given back is there again.
    scene.gateway.replace("keys.json", list(&both));
    assert_eq!(scene.gateway.reload().status, 200);
    assert_eq!(scopes(&renew(&key).0), "orders:read orders:write");
}
