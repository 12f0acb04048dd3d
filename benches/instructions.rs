//! What a request costs, counted: instructions, allocations, clock reads and system calls of the released binary.
//!
//! Wall time on a shared machine cannot tell a change of two in a hundred; callgrind counts the same twice. The
//! gateway runs whole, as it is released, on real sockets; the counters are set to zero once it is warm, and read after
//! [`REQUESTS`] requests over one connection. What the kernel does is not counted, but how often it is asked is.
//!
//! ```text
//! cargo test --bench instructions -- check     build the release, count, and fail where more is spent than the baseline
//! cargo test --bench instructions -- retake    count, and write the baseline anew
//! cargo test --bench instructions -- show      count, and compare with nothing
//! cargo test --bench instructions              no counting: every mix is answered as it should be
//! ```
//!
//! Beside the baseline, what the design promises is held: allocations a cached request, refusals cheaper than permissions,
//! ten thousand routes as cheap as one, an operation that was planned before little dearer than one not looked into, an API key
//! that was looked up before as cheap as a token that was verified before.
//!
//! `PORTCULLIS_BINARY` names another binary to count, `PORTCULLIS_CALLGRIND` a directory that keeps what callgrind wrote
//! (`callgrind_annotate` reads it). The counts belong to a compiler and, through the C library's choice of routines, to
//! a kind of processor: any x86-64 with AVX2.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

#[path = "instructions/baseline.rs"]
mod baseline;
#[path = "instructions/counted.rs"]
mod counted;
#[path = "instructions/gateway.rs"]
mod gateway;
#[path = "scene/operation.rs"]
mod operation;
#[path = "instructions/traffic.rs"]
mod traffic;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::baseline::Baseline;
use crate::counted::Counts;
use crate::gateway::{Gateway, Valgrind};
use crate::traffic::{Connection, Scene, Table};

/// Requests counted a mix.
const REQUESTS: usize = 1_000;

/// Requests before: pools, memo and the maps of a connection's life are then as large as they will be.
const WARM_UP: usize = 200;

/// Requests a mix when nothing is counted.
const SMOKE: usize = 3;

fn main() -> ExitCode {
    let mode = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    match mode.as_deref() {
        None => {
            each_mix(None, Path::new(env!("CARGO_BIN_EXE_portcullis")));
            counted::reads_what_callgrind_writes();
            baseline::fails_when_more_is_spent();
            println!("instructions: every mix is answered; `-- check` counts them");
            ExitCode::SUCCESS
        }
        Some("show") => {
            Baseline::default().print(&count());
            ExitCode::SUCCESS
        }
        Some("retake") => {
            let counted = count();
            let baseline = Baseline::of(&counted);
            baseline.print(&counted);
            baseline.write();
            ExitCode::SUCCESS
        }
        Some("check") => check(),
        Some(other) => {
            println!("{other}: neither check, retake nor show");
            ExitCode::from(2)
        }
    }
}

fn check() -> ExitCode {
    let baseline = Baseline::read();
    if let Err(why) = baseline.is_of_this_compiler() {
        println!("{why}");
        return ExitCode::FAILURE;
    }
    let counted = count();
    baseline.print(&counted);
    let faults = baseline.faults(&counted);
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Counts every mix, in order, with its name.
fn count() -> Vec<(&'static str, Counts)> {
    let binary = std::env::var_os("PORTCULLIS_BINARY").map_or_else(release, PathBuf::from);
    let kept = std::env::var_os("PORTCULLIS_CALLGRIND").map(PathBuf::from);
    each_mix(Some(&Valgrind { kept }), &binary)
}

/// The release, built where Cargo puts it.
fn release() -> PathBuf {
    let cargo = std::env::var_os("CARGO").expect("Cargo runs this");
    let built = Command::new(cargo)
        .args(["build", "--release", "--bin", "portcullis", "--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "the release does not build");
    let said = String::from_utf8(built.stdout).expect("JSON");
    let messages = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next_back().expect("an executable")
}

/// One kind of request, many times over one connection; each in its turn, if there are several.
struct Mix {
    name: &'static str,
    requests: Vec<Vec<u8>>,
    status: u16,
}

/// Runs all mixes: those of one route against one gateway, those of many against another.
fn each_mix(valgrind: Option<&Valgrind>, binary: &Path) -> Vec<(&'static str, Counts)> {
    let scene = Scene::new();
    let good = scene.token("user-000000000001");
    let bad = format!("{}AAAA", &good[..good.len() - 4]);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let mix = |name, target: &str, credential: &str, status| Mix {
        name,
        requests: vec![traffic::request(target, credential)],
        status,
    };
    let writer = scene.token_for("user-000000000002", operation::SCOPES);
    let post = |name, path| Mix { name, requests: vec![operation::post(path, &writer)], status: 200 };
    let sent = if valgrind.is_some() { WARM_UP + REQUESTS } else { SMOKE };
    let new = (0..sent).map(|id| bearer(&scene.token(&format!("user-{id:012}"))));
    let new = new.map(|credential| traffic::request("/service0/orders/123", &credential)).collect();
    let one = [
        mix("plain", "/public/123", "", 200),
        mix("cached", "/service0/orders/123", &bearer(&good), 200),
        mix("no_token", "/service0/orders/123", "", 401),
        mix("garbage", "/service0/orders/123", &bearer("abc.def.ghi"), 401),
        mix("bad_token_remembered", "/service0/orders/123", &bearer(&bad), 401),
        Mix { name: "new_token_rs256", requests: new, status: 200 },
        post("uninspected_post", "/uninspected"),
        post("graphql_post", "/graphql"),
    ];
    let many = [mix("cached_10000_routes", "/service9999/orders/123", &bearer(&good), 200)];
    let key = format!("X-Api-Key: {}\r\n", traffic::KEY);
    let keyed = [mix("api_key", "/service0/orders/123", &key, 200)];
    let mut counted = run(&one, &mut Gateway::start(binary, valgrind, &scene, Table::One));
    counted.extend(run(&many, &mut Gateway::start(binary, valgrind, &scene, Table::Many)));
    counted.extend(run(&keyed, &mut Gateway::start(binary, valgrind, &scene, Table::Keyed)));
    counted
}

fn run(mixes: &[Mix], gateway: &mut Gateway) -> Vec<(&'static str, Counts)> {
    let counts = mixes.iter().map(|mix| {
        let mut connection = Connection::open(gateway.address);
        let mut requests = mix.requests.iter().cycle();
        let mut send = |count| {
            for request in requests.by_ref().take(count) {
                assert_eq!(connection.ask(request), mix.status, "{}", mix.name);
            }
        };
        if !gateway.is_counted() {
            send(SMOKE);
            return (mix.name, Counts::default());
        }
        send(WARM_UP);
        gateway.zero();
        send(REQUESTS);
        (mix.name, gateway.counts(mix.name).each(REQUESTS as f64))
    });
    counts.collect()
}
