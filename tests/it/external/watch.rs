//! A healthy client beside an attack: it has to be served all the time, and about as fast as before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::api::assert_allowed;
use crate::harness::client::{Connection, Request};
use crate::harness::wait::{holds, pause};

/// What two loaded cores may add to any answer, and no part of the promise: a quiet gateway's p99 is a millisecond or so, and
/// the attacker, the upstream and the other tests share its cores. Three times a millisecond would say who was scheduled
/// when; an attack that stops the gateway from serving costs seconds.
const NOISE: Duration = Duration::from_millis(250);

/// A client that asks for `/health` again and again, on one connection, until it is told to end.
pub struct Watch {
    over: Arc<AtomicBool>,
    client: JoinHandle<Vec<Duration>>,
}

/// How it was served.
#[derive(Debug, Clone, Copy)]
pub struct Served {
    /// Answers, each of them 200.
    pub count: usize,
    /// The 99th of a hundred latencies.
    pub p99: Duration,
    /// The longest.
    pub worst: Duration,
}

impl Watch {
    /// Begins.
    pub fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let client = std::thread::spawn(move || {
            let mut latencies = Vec::new();
            let mut connection = Connection::open(address);
            while !told.load(Ordering::SeqCst) {
                let start = Instant::now();
                assert_allowed(&connection.send(&Request::get("/health")));
                latencies.push(start.elapsed());
                pause();
            }
            latencies
        });
        Self { over, client }
    }

    /// Of a quiet gateway, for a second.
    #[track_caller]
    pub fn quiet(address: SocketAddr) -> Served {
        let watch = Self::start(address);
        assert!(
            holds(Duration::from_secs(1), || !watch.client.is_finished()),
            "a quiet gateway fails a client"
        );
        watch.end()
    }

    /// Ends; an answer other than 200 in the meantime fails the test.
    #[track_caller]
    pub fn end(self) -> Served {
        self.over.store(true, Ordering::SeqCst);
        let mut latencies = self.client.join().expect("the healthy client was served throughout");
        latencies.sort_unstable();
        let worst = *latencies.last().expect("it was served at all");
        let p99 = latencies[latencies.len() * 99 / 100];
        Served { count: latencies.len(), p99, worst }
    }
}

impl Served {
    /// Fails unless it was served within three times the latency that it had before (threats 2I).
    #[track_caller]
    pub fn within_three_times(&self, quiet: &Self) {
        let most = (quiet.p99 * 3).max(NOISE);
        assert!(self.p99 <= most, "p99 {:?}, and {:?} of a quiet gateway: {self:?}", self.p99, quiet.p99);
    }
}
