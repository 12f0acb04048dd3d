//! Peers that speak HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::gate::denial::Reason;

use crate::harness::api::{assert_allowed, assert_refused};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::h2::client::Client;
use crate::harness::h2::upstream::Upstream;
use crate::harness::wait::wait_until;

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
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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
    let upstream = crate::harness::upstream::Upstream::start();
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
