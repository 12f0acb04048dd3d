//! Peers that speak HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::config::defaults::HEADERS_MAX;
use portcullis::gate::denial::Reason;

use crate::harness;
use crate::harness::api::{assert_allowed, assert_refused};
use crate::harness::certificates::Authority;
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::h2::client::Client;
use crate::harness::h2::upstream::Upstream;
use crate::harness::tls::TlsFront;
use crate::harness::wait::wait_until;
use crate::harness::websocket::{WebSocket, handshake};

fn before(upstream: &Upstream) -> Gateway {
    Gateway::new().workers(1).upstream_as("api", &upstream.url()).route("/any/{*rest}", "public").start()
}

#[test]
fn requests_share_a_connection() {
    let upstream = Upstream::start();
    let gateway = before(&upstream);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut connection = gateway.connect();
                for _ in 0..10 {
                    assert_allowed(&connection.send(&Request::get("/any/x")));
                }
            });
        }
    });
    assert_eq!((upstream.count(), upstream.connections()), (200, 1));
}

#[test]
fn a_peer_that_takes_few_streams_gets_few_and_more_connections() {
    let upstream = Upstream::start_with(h2::server::Builder::new().max_concurrent_streams(2));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&now), Arc::clone(&most));
    upstream.on("/any/slow", move |mut exchange| {
        let (now, most) = (Arc::clone(&counted), Arc::clone(&peak));
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Until all have been waiting that can be.
            exchange.body().await?;
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            exchange.answer(200, &[], b"slow").await
        })
    });
    let gateway = before(&upstream);
    let client = Client::connect(gateway.ports.public);
    let mut streams: Vec<_> =
        (0..30).map(|_| client.open(&Request::get("/any/slow"), true).expect("a stream")).collect();
    for stream in &mut streams {
        assert_eq!(stream.answer().expect("an answer").text(), "slow");
    }
    assert_eq!(upstream.count(), 30);
    assert!(upstream.connections() <= 9, "{} connections", upstream.connections());
    assert!(most.load(Ordering::SeqCst) <= 18, "{most:?} at once");
}

#[test]
fn u1_what_a_peer_refused_unseen_is_sent_again_also_a_post() {
    let upstream = Upstream::start();
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    upstream.on("/any/refused-once", move |mut exchange| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if first {
                exchange.reset(h2::Reason::REFUSED_STREAM);
                return Ok(());
            }
            exchange.answer(200, &[], b"served").await
        })
    });
    upstream.on("/any/refused", |mut exchange| {
        Box::pin(async move {
            exchange.reset(h2::Reason::REFUSED_STREAM);
            Ok(())
        })
    });
    // It may have acted: that is not for the gateway to try again.
    upstream.on("/any/broken", |mut exchange| {
        Box::pin(async move {
            exchange.body().await?;
            exchange.reset(h2::Reason::INTERNAL_ERROR);
            Ok(())
        })
    });
    let gateway = before(&upstream);
    assert_eq!(gateway.send(&Request::post("/any/refused-once", "body")).text(), "served");
    assert_eq!((upstream.count(), upstream.last().body), (2, b"body".to_vec()));
    assert_refused(&gateway.send(&Request::post("/any/refused", "body")), Reason::UpstreamFailed);
    assert_eq!(upstream.count(), 4, "sent again once");
    assert_refused(&gateway.send(&Request::post("/any/broken", "body")), Reason::UpstreamFailed);
    assert_eq!(upstream.count(), 5, "sent once");
}

/// As many lines, and as long ones, as `limits` can be set to let in: with ours they reach a peer of HTTP/2 too.
#[test]
fn what_may_come_in_goes_out_whole() {
    const LINES: u64 = HEADERS_MAX;
    let upstream = Upstream::start();
    let setup = Gateway::new().upstream_as("api", &upstream.url()).route("/any/{*rest}", "public");
    let limits = format!("headers: {LINES}, header_line: 1MiB, header_total: 1MiB");
    let gateway = setup.limits(&limits).start();
    let value = "a".repeat(1500);
    // `Host` is one of them.
    let with = |request: Request, line: u64| request.header(&format!("x-{line}"), &value);
    let request = (1..LINES).fold(Request::get("/any/x"), with);
    assert_allowed(&gateway.send(&request));
    let head = upstream.last().head;
    assert!((1..LINES).all(|line| head.header(&format!("x-{line}")) == Some(&value)), "some are missing");
    assert_refused(&gateway.send(&with(request, LINES)), Reason::HeadersTooLarge);
    let long = Request::get("/any/x").header("x-long", &"a".repeat(500_000));
    assert_allowed(&gateway.send(&long));
    assert_eq!(upstream.last().head.header("x-long").map(str::len), Some(500_000));
}

#[test]
fn h11_an_answer_with_white_space_at_the_edges_of_a_value_is_none() {
    let upstream = Upstream::start();
    upstream.on("/any/head", |mut exchange| {
        Box::pin(async move { exchange.answer(200, &[("x-own", " a")], b"body").await })
    });
    upstream.on("/any/trailers", |mut exchange| {
        Box::pin(async move {
            exchange.head(200, &[], false)?;
            exchange.send(b"body", false).await?;
            exchange.trail(&[("x-own", "a\t")])
        })
    });
    let gateway = before(&upstream);
    assert_refused(&gateway.send(&Request::get("/any/head")), Reason::UpstreamFailed);
    let client = Client::connect(gateway.ports.public);
    let error = client.try_send(&Request::get("/any/trailers")).expect_err("no clean end");
    assert!(error.is_reset() && error.is_remote(), "{error}");
    assert_allowed(&client.send(&Request::get("/any/x")));
}

#[test]
fn a_peer_that_says_goodbye_loses_nothing() {
    let upstream = Upstream::start();
    let gateway = before(&upstream);
    let client = Client::connect(gateway.ports.public);
    let goodbye = Arc::new(tokio::sync::Notify::new());
    let wait = Arc::clone(&goodbye);
    upstream.on("/any/slow", move |mut exchange| {
        let wait = Arc::clone(&wait);
        Box::pin(async move {
            wait.notified().await;
            exchange.answer(200, &[], b"slow").await
        })
    });
    let mut slow = client.open(&Request::get("/any/slow"), true).expect("a stream");
    wait_until("the request is upstream", || upstream.count() == 1);
    upstream.say_goodbye();
    for _ in 0..50 {
        assert_allowed(&client.send(&Request::post("/any/x", "body")));
    }
    goodbye.notify_one();
    assert_eq!(slow.answer().expect("an answer").text(), "slow");
    assert_eq!(upstream.connections(), 2);
    wait_until("the connection that was left is closed", || upstream.open() == 1);
}

#[test]
fn a_peer_that_does_not_speak_http_2_is_a_failed_one() {
    let upstream = harness::upstream::Upstream::start();
    let url = upstream.url().replace("http://", "h2c://");
    let gateway = Gateway::new().upstream_as("api", &url).route("/any/{*rest}", "public").start();
    let refused = gateway.send(&Request::get("/any/x"));
    assert!(matches!(refused.reason().as_str(), "upstream_failed" | "upstream_timeout"), "{refused:?}");
}

#[test]
fn health_is_asked_in_http_2() {
    let upstream = Upstream::start();
    let url = upstream.url();
    let peers =
        format!("{{peers: [{url:?}, 'h2c://127.0.0.1:1'], health: {{path: /healthz, interval: 200ms}}}}");
    let gateway = Gateway::new().upstream_as("api", &peers).route("/any/{*rest}", "public").start();
    wait_until("health was asked", || upstream.requests().iter().any(|seen| seen.head.path() == "/healthz"));
    wait_until("the peer is known to be well, and the other not", || {
        (0..4).all(|_| gateway.send(&Request::get("/any/x")).status == 200)
    });
}

/// Over TLS the peer chooses, and is verified either way.
#[test]
fn a_peer_over_tls_speaks_what_it_chose() {
    let authority = Authority::new("upstreams");
    let (one, two) = (harness::upstream::Upstream::start(), Upstream::start());
    let shown = authority.server(&["localhost"]);
    let both = TlsFront::choosing(&["h2", "http/1.1"], &shown, None, two.address);
    let old = TlsFront::choosing(&["http/1.1"], &shown, None, one.address);
    let strict = TlsFront::choosing(&["h2"], &shown, None, two.address);
    let other = TlsFront::choosing(&["h2"], &authority.server(&["other.test"]), None, two.address);
    let mut setup = Gateway::new().workers(1).file("ca.pem", authority.pem());
    for (name, front) in [("both", &both), ("old", &old), ("strict", &strict), ("other", &other)] {
        let peer = format!("https://localhost:{}", front.address.port());
        setup = setup
            .upstream_as(name, &format!("{{peers: {peer:?}, tls: {{ca: ca.pem}}}}"))
            .route(&format!("/{name}/{{*rest}}"), &format!("{{require: public, upstream: {name}}}"));
    }
    let gateway = setup.start();
    for _ in 0..5 {
        for name in ["both", "old", "strict"] {
            let response = gateway.send(&Request::post(&format!("/{name}/x"), "body"));
            assert_eq!(
                (response.status, response.header("x-upstream")),
                (200, Some("yes")),
                "{name}: {response:?}"
            );
        }
    }
    // One connection each, whatever is spoken on it.
    assert_eq!((both.shaken(), old.shaken(), strict.shaken()), (1, 1, 1));
    assert_eq!((one.count(), two.count(), two.last().body), (5, 10, b"body".to_vec()));
    assert_refused(&gateway.send(&Request::get("/other/x")), Reason::UpstreamFailed);
    assert_eq!(two.count(), 10);
}

/// A WebSocket needs HTTP/1.1 to a peer, whatever else that would choose.
#[test]
fn a_websocket_over_tls_is_not_offered_http_2() {
    let authority = Authority::new("upstreams");
    let one = harness::upstream::Upstream::start();
    one.on("/ws", harness::websocket::echo);
    let front = TlsFront::choosing(&["h2", "http/1.1"], &authority.server(&["localhost"]), None, one.address);
    let peer = format!("https://localhost:{}", front.address.port());
    let gateway = Gateway::new()
        .upstream_as("api", &format!("{{peers: {peer:?}, tls: {{ca: ca.pem}}}}"))
        .file("ca.pem", authority.pem())
        .route("/ws", "public")
        .start();
    WebSocket::open(&gateway, &handshake("/ws")).echoes("hello");
    // A peer that speaks nothing but HTTP/2 has none.
    let two = Upstream::start();
    let gateway = Gateway::new().upstream_as("api", &two.url()).route("/ws", "public").start();
    assert_refused(&gateway.send(&handshake("/ws")), Reason::UpstreamFailed);
    assert_eq!(two.count(), 0);
}
