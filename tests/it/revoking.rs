//! Revoking one by one, by the admin listener: in force and on the disk before the answer (threats R1, R5).

mod audited;
mod lives;
mod presented;
mod rehearsed;
mod warned;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};

use portcullis::gate::denial::Reason::Revoked;
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::canary;
use crate::harness::client::{Connection, Request, Response};
use crate::harness::keys::random_name;
use crate::harness::process::{command, signal, wait_for_exit};
use crate::harness::wait::wait_until;
use crate::upgrade::{self, serving, start};

const STORE: &str = "store: {sqlite: portcullis.db}\n";
const PATH: &str = "/v1/revocations";

fn api() -> Api {
    Api::with(|setup| setup.quiet().workers(2).yaml_tail(STORE))
}

fn ask(api: &Api, method: &str, target: &str, body: Option<&str>) -> Response {
    let request = Request::new(method, target).host(&api.gateway.ports.admin.to_string());
    api.gateway.send_admin(&body.map_or(request.clone(), |body| request.body(body)))
}

fn post(api: &Api, entries: &Value) -> Response {
    ask(api, "POST", PATH, Some(&entries.to_string()))
}

/// Revokes, and gives the ids.
#[track_caller]
fn revoke(api: &Api, entries: &Value) -> Vec<String> {
    let response = post(api, entries);
    assert_eq!(response.status, 201, "{response:?}");
    let body = response.json();
    let entries = body["entries"].as_array().expect("entries");
    entries.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
}

fn list(api: &Api, query: &str) -> Value {
    let response = ask(api, "GET", &format!("{PATH}{query}"), None);
    assert_eq!(response.status, 200, "{query}: {response:?}");
    response.json()
}

fn jti(api: &Api, value: &str) -> Value {
    json!({"kind": "jti", "issuer": api.issuer.iss, "value": value})
}

fn token(api: &Api, jti: &str) -> String {
    api.issuer.token().scope("orders:read").set("jti", json!(jti)).sign()
}

fn orders(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

#[test]
fn r1_the_answer_to_a_revocation_is_the_end_of_the_token() {
    let api = api();
    let (revoked, other) = (token(&api, "t-1"), token(&api, "t-2"));
    let mut connections: Vec<Connection> = (0..200).map(|_| api.gateway.connect()).collect();
    for connection in &mut connections {
        assert_allowed(&connection.send(&orders(&revoked)));
    }
    let ids = revoke(&api, &jti(&api, "t-1"));
    for connection in &mut connections {
        assert_refused(&connection.send(&orders(&revoked)), Revoked);
        assert_allowed(&connection.send(&orders(&other)));
    }
    assert_refused(&api.gateway.send(&orders(&revoked)), Revoked);
    assert_eq!(api.gateway.metric("revocation_entries", &[("kind", "jti")]), 1.0);
    // And lifted as surely; once.
    let entry = format!("{PATH}/{}", ids[0]);
    assert_eq!(ask(&api, "DELETE", &entry, None).status, 204);
    for connection in &mut connections {
        assert_allowed(&connection.send(&orders(&revoked)));
    }
    assert_eq!(api.gateway.metric("revocation_entries", &[("kind", "jti")]), 0.0);
    assert_eq!(api.gateway.metric("revocation_apply_lag_seconds_count", &[]), 2.0);
    for unknown in [&*entry, &format!("{PATH}/{}", "0".repeat(32)), &format!("{PATH}/7")] {
        let response = ask(&api, "DELETE", unknown, None);
        assert_eq!((response.status, response.reason().as_str()), (404, "no_entry"), "{response:?}");
    }
}

/// Each of two entries of one token counts until it is lifted itself.
#[test]
fn lifting_one_of_two_entries_leaves_the_other() {
    let api = api();
    let token = token(&api, "t-1");
    let ids = revoke(&api, &json!([jti(&api, "t-1"), jti(&api, "t-1")]));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 2);
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{}", ids[1]), None).status, 204);
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{}", ids[0]), None).status, 204);
    assert_allowed(&api.gateway.send(&orders(&token)));
}

/// A gateway with the configuration of another that has ended.
struct Again(Child);

impl Again {
    fn start(api: &Api) -> Self {
        let mut command = command();
        command.arg("run").arg("--config").arg(api.gateway.config_path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let again = Self(child.expect("the binary can be started"));
        wait_until("it is ready", || api.gateway.probe("/readyz") == Some(200));
        again
    }

    fn kill(mut self) {
        signal(&self.0, "KILL");
        wait_for_exit(&mut self.0);
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn r5_what_was_answered_survives_a_kill_a_moment_later() {
    let api = api();
    let lifted = revoke(&api, &jti(&api, "lifted"));
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{}", lifted[0]), None).status, 204);
    revoke(&api, &jti(&api, "t-0"));
    api.gateway.signal("KILL");
    api.gateway.wait_for_any_exit();
    for round in 1..=5 {
        let again = Again::start(&api);
        for before in 0..round {
            let token = token(&api, &format!("t-{before}"));
            assert_refused(&api.gateway.send(&orders(&token)), Revoked);
        }
        assert_allowed(&api.gateway.send(&orders(&token(&api, "lifted"))));
        assert_allowed(&api.gateway.send(&orders(&token(&api, &format!("t-{round}")))));
        revoke(&api, &jti(&api, &format!("t-{round}")));
        again.kill();
    }
    let _again = Again::start(&api);
    assert_refused(&api.gateway.send(&orders(&token(&api, "t-5"))), Revoked);
    assert_eq!(list(&api, "")["entries"].as_array().map(Vec::len), Some(6));
}

#[test]
fn a_dry_run_changes_nothing() {
    let api = api();
    let token = token(&api, "t-1");
    let mut entry = jti(&api, "t-1");
    entry["reason"] = json!("stolen");
    let response = ask(&api, "POST", &format!("{PATH}?dry_run=true"), Some(&entry.to_string()));
    assert_eq!(response.status, 200, "{response:?}");
    let would = &response.json()["entries"][0];
    assert_eq!((&would["kind"], &would["reason"]), (&json!("jti"), &json!("stolen")), "{response:?}");
    assert!(would["expires"].is_i64() && would["id"].is_null(), "{response:?}");
    // A slip is no order.
    for query in ["?dryrun=true", "?dry_run=1", "?dry-run=true", "?dry_run=true&dry_run=false"] {
        let response = ask(&api, "POST", &format!("{PATH}{query}"), Some(&entry.to_string()));
        assert_eq!(response.status, 400, "{query}: {response:?}");
    }
    assert_allowed(&api.gateway.send(&orders(&token)));
    assert_eq!(list(&api, "")["entries"], json!([]));
    // It refuses what the thing itself would refuse.
    let response = ask(&api, "POST", &format!("{PATH}?dry_run=true"), Some("{\"kind\": \"jtii\"}"));
    assert_eq!(response.status, 422, "{response:?}");
    let response = ask(&api, "POST", &format!("{PATH}?dry_run=false"), Some(&entry.to_string()));
    assert_eq!(response.status, 201, "{response:?}");
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
}

#[test]
fn one_entry_that_is_wrong_refuses_all_of_them() {
    let api = api();
    let good = jti(&api, "t-1");
    let iss = &api.issuer.iss;
    for (wrong, words) in [
        (json!({"kind": "jti", "issuer": iss, "value": "x", "until": 7}), vec!["unknown field `until`"]),
        (
            json!({"kind": "jtii", "issuer": iss, "value": "x"}),
            vec!["there is no kind", "did you mean `jti`?"],
        ),
        (json!({"kind": "jti", "value": "x"}), vec!["without `issuer`"]),
        (json!({"kind": "jti", "issuer": iss}), vec!["without `value`"]),
        (json!({"kind": "jti", "issuer": iss, "value": 7}), vec!["another type"]),
        (json!({"kind": "jti", "issuer": iss, "value": "x", "not_before": "soon"}), vec!["another type"]),
        (
            json!({"kind": "jti", "issuer": iss, "value": "x", "expires": 1_900_000_000_000_u64}),
            vec!["milliseconds"],
        ),
        (json!({"kind": "claim", "issuer": iss, "claim": "device", "value": "x"}), vec!["revocation.claims"]),
        (json!({"kind": "jti", "issuer": iss, "value": "x", "reason": "x".repeat(513)}), vec!["512"]),
        (json!("jti"), vec!["entry is"]),
        (json!([good]), vec!["entry is"]),
        (json!(["jti", iss, null, "x", null, null, null]), vec!["an object is expected"]),
    ] {
        let response = post(&api, &json!([good, wrong, good]));
        assert_eq!((response.status, response.reason().as_str()), (422, "entries_refused"), "{response:?}");
        let problems = response.json()["problems"].to_string();
        for word in words.into_iter().chain(["entry 2: "]) {
            assert!(problems.contains(word), "{word} is not said: {problems}");
        }
    }
    let twice = format!("{{\"kind\": \"jti\", \"kind\": \"all\", \"issuer\": \"{iss}\", \"value\": \"x\"}}");
    let response = ask(&api, "POST", PATH, Some(&twice));
    assert!(response.status == 422 && response.text().contains("duplicate field `kind`"), "{response:?}");
    for text in ["", "kind: jti", "7", "null", "\"jti\"", "[", "{}{}", "[{}] x"] {
        let response = ask(&api, "POST", PATH, Some(text));
        assert_eq!(
            (response.status, response.reason().as_str()),
            (400, "malformed_request"),
            "{text}: {response:?}"
        );
    }
    // As many as a batch, and one more; and a body that is larger than a thousand of them.
    let many: Vec<Value> = (1..=1_001).map(|number| jti(&api, &format!("t-{number}"))).collect();
    let response = post(&api, &json!(many));
    assert_eq!(response.status, 422, "{response:?}");
    assert!(response.text().contains("1001 entries, and at most 1000"), "{response:?}");
    let response = ask(&api, "POST", PATH, Some(&" ".repeat(3_000_000)));
    assert_eq!((response.status, response.reason().as_str()), (413, "body_too_large"), "{response:?}");
    assert_allowed(&api.gateway.send(&orders(&token(&api, "t-1"))));
    assert_eq!(list(&api, "")["entries"], json!([]));
    assert_eq!(revoke(&api, &json!(many[..1_000])).len(), 1_000);
    assert_refused(&api.gateway.send(&orders(&token(&api, "t-1000"))), Revoked);
    assert_allowed(&api.gateway.send(&orders(&token(&api, "t-1001"))));
}

/// Somebody else's issuer is hardly meant; what is asked for is done all the same.
#[test]
fn an_issuer_that_nobody_trusts_is_warned_of() {
    let api = api();
    let entry = json!({"kind": "subject", "issuer": "https://corp.exampel", "value": "alice"});
    let response = post(&api, &json!([entry, jti(&api, "t-1")]));
    assert_eq!(response.status, 201, "{response:?}");
    let warnings = response.json()["warnings"].clone();
    assert_eq!(warnings.as_array().map(Vec::len), Some(1), "{warnings}");
    assert!(warnings.to_string().contains("corp.exampel"), "{warnings}");
}

#[test]
fn r5_a_store_that_fails_is_503_and_changes_nothing() {
    let api = api();
    let (kept, token) = (token(&api, "kept"), token(&api, "t-1"));
    let ids = revoke(&api, &jti(&api, "kept"));
    let file = api.gateway.directory.path().join("portcullis.db");
    let fails = |what: &str, words: &str| {
        let unrevoked = ask(&api, "DELETE", &format!("{PATH}/{}", ids[0]), None);
        for response in [post(&api, &jti(&api, "t-1")), unrevoked] {
            let said = (response.status, response.reason());
            assert_eq!(said, (503, "store_unavailable".to_owned()), "{what}: {response:?}");
            assert!(
                response.text().contains(words) && response.header("retry-after").is_some(),
                "{response:?}"
            );
        }
        assert_allowed(&api.gateway.send(&orders(&token)));
        assert_refused(&api.gateway.send(&orders(&kept)), Revoked);
    };
    // Locked for longer than it waits.
    let other = rusqlite::Connection::open(&file).expect("a second connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    fails("locked", "the store is busy");
    other.execute_batch("COMMIT").expect("unlocked");
    drop(other);
    // Gone: what is written would be lost.
    let aside = file.with_extension("aside");
    fs::rename(&file, &aside).expect("renamed");
    fails("gone", "the store's file is gone");
    fs::rename(&aside, &file).expect("renamed");
    revoke(&api, &jti(&api, "t-1"));
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
}

#[test]
fn without_a_store_it_is_said_what_to_configure() {
    let api = Api::with(|setup| setup.quiet());
    let token = token(&api, "t-1");
    let entry = jti(&api, "t-1").to_string();
    for (method, target, body) in [
        ("POST", PATH.to_owned(), Some(&*entry)),
        ("POST", format!("{PATH}?dry_run=true"), Some(&*entry)),
        ("GET", PATH.to_owned(), None),
        ("DELETE", format!("{PATH}/{}", "0".repeat(32)), None),
    ] {
        let response = ask(&api, method, &target, body);
        let said = (response.status, response.reason());
        assert_eq!(said, (503, "store_unavailable".to_owned()), "{method} {target}: {response:?}");
        assert!(response.text().contains("store: {sqlite: portcullis.db}"), "{response:?}");
    }
    assert_allowed(&api.gateway.send(&orders(&token)));
}

#[test]
fn a_reload_keeps_what_was_revoked_one_by_one() {
    let api = Api::with(|setup| {
        setup
            .quiet()
            .file("revoked.yaml", "[]")
            .yaml_tail(&format!("{STORE}revocation: {{file: revoked.yaml}}\n"))
    });
    let (asked, listed) = (token(&api, "asked"), token(&api, "listed"));
    let ids = revoke(&api, &jti(&api, "asked"));
    api.gateway.replace("revoked.yaml", json!([jti(&api, "listed")]).to_string());
    assert_eq!(api.gateway.reload().status, 200);
    assert_refused(&api.gateway.send(&orders(&asked)), Revoked);
    assert_refused(&api.gateway.send(&orders(&listed)), Revoked);
    // The configuration too; and a file that says nothing any more lifts only what it said.
    api.gateway.rewrite(|text| format!("# changed\n{text}"));
    api.gateway.replace("revoked.yaml", "[]");
    assert_eq!(api.gateway.reload().status, 200);
    assert_refused(&api.gateway.send(&orders(&asked)), Revoked);
    assert_allowed(&api.gateway.send(&orders(&listed)));
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{}", ids[0]), None).status, 204);
    assert_eq!(api.gateway.reload().status, 200);
    assert_allowed(&api.gateway.send(&orders(&asked)));
}

#[test]
fn entries_are_listed_a_page_at_a_time() {
    let api = api();
    let iss = api.issuer.iss.clone();
    let entry = |number: usize| {
        let (kind, issuer) =
            if number.is_multiple_of(5) { ("subject", "https://b.example") } else { ("jti", &*iss) };
        json!({"kind": kind, "issuer": issuer, "value": format!("v-{number}"), "reason": format!("ticket {number}")})
    };
    let ids = revoke(&api, &json!((0..250).map(entry).collect::<Vec<_>>()));
    let pages = |query: &str| {
        let (mut found, mut sizes, mut next) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = list(&api, &format!("?{query}{next}"));
            let entries = page["entries"].as_array().expect("entries").clone();
            sizes.push(entries.len());
            found.extend(entries);
            let Some(after) = page["next"].as_str() else { return (found, sizes) };
            next = format!("&after={after}");
        }
    };
    let (all, sizes) = pages("limit=100");
    assert_eq!(sizes, [100, 100, 50]);
    let listed: Vec<&str> = all.iter().filter_map(|entry| entry["id"].as_str()).collect();
    assert_eq!(listed, ids, "each once, in order");
    assert_eq!((&all[7]["kind"], &all[7]["reason"]), (&json!("jti"), &json!("ticket 7")));
    assert!(all.iter().all(|entry| entry["value"].is_null() && entry["created"].is_i64()), "{:?}", all[0]);
    for (query, count) in [
        ("limit=7&kind=subject", 50),
        ("limit=7&kind=jti", 200),
        ("kind=tenant", 0),
        ("limit=49&issuer=https://b.example", 50),
        ("issuer=https://b.example&kind=jti", 0),
        ("issuer=https://c.example", 0),
    ] {
        assert_eq!(pages(query).0.len(), count, "{query}");
    }
    for query in ["?kind=jtii", "?limit=0", "?limit=1001", "?limit=x", "?after=x!", "?after=AAAA", "?page=2"]
    {
        let response = ask(&api, "GET", &format!("{PATH}{query}"), None);
        assert_eq!(response.status, 400, "{query}: {response:?}");
    }
}

/// Values are hashed at rest, and stand in no log.
#[test]
fn i4_no_value_is_kept_in_the_clear() {
    let api = Api::with(|setup| setup.yaml_tail(STORE).log("{level: debug}"));
    let (subject, id) = (format!("subject-{}", random_name()), format!("id-{}", random_name()));
    let reason = format!("ticket-{}", random_name());
    let entries = json!([
        {"kind": "subject", "issuer": api.issuer.iss, "value": subject, "reason": reason},
        {"kind": "jti", "issuer": api.issuer.iss, "value": id},
    ]);
    let response = post(&api, &entries);
    assert_eq!(response.status, 201, "{response:?}");
    let said = response.text() + &list(&api, "").to_string();
    let mut octets = Vec::new();
    let mut read = || {
        for file in fs::read_dir(api.gateway.directory.path()).expect("a directory") {
            let file = file.expect("a file").path();
            if file.to_string_lossy().contains("portcullis.db") {
                octets.extend(fs::read(file).expect("readable"));
            }
        }
    };
    // In the log of the database, and once that is folded in.
    read();
    api.gateway.stop();
    read();
    let has = |octets: &[u8], text: &str| octets.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(
        has(&octets, &reason) && has(said.as_bytes(), &reason),
        "the reason is found, so the value would be"
    );
    for value in [&subject, &id] {
        assert!(!has(&octets, value), "{value} stands in the store");
        assert!(!has(said.as_bytes(), value), "{value} is said");
        assert!(!api.gateway.logs().contains(value.as_str()), "{value} is logged");
    }
}

#[test]
fn o3_only_the_admin_token_revokes() {
    let secret = canary::secret(&random_name());
    let api = Api::with(|setup| {
        setup.yaml_tail(STORE).admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", &secret)
    });
    let host = api.gateway.ports.admin.to_string();
    let entry = jti(&api, "t-1").to_string();
    let request = |method: &str, target: &str| Request::new(method, target).host(&host).body(&entry);
    let asked = [
        ("POST", PATH.to_owned()),
        ("GET", PATH.to_owned()),
        ("DELETE", format!("{PATH}/{}", "0".repeat(32))),
    ];
    for (method, target) in &asked {
        for token in ["wrong", &token(&api, "t-1")] {
            let response = api.gateway.send_admin(&request(method, target).bearer(token));
            assert_eq!(response.status, 401, "{method}: {response:?}");
        }
        assert_eq!(api.gateway.send_admin(&request(method, target)).status, 401, "{method}");
    }
    assert_allowed(&api.gateway.send(&orders(&token(&api, "t-1"))));
    let statuses = asked
        .map(|(method, target)| api.gateway.send_admin(&request(method, &target).bearer(&secret)).status);
    assert_eq!(statuses, [201, 200, 404]);
    assert_refused(&api.gateway.send(&orders(&token(&api, "t-1"))), Revoked);
}

#[test]
fn o6_revocations_go_along_in_an_upgrade() {
    let api = upgrade::api(|setup| setup.yaml_tail(STORE));
    let token = token(&api, "t-1");
    let ids = revoke(&api, &jti(&api, "t-1"));
    let mut new = start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    api.gateway.wait_for_exit(0);
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{}", ids[0]), None).status, 204);
    assert_allowed(&api.gateway.send(&orders(&token)));
    revoke(&api, &jti(&api, "t-1"));
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    signal(&new, "TERM");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
}
