//! Revoking by the line, a file at a time (threats R1, R5).

use std::fs;
use std::time::Duration;

use portcullis::gate::denial::Reason::Revoked;
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Connection, Outcome, Request, Response};
use crate::harness::process::{signal, wait_for_exit};
use crate::harness::wait::wait_until;
use crate::upgrade::{self, serving, start};

const STORE: &str = "store: {sqlite: portcullis.db}\n";
const PATH: &str = "/v1/revocations/import";
const NDJSON: &str = "application/x-ndjson";

fn api() -> Api {
    Api::with(|setup| setup.quiet().workers(2).yaml_tail(STORE))
}

fn import(api: &Api, query: &str, lines: impl AsRef<[u8]>) -> Response {
    let request = Request::post(&format!("{PATH}{query}"), lines).host(&api.gateway.ports.admin.to_string());
    api.gateway.send_admin(&request.header("Content-Type", NDJSON))
}

/// Each line of an answer.
#[track_caller]
fn said(response: &Response) -> Vec<Value> {
    assert_eq!((response.status, response.header("content-type")), (200, Some(NDJSON)), "{response:?}");
    assert!(response.whole, "{response:?}");
    let lines = response.text();
    lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn line(api: &Api, jti: &str) -> String {
    format!("{}\n", json!({"kind": "jti", "issuer": api.issuer.iss, "value": jti}))
}

fn lines(api: &Api, count: usize) -> String {
    (1..=count).map(|number| line(api, &format!("t-{number}"))).collect()
}

fn orders(api: &Api, jti: &str) -> Request {
    let token = api.issuer.token().scope("orders:read").set("jti", json!(jti)).sign();
    Request::get("/orders/1").bearer(&token)
}

fn entries(api: &Api) -> f64 {
    api.gateway.metric("revocation_entries", &[("kind", "jti")])
}

/// An import whose lines come one by one.
struct Slow {
    connection: Connection,
}

impl Slow {
    fn begin(api: &Api) -> Self {
        let mut connection = Connection::open(api.gateway.ports.admin).unaudited();
        let head = Request::new("POST", PATH).host(&api.gateway.ports.admin.to_string());
        let head = head.header("Content-Type", NDJSON).header("Transfer-Encoding", "chunked");
        connection.write(&head.octets());
        Self { connection }
    }

    fn send(&mut self, lines: &str) {
        self.connection.write(format!("{:x}\r\n{lines}\r\n", lines.len()).as_bytes());
    }

    /// Ends the body, and gives all that was said.
    #[track_caller]
    fn end(mut self) -> Vec<Value> {
        self.connection.write(b"0\r\n\r\n");
        said(&self.connection.answer())
    }
}

#[test]
fn r1_twenty_thousand_lines_are_in_force_once_the_last_word_is_said() {
    let api = api();
    let mut connection = api.gateway.connect();
    assert_allowed(&connection.send(&orders(&api, "t-1")));
    let answer = said(&import(&api, "", lines(&api, 20_000)));
    let last = json!({"done": true, "lines": 20_000, "added": 20_000, "refused": 0, "warnings": []});
    assert_eq!(answer.last(), Some(&last));
    for number in [1, 1_000, 1_001, 10_000, 20_000] {
        assert_refused(&connection.send(&orders(&api, &format!("t-{number}"))), Revoked);
    }
    assert_allowed(&connection.send(&orders(&api, "t-20001")));
    assert_eq!(entries(&api), 20_000.0);
    // The same file again revokes nothing else, and lets nothing go.
    let answer = said(&import(&api, "", lines(&api, 20_000)));
    assert_eq!(answer.last(), Some(&last));
    for number in [1, 20_000] {
        assert_refused(&connection.send(&orders(&api, &format!("t-{number}"))), Revoked);
    }
    assert_allowed(&connection.send(&orders(&api, "t-20001")));
}

#[test]
fn what_was_imported_survives_a_restart() {
    let api = upgrade::api(|setup| setup.yaml_tail(STORE));
    said(&import(&api, "", lines(&api, 2_000)));
    let mut new = start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    api.gateway.wait_for_exit(0);
    for number in [1, 2_000] {
        assert_refused(&api.gateway.send(&orders(&api, &format!("t-{number}"))), Revoked);
    }
    signal(&new, "TERM");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
}

#[test]
fn a_line_that_is_wrong_is_refused_alone_and_told_by_its_number() {
    let api = api();
    let iss = &api.issuer.iss;
    let long = line(&api, &"x".repeat(20_000));
    let wrong = [
        "not JSON at all, a-value-that-nobody-may-see".to_owned(),
        json!([json!({"kind": "all"})]).to_string(),
        json!({"kind": "jti", "issuer": iss, "value": 7}).to_string(),
        json!({"kind": "jti", "issuer": iss, "value": "x", "until": 7}).to_string(),
        json!({"kind": "jtii", "issuer": iss, "value": "x"}).to_string(),
        json!({"kind": "jti", "issuer": iss, "value": "x", "reason": "x".repeat(513)}).to_string(),
        "\u{feff}{}".to_owned(),
        long.trim().to_owned(),
    ];
    let words = ["not JSON", "an object", "another type", "`until`", "no kind", "512", "not JSON", "16384"];
    // Line 1 is empty; each wrong one has a good one behind it.
    let mut text = "\r\n".to_owned();
    for (number, wrong) in wrong.iter().enumerate() {
        text += &format!("{wrong}\r\n{}", line(&api, &format!("t-{number}")));
    }
    text += line(&api, "last").trim();
    let answer = said(&import(&api, "", text));
    let (last, refused) = answer.split_last().expect("a last line");
    assert_eq!(*last, json!({"done": true, "lines": 18, "added": 9, "refused": 8, "warnings": []}));
    assert_eq!(refused.len(), 8, "{refused:#?}");
    for (number, (refused, word)) in refused.iter().zip(words).enumerate() {
        assert_eq!(refused["line"], json!(2 * number + 2), "{refused}");
        assert!(refused["what"].as_str().is_some_and(|what| what.contains(word)), "{word}: {refused}");
        assert!(refused["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{refused}");
        assert!(!refused.to_string().contains("nobody-may-see"), "{refused}");
    }
    for jti in ["t-0", "t-7", "last"] {
        assert_refused(&api.gateway.send(&orders(&api, jti)), Revoked);
    }
    assert_eq!(entries(&api), 9.0);
}

/// Of many that are wrong the first are told, and all are counted.
#[test]
fn a_file_of_nothing_but_mistakes_is_answered_in_bounds() {
    let api = api();
    let response = import(&api, "", "{}\n".repeat(30_000));
    let answer = said(&response);
    assert_eq!(answer.last().map(|last| &last["refused"]), Some(&json!(30_000)));
    assert!(answer.len() < 100 && response.body.len() < 50_000, "{} lines", answer.len());
    assert_eq!(entries(&api), 0.0);
    let response = import(&api, "", "x".repeat(40_000_000));
    assert_eq!(said(&response).last().map(|last| &last["refused"]), Some(&json!(1)));
    let response = import(&api, "", "");
    assert_eq!(
        said(&response),
        [json!({"done": true, "lines": 0, "added": 0, "refused": 0, "warnings": []})]
    );
}

#[test]
fn a_strict_import_stops_at_the_first_line_that_is_wrong() {
    let api = api();
    let text = format!("{}{{}}\n{}", lines(&api, 1_500), line(&api, "behind"));
    let answer = said(&import(&api, "?strict=true", text));
    let last = answer.last().expect("a last line");
    assert_eq!(
        (&last["done"], &last["lines"], &last["added"], &last["reason"]),
        (&json!(false), &json!(1_501), &json!(1_500), &json!("entries_refused")),
        "{last}"
    );
    assert_refused(&api.gateway.send(&orders(&api, "t-1500")), Revoked);
    assert_allowed(&api.gateway.send(&orders(&api, "behind")));
}

/// What is wrong with a line is said in lines, the first one too, and the document promises nothing else.
#[test]
fn a_strict_import_whose_first_line_is_wrong_is_answered_like_any_other() {
    let api = api();
    let response = import(&api, "?strict=true", format!("{{}}\n{}", line(&api, "behind")));
    assert_eq!(response.status, 200, "{response:?}");
    let answer = said(&response);
    assert_eq!(answer.first().expect("a line")["line"], 1);
    let last = answer.last().expect("a last line");
    assert_eq!(
        (&last["done"], &last["lines"], &last["added"], &last["reason"]),
        (&json!(false), &json!(1), &json!(0), &json!("entries_refused")),
        "{last}"
    );
    assert_allowed(&api.gateway.send(&orders(&api, "behind")));
    let document = api.gateway.admin("GET", "/openapi.json").json();
    let said = &document["paths"]["/v1/revocations/import"]["post"]["responses"];
    assert!(said["200"].is_object() && said["422"].is_null(), "{said}");
}

#[test]
fn a_dry_run_of_an_import_changes_nothing() {
    let api = api();
    let text = format!("{}{{}}\n", lines(&api, 1_500));
    let answer = said(&import(&api, "?dry_run=true", text));
    assert_eq!(
        answer.last(),
        Some(&json!({"done": true, "lines": 1_501, "added": 1_500, "refused": 1, "warnings": []}))
    );
    assert_allowed(&api.gateway.send(&orders(&api, "t-1")));
    assert_eq!(entries(&api), 0.0);
    for query in ["?dryrun=true", "?dry_run=1", "?strict=yes", "?strict=true&strict=true"] {
        assert_eq!(import(&api, query, lines(&api, 1)).status, 400, "{query}");
    }
    assert_allowed(&api.gateway.send(&orders(&api, "t-1")));
}

#[test]
fn progress_is_told_while_lines_still_come() {
    let api = api();
    let mut slow = Slow::begin(&api);
    // What is told comes a second apart, behind a batch.
    wait_until("progress is told", || {
        slow.send(&lines(&api, 1_000));
        let outcome = slow.connection.wait("GET", Duration::from_millis(100));
        assert!(matches!(outcome, Outcome::Silence), "it goes on: {outcome:?}");
        slow.connection.has("\"lines\":")
    });
    let answer = slow.end();
    let (last, progress) = answer.split_last().expect("a last line");
    assert_eq!(last["done"], json!(true), "{last}");
    let lines: Vec<u64> = progress.iter().filter_map(|progress| progress["lines"].as_u64()).collect();
    assert!(!lines.is_empty() && lines.is_sorted() && lines[0].is_multiple_of(1_000), "{lines:?}");
    assert_eq!(entries(&api), last["added"].as_f64().expect("a number"));
}

#[test]
fn r5_an_import_that_is_cut_short_says_where_it_stopped_and_goes_on_from_there() {
    let api = api();
    let file = api.gateway.directory.path().join("portcullis.db");
    let aside = file.with_extension("aside");
    let all = lines(&api, 3_000);
    let mut slow = Slow::begin(&api);
    let half = all.lines().take(1_000).map(|line| format!("{line}\n")).collect::<String>();
    slow.send(&half);
    wait_until("a batch is in force", || entries(&api) == 1_000.0);
    fs::rename(&file, &aside).expect("renamed");
    slow.send(&all[half.len()..]);
    let answer = slow.end();
    let last = answer.last().expect("a last line");
    assert_eq!(
        (&last["done"], &last["lines"], &last["added"], &last["reason"]),
        (&json!(false), &json!(1_000), &json!(1_000), &json!("store_unavailable")),
        "{last}"
    );
    assert!(last["detail"].as_str().is_some_and(|detail| detail.contains("file is gone")), "{last}");
    assert_refused(&api.gateway.send(&orders(&api, "t-1000")), Revoked);
    assert_allowed(&api.gateway.send(&orders(&api, "t-1001")));
    // Nothing said yet: an answer like any other.
    let response = import(&api, "", lines(&api, 1));
    assert_eq!((response.status, response.reason().as_str()), (503, "store_unavailable"), "{response:?}");
    fs::rename(&aside, &file).expect("renamed");
    let rest = all.lines().skip(1_000).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(said(&import(&api, "", rest)).last().map(|last| &last["added"]), Some(&json!(2_000)));
    assert_refused(&api.gateway.send(&orders(&api, "t-3000")), Revoked);
    assert_eq!(entries(&api), 3_000.0);
}

#[test]
fn o6_an_import_that_an_upgrade_cuts_short_goes_on_at_the_new_process() {
    let api = upgrade::api(|setup| setup.yaml_tail(STORE));
    let all = lines(&api, 2_000);
    let mut slow = Slow::begin(&api);
    let half = all.lines().take(1_000).map(|line| format!("{line}\n")).collect::<String>();
    slow.send(&half);
    wait_until("a batch is in force", || entries(&api) == 1_000.0);
    let mut new = start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    slow.send(&all[half.len()..]);
    let answer = slow.end();
    let last = answer.last().expect("a last line");
    assert_eq!((&last["done"], &last["lines"]), (&json!(false), &json!(1_000)), "{last}");
    assert!(last["detail"].as_str().is_some_and(|detail| detail.contains("go on behind it")), "{last}");
    api.gateway.wait_for_exit(0);
    let rest = all.lines().skip(1_000).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(said(&import(&api, "", rest)).last().map(|last| &last["done"]), Some(&json!(true)));
    for number in [1, 1_000, 1_001, 2_000] {
        assert_refused(&api.gateway.send(&orders(&api, &format!("t-{number}"))), Revoked);
    }
    signal(&new, "TERM");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
}

#[test]
fn an_import_is_lines_and_nothing_else() {
    let api = api();
    let host = api.gateway.ports.admin.to_string();
    for content in
        ["application/json", "text/plain", "application/x-ndjson2", "application/x-www-form-urlencoded"]
    {
        let request = Request::post(PATH, lines(&api, 1)).host(&host).header("Content-Type", content);
        let response = api.gateway.send_admin(&request);
        assert_eq!(
            (response.status, response.reason().as_str()),
            (415, "unsupported_media_type"),
            "{content}: {response:?}"
        );
    }
    assert_eq!(entries(&api), 0.0);
    for content in ["Application/X-NDJSON", "application/x-ndjson; charset=utf-8"] {
        let request = Request::post(PATH, lines(&api, 1)).host(&host).header("Content-Type", content);
        assert_eq!(api.gateway.send_admin(&request).status, 200, "{content}");
    }
    let response = api.gateway.send_admin(&Request::post(PATH, lines(&api, 1)).host(&host));
    assert_eq!(response.status, 200, "what says nothing of itself is taken at its word: {response:?}");
    let without = Api::with(|setup| setup.quiet());
    let response = import(&without, "", lines(&without, 1));
    assert_eq!((response.status, response.reason().as_str()), (503, "store_unavailable"), "{response:?}");
    assert!(response.text().contains("store: {sqlite: portcullis.db}"), "{response:?}");
}

#[test]
fn o3_only_the_admin_token_imports() {
    let api = Api::with(|setup| {
        setup.quiet().yaml_tail(STORE).admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", "secret")
    });
    assert_eq!(import(&api, "", lines(&api, 1)).status, 401);
    assert_allowed(&api.gateway.send(&orders(&api, "t-1")));
}

/// Every entry is written down before it is in force, and how it ended once.
#[test]
fn o9_an_import_is_written_down_entry_by_entry() {
    let api = Api::with(|setup| setup.quiet().yaml_tail(STORE).yaml_tail("audit: {file: audit.jsonl}"));
    let audit = || {
        let text =
            fs::read_to_string(api.gateway.directory.path().join("audit.jsonl")).expect("an audit file");
        assert!(!text.contains("t-1000"), "no value is written down");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
        lines.collect::<Vec<Value>>()
    };
    said(&import(&api, "?dry_run=true", lines(&api, 1)));
    let response = import(&api, "", format!("{}{{}}\n", lines(&api, 1_500)));
    said(&response);
    let written = audit();
    let id = json!(response.header("x-request-id").expect("an id"));
    assert!(written.iter().all(|line| line["event"] == "revoke" && line["request_id"] == id), "{written:#?}");
    let steps: Vec<&Value> = written.iter().map(|line| &line["step"]).collect();
    assert_eq!(steps, ["asked", "asked", "done"], "two batches, and one end");
    let entries: usize = written.iter().filter_map(|line| line["entries"].as_array()).map(Vec::len).sum();
    assert_eq!(entries, 1_500);
    // One that stops failed; one that is refused at once was refused.
    said(&import(&api, "?strict=true", "{}\n"));
    assert_eq!(import(&api, "?strict=no", "{}\n").status, 400);
    let written = audit();
    let ends: Vec<_> = written.iter().skip(3).map(|line| (&line["step"], &line["why"])).collect();
    let (failed, refused) = (json!("failed"), json!("refused"));
    let (entries, malformed) = (json!("entries_refused"), json!("malformed_request"));
    assert_eq!(ends, [(&failed, &entries), (&refused, &malformed)], "{written:#?}");
}
