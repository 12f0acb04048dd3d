//! Jexia: `jexia-sdk-js` in Node and in Chromium, and `jexia-sdk` of PyPI.

use std::time::Duration;

use serde_json::{Value, json};

use crate::external::systems::{Client, address, claims, never_reached, post, secret, send, system};
use crate::harness::canary;
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::setup::Setup;
use crate::harness::token::now;
use crate::harness::upstream::{Exchange, Upstream};
use crate::harness::wait::{holds, wait_until};

const EMAIL: &str = "admin@x.com";
const PASSWORD: &str = "secret-password";
/// argon2id of the password, with the parameters that the configuration has by default.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$pyUyL2TUERQHSVaWTww8kQ$zbZbuNgQX9LkD7oCduGKizNoXVKw8BPIoCUvEc6JWvg";

/// A project, and the key that may read its orders.
struct Jexia {
    upstream: Upstream,
    key: String,
}

impl Jexia {
    fn new() -> Self {
        let upstream = Upstream::start();
        let json = |body: &'static str| {
            move |exchange: &mut Exchange| {
                exchange.answer(200, "Content-Type: application/json\r\n", body.as_bytes())
            }
        };
        upstream.on("/ds/*", json(r#"[{"id":"1","total":7}]"#));
        upstream.on("/ums/user", json(r#"{"id":"1","email":"admin@x.com"}"#));
        Self { upstream, key: secret("key-") }
    }

    fn setup(&self) -> Setup {
        canary::secret(PASSWORD_AS_SENT);
        let keys = json!([{"id": "blog", "secret": self.key, "scopes": ["read:ds/orders"]}]);
        let people = json!([{
            "email": EMAIL, "password": HASH,
            "scopes": ["read:ds/orders", "update:ds/orders", "delete:ds/orders", "create:ds/people"],
        }]);
        let setup = system("jexia", &self.upstream.url()).file("jexia-users.json", people.to_string());
        setup.env("JEXIA_KEYS", &keys.to_string()).env("JEXIA_SECRET", &secret("signs-"))
    }

    fn by_key(&self) -> Value {
        json!({"key": "blog", "secret": self.key})
    }
}

/// As it stands in a request, which no log may have.
const PASSWORD_AS_SENT: &str = "\"password\":\"secret-password\"";

fn in_node(gateway: &Gateway) -> Client {
    Client::node("jexia.mjs", &[], &[("GATEWAY", &address(gateway))])
}

fn in_browser(gateway: &Gateway) -> Client {
    Client::node("browser.mjs", &["jexia"], &[("GATEWAY", &address(gateway))])
}

fn in_python(gateway: &Gateway) -> Client {
    Client::python("python-jexia", "jexia.py", &[("GATEWAY", &address(gateway))])
}

fn refresh(gateway: &Gateway, token: &str) -> Response {
    send(gateway, &post("/auth/refresh", &json!({"refresh_token": token})))
}

/// Fails unless it is the vendor's shape of an error: a list of one.
#[track_caller]
fn errs(answer: &Response, status: u16) {
    let body = answer.json();
    assert_eq!((answer.status, body.as_array().map(Vec::len)), (status, Some(1)), "{answer:?}");
    assert!(body[0]["message"].is_string() && body[0]["request_id"].is_string(), "{answer:?}");
}

#[test]
fn a_key_reads_what_it_may_and_a_person_changes_it_in_node() {
    let jexia = Jexia::new();
    let gateway = jexia.setup().start();
    let mut client = in_node(&gateway);
    let wrong = client.error("init", json!({"key": "blog", "secret": "another secret"}));
    assert_eq!(wrong["status"], 401, "{wrong}");
    assert_eq!(wrong["message"], "Authorization failed: 401 Unauthorized");
    assert_eq!(jexia.upstream.count(), 0);

    client.value("init", jexia.by_key());
    assert_eq!(client.value("read", json!({"set": "orders"}))[0]["total"], 7);
    assert_eq!(client.error("read", json!({"set": "people"}))["status"], 403);
    assert_eq!(client.error("insert", json!({"set": "orders", "record": {"total": 1}}))["status"], 403);
    let change = json!({"set": "orders", "id": "1", "record": {"total": 8}});
    assert_eq!(client.error("update", change.clone())["status"], 403);
    assert_eq!(client.error("delete", change.clone())["status"], 403);
    let held = client.value("tokens", json!({}));
    let access = claims(held["access_token"].as_str().expect("a token"));
    assert_eq!(
        (&access["aud"], &access["iss"]),
        (&json!("https://api.jexia.com"), &json!("https://jexia.com"))
    );
    assert_eq!(access["exp"].as_i64().expect("exp") - access["iat"].as_i64().expect("iat"), 7_200);
    let random = held["refresh_token"].as_str().expect("a token");
    assert!(random.len() == 64 && random.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{random}");

    // It asks who has signed in with the new token.
    assert_eq!(client.value("signIn", json!({"email": EMAIL, "password": PASSWORD}))["email"], EMAIL);
    assert_eq!(jexia.upstream.last().head.header("x-user"), Some(EMAIL));
    // From now on what it does is the person's.
    assert_eq!(client.value("update", change.clone())[0]["total"], 7);
    assert_eq!(jexia.upstream.last().head.method, "PATCH");
    assert_eq!(client.value("delete", change)[0]["total"], 7);
    assert_eq!(jexia.upstream.last().head.method, "DELETE");
    let wrong = client.error("signIn", json!({"email": EMAIL, "password": "another"}));
    assert_eq!(wrong["status"], 401, "{wrong}");
    let wrong = client.error("signIn", json!({"email": "nobody@x.com", "password": PASSWORD}));
    assert_eq!(wrong["status"], 401, "{wrong}");
    never_reached(&jexia.upstream, &[held["access_token"].as_str().unwrap_or_default(), random, &jexia.key]);
}

#[test]
fn a_page_in_chromium_does_the_same() {
    let jexia = Jexia::new();
    let gateway = jexia.setup().start();
    let mut page = in_browser(&gateway);
    // The page may read the refusal: it has the headers of CORS too.
    assert_eq!(page.error("init", json!({"key": "blog", "secret": "another secret"}))["status"], 401);
    page.value("init", jexia.by_key());
    assert_eq!(page.value("read", json!({"set": "orders"}))[0]["total"], 7);
    assert_eq!(page.error("insert", json!({"set": "orders", "record": {"total": 1}}))["status"], 403);
    assert_eq!(page.value("signIn", json!({"email": EMAIL, "password": PASSWORD}))["email"], EMAIL);
    assert_eq!(page.error("signIn", json!({"email": EMAIL, "password": "another"}))["status"], 401);
    never_reached(&jexia.upstream, &[&jexia.key]);
}

#[test]
fn the_python_client_signs_in_with_a_stale_token_in_hand_and_refreshes() {
    let jexia = Jexia::new();
    let gateway = jexia.setup().env("ACCESS_LIFETIME", "3s").start();
    let mut client = in_python(&gateway);
    let mut by_key = jexia.by_key();
    by_key["method"] = json!("apk");
    client.value("signIn", by_key.clone());
    assert_eq!(client.value("read", json!({"set": "orders"}))[0]["total"], 7);
    let first = client.value("tokens", json!({}));
    wait_until("the client has refreshed", || {
        let answer = client.ask("read", json!({"set": "orders"}));
        // In the second of `exp` itself it does not refresh yet.
        assert!(answer["value"][0]["total"] == 7 || answer["error"]["status"] == 401, "{answer}");
        client.value("tokens", json!({}))["access_token"] != first["access_token"]
    });
    // It sends the token that it has along, over or not: signing in takes no notice.
    let over = client.value("tokens", json!({}));
    let exp = claims(over["access_token"].as_str().expect("a token"))["exp"].as_i64().expect("exp");
    wait_until("the token is over", || now() > exp);
    client.value("signIn", json!({"method": "ums", "email": EMAIL, "password": PASSWORD}));
    let wrong = client.error("signIn", json!({"method": "ums", "email": EMAIL, "password": "another"}));
    assert_eq!(wrong["status"], 401, "{wrong}");
    assert!(wrong["message"].as_str().is_some_and(|said| said.contains("req_id: ")), "{wrong}");
    assert_eq!(client.error("insert", json!({"set": "orders", "record": {}}))["status"], 403);
}

#[test]
fn the_client_refreshes_by_its_timer_in_node() {
    the_client_refreshes_by_its_timer(in_node);
}

#[test]
fn the_client_refreshes_by_its_timer_in_chromium() {
    the_client_refreshes_by_its_timer(in_browser);
}

fn the_client_refreshes_by_its_timer(start: fn(&Gateway) -> Client) {
    let jexia = Jexia::new();
    let gateway = jexia.setup().env("ACCESS_LIFETIME", "6s").start();
    let mut client = start(&gateway);
    client.value("init", jexia.by_key());
    let first = client.value("tokens", json!({}));
    // At half of its life, without a call of ours.
    wait_until("the timer has gone off", || client.value("tokens", json!({})) != first);
    let minted = claims(first["access_token"].as_str().expect("a token"));
    assert!(now() < minted["exp"].as_i64().expect("exp"), "it waited until the token was over");
    assert_eq!(client.value("read", json!({"set": "orders"}))[0]["total"], 7);
    let refreshed = claims(client.value("tokens", json!({}))["access_token"].as_str().expect("a token"));
    for kept in ["sub", "kind", "scope", "aud", "iss"] {
        assert_eq!(refreshed[kept], minted[kept], "{kept}");
    }
    assert_ne!(refreshed["jti"], minted["jti"]);
}

#[test]
fn three_refreshes_at_once_all_succeed_in_node() {
    three_refreshes_at_once_all_succeed(in_node);
}

#[test]
fn three_refreshes_at_once_all_succeed_in_chromium() {
    three_refreshes_at_once_all_succeed(in_browser);
}

fn three_refreshes_at_once_all_succeed(start: fn(&Gateway) -> Client) {
    let jexia = Jexia::new();
    let gateway = jexia.setup().env("ACCESS_LIFETIME", "2s").start();
    let mut client = start(&gateway);
    client.value("init", jexia.by_key());
    client.value("stopTimers", json!({}));
    let first = client.value("tokens", json!({}));
    let exp = claims(first["access_token"].as_str().expect("a token"))["exp"].as_i64().expect("exp");
    wait_until("the token is over", || now() > exp);
    let read = client.value("reads", json!({"set": "orders", "count": 3}));
    assert_eq!(read, json!(["read", "read", "read"]));
    assert_ne!(client.value("tokens", json!({})), first);
}

/// T5: presented again after its grace, a refresh token was stolen or is the thief's; nobody keeps anything.
#[test]
fn t5_a_replayed_refresh_token_kills_its_family() {
    let jexia = Jexia::new();
    let gateway = jexia.setup().start();
    let answer =
        send(&gateway, &post("/auth", &json!({"method": "apk", "key": "blog", "secret": jexia.key})));
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = |answer: &Response, name: &str| answer.json()[name].as_str().expect("a token").to_owned();
    let old = token(&answer, "refresh_token");
    let second = refresh(&gateway, &old);
    let third = refresh(&gateway, &token(&second, "refresh_token"));
    assert_eq!((second.status, third.status), (200, 200), "{second:?} {third:?}");
    let (access, newest) = (token(&third, "access_token"), token(&third, "refresh_token"));
    let read = |token: &str| send(&gateway, &Request::get("/ds/orders").bearer(token));
    assert_eq!(read(&access).status, 200);
    errs(&refresh(&gateway, "0000"), 404);
    errs(&send(&gateway, &post("/auth/refresh", &json!({}))), 400);
    assert_eq!(read(&access).status, 200, "a token that nobody was given killed a family");
    // The first one is two uses behind.
    errs(&refresh(&gateway, &old), 404);
    errs(&refresh(&gateway, &newest), 404);
    wait_until("the family's token is refused", || read(&access).status == 401);
    errs(&read(&access), 401);
    assert!(holds(Duration::from_millis(100), || read(&access).status == 401));
}

#[test]
fn every_method_asks_for_its_own_scope_of_its_own_set() {
    let jexia = Jexia::new();
    let gateway = jexia.setup().start();
    let token = |body: Value| {
        let issued = send(&gateway, &post("/auth", &body));
        issued.json()["access_token"].as_str().expect("a token").to_owned()
    };
    let key = token(json!({"method": "apk", "key": "blog", "secret": jexia.key}));
    let person = token(json!({"method": "ums", "email": EMAIL, "password": PASSWORD}));
    let (mut sent, passes) = (0, 200);
    for (method, path, by_key, by_person) in [
        ("GET", "/ds/orders", 200, 200),
        ("POST", "/ds/orders", 403, 403),
        ("PUT", "/ds/orders", 403, 200),
        ("PATCH", "/ds/orders", 403, 200),
        ("DELETE", "/ds/orders", 403, 200),
        ("GET", "/ds/people", 403, 403),
        ("POST", "/ds/people", 403, 200),
        ("PUT", "/ds/people", 403, 403),
        ("DELETE", "/ds/people", 403, 403),
        ("GET", "/ums/user", 403, 200),
        ("PUT", "/ums/user", 405, 405),
        ("GET", "/rtc", 404, 404),
    ] {
        for (token, status) in [(&key, by_key), (&person, by_person)] {
            let answer = send(&gateway, &Request::new(method, path).bearer(token).body("{}"));
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
            if status == passes {
                sent += 1;
            } else {
                errs(&answer, status);
            }
            assert_eq!(jexia.upstream.count(), sent, "{method} {path}");
        }
    }
}

#[test]
fn wrong_requests_are_answered_in_the_vendors_shape() {
    let jexia = Jexia::new();
    let gateway = jexia.setup().start();
    for (body, status) in [
        (json!({"method": "ums", "email": EMAIL, "password": "another"}), 401),
        (json!({"method": "ums", "email": "nobody@x.com", "password": "another"}), 401),
        (json!({"method": "apk", "key": "blog", "secret": "another"}), 401),
        (json!({"method": "apk", "key": "blog"}), 400),
        (json!({"method": "apk"}), 400),
        (json!({"method": "nothing", "key": "blog", "secret": jexia.key}), 400),
        (json!({}), 400),
    ] {
        let answer = send(&gateway, &post("/auth", &body));
        errs(&answer, status);
        // Whatever the content type says: browsers say text/plain.
        let plain = Request::post("/auth", body.to_string());
        errs(&send(&gateway, &plain.header("Content-Type", "text/plain;charset=UTF-8")), status);
    }
    // Without a token, and with one that is none, at the upstream's own paths.
    errs(&send(&gateway, &Request::get("/ds/orders")), 401);
    errs(&send(&gateway, &Request::get("/ds/orders").bearer("x")), 401);
    assert_eq!(jexia.upstream.count(), 0);
}
