//! PUBQ: `pubq` of PyPI as far as it comes, and the requests that the SDK of npm was seen to send.
//!
//! The package of PyPI waits for what is no coroutine: it sends the right request, and then raises `TypeError`, so that the
//! gateway's log says what came of it. The one of npm is gone from its registry.

use serde_json::{Value, json};

use crate::external::systems::{Client, ORIGIN, address, claims, never_reached, post, secret, send, system};
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::keys::{Key, mac, pem};
use crate::harness::setup::Setup;
use crate::harness::token::{Token, now};
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

const KEY_ID: &str = "q4D9G2.rGQK1W";
const CHAT_ID: &str = "q4D9G2.cHat01";

/// An application: its key, what its tokens are signed with, and the session of its own.
struct Pubq {
    upstream: Upstream,
    key: String,
    /// Of the key that may do everything in chats, and nothing else.
    chat: String,
    app_secret: String,
    session_key: String,
}

impl Pubq {
    fn new() -> Self {
        let upstream = Upstream::start();
        upstream.on("/*", |exchange| {
            exchange.answer(200, "Content-Type: application/json\r\n", br#"{"data":{}}"#)
        });
        let (key, chat) = (secret("9pWb"), secret("cHat"));
        Self { upstream, key, chat, app_secret: secret("signs-"), session_key: secret("session-") }
    }

    fn setup(&self) -> Setup {
        let keys = json!([{"id": KEY_ID, "secret": self.key, "scopes": ["*"], "restrictions": null},
            {"id": CHAT_ID, "secret": self.chat, "scopes": ["chat:*"], "restrictions": null}]);
        let setup = system("pubq", &self.upstream.url()).env("PUBQ_KEYS", &keys.to_string());
        setup.env("APP_SECRET", &self.app_secret).env("SESSION_KEY", &self.session_key)
    }

    fn session(&self, who: &str) -> String {
        let key = Key::secret("HS256", self.session_key.as_bytes());
        Token::new("https://app.example", &key).set("sub", json!(who)).sign()
    }

    fn basic(&self) -> String {
        format!("Basic {}", base64(&format!("{KEY_ID}:{}", self.key)))
    }

    /// With the key, as a server asks.
    #[track_caller]
    fn issue(&self, gateway: &Gateway, body: &Value) -> String {
        let answer = send(gateway, &post("/v1/keys/tokens", body).header("Authorization", &self.basic()));
        token_of(&answer)
    }
}

fn base64(text: &str) -> String {
    let armoured = pem("x", text.as_bytes());
    armoured.lines().filter(|line| !line.starts_with('-')).collect()
}

/// The token of an answer, whose `expires_in` has to be the time of its end: it is the vendor's word for that.
#[track_caller]
fn token_of(answer: &Response) -> String {
    let data = &answer.json()["data"];
    assert_eq!((answer.status, &data["token_type"]), (200, &json!("Bearer")), "{answer:?}");
    let token = data["token"].as_str().expect("a token").to_owned();
    assert_eq!(data["expires_in"], claims(&token)["exp"], "{data}");
    assert!(data["expires_in"].as_i64().is_some_and(|exp| exp > now()), "{data}");
    token
}

#[track_caller]
fn publish(gateway: &Gateway, token: &str) -> u16 {
    send(gateway, &post("/v1/channels/chat/messages", &json!({"data": "hello"})).bearer(token)).status
}

#[test]
fn a_token_says_what_the_vendors_says() {
    let pubq = Pubq::new();
    let gateway = pubq.setup().start();
    let token = pubq.issue(&gateway, &json!({"clientId": "John"}));
    let minted = claims(&token);
    let random = minted["jti"].as_str().expect("jti");
    assert!(random.len() == 16 && random.chars().all(|c| c.is_ascii_alphanumeric()), "{random}");
    let (iat, exp) = (minted["iat"].as_i64().expect("iat"), minted["exp"].as_i64().expect("exp"));
    assert_eq!((exp - iat, &minted["nbf"]), (3_600, &json!(iat)), "{minted}");
    for (name, value) in [
        ("iss", json!("https://rest.pubq.io/v1/keys/tokens")),
        ("sub", json!(KEY_ID)),
        ("permissions", json!(["*"])),
        ("restrictions", Value::Null),
        ("clientId", json!("John")),
    ] {
        assert_eq!(minted.get(name), Some(&value), "{name}: {minted}");
    }
    // The realtime server verifies it with the application's secret, as it verifies the vendor's own.
    let (input, signature) = token.rsplit_once('.').expect("a JWT");
    let expected = mac("HS256", pubq.app_secret.as_bytes(), input.as_bytes());
    assert_eq!(crate::harness::keys::decode(signature), expected);
    // The SDK decodes with atob(): nothing but the plain alphabet may stand in the payload.
    let payload = input.split('.').nth(1).expect("a payload");
    assert!(!payload.contains(['-', '_']), "{payload}");
    assert!(claims(&pubq.issue(&gateway, &json!({}))).get("clientId").is_none());
    // One that no upstream could be told: its token would be refused by every route.
    for odd in ["J\u{fc}r\u{e7}", "a,b", " John"] {
        let asked = post("/v1/keys/tokens", &json!({"clientId": odd})).header("Authorization", &pubq.basic());
        assert_eq!(send(&gateway, &asked).status, 400, "{odd}");
    }

    assert_eq!(publish(&gateway, &token), 200);
    assert_eq!(pubq.upstream.last().head.header("x-client-id"), Some("John"));
    // Less than the key has, and more.
    let narrow = pubq.issue(&gateway, &json!({"permissions": ["stats"]}));
    assert_eq!(publish(&gateway, &narrow), 403);
    assert_eq!(send(&gateway, &Request::get("/v1/stats").bearer(&narrow)).status, 200);
    let wrong = format!("Basic {}", base64(&format!("{KEY_ID}:another")));
    for authorization in [Some(&*wrong), Some("Basic !"), None] {
        let request = post("/v1/keys/tokens", &json!({}));
        let request =
            authorization.into_iter().fold(request, |request, it| request.header("Authorization", it));
        assert_eq!(send(&gateway, &request).status, 401, "{authorization:?}");
    }
    never_reached(&pubq.upstream, &[&token, &narrow, &pubq.key]);
    // `chat:*` is any part behind it, and nothing before.
    let chat = format!("Basic {}", base64(&format!("{CHAT_ID}:{}", pubq.chat)));
    let ask = |permissions: Value| {
        let asked = post("/v1/keys/tokens", &json!({"permissions": permissions}));
        send(&gateway, &asked.header("Authorization", &chat))
    };
    for permissions in [json!(["chat:room:1"]), json!(["chat:a", "chat:room:*"]), json!(["chat:*"])] {
        assert_eq!(claims(&token_of(&ask(permissions.clone())))["permissions"], permissions);
    }
    for permissions in [json!(["publish"]), json!(["chat:a", "other"]), json!(["chat"]), json!(["*"])] {
        assert_eq!(ask(permissions.clone()).status, 400, "{permissions}");
    }
    let everything = token_of(&ask(json!(null)));
    assert_eq!(
        (publish(&gateway, &everything), &claims(&everything)["permissions"]),
        (403, &json!(["chat:*"]))
    );
}

#[test]
fn a_server_refreshes_and_revokes_by_showing_the_token() {
    let pubq = Pubq::new();
    let gateway = pubq.setup().start();
    let first = pubq.issue(&gateway, &json!({"clientId": "John", "permissions": ["publish"]}));
    let at = |path: &str, token: &str| send(&gateway, &post(path, &json!({})).bearer(token));
    let second = token_of(&at("/v1/keys/tokens/refresh", &first));
    let (before, after) = (claims(&first), claims(&second));
    for kept in ["clientId", "permissions", "sub", "restrictions", "iss", "sid"] {
        assert_eq!(after[kept], before[kept], "{kept}: {after}");
    }
    assert_ne!(after["jti"], before["jti"]);
    assert_eq!([publish(&gateway, &first), publish(&gateway, &second)], [200, 200]);

    // The SDK revokes the newest only, and the older one has to stop with it.
    let revoked = at("/v1/keys/tokens/revoke", &second);
    assert_eq!((revoked.status, revoked.json()), (200, json!({"data": {}})), "{revoked:?}");
    wait_until("both are refused", || [publish(&gateway, &first), publish(&gateway, &second)] == [401, 401]);
    for token in [&first, &second] {
        let refused = at("/v1/keys/tokens/refresh", token);
        assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_grant")), "{refused:?}");
        assert!(refused.header("www-authenticate").is_some(), "{refused:?}");
    }
    // Another family goes on.
    assert_eq!(publish(&gateway, &pubq.issue(&gateway, &json!({}))), 200);
    never_reached(&pubq.upstream, &[&first, &second]);
}

/// What the SDK of npm sends: `authBody` to authUrl, and to the others with the token in it; `authHeaders` are the
/// application's, its session among them.
#[test]
fn a_page_issues_refreshes_and_revokes_with_the_applications_session() {
    let pubq = Pubq::new();
    let gateway = pubq.setup().start();
    let session = pubq.session("john");
    let at = |path: &str, body: &Value| {
        send(&gateway, &post(path, body).bearer(&session).header("Origin", ORIGIN))
    };
    let answer = at("/auth", &json!({"room": "lobby"}));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{answer:?}");
    let first = token_of(&answer);
    let minted = claims(&first);
    assert_eq!((&minted["sub"], &minted["clientId"]), (&json!(KEY_ID), &json!("john")), "{minted}");
    assert_eq!(minted["permissions"], json!(["*"]));
    // Nobody says who they are but their session.
    let forged = claims(&token_of(&at("/auth", &json!({"clientId": "mary"}))));
    assert_eq!(forged["clientId"], "john", "a page chose its own name");

    let second = token_of(&at("/refresh", &json!({"room": "lobby", "token": first})));
    assert_eq!(claims(&second)["clientId"], "john");
    assert_ne!(claims(&second)["jti"], minted["jti"]);
    let third = token_of(&at("/refresh", &json!({"token": second})));
    assert_eq!(at("/revoke", &json!({"room": "lobby", "token": third})).status, 200);
    wait_until("the family is refused", || {
        [&first, &second, &third].map(|token| publish(&gateway, token)) == [401, 401, 401]
    });
    assert_eq!(at("/refresh", &json!({"token": second})).status, 401);
    assert_eq!(at("/refresh", &json!({})).status, 400);
    // By its cookie as well; and not without a session, or with a token of the gateway's own in its place.
    let by_cookie = post("/auth", &json!({})).header("Cookie", &format!("sid={session}"));
    token_of(&send(&gateway, &by_cookie));
    let living = pubq.issue(&gateway, &json!({}));
    for request in [post("/auth", &json!({})), post("/auth", &json!({})).bearer(&living)] {
        let answer = send(&gateway, &request.header("Origin", ORIGIN));
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{answer:?}");
    }
    assert_eq!(publish(&gateway, &session), 401, "a session is no token of the API's");
}

#[test]
fn the_python_package_sends_what_the_gateway_takes() {
    let pubq = Pubq::new();
    let gateway = pubq.setup().start();
    let mut client = Client::python("python", "pubq_rest.py", &[("GATEWAY", &address(&gateway))]);
    let issued = || {
        let logs = gateway.logs();
        let access = logs.lines().filter(|line| line.contains("portcullis::access"));
        access.filter(|line| line.contains("\"route\":\"tokens\"") && line.contains("\"status\":200")).count()
    };
    client.value("begin", json!({"key": format!("{KEY_ID}:{}", pubq.key)}));
    assert_eq!(client.error("generate", json!({"client_id": "John"}))["name"], "TypeError");
    wait_until("a token was issued", || issued() == 1);
    client.value("begin", json!({"key": format!("{KEY_ID}:another")}));
    assert_eq!(client.error("generate", json!({}))["name"], "TypeError");
    gateway.wait_for_log(&["portcullis::access", "\"route\":\"tokens\"", "\"status\":401"]);

    // It refreshes and revokes what it is given, and says nothing of what came back.
    let held = pubq.issue(&gateway, &json!({"clientId": "John"}));
    assert_eq!(client.error("refresh", json!({"token": held}))["name"], "TypeError");
    gateway.wait_for_log(&["portcullis::access", "\"route\":\"tokens-refresh\"", "\"status\":200"]);
    assert_eq!(publish(&gateway, &held), 200);
    assert_eq!(client.error("revoke", json!({"token": held}))["name"], "TypeError");
    gateway.wait_for_log(&["portcullis::access", "\"route\":\"tokens-revoke\"", "\"status\":200"]);
    wait_until("the token is refused", || publish(&gateway, &held) == 401);

    // authUrl, with the application's own header.
    let session = format!("Bearer {}", pubq.session("john"));
    let auth = format!("{}/auth", address(&gateway));
    client
        .value("begin", json!({"authUrl": auth, "authBody": {}, "authHeaders": {"Authorization": session}}));
    assert_eq!(client.error("requestToken", json!({}))["name"], "TypeError");
    gateway.wait_for_log(&["portcullis::access", "\"route\":\"auth\"", "\"status\":200"]);
    never_reached(&pubq.upstream, &[&held, &pubq.key]);
}
