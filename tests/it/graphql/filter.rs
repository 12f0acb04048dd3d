//! `unauthorized: filter`: what a token may not have is not asked for, is `null` in the answer, and has an error there.

use std::collections::BTreeSet;

use apollo_compiler::ast::{Definition, Document, OperationType, Selection};
use serde_json::{Map, Value, json};

use crate::harness::api::Api;
use crate::harness::client::{Request, Response};
use crate::harness::upstream::{Exchange, Then};

const ROUTE: &str = "{require: {graphql: {permission: \"{operation}:{type}:{action}\", \
                     field: '^(?<action>[A-Z][a-z]+)(?<type>[A-Z]\\w+)$', fields: {Query.open: public, Query.me: authenticated}, \
                     public: [Mutation.Ping], batch: 5, unauthorized: filter}}}";

/// Whose permissions are all of persons.
const PERSONS: &str = "Mutation:Person:Create Mutation:Person:Delete Query:Person:Read";

/// A gateway before an upstream that runs what it gets.
fn api() -> Api {
    with(ROUTE)
}

fn with(route: &str) -> Api {
    let api = Api::with(|setup| setup.route("POST,GET /graphql", route));
    api.upstream.on("/graphql", run);
    api
}

/// Runs an operation as servers do: a field at the root, through aliases and fragments, is what it is called.
fn run(exchange: &mut Exchange) -> std::io::Result<Then> {
    let body: Value = serde_json::from_slice(&exchange.body()?).expect("JSON");
    let document = Document::parse(body["query"].as_str().expect("a query"), "q").expect("a document");
    let operations = document.definitions.iter().filter_map(Definition::as_operation_definition);
    let named = |name: Option<&str>| body["operationName"].as_str().is_none_or(|wanted| name == Some(wanted));
    let mut operations = operations.filter(|one| named(one.name.as_ref().map(|name| name.as_str())));
    let operation = operations.next().expect("the operation is there");
    assert!(operations.next().is_none(), "one operation is asked for");
    let (mut data, mut look): (Map<String, Value>, Vec<&Selection>) =
        (Map::new(), operation.selection_set.iter().rev().collect());
    while let Some(selection) = look.pop() {
        match selection {
            Selection::Field(field) if field.name == "__typename" => {
                let kind =
                    if operation.operation_type == OperationType::Mutation { "Mutation" } else { "Query" };
                data.insert(field.response_name().to_string(), kind.into());
            }
            Selection::Field(field) => {
                data.insert(field.response_name().to_string(), json!({"ran": field.name.as_str()}));
            }
            Selection::InlineFragment(inline) => look.extend(inline.selection_set.iter().rev()),
            Selection::FragmentSpread(spread) => {
                let fragment = document.definitions.iter().filter_map(Definition::as_fragment_definition);
                let mut fragment = fragment.filter(|one| one.name == spread.fragment_name);
                look.extend(fragment.next().expect("the fragment is there").selection_set.iter().rev());
            }
        }
    }
    let answer = json!({"data": data, "extensions": {"took": 1.50}}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nETag: \"x\"\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    exchange.write(&[head.as_bytes(), answer.as_bytes()].concat())?;
    Ok(Then::Keep)
}

fn post(document: &str) -> Request {
    let body = json!({"query": document, "variables": {"id": 1, "n": "x"}}).to_string();
    Request::post("/graphql", body).header("Content-Type", "application/json")
}

fn persons(api: &Api) -> String {
    api.issuer.mint(PERSONS)
}

/// The fields that the upstream was asked for last, by their names.
fn ran(api: &Api) -> BTreeSet<String> {
    let body: Value = serde_json::from_slice(&api.upstream.last().body).expect("JSON");
    let document = Document::parse(body["query"].as_str().expect("a query"), "q").expect("a document");
    let mut names = BTreeSet::new();
    let mut look: Vec<&Selection> = Vec::new();
    look.extend(
        document
            .definitions
            .iter()
            .filter_map(Definition::as_operation_definition)
            .flat_map(|one| &one.selection_set),
    );
    look.extend(
        document
            .definitions
            .iter()
            .filter_map(Definition::as_fragment_definition)
            .flat_map(|one| &one.selection_set),
    );
    while let Some(selection) = look.pop() {
        match selection {
            Selection::Field(field) => drop(names.insert(field.name.to_string())),
            Selection::InlineFragment(inline) => look.extend(&inline.selection_set),
            Selection::FragmentSpread(_) => {}
        }
    }
    names
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Codes by the keys that the errors are about.
fn errors(response: &Response) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = response.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| (text(&error["path"][0]), text(&error["extensions"]["code"]))).collect()
}

fn forbidden(keys: &[&str]) -> Vec<(String, String)> {
    keys.iter().map(|key| ((*key).to_owned(), "FORBIDDEN".to_owned())).collect()
}

#[track_caller]
fn refused(api: &Api, request: Request, status: u16) {
    let before = api.upstream.count_of("/graphql");
    let response = api.gateway.send(&request);
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(api.upstream.count_of("/graphql"), before, "it was sent on");
}

#[test]
fn row11_what_the_token_may_not_have_is_null_with_an_error_and_the_rest_is_run() {
    let api = api();
    let request = post("mutation{a:CreatePerson b:CreatePlace}").header("Accept-Encoding", "gzip, br");
    let response = api.gateway.send(&request.header("If-None-Match", "\"x\"").bearer(&persons(&api)));
    assert_eq!(response.status, 200);
    let answer = response.json();
    assert_eq!(answer["data"], json!({"a": {"ran": "CreatePerson"}, "b": null}));
    assert_eq!(errors(&response), forbidden(&["b"]));
    assert!(response.text().contains("1.5"), "the rest is as the upstream said it: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(response.header("etag"), None, "other octets than those that it names");
    assert_eq!(ran(&api), names(&["CreatePerson"]));
    let seen = api.upstream.last();
    assert!(seen.head.header("accept-encoding").is_none() && seen.head.header("if-none-match").is_none());
    assert_eq!(seen.head.header("accept"), Some("application/json"));
    let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(body["variables"], json!({"id": 1, "n": "x"}), "{body}");
}

#[test]
fn an_operation_that_the_token_may_have_whole_goes_on_as_it_came() {
    let api = api();
    let request = post("mutation { a:CreatePerson, b:DeletePerson }").header("Accept-Encoding", "gzip");
    let response = api.gateway.send(&request.bearer(&persons(&api)));
    assert_eq!(response.json()["data"]["b"], json!({"ran": "DeletePerson"}));
    let seen = api.upstream.last();
    assert_eq!(
        seen.body,
        post("mutation { a:CreatePerson, b:DeletePerson }")
            .octets()
            .split_off(post("mutation { a:CreatePerson, b:DeletePerson }").octets().len() - seen.body.len())
    );
    assert_eq!(seen.head.header("accept-encoding"), Some("gzip"));
    assert_eq!(response.header("etag"), Some("\"x\""));
}

#[test]
fn fields_go_out_of_fragments_with_their_variables_and_what_only_they_used() {
    let api = api();
    let document = "query Other { DeletePlace } \
        mutation Mine($id: ID!, $n: String) { first: CreatePerson(n: $n) ...F ... on Mutation { CreatePlace(n: $n) { ...T } } } \
        fragment F on Mutation { x: DeletePlace(id: $id) { ...T } } fragment T on Place { id }";
    let body = json!({"query": document, "operationName": "Mine", "variables": {"id": 1}}).to_string();
    let request = Request::post("/graphql", body).header("Content-Type", "application/json");
    let response = api.gateway.send(&request.bearer(&persons(&api)));
    assert_eq!(response.status, 200, "{}", response.text());
    let data = json!({"first": {"ran": "CreatePerson"}, "x": null, "CreatePlace": null});
    assert_eq!(response.json()["data"], data);
    assert_eq!(errors(&response), forbidden(&["x", "CreatePlace"]));
    let body: Value = serde_json::from_slice(&api.upstream.last().body).expect("JSON");
    let sent = body["query"].as_str().expect("a query");
    for gone in ["Other", "DeletePlace", "CreatePlace", "$id", "fragment T"] {
        assert!(!sent.contains(gone), "{gone} is still in {sent}");
    }
    assert_eq!(ran(&api), names(&["CreatePerson", "__typename"]));
}

#[test]
fn without_a_token_what_is_public_is_run() {
    let api = api();
    let response = api.gateway.send(&post("{ ReadPerson open me __typename }"));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(
        response.json()["data"],
        json!({"ReadPerson": null, "open": {"ran": "open"}, "me": null, "__typename": "Query"})
    );
    let unauthenticated = |key: &str| (key.to_owned(), "UNAUTHENTICATED".to_owned());
    assert_eq!(errors(&response), [unauthenticated("ReadPerson"), unauthenticated("me")]);
    assert_eq!(ran(&api), names(&["open", "__typename"]));
    assert!(api.upstream.last().head.header("authorization").is_none());
}

#[test]
fn where_nothing_is_left_the_whole_is_refused() {
    let api = api();
    refused(&api, post("{ ReadPerson me __typename }"), 401);
    refused(&api, post("mutation { CreatePlace DeletePlace }").bearer(&persons(&api)), 403);
}

#[test]
fn a_token_that_is_no_good_refuses_the_whole() {
    let api = api();
    let expired = api.issuer.token().scope(PERSONS).merge(json!({"iat": 1, "exp": 2})).sign();
    refused(&api, post("{ open ReadPerson }").bearer(&expired), 401);
    refused(&api, post("{ open ReadPerson }").bearer("nonsense"), 401);
}

#[test]
fn what_cannot_be_run_in_part_is_refused() {
    let api = api();
    let token = persons(&api);
    let partly = "mutation{a:CreatePerson b:CreatePlace}";
    let one = json!({"query": partly});
    let list =
        Request::post("/graphql", json!([one, one]).to_string()).header("Content-Type", "application/json");
    refused(&api, list.bearer(&token), 403);
    refused(&api, post("subscription { ReadPerson ReadPlace }").bearer(&token), 403);
    // Whoever reads events is told by one.
    refused(&api, post(partly).header("Accept", "text/event-stream").bearer(&token), 200);
    refused(&api, post(partly).header("Accept", "multipart/mixed").bearer(&token), 403);
    let query = "/graphql?query=%7BReadPerson%20ReadPlace%7D";
    refused(&api, Request::get(query).header("apollo-require-preflight", "1").bearer(&token), 403);
    // One name for a field that stays and for one that goes.
    refused(&api, post("mutation{a:CreatePerson a:CreatePlace}").bearer(&token), 403);
    // A fragment that is to lose a field and stands below the root as well.
    let below = "query { ReadPerson { ...F } ...F } fragment F on Query { ReadPlace x: ReadPerson }";
    refused(&api, post(below).bearer(&token), 403);
}

#[test]
fn an_answer_that_cannot_be_told_what_is_missing_is_not_given() {
    let api = api();
    let token = persons(&api);
    for (name, value) in [
        ("Content-Type", "text/event-stream"),
        ("Content-Type", "multipart/mixed; boundary=x"),
        ("Content-Type", "application/json\r\nContent-Encoding: gzip"),
        ("Content-Type", "application/json"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{name}: {value}\r\nContent-Length: 4\r\n\r\nnone");
        api.upstream.on_raw("/graphql", answer, Then::Keep);
        let response = api.gateway.send(&post("mutation{a:CreatePerson b:CreatePlace}").bearer(&token));
        assert_eq!(response.status, 502, "{value}: {}", response.text());
    }
    let large = "x".repeat(4 * 1024 * 1024);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{{\"data\":{{\"a\":\"{large}\"}}}}\r\n0\r\n\r\n",
        large.len() + 18
    );
    api.upstream.on_raw("/graphql", answer, Then::Close);
    let response = api.gateway.send(&post("mutation{a:CreatePerson b:CreatePlace}").bearer(&token));
    assert_eq!(response.status, 502, "{}", response.text());
}

#[test]
fn an_answer_that_is_none_to_an_operation_goes_on_as_it_is() {
    let api = api();
    let token = persons(&api);
    for (head, body) in [
        ("HTTP/1.1 404 Gone\r\nContent-Type: text/html", "<p>gone</p>"),
        (
            "HTTP/1.1 400 Bad\r\nContent-Type: application/json",
            "{ \"errors\": [{\"message\": \"Unknown field\"}] }",
        ),
    ] {
        api.upstream.on_raw(
            "/graphql",
            format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            Then::Keep,
        );
        let request = post("mutation{a:CreatePerson b:CreatePlace}").bearer(&token);
        let response = api.gateway.connect().unaudited().send(&request);
        assert_eq!(response.text(), body);
    }
}

/// The connections on both sides go on, whatever the answers' framing.
#[test]
fn an_answer_in_chunks_is_told_what_is_missing() {
    let api = api();
    let token = persons(&api);
    let body = "{\"data\":{\"a\":1}}";
    let chunks: String = body.chars().map(|octet| format!("1\r\n{octet}\r\n")).collect();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/graphql-response+json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    );
    api.upstream.on_raw("/graphql", answer, Then::Keep);
    let mut connection = api.gateway.connect();
    for _ in 0..3 {
        let request = post("mutation{a:CreatePerson b:CreatePlace}").bearer(&token);
        let response = connection.send(&request.header("Accept", "application/graphql-response+json"));
        assert_eq!(response.json()["data"], json!({"a": 1, "b": null}));
        assert_eq!(response.header("content-type"), Some("application/graphql-response+json"));
        assert_eq!(api.upstream.last().head.header("accept"), Some("application/graphql-response+json"));
    }
}

#[test]
fn a_route_that_shadows_leaves_nothing_out() {
    let api = with(&ROUTE.replacen("{require", "{enforce: shadow, require", 1));
    let response = api.gateway.send(&post("mutation{a:CreatePerson b:CreatePlace}").bearer(&persons(&api)));
    assert_eq!(response.json()["data"]["b"], json!({"ran": "CreatePlace"}));
    assert_eq!(errors(&response), []);
}

#[test]
fn the_scopes_are_told_where_the_route_tells_them() {
    let api = with(&ROUTE.replace("unauthorized: filter", "unauthorized: filter, show_scopes: true"));
    let response = api.gateway.send(&post("mutation{a:CreatePerson b:CreatePlace}").bearer(&persons(&api)));
    let scopes = &response.json()["errors"][0]["extensions"]["requiredScopes"];
    assert_eq!(*scopes, json!(["Mutation:Place:Create"]), "{}", response.text());
}
