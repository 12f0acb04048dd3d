//! When descriptors run out: clients are turned away before there are none left, and everything recovers (threats
//! D8).

use std::time::Duration;

use crate::harness::api::{assert_allowed, usual};
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{PATIENCE, holds, wait_for, wait_until};

fn health() -> Request {
    Request::get("/health")
}

/// Connections that are served, of so many that are opened; the others are told that there is no room, or wait.
fn flood(gateway: &Gateway, count: usize) -> (Vec<Connection>, usize) {
    let mut served = Vec::new();
    let mut away = 0;
    for _ in 0..count {
        let mut connection = gateway.connect();
        connection.write(&health().octets());
        match connection.wait("GET", PATIENCE) {
            Outcome::Answer(response) if response.status == 200 => served.push(connection),
            Outcome::Answer(response) => {
                assert_eq!((response.status, response.reason().as_str()), (503, "overloaded"));
                away += 1;
            }
            Outcome::Closed => away += 1,
            Outcome::Silence => panic!("neither an answer nor the end"),
        }
    }
    (served, away)
}

#[test]
fn d8_at_the_descriptor_limit_clients_are_turned_away_and_the_operator_is_not() {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let gateway = usual(&upstream).issuer("corp", &issuer).descriptors(64).start();
    let (mut served, away) = flood(&gateway, 500);
    assert!(!served.is_empty() && away > 400, "{} served, {away} turned away", served.len());
    // Those that are open are served, with what connections upstream that takes; the operator can look.
    for connection in &mut served {
        assert_allowed(&connection.send(&health()));
    }
    assert_eq!(gateway.probe("/livez"), Some(200));
    let unserved = gateway.metric("connections_unserved_total", &[("reason", "connections")]);
    assert!(unserved >= 400.0, "{unserved}");
    assert!(gateway.descriptors() < 64, "{} descriptors", gateway.descriptors());
    // Room that is made is used.
    served.clear();
    wait_until("it recovers", || gateway.send(&health()).status == 200);
    let (served, _) = flood(&gateway, 5);
    assert_eq!(served.len(), 5);
    let lines = gateway.logs().matches("could not be accepted").count();
    assert!(lines < 5, "{lines} lines about it");
}

/// When there is none left at all, accepting rests: no spinning, hardly a line in the log, and an end to it.
#[test]
fn d8_with_no_descriptor_left_accepting_rests() {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let gateway = usual(&upstream).workers(1).issuer("corp", &issuer).start();
    // The probe that found it ready may have a connection still.
    let open = wait_for("as many are open as a moment ago", || {
        let open = gateway.descriptors();
        holds(Duration::from_millis(300), || gateway.descriptors() == open).then_some(open)
    });
    let mut healthy = gateway.connect();
    assert_allowed(&healthy.send(&health()));
    gateway.limit_descriptors(open);
    let mut waiting: Vec<Connection> = (0..20).map(|_| gateway.connect()).collect();
    for connection in &mut waiting {
        connection.write(&health().octets());
    }
    gateway.wait_for_log(&["could not be accepted"]);
    let lines = gateway.logs().matches("could not be accepted").count();
    assert!(holds(Duration::from_secs(2), || healthy.send(&health()).status == 200), "the open one suffers");
    let more = gateway.logs().matches("could not be accepted").count() - lines;
    assert!(more <= 4, "{more} lines in two seconds");
    // Left alone it waits, and does not spin.
    let before = gateway.processor_time();
    assert!(holds(Duration::from_secs(1), || !gateway.has_exited()));
    let busy = gateway.processor_time() - before;
    assert!(busy < Duration::from_millis(300), "{busy:?} of a second for nothing");
    gateway.limit_descriptors(1000);
    for connection in &mut waiting {
        assert_allowed(&connection.answer());
    }
}
