//! Hostile tokens over HTTP, each beside a good one: signatures and forms (threats 2A), time, audience and place
//! (2B). The upstream hears of none of them.

mod form;
mod meaning;
mod signature;

use portcullis::gate::denial::Reason;

use crate::harness::api::{Api, assert_refused};
use crate::harness::client::Request;

/// Sends a hostile token and, on the same connection, a good one.
#[track_caller]
fn refuse(api: &Api, what: &str, token: &str, reasons: &[Reason]) {
    let before = api.upstream.count();
    let mut connection = api.gateway.connect();
    let response = connection.send(&Request::get("/orders/1").bearer(token));
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    assert!(codes.contains(&response.reason().as_str()), "{what}: not one of {codes:?}: {response:?}");
    assert_eq!(api.upstream.count(), before, "{what}: the upstream heard of it");
    if response.closes() {
        connection = api.gateway.connect();
    }
    let good = connection.send(&Request::get("/orders/1").bearer(&api.reader()));
    assert_eq!(good.status, 200, "{what}: the good token after it: {good:?}");
}

/// The same for values that may not even be carried by a header line.
#[track_caller]
fn refuse_raw(api: &Api, what: &str, authorization: &[u8], reasons: &[Reason]) {
    let before = api.upstream.count();
    let mut connection = api.gateway.connect();
    let start = b"GET /orders/1 HTTP/1.1\r\nHost: api.test\r\nAuthorization: ";
    connection.write(&[start.as_slice(), authorization, b"\r\n\r\n"].concat());
    let response = connection.answer();
    match reasons {
        [reason] => assert_refused(&response, *reason),
        _ => {
            let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
            assert!(
                codes.contains(&response.reason().as_str()),
                "{what}: not one of {codes:?}: {response:?}"
            );
        }
    }
    assert_eq!(api.upstream.count(), before, "{what}: the upstream heard of it");
}
