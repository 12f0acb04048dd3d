//! gRPC: HTTP/2 with a length before each message, and a status in the trailers.

use portcullis::gate::denial::Reason;

use crate::harness::client::Request;
use crate::harness::h2::client::Client;
use crate::http2::scene::{Scene, Version};

/// A message as gRPC frames it: not compressed, its length, itself.
fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short message");
    [&[0], &length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn call(path: &str) -> Request {
    Request::new("POST", path).header("content-type", "application/grpc+proto").header("te", "trailers")
}

fn scene() -> Scene {
    let scene = Scene::with(|setup| setup.limits("body_rate: 1KiB, idle_time: 300ms"));
    // Each message is answered as it comes, and the status stands at the end.
    scene.two.on("/two/pkg.Echo/Talk", |mut exchange| {
        Box::pin(async move {
            exchange.head(200, &[("content-type", "application/grpc+proto")], false)?;
            while let Some(data) = exchange.data().await {
                exchange.send(&data?, false).await?;
            }
            exchange.trail(&[("grpc-status", "0"), ("grpc-message", "fine")])
        })
    });
    scene
}

fn header<'l>(lines: &'l [(String, String)], name: &str) -> Option<&'l str> {
    lines.iter().find(|(line, _)| line == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_unary_call_brings_its_status() {
    let scene = scene();
    let mut stream = scene.client();
    let mut call = stream_of(&mut stream, "/two/pkg.Echo/Talk");
    call.send_all(&message("hello")).expect("room");
    let answer = call.answer().expect("an answer");
    assert_eq!(answer.body, message("hello"));
    assert_eq!(
        (header(&answer.trailers, "grpc-status"), header(&answer.trailers, "grpc-message")),
        (Some("0"), Some("fine"))
    );
    let seen = scene.two.last().head;
    assert_eq!(
        (seen.header("te"), seen.header("content-type")),
        (Some("trailers"), Some("application/grpc+proto"))
    );
}

fn stream_of<'c>(client: &'c mut Client, path: &str) -> crate::harness::h2::client::Stream<'c> {
    client.open(&call(path), false).expect("a stream")
}

#[test]
fn a_bidirectional_stream_flows_both_ways_and_may_be_idle() {
    let scene = scene();
    let mut client = scene.client();
    let mut call = stream_of(&mut client, "/two/pkg.Echo/Talk");
    call.send_data(&message("1"), false).expect("room");
    assert_eq!(call.head().expect("a head").status, 200);
    for round in 0..3 {
        assert_eq!(call.data().expect("an answer").expect("no reset"), message("1"), "round {round}");
        // Several windows of `body_rate` long nobody says anything.
        assert!(!crate::harness::wait::eventually(std::time::Duration::from_millis(700), || client_over(
            &scene
        )));
        call.send_data(&message("1"), round == 2).expect("room");
    }
    assert_eq!(call.data().expect("an answer").expect("no reset"), message("1"));
    assert!(call.data().is_none());
    assert_eq!(header(&call.trailers().expect("trailers"), "grpc-status"), Some("0"));
}

/// Whether the gateway has lost the call that the upstream is serving.
fn client_over(scene: &Scene) -> bool {
    scene.two.open() == 0
}

#[test]
fn a_call_that_is_silent_before_its_first_answer_is_let_be() {
    let scene = scene();
    scene.two.on("/two/pkg.Echo/Quiet", |mut exchange| {
        Box::pin(async move {
            // Answers only when the client has said all.
            exchange.body().await?;
            exchange.head(200, &[("content-type", "application/grpc")], false)?;
            exchange.trail(&[("grpc-status", "0")])
        })
    });
    let client = scene.client();
    for (request, lives) in
        [(call("/two/pkg.Echo/Quiet"), true), (Request::new("POST", "/two/pkg.Echo/Quiet"), false)]
    {
        let mut stream = client.open(&request, false).expect("a stream");
        stream.send_data(&message("1"), false).expect("room");
        let cut = crate::harness::wait::eventually(std::time::Duration::from_millis(1500), || {
            stream.reset_by(std::time::Duration::from_millis(1)).is_some()
        });
        assert_eq!(cut, !lives, "{:?}", request.headers);
        if lives {
            stream.send_data(b"", true).expect("room");
            assert_eq!(header(&stream.answer().expect("an answer").trailers, "grpc-status"), Some("0"));
        }
    }
}

#[test]
fn refusals_are_a_status_of_grpc() {
    let scene = scene();
    let stranger = scene.issuer.mint("orders:write");
    for (client, upstream) in crate::http2::scene::PAIRS {
        let orders = upstream.path("orders");
        let cases = [
            (call(&orders), "16", Reason::NoCredentials),
            (call(&orders).bearer("a.b.c"), "16", Reason::MalformedToken),
            (call(&orders).bearer(&stranger), "7", Reason::InsufficientScope),
            (call("/nowhere"), "12", Reason::NoRoute),
            (
                call(&orders).header("authorization", "Bearer a").header("authorization", "Bearer b"),
                "3",
                Reason::MalformedRequest,
            ),
        ];
        for (request, status, reason) in cases {
            let answer = match client {
                // Two lines that contradict each other are refused before it is known what the request is about.
                Version::One | Version::Two if reason == Reason::MalformedRequest => continue,
                Version::One => scene.gateway.send(&request.body(message("x"))),
                Version::Two => scene.client().send(&request.body(message("x"))),
            };
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, Some("application/grpc")),
                "{answer:?}"
            );
            assert_eq!(
                (answer.header("grpc-status"), answer.header("grpc-message")),
                (Some(status), Some(reason.code()))
            );
            assert!(answer.body.is_empty() && answer.header("x-request-id").is_some(), "{answer:?}");
            assert_eq!(
                answer.header("www-authenticate").is_some(),
                matches!(status, "16" | "7"),
                "{answer:?}"
            );
        }
        assert_eq!(scene.count(upstream), 0, "I1");
    }
    // The log and the metrics keep what it was.
    scene.gateway.wait_for_log(&["\"status\":401", "\"no_credentials\""]);
    assert!(scene.gateway.metric("http_requests_total", &[("status", "403")]) > 0.0);
}

#[test]
fn an_upstream_that_is_gone_is_unavailable() {
    let scene = Scene::with(|setup| setup.upstream_as("two", "h2c://127.0.0.1:1"));
    let answer = scene.client().send(&call("/two/pkg.Echo/Talk").body(message("x")));
    assert_eq!(
        (answer.header("grpc-status"), answer.header("grpc-message")),
        (Some("14"), Some("upstream_failed"))
    );
}
