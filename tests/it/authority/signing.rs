//! Keys that the gateway makes: published before they sign, sealed where they are kept, replaced in time or at once (T8).

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::authority::families::Again;
use crate::authority::oauth::OAUTH;
use crate::authority::{ALICE, Scene};
use crate::harness::client::Request;
use crate::harness::wait::wait_until;

fn header(token: &str) -> Value {
    let header = token.split('.').next().expect("a JWT");
    let octets = URL_SAFE_NO_PAD.decode_to_vec(header).expect("base64url");
    serde_json::from_slice(&octets).expect("JSON")
}

fn published(scene: &Scene) -> Vec<String> {
    let response = scene.ask(&Request::get("/.well-known/jwks.json"));
    assert_eq!(response.status, 200, "{response:?}");
    let keys = response.json()["keys"].as_array().expect("keys").clone();
    for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
        assert!(keys.iter().all(|key| key.get(private).is_none()), "{private} in {keys:?}");
    }
    for key in &keys {
        // RFC 7638 section 3.1: the members that have to be there, in order, without a blank.
        let members = ["crv", "kty", "x", "y"].into_iter().filter(|name| key.get(name).is_some());
        let members: Vec<String> = members.map(|name| format!("{}:{}", json!(name), key[name])).collect();
        let digest = digest(&SHA256, format!("{{{}}}", members.join(",")).as_bytes());
        assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode_to_string(digest.as_ref()), "{key}");
    }
    keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

fn keys(scene: &Scene) -> Vec<Value> {
    let response = scene.gateway.admin("GET", "/v1/keys");
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["keys"].as_array().expect("keys").clone()
}

fn states(scene: &Scene) -> Vec<String> {
    keys(scene).iter().map(|key| key["state"].as_str().expect("a state").to_owned()).collect()
}

fn rotate(scene: &Scene, rotation: &Value) -> Vec<Value> {
    let request = Request::post("/v1/keys/rotate", rotation.to_string())
        .host(&scene.gateway.ports.admin.to_string())
        .header("Content-Type", "application/json");
    let response = scene.gateway.send_admin(&request);
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["keys"].as_array().expect("keys").clone()
}

fn access(scene: &Scene) -> String {
    scene.pair(("alice", ALICE), "orders:read").0
}

#[test]
fn t8_the_next_key_is_published_before_it_signs() {
    let scene = Scene::with(OAUTH);
    let first = header(&access(&scene))["kid"].clone();
    assert_eq!(published(&scene), [first.as_str().expect("a kid")]);
    assert_eq!(states(&scene), ["active"]);
    let new = rotate(&scene, &json!({}));
    assert_eq!((new.len(), &new[0]["state"]), (1, &json!("staged")), "{new:?}");
    assert_eq!(states(&scene), ["active", "staged"]);
    assert!(published(&scene).contains(&new[0]["kid"].as_str().expect("a kid").to_owned()));
    assert_eq!(header(&access(&scene))["kid"], first, "it does not sign yet");
    let again = rotate(&scene, &json!({"algorithm": "ES256"}));
    assert_eq!(again, new, "it is staged already");
}

/// No token is ever signed with a key that is not published, and all of them are taken while they live.
#[test]
fn t8_keys_replace_each_other_and_no_token_is_refused_for_it() {
    let yaml = OAUTH.replace("oauth:", "oauth: ");
    let scene = Scene::of(
        &format!("{}{yaml}", crate::authority::CLIENTS)
            .replace("sealed_with: {file: kek}", "sealed_with: {file: kek}, rotate: 2s, publish: 1s"),
        |setup| setup,
    );
    let mut tokens: Vec<String> = Vec::new();
    wait_until("three keys have signed", || {
        let token = access(&scene);
        let kid = header(&token)["kid"].as_str().expect("a kid").to_owned();
        assert!(published(&scene).contains(&kid), "{kid}");
        if tokens.iter().all(|token| header(token)["kid"] != kid.as_str()) {
            tokens.push(token);
        }
        tokens.len() == 3
    });
    for token in &tokens {
        assert_eq!(scene.status("/orders", token), 200);
    }
}

#[test]
fn t8_in_an_emergency_nothing_counts_that_the_old_key_has_signed() {
    let scene = Scene::with(OAUTH);
    let stolen = access(&scene);
    assert_eq!(scene.status("/orders", &stolen), 200);
    let new = rotate(&scene, &json!({"emergency": true}));
    assert_eq!(new[0]["state"], "active", "{new:?}");
    assert_eq!(scene.status("/orders", &stolen), 401);
    assert_eq!(published(&scene), [new[0]["kid"].as_str().expect("a kid")]);
    let token = access(&scene);
    assert_eq!(header(&token)["kid"], new[0]["kid"]);
    assert_eq!(scene.status("/orders", &token), 200);
    let revoked = scene.gateway.admin("GET", "/v1/revocations?kind=kid").json();
    assert_eq!(revoked["entries"].as_array().map(Vec::len), Some(1), "{revoked}");
    let _again = Again::after_a_kill(&scene);
    assert_eq!(scene.status("/orders", &stolen), 401);
    assert_eq!(scene.status("/orders", &token), 200);
}

#[test]
fn the_command_line_lists_and_replaces_them() {
    let scene = Scene::with(OAUTH);
    let kid = header(&access(&scene))["kid"].as_str().expect("a kid").to_owned();
    let directory = scene.gateway.directory.path();
    let config = scene.gateway.config_path().display().to_string();
    let command = |arguments: &[&str]| {
        let mut command = crate::harness::process::command();
        command.arg("keys").args(arguments).arg("--config").arg(&config).current_dir(directory);
        for (name, value) in [("ALICE", ALICE), ("BOB", super::BOB), ("ASKER", super::ASKER)] {
            command.env(name, value);
        }
        let output = command.output().expect("the binary can be started");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let listed = command(&["list"]);
    assert!(listed.contains(&kid) && listed.contains("active"), "{listed}");
    assert!(command(&["rotate"]).contains("staged"));
    let replaced = command(&["rotate", "--emergency"]);
    assert!(replaced.contains("active") && !replaced.contains(&kid), "{replaced}");
    assert!(!command(&["list", "--json"]).contains("PRIVATE"));
}

#[test]
fn another_key_than_sealed_them_is_refused_with_its_place() {
    let scene = Scene::with(OAUTH);
    let token = access(&scene);
    let config = scene.gateway.config_path();
    // What is in the file may be a slip of the hand, or half of another restore: it is not sealed with.
    scene.gateway.replace("kek", [8; 32]);
    let refused = scene.gateway.reload();
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(
        refused.text().contains("another key than the one that its signing keys are sealed with"),
        "{refused:?}"
    );
    scene.gateway.replace("kek", [7; 32]);
    assert_eq!(scene.gateway.reload().status, 200);
    // While it runs, another one may be named: what is kept is sealed anew.
    scene.gateway.replace("kek.new", [8; 32]);
    scene.gateway.rewrite(|text| text.replace("{file: kek}", "{file: kek.new}"));
    assert_eq!(scene.gateway.reload().status, 200);
    scene.gateway.wait_for_log(&["signing keys were sealed with the new key"]);
    let again = Again::after_a_kill(&scene);
    assert_eq!(scene.status("/orders", &token), 200);
    drop(again);
    scene.gateway.replace("kek.new", [7; 32]);
    let mut command = crate::harness::process::command();
    for (name, value) in [("ALICE", ALICE), ("BOB", super::BOB), ("ASKER", super::ASKER)] {
        command.env(name, value);
    }
    let output = command.arg("run").arg("--config").arg(&config).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    let line =
        scene.gateway.config().lines().position(|line| line.contains("sealed_with")).expect("a line") + 1;
    assert!(said.contains(&format!(":{line}:")) && said.contains("does not open the signing keys"), "{said}");
}
