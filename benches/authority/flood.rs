//! Requests with a token while others try passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

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

pub(crate) async fn measure(size: &Size, gateway: &Gateway) {
    let issued = Connection::open(gateway.address).await.send(&issue("hs256")).await;
    let request = get(&member(&issued, "access_token"));
    let (mut calm, mut flooded, mut tried) = (Vec::new(), Vec::new(), 0);
    for _ in 0..size.rounds {
        calm.push(nearly_all(gateway, &request, size.time).await);
        let (end, attempts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let attackers = attack(gateway, &end, &attempts);
        flooded.push(nearly_all(gateway, &request, size.time).await);
        end.store(true, Ordering::Relaxed);
        attackers.join_all().await;
        tried += attempts.load(Ordering::Relaxed);
    }
    let (calm, flooded) = (median(calm), median(flooded));
    let figures =
        format!("p99 {flooded:.2} ms, without {calm:.2} ms: {:.2}; {tried} passwords", flooded / calm);
    row(&format!("flood: {ATTACKERS} who try passwords"), &figures, "2");
    assert!(tried > 0, "nobody tried a password");
    // A smoke run is too short to say how long anything takes, and what is not optimised says nothing of it.
    if size.rounds > 1 && !cfg!(debug_assertions) {
        assert!(flooded <= MOST * calm, "p99 {flooded:.2} ms under a flood, {calm:.2} ms without");
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

fn attack(gateway: &Gateway, end: &Arc<AtomicBool>, attempts: &Arc<AtomicU64>) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let (address, end, attempts) = (gateway.address, Arc::clone(end), Arc::clone(attempts));
        let request = post("/sign-in", &json!({"name": "ada@example.com", "password": "not hers"}));
        attackers.spawn(async move {
            let mut connection = Connection::open(address).await;
            while !end.load(Ordering::Relaxed) {
                let answer = connection.send(&request).await;
                assert!(matches!(answer.status, 401 | 429 | 503), "{}", answer.status);
                attempts.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    attackers
}
