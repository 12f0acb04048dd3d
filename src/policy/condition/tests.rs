use serde_json::json;

use crate::config::expression::Expression;
use crate::policy::condition::{Failed, Seen, holds};
use crate::token::json::document::Document;

fn check(source: &str, expected: Result<(), Failed>) {
    let claims = Document::of(
        &json!({"tid": "acme", "level": 3, "roles": ["a", "b"], "realm": {"x": true}, "n": null}),
    );
    let seen = Seen {
        claims: claims.members(),
        method: "POST",
        path: "/orders/7",
        parameters: &[("id", "7")],
        query: "x=1&twice=1&twice=2&name=a%20b+c&flag",
        headers: &[("X-Tenant", b"acme"), ("X-Many", b"1"), ("x_many", b"2")],
        peer: "127.0.0.1",
        tls: None,
        now: 1_700_000_000,
    };
    let expression = Expression::compile(source).expect("it compiles");
    let got = holds(&expression, &seen).map_err(|failed| match failed {
        Failed::Error(_) => Failed::Error(""),
        Failed::False => Failed::False,
    });
    assert_eq!(got, expected, "{source}");
}

#[test]
fn an_expression_that_cannot_be_evaluated_refuses() {
    for source in [
        "claims.absent == 'x'",
        "request.headers['absent'] == ''",
        "claims.tid",
        "claims.level + 1",
        "claims.tid < 3",
        "request.query.twice == '1'",
    ] {
        check(source, Err(Failed::Error("")));
    }
}

#[test]
fn an_expression_that_is_false_refuses() {
    for source in ["claims.tid == 'other'", "request.method == 'GET'", "now < 5", "has(claims.absent)"] {
        check(source, Err(Failed::False));
    }
}

#[test]
fn an_expression_sees_the_claims_and_the_request() {
    for source in [
        r#"claims.tid == request.headers["x-tenant"]"#,
        "claims.level >= 3 && 'a' in claims.roles",
        "claims.realm.x",
        "claims.n == null",
        "request.params.id == '7' && request.path == '/orders/7'",
        "request.query.x == '1' && request.query.name == 'a b c' && request.query.flag == ''",
        "request.headers['x-many'] == '1, 2'",
        "request.peer == '127.0.0.1' && request.tls == null",
        "now == 1700000000",
        "claims.roles.exists(role, role == 'b')",
        "claims.tid.startsWith('ac')",
    ] {
        check(source, Ok(()));
    }
}
