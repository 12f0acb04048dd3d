//! Prequel: the functions of `@prequel/react`, with a backend beside them that has the API key.

use serde_json::{Value, json};

use crate::external::systems::{Client, ORIGIN, address, claims, never_reached, post, secret, send, system};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::keys::Key;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;

/// Two environments' keys.
struct Prequel {
    upstream: Upstream,
    production: String,
    staging: String,
    scoped_key: String,
}

impl Prequel {
    fn new() -> Self {
        let upstream = Upstream::start();
        upstream.on("/*", |exchange| {
            exchange.answer(
                200,
                "Content-Type: application/json\r\n",
                br#"{"status":"success","message":"","data":{"destinations":[{"id":"d1"}],"models":["m1"],"transfers":[]}}"#,
            )
        });
        Self {
            upstream,
            production: secret("sk_prod_"),
            staging: secret("sk_staging_"),
            scoped_key: secret("signs-"),
        }
    }

    fn setup(&self) -> Setup {
        let keys = json!([
            {"id": "production", "secret": self.production},
            {"id": "staging", "secret": self.staging},
        ]);
        let setup = system("prequel", &self.upstream.url()).env("PREQUEL_KEYS", &keys.to_string());
        setup.env("SCOPED_KEY", &self.scoped_key)
    }

    fn client(&self, gateway: &Gateway) -> Client {
        let variables = [("GATEWAY", &*address(gateway)), ("ORIGIN", ORIGIN), ("API_KEY", &self.production)];
        Client::node("prequel.mjs", &[], &variables)
    }

    /// What the last request said of whoever asked.
    fn told(&self) -> [Option<String>; 3] {
        let seen = self.upstream.last();
        ["x-recipient-id", "x-environment", "x-destination"]
            .map(|name| seen.head.header(name).map(str::to_owned))
    }
}

fn destination() -> Value {
    json!({"type": "prepared", "name": "Warehouse", "vendor": "snowflake", "recipient_id": "acme"})
}

#[test]
fn the_functions_work_with_tokens_for_one_recipient() {
    let prequel = Prequel::new();
    let gateway = prequel.setup().start();
    let mut page = prequel.client(&gateway);
    assert_eq!(page.value("list", json!({"recipient": "acme"})), json!([{"id": "d1"}]));
    assert_eq!(prequel.told(), [Some("acme".into()), Some("production".into()), None]);
    let read_token = page.value("token", json!({}));
    assert_eq!(page.value("models", json!({"recipient": "acme"})), json!(["m1"]));
    let transfers = page.value("transfers", json!({"recipient": "acme", "destination": {"id": "d1"}}));
    assert_eq!(transfers["results"], json!([]));

    let created = page.value("create", json!({"recipient": "acme", "destination": destination()}));
    assert_eq!(created["status"], "success", "{created}");
    let [recipient, environment, told] = prequel.told();
    assert_eq!((recipient.as_deref(), environment.as_deref()), (Some("acme"), Some("production")));
    let told: Value = serde_json::from_str(&told.unwrap_or_default()).unwrap_or_default();
    assert_eq!((&told["vendor"], &told["recipient_id"]), (&json!("snowflake"), &json!("acme")), "{told}");
    let sent: Value = serde_json::from_slice(&prequel.upstream.last().body).expect("JSON");
    assert_eq!(sent["destination"]["name"], "Warehouse", "the body is the page's own");
    let write_token = page.value("token", json!({}));

    let tested = page.value("test", json!({"recipient": "acme", "destination": destination()}));
    assert_eq!(tested["status"], "success");
    let update =
        json!({"recipient": "acme", "before": {"id": "d1", "name": "a"}, "after": {"id": "d1", "name": "b"}});
    assert_eq!(page.value("update", update)["status"], "success");
    assert_eq!(prequel.upstream.last().head.target, "/export/destinations/d1");
    let remove = json!({"recipient": "acme", "destination": {"id": "d1"}});
    assert_eq!(page.value("remove", remove)["status"], "success");

    let tokens = [&read_token, &write_token].map(|token| token.as_str().expect("a token").to_owned());
    let minted = claims(&tokens[0]);
    assert_eq!((&minted["env"], &minted["origin"]), (&json!("production"), &json!(ORIGIN)), "{minted}");
    assert_eq!(minted["exp"].as_i64().expect("exp") - minted["iat"].as_i64().expect("iat"), 3_600);
    never_reached(&prequel.upstream, &[&tokens[0], &tokens[1], &prequel.production]);
    assert!(
        !prequel.upstream.raw().to_lowercase().contains("x-api-key"),
        "the key's header reached the upstream"
    );
}

#[test]
fn a_token_counts_for_its_page_its_recipient_and_what_it_was_made_for() {
    let prequel = Prequel::new();
    let gateway = prequel.setup().start();
    let mut page = prequel.client(&gateway);
    page.value("list", json!({"recipient": "acme"}));
    let token = page.value("token", json!({}));
    let token = token.as_str().expect("a token");
    let before = prequel.upstream.count();

    // From another page: the SDK finds an error in the envelope that it reads.
    let elsewhere = page.value("listWith", json!({"token": token, "app": "https://evil.example"}));
    assert_eq!(elsewhere, Value::Null, "{elsewhere}");
    let elsewhere = json!({"recipient": "acme", "destination": destination(), "app": "https://evil.example"});
    let refused = page.value("create", elsewhere);
    assert_eq!((&refused["status"], &refused["data"]), (&json!("error"), &Value::Null), "{refused}");

    let ask = |method: &str, target: &str, token: &str, origin: Option<&str>| {
        let request = Request::new(method, target).bearer(token).body("{}");
        send(
            &gateway,
            &origin.into_iter().fold(request, |request, origin| request.header("X-APP-ID", origin)),
        )
    };
    for (method, target, origin) in [
        // No page at all, another page, another recipient by name.
        ("GET", "/destinations-for-recipient", None),
        ("GET", "/export/models", Some("https://app.example.evil")),
        ("GET", "/destinations-for-recipient?recipient_id=other", Some(ORIGIN)),
        // As an upstream may read it, which is not asked how.
        ("GET", "/destinations-for-recipient?recipient_id=other&recipient_id=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?recipient_id=acme&recipient_id=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?recipient_id=acme&%72ecipient_id=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?%72ecipient%5Fid=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?x=1;recipient_id=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?recipient_id=acme;recipient_id=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?recipient_id[]=other", Some(ORIGIN)),
        ("GET", "/destinations-for-recipient?Recipient_Id=other", Some(ORIGIN)),
        ("GET", "/export/models-for-recipient?recipient_id=other&recipient_id=other", Some(ORIGIN)),
        ("DELETE", "/destinations/d1?recipient_id=other&recipient_id=other", Some(ORIGIN)),
        // A token to read with, for what a page changes.
        ("POST", "/destinations", Some(ORIGIN)),
        ("POST", "/test-destination", Some(ORIGIN)),
        ("PATCH", "/export/destinations/d1", Some(ORIGIN)),
    ] {
        let answer = ask(method, target, token, origin);
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (403, &json!("error")),
            "{method} {target}: {answer:?}"
        );
    }
    // A token at what is for servers, and none at all.
    let answer = ask("GET", "/actions/list-everything", token, Some(ORIGIN));
    assert_eq!((answer.status, &answer.json()["status"]), (401, &json!("error")), "{answer:?}");
    assert_eq!(send(&gateway, &Request::get("/export/models")).status, 401);
    assert_eq!(prequel.upstream.count(), before, "a refused request reached the upstream");
    assert_eq!(ask("GET", "/destinations-for-recipient?recipient_id=acme", token, Some(ORIGIN)).status, 200);

    // One that is over, and one that another key signed: the SDK reads JSON whatever the status is.
    let payload = claims(token);
    let old = json!({"alg": "HS256", "typ": "JWT"}).to_string();
    let sign = |key: &str, exp: i64| {
        let mut claims = payload.clone();
        claims["exp"] = json!(exp);
        claims["iat"] = json!(exp - 60);
        Key::secret("HS256", key.as_bytes()).compact(&old, claims.to_string().as_bytes())
    };
    let exp = payload["exp"].as_i64().expect("exp");
    for token in
        [sign(&prequel.scoped_key, 1_700_000_000), sign("another key of thirty-two octets or more", exp)]
    {
        let answer = ask("GET", "/destinations-for-recipient", &token, Some(ORIGIN));
        assert_eq!((answer.status, &answer.json()["status"]), (401, &json!("error")), "{answer:?}");
    }
}

#[test]
fn an_api_key_says_its_environment_by_its_prefix() {
    let prequel = Prequel::new();
    let gateway = prequel.setup().start();
    let ask = |target: &str, key: &str| send(&gateway, &Request::get(target).header("X-API-KEY", key));
    for (key, environment) in [(&prequel.production, "production"), (&prequel.staging, "staging")] {
        for target in ["/export/models", "/destinations", "/anything/at/all"] {
            assert_eq!(ask(target, key).status, 200, "{target}");
            assert_eq!(prequel.told(), [None, Some(environment.into()), None], "{target}");
        }
        // The token that it makes says the same.
        let asked = post("/actions/generate-scoped-auth-token", &json!({"recipient_id": "acme"}));
        let answer = send(&gateway, &asked.header("X-API-KEY", key));
        let token = answer.json()["data"]["scoped_token"].as_str().expect("a token").to_owned();
        let minted = claims(&token);
        assert_eq!(minted["env"], environment, "{minted}");
        assert!(minted.get("origin").is_none() && minted.get("destination").is_none(), "{minted}");
    }
    let before = prequel.upstream.count();
    for wrong in
        ["sk_prod_nothing", "sk_test_nothing", &prequel.production[8..], &format!("{}x", prequel.staging)]
    {
        let answer = ask("/export/models", wrong);
        assert_eq!((answer.status, &answer.json()["status"]), (401, &json!("error")), "{answer:?}");
    }
    // Without a recipient, without a key, and with a recipient that is no text.
    for (body, key, status) in [
        (json!({}), Some(&prequel.production), 400),
        (json!({"recipient_id": 7}), Some(&prequel.production), 400),
        (json!({"recipient_id": "acme"}), None, 401),
    ] {
        let request = post("/actions/generate-scoped-auth-token", &body);
        let request = key.into_iter().fold(request, |request, key| request.header("X-API-KEY", key));
        let answer = send(&gateway, &request);
        assert_eq!((answer.status, &answer.json()["status"]), (status, &json!("error")), "{answer:?}");
    }
    assert_eq!(prequel.upstream.count(), before);
    never_reached(&prequel.upstream, &[&prequel.production, &prequel.staging]);
}

/// A browser asks before it calls the functions' paths, and may read what is refused.
#[test]
fn pages_of_the_application_may_ask_and_no_others() {
    let prequel = Prequel::new();
    let gateway = prequel.setup().start();
    let app = "https://app.example";
    let preflight = |method: &str, path: &str, origin: &str| {
        let request = Request::new("OPTIONS", path).header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", method);
        send(
            &gateway,
            &request.header("Access-Control-Request-Headers", "authorization,content-type,x-app-id"),
        )
    };
    for (method, path) in [
        ("GET", "/destinations-for-recipient"),
        ("GET", "/export/models"),
        ("GET", "/export/destinations/d1/transfers"),
        ("POST", "/destinations"),
        ("POST", "/test-destination"),
        ("PATCH", "/export/destinations/d1"),
        ("DELETE", "/destinations/d1"),
        ("GET", "/public/vendors"),
    ] {
        let answer = preflight(method, path, app);
        assert_eq!(answer.header("access-control-allow-origin"), Some(app), "{method} {path}: {answer:?}");
        assert!(
            answer.header("access-control-allow-methods").is_some_and(|all| all.contains(method)),
            "{path}"
        );
        let strange = preflight(method, path, "https://evil.example");
        assert_eq!(strange.header("access-control-allow-origin"), None, "{method} {path}");
    }
    let refused = send(&gateway, &Request::get("/export/models").header("Origin", app));
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(app)));
    assert_eq!(prequel.upstream.count(), 0);
}
