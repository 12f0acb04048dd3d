//! Operations by HTTP: a gateway, an upstream that records what it got, and what each operation came to.

use portcullis::gate::denial::Reason;
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Request, Response};
use crate::harness::issuer::Issuer;

/// Mutations by `Mutation:Type:Action`, queries for everybody, no CSRF rule.
pub const ROUTE: &str = r#"{permission: "{operation}:{type}:{action}", field: '^(?<action>[A-Z][a-z]+)(?<type>[A-Z]\w+)$', public: [Query, Subscription], csrf: false}"#;

/// Makes a person.
pub const CREATE: &str = "mutation { CreatePerson(name: \"a\") { identifier } }";

/// A gateway with this `graphql`, for tokens whose scopes are globs.
pub fn api(graphql: &str) -> Api {
    api_with(graphql, "")
}

/// The same with more of the route, and limits.
pub fn api_with(graphql: &str, limits: &str) -> Api {
    let route = format!("{{require: {{graphql: {graphql}}}, forward: {{headers: {{X-Subject: sub}}}}}}");
    Api::with_issuer(Issuer::start(), |setup, issuer| {
        let setup = setup.issuer_with("corp", issuer, "scope_match: glob").route("/graphql", &route);
        if limits.is_empty() { setup } else { setup.limits(limits) }
    })
}

/// `ROUTE` with more members.
pub fn route_and(more: &str) -> String {
    format!("{}, {more}}}", ROUTE.trim_end_matches('}'))
}

/// A body with this document.
pub fn body(document: &str) -> String {
    json!({"query": document}).to_string()
}

/// A `POST` of this body, in JSON.
pub fn post(body: impl AsRef<[u8]>) -> Request {
    Request::post("/graphql", body).header("Content-Type", "application/json")
}

/// A `GET` of this document.
pub fn get(document: &str) -> Request {
    let escape = |octet: u8| format!("%{octet:02X}");
    Request::get(&format!("/graphql?query={}", document.bytes().map(escape).collect::<String>()))
}

/// It reaches the upstream, octet for octet.
#[track_caller]
pub fn runs(api: &Api, request: &Request) -> Response {
    let response = api.allows(request);
    let seen = api.upstream.last();
    assert_eq!(seen.body, request.body.clone().unwrap_or_default(), "another body went on");
    response
}

/// It is refused with this code, and the upstream hears nothing.
#[track_caller]
pub fn refused(api: &Api, request: &Request, reason: Reason, code: &str) -> Response {
    let response = api.refuses(request, reason);
    assert_eq!(said_code(&response), code, "{response:?}");
    response
}

/// `extensions.code` of the only error.
pub fn said_code(response: &Response) -> String {
    response.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
}

/// With a token of these scopes, if any.
pub fn by(api: &Api, request: Request, scopes: Option<&str>) -> Request {
    match scopes {
        None => request,
        Some(scopes) => request.bearer(&api.issuer.mint(scopes)),
    }
}

/// The answer to a request that may come to either.
#[track_caller]
pub fn check(api: &Api, request: &Request, code: Option<&str>) {
    let before = api.upstream.count();
    let response = api.gateway.send(request);
    match code {
        None => {
            assert_allowed(&response);
            assert_eq!(api.upstream.last().body, request.body.clone().unwrap_or_default());
        }
        Some(code) => {
            assert_eq!(said_code(&response), code, "{response:?}");
            let reason = Reason::from_code(&response.reason()).expect("a reason");
            assert_refused(&response, reason);
            assert_eq!(api.upstream.count(), before, "the upstream heard of it");
            assert_eq!(response.json().get("data"), None::<&Value>);
        }
    }
}
