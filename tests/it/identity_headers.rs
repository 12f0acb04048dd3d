//! Identity is ours (I3): no octet of a client's makes, shadows or drops a header that tells the upstream who asks.

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::reader::Head;

/// `/me` tells the upstream the subject and the roles; `/orders/{id}` the tenant; `/health` nothing.
fn api() -> Api {
    Api::with(|setup| {
        setup
            .route(
                "GET /me",
                "{require: authenticated, forward: {headers: {X-Subject: sub, X-Roles: roles}}}",
            )
            .route("GET /orders/{id}", "{require: orders:read, forward: {headers: {X-Tenant-Id: tid}}}")
    })
}

const IDENTITY: [&str; 3] = ["X-Subject", "X-Roles", "X-Tenant-Id"];

/// What a CGI-like backend would read as one of ours, beside what the grant set.
#[track_caller]
fn only(head: &Head, allowed: &[(&str, &str)]) {
    for name in IDENTITY {
        let expected: Vec<&str> =
            allowed.iter().filter(|(set, _)| *set == name).map(|(_, value)| *value).collect();
        assert_eq!(head.all(name), expected, "{name}: {head:?}");
        assert_eq!(head.aliases(name).len(), expected.len(), "an alias of {name} arrived: {head:?}");
    }
}

/// Spellings under which a header might come in.
const SPELLINGS: [&str; 11] = [
    "X-Subject",
    "x-subject",
    "X-SUBJECT",
    "X_Subject",
    "x_subject",
    "X.Subject",
    "X~Subject",
    "X!Subject",
    "X-Roles",
    "X_ROLES",
    "X-Tenant_Id",
];

#[test]
fn s1_s2_every_spelling_is_removed_on_every_route() {
    let api = api();
    let subject = api.issuer.token().sign();
    for spelling in SPELLINGS {
        for (path, token, set) in [
            ("/health", "", vec![]),
            ("/health", subject.as_str(), vec![]),
            ("/me", subject.as_str(), vec![("X-Subject", "alice")]),
            ("/orders/1", &api.reader(), vec![]),
        ] {
            let request = Request::get(path).header(spelling, "admin");
            let request = if token.is_empty() { request } else { request.bearer(token) };
            assert_allowed(&api.gateway.send(&request));
            only(&api.upstream.last().head, &set);
            assert!(!api.upstream.raw().contains(": admin"), "{spelling} on {path}");
        }
    }
}

#[test]
fn s1_a_claim_that_is_missing_leaves_no_header() {
    let api = api();
    let token = api.issuer.token().scope("orders:read");
    let request = |token: &str| {
        Request::get("/orders/1")
            .bearer(token)
            .header("X-Tenant-Id", "theirs")
            .header("x-tenant-id", "theirs")
    };
    api.allows(&request(&token.clone().sign()));
    only(&api.upstream.last().head, &[]);
    api.allows(&request(&token.set("tid", json!("ours")).sign()));
    only(&api.upstream.last().head, &[("X-Tenant-Id", "ours")]);
}

#[test]
fn s1_the_next_request_of_a_connection_inherits_nothing() {
    let api = api();
    let mut connection = api.gateway.connect();
    assert_allowed(&connection.send(&Request::get("/me").bearer(&api.issuer.token().sign())));
    only(&api.upstream.last().head, &[("X-Subject", "alice")]);
    assert_allowed(&connection.send(&Request::get("/health")));
    only(&api.upstream.last().head, &[]);
    let bob = api.issuer.token().set("sub", json!("bob")).sign();
    assert_allowed(&connection.send(&Request::get("/me").bearer(&bob)));
    only(&api.upstream.last().head, &[("X-Subject", "bob")]);
}

/// `Connection` may not name what is ours to set, or what must not be lost (Fabio's and Traefik's advisories).
#[test]
fn s3_connection_cannot_nominate_an_identity_away() {
    let api = api();
    let token = api.issuer.token().sign();
    let nominations = [
        "close, X-Subject",
        "x-subject",
        "keep-alive,\tx-subject",
        "keep-alive, X_Subject",
        "Authorization",
        "X-Forwarded-For, X-Forwarded-Host",
        "Host",
        "Content-Length",
        "close, x-a, x-b, x-c, x-d, x-e, x-f, x-g, x-h, x-i, x-j, x-k, x-subject",
    ];
    for nomination in nominations {
        for name in ["Connection", "Proxy-Connection"] {
            let before = api.upstream.count();
            let response = api.gateway.send(&Request::get("/me").bearer(&token).header(name, nomination));
            match response.status {
                200 => {
                    let head = api.upstream.last().head;
                    only(&head, &[("X-Subject", "alice")]);
                    assert!(head.header("x-forwarded-for").is_some(), "{name}: {nomination}: {head:?}");
                    assert_eq!(head.header("host"), Some("api.test"), "{name}: {nomination}");
                }
                // Refused whole is as good; 401 would mean that the token was lost on the way.
                400 => assert_eq!(api.upstream.count(), before),
                _ => panic!("{name}: {nomination}: {response:?}"),
            }
        }
    }
}

#[test]
fn s3_hop_by_hop_fields_stay_here() {
    let api = Api::start();
    let request = Request::get("/health")
        .header("Connection", "x-private, keep-alive")
        .header("X-Private", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic YTpi")
        .header("TE", "gzip")
        .header("Trailer", "X-T")
        .header("X-Public", "2");
    api.allows(&request);
    let head = api.upstream.last().head;
    for name in ["x-private", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"] {
        assert!(head.header(name).is_none(), "{name}: {head:?}");
    }
    assert_eq!(head.header("x-public"), Some("2"));
}

#[test]
fn s4_two_lines_of_an_identity_header_are_two_lines_removed() {
    let api = api();
    let token = api.issuer.token().set("roles", json!(["reader"])).sign();
    let request =
        Request::get("/me").header("X-Roles", "admin").bearer(&token).header("X-Roles", "root, admin");
    api.allows(&request);
    only(&api.upstream.last().head, &[("X-Subject", "alice"), ("X-Roles", "reader")]);
}

/// A decision about a header reads all of its lines.
#[test]
fn s4_a_condition_sees_every_value() {
    let route = r#"{require: {when: 'request.headers["x-env"] == "test"'}}"#;
    let api = Api::with(|setup| setup.route("GET /me", route));
    let token = api.reader();
    let one = |request: Request| request.header("X-Env", "test");
    api.allows(&one(Request::get("/me").bearer(&token)));
    api.refuses(&one(one(Request::get("/me").bearer(&token))), Reason::ConditionFailed);
    api.refuses(
        &one(Request::get("/me").bearer(&token).header("X-Env", "production")),
        Reason::ConditionFailed,
    );
}

#[test]
fn s5_forwarding_headers_are_rebuilt_not_believed() {
    let api = Api::start();
    let spoofed = [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Server",
        "X-Forwarded-Anything",
        "X_Forwarded_For",
        "X.Forwarded.For",
        "X-Real-IP",
        "X_Real_IP",
        "Forwarded",
    ];
    let request =
        spoofed.iter().fold(Request::get("/health"), |request, name| request.header(name, "6.6.6.6"));
    api.allows(&request.header("Via", "1.1 evil"));
    let head = api.upstream.last().head;
    assert!(!head.headers.iter().any(|(_, value)| value.contains("6.6.6.6")), "{head:?}");
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-host"), ["api.test"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    for name in
        ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix", "x-real-ip"]
    {
        assert!(head.aliases(name).len() < 2, "{name}: {head:?}");
    }
    let via = head.all("via").join(", ");
    assert!(via.contains("1.1 ") && via.matches("evil").count() < 2, "{via}");
}

#[test]
fn s6_the_credential_stays_here_unless_the_route_keeps_it() {
    let api = Api::with(|setup| {
        setup.route("GET /kept", "{require: authenticated, forward: {authorization: keep}}")
    });
    let token = api.reader();
    for path in ["/me", "/orders/1", "/health"] {
        api.allows(&Request::get(path).bearer(&token));
        let head = api.upstream.last().head;
        assert!(head.aliases("authorization").is_empty(), "{path}: {head:?}");
    }
    api.allows(&Request::get("/kept").bearer(&token));
    assert_eq!(api.upstream.last().head.header("authorization"), Some(format!("Bearer {token}").as_str()));
}
