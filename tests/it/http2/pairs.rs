//! Each version of HTTP to each other.

use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason;

use crate::harness::api::assert_refused;
use crate::harness::client::{Outcome, Request};
use crate::harness::keys::random;
use crate::harness::wait::{PATIENCE, wait_for, wait_until};
use crate::http2::scene::{PAIRS, Scene, Version};

#[test]
fn requests_and_answers_are_the_same_in_every_pair() {
    let scene = Scene::start();
    let token = scene.issuer.mint("orders:read");
    for (client, upstream) in PAIRS {
        let pair = format!("{client:?} to {upstream:?}");
        let get = Request::get(&upstream.path("orders?a=b")).bearer(&token).header("x-user-id", "admin");
        let response = scene.send(client, &get.header("x_user_id", "admin").header("x-own", "kept"));
        assert_eq!((response.status, response.text().as_str()), (200, r#"{"ok":true}"#), "{pair}");
        let head = scene.last(upstream).head;
        assert_eq!(
            (head.method.as_str(), head.target.as_str()),
            ("GET", upstream.path("orders?a=b").as_str())
        );
        assert_eq!(head.header("x-own"), Some("kept"), "{pair}");
        let host = if upstream == Version::Two { ":authority" } else { "host" };
        assert_eq!((head.header(host), head.header("authorization")), (Some("api.test"), None), "{pair}");
        assert_eq!(head.aliases("x-user-id").len(), 1, "S1, S2 {pair}: {head:?}");
        assert_ne!(head.header("x-user-id"), Some("admin"), "{pair}");
        let received = if client == Version::Two { "2.0 portcullis" } else { "1.1 portcullis" };
        assert_eq!(head.all("via"), [received], "{pair}");
        let te = if upstream == Version::Two { Some("trailers") } else { None };
        assert_eq!(head.header("te"), te, "{pair}");

        let response = scene.send(client, &Request::new("HEAD", &upstream.path("head")));
        assert_eq!((response.status, response.header("content-length")), (200, Some("42")), "{pair}");
        let response = scene.send(client, &Request::get(&upstream.path("204")));
        assert_eq!((response.status, response.header("content-length")), (204, None), "{pair}");
        let response = scene.send(client, &Request::post(&upstream.path("echo"), ""));
        assert!(response.status == 200 && response.whole && response.body.is_empty(), "{pair}: {response:?}");
    }
}

#[test]
fn large_bodies_arrive_in_every_pair() {
    let scene = Scene::start();
    let body = random(1 << 20);
    for (client, upstream) in PAIRS {
        let response = scene.send(client, &Request::post(&upstream.path("echo"), &body));
        assert!(response.body == body, "{client:?} to {upstream:?}: {response:?}");
        let seen = scene.last(upstream);
        assert!(seen.whole && seen.body == body, "{client:?} to {upstream:?}");
    }
}

#[test]
fn refusals_are_the_same_in_every_pair() {
    let scene = Scene::start();
    let stranger = scene.issuer.mint("orders:write");
    for (client, upstream) in PAIRS {
        let path = upstream.path("orders");
        assert_refused(&scene.send(client, &Request::get(&path)), Reason::NoCredentials);
        assert_refused(&scene.send(client, &Request::get(&path).bearer("a.b.c")), Reason::MalformedToken);
        assert_refused(
            &scene.send(client, &Request::get(&path).bearer(&stranger)),
            Reason::InsufficientScope,
        );
        assert_eq!(scene.count(upstream), 0, "I1 {client:?} to {upstream:?}");
    }
}

#[test]
fn trailers_travel_in_every_pair() {
    let scene = Scene::start();
    let kept = vec![("x-checksum".to_owned(), "abc".to_owned())];
    for (client, upstream) in PAIRS {
        let request = Request::get(&upstream.path("trailers"));
        let response = match client {
            Version::One => {
                let request = request.header("TE", "trailers").header("Connection", "TE");
                scene.gateway.connect().taking_trailers().send(&request)
            }
            Version::Two => scene.client().send(&request),
        };
        assert_eq!(
            (response.text().as_str(), &response.trailers),
            ("body", &kept),
            "{client:?} to {upstream:?}"
        );
        // Who does not take them gets the body alone: the harness fails on anything else.
        assert_eq!(scene.send(Version::One, &Request::get(&upstream.path("trailers"))).text(), "body");
    }
}

#[test]
fn h6_a_requests_trailers_are_dropped_in_every_pair() {
    let scene = Scene::start();
    for (client, upstream) in PAIRS {
        let path = upstream.path("echo");
        match client {
            Version::One => {
                let mut connection = scene.gateway.connect();
                let head =
                    format!("POST {path} HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n");
                connection.write(head.as_bytes());
                wait_until("the body's way is open", || scene.count(upstream) > 0);
                connection.write(b"4\r\nbody\r\n0\r\nX_User_Id: evil-trailer\r\n\r\n");
                assert_eq!(connection.answer().text(), "body");
            }
            Version::Two => {
                let client = scene.client();
                let mut stream = client.open(&Request::new("POST", &path), false).expect("a stream");
                stream.send_data(b"body", false).expect("room");
                stream.send_trailers(&[("x-user-id", "evil-trailer")]);
                assert_eq!(stream.answer().expect("an answer").text(), "body");
            }
        }
        let seen = scene.last(upstream);
        assert!(seen.whole && seen.body == b"body", "{client:?} to {upstream:?}: {seen:?}");
    }
    assert!(scene.two.trailers().is_empty() && !scene.one.raw().contains("evil-trailer"));
}

#[test]
fn an_early_answer_arrives_in_every_pair() {
    let scene = Scene::start();
    for (client, upstream) in PAIRS {
        let path = upstream.path("early");
        let response = match client {
            Version::One => {
                let mut connection = scene.gateway.connect();
                connection.write(
                    format!("POST {path} HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000\r\n\r\npart")
                        .as_bytes(),
                );
                connection.answer()
            }
            Version::Two => {
                let client = scene.client();
                let mut stream = client.open(&Request::new("POST", &path), false).expect("a stream");
                stream.send_data(b"part", false).expect("room");
                stream.answer().expect("a whole answer")
            }
        };
        assert_eq!((response.status, response.text().as_str()), (413, "early"), "{client:?} to {upstream:?}");
    }
}

#[test]
fn u3_a_client_that_gives_up_is_given_up_upstream_in_every_pair() {
    let scene = Scene::start();
    for (client, upstream) in PAIRS {
        let before = scene.count(upstream);
        let arrived = || wait_until("the request is upstream", || scene.count(upstream) > before);
        let request = Request::get(&upstream.path("hang"));
        let given_up = match client {
            Version::One => {
                let mut connection = scene.gateway.connect();
                connection.write(&request.octets());
                arrived();
                Instant::now()
            }
            Version::Two => {
                let client = scene.client();
                let mut stream = client.open(&request, true).expect("a stream");
                arrived();
                stream.reset();
                // The connection stays: it is the reset that counts.
                let given_up = Instant::now();
                wait_until("the upstream hears of it", || {
                    !scene.given_up.lock().expect("no panic").is_empty()
                });
                given_up
            }
        };
        let at = wait_for("the upstream hears of it", || scene.given_up.lock().expect("no panic").pop());
        assert!(at.duration_since(given_up) < Duration::from_secs(1), "{client:?} to {upstream:?}");
    }
    assert!(
        scene.two.resets().iter().all(|reason| *reason == h2::Reason::CANCEL),
        "{:?}",
        scene.two.resets()
    );
}

#[test]
fn u4_an_answer_that_breaks_off_is_seen_to_in_every_pair() {
    let scene = Scene::start();
    for (client, upstream) in PAIRS {
        let request = Request::get(&upstream.path("reset"));
        match client {
            Version::One => {
                let mut connection = scene.gateway.connect();
                connection.write(&request.octets());
                match connection.wait("GET", PATIENCE) {
                    Outcome::Answer(response) => assert!(!response.whole, "{upstream:?}: {response:?}"),
                    Outcome::Closed => {}
                    Outcome::Silence => panic!("neither an answer nor its end"),
                }
            }
            Version::Two => {
                let client = scene.client();
                let answer = client.open(&request, true).expect("a stream").answer();
                let error = answer.expect_err("no clean end");
                assert!(error.is_reset() && error.is_remote(), "{upstream:?}: {error}");
            }
        }
    }
}
