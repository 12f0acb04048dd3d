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
//! As it was on 2026-11-22 on two cores that compilers of others shared (a load of 5 to 7, for `set` of 3); the store on ext4. That
//! machine gives a process 20,000 descriptors, of which a stream takes two. The real run asks for 10,000 streams.
//!
//! | what | figure | bound |
//! |---|---|---|
//! | revoke: asked to answered, idle | p50 1.51 ms, p99 9.08 ms, max 9.08 ms |  |
//! | revoke: answered to first refusal on each of 200 connections, idle | p50 3.03 ms, p99 9.21 ms, max 9.31 ms |  |
//! | revoke: stale successes after the answer, 15 rounds, idle | 0 | 0 |
//! | revoke: asked to answered, under load | p50 7.23 ms, p99 14.17 ms, max 14.17 ms |  |
//! | revoke: answered to first refusal on each of 200 connections, under load | p50 3.60 ms, p99 7.47 ms, max 7.54 ms |  |
//! | revoke: stale successes after the answer, 15 rounds, under load | 0 | 0 |
//! | rate: single ones, 1 at once | 1431/s; p50 0.45 ms, p99 4.49 ms, max 11.26 ms |  |
//! | rate: single ones, 32 at once | 12403/s; p50 2.13 ms, p99 9.03 ms, max 28.64 ms |  |
//! | rate: lists of 1000, 1 at once | 102271/s; p50 7.26 ms, p99 32.78 ms, max 123.00 ms |  |
//! | rate: lists of 1000, 4 at once | 75751/s; p50 40.26 ms, p99 171.78 ms, max 188.01 ms |  |
//! | rate: import of 1000000 lines | 84010/s; 11.9 s |  |
//! | streams: 9400 idle WebSockets, resident | 18.9 KiB each | 25 KiB |
//! | streams: processor while all are idle | 0.61 % of a core |  |
//! | streams: answered to Close, 94 of them by `jti` | p50 19.60 ms, p99 53.01 ms, max 53.01 ms | 1 s |
//! | streams: the others go on | 9306 of 9306 | all |
//! | streams: answered to Close, all 9306 by their subject | p50 329.26 ms, p99 539.72 ms, max 543.96 ms | 1 s |
//! | set: restart with 10000000 entries from the disk | 11.19 s to ready, 11.19 s to the first 200 | 20 s |
//! | set: restart with 10000000 entries from the disk, memory | 371 MiB resident, 371 MiB at the peak | 400 MB |
//! | set: restart with 10000000 entries from the page cache | 6.44 s to ready, 6.44 s to the first 200 | 20 s |
//! | set: restart with 10000000 entries from the page cache, memory | 371 MiB resident, 371 MiB at the peak | 400 MB |
//! | set: processor of a request, no entries | 12.98 µs, ratio 1.000 (of the least: 11.54 µs, 1.000) |  |
//! | set: processor of a request, no entries, another process | 12.82 µs, ratio 0.988 (of the least: 11.75 µs, 1.017) |  |
//! | set: processor of a request, 10000000 of `jti` | 13.14 µs, ratio 1.013 (of the least: 11.92 µs, 1.032) | 1.03 |
//! | set: processor of a request, 10000 of each of client, subject, session and jti | 12.93 µs, ratio 0.997 (of the least: 11.76 µs, 1.019) | 1.03 |
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
