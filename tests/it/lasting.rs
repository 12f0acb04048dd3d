//! Streams die with their token: at its end, within a second of its revocation, and with the key that verified it
//! (threats R8).

mod downloads;
mod sockets;
mod waiting;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;

use crate::harness::api::Api;
use crate::harness::client::{Connection, Request};
use crate::harness::token::now;
use crate::harness::upstream::Then;
use crate::harness::wait::PATIENCE;
use crate::harness::websocket::echo;

/// Nothing but the news of a change ends a stream in time: the second look is an hour away.
const STORE: &str = "store: {sqlite: portcullis.db}\nrevocation: {recheck_streams: 1h}\n";
const ROUTE: &str = "orders:read";

/// How late a stream may be to end on a machine that stands still now and then. The promise is a second.
const LATE: Duration = Duration::from_secs(10);

fn api() -> Api {
    api_with("")
}

/// `members` are the issuer's.
fn api_with(members: &str) -> Api {
    let issuer = crate::harness::issuer::Issuer::start();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        let members = ["leeway: 0s", members].join(if members.is_empty() { "" } else { ", " });
        let from = "from: [bearer, {query: access_token}]";
        setup
            .issuer_with("corp", issuer, &format!("{members}, {from}"))
            .yaml_tail(STORE)
            .route("/any/{*rest}", "public")
            .route("/s/{*rest}", ROUTE)
    });
    api.upstream.on("/s/echo", echo);
    api.upstream.on("/any/echo", echo);
    api
}

/// A token that ends in so many seconds.
fn token(api: &Api, jti: &str, seconds: i64) -> String {
    let token = api.issuer.token().scope("orders:read").set("jti", json!(jti));
    token
        .set("sub", json!(format!("sub-{jti}")))
        .set("iat", json!(now() - 1))
        .set("exp", json!(now() + seconds))
        .sign()
}

/// Revokes; what the answer says is in force.
#[track_caller]
fn revoke(api: &Api, jti: &str) {
    revoke_at(api.gateway.ports.admin, &api.issuer.iss, jti);
}

#[track_caller]
fn revoke_at(admin: SocketAddr, iss: &str, jti: &str) {
    let entry = json!({"kind": "jti", "issuer": iss, "value": jti});
    let request = Request::post("/v1/revocations", entry.to_string()).host(&admin.to_string());
    let response = Connection::open(admin).unaudited().send(&request);
    assert_eq!(response.status, 201, "{response:?}");
}

/// An answer that has begun and does not end: `first` has come of its body.
fn begun(api: &Api, path: &str, token: &str, head: &str, first: &str) -> Connection {
    let head = format!("HTTP/1.1 200 OK\r\nX-Upstream: yes\r\n{head}\r\n\r\n");
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    // Held as long as the process: the upstream never ends it.
    std::mem::forget(hold);
    let body = first.to_owned();
    api.upstream.on(path, move |exchange| {
        let body =
            if head.contains("chunked") { format!("{:x}\r\n{body}\r\n", body.len()) } else { body.clone() };
        exchange.write(format!("{head}{body}").as_bytes())?;
        held.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
        Ok(Then::Close)
    });
    let mut connection = api.gateway.connect();
    let mut request = Request::get(path);
    if !token.is_empty() {
        request = request.bearer(token);
    }
    connection.write(&request.octets());
    connection.read_until(first);
    connection
}
