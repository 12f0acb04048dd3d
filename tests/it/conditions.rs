//! `when:` decides on claims and the request; what cannot be evaluated refuses.

use portcullis::gate::denial::Reason::{ConditionFailed, InsufficientScope};
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_refused};
use crate::harness::client::Request;

/// An expression, claims, a target of `GET /c/{n}/{id}` beyond its number, header lines, and whether it holds.
type Case = (&'static str, Value, &'static str, &'static [(&'static str, &'static str)], bool);

fn cases() -> Vec<Case> {
    const TENANT: &str = r#"claims.tid == request.headers["x-tenant"]"#;
    vec![
        (TENANT, json!({"tid": "a"}), "/1", &[("X-Tenant", "a")], true),
        (TENANT, json!({"tid": "a"}), "/1", &[("x-TENANT", "a")], true),
        (TENANT, json!({"tid": "a"}), "/1", &[("X-Tenant", "b")], false),
        // Evaluation errors: a header or a claim that is not there, types that do not compare.
        (TENANT, json!({"tid": "a"}), "/1", &[], false),
        (TENANT, json!({}), "/1", &[("X-Tenant", "a")], false),
        ("claims.level > 3", json!({"level": "high"}), "/1", &[], false),
        ("claims.level > 3", json!({"level": 5}), "/1", &[], true),
        ("claims.level > 3", json!({"level": 2}), "/1", &[], false),
        ("claims.sub", json!({}), "/1", &[], false),
        ("1 / claims.zero == 1", json!({"zero": 0}), "/1", &[], false),
        ("claims.nothing.deeper == 1", json!({}), "/1", &[], false),
        // Names of the request.
        (r#"request.method == "GET""#, json!({}), "/1", &[], true),
        (r#"request.path.endsWith("/1")"#, json!({}), "/1", &[], true),
        ("request.params.id == claims.sub", json!({"sub": "alice"}), "/alice", &[], true),
        ("request.params.id == claims.sub", json!({"sub": "alice"}), "/bob", &[], false),
        (r#"request.peer == "127.0.0.1""#, json!({}), "/1", &[], true),
        ("request.tls == null", json!({}), "/1", &[], true),
        // Values of the token, of every JSON type.
        (r#""admin" in claims.roles"#, json!({"roles": ["user", "admin"]}), "/1", &[], true),
        (r#""admin" in claims.roles"#, json!({"roles": ["user"]}), "/1", &[], false),
        (
            r#"claims.realm_access.roles.exists(r, r == "x")"#,
            json!({"realm_access": {"roles": ["x"]}}),
            "/1",
            &[],
            true,
        ),
        ("claims.verified", json!({"verified": true}), "/1", &[], true),
        ("claims.verified", json!({"verified": "true"}), "/1", &[], false),
        ("has(claims.verified)", json!({}), "/1", &[], false),
        (r#"claims["https://example.com/x"] == "y""#, json!({"https://example.com/x": "y"}), "/1", &[], true),
        // Short circuits: what is not needed is not missed.
        (r#"has(claims.tid) && claims.tid == "a""#, json!({}), "/1", &[], false),
        (r#"claims.sub == "alice" || claims.tid == "a""#, json!({}), "/1", &[], true),
        ("true", json!({}), "/1", &[], true),
        ("false", json!({}), "/1", &[], false),
    ]
}

#[test]
fn a_condition_holds_or_refuses() {
    let cases = cases();
    let api = Api::with(|setup| {
        cases.iter().enumerate().fold(setup, |setup, (n, (expression, ..))| {
            let text = expression.replace('\'', "''");
            setup.route(&format!("GET /c/{n}/{{id}}"), &format!("{{require: {{when: '{text}'}}}}"))
        })
    });
    for (n, (expression, claims, target, headers, holds)) in cases.iter().enumerate() {
        let token = api.issuer.token().merge(claims.clone()).sign();
        let request = Request::get(&format!("/c/{n}{target}")).bearer(&token);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = api.gateway.send(&request);
        if *holds {
            assert_eq!(response.status, 200, "{expression} with {claims}: {response:?}");
        } else {
            assert_eq!(response.reason(), ConditionFailed.code(), "{expression} with {claims}: {response:?}");
            assert_refused(&response, ConditionFailed);
        }
    }
}

#[test]
fn a_condition_comes_on_top_of_scopes() {
    let api = Api::with(|setup| {
        setup.route("GET /both", r#"{require: {scopes: [a], when: 'claims.sub == "alice"'}}"#)
    });
    let token =
        |scope: &str, subject: &str| api.issuer.token().scope(scope).set("sub", json!(subject)).sign();
    let both = |token: &str| Request::get("/both").bearer(token);
    api.allows(&both(&token("a", "alice")));
    api.refuses(&both(&token("b", "alice")), InsufficientScope);
    api.refuses(&both(&token("a", "bob")), ConditionFailed);
    api.refuses(&both(&token("b", "bob")), InsufficientScope);
}
