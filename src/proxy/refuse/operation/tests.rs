use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Context, Require, parse};
use crate::graphql::rejected::Rejected;

use super::*;

fn config(members: &str) -> GraphQl {
    let text = format!(
        "version: 1\nlisteners: 127.0.0.1:1\nupstreams: {{a: http://127.0.0.1:2}}\nissuers: {{a: {{issuer: \
         https://a.example, audience: any}}}}\nroutes: {{/graphql: {{require: {{graphql: {{public: Query{members}}}}}}}}}\n"
    );
    let context = Context { name: "a.yaml", directory: Path::new("/"), env: &|_| None };
    let (config, _) = parse(&text, &context).unwrap_or_else(|problems| panic!("{problems}"));
    let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    GraphQl::clone(requirement.graphql.as_ref().expect("rules"))
}

/// Head and body of the answer.
fn answer(accept: &str, members: &str, denial: &Denial) -> (String, String) {
    let said = Said::of([accept.as_bytes()].into_iter(), &config(members));
    let mut out = Vec::new();
    let manner = Manner { to_head: false, close: false, grpc: false };
    let addition = Addition { said: Some(said), ..Addition::default() };
    said.write(&mut out, denial, ("1d", addition), manner);
    let text = String::from_utf8(out).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn poor() -> Denial {
    Denial::new(Reason::InsufficientScope, "x").advice(Advice::Scope("a:b c:d".to_owned()))
}

#[test]
fn the_media_type_is_one_that_is_accepted() {
    for (accept, media) in [
        ("application/graphql-response+json", "application/graphql-response+json; charset=utf-8"),
        (
            "application/json, application/graphql-response+json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
        ("application/graphql-response+json;q=0, */*", "application/json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        ("", "application/json; charset=utf-8"),
        ("text/html", "application/json; charset=utf-8"),
        ("application/json, text/event-stream", "application/json; charset=utf-8"),
        ("text/event-stream", "text/event-stream"),
    ] {
        let (head, _) = answer(accept, "", &poor());
        assert!(head.contains(&format!("content-type: {media}\r\n")), "{accept}: {head}");
    }
}

#[test]
fn an_error_says_its_code_and_no_data() {
    let (head, body) = answer("application/json", "", &poor());
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
    assert!(
        head.contains("www-authenticate: Bearer realm=\"portcullis\", error=\"insufficient_scope\""),
        "{head}"
    );
    assert!(!head.contains("scope=\""), "not unless it is asked for: {head}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        body,
        json!({"errors": [{
            "message": title(Reason::InsufficientScope),
            "extensions": {"code": "FORBIDDEN", "reason": "insufficient_scope", "request_id": "1d"},
        }]})
    );
    let (head, body) = answer("", "", &Denial::new(Reason::NoCredentials, "x"));
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(head.lines().any(|line| line == "www-authenticate: Bearer realm=\"portcullis\""), "{head}");
    assert!(body.contains("\"code\":\"UNAUTHENTICATED\""), "{body}");
    let (_, body) = answer("", "", &Denial::new(Reason::UpstreamTimeout, "x"));
    assert!(body.contains("\"code\":\"UPSTREAM_TIMEOUT\""), "{body}");
}

#[test]
fn scopes_are_shown_where_that_is_asked_for() {
    let (head, body) = answer("", ", show_scopes: true", &poor());
    assert!(head.contains("error=\"insufficient_scope\", scope=\"a:b c:d\""), "{head}");
    assert!(body.contains("\"requiredScopes\":[\"a:b\",\"c:d\"]"), "{body}");
}

#[test]
fn servers_of_old_answer_200_and_no_data() {
    let (head, body) = answer("application/graphql-response+json", ", compat: 200", &poor());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/json"), "{head}");
    assert!(head.contains("www-authenticate: "), "{head}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body.get("data"), Some(&Value::Null));
    assert_eq!(body["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[test]
fn whoever_reads_events_gets_one() {
    let (head, body) = answer("text/event-stream", "", &poor());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let data = body
        .strip_prefix("event: next\ndata: ")
        .and_then(|rest| rest.strip_suffix("\n\nevent: complete\ndata:\n\n"));
    let data: Value = serde_json::from_str(data.expect("one event")).expect("JSON");
    assert_eq!(data["errors"][0]["extensions"]["code"], "FORBIDDEN");
    // Who asks is no matter of the operation: the client then gets itself a token.
    let (head, _) = answer("text/event-stream", "", &Denial::new(Reason::Expired, "x"));
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
}

/// It was JSON with status 200, which graphql-sse takes for a connection that was closed.
#[test]
fn with_compat_whoever_reads_events_is_told_everything_by_an_event() {
    let (head, body) = answer("text/event-stream", ", compat: 200", &Denial::new(Reason::Expired, "x"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"), "{head}");
    assert!(body.starts_with("event: next\ndata: ") && body.contains("UNAUTHENTICATED"), "{body}");
}

#[test]
fn a_client_that_is_asked_for_its_document_is_not_refused() {
    let rejected = Rejected {
        kind: Kind::NotFound,
        code: "PERSISTED_QUERY_NOT_FOUND",
        message: "PersistedQueryNotFound".into(),
    };
    let denial = Denial::new(Reason::GraphqlRejected, "x").advice(Advice::Operation(rejected));
    let (head, body) = answer("", "", &denial);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.contains("\"message\":\"PersistedQueryNotFound\""), "{body}");
}
