//! slowhttptest in its three modes: heads, bodies and reads that trickle (threats D6). Each connection is ended by a
//! deadline of ours, and a healthy client notices nothing.

use std::time::Duration;

use crate::external::tools;
use crate::external::watch::Watch;
use crate::harness::api::{Api, assert_allowed, usual};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::{eventually, wait_until};

/// What an answer of the slow readers' weighs: more than socket buffers take.
const LARGE: usize = 4 << 20;

/// A piece of it.
static PIECE: [u8; 16 << 10] = [b'a'; 16 << 10];

/// Resident memory that an attack of [`CONNECTIONS`] may add: 64 MiB (threats 2I).
const MEMORY_KIB: u64 = 64 << 10;

/// Connections of an attack.
const CONNECTIONS: usize = 600;

/// Seconds that an attack lasts.
const SECONDS: usize = 12;

fn api() -> Api {
    let upstream = Upstream::start();
    // In pieces: hundreds of whole answers would be the test's own memory.
    upstream.on("/large", |exchange| {
        exchange.body()?;
        let head = format!("HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: {LARGE}\r\n\r\n");
        exchange.write(head.as_bytes())?;
        for _ in 0..LARGE / PIECE.len() {
            exchange.write(&PIECE)?;
        }
        Ok(Then::Keep)
    });
    let issuer = Issuer::start();
    let setup = usual(&upstream).issuer("corp", &issuer).quiet();
    let setup = setup.route("/large", "public").route("POST /forms", "public");
    let gateway = setup.limits("header_time: 3s, idle_time: 3s, body_rate: 1KiB, write_stall: 2s").start();
    Api { gateway, upstream, issuer }
}

/// Attacks with these arguments, and expects a healthy client to be served, and every connection to be ended.
#[track_caller]
fn attack(mode: &str, target: &str, arguments: &[&str]) {
    let api = api();
    assert_allowed(&api.gateway.send(&Request::get("/large")));
    let quiet = Watch::quiet(api.gateway.ports.public);
    let (descriptors, resident) = (api.gateway.descriptors(), api.gateway.resident_kib());
    let url = format!("http://{}{target}", api.gateway.ports.public);
    let (connections, seconds) = (CONNECTIONS.to_string(), SECONDS.to_string());
    let watch = Watch::start(api.gateway.ports.public);
    let mut command = tools::program("slowhttptest");
    command.args(["-c", &connections, "-r", "200", "-l", &seconds, "-p", "3", "-u", &url]).args(arguments);
    let attack = std::thread::spawn(move || tools::output(&mut command));
    let (mut most, mut most_descriptors) = (resident, descriptors);
    wait_until("the attack is over", || {
        most = most.max(api.gateway.resident_kib());
        most_descriptors = most_descriptors.max(api.gateway.descriptors());
        attack.is_finished()
    });
    let served = watch.end();
    let said = attack.join().expect("it ends well");
    println!(
        "slowhttptest {mode}: {CONNECTIONS} connections, healthy client {} answers, p99 {:?} (quiet {:?}), worst {:?}; \
         resident {} KiB more at most",
        served.count,
        served.p99,
        quiet.p99,
        served.worst,
        most.saturating_sub(resident)
    );
    assert!(most_descriptors > descriptors + CONNECTIONS / 2, "hardly anybody attacked: {said}");
    assert!(said.contains("service available:") && !said.contains("NO"), "{said}");
    served.within_three_times(&quiet);
    assert!(most < resident + MEMORY_KIB, "{resident} KiB, then {most} KiB");
    let over = || api.gateway.descriptors() <= descriptors + 8;
    assert!(
        eventually(Duration::from_secs(5), over),
        "connections stay: {} of {descriptors}",
        api.gateway.descriptors()
    );
}

#[test]
fn d6_slow_heads() {
    attack("-H", "/health", &["-H", "-i", "1", "-t", "GET", "-x", "24"]);
}

#[test]
fn d6_slow_bodies() {
    attack("-B", "/forms", &["-B", "-i", "1", "-t", "POST", "-s", "8192", "-x", "10"]);
}

#[test]
fn d6_slow_reads() {
    attack("-X", "/large", &["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "3"]);
}
