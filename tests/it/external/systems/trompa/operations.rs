//! The table of what TROMPA's server answers (graphql.md 1.6), by HTTP and by both protocols of WebSockets, before a server
//! of the same shape: 42 types of nodes, 3,700 mutations. It verifies nothing and says what it ran, which is what the table
//! allows, and nothing else.

use serde_json::{Value, json};

use crate::external::graphql::servers::{ELDER, Heard, NEWER, Servers, Talk, codes, post, send};
use crate::external::systems::trompa::{Keys, mint};
use crate::harness::canary;
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::keys::Key;
use crate::harness::process;
use crate::harness::token::now;

/// How operations come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Http,
    Newer,
    Elder,
}

pub const WAYS: [Way; 3] = [Way::Http, Way::Newer, Way::Elder];

/// The server, what it is configured with, and the gateway.
pub struct Scene {
    pub gateway: Gateway,
    pub servers: Servers,
    pub keys: Keys,
}

impl Scene {
    pub fn new() -> Self {
        let (servers, keys) = (Servers::trompa(), Keys::new());
        Self { gateway: keys.setup(&servers.url("")).start(), servers, keys }
    }

    /// A token of these scopes, as the gateway gives it.
    #[track_caller]
    pub fn token(&self, scopes: &[&str]) -> String {
        mint(&self.gateway, "admin", &self.keys.admin, scopes)
    }

    /// A token of these claims, signed as the server's own are.
    fn signed(&self, algorithm: &str, claims: &Value) -> String {
        self.signed_with(algorithm, self.keys.jwt_secret.as_bytes(), claims)
    }

    fn signed_with(&self, algorithm: &str, secret: &[u8], claims: &Value) -> String {
        let header = json!({"alg": algorithm, "typ": "JWT"}).to_string();
        let key = Key::secret(algorithm, secret);
        canary::token(key.compact(&header, claims.to_string().as_bytes()))
    }

    /// What comes of an operation: its status, which messages have none, and its answer.
    #[track_caller]
    pub fn ask(&self, way: Way, token: Option<&str>, payload: &Value) -> (Option<u16>, Value) {
        let public = self.gateway.ports.public;
        let protocol = match way {
            Way::Http => {
                let request = post("/", payload.to_string());
                let request = token.into_iter().fold(request, Request::bearer);
                let answer = send(public, &request);
                return (Some(answer.status), answer.json());
            }
            Way::Newer => NEWER,
            Way::Elder => ELDER,
        };
        (None, Talk::begin(public, "/graphql", protocol, token).first("1", payload))
    }

    /// It is run: of these fields each, and no other.
    #[track_caller]
    fn runs(&mut self, way: Way, token: Option<&str>, payload: &Value, fields: &[&str]) -> Value {
        let (status, answer) = self.ask(way, token, payload);
        assert!(matches!(status, None | Some(200)), "{way:?} {payload}: {status:?} {answer}");
        assert!(answer["errors"].is_null() && !answer["data"].is_null(), "{way:?} {payload}: {answer}");
        assert_eq!(self.servers.ran(), fields, "{way:?} {payload}: {answer}");
        answer
    }

    /// It is refused, and nothing of it is run.
    #[track_caller]
    fn refuses(&mut self, way: Way, token: Option<&str>, payload: &Value, status: u16) -> Value {
        let code = if status == 401 { "UNAUTHENTICATED" } else { "FORBIDDEN" };
        let (given, answer) = self.ask(way, token, payload);
        assert_eq!(codes(&answer), [code], "{way:?} {payload}: {given:?} {answer}");
        assert!(given.is_none_or(|given| given == status), "{way:?} {payload}: {given:?} {answer}");
        assert_eq!(self.servers.ran(), Vec::<String>::new(), "{way:?} {payload}: {answer}");
        answer
    }
}

fn query(text: &str) -> Value {
    json!({"query": text})
}

const CREATE: &str = "mutation{CreatePerson(name:\"a\"){identifier}}";
const DELETE: &str = "mutation{DeletePerson(identifier:\"a\"){identifier}}";
const ADD: &str =
    "mutation{AddMusicCompositionComposer(from:{identifier:1},to:{identifier:2}){from{identifier}}}";
const REQUEST: &str = "mutation{RequestControlAction(entryPointIdentifier:\"a\"){identifier}}";
const INTROSPECTION: &str = "{__schema{mutationType{fields{name}}}__type(name:\"Person\"){name}}";

#[test]
fn the_server_has_the_shape_of_trompas() {
    let mut servers = Servers::trompa();
    let counted = servers.value("counted");
    let shape = json!({"nodes": 42, "interfaces": 12, "mutations": 3700, "queries": 56, "subscriptions": 6});
    assert_eq!(counted, shape);
}

/// Row 1, and 18 where it is about queries: whoever only reads is never asked who it is.
#[test]
fn rows_1_and_18_reading_is_for_everybody() {
    let mut scene = Scene::new();
    let over = json!({"id": "a", "scopes": ["*"], "iat": 1, "exp": 2, "iss": "https://trompamusic.eu"});
    let over = scene.signed("HS256", &over);
    for way in WAYS {
        for token in [None, Some(&*over), Some("garbage")] {
            scene.runs(way, token, &query("{__typename}"), &[]);
            scene.runs(way, token, &query("{Person{identifier}}"), &["Query.Person"]);
            let schema = scene.runs(way, token, &query(INTROSPECTION), &[]);
            let mutations = &schema["data"]["__schema"]["mutationType"]["fields"];
            assert_eq!(mutations.as_array().map(Vec::len), Some(3700), "{way:?}");
            if way != Way::Http {
                let subscription = query("subscription{ThingCreateMutation{identifier}}");
                let first = scene.runs(way, token, &subscription, &["Subscription.ThingCreateMutation"]);
                assert_eq!(first["data"]["ThingCreateMutation"]["identifier"], "1");
            }
        }
        // Nothing runs, whoever asks.
        scene.runs(way, None, &query("mutation{__typename}"), &[]);
    }
}

#[test]
fn rows_2_to_8_scopes_are_asked_for_by_type_and_action() {
    let mut scene = Scene::new();
    let rows: [(&str, &str, &[&str], &[&str]); 4] = [
        (
            CREATE,
            "CreatePerson",
            &["*", "Mutation:*", "Mutation:*:Create", "Mutation:Person:*", "Mutation:Person:Create"],
            &["Mutation:Place:*", "Query:Person:*", "mutation:person:create"],
        ),
        (DELETE, "DeletePerson", &["Mutation:Person:*"], &["Mutation:*:Create"]),
        (
            ADD,
            "AddMusicCompositionComposer",
            &["Mutation:MusicCompositionComposer:Add", "Mutation:*:Add", "Mutation:MusicComposition*:*"],
            &["Mutation:MusicComposition:*", "Mutation:*:Create", "Mutation:MusicCompositionComposer:Remove"],
        ),
        (
            REQUEST,
            "RequestControlAction",
            &["Mutation:ControlAction:Request"],
            &["Mutation:ControlAction:Create"],
        ),
    ];
    for (text, field, right, wrong) in rows {
        for way in WAYS {
            let said = scene.refuses(way, None, &query(text), 401);
            assert_eq!(said["errors"][0]["message"], "No authorization token.", "{way:?}");
            for scope in right {
                let token = scene.token(&[scope]);
                scene.runs(way, Some(&token), &query(text), &[&format!("Mutation.{field}")]);
            }
            for scope in wrong {
                let token = scene.token(&[scope]);
                let said = scene.refuses(way, Some(&token), &query(text), 403);
                let message = &said["errors"][0]["message"];
                assert_eq!(message, "You are not authorized for this resource", "{way:?}");
            }
        }
    }
    let challenged = send(scene.gateway.ports.public, &post("/", query(CREATE).to_string()));
    assert!(challenged.header("www-authenticate").is_some(), "{challenged:?}");
}

/// Real names count, whatever an answer calls them and wherever they stand; and all of an operation is refused, or none.
#[test]
fn rows_9_to_12_fields_are_found_wherever_they_stand() {
    let mut scene = Scene::new();
    let create = scene.token(&["Mutation:Person:Create"]);
    let persons = scene.token(&["Mutation:Person:*"]);
    let delete = "DeletePerson(identifier:\"a\"){identifier}";
    for way in WAYS {
        for text in [
            format!("mutation{{CreatePerson:{delete}}}"),
            format!("mutation{{...F}} fragment F on Mutation{{{delete}}}"),
            format!("mutation{{...{{{delete}}}}}"),
            format!("mutation{{...on Mutation{{{delete}}}}}"),
        ] {
            scene.refuses(way, Some(&create), &query(&text), 403);
            scene.runs(way, Some(&persons), &query(&text), &["Mutation.DeletePerson"]);
        }
        let two = "mutation{a:CreatePerson(name:\"a\"){identifier} b:CreatePlace(name:\"b\"){identifier}}";
        scene.refuses(way, Some(&persons), &query(two), 403);

        let skipped = |how: &str| {
            query(&format!(
                "mutation($v:Boolean=true){{DeletePerson(identifier:\"a\")@{how}{{identifier}} CreatePerson{{identifier}}}}"
            ))
        };
        let unused = |how: &str| {
            query(&skipped(how)["query"].as_str().expect("text").replace("($v:Boolean=true)", ""))
        };
        for literal in ["skip(if:true)", "include(if:false)"] {
            scene.runs(way, Some(&create), &unused(literal), &["Mutation.CreatePerson"]);
        }
        scene.refuses(way, Some(&create), &skipped("skip(if:$v)"), 403);
        scene.refuses(way, Some(&create), &unused("skip(if:false)"), 403);
        scene.runs(way, Some(&persons), &skipped("skip(if:$v)"), &["Mutation.CreatePerson"]);
    }
}

#[test]
fn row_13_the_operation_that_is_named_counts() {
    let mut scene = Scene::new();
    let both = |name: &str| {
        let text = "query Q{__typename} mutation M{CreatePerson(name:\"a\"){identifier}}";
        json!({"query": text, "operationName": name})
    };
    for way in WAYS {
        scene.runs(way, None, &both("Q"), &[]);
        scene.refuses(way, None, &both("M"), 401);
        let token = scene.token(&["Mutation:Person:Create"]);
        scene.runs(way, Some(&token), &both("M"), &["Mutation.CreatePerson"]);
        for none in ["", "X"] {
            let (status, answer) = scene.ask(way, Some(&token), &both(none));
            assert_eq!(codes(&answer), ["OPERATION_RESOLUTION_FAILURE"], "{way:?}: {answer}");
            assert!(matches!(status, None | Some(400)), "{answer}");
        }
        // Without a scheme nobody knows that this would fail: the gateway has none.
        scene.refuses(way, None, &query("mutation{CreatePerson(nope:1){identifier}}"), 401);
    }
    assert_eq!(scene.servers.ran(), Vec::<String>::new());
}

#[test]
fn row_14_a_list_is_judged_whole_before_any_of_it_runs() {
    let mut scene = Scene::new();
    let list = post("/", format!("[{},{}]", query("{__typename}"), query(CREATE)));
    for (scope, status, code) in
        [(None, 401, "UNAUTHENTICATED"), (Some("Mutation:Place:*"), 403, "FORBIDDEN")]
    {
        let token = scope.map(|scope| scene.token(&[scope]));
        let request = token.iter().fold(list.clone(), |request, token| request.bearer(token));
        let answer = send(scene.gateway.ports.public, &request);
        assert_eq!((answer.status, codes(&answer.json())), (status, vec![code.to_owned()]), "{answer:?}");
        assert_eq!(scene.servers.ran(), Vec::<String>::new(), "{answer:?}");
    }
    let token = scene.token(&["Mutation:Person:Create"]);
    let answer = send(scene.gateway.ports.public, &list.bearer(&token));
    assert_eq!(
        (answer.status, scene.servers.ran()),
        (200, vec!["Mutation.CreatePerson".to_owned()]),
        "{answer:?}"
    );
    let answers = answer.json();
    assert_eq!(answers[0]["data"]["__typename"], "Query", "{answers}");
    assert!(answers[1]["data"]["CreatePerson"].is_object(), "{answers}");
}

/// What TROMPA's server takes by HTTP besides, each of it a way around a careless reader.
#[test]
fn rows_15_to_17_and_26_what_is_not_one_operation_is_not_taken() {
    let mut scene = Scene::new();
    let token = scene.token(&["*"]);
    let create = query(CREATE).to_string();
    let twice = [
        format!("{{\"query\":\"{{__typename}}\",{}", &create[1..]),
        format!("{},\"query\":\"{{__typename}}\"}}", &create[..create.len() - 1]),
    ];
    let form = |operations: &str| {
        let part = format!("--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{create}\r\n");
        let body = format!(
            "{}--b\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{{}}\r\n--b--\r\n",
            part.repeat(operations.len())
        );
        Request::post("/", body).header("Content-Type", "multipart/form-data; boundary=b")
    };
    let hash = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0".repeat(64)}}});
    for (request, status) in [
        (post("/", &twice[0]), 400),
        (post("/", &twice[1]), 400),
        (post("/", hash.to_string()), 400),
        (form("1"), 415),
        (form("12"), 415),
        (Request::get("/?query=mutation%7BCreatePerson%7Bidentifier%7D%7D"), 405),
    ] {
        for request in [request.clone(), request.clone().bearer(&token)] {
            let answer = send(scene.gateway.ports.public, &request);
            assert_eq!(answer.status, status, "{request:?}: {answer:?}");
            assert_eq!(codes(&answer.json()).len(), 1, "{request:?}: {answer:?}");
            assert_eq!(scene.servers.ran(), Vec::<String>::new(), "{request:?}: {answer:?}");
            if status == 405 {
                assert_eq!(answer.header("allow"), Some("POST"), "{answer:?}");
            }
        }
    }
    let get = send(scene.gateway.ports.public, &Request::get("/?query=%7BPerson%7Bidentifier%7D%7D"));
    assert_eq!((get.status, scene.servers.ran()), (200, vec!["Query.Person".to_owned()]), "{get:?}");
}

#[test]
fn rows_18_to_20_what_a_token_has_to_be() {
    let mut scene = Scene::new();
    let usual = json!({"id": "a", "scopes": ["*"], "iat": now(), "exp": now() + 600, "iss": "https://trompamusic.eu"});
    let with = |name: &str, value: Value| {
        let mut claims = usual.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = usual.clone();
        claims.as_object_mut().expect("claims").remove(name);
        claims
    };
    let none = {
        let unsigned = scene.signed("HS256", &usual);
        let payload = unsigned.split('.').nth(1).expect("a payload").to_owned();
        canary::token(format!("eyJhbGciOiJub25lIn0.{payload}."))
    };
    let refused = [
        (scene.signed("HS256", &with("exp", json!(now() - 5))), 401),
        (scene.signed("HS512", &usual), 401),
        (scene.signed("HS256", &without("exp")), 401),
        (scene.signed("HS256", &with("iss", json!("https://another.example"))), 401),
        (scene.signed("HS256", &with("nbf", json!(now() + 3600))), 401),
        (none, 401),
        (scene.signed_with("HS256", b"another secret of thirty-two octets", &usual), 401),
        (scene.signed("HS256", &without("scopes")), 403),
        (scene.signed("HS256", &with("scopes", json!([]))), 403),
    ];
    let taken = [scene.signed("HS256", &usual), scene.signed("HS256", &with("scopes", json!("*")))];
    for way in WAYS {
        for (token, status) in &refused {
            scene.refuses(way, Some(token), &query(CREATE), *status);
        }
        for token in &taken {
            scene.runs(way, Some(token), &query(CREATE), &["Mutation.CreatePerson"]);
        }
    }
    let over = scene.ask(Way::Http, Some(&refused[0].0), &query(CREATE)).1;
    assert_eq!(over["errors"][0]["message"], "Your token is expired");
    // The scheme's name in any case; a token without one, or with another's, is none.
    let good = &taken[0];
    for (header, status) in [
        (format!("Bearer {good}"), 200),
        (format!("bearer {good}"), 200),
        (good.clone(), 401),
        (format!("Basic {good}"), 401),
    ] {
        let request = post("/", query(CREATE).to_string()).header("Authorization", &header);
        let answer = send(scene.gateway.ports.public, &request);
        assert_eq!(
            (answer.status, scene.servers.ran().len()),
            (status, usize::from(status == 200)),
            "{answer:?}"
        );
    }
}

#[test]
fn row_21_without_a_secret_it_does_not_start() {
    for secret in ["", "short"] {
        let mut check = process::command();
        check.args(["check", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config/systems/trompa.yaml")]);
        let check = check.env("JWT_SECRET", secret).env("JWT_AUTH_KEYS", "[]").output().expect("it runs");
        assert!(!check.status.success(), "{secret:?} is no secret: {check:?}");
    }
}

/// Rows 22 and 23 are about the token endpoint: `every_row_of_the_token_endpoint`.
#[test]
fn row_24_nothing_is_run_before_the_init() {
    let mut scene = Scene::new();
    for (protocol, end) in [(ELDER, None), (NEWER, Some(4401))] {
        for text in [CREATE, "{Person{identifier}}"] {
            let mut talk = Talk::open(scene.gateway.ports.public, "/graphql", protocol);
            talk.ask("1", &query(text));
            let closed = loop {
                match talk.hear() {
                    Heard::Message(message) => assert_ne!(message["type"], "data", "{message}"),
                    Heard::End(code) => break code,
                }
            };
            assert!(end.is_none() || closed == end, "{protocol}: {closed:?}");
        }
    }
    assert_eq!(scene.servers.ran(), Vec::<String>::new());
}
