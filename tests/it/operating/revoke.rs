//! `portcullis revoke`, against a running gateway.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::thread;

use portcullis::gate::denial::Reason::Revoked;
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::Request;
use crate::harness::process::{Run, keeps_secrets, run_with_input};
use crate::harness::token::now;

const TOKEN: &str = "an-admin-token";

fn api() -> Api {
    Api::with(|setup| {
        let setup = setup.quiet().file("admin.token", TOKEN).admin("token: {file: admin.token}");
        setup.yaml_tail("store: {sqlite: portcullis.db}\nrevocation: {claims: [device_id]}\n")
    })
}

fn revoke(api: &Api, arguments: &[&str]) -> Run {
    revoke_with_input(api, arguments, "")
}

fn revoke_with_input(api: &Api, arguments: &[&str], input: &str) -> Run {
    revoke_as(api, "portcullis.yaml", arguments, input)
}

fn revoke_as(api: &Api, config: &str, arguments: &[&str], input: &str) -> Run {
    let (command, rest) = arguments.split_first().expect("a command");
    let all = [&["revoke", command, "--config", config], rest].concat();
    let run = run_with_input(api.gateway.directory.path(), &all, input.as_bytes());
    keeps_secrets(&run);
    run.never_says(TOKEN)
}

fn orders(api: &Api, subject: &str) -> Request {
    Request::get("/orders/1")
        .bearer(&api.issuer.token().scope("orders:read").set("sub", json!(subject)).sign())
}

#[test]
fn an_entry_is_added_shown_and_lifted_on_the_command_line() {
    let api = api();
    let iss = &*api.issuer.iss;
    let alice = orders(&api, "alice");
    assert_allowed(&api.gateway.send(&alice));
    let entry = ["add", "--kind", "subject", "--issuer", iss, "--value", "alice", "--reason", "left\nus"];
    let would = [&entry[..], &["--dry-run"]].concat();
    let run =
        revoke(&api, &would).code(0).says(&["subject", iss, "(left us)", "would stop 1 of the 1 tokens"]);
    run.never_says("alice");
    assert_allowed(&api.gateway.send(&alice));
    let added = revoke(&api, &entry).code(0).says(&["in force"]);
    assert_refused(&api.gateway.send(&alice), Revoked);
    let id = added.stdout.trim();
    assert!(id.len() == 32 && added.stdout.lines().count() == 1, "the id alone: {added:?}");
    revoke(&api, &["list"]).code(0).says(&[id, "subject", iss, "(left us)"]);
    assert_eq!(revoke(&api, &["list", "--kind", "jti"]).code(0).stdout, "");
    assert_eq!(revoke(&api, &["list", "--issuer", "https://x.test/?a&b"]).code(0).stdout, "");
    let line = revoke(&api, &["list", "--json", "--issuer", iss]).code(0).stdout;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&line["id"], &line["reason"]), (&json!(id), &json!("left\nus")));
    revoke(&api, &["lift", id]).code(0).says(&["lifted"]);
    assert_allowed(&api.gateway.send(&alice));
    revoke(&api, &["lift", id]).code(1).says(&["404", "no_entry"]);
    revoke(&api, &["lift", "../status"]).code(1).says(&["404", "no_entry"]);
}

/// What was issued until now is revoked, this second included.
#[test]
fn not_before_now_is_a_watermark() {
    let api = api();
    let iss = &*api.issuer.iss;
    let alice = orders(&api, "alice");
    assert_allowed(&api.gateway.send(&alice));
    let arguments = ["add", "--kind", "issuer", "--issuer", iss, "--not-before", "now", "--expires", "1d"];
    let run = revoke(&api, &arguments).code(0).says(&["issued before", "until"]);
    assert_refused(&api.gateway.send(&alice), Revoked);
    let line = revoke(&api, &["list", "--json"]).code(0).stdout;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let (from, to) = (line["not_before"].as_i64(), line["expires"].as_i64());
    assert_eq!(from.zip(to).map(|(from, to)| to - from), Some(86_400 - 1), "{line} {run:?}");
    assert!(from.is_some_and(|from| from <= now() + 1), "{line}");
}

/// It stands on no command line, and comes back in no message.
#[test]
fn i4_a_token_is_revoked_from_standard_input() {
    let api = api();
    let token = |jti: &str| api.issuer.token().scope("orders:read").set("jti", json!(jti)).sign();
    let (found, other) = (token("t-1"), token("t-2"));
    let orders = |token: &str| api.gateway.send(&Request::get("/orders/1").bearer(token));
    let dry = revoke_with_input(&api, &["token", "--dry-run"], &found).code(0).says(&["jti"]);
    dry.never_says(&found);
    assert_allowed(&orders(&found));
    let run =
        revoke_with_input(&api, &["token", "--reason", "left on a train"], &format!("Bearer {found}\n"));
    run.code(0).says(&["in force: jti", "left on a train"]).never_says(&found);
    assert_refused(&orders(&found), Revoked);
    assert_allowed(&orders(&other));
    let forged = api.issuer.token().with_signature(&[1; 64]);
    revoke_with_input(&api, &["token"], &forged).code(1).says(&["422", "bad_signature"]).never_says(&forged);
    revoke_with_input(&api, &["token"], "no token").code(1).says(&["malformed_token"]).never_says("no token");
}

#[test]
fn many_entries_are_listed_page_by_page() {
    let api = api();
    let lines: String = (0..2_500)
        .map(|number| {
            format!("{}\n", json!({"kind": "jti", "issuer": api.issuer.iss, "value": number.to_string()}))
        })
        .collect();
    let run = revoke_with_input(&api, &["import", "-"], &lines).code(0);
    assert_eq!(run.stdout, "2500 lines, 2500 added, 0 refused\n");
    assert_eq!(revoke(&api, &["list"]).code(0).stdout.lines().count(), 2_500);
}

#[test]
fn a_file_is_imported_from_where_it_stopped() {
    let api = api();
    let line = |subject: &str| {
        format!("{}\n", json!({"kind": "subject", "issuer": api.issuer.iss, "value": subject}))
    };
    let text = format!("{}{{}}\n\n{}", line("alice"), line("bob"));
    let file = api.gateway.directory.path().join("stolen.ndjson");
    fs::write(&file, &text).expect("a file");
    revoke(&api, &["import", "stolen.ndjson", "--dry-run"]).code(1).says(&["2 would be added", "line 2: "]);
    assert_allowed(&api.gateway.send(&orders(&api, "alice")));
    let run = revoke(&api, &["import", "--strict", "stolen.ndjson"]).code(1);
    run.says(&["line 2: an entry without `kind`", "2 lines, 1 added, 1 refused", "--from-line 3"]);
    assert_refused(&api.gateway.send(&orders(&api, "alice")), Revoked);
    assert_allowed(&api.gateway.send(&orders(&api, "bob")));
    let run = revoke(&api, &["import", "stolen.ndjson", "--from-line", "3", "--strict"]).code(0);
    run.says(&["4 lines, 1 added, 0 refused"]);
    assert_refused(&api.gateway.send(&orders(&api, "bob")), Revoked);
    // The lines' numbers are the file's.
    fs::write(&file, format!("{text}{{}}\n")).expect("a file");
    revoke(&api, &["import", "stolen.ndjson", "--from-line", "3"]).code(1).says(&["line 5: "]);
    revoke(&api, &["import", "nowhere.ndjson"]).code(2).says(&["nowhere.ndjson"]);
}

#[test]
fn what_is_wrong_with_an_entry_is_said() {
    let api = api();
    let iss = &*api.issuer.iss;
    revoke(&api, &["add", "--kind", "jtii", "--issuer", iss, "--value", "x"])
        .code(1)
        .says(&["did you mean `jti`?", "422"]);
    revoke(&api, &["add", "--kind", "claim", "--issuer", iss, "--claim", "device_ID", "--value", "x"])
        .code(1)
        .says(&["did you mean `device_id`?"]);
    revoke(&api, &["add", "--kind", "claim", "--issuer", iss, "--claim", "device_id", "--value", "x"])
        .code(0);
    revoke(&api, &["add", "--kind", "subject", "--issuer", "https://x.test", "--value", "x"])
        .code(0)
        .says(&["warning", "https://x.test"]);
    revoke(&api, &["list", "--kind", "jtii"]).code(1).says(&["did you mean `jti`?"]);
    revoke(&api, &["add"]).code(2).says(&["--kind"]);
    revoke(&api, &["add", "--kind", "jti", "--expires", "soon"]).code(2).says(&["RFC 3339"]);
    revoke_with_input(&api, &["token"], " \n").code(2).says(&["standard input"]);
}

#[test]
fn without_a_gateway_or_its_token_it_is_said_what_to_do() {
    let api = api();
    // Another file: the gateway keeps its own.
    let config = api.gateway.directory.path().join("other.yaml");
    let whole = fs::read_to_string(api.gateway.config_path()).expect("the configuration");
    let entry = ["add", "--kind", "all"];
    let files = ["list.ndjson"];
    fs::write(api.gateway.directory.path().join(files[0]), "{\"kind\": \"all\"}\n".repeat(100_000))
        .expect("a file");
    let import = ["import", files[0]];
    let each = |code: i32, words: &[&str]| {
        for arguments in [&entry[..], &import, &["list"], &["lift", "x"]] {
            revoke_as(&api, "other.yaml", arguments, "").code(code).says(words);
        }
    };
    let with = |from: &str, to: &str| {
        let line = whole.lines().find(|line| line.starts_with("admin:")).expect("an admin line");
        fs::write(&config, whole.replace(line, &line.replace(from, to))).expect("written");
    };
    fs::write(api.gateway.directory.path().join("other.token"), "another-token").expect("a file");
    with("admin.token", "other.token");
    each(1, &["does not take the admin token"]);
    with(", token: {file: admin.token}", "");
    each(1, &["wants an admin token"]);
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, port) = (nobody.local_addr().expect("bound"), api.gateway.ports.admin.to_string());
    drop(nobody);
    with(&port, &address.to_string());
    each(69, &["no gateway answers on", &address.to_string()]);
    // Somebody who speaks something else.
    let other = TcpListener::bind(address).expect("the port is free again");
    thread::spawn(move || {
        for stream in other.incoming().flatten() {
            let mut stream = stream;
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").ok();
        }
    });
    each(69, &["no gateway", &address.to_string()]);
    fs::write(
        &config,
        whole.lines().filter(|line| !line.starts_with("admin:")).collect::<Vec<_>>().join("\n"),
    )
    .expect("written");
    each(78, &["has no `admin`"]);
    assert_allowed(&api.gateway.send(&orders(&api, "alice")));
}

#[test]
fn a_gateway_without_a_store_is_69_and_what_to_configure() {
    let api = Api::with(|setup| setup.quiet());
    for arguments in [&["add", "--kind", "all"][..], &["list"], &["import", "-"]] {
        revoke(&api, arguments).code(69).says(&["store_unavailable", "store: {sqlite: portcullis.db}"]);
    }
    assert_allowed(&api.gateway.send(&orders(&api, "alice")));
}
