//! An upstream that stops, at every point of an exchange: an answer in time, and never a hung client; and a client that
//! goes takes its request along (threats U3).

use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::UpstreamTimeout;

use super::troubled::Troubled;
use crate::harness::api::assert_refused;
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::fault_proxy::plan::{Fault, Phase, Plan};
use crate::harness::wait::{PATIENCE, pass, wait_for, wait_until};

/// Sends a request, its body in two pieces if `streamed`.
fn send(connection: &mut Connection, request: &Request, streamed: bool) {
    let octets = request.octets();
    let half = if streamed { octets.len() - 8 } else { octets.len() };
    connection.write(&octets[..half]);
    if half < octets.len() {
        pass(Duration::from_millis(10));
        connection.write(&octets[half..]);
    }
}

#[test]
fn u3_an_upstream_that_stops_anywhere_before_its_answer_is_504_in_time() {
    let troubled = Troubled::with("response_timeout: 400ms", |setup| setup);
    let phases = [Phase::BEFORE.as_slice(), &[Phase::StatusLine, Phase::MidHead]].concat();
    for phase in phases {
        for fault in [Fault::Hang, Fault::Deaf] {
            troubled.proxy.on_path("/any/stop", &Plan::new().at(phase, fault.clone()));
            for (method, streamed) in [("GET", false), ("POST", false), ("POST", true)] {
                if method == "GET" && phase == Phase::MidBody {
                    continue;
                }
                let what = format!("{method} (streamed: {streamed}), {fault:?} at {phase:?}");
                let mut request = Request::new(method, "/any/stop");
                if method == "POST" {
                    request = request.body("pay one hundred");
                }
                let mut connection = troubled.gateway.connect();
                let start = Instant::now();
                send(&mut connection, &request, streamed);
                match connection.wait(method, PATIENCE) {
                    Outcome::Answer(response) => assert_refused(&response, UpstreamTimeout),
                    outcome @ (Outcome::Closed | Outcome::Silence) => panic!("{what}: {outcome:?}"),
                }
                let took = start.elapsed();
                assert!(
                    took > Duration::from_millis(350) && took < Duration::from_secs(4),
                    "{what}: {took:?}"
                );
                wait_until("the next is served", || {
                    troubled.gateway.send(&Request::get("/any/x")).status == 200
                });
            }
        }
    }
}

/// An upstream that takes nothing more of a large body: 504 as well, and nothing is held.
#[test]
fn u3_an_upstream_that_stops_taking_a_large_body_is_504_in_time() {
    let troubled = Troubled::with("response_timeout: 400ms", |setup| setup);
    troubled.proxy.on_path("/any/stop", &Plan::new().at(Phase::Head, Fault::Deaf));
    let octets = Request::post("/any/stop", vec![b'a'; 16 << 20]).octets();
    let mut connection = troubled.gateway.connect();
    let start = Instant::now();
    // It is refused before it has taken all of this.
    connection.write(&octets);
    match connection.wait("POST", PATIENCE) {
        Outcome::Answer(response) => assert_refused(&response, UpstreamTimeout),
        // The refusal was overtaken by the reset that ends the connection: a client that only writes sees that.
        Outcome::Closed => {}
        Outcome::Silence => panic!("the client waits for ever"),
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Within an answer there is no 504 any more: one of declared length is broken off when it does not go on.
#[test]
fn u3_an_answer_that_stops_midway_is_broken_off_in_time() {
    let troubled = Troubled::with("response_timeout: 1s", |setup| setup);
    for fault in [Fault::Hang, Fault::Deaf] {
        troubled.proxy.on_path("/any/stop", &Plan::new().at(Phase::MidAnswer, fault.clone()));
        for (method, streamed) in [("GET", false), ("POST", true)] {
            let mut connection = troubled.gateway.connect();
            let start = Instant::now();
            let mut request = Request::new(method, "/any/stop");
            if streamed {
                request = request.body("pay one hundred");
            }
            send(&mut connection, &request, streamed);
            let Outcome::Answer(response) = connection.wait(method, PATIENCE) else { panic!("no answer") };
            assert!(response.status == 200 && !response.whole, "{fault:?}, {method}: {response:?}");
            let took = start.elapsed();
            assert!(took > Duration::from_millis(950) && took < Duration::from_secs(5), "{took:?}");
        }
    }
}

/// A slow answer is none that stopped: each piece has its own time.
#[test]
fn u3_an_answer_that_goes_on_may_take_longer_than_the_timeout() {
    let troubled = Troubled::with("response_timeout: 2s", |setup| setup);
    let answer =
        format!("HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 12\r\n\r\n{}", "0123456789ab");
    let head = answer.find("\r\n\r\n").map_or(0, |at| at + 4);
    let slow = (0..12).fold(Plan::new().answer(answer), |plan, octet| {
        plan.at(Phase::Octet(head + octet), Fault::Delay(Duration::from_millis(200)))
    });
    troubled.proxy.always(&slow);
    let start = Instant::now();
    let response = troubled.gateway.send(&Request::get("/any/slow"));
    assert_eq!(response.text(), "0123456789ab");
    assert!(start.elapsed() > Duration::from_secs(2), "that was no slow answer");
}

#[test]
fn u3_a_client_that_goes_is_gone_for_the_upstream_within_a_second() {
    let troubled = Troubled::with("response_timeout: 30s", |setup| setup);
    let phases = [Phase::BEFORE.as_slice(), &Phase::WITHIN].concat();
    for phase in phases {
        troubled.proxy.on_path("/any/stop", &Plan::new().at(phase, Fault::Hang));
        for (method, streamed) in [("GET", false), ("POST", false), ("POST", true)] {
            if method == "GET" && phase == Phase::MidBody {
                continue;
            }
            let before = troubled.proxy.count_of("/any/stop");
            let mut connection = troubled.gateway.connect();
            let mut request = Request::new(method, "/any/stop");
            if method == "POST" {
                request = request.body("pay one hundred");
            }
            send(&mut connection, &request, streamed);
            wait_until("the upstream is asked", || troubled.proxy.count_of("/any/stop") > before);
            if phase == Phase::MidAnswer {
                connection.read_until("{");
            }
            let gone = Instant::now();
            drop(connection);
            let ended = wait_for("the upstream is let go", || troubled.proxy.delivered().last()?.ended);
            let took = ended.saturating_duration_since(gone);
            assert!(took < Duration::from_secs(1), "{method} (streamed: {streamed}) at {phase:?}: {took:?}");
        }
    }
}
