//! Cases as written, wrong ones first.

use serde_json::json;

use super::*;

/// Every problem: where, and some words of what.
#[track_caller]
fn check_refused(text: &str, expected: &[(u32, u32, &str)]) {
    let problems = read(text).expect_err(text);
    let found: Vec<(u32, u32, String)> = problems
        .into_iter()
        .map(|problem| {
            let hint = problem.hint.filter(|hint| hint != FORM).map(|hint| format!(" ({hint})"));
            (problem.at.line, problem.at.column, problem.what + &hint.unwrap_or_default())
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((line, column, what), (at, by, words)) in found.iter().zip(expected) {
        assert!((line, column) == (at, by) && what.contains(words), "{found:?} is not {expected:?}");
    }
}

#[test]
fn what_is_no_list_of_cases_is_refused() {
    check_refused("", &[(1, 1, "no case")]);
    check_refused("[]", &[(1, 1, "no case")]);
    check_refused("name: n", &[(1, 1, "a list of cases is expected, not a mapping")]);
    check_refused("- [n]", &[(1, 3, "a case is a mapping, not a list")]);
    check_refused("- {name: n\n", &[(1, 3, "unclosed")]);
    check_refused("- {name: n, name: m}", &[(1, 3, "`request`"), (1, 3, "`expect`"), (1, 13, "duplicate")]);
}

#[test]
fn every_problem_is_reported_where_it_stands() {
    let case = |request: &str, expect: &str| format!("- name: n\n  request: {request}\n  expect: {expect}\n");
    check_refused("- name: n\n  request: {url: /}", &[(1, 3, "a case without `expect`")]);
    check_refused(
        "- {name: ~, request: [], expect: }",
        &[
            (1, 10, "`name` is a single value, not nothing"),
            (1, 22, "`request` is a mapping, not a list"),
            (1, 32, "`expect` is a mapping, not nothing"),
        ],
    );
    for (request, expect, problem) in [
        ("{method: GET}", "{allow: true}", (2, 12, "`request` without `url`")),
        (
            "{url: /, header: {}}",
            "{allow: true}",
            (2, 21, "unknown key `header` in `request` (did you mean `headers`?"),
        ),
        ("{url: /, headers: [a]}", "{allow: true}", (2, 30, "`headers` is a mapping of header names")),
        (
            "{url: /, headers: {X-A: {b: c}}}",
            "{allow: true}",
            (2, 36, "`X-A` is a single value, not a mapping"),
        ),
        ("{url: /, headers: {X-A: [b, [c]]}}", "{allow: true}", (2, 40, "a value of `X-A` is text")),
        ("{url: /, claims: hunter2}", "{allow: true}", (2, 29, "`claims` is not a mapping of claims")),
        ("{url: /, claims: {}, token: hunter2}", "{allow: true}", (2, 33, "two credentials")),
        ("{url: /}", "{allowed: true}", (3, 12, "unknown key `allowed` in `expect` (did you mean `allow`?")),
        ("{url: /}", "{allow: yes}", (3, 19, "`allow` is not `true` or `false`")),
        ("{url: /}", "{allow: 'true'}", (3, 19, "`allow` is not `true` or `false`")),
        ("{url: /}", "{}", (3, 11, "expects nothing")),
        ("{url: /}", "{reason: expird}", (3, 20, "no reason `expird` (did you mean `expired`?")),
        ("{url: /}", "{status: unauthorized}", (3, 20, "`status` is not a status code")),
        ("{url: /}", "{allow: true, status: 401}", (3, 25, "no `status`")),
        ("{url: /}", "{allow: true, reason: expired}", (3, 25, "no `reason`")),
    ] {
        check_refused(&case(request, expect), &[problem]);
    }
    let issuer = "- {name: n, issuer: corp, request: {url: /, token: t}, expect: {allow: true}}";
    check_refused(issuer, &[(1, 13, "there are none")]);
    let two = case("{url: /, token: []}", "{reason: late}") + &case("{}", "{status: 1e2}");
    check_refused(
        &two,
        &[
            (2, 28, "`token` is a single value, not a list"),
            (3, 20, "no reason `late`"),
            (5, 12, "without `url`"),
            (6, 20, "`status`"),
        ],
    );
}

#[test]
fn no_problem_repeats_a_token() {
    for request in [
        "{url: /, token: hunter2, claims: hunter2}",
        "{url: /, tokne: hunter2}",
        "{url: [], claims: hunter2}",
    ] {
        let problems = read(&format!("[{{name: n, request: {request}, expect: {{allow: true}}}}]"));
        let shown = format!("{:?}", problems.expect_err(request));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn cases_are_read() {
    let text = "
- name: reads
  issuer: corp
  request:
    method: POST
    url: /orders/1
    headers: {X-Tenant: 007, X-Many: [a, 'b']}
    claims: {scope: 'orders:read', exp: 1700000000, aud: null, roles: [a]}
  expect: {allow: true}
- {name: refused, request: {url: /, token: a.b.c}, expect: {reason: malformed_token, status: 401}}
";
    let cases = read(text).expect("read");
    let [first, second] = cases.as_slice() else { panic!("{cases:?}") };
    assert_eq!((&*first.name, first.issuer.as_deref(), first.at.line), ("reads", Some("corp"), 2));
    let claims = first.request.claims.as_ref().expect("claims");
    let expected = json!({"scope": "orders:read", "exp": 1_700_000_000, "aud": null, "roles": ["a"]});
    assert_eq!(Value::Object(claims.clone()), expected);
    // A scalar where text is wanted is taken as written.
    assert_eq!(first.request.headers["X-Tenant"], ["007"]);
    assert_eq!(first.request.headers["X-Many"], ["a", "b"]);
    assert_eq!(first.expect.allow, Some(true));
    assert_eq!((&*second.request.method, second.request.token.as_deref()), ("GET", Some("a.b.c")));
    assert_eq!((second.expect.reason, second.expect.status), (Some(Reason::MalformedToken), Some(401)));
}
