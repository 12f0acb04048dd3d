//! schemathesis over the admin listener: what `/openapi.json` says is what happens.

use std::process::Output;

use serde_json::json;

use crate::external::tools;
use crate::harness::api::Api;
use crate::harness::client::Request;

const TOKEN: &str = "an-admin-token";
/// Of one operation, beside those that its coverage needs.
const EXAMPLES: &str = "30";

fn api() -> Api {
    Api::with(|setup| {
        let tail = "store: {sqlite: portcullis.db}\nrevocation: {claims: [device_id]}\ncredentials:\n  \
                    keys: {api_keys: {prefix: pk_, managed: true, pepper: {file: pepper}}}\n  \
                    people: {people: {managed: true}, from: {id: {body: id}, secret: {body: password}}}\n";
        let setup = setup.file("pepper", "a pepper of some thirty-two octets");
        setup.quiet().yaml_tail(tail).admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", TOKEN)
    })
}

/// Runs it, and fails if it has anything to say; gives its count of requests.
#[track_caller]
fn run(api: &Api, arguments: &[&str]) -> String {
    let host = api.gateway.ports.admin.to_string();
    let entry = json!({"kind": "jti", "issuer": api.issuer.iss, "value": "t-0"});
    let entries = json!([entry, entry]).to_string();
    let ask = |request: Request| api.gateway.send_admin(&request.host(&host).bearer(TOKEN));
    assert_eq!(ask(Request::post("/v1/revocations", entries)).status, 201);
    let cursor = ask(Request::get("/v1/revocations?limit=1")).json()["next"].clone();
    let held = api.issuer.token().scope("orders:read").set("jti", json!("t-1")).set("sid", json!("s-1"));
    let program = tools::place().join("schemathesis/bin/schemathesis");
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = tools::program(&program.to_string_lossy());
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/external/schemathesis.toml");
    command
        .current_dir(directory.path())
        .args(["--config-file", config, "run"])
        .arg(format!("http://{host}/openapi.json"));
    command.args(["-H", &format!("Authorization: Bearer {TOKEN}"), "--seed", "1", "--no-color"]);
    command.args(["--warnings", "off", "--continue-on-failure"]).args(arguments);
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/external"));
    command.env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("PLACE", base64_simd::URL_SAFE_NO_PAD.encode_to_string("keys\0a"));
    command.env("HELD_TOKEN", held.sign()).env("CURSOR", cursor.as_str().expect("a cursor"));
    let ended = command.output().unwrap_or_else(|error| panic!("{error}: .ci/run installs schemathesis"));
    let Output { status, stdout, stderr } = ended;
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{said}\n{complained}");
    assert!(said.contains("Tested: 22"), "not every operation was tested\n{said}");
    let count = said.lines().find(|line| line.contains(" generated")).expect("a count").trim().to_owned();
    assert_eq!(api.gateway.probe("/livez"), Some(200));
    count
}

/// Every check but one on everything; `ignored_auth` sends wrong tokens, for which an address is shut out for a while, and
/// with it the rest of the run: it has a run of its own.
#[test]
fn schemathesis_finds_no_failure_in_the_admin_listener() {
    let api = api();
    let count =
        run(&api, &["--checks", "all", "--exclude-checks", "ignored_auth", "--max-examples", EXAMPLES]);
    println!("schemathesis {count}, no failure");
}

#[test]
fn o3_schemathesis_gets_nothing_without_the_token() {
    let api = api();
    let count = run(&api, &["--checks", "ignored_auth", "--phases", "coverage", "--max-examples", "1"]);
    println!("schemathesis {count} without the token, nothing let through");
}
