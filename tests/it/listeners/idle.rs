//! Connections that wait for their next request: many, small, and nobody's trouble (threats I5, D6).

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::api::{assert_allowed, usual};
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;
use crate::harness::wait::eventually;

/// What an idle connection may cost, in octets. A debug build's futures are larger than a release's.
const COST: usize = 16 << 10;

/// As many connections as are asked for where the system lets us have so many sockets, and never fewer than the least.
const WANTED: usize = 10_000;
const LEAST: usize = 2_000;

/// Sockets that the other tests of this process need.
const OTHERS: usize = 2_000;

fn health() -> Request {
    Request::get("/health")
}

/// How many connections this process can hold.
fn affordable() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
    let most = maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let count = most.saturating_sub(OTHERS).min(WANTED);
    assert!(count >= LEAST, "a hard limit of {most} descriptors is too few for this test");
    count
}

/// The time that all but one in a hundred requests take at most.
fn p99(connection: &mut Connection) -> Duration {
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            let start = Instant::now();
            assert_allowed(&connection.send(&health()));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[test]
fn i5_ten_thousand_idle_connections_are_small_and_slow_nobody_down() {
    let count = affordable();
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let limits = "connections: 20000, connections_per_address: 20000, idle_time: 10m";
    let setup = usual(&upstream).quiet().workers(1).limits(limits).issuer("corp", &issuer);
    let gateway = setup.start();
    let mut healthy = gateway.connect();
    // What is made once and kept is made before.
    let mut idle: Vec<Connection> = (0..50).map(|_| gateway.connect()).collect();
    idle.iter_mut().for_each(|connection| assert_allowed(&connection.send(&health())));
    let before = p99(&mut healthy);
    let resident = gateway.resident_kib();
    for _ in 0..count {
        let mut connection = gateway.connect();
        assert_allowed(&connection.send(&health()));
        idle.push(connection);
    }
    let grown = usize::try_from(gateway.resident_kib().saturating_sub(resident)).expect("memory") << 10;
    assert!(grown / count <= COST, "I5: {} octets for each of {count} idle connections", grown / count);
    assert!(gateway.metric("connections", &[]) >= count as f64, "they are open");
    // Twice is the promise. The millisecond is only for what else the machine does: p99 is some tenths of one, and a
    // single turn of another thread is more than that. A gateway that looked at each idle connection would take longer.
    let slack = Duration::from_millis(1);
    let mut last = Duration::ZERO;
    let kept = eventually(Duration::from_secs(15), || {
        last = p99(&mut healthy);
        last <= 2 * before + slack
    });
    assert!(kept, "D6: {last:?} with {count} idle connections, {before:?} without");
    // They are all alive.
    for connection in idle.iter_mut().step_by(97) {
        assert_allowed(&connection.send(&health()));
    }
}
