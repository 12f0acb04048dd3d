//! The metrics are true, their labels come from closed sets, and no client makes them grow (D9, O10).

use std::collections::BTreeSet;

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::harness::api::Api;
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::keys::random_name;
use crate::harness::metrics::Scrape;
use crate::harness::wait::wait_until;

fn api() -> Api {
    let issuer = Issuer::start();
    let revoked = json!([{"kind": "jti", "issuer": issuer.iss, "value": "gone"}]).to_string();
    Api::with_issuer(issuer, |setup, issuer| {
        let setup = setup.issuer_fetched("corp", issuer, "").file("revoked.yaml", &revoked).quiet();
        let setup = setup.yaml_tail("revocation: {file: revoked.yaml}");
        setup
            .route("GET /me", "{name: whoami, require: authenticated}")
            .route("GET /trial", "{require: a, enforce: shadow}")
    })
}

/// One request of every kind of outcome; how many that were.
fn one_of_each(api: &Api) -> u32 {
    let requests = [
        Request::get("/health"),
        Request::get("/me").bearer(&api.issuer.mint("")),
        Request::get("/trial"),
        Request::get("/orders/1"),
        Request::get("/orders/1").bearer(&api.reader()),
        Request::get("/orders/1").bearer(&api.issuer.mint("other")),
        Request::get("/orders/1").bearer("nonsense"),
        Request::get("/orders/1").bearer(&api.issuer.token().set("jti", json!("gone")).sign()),
        Request::get("/nowhere"),
        Request::post("/me", ""),
        Request::get("/health%2f"),
        Request::get("/health").header("Content-Length", "+1"),
        Request::get("/health").header("X", &"a".repeat(20_000)),
        Request::new("TRACE", "/health"),
    ];
    for request in &requests {
        api.gateway.send(request);
    }
    u32::try_from(requests.len()).expect("a few")
}

#[test]
fn o10_every_request_is_counted_once() {
    let api = api();
    let sent = f64::from(one_of_each(&api) + one_of_each(&api));
    wait_until("all are counted", || {
        let now = api.gateway.metrics();
        now.sum("decisions_total", &[]) >= sent && now.sum("http_requests_total", &[]) >= sent
    });
    let metrics = api.gateway.metrics();
    assert_eq!(metrics.sum("decisions_total", &[]), sent, "one decision a request");
    assert_eq!(metrics.sum("http_requests_total", &[]), sent);
    assert_eq!(metrics.sum("http_request_duration_seconds_count", &[]), sent);
    let counted = |decision: &str| metrics.sum("decisions_total", &[("decision", decision)]);
    assert_eq!((counted("allow"), counted("shadow_refuse"), counted("refuse")), (6.0, 2.0, sent - 8.0));
    let forwarded = metrics.sum("upstream_duration_seconds_count", &[("upstream", "api")]);
    assert_eq!(forwarded, 8.0);
    assert_eq!(forwarded as usize, api.upstream.count());
    for (route, count) in [("GET /orders/{id}", 10.0), ("GET /trial", 2.0)] {
        assert_eq!(metrics.sum("decisions_total", &[("route", route)]), count, "{route}");
    }
    assert_eq!(metrics.sum("decisions_total", &[("route", "whoami"), ("decision", "allow")]), 2.0);
    // What an upstream's failure makes of an allowed request stands in the status.
    api.upstream.go_down();
    api.gateway.send(&Request::get("/health"));
    wait_until("the failure is counted", || {
        api.gateway.metric("http_requests_total", &[("status", "502")]) == 1.0
    });
}

/// Each family, the labels it has, and nothing else.
const FAMILIES: [(&str, &[&str]); 23] = [
    ("http_requests_total", &["method", "route", "status"]),
    ("http_request_duration_seconds_count", &["route"]),
    ("upstream_duration_seconds_count", &["upstream"]),
    ("decisions_total", &["decision", "issuer", "reason", "route"]),
    ("token_verify_seconds_count", &["algorithm"]),
    ("verified_cache_hits_total", &[]),
    ("verified_cache_misses_total", &[]),
    ("verified_cache_evictions_total", &[]),
    ("verified_cache_entries", &[]),
    ("jwks_keys", &["issuer"]),
    ("jwks_age_seconds", &["issuer"]),
    ("jwks_last_success_timestamp_seconds", &["issuer"]),
    ("jwks_fetches_total", &["issuer", "result"]),
    ("key_uses_total", &["issuer", "kid"]),
    ("revocation_entries", &["kind"]),
    ("revocation_apply_lag_seconds_count", &[]),
    ("config_reloads_total", &["result"]),
    ("config_last_reload_success", &[]),
    ("config_generation", &[]),
    ("connections", &["listener"]),
    ("streams_closed_total", &["reason"]),
    ("http_request_duration_seconds_bucket", &["le", "route"]),
    ("http_request_duration_seconds_sum", &["route"]),
];

#[test]
fn every_family_is_there_with_its_labels() {
    let api = api();
    one_of_each(&api);
    api.gateway.reload();
    wait_until("requests are counted", || api.gateway.metric("http_requests_total", &[]) > 10.0);
    let metrics = api.gateway.metrics();
    for (family, labels) in FAMILIES {
        assert!(metrics.has(family), "{family} is missing");
        assert_eq!(metrics.labels(family), labels.iter().copied().collect::<BTreeSet<_>>(), "{family}");
    }
    assert!(metrics.has("build_info"));
    assert_eq!(metrics.sum("jwks_keys", &[("issuer", "corp")]), 1.0);
    assert_eq!(metrics.sum("revocation_entries", &[("kind", "jti")]), 1.0);
    assert!(metrics.text.contains("# TYPE portcullis_decisions_total counter"), "{}", metrics.text);
    closed(&metrics);
}

/// Labels come from closed sets.
#[track_caller]
fn closed(metrics: &Scrape) {
    let reasons: BTreeSet<&str> = Reason::ALL.into_iter().map(Reason::code).collect();
    for reason in metrics.values("decisions_total", "reason") {
        assert!(reasons.contains(reason) || matches!(reason, "" | "none" | "ok"), "reason {reason:?}");
    }
    for decision in metrics.values("decisions_total", "decision") {
        assert!(matches!(decision, "allow" | "refuse" | "shadow_refuse"), "decision {decision:?}");
    }
    for issuer in metrics.values("decisions_total", "issuer") {
        assert!(matches!(issuer, "corp" | "none"), "issuer {issuer:?}");
    }
    for family in ["decisions_total", "http_requests_total", "http_request_duration_seconds_count"] {
        for route in metrics.values(family, "route") {
            let known = ["GET /orders/{id}", "POST,PUT /orders", "whoami", "/health", "GET /trial", "none"];
            assert!(known.contains(&route), "{family}: route {route:?}");
        }
    }
    assert!(metrics.values("http_requests_total", "method").len() <= 10, "methods");
    for status in metrics.values("http_requests_total", "status") {
        assert!(status.len() == 3 && status.bytes().all(|digit| digit.is_ascii_digit()), "status {status:?}");
    }
    assert!(metrics.values("key_uses_total", "kid").iter().all(|kid| *kid == "k1"), "kids");
}

/// D9: random paths, hosts, methods, agents, kids, issuers and statuses make no series.
#[test]
fn d9_no_client_makes_a_series() {
    let api = api();
    let hostile = |api: &Api| {
        let name = random_name();
        let token = api.issuer.token().header("kid", json!(name));
        vec![
            Request::get(&format!("/{name}")),
            Request::get(&format!("/orders/{name}?{name}={name}")).bearer(&api.reader()),
            Request::get("/health").host(&format!("{name}.test")).header("User-Agent", &name),
            Request::new(&name.to_uppercase().replace(|c: char| c.is_ascii_digit(), "X"), "/health"),
            Request::get("/orders/1").bearer(&token.with_signature(&[1; 64])),
            Request::get("/orders/1")
                .bearer(&api.issuer.token().set("iss", json!(format!("https://{name}"))).sign()),
            Request::get("/me").bearer(&api.issuer.token().set("sub", json!(name)).sign()),
            Request::get("/health").header(&format!("X-{name}"), &name),
        ]
    };
    let rush = |rounds: usize| {
        let mut connection = api.gateway.connect();
        for _ in 0..rounds {
            for request in hostile(&api) {
                let response = connection.send(&request);
                if response.closes() {
                    connection = api.gateway.connect();
                }
            }
        }
    };
    rush(20);
    one_of_each(&api);
    let before = api.gateway.metrics();
    rush(200);
    let after = api.gateway.metrics();
    let series = |scrape: &Scrape| -> BTreeSet<String> {
        scrape.samples.iter().map(|sample| format!("{} {:?}", sample.name, sample.labels)).collect()
    };
    let new: Vec<String> = series(&after).difference(&series(&before)).cloned().collect();
    assert!(new.is_empty(), "1,600 requests made series: {new:?}");
    assert!(after.text.len() < 256 << 10, "{} octets of metrics", after.text.len());
    closed(&after);
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let api = Api::start();
    let open = || api.gateway.metric("connections", &[("listener", &api.gateway.ports.public.to_string())]);
    let connections: Vec<_> = (0..7)
        .map(|_| {
            let mut connection = api.gateway.connect();
            connection.send(&Request::get("/health"));
            connection
        })
        .collect();
    wait_until("seven are open", || open() == 7.0);
    drop(connections);
    wait_until("none is open", || open() == 0.0);
}
