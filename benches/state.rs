//! Revocation and state, through the real binary on real sockets: how soon, how many, how large, at what price.
//!
//! ```text
//! cargo bench --bench state                 every figure, as a table: some ten minutes, and 2 GB of disk
//! cargo bench --bench state -- streams      one section: revoke, rate, streams or set
//! cargo test --bench state                  every section, small: that it works, and that no success is stale
//! ```
//!
//! The upstream is a thread of this process, the load another. A time begins when the admin listener's answer has been
//! read here, so that what the load needs for its own turn is in it. Where a success is stale, or a stream ends that
//! should not, the bench panics.
//!
//! As it was on 2026-11-23 on two cores of an AMD EPYC; the store on ext4. That machine gives a process 20,000 descriptors, of
//! which a stream takes two. The real run asks for 10,000 streams.
//!
//! | what | figure | bound |
//! |---|---|---|
//! | revoke: asked to answered, idle | p50 1.25 ms, p99 1.57 ms, max 1.57 ms |  |
//! | revoke: answered to first refusal on each of 200 connections, idle | p50 2.55 ms, p99 4.18 ms, max 4.26 ms |  |
//! | revoke: stale successes after the answer, 15 rounds, idle | 0 | 0 |
//! | revoke: asked to answered, under load | p50 1.79 ms, p99 7.61 ms, max 7.61 ms |  |
//! | revoke: answered to first refusal on each of 200 connections, under load | p50 2.71 ms, p99 3.77 ms, max 3.82 ms |  |
//! | revoke: stale successes after the answer, 15 rounds, under load | 0 | 0 |
//! | rate: single ones, 1 at once | 2326/s; p50 0.38 ms, p99 0.89 ms, max 7.84 ms |  |
//! | rate: single ones, 32 at once | 21616/s; p50 1.38 ms, p99 3.14 ms, max 9.11 ms |  |
//! | rate: lists of 1000, 1 at once | 145495/s; p50 5.83 ms, p99 9.26 ms, max 67.80 ms |  |
//! | rate: lists of 1000, 4 at once | 222515/s; p50 15.71 ms, p99 83.92 ms, max 101.98 ms |  |
//! | rate: import of 1000000 lines | 140495/s; 7.1 s |  |
//! | streams: 9400 idle WebSockets, resident | 17.9 KiB each | 25 KiB |
//! | streams: processor while all are idle | 0.34 % of a core |  |
//! | streams: answered to Close, 94 of them by `jti` | p50 95.51 ms, p99 100.77 ms, max 100.77 ms | 1 s |
//! | streams: the others go on | 9306 of 9306 | all |
//! | streams: answered to Close, all 9306 by their subject | p50 246.68 ms, p99 478.13 ms, max 481.54 ms | 1 s |
//! | set: restart with 10000000 entries from the disk | 5.24 s to ready, 5.24 s to the first 200 | 20 s |
//! | set: restart with 10000000 entries from the disk, memory | 375 MiB resident, 375 MiB at the peak | 400 MB |
//! | set: restart with 10000000 entries from the page cache | 3.19 s to ready, 3.19 s to the first 200 | 20 s |
//! | set: restart with 10000000 entries from the page cache, memory | 374 MiB resident, 374 MiB at the peak | 400 MB |
//! | set: processor of a request, no entries | 14.63 µs, ratio 1.000 (of the least: 13.71 µs, 1.000) |  |
//! | set: processor of a request, no entries, another process | 14.55 µs, ratio 0.994 (of the least: 13.57 µs, 0.990) |  |
//! | set: processor of a request, 10000000 of `jti` | 14.64 µs, ratio 1.000 (of the least: 13.23 µs, 0.965) | 1.03 |
//! | set: processor of a request, 10000 of each of client, subject, session and jti | 14.86 µs, ratio 1.015 (of the least: 13.22 µs, 0.964) | 1.03 |
//!
//! The price of the entries is within what two processes without any differ by: a hundredth or two.

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
    /// Of revoking what is in use.
    rounds: usize,
    /// Of a round of requests.
    round: Duration,
    /// How long is revoked in each way.
    time: Duration,
    /// Of one import.
    lines: usize,
    streams: usize,
    /// How long nothing happens to them.
    idle: Duration,
    /// Of each gateway whose requests' price is compared.
    starts: usize,
    /// Of the large store.
    entries: usize,
}

const REAL: Size = Size {
    rounds: 15,
    round: Duration::from_secs(1),
    time: Duration::from_secs(5),
    lines: 1_000_000,
    streams: 10_000,
    idle: Duration::from_secs(10),
    starts: 6,
    entries: 10_000_000,
};

const SMOKE: Size = Size {
    rounds: 2,
    round: Duration::from_millis(50),
    time: Duration::from_millis(50),
    lines: 2_000,
    streams: 200,
    idle: Duration::from_millis(100),
    starts: 1,
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
