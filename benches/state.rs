//! Revocation and state, through the real binary on real sockets: how soon, how many, how large, at what price.
//!
//! ```text
//! cargo bench --bench state                 every figure, as a table: some ten minutes, and 3 GB of disk
//! cargo bench --bench state -- streams      one section: revoke, rate, streams or set
//! cargo test --bench state                  every section, small: that it works, and that no success is stale
//! ```
//!
//! The upstream is a thread of this process, the load another. A time begins when the admin listener's answer has been
//! read here, so that what the load needs for its own turn is in it. Where a success is stale, or a stream ends that
//! should not, the bench panics.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

#[path = "state/client.rs"]
mod client;
#[path = "state/gateway.rs"]
mod gateway;
#[path = "scene/process.rs"]
mod process;
#[path = "state/rate.rs"]
mod rate;
#[path = "state/revoke.rs"]
mod revoke;
#[path = "state/set.rs"]
mod set;
#[path = "state/streams.rs"]
mod streams;
#[path = "state/upstream.rs"]
mod upstream;

use std::time::Duration;

use tokio::runtime;

/// How much is done.
struct Size {
    /// Of whatever is repeated.
    rounds: usize,
    /// Of a round of requests.
    round: Duration,
    /// How long is revoked in each way.
    time: Duration,
    streams: usize,
    /// How long nothing happens to them.
    idle: Duration,
    /// Of the large store.
    entries: usize,
}

const REAL: Size = Size {
    rounds: 15,
    round: Duration::from_secs(1),
    time: Duration::from_secs(5),
    streams: 10_000,
    idle: Duration::from_secs(10),
    entries: 10_000_000,
};

const SMOKE: Size = Size {
    rounds: 2,
    round: Duration::from_millis(50),
    time: Duration::from_millis(50),
    streams: 200,
    idle: Duration::from_millis(100),
    entries: 10_000,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let smoke = !std::env::args().any(|argument| argument == "--bench");
    let size = if smoke { SMOKE } else { REAL };
    let section = arguments.find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| section.as_deref().is_none_or(|section| section == name);
    let upstream = upstream::start();
    println!("| what | figure | bound |\n|---|---|---|");
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if wanted("revoke") {
            revoke::measure(&size, upstream).await;
        }
        if wanted("rate") {
            rate::measure(&size, upstream).await;
        }
        if wanted("streams") {
            streams::measure(&size, upstream).await;
        }
        if wanted("set") {
            set::measure(&size, upstream).await;
        }
    });
}

/// A line of the table.
fn row(what: &str, figure: &str, bound: &str) {
    println!("| {what} | {figure} | {bound} |");
}

/// What half of them take at most, ninety-nine of a hundred, and all.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let most = times.len() - 1;
    let [half, nearly_all, all] =
        [most / 2, times.len() * 99 / 100, most].map(|at| times[at.min(most)].as_secs_f64() * 1e3);
    format!("p50 {half:.2} ms, p99 {nearly_all:.2} ms, max {all:.2} ms")
}
