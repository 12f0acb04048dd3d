//! One refusal test for every reason there is: status, code, challenge and counter, and nothing upstream.

use std::time::Duration;

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::{Api, assert_refused, usual};
use crate::harness::client::{Outcome, Request, Response};
use crate::harness::issuer::{Fault, Issuer};
use crate::harness::keys::Key;
use crate::harness::token::now;
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::{PATIENCE, wait_until};

/// The test of each reason: a reason without one does not compile.
fn test_of(reason: Reason) -> fn() {
    match reason {
        Reason::MalformedRequest => malformed_request,
        Reason::ManyCredentials => many_credentials,
        Reason::GraphqlRejected => graphql_rejected,
        Reason::NoCredentials => no_credentials,
        Reason::MalformedToken => malformed_token,
        Reason::UntrustedIssuer => untrusted_issuer,
        Reason::UnknownKey => unknown_key,
        Reason::BadSignature => bad_signature,
        Reason::Expired => expired,
        Reason::NotYetValid => not_yet_valid,
        Reason::LivesTooLong => lives_too_long,
        Reason::WrongAudience => wrong_audience,
        Reason::WrongType => wrong_type,
        Reason::MissingClaim => missing_claim,
        Reason::Revoked => revoked,
        Reason::InsufficientScope => insufficient_scope,
        Reason::ConditionFailed => condition_failed,
        Reason::NoRoute => no_route,
        Reason::MethodNotAllowed => method_not_allowed,
        Reason::UnsupportedMediaType => unsupported_media_type,
        Reason::UnknownStream => unknown_stream,
        Reason::ExpectationFailed => expectation_failed,
        Reason::Misdirected => misdirected,
        Reason::RequestTimeout => request_timeout,
        Reason::BodyTooLarge => body_too_large,
        Reason::HeadersTooLarge => headers_too_large,
        Reason::UpstreamFailed => upstream_failed,
        Reason::UpstreamTimeout => upstream_timeout,
        Reason::KeysUnavailable => keys_unavailable,
        Reason::Overloaded => overloaded,
        Reason::Internal => internal,
    }
}

#[test]
fn every_reason_has_a_test_and_a_code_of_its_own() {
    let codes: std::collections::BTreeSet<&str> = Reason::ALL.into_iter().map(Reason::code).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let _: fn() = test_of(reason);
    }
}

/// One route that judges operations: those of queries are for everybody.
const OPERATIONS: &str = "{require: {graphql: {permission: '{operation}:{field}', public: Query}}}";

#[test]
fn graphql_rejected() {
    let api = Api::with(|setup| setup.route("POST /graphql", OPERATIONS));
    let post = |body: &str| Request::post("/graphql", body).header("Content-Type", "application/json");
    refuse(&api, &post("{}"), Reason::GraphqlRejected);
    refuse(&api, &post(r#"{"query":"{"}"#), Reason::GraphqlRejected);
}

#[test]
fn unsupported_media_type() {
    let api = Api::with(|setup| setup.route("POST /graphql", OPERATIONS));
    let plain = Request::post("/graphql", r#"{"query":"{a}"}"#).header("Content-Type", "text/plain");
    refuse(&api, &plain, Reason::UnsupportedMediaType);
    refuse(&api, &Request::post("/graphql", "{a}"), Reason::UnsupportedMediaType);
}

#[test]
fn unknown_stream() {
    let graphql = "{require: {graphql: {public: [Query], reserved_streams: 1h}}}";
    let api = Api::with(|setup| setup.route("/graphql", graphql));
    let request = Request::new("DELETE", "/graphql?operationId=1").bearer(&api.reader());
    refuse(&api, &request.header("X-GraphQL-Event-Stream-Token", "x"), Reason::UnknownStream);
}

/// Refused on the readers' route or wherever `request` goes, and counted once under its reason.
#[track_caller]
fn refuse(api: &Api, request: &Request, reason: Reason) -> Response {
    let count =
        || api.gateway.metric("decisions_total", &[("decision", "refuse"), ("reason", reason.code())]);
    let before = count();
    let response = api.refuses(request, reason);
    wait_until(&format!("decisions_total counts {}", reason.code()), || count() - before == 1.0);
    response
}

#[track_caller]
fn refuse_token(api: &Api, token: &str, reason: Reason) -> Response {
    refuse(api, &Request::get("/orders/1").bearer(token), reason)
}

#[test]
fn malformed_request() {
    let api = Api::start();
    let request = Request::get("/orders/1").header("Content-Length", "0x5").bearer(&api.reader());
    refuse(&api, &request, Reason::MalformedRequest);
    let twice = Request::get("/orders/1").bearer(&api.reader()).bearer(&api.reader());
    refuse(&api, &twice, Reason::MalformedRequest);
}

#[test]
fn many_credentials() {
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup.issuer_with("corp", issuer, "from: [bearer, {query: t}]")
    });
    let token = api.reader();
    refuse(&api, &Request::get(&format!("/orders/1?t={token}")).bearer(&token), Reason::ManyCredentials);
}

#[test]
fn no_credentials() {
    let api = Api::start();
    refuse(&api, &Request::get("/orders/1"), Reason::NoCredentials);
    refuse(&api, &Request::get("/orders/1").header("Authorization", "Basic YTpi"), Reason::NoCredentials);
}

#[test]
fn malformed_token() {
    let api = Api::start();
    refuse_token(&api, "not.a.token", Reason::MalformedToken);
}

#[test]
fn untrusted_issuer() {
    let other = Issuer::start();
    let upstream = Upstream::start();
    let issuer = Issuer::start();
    let setup = usual(&upstream).issuer("corp", &issuer).issuer("other", &other);
    let gateway = setup.route("GET /corp", "{require: {issuers: [corp]}}").start();
    let api = Api { gateway, upstream, issuer };
    refuse_token(&api, &Issuer::start().mint("orders:read"), Reason::UntrustedIssuer);
    // Trusted elsewhere is not trusted here.
    refuse(&api, &Request::get("/corp").bearer(&other.mint("")), Reason::UntrustedIssuer);
    api.allows(&Request::get("/me").bearer(&other.mint("")));
}

#[test]
fn unknown_key() {
    let api = Api::start();
    let token = api.issuer.token().scope("orders:read").header("kid", json!("nobody's"));
    refuse_token(&api, &token.sign(), Reason::UnknownKey);
}

#[test]
fn bad_signature() {
    let api = Api::start();
    let stranger = Key::new("ES256", "k1");
    refuse_token(&api, &api.issuer.token().signed_by(&stranger).sign(), Reason::BadSignature);
}

#[test]
fn expired() {
    let api = Api::start();
    let token =
        api.issuer.token().scope("orders:read").merge(json!({"iat": now() - 600, "exp": now() - 300}));
    refuse_token(&api, &token.sign(), Reason::Expired);
    // `expired` is said before `lives_too_long`.
    let both = api.issuer.token().merge(json!({"iat": now() - 400 * 86400, "exp": now() - 300}));
    refuse_token(&api, &both.sign(), Reason::Expired);
}

#[test]
fn not_yet_valid() {
    let api = Api::start();
    refuse_token(&api, &api.issuer.token().set("nbf", json!(now() + 120)).sign(), Reason::NotYetValid);
    refuse_token(&api, &api.issuer.token().set("iat", json!(now() + 120)).sign(), Reason::NotYetValid);
}

#[test]
fn lives_too_long() {
    let api = Api::start();
    let years = json!({"exp": now() + 100 * 365 * 86400});
    refuse_token(&api, &api.issuer.token().merge(years).sign(), Reason::LivesTooLong);
    let without_iat = api.issuer.token().without("iat").set("exp", json!(now() + 2 * 86400));
    refuse_token(&api, &without_iat.sign(), Reason::LivesTooLong);
}

#[test]
fn wrong_audience() {
    let api = Api::start();
    refuse_token(&api, &api.issuer.token().set("aud", json!("other")).sign(), Reason::WrongAudience);
}

#[test]
fn wrong_type() {
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup.issuer_with("corp", issuer, "token_type: at+jwt")
    });
    refuse_token(&api, &api.issuer.token().sign(), Reason::WrongType);
}

#[test]
fn missing_claim() {
    let api = Api::start();
    refuse_token(&api, &api.issuer.token().without("exp").sign(), Reason::MissingClaim);
}

#[test]
fn revoked() {
    let issuer = Issuer::start();
    let entry = json!([{"kind": "subject", "issuer": issuer.iss, "value": "mallory"}]).to_string();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        setup
            .issuer("corp", issuer)
            .file("revoked.yaml", &entry)
            .yaml_tail("revocation: {file: revoked.yaml}")
    });
    let token = api.issuer.token().scope("orders:read").set("sub", json!("mallory"));
    refuse_token(&api, &token.sign(), Reason::Revoked);
    api.allows_token(&api.reader());
}

#[test]
fn insufficient_scope() {
    let api = Api::start();
    let response = refuse_token(&api, &api.issuer.mint("orders:write"), Reason::InsufficientScope);
    let challenge = response.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("scope=\"orders:read\""), "{challenge}");
}

#[test]
fn condition_failed() {
    let api =
        Api::with(|setup| setup.route("GET /orders/{id}", r#"{require: {when: 'claims.sub == "bob"'}}"#));
    refuse_token(&api, &api.reader(), Reason::ConditionFailed);
}

#[test]
fn no_route() {
    let api = Api::start();
    refuse(&api, &Request::get("/nowhere").bearer(&api.reader()), Reason::NoRoute);
}

#[test]
fn method_not_allowed() {
    let api = Api::start();
    let request = Request::new("DELETE", "/orders/1").bearer(&api.reader());
    let response = refuse(&api, &request, Reason::MethodNotAllowed);
    let allow = response.header("allow").unwrap_or_default();
    assert!(allow.contains("GET") && allow.contains("HEAD") && !allow.contains("POST"), "{allow}");
}

#[test]
fn expectation_failed() {
    let api = Api::start();
    let request = Request::get("/orders/1").header("Expect", "a miracle").bearer(&api.reader());
    refuse(&api, &request, Reason::ExpectationFailed);
}

#[test]
fn misdirected() {
    let api = Api::start();
    for target in ["/v1/status", "/v1/config", "/v1/reload"] {
        let response = api.gateway.send_admin(&Request::get(target).host("rebound.example"));
        assert_refused(&response, Reason::Misdirected);
    }
}

#[test]
fn request_timeout() {
    let api = Api::with(|setup| setup.limits("header_time: 300ms"));
    let mut connection = api.gateway.connect();
    connection.write(b"GET /health HTTP/1.1\r\nHost: api.test\r\nX-Slow: ");
    assert_refused(&connection.answer(), Reason::RequestTimeout);
    connection.expect_end();
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn body_too_large() {
    let api = Api::with(|setup| setup.yaml_tail("endpoints: {POST /about: {metadata: {a: b}}}"));
    let request = Request::new("POST", "/about").body([b'a'; (64 << 10) + 1]);
    refuse(&api, &request, Reason::BodyTooLarge);
}

#[test]
fn headers_too_large() {
    let api = Api::start();
    let request = Request::get("/health").header("X-Long", &"a".repeat(17 << 10));
    refuse(&api, &request, Reason::HeadersTooLarge);
}

#[test]
fn upstream_failed() {
    let api = Api::start();
    api.upstream.go_down();
    let response = api.gateway.get("/orders/1", &api.reader());
    assert_refused(&response, Reason::UpstreamFailed);
    assert!(!response.text().contains(&api.upstream.address.port().to_string()), "U6: {response:?}");
}

#[test]
fn upstream_timeout() {
    let upstream = Upstream::start();
    let issuer = Issuer::start();
    upstream.on("/health", |exchange| {
        while !exchange.read_some()?.is_empty() {}
        Ok(Then::Close)
    });
    let peer = format!("{{peers: {:?}, response_timeout: 300ms}}", upstream.url());
    let gateway = usual(&upstream).upstream_as("api", &peer).issuer("corp", &issuer).start();
    let response = gateway.send(&Request::get("/health"));
    assert_refused(&response, Reason::UpstreamTimeout);
}

#[test]
fn keys_unavailable() {
    let issuer = Issuer::start();
    issuer.set_fault(Fault::ServerError);
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "miss_wait: 50ms").start_unready();
    let response = gateway.get("/orders/1", &issuer.mint("orders:read"));
    assert_refused(&response, Reason::KeysUnavailable);
    assert_eq!(upstream.count(), 0);
    assert_eq!(gateway.probe("/readyz"), Some(503), "not ready without keys");
}

/// More signatures at once than one worker may have waiting: some are turned away, none is answered wrongly.
#[test]
fn overloaded() {
    let issuer = Issuer::with_keys(vec![Key::new("ES384", "k1")]);
    let api = Api::with_issuer(issuer, |setup, issuer| {
        setup.workers(1).issuer("corp", issuer).limits("signatures_in_flight: 1").quiet()
    });
    const CONNECTIONS: usize = 24;
    let mut turned_away = 0;
    let end = std::time::Instant::now() + PATIENCE;
    while turned_away == 0 && std::time::Instant::now() < end {
        let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| api.gateway.connect()).collect();
        let requests: Vec<Vec<u8>> = connections
            .iter()
            .map(|_| Request::get("/orders/1").bearer(&api.issuer.mint("orders:read")).octets())
            .collect();
        for (connection, request) in connections.iter_mut().zip(&requests) {
            connection.write(request);
        }
        for connection in &mut connections {
            let response = connection.answer();
            match response.status {
                200 => {}
                _ => {
                    assert_refused(&response, Reason::Overloaded);
                    turned_away += 1;
                }
            }
        }
    }
    assert!(turned_away > 0, "no request was ever turned away");
    api.allows_token(&api.reader());
}

/// 500 is our bug, which nobody can ask for; the audit of every answer in every suite says that it did not
/// happen. Here: a fault on the way does not become one.
#[test]
fn internal() {
    let api = Api::start();
    api.upstream.on("/health", |exchange| Ok(exchange.reset()));
    api.gateway.send(&Request::get("/health"));
    api.gateway.send(&Request::get("/%ff%fe").header("X", "\u{7f}"));
    let mut connection = api.gateway.connect();
    connection.write(b"\x00\x01\x02\r\n\r\n");
    assert!(matches!(connection.wait("GET", Duration::from_secs(5)), Outcome::Answer(_) | Outcome::Closed));
    assert_eq!(api.gateway.metric("decisions_total", &[("reason", "internal")]), 0.0);
}
