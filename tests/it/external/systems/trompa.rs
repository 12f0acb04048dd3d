//! TROMPA's CE-API: `trompace-client` of PyPI, and what the server itself answered to each row of its token endpoint and of its operations.

mod generated;
mod operations;

use serde_json::{Value, json};

use crate::external::systems::trompa::operations::Scene;
use crate::external::systems::{Client, address, claims, never_reached, post, secret, send, system};
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::keys::Key;
use crate::harness::setup::Setup;
use crate::harness::token::now;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

/// What it is configured with.
struct Keys {
    /// `JWT_SECRET`.
    jwt_secret: String,
    /// Of `admin`, who may do all.
    admin: String,
    /// Of `only-persons`.
    persons: String,
    /// Of `anything-of-a-person`.
    any: String,
}

/// The API, and what it is configured with.
struct Trompa {
    upstream: Upstream,
    keys: Keys,
}

impl Keys {
    fn new() -> Self {
        Self { jwt_secret: secret("signs-"), admin: secret("a-"), persons: secret("p-"), any: secret("any-") }
    }

    fn setup(&self, upstream: &str) -> Setup {
        let keys = json!([
            {"id": "admin", "apiKey": self.admin, "scopes": ["*"]},
            {"id": "only-persons", "apiKey": self.persons, "scopes": ["Mutation:Person:*"]},
            {"id": "anything-of-a-person", "apiKey": self.any, "scopes": ["*:Person:Create"]},
        ]);
        let setup = system("trompa", upstream).env("JWT_SECRET", &self.jwt_secret);
        setup.env("JWT_AUTH_KEYS", &keys.to_string())
    }
}

impl Trompa {
    fn new() -> Self {
        let upstream = Upstream::start();
        upstream.on("/*", |exchange| {
            exchange.answer(
                200,
                "Content-Type: application/json\r\n",
                br#"{"data":{"CreatePerson":{"identifier":"1"},"Person":[]}}"#,
            )
        });
        Self { upstream, keys: Keys::new() }
    }

    fn setup(&self) -> Setup {
        self.keys.setup(&self.upstream.url())
    }
}

fn client(gateway: &Gateway) -> Client {
    Client::python("python", "trompa.py", &[("GATEWAY", &address(gateway))])
}

#[track_caller]
fn mint(gateway: &Gateway, id: &str, key: &str, scopes: &[&str]) -> String {
    let answer = send(gateway, &post("/jwt", &json!({"id": id, "apiKey": key, "scopes": scopes})));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["jwt"].as_str().expect("a token").to_owned()
}

/// `exp - iat` of a token minted under this `JWT_EXPIRES`.
#[track_caller]
fn lifetime(trompa: &Trompa, expires: Option<&str>) -> i64 {
    let setup = expires.into_iter().fold(trompa.setup(), |setup, span| setup.env("JWT_EXPIRES", span));
    let claims = claims(&mint(&setup.start(), "admin", &trompa.keys.admin, &["*"]));
    claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat")
}

#[test]
fn the_client_issues_calls_is_refused_and_issues_again_by_itself() {
    let trompa = Trompa::new();
    // Seconds, as the documentation promises; the server itself takes them for milliseconds.
    let gateway = trompa.setup().env("JWT_EXPIRES", "4").start();
    let mut client = client(&gateway);
    client.value("begin", json!({"id": "admin", "key": trompa.keys.admin, "scopes": ["*"]}));
    assert_eq!(client.value("create", json!({}))["data"]["CreatePerson"]["identifier"], "1");
    let first = client.value("token", json!({}));
    let minted = claims(first.as_str().expect("a token"));
    assert_eq!((&minted["id"], &minted["scopes"]), (&json!("admin"), &json!(["*"])), "{minted}");
    assert_eq!(minted["iss"], "https://trompamusic.eu");

    // It looks at `exp` by its own clock, and asks for another token without a word. In the second of `exp` itself it does
    // not yet, and is refused, as it was by the server.
    wait_until("the client has issued again", || {
        let answer = client.value("create", json!({}));
        let refused = answer["refused"].as_str().is_some_and(|said| said.contains("Your token is expired"));
        assert!(refused || answer["data"]["CreatePerson"]["identifier"] == "1", "{answer}");
        client.value("token", json!({})) != first
    });
    assert_eq!(client.value("create", json!({}))["data"]["CreatePerson"]["identifier"], "1");
    assert!(now() >= minted["exp"].as_i64().expect("exp"), "it asked for another before the first was over");

    // A token for changing persons is none for making one.
    client.value(
        "begin",
        json!({"id": "only-persons", "key": trompa.keys.persons, "scopes": ["Mutation:Person:Update"]}),
    );
    let before = trompa.upstream.count();
    let refused = client.value("create", json!({}))["refused"].to_string();
    assert!(refused.contains("You are not authorized for this resource"), "{refused}");
    assert_eq!(trompa.upstream.count(), before, "a refused request reached the upstream");

    // Without a token it dies: it writes what it was not given into its file.
    client.value("begin", json!({"id": "admin", "key": "another", "scopes": ["*"]}));
    assert_eq!(client.error("create", json!({}))["name"], "TypeError");
    never_reached(&trompa.upstream, &[first.as_str().expect("a token"), &trompa.keys.admin]);
}

const MISSING: &str = "The `apiKey` or `id` property is missing in the request body";
const NO_SCOPES: &str = "The `scopes` property is missing or not an Array with at least one scope";
const WRONG_PAIR: &str = "The apiKey and id combination is not correct";

#[track_caller]
fn says(answer: &Response, status: u16, message: &str) {
    assert_eq!(
        (answer.status, answer.json()),
        (status, json!({"success": false, "message": message})),
        "{answer:?}"
    );
}

/// graphql.md 1.2: what the server itself answered, row by row and in its order.
#[test]
fn every_row_of_the_token_endpoint() {
    let trompa = Trompa::new();
    let gateway = trompa.setup().start();
    let Keys { admin, persons, .. } = &trompa.keys;
    let ask = |body: &Value| send(&gateway, &post("/jwt", body));

    let answer = ask(&json!({"id": "admin", "apiKey": admin, "scopes": ["Mutation:Place:*", "*"]}));
    assert_eq!((answer.status, &answer.json()["success"]), (200, &json!(true)), "{answer:?}");
    let minted = claims(answer.json()["jwt"].as_str().expect("a token"));
    let names: Vec<&String> = minted.as_object().expect("claims").keys().collect();
    assert_eq!(names.len(), 5, "{minted}");
    for name in ["id", "scopes", "iat", "exp", "iss"] {
        assert!(names.iter().any(|known| *known == name), "no {name}: {minted}");
    }
    assert_eq!(minted["scopes"], json!(["Mutation:Place:*", "*"]));

    // What is missing, before anything else.
    let scopes = json!(["*"]);
    for body in [
        json!({}),
        json!({"id": "admin", "scopes": scopes}),
        json!({"apiKey": admin, "scopes": scopes}),
        json!({"id": "", "apiKey": admin, "scopes": scopes}),
        json!({"id": null, "apiKey": admin}),
        json!({"id": "admin", "apiKey": "", "scopes": []}),
        json!({"id": 0, "apiKey": admin, "scopes": scopes}),
        json!({"id": "admin", "apiKey": false, "scopes": scopes}),
    ] {
        says(&ask(&body), 401, MISSING);
    }
    says(&send(&gateway, &Request::new("POST", "/jwt").body("")), 401, MISSING);
    // Then the scopes, whether or not the pair is right.
    for wrong in [json!(null), json!("*"), json!([]), json!({"0": "*"}), json!(7)] {
        says(&ask(&json!({"id": "admin", "apiKey": "another", "scopes": wrong})), 401, NO_SCOPES);
    }
    says(&ask(&json!({"id": "admin", "apiKey": admin})), 401, NO_SCOPES);
    // Then the pair.
    for (id, key) in
        [("admin", persons.as_str()), ("nobody", admin), ("only-persons", admin), ("Admin", admin)]
    {
        says(&ask(&json!({"id": id, "apiKey": key, "scopes": ["*"]})), 403, WRONG_PAIR);
    }
    for key in [json!(7), json!(true), json!([admin]), json!({})] {
        says(&ask(&json!({"id": "admin", "apiKey": key, "scopes": ["*"]})), 403, WRONG_PAIR);
    }
    // What it is called is nothing to the gateway, a form counts too (the server took both for nothing).
    let body = json!({"id": "admin", "apiKey": admin, "scopes": ["*"]}).to_string();
    let plain = Request::post("/jwt", body).header("Content-Type", "text/plain");
    let form = Request::post("/jwt", format!("id=admin&apiKey={admin}&scopes=*"));
    for request in [plain, form.header("Content-Type", "application/x-www-form-urlencoded")] {
        assert_eq!(send(&gateway, &request).status, 200, "{request:?}");
    }
    let xml = Request::post("/jwt", "<id>admin</id>").header("Content-Type", "application/xml");
    says(&send(&gateway, &xml), 401, MISSING);
    // And what is no JSON, or another method.
    assert_eq!(send(&gateway, &post("/jwt", &json!(null)).body("{\"id\":")).status, 400);
    for method in ["GET", "PUT"] {
        let answer = send(&gateway, &Request::new(method, "/jwt"));
        let allow = answer.header("allow").unwrap_or_default();
        assert!(answer.status == 405 && allow.contains("POST"), "{method}: {answer:?}");
    }
    let preflight = Request::new("OPTIONS", "/jwt").header("Origin", "https://any.example");
    let preflight = send(&gateway, &preflight.header("Access-Control-Request-Method", "POST"));
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"), "{preflight:?}");
    assert!(preflight.status < 300, "{preflight:?}");
    assert_eq!(trompa.upstream.count(), 0, "the upstream heard of a token");
}

/// The rows about scopes that are too many: the first of them by name.
#[test]
fn every_row_of_the_token_endpoint_about_scopes() {
    let trompa = Trompa::new();
    let gateway = trompa.setup().start();
    let Keys { persons, any, .. } = &trompa.keys;
    let ask = |body: &Value| send(&gateway, &post("/jwt", body));
    for (asked, refused) in [
        (json!(["*"]), "*"),
        (json!(["Mutation:*"]), "Mutation:*"),
        (
            json!(["Mutation:Person:Create", "Mutation:DigitalDocument:Create", "*"]),
            "Mutation:DigitalDocument:Create",
        ),
        (json!(["Query:ControlAction"]), "Query:ControlAction"),
        (json!(["mutation:person:create"]), "mutation:person:create"),
        (json!([""]), ""),
        (json!(["Mutation:Person:Create "]), "Mutation:Person:Create "),
        (json!([" Mutation:Person:Create"]), " Mutation:Person:Create"),
    ] {
        let answer = ask(&json!({"id": "only-persons", "apiKey": persons, "scopes": asked}));
        says(&answer, 403, &format!("You don't have access to the requested '{refused}' scope"));
    }
    for wrong in [json!([7]), json!([null]), json!(["Mutation:Person:Create", {}])] {
        let body = json!({"id": "only-persons", "apiKey": persons, "scopes": wrong});
        says(&ask(&body), 403, "Expected input to be a string");
    }
    // The server's own hole: a negation was compared as it stands, and then meant everything else.
    let hole = ask(&json!({"id": "anything-of-a-person", "apiKey": any, "scopes": ["!x:Person:Create"]}));
    says(&hole, 403, "You don't have access to the requested '!x:Person:Create' scope");
}

#[test]
fn the_lifetime_is_a_span_and_a_bare_number_is_seconds() {
    let trompa = Trompa::new();
    for (span, seconds) in [
        (None, 86_400),
        (Some("2 days"), 172_800),
        (Some("10h"), 36_000),
        (Some("1.5h"), 5_400),
        (Some("90s"), 90),
        (Some("1w"), 604_800),
        (Some("1y"), 31_557_600),
        (Some("1D"), 86_400),
        (Some("1 hour"), 3_600),
        (Some("3600"), 3_600),
    ] {
        assert_eq!(lifetime(&trompa, span), seconds, "{span:?}");
    }
}

/// The token of the documentation, valid until 2023-03-23: its shape and its dates, under a key of ours.
#[test]
fn the_token_of_the_documentation_is_over() {
    let trompa = Trompa::new();
    let issuer = "https://api.trompamusic.eu";
    let gateway = trompa.setup().env("JWT_ISSUER", issuer).start();
    let key = Key::secret("HS256", trompa.keys.jwt_secret.as_bytes());
    let token = |iat: i64, exp: i64| {
        let header = json!({"alg": "HS256", "typ": "JWT"}).to_string();
        let claims =
            json!({"id": "local", "scopes": ["*"], "iat": iat, "exp": exp, "iss": issuer}).to_string();
        crate::harness::canary::token(key.compact(&header, claims.as_bytes()))
    };
    let call = |token: &str| {
        let query = json!({"query": "mutation { CreatePerson(name: \"a\") { identifier } }"});
        send(&gateway, &post("/", &query).bearer(token))
    };
    let over = call(&token(1_616_417_124, 1_679_532_324));
    assert_eq!((over.status, &over.json()["errors"][0]["message"]), (401, &json!("Your token is expired")));
    gateway.wait_for_log(&["\"reason\":\"expired\""]);
    assert_eq!(trompa.upstream.count(), 0);
    // The same with dates of today counts: nothing else was wrong with it.
    assert_eq!(call(&token(now(), now() + 3_600)).status, 200);
}

/// The client of the vendor before a real server: what it may it has done, what it may not is not done.
#[test]
fn the_client_does_what_its_scopes_say_and_nothing_else() {
    let mut scene = Scene::new();
    let mut client = client(&scene.gateway);
    let begin = |scopes: &[&str]| json!({"id": "only-persons", "key": scene.keys.persons, "scopes": scopes});
    // What reads needs no token.
    client.value("begin", begin(&["Mutation:Person:Update"]));
    let read = client.value("query", json!({"auth": false}));
    assert_eq!(read["data"]["Person"][0]["name"], "a", "{read}");
    assert_eq!(client.value("token", json!({})), Value::Null, "it asked for a token that it does not need");
    assert_eq!(scene.servers.ran(), ["Query.Person"]);
    let refused = client.value("create", json!({}))["refused"].to_string();
    assert!(refused.contains("You are not authorized for this resource"), "{refused}");
    assert_eq!(scene.servers.ran(), Vec::<String>::new());

    for scopes in [&["Mutation:Person:Create"][..], &["Mutation:Person:*"]] {
        client.value("begin", begin(scopes));
        let created = client.value("create", json!({}));
        assert_eq!(created["data"]["CreatePerson"]["identifier"], "1", "{created}");
        assert_eq!(scene.servers.ran(), ["Mutation.CreatePerson"]);
        let delete = |auth: bool| json!({"text": "mutation { DeletePlace(identifier: \"1\") { identifier } }", "auth": auth});
        let refused = client.value("submit", delete(true))["refused"].to_string();
        assert!(refused.contains("You are not authorized for this resource"), "{refused}");
        let refused = client.value("submit", delete(false))["refused"].to_string();
        assert!(refused.contains("No authorization token."), "{refused}");
        let own = json!({"text": "mutation { CreatePerson: DeletePlace(identifier: \"1\") { identifier } }"});
        assert!(client.value("submit", own)["refused"].is_string());
        assert_eq!(scene.servers.ran(), Vec::<String>::new());
    }
}
