//! Many requests before an upstream that does not answer: they wait, in memory that does not grow, and nobody else
//! does (threats U5); and what clients are told of any of this (threats U6, U7).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::troubled::Troubled;
use crate::harness::api::assert_allowed;
use crate::harness::audit::is_refusal;
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::fault_proxy::plan::{Fault, Phase, Plan};
use crate::harness::upstream::Upstream;
use crate::harness::wait::{PATIENCE, holds, wait_until};

/// Requests that wait at once: below what one address may have open.
const WAITING: usize = 800;

#[test]
fn u5_hundreds_of_waiting_requests_cost_the_same_every_time_and_nobody_else_waits() {
    let quick = Upstream::start();
    let troubled = Troubled::with("response_timeout: 2s", |setup| {
        setup
            .quiet()
            .upstream_as("quick", &quick.url())
            .no_routes()
            .route("/quick", "{require: public, upstream: quick}")
            .route("/any/{*rest}", "{require: public, upstream: api}")
    });
    troubled.proxy.always(&Plan::new().at(Phase::Body, Fault::Hang));
    let idle = troubled.gateway.descriptors();
    let mut peaks = Vec::new();
    for wave in 1..=5 {
        let mut waiting: Vec<Connection> = (0..WAITING).map(|_| troubled.gateway.connect()).collect();
        for (number, connection) in waiting.iter_mut().enumerate() {
            let request = match number % 2 {
                0 => Request::get("/any/slow"),
                _ => Request::post("/any/slow", "pay one hundred"),
            };
            connection.write(&request.octets());
        }
        wait_until("most of them wait", || troubled.gateway.descriptors() >= idle + WAITING * 3 / 2);
        let mut healthy = troubled.gateway.connect();
        for _ in 0..50 {
            let start = Instant::now();
            assert_allowed(&healthy.send(&Request::get("/quick")));
            assert!(start.elapsed() < Duration::from_secs(1), "another route: {:?}", start.elapsed());
        }
        let start = Instant::now();
        assert_eq!(troubled.gateway.probe("/readyz"), Some(200));
        assert!(start.elapsed() < Duration::from_secs(1), "the admin listener: {:?}", start.elapsed());
        peaks.push(troubled.gateway.resident_kib());
        for connection in &mut waiting {
            assert_eq!(connection.answer().status, 504);
        }
        // One connection a request and no more: none was tried again behind the client's back.
        let most = wave * WAITING;
        assert!(troubled.proxy.connections() <= most, "{} connections", troubled.proxy.connections());
        drop((waiting, healthy));
        wait_until("everything is given back", || troubled.gateway.descriptors() <= idle + 16);
    }
    eprintln!("u5: resident KiB while {WAITING} wait, wave by wave: {peaks:?}");
    // The first two fill what workers keep spare.
    assert!(peaks[4] <= peaks[2] + 8 * 1024, "I5: resident KiB by wave: {peaks:?}");
}

/// Past `limits.connections` a client is told so, with a time, and costs nothing more.
#[test]
fn u5_what_is_too_much_is_503_with_a_time() {
    let troubled = Troubled::with("response_timeout: 20s", |setup| setup.limits("connections: 8").workers(1));
    troubled.proxy.always(&Plan::new().at(Phase::Body, Fault::Hang));
    let mut waiting: Vec<Connection> = (0..8).map(|_| troubled.gateway.connect()).collect();
    for connection in &mut waiting {
        connection.write(&Request::get("/any/slow").octets());
    }
    wait_until("all of them wait", || troubled.proxy.connections() == 8);
    for _ in 0..200 {
        match troubled.gateway.connect().wait("GET", PATIENCE) {
            // The audit has it that a 503 comes with Retry-After.
            Outcome::Answer(response) => assert_eq!((response.status, response.closes()), (503, true)),
            outcome @ (Outcome::Closed | Outcome::Silence) => panic!("{outcome:?}"),
        }
    }
    assert!(holds(Duration::from_millis(200), || troubled.proxy.connections() == 8));
    assert_eq!(troubled.gateway.probe("/livez"), Some(200));
}

/// Whatever goes wrong behind us: five members, none of which says where.
#[test]
fn u6_no_failure_tells_of_the_upstream() {
    let troubled = Troubled::with("response_timeout: 300ms", |setup| setup);
    let port = troubled.proxy.address.port().to_string();
    let phases = [Phase::BEFORE.as_slice(), &[Phase::StatusLine, Phase::MidHead]].concat();
    let mut plans: Vec<Plan> = Vec::new();
    for phase in phases {
        for fault in [Fault::Reset, Fault::Close, Fault::HalfClose, Fault::Hang] {
            plans.push(Plan::new().at(phase, fault));
        }
    }
    let secret = "Server: secret-backend/1.2.3 at 10.1.2.3:99\r\nX-Stack: at main.rs:1";
    for garbage in [
        format!("{secret}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{secret}\r\nContent-Length: x\r\n\r\n{secret}"),
        format!("HTTP/1.1 200 OK\r\n{secret}\r\nTransfer-Encoding: gzip\r\n\r\n{secret}"),
        format!("HTTP/1.1 200 {secret}\x01\r\n\r\n"),
    ] {
        plans.push(Plan::new().answer(garbage).at(Phase::Answer, Fault::Close));
    }
    for plan in plans {
        troubled.proxy.always(&plan);
        for method in ["GET", "POST"] {
            let token = troubled.issuer.mint("orders:read");
            let target = format!("/any/x?access_token={token}");
            let request = Request::new(method, &target).bearer(&token).body("pay 100");
            let response = troubled.gateway.send(&request);
            assert!(is_refusal(&response) && matches!(response.status, 502 | 504), "{plan:?}: {response:?}");
            let text = format!("{:?} {}", response.headers, response.text()).to_lowercase();
            for word in
                ["127.0.0.1", &port, "secret-backend", "10.1.2.3", ".rs", "os error", "panic", "api\""]
            {
                assert!(!text.contains(word), "{plan:?}: it says {word:?}: {response:?}");
            }
            let problem = response.json();
            let members: BTreeSet<&str> =
                problem.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            assert_eq!(members, BTreeSet::from(["reason", "request_id", "status", "title", "type"]));
        }
    }
}

/// Nor does a token choose where its request goes.
#[test]
fn u7_no_claim_chooses_an_upstream() {
    let troubled = Troubled::start();
    let elsewhere = Upstream::start();
    let url = elsewhere.url();
    let token = troubled.issuer.token().scope("orders:read");
    for claim in ["upstream", "host", "url", "jku", "target", "azp", "client_id", "tid"] {
        let token = token.clone().set(claim, json!(url)).sign();
        let response =
            troubled.gateway.send(&Request::get("/orders/1").bearer(&token).header("X-Host", &url));
        assert_allowed(&response);
    }
    for name in ["jku", "x5u", "host"] {
        let token = token.clone().header(name, json!(url)).sign();
        troubled.gateway.get("/orders/1", &token);
    }
    assert_eq!(elsewhere.connections(), 0);
}
