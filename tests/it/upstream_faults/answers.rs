//! Answers that are cut, too long, in drips or too early (threats U4, H11): what is not whole never looks whole, and
//! what is whole arrives however it comes.

use std::time::Duration;

use portcullis::gate::denial::Reason::UpstreamFailed;

use super::troubled::Troubled;
use crate::harness::api::{assert_allowed, assert_refused};
use crate::harness::audit::is_refusal;
use crate::harness::client::{Outcome, Request, Response};
use crate::harness::fault_proxy::plan::{Fault, Phase, Plan};
use crate::harness::wait::{PATIENCE, pass};

/// One small answer in each framing, and its body.
const WHOLE: [(&str, &str, &str); 3] = [
    ("a length", "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 10\r\n\r\n0123456789", "0123456789"),
    (
        "chunks",
        "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nT: u\r\n\r\n",
        "0123456789",
    ),
    (
        "an interim answer before",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 2\r\n\r\nok",
        "ok",
    ),
];

/// Fails unless this outcome is nothing that a client could take for the whole answer.
#[track_caller]
fn assert_broken(outcome: Outcome, what: &str) {
    match outcome {
        Outcome::Answer(response) if is_refusal(&response) => assert_refused(&response, UpstreamFailed),
        Outcome::Answer(response) => assert!(!response.whole, "{what}: passed off as whole: {response:?}"),
        Outcome::Closed => {}
        Outcome::Silence => panic!("{what}: the client waits for ever"),
    }
}

#[test]
fn u4_an_answer_cut_at_any_octet_is_never_passed_off_as_whole() {
    let troubled = Troubled::start();
    for (framing, answer, body) in WHOLE {
        for ending in [Fault::Close, Fault::Reset, Fault::HalfClose] {
            for cut in 0..answer.len() {
                troubled.proxy.always(&Plan::new().answer(answer).at(Phase::Octet(cut), ending.clone()));
                for method in ["GET", "POST"] {
                    let what = format!("{framing}, {ending:?} after {cut} octets, {method}");
                    let mut connection = troubled.gateway.connect();
                    connection.write(&Request::new(method, "/any/cut").octets());
                    assert_broken(connection.wait(method, PATIENCE), &what);
                }
            }
        }
        troubled.proxy.always(&Plan::new().answer(answer));
        let response = troubled.gateway.send(&Request::get("/any/cut"));
        assert_eq!((response.status, response.text().as_str()), (200, body), "{framing}");
    }
}

/// An answer that only the end of its connection delimits: an orderly end is its end, a reset is none.
#[test]
fn u4_a_reset_is_no_end_of_an_answer_without_a_length() {
    let troubled = Troubled::start();
    let head = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\n\r\n";
    for cut in 0..=10 {
        let answer = format!("{head}{}", &"0123456789"[..cut]);
        // The octets have to have been read: a reset takes with it what has not.
        let reset = Plan::new().answer(answer.clone());
        let reset = reset.at(Phase::Answer, Fault::Delay(Duration::from_millis(5)));
        troubled.proxy.always(&reset.at(Phase::Answer, Fault::Reset));
        let mut connection = troubled.gateway.connect();
        connection.write(&Request::get("/any/cut").octets());
        assert_broken(connection.wait("GET", PATIENCE), &format!("{cut} octets and a reset"));
        troubled.proxy.always(&Plan::new().answer(answer).at(Phase::Answer, Fault::Close));
        let response = troubled.gateway.send(&Request::get("/any/cut"));
        assert_eq!(response.text(), &"0123456789"[..cut], "{response:?}");
    }
}

/// An answer of HTTP/1.0 to a client of HTTP/1.0 has no other mark of its end than that of the connection: a cut one
/// ends in a reset there.
#[test]
fn u4_a_client_of_http_1_0_sees_a_cut_answer_as_a_reset() {
    let troubled = Troubled::start();
    let chunked = WHOLE[1].1;
    for cut in chunked.find("\r\n\r\n").map_or(0, |at| at + 4)..chunked.len() {
        troubled.proxy.always(&Plan::new().answer(chunked).at(Phase::Octet(cut), Fault::Close));
        let mut connection = troubled.gateway.connect();
        connection.write(b"GET /any/cut HTTP/1.0\r\nHost: api.test\r\n\r\n");
        assert!(!connection.ends_well(), "cut after {cut} octets, and an orderly end");
    }
}

/// Octet by octet an answer is the same answer.
#[test]
fn an_answer_in_drips_is_the_same_answer() {
    let troubled = Troubled::start();
    for (framing, answer, body) in WHOLE {
        troubled.proxy.always(&Plan::new().answer(answer).drip(Duration::from_micros(300)));
        let mut connection = troubled.gateway.connect();
        for _ in 0..2 {
            let response = connection.send(&Request::get("/any/drip"));
            assert_eq!((response.status, response.text().as_str()), (200, body), "{framing}: {response:?}");
        }
    }
}

/// More than was announced is not part of the answer, and the connection is not used again.
#[test]
fn h11_a_body_past_its_length_is_cut_there_and_the_connection_left() {
    let troubled = Troubled::start();
    for extra in ["!", "\r\n", "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 6\r\n\r\npoison"] {
        for (framing, answer, body) in WHOLE {
            troubled.proxy.always(&Plan::new().answer(format!("{answer}{extra}")));
            let response = troubled.gateway.send(&Request::get("/any/long"));
            assert_eq!(response.text(), body, "{framing} and {extra:?}: {response:?}");
            troubled.proxy.always(&Plan::new());
            let used = troubled.proxy.delivered().last().map(|delivery| delivery.connection);
            assert_allowed(&troubled.gateway.send(&Request::get("/any/next")));
            let next = troubled.proxy.delivered().last().map(|delivery| delivery.connection);
            assert_ne!(used, next, "{framing} and {extra:?}");
        }
    }
}

/// A flood of interim answers ends as a failure, at once.
#[test]
fn h11_a_flood_of_interim_answers_is_a_failure() {
    let troubled = Troubled::start();
    for count in [17, 100_000] {
        let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
        let answer = flood + "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 0\r\n\r\n";
        troubled.proxy.always(&Plan::new().answer(answer));
        assert_refused(&troubled.gateway.send(&Request::get("/any/flood")), UpstreamFailed);
    }
}

/// An answer to half a request: the client gets it, whether the upstream then closes, reads on, or reads nothing
/// more; and no other client gets any of it.
#[test]
fn h4_an_answer_before_the_body_is_in_arrives() {
    let troubled = Troubled::start();
    let early = b"HTTP/1.1 403 Forbidden\r\nX-Upstream: yes\r\nContent-Length: 5\r\n\r\nearly".to_vec();
    for then in [Fault::Close, Fault::HalfClose, Fault::Done, Fault::Hang, Fault::Deaf] {
        for phase in [Phase::Head, Phase::MidBody] {
            let plan = Plan::new().at(phase, Fault::Write(early.clone())).at(phase, then.clone());
            troubled.proxy.on_path("/any/early", &plan);
            let response = half_then_rest(&troubled, &Request::post("/any/early", vec![b'a'; 64 << 10]));
            assert_eq!((response.status, response.text().as_str()), (403, "early"), "{then:?} at {phase:?}");
            assert!(response.whole, "{then:?} at {phase:?}: {response:?}");
            for _ in 0..3 {
                assert_allowed(&troubled.gateway.send(&Request::get("/any/next")));
            }
        }
    }
}

/// Sends half of a request, waits for the answer, and sends the rest all the same.
fn half_then_rest(troubled: &Troubled, request: &Request) -> Response {
    let octets = request.octets();
    let mut connection = troubled.gateway.connect();
    let half = octets.len() / 2 + 100;
    connection.write(&octets[..half]);
    pass(Duration::from_millis(5));
    let Outcome::Answer(response) = connection.wait("POST", PATIENCE) else { panic!("no answer") };
    connection.write(&octets[half..]);
    response
}
