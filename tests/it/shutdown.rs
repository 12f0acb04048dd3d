//! SIGTERM drains: what is open finishes, what is idle is let go, and the exit code is 0 (threats O5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::upstream::Then;
use crate::harness::wait::{PATIENCE, eventually, wait_until};

/// An API whose `/health` answers when it is let, and what lets it.
fn held(tail: &'static str) -> (Api, Arc<AtomicUsize>) {
    let api = Api::with(|setup| setup.yaml_tail(tail).route("/any/{*rest}", "public"));
    let released = Arc::new(AtomicUsize::new(0));
    let flag = Arc::clone(&released);
    api.upstream.on("/health", move |exchange| {
        let let_go = eventually(PATIENCE, || flag.load(Ordering::SeqCst) > 0);
        if let_go { exchange.answer(200, "X-Upstream: yes\r\n", b"done") } else { Ok(Then::Close) }
    });
    (api, released)
}

/// A request that is on its way and waits.
fn in_flight(api: &Api, number: usize) -> Connection {
    let mut connection = api.gateway.connect();
    connection.write(&Request::get("/health").octets());
    wait_until("it has reached the upstream", || api.upstream.count_of("/health") == number);
    connection
}

#[test]
fn o5_an_idle_gateway_exits_at_once() {
    let api = Api::start();
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} to do nothing", start.elapsed());
}

#[test]
fn o5_idle_connections_do_not_hold_it() {
    let api = Api::start();
    let mut connections: Vec<Connection> = (0..20).map(|_| api.gateway.connect()).collect();
    for connection in &mut connections {
        assert_allowed(&connection.send(&Request::get("/health")));
    }
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for idle connections", start.elapsed());
    for connection in &mut connections {
        assert!(connection.ends_within(PATIENCE));
    }
}

#[test]
fn o5_what_is_in_flight_finishes() {
    let (api, released) = held("shutdown_grace: 20s");
    let mut connections: Vec<Connection> = (1..=10).map(|number| in_flight(&api, number)).collect();
    api.gateway.signal("TERM");
    wait_until("it says that it is not ready", || api.gateway.probe("/readyz") != Some(200));
    // Every worker has heard of it when none of them accepts any more.
    wait_until("nobody new is let in", || {
        Connection::from_source([127, 0, 0, 1].into(), api.gateway.ports.public).is_err()
    });
    assert!(!api.gateway.has_exited(), "it did not wait");
    released.store(1, Ordering::SeqCst);
    for connection in &mut connections {
        let response = connection.answer();
        assert_allowed(&response);
        assert_eq!((response.whole, response.text().as_str()), (true, "done"));
        assert!(response.closes(), "the last answer says so: {response:?}");
        connection.expect_end();
    }
    api.gateway.wait_for_exit(0);
}

/// A body that is half-way through goes the other half.
#[test]
fn o5_bodies_in_flight_finish_both_ways() {
    let api = Api::with(|setup| setup.yaml_tail("shutdown_grace: 20s").route("/any/{*rest}", "public"));
    let mut up = api.gateway.connect();
    up.write(b"POST /any/up HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10\r\n\r\nfirst");
    wait_until("half of it is there", || api.upstream.raw().contains("first"));
    api.gateway.signal("TERM");
    wait_until("every worker has heard of it", || {
        Connection::from_source([127, 0, 0, 1].into(), api.gateway.ports.public).is_err()
    });
    up.write(b"last!");
    let response = up.answer();
    assert_allowed(&response);
    assert!(response.closes(), "an answer whose body came late says so, too: {response:?}");
    assert_eq!(api.upstream.last().body, b"firstlast!");
    api.gateway.wait_for_exit(0);
}

#[test]
fn o5_the_grace_has_an_end() {
    let (api, _released) = held("shutdown_grace: 500ms");
    let mut connection = in_flight(&api, 1);
    let start = Instant::now();
    api.gateway.stop();
    assert!(start.elapsed() >= Duration::from_millis(400), "no grace was given: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?} of grace", start.elapsed());
    // Cut off, and not passed off as anything else.
    let outcome = connection.wait("GET", PATIENCE);
    assert!(
        matches!(&outcome, Outcome::Closed) || matches!(&outcome, Outcome::Answer(cut) if cut.status >= 500),
        "{outcome:?}"
    );
}

#[test]
fn o5_a_second_signal_stops_at_once() {
    let (api, _released) = held("shutdown_grace: 60s");
    let _connection = in_flight(&api, 1);
    api.gateway.signal("TERM");
    wait_until("it drains", || api.gateway.probe("/readyz") != Some(200));
    assert!(!api.gateway.has_exited());
    let start = Instant::now();
    api.gateway.signal("TERM");
    api.gateway.wait_for_any_exit();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} after the second signal", start.elapsed());
}

/// Requests that come while it drains are answered or not accepted, and none is lost half-way.
#[test]
fn o5_load_meets_no_reset_request() {
    let api = Api::with(|setup| setup.quiet().yaml_tail("shutdown_grace: 10s"));
    let address = api.gateway.ports.public;
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::open(address);
                loop {
                    connection.write(&Request::get("/health").octets());
                    match connection.wait("GET", PATIENCE) {
                        Outcome::Answer(response) => {
                            assert_allowed(&response);
                            assert!(response.whole);
                            served.fetch_add(1, Ordering::SeqCst);
                            if !response.closes() {
                                continue;
                            }
                        }
                        // An idle connection may be closed as the next request is on its way.
                        Outcome::Closed => {}
                        Outcome::Silence => panic!("a request hangs"),
                    }
                    // Once refused, always refused: it is gone.
                    let Ok(next) = Connection::from_source([127, 0, 0, 1].into(), address) else { return };
                    connection = next;
                    if api.gateway.has_exited() {
                        return;
                    }
                }
            });
        }
        wait_until("there is load", || served.load(Ordering::SeqCst) > 200);
        api.gateway.signal("TERM");
    });
    api.gateway.wait_for_exit(0);
}
