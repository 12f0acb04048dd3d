//! Conditions on what an operation asks with (`request.arguments`): every way in which an operation comes, and every way in which
//! a value does.

use serde_json::{Value, json};

use crate::graphql::conversation::spoken::{BOTH, Scene};
use crate::graphql::posted::{check, post};
use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;

const OWN: &str = "!has(request.arguments.order) || request.arguments.order.owner == claims.sub";
const FORBIDDEN: Option<&str> = Some("FORBIDDEN");

fn api(more: &str) -> Api {
    let route = format!(
        "{{require: {{when: '{OWN}', graphql: {{permission: 'any', fields: {{Query.order: authenticated, Query.me: \
         authenticated}}, public: Query.free, csrf: false, batch: 3{more}}}}}}}"
    );
    Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup.issuer("corp", issuer).workers(1).route("POST,GET /graphql", &route)
    })
}

/// A body of this document and these variables.
fn asked(query: &str, variables: Value) -> String {
    json!({"query": query, "variables": variables}).to_string()
}

#[test]
fn a_condition_sees_what_an_operation_asks_with() {
    let api = api("");
    let token = api.issuer.mint("any");
    let by = |body: String| post(body).bearer(&token);
    const NAMED: &str = "query ($who: String = \"alice\") { x: order(owner: $who) { id } }";
    for (query, variables, code) in [
        // Alice's own, and nothing that is not.
        ("{ order(owner: \"bob\") { id } }", json!(null), FORBIDDEN),
        ("{ order { id } }", json!(null), FORBIDDEN),
        ("{ ...F } fragment F on Query { ... { order(owner: \"bob\") { id } } }", json!(null), FORBIDDEN),
        (NAMED, json!({"who": "bob"}), FORBIDDEN),
        (NAMED, json!({"who": ["alice"]}), FORBIDDEN),
        (NAMED, json!({"who": null}), FORBIDDEN),
        ("{ order(owner: \"alice\") { id } x: order(owner: \"bob\") { id } }", json!(null), FORBIDDEN),
        ("{ order(owner: \"\"\"alice\"\"\") { id } }", json!(null), FORBIDDEN),
        ("{ order(owner: \"alice\") { id } }", json!(null), None),
        ("{ order(owner: \"\\u0061lice\") { id } }", json!(null), None),
        (NAMED, json!({"who": "alice"}), None),
        (NAMED, json!({}), None),
        ("{ me { id } }", json!(null), None),
        ("{ free }", json!(null), None),
    ] {
        println!("{query} {variables}");
        check(&api, &by(asked(query, variables)), code);
    }
    // What stands twice in the variables is read by the upstream in its own way.
    let twice = format!("{{\"query\":{},\"variables\":{{\"who\":\"alice\",\"who\":\"bob\"}}}}", json!(NAMED));
    check(&api, &by(twice), FORBIDDEN);
    // Without a token it is the token that is missing.
    check(&api, &post(asked(NAMED, json!({}))), Some("UNAUTHENTICATED"));
}

#[test]
fn a_condition_holds_for_all_that_may_be_run() {
    let (strict, selected) = (api(""), api(", operations: selected"));
    const BOTH_OF: &str =
        "query A { order(owner: \"alice\") { id } } query B { order(owner: \"bob\") { id } }";
    for (api, name, code) in [
        (&strict, "A", FORBIDDEN),
        (&strict, "B", FORBIDDEN),
        (&selected, "A", None),
        (&selected, "B", FORBIDDEN),
    ] {
        let body = json!({"query": BOTH_OF, "operationName": name}).to_string();
        check(api, &post(body).bearer(&api.issuer.mint("any")), code);
    }
    let token = strict.issuer.mint("any");
    let one = |who: &str| asked("query ($w: String) { order(owner: $w) { id } }", json!({"w": who}));
    let list = |who: [&str; 2]| post(format!("[{}, {}]", one(who[0]), one(who[1]))).bearer(&token);
    check(&strict, &list(["alice", "bob"]), FORBIDDEN);
    check(&strict, &list(["bob", "alice"]), FORBIDDEN);
    check(&strict, &list(["alice", "alice"]), None);
}

#[test]
fn a_condition_sees_what_comes_in_the_url_and_by_a_hash() {
    let api = api(", persisted: {automatic: true}");
    let token = api.issuer.mint("any");
    let url = |who: &str| {
        let query = "query%28%24w%3AString%29%7Border%28owner%3A%24w%29%7Bid%7D%7D";
        Request::get(&format!("/graphql?query={query}&variables=%7B%22w%22%3A%22{who}%22%7D")).bearer(&token)
    };
    check(&api, &url("bob"), FORBIDDEN);
    assert_allowed(&api.gateway.send(&url("alice")));
    let document = "query($w:String){order(owner:$w){id}}";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document.as_bytes());
    let hash: String = digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    let hashed = |query: Option<&str>, who: &str| {
        let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
        let mut body = json!({"variables": {"w": who}, "extensions": extensions});
        if let Some(query) = query {
            body["query"] = query.into();
        }
        api.gateway.send(&post(body.to_string()).bearer(&token))
    };
    assert_allowed(&hashed(Some(document), "alice"));
    assert_allowed(&hashed(None, "alice"));
    assert_eq!(hashed(None, "bob").status, 403);
}

#[test]
fn a_condition_sees_what_comes_in_a_message() {
    let route = format!(
        "{{websocket: any, forward: {{headers: {{X-Subject: sub}}}}, require: {{when: '{OWN}', graphql: {{permission: 'any', \
         fields: {{Query.order: authenticated}}, public: Query.free}}}}}}"
    );
    let scene = Scene::routed(&route, |setup| setup);
    for protocol in BOTH {
        let mut client = scene.begin(protocol, &scene.token("any"));
        client.run("1", "{ order(owner: \"bob\") { id } }");
        assert_eq!(client.refused("1"), "FORBIDDEN");
        client.run("2", "{ order(owner: \"alice\") { id } }");
        assert_eq!(client.only_result("2"), "alice");
    }
}

/// What a field is asked with where the root is reached again is not among what conditions see.
#[test]
fn a_root_that_is_reached_again_is_for_nobody_where_a_condition_asks_for_arguments() {
    const SCHEMA: &str = "type Query { me: Person, order(owner: String): Order } type Order { id: ID } \
                          type Person { id: ID, query: Query }";
    let rules = "{public: [Query], fields: {Query.order: authenticated}, schema: schema.graphql, types: {Person.id: any}}";
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup
            .issuer("corp", issuer)
            .route("/graphql", &format!("{{require: {{when: '{OWN}', graphql: {rules}}}}}"))
            .file("schema.graphql", SCHEMA)
    });
    let by = |query: &str| post(asked(query, json!(null))).bearer(&api.issuer.mint("any"));
    check(&api, &by("{ me { query { order(owner: \"bob\") { id } } } }"), FORBIDDEN);
    check(&api, &by("{ order(owner: \"bob\") { id } }"), FORBIDDEN);
    for own in ["{ order(owner: \"alice\") { id } }", "{ me { id } }"] {
        check(&api, &by(own), None);
    }
}
