//! Weavy: the web kit in Chromium, and the vendor's own development server over TLS.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::external::systems::{Client, address, never_reached, post, secret, send, system};
use crate::external::tools;
use crate::harness::certificates::Authority;
use crate::harness::client::{Connection, Request};
use crate::harness::gateway::Gateway;
use crate::harness::keys::Key;
use crate::harness::setup::{Ports, Setup};
use crate::harness::tls::TlsClient;
use crate::harness::token::Token;
use crate::harness::upstream::{Exchange, Then, Upstream};
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::websocket::{WebSocket, echo, handshake};

/// The kit wants the environment to be of its own version.
const VERSION: &str = "32.2.0";

/// Who is logged in.
const USER: &str = "bugs";

/// An environment, its server key, and the application's session with who is logged in.
struct Weavy {
    upstream: Upstream,
    key: String,
    session_key: String,
}

impl Weavy {
    fn new() -> Self {
        let upstream = Upstream::start();
        let answer = |kind: &'static str, body: &'static str| {
            move |exchange: &mut Exchange| -> std::io::Result<Then> {
                exchange.answer(200, &format!("Content-Type: {kind}\r\n"), body.as_bytes())
            }
        };
        upstream.on("/api/*", answer("application/json", r#"{"id":1}"#));
        upstream.on("/version", answer("text/plain", VERSION));
        upstream.on("/status", answer("text/plain", "Ok"));
        upstream
            .on("/hubs/*", answer("application/json", r#"{"connectionId":"1","availableTransports":[]}"#));
        Self { upstream, key: secret("wys_"), session_key: secret("session-") }
    }

    fn setup(&self, origin: &str) -> Setup {
        let keys = json!([{"id": "backend", "secret": self.key}]).to_string();
        let setup = system("weavy", &self.upstream.url()).file("weavy-keys.json", keys);
        setup.env("SESSION_KEY", &self.session_key).env("APP_ORIGIN", origin)
    }

    /// The application's session.
    fn session(&self) -> String {
        let key = Key::secret("HS256", self.session_key.as_bytes());
        Token::new("https://app.example", &key).set("sub", json!(USER)).sign()
    }

    fn token_request(&self, refresh: bool) -> Request {
        let request = Request::get(&format!("/token?refresh={refresh}"));
        request.header("Cookie", &format!("theme=dark; sid={}", self.session()))
    }
}

#[track_caller]
fn token(gateway: &Gateway, request: &Request) -> String {
    let answer = send(gateway, request);
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("wyu_") && token.len() > 40, "{token}");
    token
}

fn revoke(gateway: &Gateway, key: &str, user: &str) -> u16 {
    send(gateway, &Request::new("DELETE", &format!("/api/users/{user}/tokens")).bearer(key)).status
}

#[test]
fn the_kit_in_chromium_refreshes_what_was_revoked() {
    let weavy = Weavy::new();
    let page_port = Ports::free().public.port();
    let gateway = weavy.setup(&format!("http://127.0.0.1:{page_port}")).start();
    let cookie = format!("sid={}", weavy.session());
    let variables =
        [("GATEWAY", &*address(&gateway)), ("COOKIE", &cookie), ("PAGE_PORT", &page_port.to_string())];
    let mut page = Client::node("browser.mjs", &["weavy"], &variables);
    page.value("init", json!({}));
    assert_eq!(
        page.value("fetch", json!({"path": "/api/user"})),
        json!({"status": 200, "body": "{\"id\":1}"})
    );
    let given = page.value("given", json!({}));
    assert_eq!(given.as_array().map(Vec::len), Some(1), "{given}");
    assert_eq!(given[0]["refresh"], false);
    let seen = weavy.upstream.last();
    assert_eq!((seen.head.header("x-user"), seen.head.header("x-sudo")), (Some(USER), None));
    // Once more: the kit keeps the token.
    page.value("fetch", json!({"path": "/api/user"}));
    assert_eq!(page.value("given", json!({})).as_array().map(Vec::len), Some(1));

    // Revoked by the server: 401, which the page may read, another token, and 200.
    assert_eq!(revoke(&gateway, &weavy.key, USER), 200);
    wait_until("the token is refused", || {
        let old = json!({"path": "/api/user", "token": given[0]["token"]});
        page.value("plain", old) == json!({"status": 401})
    });
    assert_eq!(page.value("fetch", json!({"path": "/api/user"}))["status"], 200);
    let given = page.value("given", json!({}));
    assert_eq!(given.as_array().map(Vec::len), Some(2), "{given}");
    assert_eq!(given[1]["refresh"], true);
    assert_ne!(given[1]["token"], given[0]["token"], "the same token again would make the kit ask for ever");

    // What a user may not costs one more token, and stays refused.
    let refused = page.value("fetch", json!({"path": "/api/users/bugs", "method": "PUT"}));
    assert_eq!(refused["status"], 403, "{refused}");
    assert_eq!(page.value("given", json!({})).as_array().map(Vec::len), Some(3));
    assert_eq!(page.value("state", json!({}))["version"], VERSION);
    let tokens: Vec<&str> =
        [&given[0], &given[1]].iter().filter_map(|given| given["token"].as_str()).collect();
    never_reached(&weavy.upstream, &[tokens[0], tokens[1], &weavy.key, &cookie]);
}

/// By `tokenUrl`, which the kit fetches without credentials for other origins: it is of the page's own.
#[test]
fn the_kit_in_chromium_gets_its_tokens_by_token_url() {
    let weavy = Weavy::new();
    let page_port = Ports::free().public.port();
    let gateway = weavy.setup(&format!("http://127.0.0.1:{page_port}")).start();
    let cookie = format!("sid={}", weavy.session());
    let variables =
        [("GATEWAY", &*address(&gateway)), ("COOKIE", &cookie), ("PAGE_PORT", &page_port.to_string())];
    let mut page = Client::node("browser.mjs", &["weavy"], &variables);
    page.value("init", json!({"tokenUrl": "/token"}));
    let get = json!({"path": "/api/user"});
    assert_eq!(page.value("fetch", get.clone())["status"], 200);
    assert_eq!(weavy.upstream.last().head.header("x-user"), Some(USER));
    let issued = || gateway.metric("tokens_issued_total", &[("endpoint", "token")]);
    let before = issued();
    // Revoked, it asks for another by itself: with `refresh=true`, or it would get the same again.
    assert_eq!(revoke(&gateway, &weavy.key, USER), 200);
    assert_eq!(page.value("fetch", get)["status"], 200);
    wait_until("another token was issued", || issued() > before);
}

/// `weavy auth-server`, until dropped.
struct AuthServer {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl AuthServer {
    fn start(url: &str, key: &str) -> Self {
        let port = Ports::free().public.port();
        let directory = tempfile::tempdir().expect("a directory");
        let package = tools::place().join("systems/node/node_modules/@weavy/uikit-web/cli/weavy-cli.mjs");
        let mut command = tools::program("node");
        command.arg(package).arg("auth-server").current_dir(directory.path());
        command.env("WEAVY_URL", url).env("WEAVY_APIKEY", key).env("PORT", port.to_string());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("node is there: .ci/run installs it");
        Self { process, port, _directory: directory }
    }

    /// `GET /api/token` of it.
    fn token(&self, refresh: bool) -> Option<Value> {
        let local = std::net::Ipv4Addr::LOCALHOST;
        let stream = Connection::from_source(local.into(), (local, self.port).into()).ok()?;
        let request = Request::get(&format!("/api/token?refresh={refresh}"));
        let answer = stream.unaudited().send(&request);
        (answer.status == 200).then(|| answer.json())
    }
}

impl Drop for AuthServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn the_vendors_auth_server_is_a_super_user_over_tls() {
    let weavy = Weavy::new();
    let authority = Authority::new("weavy");
    let issued = authority.server(&["localhost"]);
    let setup = weavy.setup("https://app.example").yaml(|text| {
        let (before, rest) = text.split_once("listeners: [").expect("listeners");
        let (address, after) = rest.split_once(']').expect("one");
        let tls = "tls: {certificate: cert.pem, private_key: {file: key.pem}}";
        format!("{before}listeners: [{{address: {address}, {tls}}}]{after}")
    });
    let gateway = setup.file("cert.pem", &issued.certificate).file("key.pem", &issued.key).start();
    let url = format!("https://localhost:{}", gateway.ports.public.port());
    let server = AuthServer::start(&url, &weavy.key);
    let users = |kind: &str| {
        let seen = weavy.upstream.requests();
        seen.iter().filter(|seen| seen.head.method == "PUT" && seen.head.target.starts_with(kind)).count()
    };
    wait_until("every user and agent was put", || users("/api/users/") == 9 && users("/api/agents/") == 4);
    for seen in weavy.upstream.requests().iter().filter(|seen| seen.head.method == "PUT") {
        assert_eq!((seen.head.header("x-sudo"), seen.head.header("x-user")), (Some("server"), None));
    }
    let first = wait_for("the server hands a token on", || server.token(false));
    assert_eq!(first["expires_in"], 3_600, "{first}");
    let same = server.token(false).expect("an answer");
    assert_eq!(same["access_token"], first["access_token"]);
    let other = server.token(true).expect("an answer");
    assert_ne!(other["access_token"], first["access_token"]);
    // What it handed on is a user's, at the gateway that it speaks to.
    let client = TlsClient::new(&authority);
    let me = |token: &Value| {
        let token = token["access_token"].as_str().expect("a token");
        let mut connection = client.connect(gateway.ports.public, "localhost");
        (connection.send(&Request::get("/api/user").bearer(token)).status, token.to_owned())
    };
    let ((one, handed), (two, _)) = (me(&first), me(&other));
    assert_eq!((one, two), (200, 200));
    let seen = weavy.upstream.last();
    assert!(seen.head.header("x-user").is_some_and(|user| !user.is_empty()), "{seen:?}");
    assert_eq!(seen.head.header("x-sudo"), None);
    never_reached(&weavy.upstream, &[&weavy.key, &handed]);
}

/// As the kit opens it: a browser can put a token into the query alone.
#[test]
fn a_socket_opens_with_the_token_in_its_query() {
    let weavy = Weavy::new();
    weavy.upstream.on("/hubs/rtm", echo);
    let gateway = weavy.setup("https://app.example").start();
    let user = token(&gateway, &weavy.token_request(false));
    let rtm = |token: &str| handshake(&format!("/hubs/rtm?id=1&access_token={token}"));
    WebSocket::open(&gateway, &rtm(&user).header("Origin", "https://app.example")).echoes("hello");
    let seen = weavy.upstream.last();
    assert_eq!((&*seen.head.target, seen.head.header("x-user")), ("/hubs/rtm?id=1", Some(USER)));
    assert_eq!(send(&gateway, &rtm("wyu_nothing")).status, 401);
    assert_eq!(send(&gateway, &rtm(&user).header("Origin", "https://evil.example")).status, 403);
    never_reached(&weavy.upstream, &[&user]);
}

#[test]
fn tokens_are_given_again_until_they_are_refreshed_and_revoked_by_their_user() {
    let weavy = Weavy::new();
    let gateway = weavy.setup("https://app.example").start();
    // The page's own endpoint: the same token, until another is asked for.
    let first = token(&gateway, &weavy.token_request(false));
    assert_eq!(token(&gateway, &weavy.token_request(false)), first);
    let answer =
        send(&gateway, &weavy.token_request(true).body(json!({"expires_in": 2_592_000}).to_string()));
    assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(3_600)), "a page's own wish");
    let second = token(&gateway, &weavy.token_request(true));
    assert_ne!(second, first, "refresh=true has to give another");
    // The server key: for anybody, for as long as it says, up to a bound.
    let issue = |user: &str, body: Option<Value>| {
        let request = Request::new("POST", &format!("/api/users/{user}/tokens")).bearer(&weavy.key);
        let request =
            body.map_or_else(|| request.clone().body(""), |body| request.clone().body(body.to_string()));
        let answer = send(&gateway, &request);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let usual = issue("daffy", None);
    assert_eq!(usual["expires_in"], 3_600, "{usual}");
    assert_eq!(issue("daffy", Some(json!({"expires_in": 60})))["expires_in"], 60);
    assert_eq!(issue("daffy", Some(json!({"expires_in": 315_360_000})))["expires_in"], 30 * 86_400);
    let daffy = usual["access_token"].as_str().expect("a token");

    let me = |token: &str| send(&gateway, &Request::get("/api/user").bearer(token)).status;
    assert_eq!([me(&first), me(&second), me(daffy)], [200, 200, 200]);
    assert_eq!(weavy.upstream.last().head.header("x-user"), Some("daffy"));
    // In the query, as a WebSocket has it; and in neither place does it reach the upstream.
    assert_eq!(send(&gateway, &Request::get(&format!("/hubs/rtm?access_token={daffy}"))).status, 200);
    assert_eq!(send(&gateway, &Request::get("/hubs/rtm?access_token=wyu_nothing")).status, 401);

    // Nobody revokes without the key, and a user's token is none.
    assert_eq!(revoke(&gateway, daffy, "daffy"), 401);
    assert_eq!(revoke(&gateway, &secret("wys_"), "daffy"), 401);
    assert_eq!([me(&first), me(daffy)], [200, 200]);
    assert_eq!(revoke(&gateway, &weavy.key, USER), 200);
    wait_until("every token of the user is refused", || [me(&first), me(&second)] == [401, 401]);
    assert_eq!(me(daffy), 200, "another user's token was revoked");
    let third = token(&gateway, &weavy.token_request(false));
    assert!(third != first && third != second, "a revoked token was given again");
    assert_eq!(me(&third), 200);
    never_reached(&weavy.upstream, &[&first, &second, &third, daffy, &weavy.key]);
}

#[test]
fn the_server_key_is_a_super_user_and_a_users_token_is_not() {
    let weavy = Weavy::new();
    let gateway = weavy.setup("https://app.example").start();
    let ask = |method: &str, path: &str, token: &str| {
        send(&gateway, &Request::new(method, path).bearer(token).body("{}")).status
    };
    let put = |path: &str, token: &str| ask("PUT", path, token);
    let user = token(&gateway, &weavy.token_request(false));
    let given = token(&gateway, &Request::new("POST", "/api/users/daffy/tokens").bearer(&weavy.key).body(""));
    for path in ["/api/users/x", "/api/agents/x"] {
        assert_eq!(put(path, &weavy.key), 200);
        let seen = weavy.upstream.last();
        assert_eq!((seen.head.header("x-sudo"), seen.head.header("x-user")), (Some("server"), None));
        let before = weavy.upstream.count();
        // What the better route refuses is refused, whatever the wider one would have said.
        assert_eq!(put(path, &user), 403);
        assert_eq!(put(path, &given), 403);
        assert_eq!(put(path, "wyu_nothing"), 401);
        assert_eq!(weavy.upstream.count(), before);
        assert_eq!(
            ["GET", "DELETE", "PATCH"].map(|method| ask(method, path, &weavy.key)),
            [200; 3],
            "{path}"
        );
        assert_eq!(
            ["GET", "DELETE", "PATCH"].map(|method| ask(method, path, &user)),
            [200, 403, 403],
            "{path}"
        );
    }
    // What the upstream takes for the same path.
    let before = weavy.upstream.count();
    for (method, path) in [
        ("PUT", "/api/users/daffy/"),
        ("PUT", "/api/agents/x/"),
        ("PUT", "/api/Users/x"),
        ("PUT", "/api/%55sers/x"),
        ("POST", "/api/users/daffy/tokens/"),
        ("DELETE", "/api/users/daffy/TOKENS"),
        ("PUT", "/api/AGENTS/x"),
    ] {
        assert_eq!(ask(method, path, &user), 403, "{method} {path}");
        assert_eq!(ask(method, path, &given), 403, "{method} {path}");
    }
    assert_eq!(weavy.upstream.count(), before);
    assert_eq!([put("/api/users/daffy/", &weavy.key), put("/api/messages/1", &user)], [200; 2]);
    let tokens =
        [&weavy.key, &user].map(|token| send(&gateway, &Request::get("/api/users/x/tokens").bearer(token)));
    assert_eq!(tokens.map(|answer| answer.status), [200, 401]);
    // Headers of that name that a client sends are nobody's.
    let forged = Request::get("/api/user").bearer(&user).header("X-Sudo", "server").header("X-User", "daffy");
    assert_eq!(send(&gateway, &forged).status, 200);
    let seen = weavy.upstream.last();
    assert_eq!((seen.head.header("x-sudo"), seen.head.header("x-user")), (None, Some(USER)));
}

/// The kit sees a network error where an answer has no headers of CORS, and never refreshes.
#[test]
fn refusals_have_the_headers_of_cors_for_the_exact_origin() {
    let weavy = Weavy::new();
    let gateway = weavy.setup("https://app.example").start();
    let asked = "authorization,content-type,x-requested-with,x-weavy-source,x-signalr-user-agent";
    for path in ["/api/user", "/hubs/rtm/negotiate", "/token"] {
        let preflight = Request::new("OPTIONS", path).header("Origin", "https://app.example");
        let preflight = preflight.header("Access-Control-Request-Method", "GET");
        let answer = send(&gateway, &preflight.header("Access-Control-Request-Headers", asked));
        assert!(answer.status < 300, "{path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{path}");
    }
    let wrong_user =
        Token::new("https://app.example", &Key::secret("HS256", b"another key of 32 octets or more")).sign();
    for request in [
        Request::get("/api/user"),
        Request::get("/api/user").bearer("wyu_nothing"),
        post("/hubs/rtm/negotiate?negotiateVersion=1", &json!({})).bearer("wyu_nothing"),
        Request::get("/token"),
        Request::get("/token").header("Cookie", &format!("sid={wrong_user}")),
    ] {
        let answer = send(&gateway, &request.clone().header("Origin", "https://app.example"));
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{answer:?}");
        let other = send(&gateway, &request.header("Origin", "https://evil.example"));
        assert_eq!(other.header("access-control-allow-origin"), None, "{other:?}");
    }
    assert_eq!(weavy.upstream.count(), 0);
}
