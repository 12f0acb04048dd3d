//! Cases as written, wrong ones first.

use super::*;
use crate::cli::request::Verdict;

#[track_caller]
fn check_refused(text: &str, what: &str) {
    let error = read(text).expect_err(text);
    assert!(error.contains(what), "{what} is not in {error}");
}

#[test]
fn a_wrong_file_is_refused() {
    let case = |request: &str, expect: &str| format!("- name: n\n  request: {request}\n  expect: {expect}\n");
    check_refused("[]", "no case");
    check_refused("name: n", "");
    check_refused("- name: n\n  request: {url: /}", "expect");
    check_refused(&case("{method: GET}", "{allow: true}"), "url");
    check_refused(&case("{url: /, header: {}}", "{allow: true}"), "header");
    check_refused(&case("{url: /}", "{allowed: true}"), "allowed");
    check_refused(&case("{url: /}", "{}"), "expects nothing");
    check_refused(&case("{url: /}", "{reason: late}"), "no reason `late`");
    check_refused(&case("{url: /}", "{reason: expired, status: 403}"), "answered with 401");
    check_refused(&case("{url: /}", "{allow: true, status: 401}"), "no `status`");
    check_refused(&case("{url: /, claims: {}, token: t}", "{allow: true}"), "two credentials");
    check_refused(&case("{url: /, headers: {X-Tenant: 007}}", "{allow: true}"), "quote numbers");
    let issuer = "- {name: n, issuer: corp, request: {url: /, token: t}, expect: {allow: true}}";
    check_refused(issuer, "there are none");
}

#[test]
fn cases_are_read() {
    let text = "
- name: reads
  issuer: corp
  request:
    method: POST
    url: /orders/1
    headers: {X-Tenant: '007', X-Many: [a, b]}
    claims: {scope: 'orders:read', exp: 1700000000, aud: null, roles: [a]}
  expect: {allow: true}
- {name: refused, request: {url: /, token: a.b.c}, expect: {reason: malformed_token, status: 401}}
";
    let cases = read(text).expect("read");
    let claims = cases[0].request.claims.as_ref().expect("claims");
    let expected = json!({"scope": "orders:read", "exp": 1_700_000_000, "aud": null, "roles": ["a"]});
    assert_eq!(Value::Object(claims.clone()), expected);
    assert!(matches!(&cases[0].request.headers["X-Tenant"], Values::One(value) if value == "007"));
    assert!(matches!(&cases[0].request.headers["X-Many"], Values::Many(values) if values.len() == 2));
    assert_eq!(cases[1].request.method, "GET");
}

#[track_caller]
fn check_holds(expect: &str, refused: Option<Reason>, holds: bool) {
    let text = format!("[{{name: n, request: {{url: /}}, expect: {expect}}}]");
    let case = read(&text).expect("a case").remove(0);
    let verdict = match refused {
        Some(reason) => Verdict::Refused { reason, detail: String::new() },
        None => Verdict::Preflight("r".to_owned()),
    };
    assert_eq!(case.expect.holds(&Told { steps: Vec::new(), verdict }), holds, "{expect} {refused:?}");
}

#[test]
fn an_expectation_holds_only_if_all_of_it_does() {
    check_holds("{allow: true}", Some(Reason::Expired), false);
    check_holds("{allow: false}", None, false);
    check_holds("{reason: expired}", None, false);
    check_holds("{reason: expired}", Some(Reason::Revoked), false);
    check_holds("{status: 401}", Some(Reason::NoRoute), false);
    check_holds("{status: 401}", None, false);
    check_holds("{allow: true}", None, true);
    check_holds("{allow: false}", Some(Reason::NoRoute), true);
    check_holds("{reason: expired, status: 401}", Some(Reason::Expired), true);
    check_holds("{status: 401}", Some(Reason::Expired), true);
}
