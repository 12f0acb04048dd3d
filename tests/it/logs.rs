//! The log tells what was decided and why, in lines that no client can forge, and without a secret at any level (I4,
//! O1, O2). Every gateway of every suite logs at `trace`, and its log is searched when it ends; here the canaries are
//! put where they are easiest to lose.

use serde_json::Value;

use crate::harness::api::{Api, usual};
use crate::harness::canary;
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::Issuer;
use crate::harness::keys::{Key, random_name};
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

fn info(setup: Setup) -> Setup {
    setup.log("{format: json, level: info, access: true}")
}

/// The lines so far, each an object of its own.
#[track_caller]
fn lines(logs: &str) -> Vec<Value> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not a JSON line: {line:?}"));
    logs.lines().map(parse).collect()
}

/// Whether some member, at whatever depth, is named so and has this value.
fn says(line: &Value, name: &str, value: &Value) -> bool {
    let Some(members) = line.as_object() else { return false };
    members.get(name).is_some_and(|found| found == value)
        || members.values().any(|inner| says(inner, name, value))
}

#[test]
fn i4_no_secret_is_logged_at_trace() {
    let (shared, admin) = (canary::secret(&(random_name() + &random_name())), canary::secret(&random_name()));
    let keyed = Issuer::with_keys(vec![Key::secret("HS256", shared.as_bytes())]);
    let asymmetric = Issuer::start();
    let upstream = Upstream::start();
    let gateway = usual(&upstream)
        .issuer_with("keyed", &keyed, "keys: {secret: {file: hidden}}")
        .issuer_with(
            "asymmetric",
            &asymmetric,
            "from: [bearer, {header: X-Token}, {cookie: sid}, {query: access_token}]",
        )
        .file("hidden", &shared)
        .admin("token: {env: IT_ADMIN_TOKEN}")
        .env("IT_ADMIN_TOKEN", &admin)
        .start()
        .with_admin_token(&admin);
    let token = || asymmetric.mint("orders:read");
    let hidden = || canary::secret(&random_name());
    let requests = [
        Request::get("/orders/1").bearer(&token()),
        Request::get("/orders/1").bearer(&keyed.mint("orders:read")),
        Request::get("/orders/1").bearer(&asymmetric.mint("other")),
        Request::get("/orders/1").bearer(&asymmetric.token().with_signature(&[7; 64])),
        Request::get("/orders/1").bearer(&format!("{}.", token())),
        Request::get("/orders/1").header("X-Token", &token()),
        Request::get("/orders/1").header("Cookie", &format!("a=b; sid={}", token())),
        Request::get(&format!("/orders/1?access_token={}", token())),
        Request::get(&format!("/orders/1?access_token={}", token())).bearer(&token()),
        Request::get("/orders/1").bearer(&token()).bearer(&token()),
        Request::get("/orders/1").header("Authorization", &format!("Basic {}", hidden())),
        Request::get("/orders/1").header("Cookie", &format!("session={}", hidden())),
        Request::get(&format!("/health?api_key={}&password={}", hidden(), hidden())),
        Request::get(&format!("/nowhere?secret={}", hidden())),
        Request::post("/orders", format!("password={}", hidden())),
        Request::post("/health", format!("client_secret={}", hidden())),
        Request::get("/health").header("X-Api-Key", &hidden()),
        Request::get("/health").header("X-Long", &format!("{}{}", hidden(), "a".repeat(20_000))),
    ];
    for request in &requests {
        gateway.send(request);
    }
    // Where parsers fail they like to quote: a broken head around a credential.
    for broken in ["Content-Length: x", "X : y", "X: \u{0}", "Transfer-Encoding: gzip"] {
        let mut connection = gateway.connect();
        let head = format!(
            "GET /orders/1 HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {}\r\n{broken}\r\n\r\n",
            token()
        );
        connection.write(head.as_bytes());
        connection.answer();
    }
    let mut connection = gateway.connect();
    connection.write(format!("{} /{} FTP/1\r\n\r\n", hidden(), hidden()).as_bytes());
    connection.answer();
    upstream.go_down();
    gateway.send(&Request::get(&format!("/orders/1?q={}", hidden())).bearer(&token()));
    gateway.reload();
    gateway.metrics();
    let mut intruder = Connection::open(gateway.ports.admin).unaudited();
    intruder.send(&Request::get("/v1/status").bearer(&hidden()));
    gateway.stop();
    let logs = gateway.logs();
    assert!(logs.lines().count() > requests.len(), "at trace there is more to say than this: {logs}");
    assert_eq!(canary::find(&logs), None, "I4");
}

#[test]
fn every_request_has_its_line() {
    let api = Api::with(|setup| info(setup).route("GET /me", "{name: whoami, require: authenticated}"));
    let secret_subject = random_name();
    let token = api.issuer.token().set("sub", secret_subject.clone().into()).sign();
    api.gateway.get("/me", &token);
    let refusal = api.gateway.send(&Request::get("/orders/1"));
    let id = refusal.json()["request_id"].as_str().unwrap_or_default().to_owned();
    let line: Value = serde_json::from_str(&api.gateway.wait_for_log(&[&id])).expect("a JSON line");
    for (name, value) in [
        ("reason", "no_credentials"),
        ("route", "GET /orders/{id}"),
        ("decision", "refuse"),
        ("request_id", &id),
    ] {
        assert!(says(&line, name, &value.into()), "{name} is not {value}: {line}");
    }
    assert!(says(&line, "generation", &api.gateway.generation().into()), "{line}");
    let line: Value = serde_json::from_str(&api.gateway.wait_for_log(&["whoami"])).expect("a JSON line");
    for (name, value) in [("decision", "allow"), ("issuer", "corp"), ("route", "whoami")] {
        assert!(says(&line, name, &value.into()), "{name} is not {value}: {line}");
    }
    // Who it was can be followed from line to line, and not read.
    assert!(!api.gateway.logs().contains(&secret_subject), "a subject is in the log as it is");
}

#[test]
fn request_ids_are_each_their_own() {
    let api = Api::with(info);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let response =
            api.gateway.send(&Request::get("/nowhere").header("X-Request-Id", "chosen-by-the-client"));
        let id = response.json()["request_id"].as_str().unwrap_or_default().to_owned();
        assert!(id != "chosen-by-the-client" && seen.insert(id), "{response:?}");
    }
}

#[test]
fn the_access_log_can_be_turned_off_and_be_text() {
    let lines_of = |log: &str| {
        let api = Api::with(|setup| setup.log(log));
        for _ in 0..5 {
            api.gateway.send(&Request::get("/orders/marked"));
        }
        api.gateway.stop();
        let logs = api.gateway.logs();
        (logs.lines().filter(|line| line.contains("no_credentials")).count(), logs)
    };
    assert_eq!(lines_of("{format: json, level: info, access: true}").0, 5);
    assert_eq!(lines_of("{format: json, level: info, access: false}").0, 0);
    let (count, text) = lines_of("{format: text, level: info, access: true}");
    assert_eq!(count, 5);
    assert!(!text.lines().any(|line| line.starts_with('{')), "text is not JSON: {text}");
    assert!(!text.contains('\u{1b}'), "no colours into a file: {text:?}");
}

#[test]
fn o1_nobody_forges_a_line() {
    let api = Api::with(info);
    let forged = "\",\"level\":\"info\",\"forged\":true}\n{\"forged\":true}\r\n{\"forged\":true}";
    let escaped = "%0a%7b%22forged%22:true%7d";
    let requests = [
        Request::get(&format!("/orders/{escaped}")),
        Request::get(&format!("/{{\"forged\":true}}{escaped}")),
        Request::get("/orders/1").header("User-Agent", "\u{2028}{\"forged\":true}"),
        Request::get("/orders/1").header("User-Agent", "\",\"forged\":true,\"x\":\""),
        Request::get("/orders/1").header("Referer", &"x".repeat(15_000)),
        Request::get("/orders/1").host("\"forged\":true"),
        Request::get("/orders/1").bearer(&api.issuer.token().header("kid", forged.into()).sign()),
        Request::get("/orders/1").bearer(&api.issuer.token().set("sub", forged.into()).sign()),
        Request::get("/orders/1").bearer(&api.issuer.token().set("iss", forged.into()).sign()),
        Request::get("/orders/1").bearer(&api.issuer.token().set("aud", forged.into()).sign()),
        Request::get("/orders/1").bearer(&api.issuer.token().set("scope", forged.into()).sign()),
        Request::new("FORGED", "/orders/1"),
    ];
    for request in &requests {
        api.gateway.send(request);
    }
    api.gateway.stop();
    let logs = api.gateway.logs();
    for line in lines(&logs) {
        assert!(!says(&line, "forged", &true.into()), "{line}");
        assert!(line.to_string().len() < 8192, "a line of {} octets", line.to_string().len());
    }
    assert!(!logs.bytes().any(|octet| octet < 0x20 && octet != b'\n'), "control octets in the log");
}

/// What an operator has to know at the start is said at the start.
#[test]
fn what_happens_to_the_gateway_is_logged() {
    let api = Api::with(|setup| info(setup).route("/risky", "{require: public, dangerous_path: true}"));
    api.gateway.wait_for_log(&["dangerous_path"]);
    api.gateway.wait_for_log(&[&api.gateway.ports.public.to_string()]);
    api.gateway.rewrite(|yaml| yaml.replace("audience", "audiance"));
    api.gateway.reload();
    let line: Value = serde_json::from_str(&api.gateway.wait_for_log(&["audiance"])).expect("a JSON line");
    assert!(
        !line.to_string().to_lowercase().contains("\"level\":\"info\""),
        "a refused reload is no information: {line}"
    );
    wait_until("the log is lines", || lines(&api.gateway.logs()).len() > 2);
}
