//! Tokens minted here, through the real binary on real sockets: what one costs, how many there are in a second, and what a
//! flood of wrong passwords does to requests that are none.
//!
//! ```text
//! cargo bench --bench authority             every figure, as a table: about a minute
//! cargo bench --bench authority -- flood    one section: mint or flood
//! cargo test --bench authority              every section, small: that it works
//! ```
//!
//! The upstream is a thread of this process, the load another. What is issued, refreshed and revoked is on the disk when it is
//! answered, but for a JWT without a family, of which nothing is kept.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

#[path = "state/client.rs"]
#[allow(dead_code, reason = "it is another bench's, too")]
mod client;
#[path = "authority/flood.rs"]
mod flood;
#[path = "authority/gateway.rs"]
mod gateway;
#[path = "authority/mint.rs"]
mod mint;
#[path = "scene/process.rs"]
#[allow(dead_code, reason = "it is another bench's, too")]
mod process;
#[path = "state/upstream.rs"]
mod upstream;

use std::time::Duration;

use tokio::runtime;

/// How much is done.
struct Size {
    /// Of each measurement.
    time: Duration,
    /// Measurements of the proxy with and without the flood, in turn.
    rounds: usize,
}

const REAL: Size = Size { time: Duration::from_secs(4), rounds: 3 };
const SMOKE: Size = Size { time: Duration::from_millis(300), rounds: 1 };

fn main() {
    let smoke = !std::env::args().any(|argument| argument == "--bench");
    let size = if smoke { SMOKE } else { REAL };
    let section = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| section.as_deref().is_none_or(|section| section == name);
    let upstream = upstream::start();
    println!("| what | figure | bound |\n|---|---|---|");
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let gateway = gateway::start(directory.path(), upstream).await;
        if wanted("mint") {
            mint::measure(&size, &gateway).await;
        }
        if wanted("flood") {
            flood::measure(&size, &gateway).await;
        }
    });
}

/// A line of the table.
fn row(what: &str, figure: &str, bound: &str) {
    println!("| {what} | {figure} | {bound} |");
}
