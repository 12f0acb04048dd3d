//! The listener over a real socket: who is let in, and what the endpoints say.

use std::net::TcpListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use serde_json::json;

use super::*;
use crate::admin::managing::{Holders, Managing};
use crate::admin::readiness::Readiness;
use crate::admin::revocations::{Refused, Revocations};
use crate::admin::{ReloadRefused, Status, serve};
use crate::mint::managed::{NotDone, SigningKeys};

const TOKEN: &str = "an admin token, with spaces!";

struct Setup {
    token: Option<&'static str>,
    configured: &'static str,
    waiting: Option<&'static str>,
    reload: Result<u64, bool>,
    handed: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { token: Some(TOKEN), configured: "127.0.0.1:9900", waiting: None, reload: Ok(7), handed: false }
    }
}

/// Sends `lines` (a request line and header lines) to a listener set up so, and returns the whole answer.
async fn ask(setup: Setup, lines: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("non-blocking");
    let address = listener.local_addr().expect("bound");
    let waiting: Vec<String> = setup.waiting.map(str::to_owned).into_iter().collect();
    let reload = setup.reload;
    let readiness = Arc::new(Readiness::default());
    readiness.start();
    if setup.handed {
        readiness.hand_over();
    }
    let parts = Parts {
        address: setup.configured.parse().expect("an address"),
        metrics: Arc::new(Metrics::new()),
        readiness,
        controls: Controls {
            token: Arc::new(move || setup.token.map(|token| Arc::new(token.to_owned().into()))),
            status: Arc::new(move || Status {
                waiting: waiting.clone(),
                detail: json!({"generation": 3}).as_object().cloned().unwrap_or_default(),
            }),
            claims: Arc::new(Vec::new),
            config: Arc::new(|| "version: 1\n".to_owned()),
            reload: Arc::new(move || {
                Box::pin(async move {
                    reload.map_err(|needs_restart| ReloadRefused {
                        needs_restart,
                        problems: vec!["x.yaml:1:1: what".to_owned()],
                    })
                })
            }),
            revocations: nothing_to_revoke(),
            managing: nobody_to_manage(),
        },
        audit: None,
    };
    let server = tokio::spawn(serve(listener, parts, never()));
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    server.abort();
    answer
}

/// Who asks for a revocation is told that there is no store.
fn nothing_to_revoke() -> Revocations {
    Revocations {
        rehearse: Arc::new(|_| Box::pin(async { Err(Refused::NoStore("none")) })),
        add: Arc::new(|_, _| Box::pin(async { Err(Refused::NoStore("none")) })),
        import: Arc::new(|_, _, _| Box::pin(async { Err(Refused::NoStore("none")) })),
        list: Arc::new(|_, _, _| Box::pin(async { Err(Refused::NoStore("none")) })),
        lift: Arc::new(|_, _| Box::pin(async { Err(Refused::NoStore("none")) })),
    }
}

/// Who asks for keys or people is told that there are none.
fn nobody_to_manage() -> Managing {
    Managing {
        keys: none(),
        add_secret: Arc::new(|_, _| Box::pin(async { Err(NotDone::Unknown) })),
        remove_secret: Arc::new(|_, _, _| Box::pin(async { Err(NotDone::Unknown) })),
        people: none(),
        signing_keys: Arc::new(|| SigningKeys { keys: Vec::new() }),
        rotate: Arc::new(|_, _| Box::pin(async { Err(NotDone::Unknown) })),
    }
}

fn none<N, M: 'static, C, S, P: 'static>() -> Holders<N, M, C, S, P> {
    Holders {
        make: Arc::new(|_, _| Box::pin(async { Err(NotDone::Conflict("there is one".to_owned())) })),
        show: Arc::new(|_| Err(NotDone::Unknown)),
        list: Arc::new(|_, _, _| Box::pin(async { Err(NotDone::Invalid(vec!["`after`".to_owned()])) })),
        change: Arc::new(|_, _, _| Box::pin(async { Err(NotDone::Unavailable("full".to_owned())) })),
        remove: Arc::new(|_, _| Box::pin(async { Err(NotDone::Unknown) })),
    }
}

/// No other process has the listener.
fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

#[track_caller]
fn expect(answer: &str, status: u16, parts: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "wanted {status}:\n{answer}");
    for part in parts {
        assert!(answer.contains(part), "{part} is not in\n{answer}");
    }
}

const HOST: &str = "Host: localhost:9900";

#[tokio::test]
async fn everything_but_probes_and_metrics_asks_for_the_token() {
    let wrong = [
        vec![],
        vec!["Authorization: Bearer an admin token, with spaces"],
        vec!["Authorization: Bearer an admin token, with spaces!!"],
        vec!["Authorization: Bearer "],
        vec!["Authorization: Basic an admin token, with spaces!"],
        vec!["Authorization: Bearer an admin token, with spaces!", "Authorization: Bearer x"],
    ];
    for line in
        ["GET /v1/status HTTP/1.1", "GET /v1/config HTTP/1.1", "POST /v1/reload HTTP/1.1", "GET /x HTTP/1.1"]
    {
        for authorization in &wrong {
            let mut lines = vec![line, HOST];
            lines.extend(authorization);
            let parts =
                ["www-authenticate: Bearer realm=\"portcullis\"", "application/problem+json", "request_id"];
            expect(&ask(Setup::default(), &lines).await, 401, &parts);
        }
    }
}

#[tokio::test]
async fn without_a_token_only_loopback_is_served() {
    let beyond = || Setup { token: None, configured: "0.0.0.0:9900", ..Setup::default() };
    expect(&ask(beyond(), &["GET /v1/status HTTP/1.1", HOST]).await, 401, &["no_credentials"]);
    let open = Setup { token: None, ..Setup::default() };
    expect(
        &ask(open, &["GET /v1/status HTTP/1.1", HOST]).await,
        200,
        &["\"generation\":3", "uptime_seconds"],
    );
}

#[tokio::test]
async fn a_foreign_host_is_misdirected_on_every_path() {
    for path in ["/metrics", "/livez", "/readyz", "/v1/status", "/x"] {
        let line = format!("GET {path} HTTP/1.1");
        expect(&ask(Setup::default(), &[&line, "Host: evil.example"]).await, 421, &["\"misdirected\""]);
    }
    let absolute = "GET http://evil.example/livez HTTP/1.1";
    expect(&ask(Setup::default(), &[absolute, HOST]).await, 421, &["misdirected"]);
    expect(&ask(Setup::default(), &["GET /livez HTTP/1.1"]).await, 400, &["malformed_request"]);
    expect(&ask(Setup::default(), &["GET /livez HTTP/1.1", HOST, HOST]).await, 400, &["malformed_request"]);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let open = || Setup { token: None, ..Setup::default() };
    let line = "POST /v1/reload HTTP/1.1";
    for origin in ["http://evil.example", "null", "https://localhost:9900", "http://localhost:1"] {
        let origin = format!("Origin: {origin}");
        expect(&ask(open(), &[line, HOST, &origin]).await, 421, &["misdirected"]);
    }
    expect(
        &ask(open(), &[line, HOST, "Origin: http://localhost:9900"]).await,
        200,
        &["{\"generation\":7,\"warnings\":[]}"],
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let open = || Setup { token: None, ..Setup::default() };
    expect(&ask(open(), &["GET /debug HTTP/1.1", HOST]).await, 404, &["\"no_route\""]);
    let answer = ask(open(), &["GET /v1/reload HTTP/1.1", HOST]).await;
    expect(&answer, 405, &["\"method_not_allowed\"", "allow: POST"]);
}

#[tokio::test]
async fn a_refused_reload_says_why_and_that_nothing_changed() {
    let lines = ["POST /v1/reload HTTP/1.1", HOST, "Authorization: bearer an admin token, with spaces!"];
    let bad = Setup { reload: Err(false), ..Setup::default() };
    expect(&ask(bad, &lines).await, 422, &["x.yaml:1:1: what", "nothing has changed"]);
    let restart = Setup { reload: Err(true), ..Setup::default() };
    expect(&ask(restart, &lines).await, 409, &["restart"]);
    expect(&ask(Setup::default(), &lines).await, 200, &["{\"generation\":7,\"warnings\":[]}"]);
}

#[tokio::test]
async fn who_was_taken_over_from_changes_nothing_and_says_goodbye() {
    let lines = ["POST /v1/reload HTTP/1.1", HOST, "Authorization: bearer an admin token, with spaces!"];
    let handed = || Setup { handed: true, ..Setup::default() };
    expect(&ask(handed(), &lines).await, 503, &["\"reason\":\"handed_over\"", "connection: close"]);
    expect(&ask(handed(), &["GET /readyz HTTP/1.1", HOST]).await, 503, &["draining", "connection: close"]);
}

#[tokio::test]
async fn probes_and_metrics_are_open() {
    expect(
        &ask(Setup::default(), &["GET /livez HTTP/1.1", HOST]).await,
        200,
        &["ok\n", "cache-control: no-store"],
    );
    expect(&ask(Setup::default(), &["GET /readyz HTTP/1.1", HOST]).await, 200, &["\"ready\":true"]);
    let waiting = Setup { waiting: Some("corp"), ..Setup::default() };
    expect(&ask(waiting, &["GET /readyz HTTP/1.1", HOST]).await, 503, &["issuer corp has no keys yet"]);
    let parts = ["text/plain; version=0.0.4", "portcullis_build_info"];
    expect(&ask(Setup::default(), &["GET /metrics HTTP/1.1", HOST]).await, 200, &parts);
}

#[test]
fn a_host_has_to_be_one_of_ours() {
    let cases = [
        ("evil.example", false),
        ("evil.example:9900", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("localhost@evil.example", false),
        ("10.0.0.9", false),
        ("", false),
        ("[::1", false),
        ("[::1]x", false),
        ("::1", false),
        ("localhost", true),
        ("LOCALHOST:9900", true),
        ("127.0.0.1:1", true),
        ("127.9.9.9", true),
        ("[::1]:9900", true),
        ("[::ffff:127.0.0.1]", true),
        ("10.0.0.5:9900", true),
        ("10.0.0.6", true),
    ];
    let configured = "10.0.0.5".parse().expect("an address");
    let arrived = "10.0.0.6".parse().ok();
    for (host, ours) in cases {
        assert_eq!(is_ours(host, configured, arrived), ours, "{host}");
    }
}

/// Whatever is sent to be kept, what is wrong with it is said without it.
#[tokio::test]
async fn what_is_wrong_with_keys_and_people_is_said_without_what_was_sent() {
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let post = async |path: &str, kind: &str, body: &str| {
        let request = format!("POST {path} HTTP/1.1");
        let (kind, length) = (format!("Content-Type: {kind}"), format!("Content-Length: {}", body.len()));
        let whole = format!("{length}\r\nConnection: close\r\n\r\n{body}");
        ask(Setup::default(), &[&request, HOST, &authorization, &kind, &whole]).await
    };
    let json = "application/json";
    let hidden = r#"{"id": "ann", "password": {"canary": "s3cret"}}"#;
    let wrong = [
        ("/v1/users", json, "s3cret", 400, "malformed_request"),
        ("/v1/users", json, r#"{"id": "ann"}"#, 422, "password"),
        ("/v1/users", json, hidden, 422, "another type"),
        ("/v1/users", json, r#"{"id": "a", "password": "s3cret", "s3cret": 1}"#, 422, "not known"),
        ("/v1/users", "text/plain", "{}", 415, "unsupported_media_type"),
        ("/v1/users?dry_run=true", json, "{}", 400, "malformed_request"),
        ("/v1/api-keys", json, r#"{"scopes": "s3cret"}"#, 422, "another type"),
        ("/v1/api-keys", json, "[]", 422, "invalid"),
        ("/v1/api-keys", json, "{}", 409, "there is one"),
        ("/v1/api-keys/keys/a/secrets", json, "", 404, "unknown"),
    ];
    for (path, kind, body, status, part) in wrong {
        let answer = post(path, kind, body).await;
        expect(&answer, status, &[part]);
        assert!(!answer.contains("s3cret"), "{answer}");
    }
}

#[tokio::test]
async fn keys_and_people_are_not_changed_by_a_process_that_was_taken_over_from() {
    let authorization = format!("Authorization: Bearer {TOKEN}");
    for request in ["DELETE /v1/users/p/a", "DELETE /v1/api-keys/k/a", "DELETE /v1/api-keys/k/a/secrets/1"] {
        let line = format!("{request} HTTP/1.1");
        let setup = Setup { handed: true, ..Setup::default() };
        expect(&ask(setup, &[&line, HOST, &authorization]).await, 503, &["handed_over"]);
        expect(&ask(Setup::default(), &[&line, HOST, &authorization]).await, 404, &["unknown"]);
        expect(&ask(Setup::default(), &[&line, HOST]).await, 401, &["no_credentials"]);
    }
    for request in
        ["GET /v1/users?after=x", "GET /v1/api-keys?limit=0", "GET /v1/users?limit=1001", "GET /v1/users?x=1"]
    {
        let line = format!("{request} HTTP/1.1");
        expect(&ask(Setup::default(), &[&line, HOST, &authorization]).await, 400, &["malformed_request"]);
    }
}
