//! Requests that have no answer yet.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Instant;

use portcullis::gate::denial::Reason::Revoked;

use crate::harness::api::assert_refused;
use crate::harness::client::Request;
use crate::harness::token::now;
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, wait_until};
use crate::lasting::{LATE, api, begun, revoke, token};

const EVENTS: &str = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked";

/// What comes late was revoked long before it came: none of it is let through.
#[test]
fn r8_an_answer_that_comes_after_the_revocation_is_not_given() {
    let api = api();
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    api.upstream.on("/s/late", move |exchange| {
        held.lock().expect("no panic").recv_timeout(PATIENCE).ok();
        exchange.answer(200, "X-Upstream: yes\r\n", b"secret")?;
        Ok(Then::Close)
    });
    let mut connection = api.gateway.connect();
    connection.write(&Request::get("/s/late").bearer(&token(&api, "a", 900)).octets());
    wait_until("the upstream is asked", || api.upstream.count_of("/s/late") == 1);
    let start = Instant::now();
    revoke(&api, "a");
    assert_refused(&connection.answer(), Revoked);
    assert!(start.elapsed() < LATE, "{:?}", start.elapsed());
    hold.send(()).ok();
    wait_until("it is counted", || {
        api.gateway.metric("streams_closed_total", &[("reason", "revoked")]) == 1.0
    });
    assert_refused(&connection.send(&Request::get("/s/late").bearer(&token(&api, "a", 900))), Revoked);
    assert_eq!(api.upstream.count_of("/s/late"), 1, "and it is not asked again");
}

/// A request that was let pass has its answer, though its token has expired meanwhile: it was made in time.
#[test]
fn an_answer_that_comes_after_the_tokens_end_is_given() {
    let api = api();
    let end = now() + 2;
    api.upstream.on("/s/late", move |exchange| {
        wait_until("the token has ended", || now() > end);
        exchange.answer(200, "X-Upstream: yes\r\n", b"made in time")
    });
    let response = api.gateway.send(&Request::get("/s/late").bearer(&token(&api, "a", 2)));
    assert_eq!((response.status, response.text().as_str()), (200, "made in time"));
}

/// In the grace of its route a stream hangs by the token still: to hold that out ends it.
#[test]
fn a_stream_in_its_grace_ends_when_its_token_is_held_out() {
    let issuer = crate::harness::issuer::Issuer::start();
    let api = crate::harness::api::Api::with_issuer(issuer, |setup, issuer| {
        let route = "{require: orders:read, streams: {grace: 1h}}";
        setup
            .issuer_with("corp", issuer, "leeway: 0s")
            .yaml_tail(crate::lasting::STORE)
            .route("/s/{*rest}", route)
    });
    let bearer = token(&api, "a", 2);
    let end = now() + 2;
    let mut events = begun(&api, "/s/events", &bearer, EVENTS, "data: first\n\n");
    wait_until("it is in its grace", || now() > end);
    let entry = serde_json::json!({"token": bearer}).to_string();
    let admin = api.gateway.ports.admin.to_string();
    let response = api.gateway.send_admin(&Request::post("/v1/revocations", entry).host(&admin));
    assert_eq!(response.status, 201, "{response:?}");
    assert!(String::from_utf8_lossy(&events.read_to_end()).contains("revoked"));
}
