//! The rows of graphql.md 1.6, column G, over HTTP.

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::graphql::posted::{CREATE, ROUTE, api, body, by, check, get, post, refused, route_and, runs};
use crate::harness::api::Api;
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::token::now;

/// Number of the row, scopes, what is asked, and the code of the refusal; none where it runs.
type Row = (u8, Option<&'static str>, &'static str, Option<&'static str>);

const COMPOSER: &str = "mutation { AddMusicCompositionComposer(from: {a: 1}, to: {a: 1}) { from { a } } }";
const REQUEST: &str = "mutation { RequestControlAction { identifier } }";
const DELETE: &str = "mutation { DeletePerson(identifier: \"a\") { identifier } }";
const FORBIDDEN: Option<&str> = Some("FORBIDDEN");
const PERSON: Option<&str> = Some("Mutation:Person:Create");

const ROWS: &[Row] = &[
    (1, None, "{ __typename }", None),
    (1, None, "{ Person { identifier } }", None),
    (1, None, "{ __schema { types { name } } }", None),
    (1, None, "subscription { ThingCreateMutation { identifier } }", None),
    (2, None, CREATE, Some("UNAUTHENTICATED")),
    (3, Some("*"), CREATE, None),
    (3, Some("Mutation:*"), CREATE, None),
    (3, Some("Mutation:*:Create"), CREATE, None),
    (3, Some("Mutation:Person:*"), CREATE, None),
    (3, PERSON, CREATE, None),
    (4, Some("Mutation:Place:*"), CREATE, FORBIDDEN),
    (4, Some("Query:Person:*"), CREATE, FORBIDDEN),
    (4, Some("mutation:person:create"), CREATE, FORBIDDEN),
    (4, Some(""), CREATE, FORBIDDEN),
    (5, Some("Mutation:*:Create"), DELETE, FORBIDDEN),
    (6, Some("Mutation:MusicCompositionComposer:Add"), COMPOSER, None),
    (6, Some("Mutation:*:Add"), COMPOSER, None),
    (6, Some("Mutation:MusicComposition*:*"), COMPOSER, None),
    (7, Some("Mutation:MusicComposition:*"), COMPOSER, FORBIDDEN),
    (7, Some("Mutation:*:Create"), COMPOSER, FORBIDDEN),
    (7, Some("Mutation:MusicCompositionComposer:Remove"), COMPOSER, FORBIDDEN),
    (8, Some("Mutation:ControlAction:Request"), REQUEST, None),
    (8, Some("Mutation:ControlAction:Create"), REQUEST, FORBIDDEN),
    (9, PERSON, "mutation { CreatePerson: DeletePerson(identifier: \"a\") { identifier } }", FORBIDDEN),
    (10, PERSON, "mutation { ...F } fragment F on Mutation { DeletePerson { identifier } }", FORBIDDEN),
    (10, PERSON, "mutation { ... { DeletePerson { identifier } } }", FORBIDDEN),
    (10, PERSON, "mutation { ... on Mutation { DeletePerson { identifier } } }", FORBIDDEN),
    (11, Some("Mutation:Person:*"), "mutation { a: CreatePerson { x } b: CreatePlace { x } }", FORBIDDEN),
    (12, PERSON, "mutation { DeletePerson @skip(if: true) { x } CreatePerson { x } }", None),
    (12, PERSON, "mutation($v: Boolean!) { DeletePerson @skip(if: $v) { x } CreatePerson { x } }", FORBIDDEN),
    (25, None, "mutation { CreatePerson(nope: 1) { identifier } }", Some("UNAUTHENTICATED")),
    // What no pattern knows is for nobody.
    (0, Some("*"), "mutation { createPerson { identifier } }", FORBIDDEN),
    (0, Some("*"), "mutation {", Some("GRAPHQL_PARSE_FAILED")),
];

#[test]
fn g1_to_g12_every_row_comes_to_what_it_should() {
    let api = api(ROUTE);
    for (row, scopes, document, code) in ROWS {
        println!("row {row}: {scopes:?} {document}");
        check(&api, &by(&api, post(body(document)), *scopes), *code);
    }
    // The same once more: what is remembered comes to the same.
    for (_, scopes, document, code) in ROWS {
        check(&api, &by(&api, post(body(document)), *scopes), *code);
    }
}

#[test]
fn g13_the_operation_that_is_asked_for_is_judged() {
    const BOTH: &str = "query Q{__typename} mutation M{CreatePerson{x}}";
    let named = |name: serde_json::Value| post(json!({"query": BOTH, "operationName": name}).to_string());
    let selected = api(&route_and("operations: selected"));
    check(&selected, &named(json!("Q")), None);
    check(&selected, &named(json!("M")), Some("UNAUTHENTICATED"));
    for none in [json!(null), json!(""), json!("X")] {
        check(&selected, &named(none), Some("OPERATION_RESOLUTION_FAILURE"));
    }
    // Strict: no server can run another than was judged.
    let strict = api(ROUTE);
    check(&strict, &named(json!("Q")), Some("UNAUTHENTICATED"));
    check(&strict, &by(&strict, named(json!("Q")), PERSON), None);
}

#[test]
fn g14_a_list_is_judged_whole() {
    let list = format!("[{}, {}]", body("{__typename}"), body(CREATE));
    check(&api(ROUTE), &post(&list), Some("BATCHING_NOT_ALLOWED"));
    let api = api(&route_and("batch: 2"));
    check(&api, &post(&list), Some("UNAUTHENTICATED"));
    check(&api, &by(&api, post(&list), Some("Mutation:Place:*")), FORBIDDEN);
    check(&api, &by(&api, post(&list), PERSON), None);
    let three = format!("[{0},{0},{0}]", body("{a}"));
    check(&api, &post(three), Some("BATCH_LIMIT"));
}

#[test]
fn g18_a_public_operation_is_served_whatever_token_came_with_it() {
    let api = api(ROUTE);
    let token = api.issuer.token().scope("*");
    let old = token.clone().merge(json!({"iat": now() - 600, "exp": now() - 300})).sign();
    let good = api.issuer.mint("*");
    for token in [old.as_str(), "garbage", "a.b.c", &good] {
        runs(&api, &post(body("{Person{identifier}}")).bearer(token).header("X-Subject", "forged"));
        let head = api.upstream.last().head;
        assert!(head.header("authorization").is_none(), "the credential went on");
        assert!(head.aliases("x-subject").is_empty(), "an identity was set: {head:?}");
    }
    let response = refused(&api, &post(body(CREATE)).bearer(&old), Reason::Expired, "UNAUTHENTICATED");
    let challenge = response.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[test]
fn g19_tokens_that_do_not_count_run_nothing() {
    let api = api(ROUTE);
    let token = || api.issuer.token().scope("*");
    for (bad, reason) in [
        (token().without("exp").sign(), Reason::MissingClaim),
        (token().set("iss", json!("https://other.example")).sign(), Reason::UntrustedIssuer),
        (token().set("nbf", json!(now() + 3600)).sign(), Reason::NotYetValid),
        (token().header("alg", json!("none")).sign(), Reason::MalformedToken),
        (token().with_signature(&[1; 64]), Reason::BadSignature),
        (token().without("scope").sign(), Reason::InsufficientScope),
    ] {
        let response = api.gateway.send(&post(body(CREATE)).bearer(&bad));
        assert_eq!(response.reason(), reason.code(), "{response:?}");
        assert_eq!(response.status, reason.status(), "{response:?}");
    }
    assert_eq!(api.upstream.count(), 0);
    // RFC 9110 section 11.1: schemes have no case.
    let lower = format!("bearer {}", api.issuer.mint("*"));
    runs(&api, &post(body(CREATE)).header("Authorization", &lower));
    check(&api, &post(body(CREATE)).header("Authorization", "Basic eDp5"), Some("UNAUTHENTICATED"));
}

#[test]
fn g26_a_mutation_does_not_come_by_get() {
    let api = api(ROUTE);
    let response = refused(&api, &get(CREATE), Reason::MethodNotAllowed, "METHOD_NOT_ALLOWED");
    assert_eq!(response.header("allow"), Some("POST"));
    let token = api.issuer.mint("*");
    refused(&api, &get(CREATE).bearer(&token), Reason::MethodNotAllowed, "METHOD_NOT_ALLOWED");
    api.allows(&get("{Person{identifier}}"));
    assert!(api.upstream.last().head.target.contains("query=%7B"), "{:?}", api.upstream.last());
    let put = Request::new("PUT", "/graphql").body(body("{a}")).header("Content-Type", "application/json");
    refused(&api, &put, Reason::MethodNotAllowed, "METHOD_NOT_ALLOWED");
}

#[test]
fn an_operation_that_may_be_run_says_who_asks() {
    let api = api(ROUTE);
    runs(&api, &by(&api, post(body(CREATE)), PERSON));
    let head = api.upstream.last().head;
    assert_eq!(head.header("x-subject"), Some("alice"));
    assert!(head.header("authorization").is_none());
}

#[test]
fn a_verdict_ends_with_the_token_and_with_the_rules() {
    let api = api(ROUTE);
    let token = api.issuer.mint("Mutation:Person:Create");
    let create = post(body(CREATE)).bearer(&token);
    for _ in 0..8 {
        runs(&api, &create);
    }
    // The same document under other rules.
    api.gateway.rewrite(|config| config.replace("{operation}:{type}", "new-{operation}:{type}"));
    api.gateway.reload();
    for _ in 0..8 {
        check(&api, &create, FORBIDDEN);
    }
}

#[test]
fn shadow_lets_permissions_pass_and_nothing_else() {
    let api = Api::with(|setup| {
        let route = format!("{{require: {{graphql: {ROUTE}}}, enforce: shadow}}");
        setup.route("/graphql", &route)
    });
    runs(&api, &post(body(CREATE)));
    runs(&api, &by(&api, post(body(CREATE)), Some("other")));
    check(&api, &post("{}"), Some("BAD_REQUEST"));
    check(&api, &post(body("{")), Some("GRAPHQL_PARSE_FAILED"));
    check(&api, &get(CREATE), Some("METHOD_NOT_ALLOWED"));
}

/// The table of what is reached how is `graphql::schema::tests`; this is that it is asked.
#[test]
fn u6_rules_below_the_root_are_asked_for_over_http() {
    const SCHEMA: &str = "type Query { me: Person, order: Order, found: [Found] } union Found = Person | Order\n\
                          type Person { name: String, email: String, orders: [Order] } type Order { id: ID }";
    let graphql =
        route_and("schema: schema.graphql, types: {Person.email: 'read:email', Order: 'orders:read'}");
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup
            .issuer_with("corp", issuer, "scope_match: glob")
            .route("/graphql", &format!("{{require: {{graphql: {graphql}}}}}"))
            .file("schema.graphql", SCHEMA)
    });
    for (document, scope) in [
        ("{ me { name } }", None),
        ("{ found { __typename ... on Person { name } } }", None),
        ("{ me { email } }", Some("read:email")),
        ("{ me { name: email } }", Some("read:email")),
        ("{ me { ...F } } fragment F on Person { ... { email } }", Some("read:email")),
        ("{ found { ... on Person { email } } }", Some("read:email")),
        ("{ order { id } }", Some("orders:read")),
        ("{ me { orders { id } } }", Some("orders:read")),
        ("{ found { ... on Order { id } } }", Some("orders:read")),
    ] {
        println!("{document}");
        let request = post(body(document));
        check(&api, &request, scope.map(|_| "UNAUTHENTICATED"));
        if let Some(scope) = scope {
            check(&api, &by(&api, request.clone(), Some("other")), FORBIDDEN);
            check(&api, &by(&api, request, Some(scope)), None);
        }
    }
    for unknown in ["{ me { mail } }", "{ you { name } }", "{ me { ...F } } fragment F on Nobody { name }"] {
        check(&api, &by(&api, post(body(unknown)), Some("*")), FORBIDDEN);
    }
    // The schema is read again; one that is none changes nothing.
    api.gateway.replace("schema.graphql", SCHEMA.replace("name: String", "name: String, mail: String"));
    api.gateway.reload();
    check(&api, &post(body("{ me { mail } }")), None);
    api.gateway.replace("schema.graphql", "type Query {");
    assert_eq!(api.gateway.admin("POST", "/v1/reload").status, 422);
    check(&api, &post(body("{ me { mail } }")), None);
}

/// What is public of a type is not what is public of a root that it leads back to.
#[test]
fn bug_a_root_that_was_reached_again_was_not_asked_for_what_it_needs() {
    const SCHEMA: &str = "type Query { me: Person, secret: String, open: String, again: Again }\n\
                          type Mutation { create: Payload } type Payload { query: Query, done: Boolean }\n\
                          interface Again { secret: String } type Other { id: ID } type Person { name: String, query: Query }";
    let schema = SCHEMA.replace("type Query {", "type Query implements Again {");
    let graphql = "{public: [Query, Mutation], fields: {Query.secret: secret}, schema: schema.graphql, types: {Other.id: other}}";
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup
            .issuer("corp", issuer)
            .route("/graphql", &format!("{{require: {{graphql: {graphql}}}}}"))
            .file("schema.graphql", schema)
    });
    for document in [
        "{secret}",
        "{me{query{secret}}}",
        "{me{query{me{query{open x:secret}}}}}",
        "{me{...F}} fragment F on Person{query{...G}} fragment G on Query{secret}",
        "{again{secret}}",
        "{again{...on Query{secret}}}",
        "mutation{create{query{secret}}}",
        "mutation{create{done query{...{secret}}}}",
    ] {
        println!("{document}");
        check(&api, &post(body(document)), Some("UNAUTHENTICATED"));
        check(&api, &by(&api, post(body(document)), Some("other")), FORBIDDEN);
        check(&api, &by(&api, post(body(document)), Some("secret")), None);
    }
    for document in ["{me{query{open}}}", "mutation{create{query{open me{name}}}}", "{again{__typename}}"] {
        check(&api, &post(body(document)), None);
    }
}
