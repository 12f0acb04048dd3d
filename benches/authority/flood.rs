//! Requests with a token while others try passwords: so many at once, each again when it is told to (`Retry-After`); and each
//! again at once, whatever it is told, which is a flood of requests like any other. Who floods has a thread of its own, so
//! that its turns are not counted as the gateway's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::Connection;
use crate::gateway::{Gateway, get, issue, member, post};
use crate::process::median;
use crate::{Size, row};

/// Who tries passwords at once (threats T2).
const ATTACKERS: usize = 200;

/// How many times as long requests with a token may take meanwhile (threats T2).
const MOST: f64 = 2.0;

/// Requests with a token: so many connections, each once in this time.
const CLIENTS: usize = 16;
const PAUSE: Duration = Duration::from_millis(4);
/// As the gateway says where too many wait already.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) async fn measure(size: &Size, gateway: &Gateway) {
    let issued = Connection::open(gateway.address).await.send(&issue("hs256")).await;
    let request = get(&member(&issued, "access_token"));
    for is_patient in [true, false] {
        let (mut calm, mut flooded, mut tried) = (Vec::new(), Vec::new(), 0);
        for _ in 0..size.rounds {
            calm.push(nearly_all(gateway, &request, size.time).await);
            let end = Arc::new(AtomicBool::new(false));
            let attackers = attack(gateway, &end, is_patient);
            flooded.push(nearly_all(gateway, &request, size.time).await);
            end.store(true, Ordering::Relaxed);
            tried += attackers.join().expect("the attackers");
        }
        let (calm, flooded) = (median(calm), median(flooded));
        let figures =
            format!("p99 {flooded:.2} ms, without {calm:.2} ms: {:.2}; {tried} passwords", flooded / calm);
        let (how, bound) = if is_patient { ("again when told", "2") } else { ("again at once", "") };
        row(&format!("flood: {ATTACKERS} who try passwords, {how}"), &figures, bound);
        assert!(tried > 0, "nobody tried a password");
        // A smoke run is too short to say how long anything takes, and what is not optimised says nothing of it.
        if is_patient && size.rounds > 1 && !cfg!(debug_assertions) {
            assert!(flooded <= MOST * calm, "p99 {flooded:.2} ms under a flood, {calm:.2} ms without");
        }
    }
}

/// Milliseconds that ninety-nine of a hundred requests take at most.
async fn nearly_all(gateway: &Gateway, request: &[u8], time: Duration) -> f64 {
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut connection = Connection::open(gateway.address).await;
        let request = request.to_vec();
        clients.spawn(async move {
            let mut next = interval(PAUSE);
            next.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut times = Vec::new();
            while Instant::now() < end {
                next.tick().await;
                let begun = Instant::now();
                assert_eq!(connection.send(&request).await.status, 200);
                times.push(begun.elapsed());
            }
            times
        });
    }
    let mut times = clients.join_all().await.concat();
    times.sort_unstable();
    times[(times.len() * 99 / 100).min(times.len() - 1)].as_secs_f64() * 1e3
}

/// Gives how many passwords were tried.
fn attack(gateway: &Gateway, end: &Arc<AtomicBool>, is_patient: bool) -> JoinHandle<u64> {
    let (address, end) = (gateway.address, Arc::clone(end));
    let tries = async move {
        let mut attackers = JoinSet::new();
        for _ in 0..ATTACKERS {
            let end = Arc::clone(&end);
            attackers.spawn(async move {
                let request = post("/sign-in", &json!({"name": "ada@example.com", "password": "not hers"}));
                let mut connection = Connection::open(address).await;
                let mut tried = 0;
                while !end.load(Ordering::Relaxed) {
                    let answer = connection.send(&request).await;
                    assert!(matches!(answer.status, 401 | 429 | 503), "{}", answer.status);
                    tried += 1;
                    if is_patient && answer.status != 401 {
                        sleep(RETRY_AFTER).await;
                    }
                }
                tried
            });
        }
        attackers.join_all().await.into_iter().sum()
    };
    thread::spawn(|| Builder::new_current_thread().enable_all().build().unwrap().block_on(tries))
}
