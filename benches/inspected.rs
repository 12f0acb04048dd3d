//! What looking into operations costs: the processor time of a request on a GraphQL route whose plans are remembered,
//! beside that of the same request on a route that asks for the same scopes and does not look.
//!
//! One process, one upstream, one token, each in turn, so that whatever else the machine does falls on both. Several
//! connections ask at once, as they do of a busy gateway: waking up for each request would hide what it costs.
//!
//! ```text
//! cargo bench --bench inspected              measure, and fail above LIMIT
//! cargo test --bench inspected               each is answered as it should be
//! ```

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

#[path = "scene/operation.rs"]
mod operation;
#[path = "scene/process.rs"]
mod process;
#[path = "instructions/traffic.rs"]
#[expect(dead_code, reason = "the other bench sends what this one does not")]
mod traffic;

use std::process::ExitCode;

use crate::process::{Process, median};
use crate::traffic::{Connection, Scene, Table};

/// The most that an inspected request may cost, in requests that are not.
const LIMIT: f64 = 1.10;

/// Requests a turn, and turns of each.
const REQUESTS: usize = 5_000;
const TURNS: usize = 41;

/// Connections that ask at once.
const CONNECTIONS: usize = 16;

fn main() -> ExitCode {
    let smoke = !std::env::args().any(|argument| argument == "--bench");
    let (requests, turns) = if smoke { (2 * CONNECTIONS, 1) } else { (REQUESTS, TURNS) };
    let directory = tempfile::tempdir().unwrap();
    let (scene, address) = (Scene::new(), process::free_address());
    let text = std::fs::read_to_string(scene.write(directory.path(), address, Table::One)).unwrap();
    let mut gateway = Process::spawn(directory.path(), &text);
    gateway.listens(address);
    let token = scene.token_for("user-000000000001", operation::SCOPES);
    let paths = ["/graphql", "/uninspected"];
    let asked = paths.map(|path| operation::post(path, &token));
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::open(address)).collect();
    let mut turn = |which: usize| {
        let before = gateway.cpu();
        for _ in 0..requests / CONNECTIONS {
            connections.iter_mut().for_each(|connection| connection.send(&asked[which]));
            for connection in &mut connections {
                assert_eq!(connection.receive(), 200, "{}", paths[which]);
            }
        }
        (gateway.cpu() - before).as_secs_f64() * 1e6 / (requests / CONNECTIONS * CONNECTIONS) as f64
    };
    let _warm = (turn(0), turn(1));
    let (mut looked, mut not, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..turns {
        let first = number % 2;
        let (one, other) = (turn(first), turn(1 - first));
        let (inspected, uninspected) = if first == 0 { (one, other) } else { (other, one) };
        looked.push(inspected);
        not.push(uninspected);
        ratios.push(inspected / uninspected);
    }
    let ratio = median(ratios);
    println!(
        "inspected {:.2} us of processor a request, not inspected {:.2} us: {ratio:.3} (median of {turns} turns of \
         {requests}; at most {LIMIT})",
        median(looked),
        median(not)
    );
    if smoke || ratio <= LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
