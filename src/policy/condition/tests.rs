use serde_json::json;

use crate::config::expression::Expression;
use crate::policy::condition::{DOUBTFUL, Failed, Seen, holds};
use crate::token::json::document::Document;

fn check(source: &str, expected: Result<(), Failed>) {
    let claims = Document::of(
        &json!({"tid": "acme", "level": 3, "roles": ["a", "b"], "realm": {"x": true}, "n": null}),
    );
    let arguments = Document::of(&json!({"order": {"id": "17", "tags": ["a"]}, "me": {}}));
    let seen = Seen {
        claims: claims.members(),
        method: "POST",
        path: "/orders/7",
        parameters: &[("id", "7")],
        query: "x=1&twice=1&twice=2&name=a%20b+c&flag",
        headers: &[("X-Tenant", b"acme"), ("X-Many", b"1"), ("x_many", b"2")],
        peer: "127.0.0.1",
        tls: None,
        arguments: Some(arguments.members()),
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
        "request.arguments.refund.id == '17'",
        "request.arguments.me.id == '17'",
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
        "request.arguments.order.id == '17' && request.arguments.order.tags.exists(tag, tag == 'a')",
        "!has(request.arguments.refund) && has(request.arguments.me) && !has(request.arguments.me.id)",
    ] {
        check(source, Ok(()));
    }
}

/// An upstream reads one of two values, or both, or the name in another spelling: a condition never takes what it did not read
/// for what is not there, whatever way it asks.
#[test]
fn a_query_parameter_that_can_be_read_in_two_ways_refuses_however_it_is_asked_for() {
    for query in [
        "who=a&who=a",
        "who=a&who=b",
        "who=a&%77ho=b",
        "%77%68o=b&wh%6F=b",
        "x=1;who=b",
        "who=a;who=b",
        "who=a;x=1",
        "x=1;%77ho=b&y=2",
        "who[]=b",
        "who%5B%5D=b",
        "who[0]=b&who[1]=c",
        "who=a&who[x]=b",
        "Who=b",
        "who=a&WHO=b",
        "who%00=b",
        "%20who=b",
    ] {
        for source in [
            "request.query.who == 'a'",
            "request.query['who'] != 'b'",
            "!(request.query.who == 'b')",
            "!('who' in request.query) || request.query.who == 'a'",
            "!has(request.query.who) || request.query.who == 'a'",
            "has(request.query.who)",
            "'who' in request.query",
            "!('who' in request.query)",
            "request.query.who == 'a' || true",
        ] {
            assert_eq!(asked(query, source), Err(Failed::Error(DOUBTFUL)), "{query}: {source}");
        }
    }
}

/// What asks for all of them asks for the doubtful ones too.
#[test]
fn a_query_with_a_doubtful_parameter_is_neither_counted_nor_gone_through() {
    for query in ["who=a&who=a", "x=1;who=b"] {
        for source in [
            "request.query.all(name, name in ['x', 'y'])",
            "size(request.query) < 5",
            "request.query != {'who': 'b'}",
        ] {
            assert_eq!(asked(query, source), Err(Failed::Error(DOUBTFUL)), "{query}: {source}");
        }
    }
}

#[test]
fn the_other_parameters_of_a_query_are_none_the_worse() {
    for (query, source) in [
        ("tag=1&tag=2&who=a", "request.query.who == 'a'"),
        ("tag=1&tag=2", "!('who' in request.query) && !has(request.query.who)"),
        ("filter[a]=1&filter[b]=2", "request.query['filter[a]'] == '1' && request.query['filter[b]'] == '2'"),
        ("Who=a", "request.query.Who == 'a'"),
        ("who=a%3Bb", "request.query.who == 'a;b'"),
        ("q=x;y&who=a", "request.query.who == 'a'"),
        ("a=1&b=2", "size(request.query) == 2 && request.query.all(name, name in ['a', 'b'])"),
        ("a=1", "request.query == {'a': '1'} && request.query.exists(name, request.query[name] == '1')"),
        ("who=a&who=b", "request.method == 'GET' || request.query.who == 'a'"),
    ] {
        assert_eq!(asked(query, source), Ok(()), "{query}: {source}");
    }
    assert!(matches!(asked("a=1", "request.query.b == ''"), Err(Failed::Error(_))));
    assert!(matches!(asked("a=1", "request.query"), Err(Failed::Error(_))));
    // Nobody has looked at arguments: they are not taken for none, however they are asked for.
    for source in ["!has(request.arguments.order)", "!('order' in request['argu' + 'ments'])"] {
        assert!(matches!(asked("", source), Err(Failed::Error(_))), "{source}");
    }
}

fn asked(query: &str, source: &str) -> Result<(), Failed> {
    let claims = Document::of(&json!({}));
    let seen = Seen {
        claims: claims.members(),
        method: "GET",
        path: "/",
        parameters: &[],
        query,
        headers: &[],
        peer: "127.0.0.1",
        tls: None,
        arguments: None,
        now: 0,
    };
    holds(&Expression::compile(source).expect("it compiles"), &seen)
}
