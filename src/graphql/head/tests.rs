use crate::config::graphql::GraphQl;
use crate::graphql::asked::tests::rules_with;

use super::*;

fn of<'i>(method: &'i str, query: Option<&'i str>, lines: &[(&str, &'i str)]) -> Incoming<'i> {
    let mut incoming = Incoming { way: Way::Request { method, query, body: None }, ..Incoming::default() };
    for (name, value) in lines {
        incoming.field(name.as_bytes(), value.as_bytes());
    }
    incoming
}

#[track_caller]
fn code(rules: &Rules, incoming: &Incoming<'_>) -> &'static str {
    match incoming.wants_body(rules) {
        Ok(true) => "body",
        Ok(false) => "query",
        Err(rejected) => rejected.code,
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn one_form_of_body_is_taken() {
    let rules = rules_with(|_| {});
    for good in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; odata=verbose; charset=utf-8",
    ] {
        assert_eq!(code(&rules, &of("POST", None, &[("content-type", good)])), "body", "{good}");
    }
    for bad in [
        "",
        "application/graphql",
        "application/graphql+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; charset",
        "application/json, text/plain",
        "application/json; x=y, text/plain",
        "application/jsonp",
        "message/json",
    ] {
        let refused = code(&rules, &of("POST", None, &[("content-type", bad)]));
        assert_eq!(refused, "UNSUPPORTED_MEDIA_TYPE", "{bad}");
    }
    assert_eq!(code(&rules, &of("POST", None, &[])), "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(code(&rules, &of("POST", None, &[JSON, JSON])), "UNSUPPORTED_MEDIA_TYPE");
    let gzip = [JSON, ("Content-Encoding", "gzip")];
    assert_eq!(code(&rules, &of("POST", None, &gzip)), "UNSUPPORTED_MEDIA_TYPE");
}

#[test]
fn the_url_of_a_post_names_no_operation() {
    let rules = rules_with(|_| {});
    for bad in [
        "query={a}",
        "x=1&operationName=a",
        "variables=",
        "extensions",
        "id=1",
        "documentId=x",
        "doc_id=1",
        "queryId=1",
        "%71uery=1",
        "QUERY=1",
        "query[]=1",
        "query%5B0%5D=1",
        "a=1;query=2",
        "+query=1",
        "query%00=1",
    ] {
        assert_eq!(code(&rules, &of("POST", Some(bad), &[JSON])), "BAD_REQUEST", "{bad}");
    }
    for good in ["", "access_token=x", "a=query", "querying=1", "x=%zz"] {
        assert_eq!(code(&rules, &of("POST", Some(good), &[JSON])), "body", "{good}");
    }
}

#[test]
fn a_get_is_what_no_page_can_make_a_browser_send() {
    let rules = rules_with(|_| {});
    assert_eq!(code(&rules, &of("GET", Some("query={a}"), &[])), "CSRF_ERROR");
    assert_eq!(code(&rules, &of("HEAD", Some("query={a}"), &[])), "CSRF_ERROR");
    for field in ["x-apollo-operation-name", "Apollo-Require-Preflight", "GraphQL-Require-Preflight"] {
        assert_eq!(code(&rules, &of("GET", None, &[(field, "1")])), "query", "{field}");
        assert_eq!(code(&rules, &of("GET", None, &[(field, "")])), "CSRF_ERROR", "{field}");
    }
    assert_eq!(code(&rules, &of("GET", None, &[JSON])), "query");
    for odd in ["message/json", "text/plain", "application/x-www-form-urlencoded"] {
        let refused = code(&rules, &of("GET", None, &[("content-type", odd)]));
        assert_eq!(refused, "UNSUPPORTED_MEDIA_TYPE", "{odd}");
    }
    let off = rules_with(|config: &mut GraphQl| config.csrf = false);
    assert_eq!(code(&off, &of("GET", None, &[])), "query");
    assert_eq!(code(&off, &of("GET", None, &[("content-type", "text/plain")])), "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(code(&off, &of("GET", None, &[("content-length", "3")])), "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(code(&off, &of("GET", None, &[("transfer-encoding", "chunked")])), "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(code(&off, &of("GET", None, &[("content-length", "0")])), "query");
}

#[test]
fn other_methods_bring_no_operation() {
    let rules = rules_with(|_| {});
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "get"] {
        assert_eq!(code(&rules, &of(method, None, &[JSON])), "METHOD_NOT_ALLOWED", "{method}");
    }
}

#[test]
fn no_answer_goes_to_a_stream_that_somebody_else_may_have_reserved() {
    let rules = rules_with(|_| {});
    for name in ["X-GraphQL-Event-Stream-Token", "x-graphql-event-stream-token"] {
        for method in ["POST", "GET"] {
            for value in ["", "t"] {
                let incoming = of(method, None, &[JSON, (name, value)]);
                assert_eq!(code(&rules, &incoming), "BAD_REQUEST", "{method} {name}: {value}");
            }
        }
    }
    assert_eq!(code(&rules, &of("POST", None, &[JSON, ("x-graphql-event-stream-taken", "t")])), "body");
}
