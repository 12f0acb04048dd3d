//! Families, closed labels, and series that leave with what they name.

use super::*;
use crate::config::address::Address;
use crate::gate::denial::Reason;
use crate::metrics::route::Decision;
use crate::metrics::stream::StreamEnd;
use crate::revocation::Kind;

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[track_caller]
fn check(metrics: &Metrics, line: &str) {
    let text = metrics.render(1_000);
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

/// Feeds every family once.
fn fed() -> Metrics {
    let metrics = Metrics::new();
    let route = metrics.route("GET /orders");
    route.request("GET", 200, 0.003);
    route.decision("corp", Decision::Refuse, Some(Reason::Expired));
    route.operation_warned("depth");
    metrics.upstream("orders").observe(0.2);
    metrics.issuer("corp").key_use(Some("k1"));
    metrics.verify(Algorithm::ES256).observe(0.000_06);
    let cache = metrics.cache();
    cache.hit();
    cache.miss();
    cache.evicted(2);
    cache.entries_changed(3);
    let connections = metrics.connections(&Address::Ip(([127, 0, 0, 1], 8080).into()));
    connections.opened();
    connections.unserved(connection::Unserved::ProxyHeader);
    metrics.jwks_fetch("corp", "ok");
    metrics.jwks_state("corp", 2, Some(940));
    metrics.revocations().entries(Kind::Jti, 5);
    metrics.config_reload(true, 7);
    metrics.tokens_issued("POST /token", "issued");
    metrics.panicked();
    metrics.streams().closed(StreamEnd::Drained);
    metrics
}

#[test]
fn every_family_is_fed_and_none_is_unlisted() {
    let text = fed().render(1_000);
    let found: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(found, FAMILIES);
}

#[test]
fn values_are_what_was_fed() {
    let metrics = fed();
    check(&metrics, r#"portcullis_http_requests_total{method="GET",route="GET /orders",status="200"} 1"#);
    check(
        &metrics,
        r#"portcullis_decisions_total{decision="refuse",issuer="corp",reason="expired",route="GET /orders"} 1"#,
    );
    check(&metrics, r#"portcullis_http_request_duration_seconds_bucket{route="GET /orders",le="0.005"} 1"#);
    check(&metrics, r#"portcullis_jwks_age_seconds{issuer="corp"} 60"#);
    check(&metrics, r#"portcullis_jwks_last_success_timestamp_seconds{issuer="corp"} 940"#);
    check(&metrics, r#"portcullis_key_uses_total{issuer="corp",kid="k1"} 1"#);
    check(&metrics, r#"portcullis_tokens_issued_total{endpoint="POST /token",result="issued"} 1"#);
    check(&metrics, r#"portcullis_graphql_warnings_total{route="GET /orders",warning="depth"} 1"#);
    check(&metrics, r#"portcullis_streams_closed_total{reason="drained"} 1"#);
    check(&metrics, r#"portcullis_streams_closed_total{reason="client"} 0"#);
    check(&metrics, r#"portcullis_connections{listener="127.0.0.1:8080"} 1"#);
    let unserved = |reason: &str, count: u64| {
        let line = format!(
            "portcullis_connections_unserved_total{{listener=\"127.0.0.1:8080\",reason=\"{reason}\"}} {count}"
        );
        check(&metrics, &line);
    };
    unserved("proxy_header", 1);
    unserved("connections", 0);
    unserved("connections_per_address", 0);
    check(&metrics, r#"portcullis_revocation_entries{kind="jti"} 5"#);
    check(&metrics, "portcullis_config_generation 7");
    check(&metrics, "portcullis_verified_cache_evictions_total 2");
    check(&metrics, "portcullis_verified_cache_entries 3");
}

#[test]
fn labels_are_a_closed_set_whatever_a_client_sends() {
    let metrics = fed();
    let route = metrics.route(label::NONE);
    route.request("BREW", 404, 0.0);
    let before = series(&metrics.render(0));
    for number in 0..10_000 {
        route.request(&format!("M{number}"), 404, 0.0);
    }
    assert_eq!(series(&metrics.render(0)), before);
    check(&metrics, r#"portcullis_http_requests_total{method="other",route="none",status="404"} 10001"#);
}

#[test]
fn counts_stay_right_past_the_remembered_children() {
    let metrics = Metrics::new();
    let route = metrics.route("r");
    for status in 0..1_000 {
        route.request("GET", status, 0.0);
        route.request("GET", status, 0.0);
    }
    check(&metrics, r#"portcullis_http_requests_total{method="GET",route="r",status="100"} 2"#);
    check(&metrics, r#"portcullis_http_requests_total{method="GET",route="r",status="599"} 2"#);
    check(&metrics, r#"portcullis_http_requests_total{method="GET",route="r",status="other"} 1000"#);
}

#[test]
fn a_counter_shared_by_threads_loses_nothing() {
    let metrics = Metrics::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let route = metrics.route("r");
            scope.spawn(move || (0..500_u16).for_each(|turn| route.request("GET", 200 + turn % 5, 0.0)));
        }
    });
    for status in 200..205 {
        let line =
            format!(r#"portcullis_http_requests_total{{method="GET",route="r",status="{status}"}} 400"#);
        check(&metrics, &line);
    }
}

#[test]
fn what_leaves_the_configuration_leaves_no_series() {
    let metrics = fed();
    metrics.route(label::NONE).request("GET", 404, 0.0);
    metrics.route("kept").decision("corp", Decision::Allow, None);
    metrics.retain(&["kept"], &[], &[]);
    let text = metrics.render(1_000);
    for gone in ["GET /orders", "corp", "upstream=\""] {
        assert!(!text.contains(gone), "{gone} is still in\n{text}");
    }
    assert!(text.contains(r#"route="none""#), "{text}");
    metrics.route("GET /orders").request("GET", 200, 0.0);
    check(&metrics, r#"portcullis_http_requests_total{method="GET",route="GET /orders",status="200"} 1"#);
}

#[test]
fn a_rotated_key_leaves_no_series() {
    let metrics = Metrics::new();
    let issuer = metrics.issuer("corp");
    issuer.key_use(Some("old"));
    issuer.key_use(Some("new"));
    issuer.key_use(None);
    metrics.key_ids("corp", ["new"]);
    let text = metrics.render(0);
    assert!(!text.contains(r#"kid="old""#), "{text}");
    check(&metrics, r#"portcullis_key_uses_total{issuer="corp",kid="new"} 1"#);
    check(&metrics, r#"portcullis_key_uses_total{issuer="corp",kid="none"} 1"#);
}

#[test]
fn a_key_id_is_bounded_and_visible() {
    assert_eq!(label::key_id("a\nb\u{2028}c\""), "a_b_c\"");
    assert_eq!(label::key_id(&"k".repeat(1_000)).len(), 64);
    assert_eq!(label::key_id(""), "none");
}
