//! The published clients, before a gateway that judges what they ask for: what they are given, and how they say that they
//! were refused.

use serde_json::{Value, json};

use crate::external::graphql::servers::Servers;
use crate::external::systems::Client;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::token::now;

const QUERY: &str = "{hello}";
const ERASE: &str = "mutation{erase}";
const TICKS: &str = "subscription{ticks}";

/// Servers, a gateway, and the clients before it.
struct Scene {
    node: Client,
    python: Client,
    gateway: Gateway,
    servers: Servers,
    today: Servers,
    issuer: Issuer,
}

/// A client, where it goes, and what it makes of a refusal over HTTP: its error's name, and the status that it tells.
struct Known {
    name: &'static str,
    path: &'static str,
    error: &'static str,
    status: Option<u16>,
}

const fn known(name: &'static str, path: &'static str, error: &'static str, status: Option<u16>) -> Known {
    Known { name, path, error, status }
}

/// 401 and 403 both.
const ANY: Option<u16> = Some(0);

/// Over HTTP, and over WebSockets by both protocols.
const CLIENTS: [Known; 11] = [
    known("apollo", "/apollo", "CombinedGraphQLErrors", None),
    // Hashes are not supported here: it is told so, and sends documents from then on.
    known("apollo_persisted", "/apollo", "CombinedGraphQLErrors", None),
    known("urql", "/apollo", "CombinedError", ANY),
    known("request", "/apollo", "Error", ANY),
    known("events", "/yoga", "NetworkError", ANY),
    known("aiohttp", "/apollo", "TransportQueryError", None),
    known("apollo_socket", "/messages", "CombinedGraphQLErrors", None),
    known("messages", "/messages", "Array", None),
    known("elder_messages", "/messages", "Object", None),
    known("graphql-transport-ws", "/messages", "TransportQueryError", None),
    known("graphql-ws", "/messages", "TransportQueryError", None),
];

impl Known {
    fn is_python(&self) -> bool {
        matches!(self.name, "aiohttp" | "graphql-ws" | "graphql-transport-ws")
    }

    fn speaks_of_subscriptions(&self) -> bool {
        self.path != "/apollo"
    }
}

/// `rules` are members of `graphql`, in flow style.
fn setup(servers: &Servers, today: &Servers, issuer: &Issuer, rules: &str) -> Setup {
    // One worker: a hash is known to the worker that was told it. And no leeway: one test waits for the end of a token.
    let setup = Gateway::new()
        .workers(1)
        .issuer_with("corp", issuer, "leeway: 0s")
        .upstream_as("old", &servers.url(""));
    let setup = setup.upstream_as("yoga", &today.url("yoga"));
    let route = |upstream: &str, public: &str| {
        format!(
            "{{upstream: {upstream}, websocket: any, require: {{issuers: [corp], graphql: \
             {{permission: '{{operation}}:{{field}}', public: [{public}], {rules}}}}}}}"
        )
    };
    let setup = setup.route("POST,GET /apollo", &route("old", "Query"));
    let setup = setup.route("POST,GET /messages", &route("old", "Query, Subscription"));
    setup.route("POST,GET /yoga", &route("yoga", "Query, Subscription"))
}

impl Scene {
    fn new(rules: &str) -> Self {
        let (servers, today, issuer) = (Servers::old(), Servers::new(), Issuer::start());
        Self {
            node: Client::node("../graphql/clients.mjs", &[], &[]),
            python: Client::python("python-gql", "../graphql/gql_client.py", &[]),
            gateway: setup(&servers, &today, &issuer, rules).start(),
            servers,
            today,
            issuer,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.ports.public)
    }

    /// `{"data": …}` or `{"error": …}`.
    #[track_caller]
    fn run(&mut self, client: &Known, query: &str, token: Option<&str>) -> Value {
        let command =
            json!({"client": client.name, "url": self.url(client.path), "query": query, "token": token});
        let process = if client.is_python() { &mut self.python } else { &mut self.node };
        process.value("run", command)
    }

    fn ran(&mut self) -> Vec<String> {
        [self.servers.ran(), self.today.ran()].concat()
    }
}

#[test]
fn every_client_is_served_and_says_why_it_was_refused() {
    let mut scene = Scene::new("csrf: true");
    let (right, wrong) = (scene.issuer.mint("Mutation:erase"), scene.issuer.mint("Mutation:create"));
    for client in CLIENTS {
        let name = format!("{} at {}", client.name, client.path);
        let said = scene.run(&client, QUERY, None);
        assert!(said["data"].to_string().contains(r#""hello":"hello""#), "{name}: {said}");
        assert_eq!(scene.ran(), ["Query.hello"], "{name}");
        for (token, code, status) in [(None, "UNAUTHENTICATED", 401), (Some(&*wrong), "FORBIDDEN", 403)] {
            let said = scene.run(&client, ERASE, token);
            let error = &said["error"];
            // By events only what is about the operation is an event; the rest is a status.
            let by_event = client.name == "events" && status == 403;
            let kind = if by_event { "Array" } else { client.error };
            assert_eq!(error["name"], kind, "{name}: {said}");
            let told = client.status.filter(|_| !by_event).map(|_| status);
            assert_eq!(error["status"].as_u64(), told, "{name}: {said}");
            if kind != "NetworkError" {
                assert_eq!(error["codes"], json!([code]), "{name}: {said}");
            }
            assert_eq!(scene.ran(), Vec::<String>::new(), "{name}: {said}");
        }
        let said = scene.run(&client, ERASE, Some(&right));
        assert!(said["data"].to_string().contains(r#""erase":"erase""#), "{name}: {said}");
        assert_eq!(scene.ran(), ["Mutation.erase"], "{name}");
        if client.speaks_of_subscriptions() {
            let said = scene.run(&client, TICKS, None);
            assert_eq!(said["data"], json!([{"ticks": 1}, {"ticks": 2}]), "{name}: {said}");
            assert_eq!(scene.ran(), ["Subscription.ticks"], "{name}");
        }
    }
}

/// Clients that take every other status for a failure of the network.
#[test]
fn with_compat_every_client_says_why_it_was_refused() {
    let mut scene = Scene::new("compat: 200");
    let wrong = scene.issuer.mint("Mutation:create");
    for client in CLIENTS {
        for (token, code) in [(None, "UNAUTHENTICATED"), (Some(&*wrong), "FORBIDDEN")] {
            let said = scene.run(&client, ERASE, token);
            assert_eq!(said["error"]["codes"], json!([code]), "{}: {said}", client.name);
        }
    }
    assert_eq!(scene.ran(), Vec::<String>::new());
}

/// urql asks by `GET` where it is told to, and takes the answer that it gets to a mutation for what it is.
#[test]
fn urql_asks_by_get() {
    let mut scene = Scene::new("csrf: false");
    let get = known("urql_get", "/apollo", "CombinedError", ANY);
    let said = scene.run(&get, QUERY, None);
    assert_eq!(
        (said["data"]["hello"].as_str(), scene.ran()),
        (Some("hello"), vec!["Query.hello".to_owned()]),
        "{said}"
    );
}

#[test]
fn apollo_client_sends_lists() {
    let mut scene = Scene::new("batch: 10");
    let url = scene.url("/apollo");
    let token = scene.issuer.mint("Mutation:erase");
    let mut batch = |token: Option<&str>, queries: &[&str]| {
        scene.node.value("batch", json!({"url": url, "queries": queries, "token": token}))
    };
    let said = batch(None, &[QUERY, "{secret}"]);
    assert_eq!(said, json!([{"data": {"hello": "hello"}}, {"data": {"secret": "secret"}}]));
    let refused = batch(None, &[QUERY, ERASE]);
    let served = batch(Some(&token), &[QUERY, ERASE]);
    assert_eq!(served, json!([{"data": {"hello": "hello"}}, {"data": {"erase": "erase"}}]));
    for said in refused.as_array().expect("two") {
        assert!(said["error"].is_object(), "a list is refused with all that it holds: {refused}");
    }
    assert_eq!(scene.ran(), ["Query.hello", "Query.secret", "Query.hello", "Mutation.erase"]);
}

/// A server of old answers 200 to everything: each operation finds what is said of it in the list. It was one error for
/// all, which Apollo Client took for no answer.
#[test]
fn apollo_client_finds_the_errors_of_a_list() {
    let mut scene = Scene::new("batch: 10, compat: 200");
    let asked = json!({"url": scene.url("/apollo"), "queries": [QUERY, ERASE]});
    let refused = scene.node.value("batch", asked);
    for said in refused.as_array().expect("two") {
        let error = (&said["error"]["name"], &said["error"]["codes"]);
        assert_eq!(error, (&json!("CombinedGraphQLErrors"), &json!(["UNAUTHENTICATED"])), "{refused}");
    }
    assert!(scene.ran().is_empty());
}

/// The hash first, then the document, and from then on the hash alone.
#[test]
fn apollo_client_sends_hashes() {
    let mut scene = Scene::new("persisted: {automatic: true}");
    let client = known("apollo_persisted", "/apollo", "CombinedGraphQLErrors", None);
    let requests = |scene: &Scene| scene.gateway.metric("http_requests_total", &[]);
    let before = requests(&scene);
    for sent in [2.0, 3.0, 4.0] {
        let said = scene.run(&client, QUERY, None);
        assert_eq!(said["data"]["hello"], "hello", "{said}");
        assert!((requests(&scene) - before - sent).abs() < 0.5, "{sent}: {}", requests(&scene) - before);
    }
    assert_eq!(scene.ran().len(), 3);
}

/// The token ends before the subscription: the client is let go with 4403, comes back with another, and goes on.
#[test]
fn a_client_comes_back_with_a_fresh_token() {
    let (servers, today, issuer) = (Servers::old(), Servers::new(), Issuer::start());
    let setup = setup(&servers, &today, &issuer, "csrf: true");
    let guarded = "{upstream: old, websocket: any, require: {issuers: [corp], graphql: {permission: \
                   '{operation}:{field}'}}}";
    let gateway = setup.no_routes().route("POST,GET /messages", guarded).start();
    let mut node = Client::node("../graphql/clients.mjs", &[], &[]);
    let token =
        |seconds: i64| issuer.token().scope("Subscription:ticks").set("exp", json!(now() + seconds)).sign();
    let url = format!("http://{}/messages", gateway.ports.public);
    let said = node.value("outlive", json!({"url": url, "query": TICKS, "tokens": [token(3), token(600)]}));
    assert_eq!(said["closed"], json!([{"code": 4403, "reason": "Token expired"}]), "{said}");
    assert_eq!(said["inits"], 2, "{said}");
    assert!(said["values"]["data"].as_u64().is_some_and(|values| values > 2), "{said}");
    // Without another it is told that it may not.
    let said = node.value("outlive", json!({"url": url, "query": TICKS, "tokens": [token(2)]}));
    assert!(said["values"]["error"].is_object(), "{said}");
    drop(gateway);
    drop((servers, today));
}

/// The stream ended with an event that graphql-sse does not know, which it takes for a fault that no retry mends.
#[test]
fn a_client_of_events_comes_back_with_a_fresh_token() {
    let (servers, today, issuer) = (Servers::old(), Servers::new(), Issuer::start());
    let setup = setup(&servers, &today, &issuer, "csrf: true");
    let guarded =
        "{upstream: yoga, require: {issuers: [corp], graphql: {permission: '{operation}:{field}'}}}";
    let gateway = setup.no_routes().route("POST,GET /yoga", guarded).start();
    let mut node = Client::node("../graphql/clients.mjs", &[], &[]);
    let token =
        |seconds: i64| issuer.token().scope("Subscription:ticks").set("exp", json!(now() + seconds)).sign();
    let url = format!("http://{}/yoga", gateway.ports.public);
    let said =
        node.value("outlive_events", json!({"url": url, "query": TICKS, "tokens": [token(3), token(600)]}));
    assert_eq!(said["asked"], 2, "{said}");
    assert!(said["values"]["data"].as_u64().is_some_and(|values| values > 2), "{said}");
    // Without another it is told that it may not.
    let said = node.value("outlive_events", json!({"url": url, "query": TICKS, "tokens": [token(2)]}));
    assert!(said["values"]["error"].is_object(), "{said}");
    drop(gateway);
    drop((servers, today));
}
