//! `max_requests`: how many requests an upstream has at once, counted exactly however each of them ends (threats U5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis::gate::denial::Reason::{Overloaded, RequestTimeout, UpstreamFailed, UpstreamTimeout};

use super::troubled::Troubled;
use super::with;
use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::{Connection, Request};
use crate::harness::fault_proxy::plan::{Fault, Phase, Plan};
use crate::harness::gateway::Gateway;
use crate::harness::h2;
use crate::harness::h2::client::Client;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::wait_until;
use crate::harness::websocket::{Frame, WebSocket, echo, handshake};

/// How many the upstream `api` has, as the gateway counts them.
fn count(gateway: &Gateway) -> f64 {
    gateway.metric("upstream_requests_in_flight", &[("upstream", "api")])
}

/// Before an upstream that has so many at most, and never answers `/any/hang`.
fn at_most(most: usize) -> Api {
    let api = with(&format!("max_requests: {most}, response_timeout: 20s"));
    api.upstream.on("/any/hang", |exchange| {
        exchange.body()?;
        while !exchange.read_some()?.is_empty() {}
        Ok(Then::Close)
    });
    api
}

/// A client that waits, and whose request counts.
fn waiting(api: &Api) -> Connection {
    let (before, mut connection) = (count(&api.gateway), api.gateway.connect());
    connection.write(&Request::get("/any/hang").octets());
    wait_until("it is counted", || count(&api.gateway) == before + 1.0);
    connection
}

/// There is room for one more, and none is taken.
#[track_caller]
fn is_free(gateway: &Gateway, why: &str) {
    wait_until(why, || count(gateway) == 0.0);
    assert_allowed(&gateway.send(&Request::get("/health")));
    // A client may have the last octet of an answer before its place is given back.
    wait_until(why, || count(gateway) == 0.0);
}

#[test]
fn u5_what_an_upstream_has_no_room_for_is_503_at_once() {
    let other = Upstream::start();
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let value = format!("{{peers: {:?}, max_requests: 2, response_timeout: 20s}}", upstream.url());
    let setup = usual(&upstream).upstream_as("api", &value).upstream_as("other", &other.url()).no_routes();
    let gateway = setup
        .route("/any/{*rest}", "{require: public, upstream: api}")
        .route("/other", "{require: public, upstream: other}")
        .start();
    let api = Api { gateway, upstream, issuer };
    api.upstream.on("/any/hang", |exchange| {
        while !exchange.read_some()?.is_empty() {}
        Ok(Then::Close)
    });
    let first = waiting(&api);
    let second = waiting(&api);
    let mut third = api.gateway.connect();
    for _ in 0..20 {
        let refused = third.send(&Request::get("/any/x"));
        assert_refused(&refused, Overloaded);
        assert_eq!((refused.header("retry-after"), refused.closes()), (Some("1"), false));
    }
    let mut posting = api.gateway.connect();
    posting.write(b"POST /any/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n\r\n");
    assert_refused(&posting.answer_to("POST"), Overloaded);
    assert_refused(&Client::connect(api.gateway.ports.public).send(&Request::get("/any/x")), Overloaded);
    // Each is counted as what it was, and the others' room is their own.
    let refused = [("route", "/any/{*rest}"), ("status", "503")];
    assert_eq!(api.gateway.metric("http_requests_total", &refused), 22.0);
    api.gateway.wait_for_log(&["\"reason\":\"overloaded\"", "max_requests"]);
    assert_allowed(&third.send(&Request::get("/other")));
    assert_eq!((api.upstream.count(), count(&api.gateway)), (2, 2.0));
    drop(first);
    wait_until("one has left", || count(&api.gateway) == 1.0);
    assert_allowed(&third.send(&Request::get("/any/x")));
    drop(second);
    wait_until("both have left", || count(&api.gateway) == 0.0);
}

#[test]
fn u5_a_client_that_leaves_gives_its_place_back() {
    let api = at_most(1);
    let begun = |octets: &[u8]| {
        let mut connection = api.gateway.connect();
        connection.write(octets);
        wait_until("it is counted", || count(&api.gateway) == 1.0);
        assert_refused(&api.gateway.send(&Request::get("/health")), Overloaded);
        connection
    };
    let get = Request::get("/any/hang").octets();
    let post = b"POST /any/hang HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n\r\nsome of it";
    for (request, why) in [(&get[..], "a request"), (&post[..], "half a request")] {
        drop(begun(request));
        is_free(&api.gateway, why);
        begun(request).reset();
        is_free(&api.gateway, why);
    }
    // In the middle of an answer.
    api.upstream.on("/any/endless", |exchange| {
        exchange.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        while exchange.write(b"5\r\nevent\r\n").is_ok() {
            crate::harness::wait::pause();
        }
        Ok(Then::Close)
    });
    let mut reading = begun(&Request::get("/any/endless").octets());
    reading.read_until("event");
    drop(reading);
    is_free(&api.gateway, "half an answer");
    // A stream of HTTP/2.
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.open(&Request::get("/any/hang"), true).expect("a stream");
    wait_until("it is counted", || count(&api.gateway) == 1.0);
    stream.reset();
    is_free(&api.gateway, "a stream that was reset");
    let stream = client.open(&Request::get("/any/hang"), true).expect("a stream");
    wait_until("it is counted", || count(&api.gateway) == 1.0);
    drop(stream);
    drop(client);
    is_free(&api.gateway, "a connection of HTTP/2 that ended");
}

#[test]
fn u5_an_upstream_that_fails_gives_the_place_back() {
    let members = "max_requests: 1, response_timeout: 300ms, connect_timeout: 1s";
    let troubled = Troubled::with(members, |setup| setup.limits("idle_time: 300ms"));
    let gateway = &troubled.gateway;
    for (fault, reason) in
        [(Fault::Reset, UpstreamFailed), (Fault::Close, UpstreamFailed), (Fault::Hang, UpstreamTimeout)]
    {
        for phase in [Phase::Body, Phase::StatusLine, Phase::MidHead] {
            troubled.proxy.always(&Plan::new().at(phase, fault.clone()));
            for request in [Request::get("/any/x"), Request::post("/any/x", "body")] {
                assert_refused(&gateway.send(&request), reason);
            }
        }
    }
    troubled.proxy.always(&Plan::new());
    is_free(gateway, "a failed upstream");
    // A body that comes too slowly.
    let mut slow = gateway.connect();
    slow.write(b"POST /any/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n\r\nsome of it");
    assert_refused(&slow.answer_to("POST"), RequestTimeout);
    is_free(gateway, "a slow client");
    // An answer that is broken off.
    troubled.proxy.always(&Plan::new().at(Phase::Answer, Fault::Reset));
    gateway.connect().write(&Request::get("/any/x").octets());
    wait_until("it is over", || count(gateway) == 0.0);
    troubled.proxy.always(&Plan::new());
    is_free(gateway, "half an answer");
}

/// What is tried again is one request, at one more peer or on one more connection.
#[test]
fn u5_what_is_sent_again_counts_once() {
    let upstream = Upstream::start();
    // Nothing listens on the first two.
    let peers = format!(
        "{{peers: ['http://127.0.0.1:1', 'http://127.0.0.2:1', {:?}], max_requests: 1}}",
        upstream.url()
    );
    // One worker: its clients have an answer's last octet when it is done with the request, and not before.
    let gateway = Gateway::new().workers(1).upstream_as("api", &peers).route("/health", "public").start();
    for _ in 0..6 {
        assert_allowed(&gateway.send(&Request::get("/health")));
    }
    wait_until("it has none", || count(&gateway) == 0.0);
    // On one connection, where the next request comes after the last.
    let api = at_most(1);
    let mut connection = api.gateway.connect();
    for _ in 0..5 {
        assert_allowed(&connection.send(&Request::get("/any/x")));
        api.upstream.cut_idle_connections();
    }
    wait_until("it has none", || count(&api.gateway) == 0.0);
}

#[test]
fn u5_a_websocket_counts_as_long_as_it_is_open() {
    let api = at_most(1);
    api.upstream.on("/any/echo", echo);
    api.upstream.on("/any/short", |exchange| {
        let mut served = crate::harness::websocket::Served::accept(exchange)?;
        served.receive();
        Ok(served.reset())
    });
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/echo"));
    socket.echoes("hello");
    assert_eq!(count(&api.gateway), 1.0);
    assert_refused(&api.gateway.send(&Request::get("/health")), Overloaded);
    assert_refused(&api.gateway.send(&handshake("/any/echo")), Overloaded);
    socket.echoes("still here");
    drop(socket);
    is_free(&api.gateway, "a WebSocket that its client left");
    let mut socket = WebSocket::open(&api.gateway, &handshake("/any/short"));
    assert_eq!(count(&api.gateway), 1.0);
    socket.send(&Frame::close(1000));
    is_free(&api.gateway, "a WebSocket that its upstream left");
}

#[test]
fn u5_requests_of_http_2_upstream_count_too() {
    let upstream = h2::upstream::Upstream::start();
    upstream.on("/any/hang", |mut exchange| Box::pin(async move { exchange.given_up().await }));
    let value = format!("{{peers: {:?}, max_requests: 1}}", upstream.url());
    let gateway = Gateway::new().upstream_as("api", &value).route("/any/{*rest}", "public").start();
    let mut waiting = gateway.connect();
    waiting.write(&Request::get("/any/hang").octets());
    wait_until("it is counted", || count(&gateway) == 1.0);
    assert_refused(&gateway.send(&Request::get("/any/x")), Overloaded);
    drop(waiting);
    wait_until("it has left", || count(&gateway) == 0.0);
    assert_allowed(&gateway.send(&Request::get("/any/x")));
}

#[test]
fn k7_a_reload_changes_max_requests_and_keeps_the_count() {
    let api = at_most(1);
    let set = |from: usize, to: usize| {
        api.gateway
            .rewrite(|yaml| yaml.replace(&format!("max_requests: {from}"), &format!("max_requests: {to}")));
        assert_eq!(api.gateway.reload().status, 200);
    };
    let refused = || assert_refused(&api.gateway.send(&Request::get("/health")), Overloaded);
    let first = waiting(&api);
    refused();
    set(1, 2);
    let second = waiting(&api);
    refused();
    set(2, 1);
    refused();
    drop(first);
    wait_until("one is left", || count(&api.gateway) == 1.0);
    refused();
    // A reload that says the same changes nothing.
    assert_eq!(api.gateway.reload().status, 200);
    refused();
    drop(second);
    is_free(&api.gateway, "the last");
}

/// Many at once, of every worker: never more than may be, and none left over.
#[test]
fn u5_the_count_is_exact_under_load() {
    const MOST: usize = 3;
    let api = with(&format!("max_requests: {MOST}"));
    let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (counted, peak) = (Arc::clone(&now), Arc::clone(&most));
    api.upstream.on("/any/x", move |exchange| {
        exchange.body()?;
        peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::yield_now();
        counted.fetch_sub(1, Ordering::SeqCst);
        exchange.answer_read(200, "X-Upstream: yes\r\n", b"body")
    });
    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut connection = api.gateway.connect();
                for number in 0..200 {
                    let request = match number % 2 {
                        0 => Request::get("/any/x"),
                        _ => Request::post("/any/x", "body"),
                    };
                    match connection.send(&request).status {
                        200 => served.fetch_add(1, Ordering::SeqCst),
                        503 => refused.fetch_add(1, Ordering::SeqCst),
                        status => panic!("{status}"),
                    };
                }
            });
        }
    });
    let [served, refused] = [served, refused].map(AtomicUsize::into_inner);
    assert!(served > 0 && refused > 0 && served + refused == 3200, "{served} served, {refused} refused");
    assert!(most.load(Ordering::SeqCst) <= MOST, "{most:?} at once");
    is_free(&api.gateway, "all of them");
}
