//! `config/tokens.yaml` does what it says.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::authority::{Scene, text};
use crate::harness::canary;
use crate::harness::client::Request;
use crate::harness::process::command;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tokens.yaml");
    fs::read_to_string(path).expect("config/tokens.yaml")
}

#[test]
fn it_passes_check_with_the_two_secrets_that_it_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("tokens.yaml"), example()).unwrap();
    let check = || {
        let path = directory.path().join("tokens.yaml");
        command().arg("check").arg("--config").arg(path).output().unwrap().status.code()
    };
    assert_eq!(check(), Some(78), "the secrets are missing");
    for name in ["kek", "pepper"] {
        fs::write(directory.path().join(name), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    }
    assert_eq!(check(), Some(0));
}

/// A newcomer's way: a key, a token, a request.
#[test]
fn a_key_that_is_made_at_run_time_gets_a_token_and_an_invitation() {
    let tail = example();
    let tail = tail.split_once("\nstore:").map(|(_, rest)| format!("store:{rest}")).unwrap();
    let (tail, _) = tail.split_once("\nroutes:").unwrap();
    let scene = Scene::of(tail, |setup| {
        setup.route(
            "GET /table",
            "{require: {issuers: [invitation]}, forward: {headers: {X-Guest: sub, X-Host: client_id}}}",
        )
    });
    let new = json!({"credential": "clients", "scopes": ["orders:read"]}).to_string();
    let made = scene.gateway.send_admin(
        &Request::post("/v1/api-keys", new)
            .host(&scene.gateway.ports.admin.to_string())
            .header("Content-Type", "application/json"),
    );
    assert_eq!(made.status, 201, "{made:?}");
    let (id, key) = (text(&made.json(), "id"), canary::secret(&text(&made.json(), "key")));
    let (token, _) = scene.pair((&id, &key), "orders:read");
    assert_eq!(scene.status("/orders", &token), 200);
    let body = json!({"client_id": id, "client_secret": key, "guest": "carol", "seconds": 60, "table": 7});
    let invited = scene.json("/invitations", &body);
    assert_eq!(invited.status, 201, "{invited:?}");
    let invitation = text(&invited.json(), "invitation");
    assert_eq!(scene.status("/table", &invitation), 200);
    let seen = scene.upstream.last().head;
    assert_eq!((seen.header("x-guest"), seen.header("x-host")), (Some("carol"), Some(&*id)));
    assert_eq!(scene.status("/table", &token), 401, "no invitation");
    let nobody = scene.json("/invitations", &json!({"client_id": id, "client_secret": key}));
    assert_eq!((nobody.status, nobody.json()["error"].as_str()), (400, Some("bad_request")), "{nobody:?}");
}
