//! API keys and people, managed while the gateway runs: by the admin listener and by the command line. What is answered is in
//! force for every request, and on the disk.

mod racing;

use std::fs;

use serde_json::{Value, json};

use crate::authority::{Scene, basic, claims, text};
use crate::harness::client::{Request, Response};
use crate::harness::process::{Run, run_with_input};
use crate::harness::token::now;
use crate::harness::wait::wait_until;
use crate::harness::websocket::{WebSocket, echo, handshake};

const KEYS: &str = "/v1/api-keys";
const USERS: &str = "/v1/users";

const CREDENTIALS: &str = "
store: {sqlite: portcullis.db}
audit: {file: audit.jsonl}
signing_keys: {sealed_with: {file: kek}}
credentials:
  keys:
    api_keys: {prefix: pk_, managed: true, pepper: {file: pepper}}
    from: bearer
  clients:
    api_keys: {prefix: ck_, managed: true, pepper: {file: pepper}}
    from: basic
  people:
    people: {managed: true}
    from: {id: {body: email}, secret: {body: password}}
tokens:
  access: {format: jwt, lifetime: 1h}
endpoints:
  POST /again: {refresh: access, from: bearer, answer: {body: {access: '{token.access}'}}}
  POST /auth: {issue: [access], credential: clients, answer: {body: {access: '{token.access}'}}}
  POST /login: {issue: [access], credential: people, answer: {body: {access: '{token.access}'}}}
";

fn scene() -> Scene {
    Scene::of(CREDENTIALS, |setup| {
        setup
            .route("GET /direct", "{require: {issuers: [keys], scopes: [orders:read]}}")
            .route("GET /minted", "{require: {issuers: [access], scopes: [orders:read]}}")
    })
}

fn ask(scene: &Scene, method: &str, target: &str, body: Option<&Value>) -> Response {
    let request = Request::new(method, target).host(&scene.gateway.ports.admin.to_string());
    let request = match body {
        Some(body) => request.body(body.to_string()),
        None => request,
    };
    scene.gateway.send_admin(&request)
}

#[track_caller]
fn made(scene: &Scene, target: &str, body: &Value) -> Value {
    let response = ask(scene, "POST", target, Some(body));
    assert_eq!(response.status, 201, "{response:?}");
    response.json()
}

#[track_caller]
fn change(scene: &Scene, target: &str, body: &Value) {
    let response = ask(scene, "PATCH", target, Some(body));
    assert_eq!(response.status, 200, "{response:?}");
}

fn issue(scene: &Scene, target: &str, request: Request) -> String {
    let response = scene.ask(&request);
    assert_eq!(response.status, 200, "{target}: {response:?}");
    text(&response.json(), "access")
}

fn by_key(key: &Value) -> Request {
    let (id, secret) = (text(key, "id"), text(key, "secret"));
    Request::post("/auth", "{}").header("Authorization", &basic(&id, &secret))
}

fn by_password(password: &str) -> Request {
    let body = json!({"email": "ann@example.com", "password": password});
    Request::post("/login", body.to_string()).header("Content-Type", "application/json")
}

#[test]
fn an_api_key_is_a_routes_credential_for_as_long_as_it_counts() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "keys", "scopes": ["orders:read"], "name": "A job"}));
    let (whole, one) = (text(&key, "key"), format!("{KEYS}/keys/{}", text(&key, "id")));
    let status = || scene.status("/direct", &whole);
    let last = if whole.ends_with('0') { "1" } else { "0" };
    assert_eq!(scene.status("/direct", &format!("{}{last}", &whole[..whole.len() - 1])), 401);
    assert_eq!((status(), status()), (200, 200));
    assert_eq!(scene.status("/orders", &whole), 401, "where no route names it, it counts for nothing");
    change(&scene, &one, &json!({"scopes": ["orders:write"]}));
    assert_eq!(status(), 403, "a change is met by the next request");
    change(&scene, &one, &json!({"scopes": ["orders:read"]}));
    assert_eq!(status(), 200);
    change(&scene, &one, &json!({"disabled": true}));
    assert_eq!((status(), status()), (401, 401));
    change(&scene, &one, &json!({"disabled": false}));
    assert_eq!(status(), 200);
    let second = made(&scene, &format!("{one}/secrets"), &json!(null));
    let second = text(&second, "key");
    assert_eq!(
        (status(), scene.status("/direct", &second)),
        (200, 200),
        "both, while one replaces the other"
    );
    assert_eq!(ask(&scene, "DELETE", &format!("{one}/secrets/1"), None).status, 204);
    assert_eq!((status(), scene.status("/direct", &second)), (401, 200));
    assert_eq!(ask(&scene, "DELETE", &format!("{one}/secrets/2"), None).status, 409, "its only one");
    assert_eq!(ask(&scene, "DELETE", &one, None).status, 204);
    assert_eq!(scene.status("/direct", &second), 401);
    assert_eq!(ask(&scene, "GET", &one, None).status, 404);
}

#[test]
fn a_disabled_key_takes_the_tokens_that_were_made_from_it_along() {
    let scene = scene();
    let new = json!({"credential": "clients", "scopes": ["orders:read"]});
    let (key, kept) = (made(&scene, KEYS, &new), made(&scene, KEYS, &new));
    let token = issue(&scene, "/auth", by_key(&key));
    let others = issue(&scene, "/auth", by_key(&kept));
    assert_eq!(claims(&token)["client_id"], key["id"]);
    let one = format!("{KEYS}/clients/{}", text(&key, "id"));
    assert_eq!(scene.status("/minted", &token), 200);
    change(&scene, &one, &json!({"disabled": true}));
    assert_eq!((scene.status("/minted", &token), scene.status("/minted", &others)), (401, 200));
    assert_eq!(scene.ask(&by_key(&key)).status, 401);
    change(&scene, &one, &json!({"disabled": false}));
    assert_eq!(scene.status("/minted", &token), 200, "enabled, it counts again");
    assert_eq!(ask(&scene, "DELETE", &one, None).status, 204);
    assert_eq!((scene.status("/minted", &token), scene.status("/minted", &others)), (401, 200));
}

#[test]
fn a_person_signs_in_until_they_may_no_more() {
    let scene = scene();
    let ann = json!({"id": "ann@example.com", "password": "correct horse", "scopes": ["orders:read"]});
    let shown = made(&scene, USERS, &ann);
    assert!(!shown.to_string().contains("horse"), "{shown}");
    assert_eq!(ask(&scene, "POST", USERS, Some(&ann)).status, 409, "there is one of this name");
    assert_eq!(scene.ask(&by_password("wrong horse")).status, 401);
    let token = issue(&scene, "/login", by_password("correct horse"));
    assert_eq!(scene.status("/minted", &token), 200);
    let one = format!("{USERS}/people/ann%40example.com");
    change(&scene, &one, &json!({"password": "another horse"}));
    assert_eq!(scene.status("/minted", &token), 401, "whoever knew the password before holds nothing");
    assert_eq!(scene.ask(&by_password("correct horse")).status, 401);
    let token = issue(&scene, "/login", by_password("another horse"));
    assert_eq!(scene.status("/minted", &token), 200);
    change(&scene, &one, &json!({"disabled": true}));
    assert_eq!(
        (scene.ask(&by_password("another horse")).status, scene.status("/minted", &token)),
        (401, 401)
    );
    change(&scene, &one, &json!({"disabled": false}));
    assert_eq!(
        (scene.ask(&by_password("another horse")).status, scene.status("/minted", &token)),
        (200, 200)
    );
    assert_eq!(ask(&scene, "DELETE", &one, None).status, 204);
    assert_eq!(
        (scene.ask(&by_password("another horse")).status, scene.status("/minted", &token)),
        (401, 401)
    );
}

/// Unknown, disabled, over and wrong: the same octets but for the request's id.
#[test]
fn t9_what_is_wrong_with_a_credential_is_not_said() {
    let scene = scene();
    let disabled = made(&scene, KEYS, &json!({"credential": "clients"}));
    change(&scene, &format!("{KEYS}/clients/{}", text(&disabled, "id")), &json!({"disabled": true}));
    let over = made(&scene, KEYS, &json!({"credential": "clients", "expires": 1}));
    let mut wrong = made(&scene, KEYS, &json!({"credential": "clients"}));
    wrong["secret"] = disabled["secret"].clone();
    let unknown = json!({"id": "000000000000", "secret": disabled["secret"]});
    let answers = [&disabled, &over, &wrong, &unknown].map(|key| {
        let response = scene.ask(&by_key(key));
        let mut headers: Vec<_> = response.headers.clone();
        headers.retain(|(name, _)| !matches!(&*name.to_lowercase(), "x-request-id" | "date"));
        (response.status, headers, response.body.clone())
    });
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

/// They were taken, and changed nothing.
#[test]
fn what_would_change_nothing_is_refused() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
    let target = format!("{KEYS}/clients/{}", text(&key, "id"));
    let ann = json!({"id": "ann@example.com", "password": "long enough"});
    made(&scene, USERS, &ann);
    for member in ["scopes", "attributes", "disabled"] {
        let response = ask(&scene, "PATCH", &target, Some(&json!({member: null})));
        assert_eq!(response.status, 422, "{member}: {response:?}");
    }
    for member in ["password", "scopes", "namespaces", "attributes", "disabled"] {
        let response =
            ask(&scene, "PATCH", &format!("{USERS}/people/ann@example.com"), Some(&json!({member: null})));
        assert_eq!(response.status, 422, "{member}: {response:?}");
    }
    let secrets = format!("{target}/secrets");
    for body in [json!({"secret": "one of my own making, I thought"}), json!([]), json!("x")] {
        let response = ask(&scene, "POST", &secrets, Some(&body));
        assert_eq!(response.status, 422, "{body}: {response:?}");
    }
    assert_eq!(ask(&scene, "GET", &target, None).json()["secrets"].as_array().map(Vec::len), Some(1));
    assert_eq!(ask(&scene, "POST", &secrets, None).status, 201);
}

/// Kept lazily: it is there by the next look, and no request waits for it.
#[test]
fn the_last_use_of_a_key_is_told() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "keys", "scopes": ["orders:read"]}));
    let target = format!("{KEYS}/keys/{}", text(&key, "id"));
    let last_used = || ask(&scene, "GET", &target, None).json()["last_used"].clone();
    assert_eq!(last_used(), json!(null));
    let before = now();
    assert_eq!(scene.status("/direct", &text(&key, "key")), 200);
    wait_until("its use is told", || last_used().as_i64().is_some_and(|at| (before..=now()).contains(&at)));
}

#[test]
fn a_name_with_a_control_character_is_refused() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "clients", "name": "Ännchens Schlüssel"}));
    for name in ["\u{0}", "two\nlines", "\u{1b}[2J", "\u{85}"] {
        let body = json!({"credential": "clients", "name": name});
        let response = ask(&scene, "POST", KEYS, Some(&body));
        assert_eq!(response.status, 422, "{name:?}: {response:?}");
        let target = format!("{KEYS}/clients/{}", text(&key, "id"));
        let response = ask(&scene, "PATCH", &target, Some(&json!({"name": name})));
        assert_eq!(response.status, 422, "{name:?}: {response:?}");
        let body = json!({"id": "ann@example.com", "password": "long enough", "name": name});
        let response = ask(&scene, "POST", USERS, Some(&body));
        assert_eq!(response.status, 422, "{name:?}: {response:?}");
    }
}

#[test]
fn what_is_asked_for_is_in_the_audit_file_and_no_secret_is_in_any() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "keys"}));
    let ann = json!({"id": "ann@example.com", "password": "correct horse"});
    made(&scene, USERS, &ann);
    let one = format!("{KEYS}/keys/{}", text(&key, "id"));
    assert_eq!(ask(&scene, "DELETE", &one, None).status, 204);
    assert_eq!(ask(&scene, "DELETE", &one, None).status, 404);
    let directory = scene.gateway.directory.path();
    let audit = fs::read_to_string(directory.join("audit.jsonl")).expect("the audit file");
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let steps: Vec<String> = lines
        .iter()
        .filter(|line| line["actor"] == "admin")
        .map(|line| format!("{} {}", text(line, "event"), text(line, "step")))
        .collect();
    let expected = [
        "make_key asked",
        "make_key done",
        "make_person asked",
        "make_person done",
        "remove_key asked",
        "remove_key done",
        "remove_key asked",
        "remove_key refused",
    ];
    assert_eq!(steps, expected);
    assert!(audit.contains(&text(&key, "id")), "of which key it was");
    for secret in [&*text(&key, "secret"), "correct horse", "ann@example.com"] {
        assert!(!audit.contains(secret), "in the audit file");
        for file in ["portcullis.db", "portcullis.db-wal"].iter().filter(|_| secret != "ann@example.com") {
            let octets = fs::read(directory.join(file)).unwrap_or_default();
            assert!(!octets.windows(secret.len()).any(|part| part == secret.as_bytes()), "in {file}");
        }
    }
}

#[test]
fn the_command_line_manages_keys_and_people() {
    let scene = scene();
    let directory = scene.gateway.directory.path();
    let config = scene.gateway.config_path();
    let run = |arguments: &[&str], input: &str| -> Run {
        let (command, rest) = arguments.split_at(2);
        let all: Vec<&str> = command
            .iter()
            .copied()
            .chain(["--config", config.to_str().expect("text")])
            .chain(rest.iter().copied())
            .collect();
        run_with_input(directory, &all, input.as_bytes())
    };
    run(&["api-keys", "add", "--scope", "orders:read"], "").code(1).says(&["`credential` names one of"]);
    let added =
        run(&["api-keys", "add", "--credential", "keys", "--scope", "orders:read", "--expires", "1h"], "")
            .code(0);
    let key = added.stdout.trim().to_owned();
    assert!(key.starts_with("pk_"), "{key}");
    assert_eq!(scene.status("/direct", &key), 200);
    let id = &key[3..15];
    run(&["api-keys", "list"], "").code(0).says(&[id, "orders:read", "secret 1"]);
    run(&["api-keys", "show", "keys", id], "")
        .code(0)
        .says(&["\"disabled\": false"])
        .never_says(&key[15..47]);
    run(&["api-keys", "disable", "keys", id], "").code(0).says(&["disabled"]);
    assert_eq!(scene.status("/direct", &key), 401);
    run(&["api-keys", "enable", "keys", id], "").code(0);
    let second = run(&["api-keys", "rotate", "keys", id], "").code(0).stdout.trim().to_owned();
    assert_eq!((scene.status("/direct", &key), scene.status("/direct", &second)), (200, 200));
    run(&["api-keys", "rotate", "keys", id, "--remove", "1"], "").code(0);
    assert_eq!((scene.status("/direct", &key), scene.status("/direct", &second)), (401, 200));
    run(&["api-keys", "remove", "keys", id], "").code(0);
    run(&["api-keys", "remove", "keys", id], "").code(1).says(&["404"]);
    run(&["users", "add", "ann@example.com"], "").code(2).says(&["the password is expected"]);
    run(&["users", "add", "ann@example.com", "--scope", "orders:read"], "correct horse\n").code(0);
    assert_eq!(scene.ask(&by_password("correct horse")).status, 200);
    run(&["users", "password", "people", "ann@example.com"], "another horse").code(0).never_says("horse");
    assert_eq!(scene.ask(&by_password("another horse")).status, 200);
    run(&["users", "list"], "").code(0).says(&["ann@example.com"]);
    run(&["users", "disable", "people", "ann@example.com"], "").code(0);
    assert_eq!(scene.ask(&by_password("another horse")).status, 401);
    run(&["users", "remove", "people", "ann@example.com"], "").code(0);
}

/// A WebSocket that was opened with a key ends with it, and one that was opened with a token with the key that it was made from.
#[test]
fn r8_streams_end_with_the_key_that_they_were_opened_with() {
    let scene = Scene::of(&format!("{CREDENTIALS}\nrevocation: {{recheck_streams: 1h}}\n"), |setup| {
        let requires = |issuer: &str| format!("{{require: {{issuers: [{issuer}], scopes: [orders:read]}}}}");
        setup.route("GET /direct/echo", &requires("keys")).route("GET /minted/echo", &requires("access"))
    });
    scene.upstream.on("/direct/echo", echo);
    scene.upstream.on("/minted/echo", echo);
    let key = made(&scene, KEYS, &json!({"credential": "keys", "scopes": ["orders:read"]}));
    let kept = made(&scene, KEYS, &json!({"credential": "keys", "scopes": ["orders:read"]}));
    let client = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
    let token = issue(&scene, "/auth", by_key(&client));
    let open = |path: &str, token: &str| WebSocket::open(&scene.gateway, &handshake(path).bearer(token));
    let mut direct = open("/direct/echo", &text(&key, "key"));
    let mut others = open("/direct/echo", &text(&kept, "key"));
    let mut minted = open("/minted/echo", &token);
    for socket in [&mut direct, &mut others, &mut minted] {
        socket.echoes("open");
    }
    change(&scene, &format!("{KEYS}/keys/{}", text(&key, "id")), &json!({"disabled": true}));
    assert_eq!(direct.receive().expect("a goodbye").code(), Some(4403));
    others.echoes("another key's");
    assert_eq!(ask(&scene, "DELETE", &format!("{KEYS}/clients/{}", text(&client, "id")), None).status, 204);
    assert_eq!(minted.receive().expect("a goodbye").code(), Some(4403));
    others.echoes("still another key's");
}

#[test]
fn a_token_lives_no_longer_than_the_key_that_it_was_made_from() {
    let scene = scene();
    let ends = now() + 600;
    let key = made(&scene, KEYS, &json!({"credential": "clients", "expires": ends}));
    let token = claims(&issue(&scene, "/auth", by_key(&key)));
    assert_eq!(token["exp"], ends, "{token}");
}

/// What refreshes itself is cut to the key each time, and ends with it.
#[test]
fn bug_a_token_that_refreshed_itself_outlived_its_key() {
    let scene = scene();
    let again = |token: &str| scene.ask(&Request::post("/again", "").bearer(token));
    let ends = now() + 600;
    let key =
        made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"], "expires": ends}));
    let first = issue(&scene, "/auth", by_key(&key));
    let second = again(&first);
    assert_eq!(second.status, 200, "{second:?}");
    let second = text(&second.json(), "access");
    assert_eq!(claims(&second)["exp"], ends);
    let one = format!("{KEYS}/clients/{}", text(&key, "id"));
    change(&scene, &one, &json!({"expires": now() + 1}));
    wait_until("the key is over", || scene.ask(&by_key(&key)).status == 401);
    assert_eq!(again(&second).status, 400, "what was shown counts, and is good for no other");
    change(&scene, &one, &json!({"expires": null}));
    let third = text(&again(&second).json(), "access");
    assert!(claims(&third)["exp"].as_i64() > Some(ends));
}

#[test]
fn a_revoked_api_key_gets_no_tokens_either() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
    let other = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
    issue(&scene, "/auth", by_key(&key));
    let entry = json!({"kind": "api_key", "issuer": "clients", "value": key["id"]});
    let request = Request::post("/v1/revocations", entry.to_string())
        .host(&scene.gateway.ports.admin.to_string())
        .header("Content-Type", "application/json");
    assert_eq!(scene.gateway.send_admin(&request).status, 201);
    assert_eq!((scene.ask(&by_key(&key)).status, scene.ask(&by_key(&other)).status), (401, 200));
}

/// Whoever found the secret would otherwise keep what it brought them, and refresh it.
#[test]
fn a_secret_that_is_removed_takes_along_what_was_made_with_it() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
    let other = made(&scene, KEYS, &json!({"credential": "clients", "scopes": ["orders:read"]}));
    let (token, others) = (issue(&scene, "/auth", by_key(&key)), issue(&scene, "/auth", by_key(&other)));
    let one = format!("{KEYS}/clients/{}", text(&key, "id"));
    let second = made(&scene, &format!("{one}/secrets"), &json!(null));
    assert_eq!(scene.status("/minted", &token), 200, "both count");
    assert_eq!(ask(&scene, "DELETE", &format!("{one}/secrets/1"), None).status, 204);
    assert_eq!((scene.status("/minted", &token), scene.status("/minted", &others)), (401, 200));
    let again = issue(&scene, "/auth", by_key(&second));
    assert_eq!(scene.status("/minted", &again), 200);
}

/// No key would count under it, and nobody would be told why.
#[test]
fn another_pepper_is_no_change_for_a_running_gateway() {
    let scene = scene();
    let key = made(&scene, KEYS, &json!({"credential": "keys", "scopes": ["orders:read"]}));
    let whole = text(&key, "key");
    scene.gateway.replace("pepper", "another pepper of thirty-two octets");
    let refused = scene.gateway.reload();
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text().contains("another pepper"), "{refused:?}");
    assert_eq!(scene.status("/direct", &whole), 200);
    scene.gateway.replace("pepper.moved", "a pepper of some thirty-two octets");
    scene.gateway.rewrite(|text| text.replace("{file: pepper}", "{file: pepper.moved}"));
    let moved = scene.gateway.reload();
    assert_eq!(moved.status, 200, "{moved:?}");
    assert_eq!(scene.status("/direct", &whole), 200);
}
