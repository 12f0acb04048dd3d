//! `explain`, `test`, `schema`, `keys`, `token` and `demo`, through the binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::api::usual;
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::process::{Run, keeps_secrets, run, run_with_input};
use crate::harness::setup::Ports;
use crate::harness::token::now;
use crate::harness::upstream::Upstream;

/// A directory with the usual configuration, and the issuer in it.
fn directory() -> (TempDir, Issuer) {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let directory = tempfile::tempdir().expect("a directory");
    usual(&upstream).issuer("corp", &issuer).write_to(directory.path(), Ports::free());
    (directory, issuer)
}

fn explain(directory: &Path, method: &str, url: &str, token: &str, more: &[&str]) -> Run {
    let header = format!("Authorization: Bearer {token}");
    let mut arguments = vec!["explain", "--config", "portcullis.yaml", "--method", method, "--url", url];
    if !token.is_empty() {
        arguments.extend(["--header", &header]);
    }
    arguments.extend(more);
    let run = run(directory, &arguments);
    keeps_secrets(&run);
    run
}

#[test]
fn explain_gives_the_reason_that_production_would() {
    let (directory, issuer) = directory();
    let at = |token: &str, method: &str, url: &str| explain(directory.path(), method, url, token, &[]);
    at(&issuer.mint("orders:read"), "GET", "/orders/1").code(0).says(&["allow"]);
    at("", "GET", "/health").code(0);
    let refused = [
        ("", "GET", "/orders/1", "no_credentials"),
        ("", "GET", "/nowhere", "no_route"),
        ("", "DELETE", "/orders/1", "method_not_allowed"),
        ("", "GET", "/orders%2f1", "malformed_request"),
        ("nonsense", "GET", "/orders/1", "malformed_token"),
        (&issuer.mint("other"), "GET", "/orders/1", "insufficient_scope"),
        (&issuer.token().without("exp").sign(), "GET", "/orders/1", "missing_claim"),
        (&issuer.token().header("kid", json!("x")).sign(), "GET", "/orders/1", "unknown_key"),
        (&issuer.token().with_signature(&[1; 64]), "GET", "/orders/1", "bad_signature"),
    ];
    for (token, method, url, reason) in refused {
        at(token, method, url).code(1).says(&[reason]);
        let run = explain(directory.path(), method, url, token, &["--json"]).code(1);
        let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert!(answer.to_string().contains(&format!("\"{reason}\"")), "{reason}: {answer}");
    }
    let run = explain(directory.path(), "GET", "/orders/1", &issuer.mint("orders:read"), &["--json"]).code(0);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert!(answer.is_object(), "{answer}");
}

#[test]
fn explain_can_be_asked_about_another_time() {
    let (directory, issuer) = directory();
    let token = issuer.mint("orders:read");
    let at = |time: i64| explain(directory.path(), "GET", "/orders/1", &token, &["--at", &time.to_string()]);
    at(now()).code(0);
    at(now() + 3600).code(1).says(&["expired"]);
    at(now() - 3600).code(1).says(&["not_yet_valid"]);
}

#[test]
fn test_runs_a_table_of_expectations() {
    let (directory, issuer) = directory();
    let claims =
        json!({"iss": issuer.iss, "aud": "api", "sub": "alice", "scope": "orders:read", "exp": now() + 300});
    let expired = json!({"iss": issuer.iss, "aud": "api", "sub": "alice", "exp": now() - 300});
    let case = |name: &str, request: Value, expect: Value| json!({"name": name, "request": request, "expect": expect});
    let orders = |claims: &Value| json!({"method": "GET", "url": "/orders/1", "claims": claims});
    let sound = json!([
        case("a reader reads", orders(&claims), json!({"allow": true})),
        case(
            "nobody reads",
            json!({"method": "GET", "url": "/orders/1"}),
            json!({"reason": "no_credentials", "status": 401})
        ),
        case("too late", orders(&expired), json!({"reason": "expired"})),
        case(
            "no writer",
            json!({"method": "POST", "url": "/orders", "claims": claims}),
            json!({"status": 403})
        ),
        case(
            "a real token",
            json!({"method": "GET", "url": "/orders/1", "token": issuer.mint("orders:read")}),
            json!({"allow": true})
        ),
        case(
            "with headers",
            json!({"method": "GET", "url": "/health", "headers": {"X-A": "b"}}),
            json!({"allow": true})
        ),
    ]);
    let run_tests = |tests: &Value| {
        fs::write(directory.path().join("tests.yaml"), tests.to_string()).expect("a table");
        let run = run(directory.path(), &["test", "--config", "portcullis.yaml", "tests.yaml"]);
        keeps_secrets(&run);
        run
    };
    run_tests(&sound).code(0);
    let wrong = json!([
        case("a reader reads", orders(&claims), json!({"allow": true})),
        case("this one is wrong", orders(&claims), json!({"reason": "expired"})),
    ]);
    run_tests(&wrong).code(1).says(&["this one is wrong"]);
    // A table that is none is a mistake of its author's, not a failed expectation.
    let unknown = run_tests(&json!([case("wrong", orders(&claims), json!({"reason": "no_such_reason"}))]));
    let missing = run(directory.path(), &["test", "--config", "portcullis.yaml", "nowhere.yaml"]);
    for run in [unknown, missing] {
        assert!(matches!(run.code, 2 | 78), "{}: {}", run.code, run.output());
    }
}

/// It was the reason's own, whatever the route answers with.
#[test]
fn the_status_of_a_refusal_is_the_one_that_clients_see() {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let directory = tempfile::tempdir().expect("a directory");
    usual(&upstream)
        .issuer("corp", &issuer)
        .route("/graphql", "{require: {graphql: {public: Query, compat: 200}}}")
        .route("/worded", "{require: authenticated, errors: {no_credentials: {status: 418}}}")
        .write_to(directory.path(), Ports::free());
    let body = r#"{"query": "mutation{a}"}"#;
    let operation = json!({"method": "POST", "url": "/graphql", "headers": {"Content-Type": "application/json"}, "body": body});
    let worded = json!({"url": "/worded"});
    for (request, right, wrong) in [(&operation, 200, 401), (&worded, 418, 401)] {
        for (status, code) in [(right, 0), (wrong, 1)] {
            let expect = json!({"reason": "no_credentials", "status": status});
            let cases = json!([{"name": "a case", "request": request, "expect": expect}]);
            fs::write(directory.path().join("tests.yaml"), cases.to_string()).expect("a table");
            run(directory.path(), &["test", "--config", "portcullis.yaml", "tests.yaml"]).code(code);
        }
    }
    explain(directory.path(), "GET", "/worded", "", &[]).code(1).says(&["refused: 418 no_credentials"]);
}

#[test]
fn schema_prints_a_schema() {
    let run = run(Path::new("."), &["schema"]).code(0);
    let schema: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let text = schema.to_string();
    for key in ["listeners", "upstreams", "issuers", "routes", "any_scope", "max_token_lifetime", "$schema"] {
        assert!(text.contains(key), "{key} is not in the schema");
    }
}

/// The files that `keys generate` left: the private PEM and the JWKS.
fn generated(directory: &Path) -> (PathBuf, PathBuf) {
    let files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("a directory")
        .filter_map(Result::ok)
        .map(|file| file.path())
        .collect();
    let with = |extension: &str| {
        let found = files.iter().find(|file| file.extension().is_some_and(|other| other == extension));
        found.unwrap_or_else(|| panic!("no .{extension} among {files:?}")).clone()
    };
    (with("pem"), with("json"))
}

/// From nothing to an allowed request with the binary's own commands.
#[test]
fn a_key_made_here_mints_tokens_that_count() {
    for algorithm in ["ES256", "RS256", "EdDSA", "ES384", "PS256"] {
        let directory = tempfile::tempdir().expect("a directory");
        let out = directory.path().join("keys");
        run(directory.path(), &["keys", "generate", "--algorithm", algorithm, "--out", "keys"]).code(0);
        let (private, public) = generated(&out);
        let mode = fs::metadata(&private).expect("the private key").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{algorithm}: others may read the private key: {mode:o}");
        let set: Value = serde_json::from_slice(&fs::read(&public).expect("the JWKS")).expect("JSON");
        for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(set["keys"][0].get(member).is_none(), "{algorithm}: {member} is public: {set}");
        }
        assert_eq!(set["keys"][0]["alg"], json!(algorithm));
        let claims = json!({"iss": "https://dev.test", "aud": "api", "sub": "dev", "scope": "orders:read"})
            .to_string();
        let key = private.to_str().expect("a path");
        let mut mint = vec!["token", "mint", "--key", key, "--claims", &claims, "--expires-in", "1h"];
        // A PEM of RSA does not say for which algorithm it was made.
        if algorithm == "PS256" {
            mint.extend(["--algorithm", algorithm]);
        }
        let minted = run(directory.path(), &mint);
        let token = minted.code(0).stdout.trim().to_owned();
        assert_eq!(token.split('.').count(), 3, "{token}");
        let upstream = Upstream::start();
        let members =
            format!("{{issuer: 'https://dev.test', audience: api, keys: {{jwks: {{file: {public:?}}}}}}}");
        let setup = usual(&upstream).yaml(move |text| format!("{text}issuers: {{dev: {members}}}\n"));
        let gateway: Gateway = setup.start();
        let response = gateway.send(&Request::get("/orders/1").bearer(&token));
        assert_eq!(response.status, 200, "{algorithm}: {response:?}");
        inspects(directory.path(), &token);
    }
}

/// `token inspect` shows header and claims and vouches for nothing.
#[track_caller]
fn inspects(directory: &Path, token: &str) {
    for run in [
        run(directory, &["token", "inspect", token]),
        run_with_input(directory, &["token", "inspect"], format!("{token}\n").as_bytes()),
    ] {
        let run = run.code(0).says(&["\"alg\"", "https://dev.test", "orders:read"]);
        let signature = token.rsplit('.').next().unwrap_or_default();
        assert!(!run.output().contains(signature), "the signature is shown: {}", run.output());
        let output = run.output().to_lowercase();
        assert!(!output.contains("verified") || output.contains("not verified"), "it vouches: {output}");
    }
}

#[test]
fn what_is_no_token_cannot_be_inspected() {
    for text in ["", "nonsense", "a.b", "a.b.c", "....", "eyJhbGciOiJub25lIn0.eyJ9."] {
        let run = run_with_input(Path::new("."), &["token", "inspect"], text.as_bytes());
        assert_ne!(run.code, 0, "{text:?}: {}", run.output());
    }
}

#[test]
fn keys_are_not_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let generate = || run(directory.path(), &["keys", "generate", "--algorithm", "ES256", "--out", "keys"]);
    generate().code(0);
    let (private, _) = generated(&directory.path().join("keys"));
    let before = fs::read(&private).expect("the private key");
    let again = generate();
    let after = fs::read(&private).expect("the private key");
    assert!(again.code != 0 && before == after, "a private key was overwritten: {}", again.output());
}

#[test]
fn the_demo_tours_and_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = run(directory.path(), &["demo", "--once"]).code(0);
    let run = run.says(&["no_credentials", "expired", "insufficient_scope", "revoked", "bad_signature"]);
    keeps_secrets(&run);
    let left: Vec<_> = fs::read_dir(directory.path()).expect("a directory").filter_map(Result::ok).collect();
    assert!(left.is_empty(), "it left {left:?} behind");
}
