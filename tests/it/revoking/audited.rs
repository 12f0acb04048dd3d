//! Everything that is asked of the admin listener and changes something is written down (threats O9), on the disk
//! before it is done; and the token cannot be guessed as often as one would like (threats O3, T3).

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::canary;
use crate::harness::client::{Connection, Request, Response};
use crate::harness::keys::random_name;
use crate::harness::setup::Setup;
use crate::harness::wait::wait_until;
use crate::revoking::{PATH, Revoked, STORE, ask, jti, orders, post, revoke, token};
use crate::upgrade;

fn audited(setup: Setup) -> Setup {
    setup.quiet().yaml_tail(&format!("{STORE}audit: {{file: audit.jsonl}}\n"))
}

fn file(api: &Api) -> PathBuf {
    api.gateway.directory.path().join("audit.jsonl")
}

fn lines(api: &Api) -> Vec<Value> {
    let text = fs::read_to_string(file(api)).expect("the audit file");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Event and step of each line.
fn steps(lines: &[Value]) -> Vec<String> {
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines.iter().map(|line| format!("{} {}", word(line, "event"), word(line, "step"))).collect()
}

fn id_of(response: &Response) -> String {
    response.header("x-request-id").expect("every answer has an id").to_owned()
}

#[test]
fn o9_every_change_is_written_down_with_its_request_and_its_hash() {
    let api = Api::with(audited);
    let (value, reason) = (format!("id-{}", random_name()), format!("ticket-{}", random_name()));
    let mut entry = jti(&api, &value);
    entry["reason"] = json!(reason);
    let revoked = post(&api, &json!([entry, {"kind": "all", "not_before": 1}]));
    assert_eq!(revoked.status, 201, "{revoked:?}");
    let id = revoked.json()["entries"][0]["id"].as_str().expect("an id").to_owned();
    let lifted = ask(&api, "DELETE", &format!("{PATH}/{id}"), None);
    assert_eq!(lifted.status, 204);
    let reloaded = api.gateway.reload();
    assert_eq!(reloaded.status, 200);

    let lines = lines(&api);
    let both = ["asked", "done"];
    let wanted =
        ["revoke", "lift", "reload"].map(|event| both.map(|step| format!("{event} {step}"))).concat();
    assert_eq!(steps(&lines), wanted);
    for (two, answer) in lines.chunks(2).zip([&revoked, &lifted, &reloaded]) {
        for line in two {
            assert_eq!((&line["request_id"], &line["actor"]), (&json!(id_of(answer)), &json!("admin")));
            assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
        }
    }
    let about = &lines[0]["entries"][0];
    assert_eq!((&lines[0]["count"], &about["id"], &about["kind"]), (&json!(2), &json!(id), &json!("jti")));
    assert_eq!((&about["issuer"], &about["reason"]), (&json!(api.issuer.iss), &json!(reason)));
    // The hash that the entry is kept by, and what was lifted is the same.
    let key =
        portcullis::revocation::key::Key::new(portcullis::revocation::Kind::Jti, &api.issuer.iss, &value);
    assert_eq!(about["key"], json!(format!("{:032x}", u128::from_be_bytes(key.0))));
    assert_eq!(lines[2]["entries"][0]["key"], about["key"]);
    let text = fs::read_to_string(file(&api)).expect("the audit file");
    assert!(!text.contains(&value) && text.contains(&reason), "I4: {text}");
    assert_eq!(fs::metadata(file(&api)).expect("a file").permissions().mode() & 0o777, 0o600);
}

/// What is looked at, and what is only rehearsed, is no change; what is refused is one that was asked for.
#[test]
fn o9_what_was_refused_is_written_down_and_what_changes_nothing_is_not() {
    let api = Api::with(audited);
    let entry = jti(&api, "t-1").to_string();
    ask(&api, "GET", PATH, None);
    ask(&api, "POST", &format!("{PATH}?dry_run=true"), Some(&entry));
    assert_eq!(lines(&api), Vec::<Value>::new());
    for (method, target, body, status) in [
        ("POST", PATH.to_owned(), Some("{\"kind\": \"jtii\"}"), 422),
        ("POST", PATH.to_owned(), Some("["), 400),
        ("POST", format!("{PATH}?dryrun=true"), Some(&*entry), 400),
        ("DELETE", format!("{PATH}/{}", "0".repeat(32)), None, 404),
    ] {
        let response = ask(&api, method, &target, body);
        assert_eq!(response.status, status, "{response:?}");
        let line = lines(&api).pop().expect("a line");
        assert_eq!((&line["step"], &line["why"]), (&json!("refused"), &json!(response.reason())));
        // The same in the header, in the body and in the file.
        assert_eq!(line["request_id"], json!(id_of(&response)));
        assert_eq!(response.json()["request_id"], line["request_id"]);
    }
    assert_eq!(
        steps(&lines(&api)),
        ["revoke refused"; 3].iter().chain(&["lift refused"]).copied().collect::<Vec<_>>()
    );
    api.gateway.rewrite(|text| text.replace("version: 1", "version: 2"));
    assert_eq!(api.gateway.reload().status, 422);
    assert_eq!(steps(&lines(&api))[4..], ["reload asked", "reload refused"]);
}

/// The word of a rehearsal on what knows none made a change that nobody wrote down, and a rehearsal in other letters one
/// that had not happened.
#[test]
fn bug_dry_run_in_any_query_switched_the_audit_off() {
    let api = Api::with(audited);
    let (id, token) = (revoke(&api, &jti(&api, "t-1"))[0].clone(), token(&api, "t-1"));
    let before = lines(&api).len();
    let generation = api.gateway.generation();
    for (method, target) in [
        ("POST", "/v1/reload?dry_run=true".to_owned()),
        ("POST", "/v1/reload?x".to_owned()),
        ("DELETE", format!("{PATH}/{id}?dry_run=true")),
        ("DELETE", format!("{PATH}/{id}?dry_run=%74rue")),
    ] {
        let response = ask(&api, method, &target, None);
        assert_eq!((response.status, response.reason()), (400, "malformed_request".to_owned()), "{target}");
    }
    assert_eq!(
        steps(&lines(&api))[before..],
        ["reload refused", "reload refused", "lift refused", "lift refused"]
    );
    assert_eq!(api.gateway.generation(), generation);
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    // A rehearsal is one however it is spelled, and also when it is refused.
    for (target, body, status) in [
        (PATH, jti(&api, "t-2").to_string(), 200),
        (PATH, "{}".to_owned(), 422),
        ("/v1/revocations/import", String::new(), 200),
    ] {
        let response = ask(&api, "POST", &format!("{target}?dry_run=%74rue"), Some(&body));
        assert_eq!(response.status, status, "{response:?}");
    }
    assert_eq!(lines(&api).len(), before + 4, "{:#?}", lines(&api));
    // An empty query says nothing.
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{id}?"), None).status, 204);
    assert_allowed(&api.gateway.send(&orders(&token)));
    assert_eq!(steps(&lines(&api))[before + 4..], ["lift asked", "lift done"]);
}

/// What cannot be written down is not done.
#[test]
fn r5_a_change_whose_audit_line_cannot_be_written_is_503_and_changes_nothing() {
    let api = Api::with(audited);
    let (kept, token) = (token(&api, "kept"), token(&api, "t-1"));
    let ids = revoke(&api, &jti(&api, "kept"));
    let generation = api.gateway.status()["generation"].clone();
    let aside = file(&api).with_extension("aside");
    fs::rename(file(&api), &aside).expect("renamed");
    fs::create_dir(file(&api)).expect("made");
    for response in [
        post(&api, &jti(&api, "t-1")),
        ask(&api, "DELETE", &format!("{PATH}/{}", ids[0]), None),
        ask(&api, "POST", "/v1/reload", Some("")),
    ] {
        assert_eq!(
            (response.status, response.reason()),
            (503, "store_unavailable".to_owned()),
            "{response:?}"
        );
        assert!(response.text().contains("audit file"), "{response:?}");
    }
    assert_allowed(&api.gateway.send(&orders(&token)));
    assert_refused(&api.gateway.send(&orders(&kept)), Revoked);
    assert_eq!(api.gateway.status()["generation"], generation);
    // Put right, without a restart: a new file, as after a rotation.
    fs::remove_dir(file(&api)).expect("removed");
    revoke(&api, &jti(&api, "t-1"));
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_eq!(steps(&lines(&api)), ["revoke asked", "revoke done"]);
}

#[test]
fn o9_a_file_that_cannot_be_opened_is_said_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("audit.jsonl")).expect("made");
    let text = "version: 1\nlisteners: ['127.0.0.1:0']\nupstreams: {a: 'http://127.0.0.1:9'}\n\
                routes: {/a: public}\naudit: audit.jsonl\n";
    fs::write(directory.path().join("portcullis.yaml"), text).expect("a file");
    let ended = crate::harness::process::run(directory.path(), &["run", "--config", "portcullis.yaml"]);
    ended.code(78).says(&["the audit file", "audit.jsonl", "cannot be opened"]);
}

/// Two processes write to it during an upgrade, and nothing is lost.
#[test]
fn o9_an_upgrade_goes_on_in_the_same_file() {
    let api = upgrade::api(audited);
    revoke(&api, &jti(&api, "t-1"));
    let mut new = upgrade::start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || upgrade::serving(&api) == Some(u64::from(new.id())));
    api.gateway.wait_for_exit(0);
    revoke(&api, &jti(&api, "t-2"));
    assert_eq!(steps(&lines(&api)), ["revoke asked", "revoke done"].repeat(2));
    new.kill().expect("it can be killed");
    crate::harness::process::wait_for_exit(&mut new);
}

/// A client that hangs up has asked all the same: each change that is kept has both of its lines.
#[test]
fn o9_count_of_lines_is_count_of_changes_whoever_hangs_up() {
    let api = Api::with(audited);
    let admin = api.gateway.ports.admin;
    let asked = || {
        let mut by_request: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines(&api) {
            let id = line["request_id"].as_str().expect("an id").to_owned();
            by_request.entry(id).or_default().extend(steps(&[line]));
        }
        by_request
    };
    // One that hung up soon enough was never heard: on a busy machine that may be most of them.
    for number in 0..300 {
        if asked().len() >= 10 {
            break;
        }
        let mut connection = Connection::open(admin).unaudited();
        let entry = jti(&api, &format!("t-{number}")).to_string();
        connection.write(&Request::new("POST", PATH).host(&admin.to_string()).body(&entry).octets());
        drop(connection);
        wait_until("what was begun has ended", || {
            let asked = asked();
            let kept = crate::revoking::list(&api, "?limit=1000");
            asked.values().all(|steps| *steps == ["revoke asked", "revoke done"])
                && kept["entries"].as_array().map(Vec::len) == Some(asked.len())
        });
    }
    assert!(asked().len() >= 10, "some of them are heard");
}

fn send_from(api: &Api, local: IpAddr, request: &Request) -> Response {
    let admin = api.gateway.ports.admin;
    let mut connection = Connection::from_source(local, admin).expect("connects").unaudited();
    connection.send(&request.clone().host(&admin.to_string()))
}

#[test]
fn o3_t3_the_admin_token_is_not_guessed_for_long() {
    let secret = canary::secret(&random_name());
    let api = Api::with(|setup| {
        audited(setup).admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", &secret)
    });
    let [guesser, operator]: [IpAddr; 2] = [Ipv4Addr::new(127, 0, 0, 7).into(), Ipv4Addr::LOCALHOST.into()];
    let entry = jti(&api, "t-1").to_string();
    let revoking = |token: &str| Request::new("POST", PATH).body(&entry).bearer(token);
    let mut statuses: Vec<u16> = (0..40)
        .map(|number| send_from(&api, guesser, &revoking(&format!("wrong-{number}"))).status)
        .collect();
    statuses.dedup();
    assert_eq!(statuses, [401, 429], "after some there is no more looking");
    // Wrong or right: the answer does not tell.
    let both = ["wrong", &*secret].map(|token| {
        let response = send_from(&api, guesser, &revoking(token));
        assert_eq!((response.status, response.reason()), (429, "rate_limited".to_owned()), "{response:?}");
        let wait = response.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
        assert!(wait.is_some_and(|wait| (1..=31).contains(&wait)), "{response:?}");
        response.json()["detail"].clone()
    });
    assert_eq!(both[0], both[1]);
    // Who sends none is told so; probes and metrics never ask.
    assert_eq!(send_from(&api, guesser, &Request::get("/v1/status")).status, 401);
    for open in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(send_from(&api, guesser, &Request::get(open).bearer("wrong")).status, 200, "{open}");
    }
    assert_allowed(&api.gateway.send(&orders(&token(&api, "t-1"))));
    // Nobody else is kept out.
    assert_eq!(send_from(&api, operator, &revoking(&secret)).status, 201);
    assert_refused(&api.gateway.send(&orders(&token(&api, "t-1"))), Revoked);
    // And it is all written down, without the token that was tried, and without end.
    let lines = lines(&api);
    let count = |why: &str| lines.iter().filter(|line| line["why"] == json!(why)).count();
    assert_eq!(count("unknown_key"), 20);
    assert!(count("rate_limited") > 0 && lines.len() <= 62, "{}", lines.len());
    let turned_away = &lines[0];
    assert_eq!((&turned_away["event"], &turned_away["actor"]), (&json!("revoke"), &Value::Null));
    assert!(turned_away["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.7:")), "{turned_away}");
    let text = fs::read_to_string(file(&api)).expect("the audit file");
    assert!(!text.contains("wrong") && canary::find(&text).is_none(), "I4: {text}");
}
