//! The real binary on real sockets, as a ratio to the same upstream without it.
//!
//! Wall time on a shared machine says little; the processor time of the gateway per request, and the ratio of
//! the two throughputs measured in turn, say more. Comparison with other gateways is another bench's work.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

#[path = "scene/process.rs"]
mod process;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis::keys::rotation::SigningKey;
use portcullis::token::Algorithm;
use serde_json::json;

use crate::process::{Process, median};

/// One measurement, a line each.
#[derive(Clone, Copy)]
struct Options {
    name: &'static str,
    algorithm: Option<Algorithm>,
    connections: usize,
    tokens: usize,
}

fn opts(name: &'static str) -> Options {
    Options { name, algorithm: None, connections: 64, tokens: 1 }
}

impl Options {
    fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }
    fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }
    fn tokens(mut self, tokens: usize) -> Self {
        self.tokens = tokens;
        self
    }

    /// Measures the gateway and the bare upstream in turn, and prints medians and their ratio.
    fn bench(self, upstream: SocketAddr, round: Duration, rounds: usize) {
        let directory = tempfile::tempdir().unwrap();
        let requests = Arc::new(self.requests(directory.path()));
        let gateway = Gateway::start(directory.path(), upstream, self.algorithm);
        let (mut through, mut direct, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        load(gateway.address, &requests, self.connections, round / 4);
        for _ in 0..rounds {
            let before = gateway.process.cpu();
            let count = load(gateway.address, &requests, self.connections, round);
            cpu.push((gateway.process.cpu() - before).as_secs_f64() * 1e6 / count as f64);
            through.push(count as f64 / round.as_secs_f64());
            direct.push(load(upstream, &requests, self.connections, round) as f64 / round.as_secs_f64());
        }
        let (through, direct) = (median(through), median(direct));
        println!(
            "{:24} {through:9.0} requests/s  {:.2} of the bare upstream  {:6.1} us of processor a request",
            self.name,
            through / direct,
            median(cpu)
        );
    }

    /// Requests to cycle through, and the key set they need.
    fn requests(&self, directory: &Path) -> Vec<Vec<u8>> {
        let head = |authorization: String| {
            format!("GET /orders/123 HTTP/1.1\r\nHost: api.test\r\nUser-Agent: bench\r\nAccept: */*\r\n{authorization}\r\n").into_bytes()
        };
        let Some(algorithm) = self.algorithm else { return vec![head(String::new())] };
        let key = SigningKey::generate(algorithm).unwrap();
        std::fs::write(directory.join("jwks.json"), json!({"keys": [key.public_jwk().unwrap()]}).to_string())
            .unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let token = |id: usize| {
            let claims = json!({
                "iss": "https://idp.test/", "aud": "orders-api", "sub": format!("user-{id:012}"), "azp": "web-frontend",
                "iat": now, "nbf": now - 60, "exp": now + 3600, "jti": format!("{id:032x}"),
                "scope": "openid profile orders:read orders:write",
            });
            head(format!("Authorization: Bearer {}\r\n", key.mint(&claims, "JWT").unwrap()))
        };
        (0..self.tokens).map(token).collect()
    }
}

struct Gateway {
    process: Process,
    address: SocketAddr,
}

impl Gateway {
    fn start(directory: &Path, upstream: SocketAddr, algorithm: Option<Algorithm>) -> Self {
        let address = process::free_address();
        let (issuers, require) = match algorithm {
            None => ("", "public"),
            Some(_) => (
                "issuers: {idp: {issuer: https://idp.test/, audience: orders-api, keys: {jwks: {file: jwks.json}}}}\n",
                "orders:read",
            ),
        };
        let text = format!(
            "version: 1\nworkers: 1\nlisteners: [{address}]\nupstreams: {{up: http://{upstream}}}\nkey_mirror: none\n\
             {issuers}routes:\n  /{{*rest}}: {require}\nlog: {{level: warn, access: false}}\n"
        );
        let mut process = Process::spawn(directory, &text);
        process.listens(address);
        Self { process, address }
    }
}

/// Sends requests over this many connections, each waiting for its answer; counts the answers, all of them 200.
fn load(to: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, connections: usize, time: Duration) -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..connections)
        .map(|start| {
            let (requests, stop) = (Arc::clone(requests), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(to).unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut answer, mut count) = (vec![0; 4096], 0);
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(&requests[(start + count as usize) % requests.len()]).unwrap();
                    read_answer(&mut stream, &mut answer);
                    count += 1;
                }
                count
            })
        })
        .collect();
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

fn read_answer(stream: &mut TcpStream, answer: &mut [u8]) {
    let mut filled = 0;
    while filled < ANSWER.len() || !answer[..filled].ends_with(BODY_END) {
        let count = stream.read(&mut answer[filled..]).unwrap();
        assert!(count > 0, "closed: {}", String::from_utf8_lossy(&answer[..filled]));
        filled += count;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..filled]));
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"order\":123,\"state\":\"new\"}";
const BODY_END: &[u8] = b"\"state\":\"new\"}";

/// Answers every request with the same octets.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut buffer = vec![0; 16 * 1024];
                let mut filled = 0;
                while let Ok(count @ 1..) = stream.read(&mut buffer[filled..]) {
                    filled += count;
                    if buffer[..filled].ends_with(b"\r\n\r\n") {
                        filled = 0;
                        if stream.write_all(ANSWER).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` run each once, so that none rots.
    let smoke = std::env::args().any(|argument| argument == "--test")
        || !std::env::args().any(|argument| argument == "--bench");
    let (round, rounds) = if smoke { (Duration::from_millis(200), 1) } else { (Duration::from_secs(2), 5) };
    let upstream = upstream();
    let all = [
        opts("public"),
        opts("ES256 one token").algorithm(Algorithm::ES256),
        opts("RS256 one token").algorithm(Algorithm::RS256),
        opts("ES256 5,000 tokens").algorithm(Algorithm::ES256).tokens(5_000),
        opts("ES256 one connection").algorithm(Algorithm::ES256).connections(1),
    ];
    for options in all {
        options.bench(upstream, round, rounds);
    }
}
