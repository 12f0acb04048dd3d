use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Context, Require, parse};
use crate::gate::denial::Whole;
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
            "application/json, application/graphql-response+json",
            "application/graphql-response+json; charset=utf-8",
        ),
        ("application/json, application/graphql-response+json;q=0.9", "application/json; charset=utf-8"),
        ("application/json;q=0.5, text/event-stream;q=0.6", "text/event-stream"),
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

/// GraphQL over HTTP: what keeps a request from being one of GraphQL is not answered as one of GraphQL's answers.
#[test]
fn what_answers_no_operation_is_plain_json() {
    let rejected = |kind, code| {
        Denial::new(Reason::GraphqlRejected, "x")
            .advice(Advice::Operation(Rejected::of(kind, code, "x").into()))
    };
    for (denial, is_graphql) in [
        (poor(), true),
        (Denial::new(Reason::Expired, "x"), true),
        (rejected(Kind::Rejected, "GRAPHQL_PARSE_FAILED"), true),
        (rejected(Kind::Rejected, "BAD_REQUEST"), false),
        (rejected(Kind::Rejected, "CSRF_ERROR"), false),
        (rejected(Kind::MediaType, "UNSUPPORTED_MEDIA_TYPE"), false),
        (rejected(Kind::TooLarge, "BODY_TOO_LARGE"), false),
        (rejected(Kind::Method, "METHOD_NOT_ALLOWED"), false),
        (Denial::new(Reason::UpstreamFailed, "x"), false),
        (Denial::new(Reason::Overloaded, "x"), false),
        (Denial::new(Reason::ManyCredentials, "x"), false),
    ] {
        let (head, _) = answer("application/graphql-response+json", "", &denial);
        let media = if is_graphql { "graphql-response+json" } else { "json" };
        assert!(head.contains(&format!("content-type: application/{media}; ")), "{denial:?}: {head}");
    }
}

/// It was one error for all, in which clients found no answer to theirs.
#[test]
fn where_all_answers_are_200_a_list_is_refused_by_as_many_errors() {
    let denial = Denial { whole: Some(Box::new(Whole { list: 3, ..Whole::default() })), ..poor() };
    let (_, body) = answer("application/json", ", compat: 200", &denial);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body.as_array().map(Vec::len), Some(3), "{body}");
    assert_eq!(body[2]["errors"][0]["extensions"]["code"], "FORBIDDEN");
    // Elsewhere the status says it, for all.
    let (_, body) = answer("application/json", "", &denial);
    assert!(body.starts_with("{\"errors\":["), "{body}");
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
    let rejected = Rejected::of(Kind::NotFound, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound");
    let denial = Denial::new(Reason::GraphqlRejected, "x").advice(Advice::Operation(rejected.into()));
    let (head, body) = answer("", "", &denial);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.contains("\"message\":\"PersistedQueryNotFound\""), "{body}");
    for accept in ["", "application/graphql-response+json"] {
        let (_, body) = answer(
            accept,
            "",
            &Denial { whole: Some(Box::new(Whole { list: 2, ..Whole::default() })), ..denial.clone() },
        );
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body[1]["errors"][0]["message"], "PersistedQueryNotFound", "each sends its own: {body}");
    }
    // It was JSON, which a reader of events takes for no answer.
    let (head, body) = answer("text/event-stream", "", &denial);
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    assert!(body.starts_with("event: next\ndata: ") && body.contains("PersistedQueryNotFound"), "{body}");
}
