use std::net::{IpAddr, Ipv4Addr};

use crate::gate::narrowed::accept;
use crate::gate::{Field, Request};
use crate::path::Path;

#[track_caller]
fn check(lines: &[&str], wanted: Option<&str>) {
    let headers: Vec<Field<'_>> =
        lines.iter().map(|value| Field { name: b"Accept", value: value.as_bytes() }).collect();
    let request = Request {
        method: "POST",
        host: "api.test",
        path: Path::Canonical("/graphql".into()),
        query: None,
        headers: &headers,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        websocket: None,
        tls: None,
        presented: None,
        message: None,
    };
    assert_eq!(accept(&request), wanted, "{lines:?}");
}

#[test]
fn an_answer_is_asked_for_in_a_form_that_can_be_told_what_is_missing() {
    const MODERN: &str = "application/graphql-response+json";
    const BOTH: &str = "application/graphql-response+json, application/json;q=0.9";
    const PLAIN: &str = "application/json";
    check(&[], Some(PLAIN));
    check(&["*/*"], Some(PLAIN));
    check(&["application/*;q=0.5"], Some(PLAIN));
    check(&["Application/JSON; charset=utf-8"], Some(PLAIN));
    check(&["application/graphql-response+json, application/json;q=0.9"], Some(BOTH));
    check(&["application/graphql-response+json", "*/*;q=0.1"], Some(BOTH));
    check(&["application/graphql-response+json"], Some(MODERN));
    check(&["multipart/mixed;deferSpec=20220824, application/json"], Some(PLAIN));
    check(&["application/graphql-response+json;q=0, application/json"], Some(PLAIN));
}

#[test]
fn a_client_that_takes_no_such_form_gets_no_part() {
    for lines in
        [&["text/event-stream"][..], &["multipart/mixed"], &["text/html"], &[""], &["application/json;q=0.0"]]
    {
        check(lines, None);
    }
}
