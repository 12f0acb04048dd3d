//! The set of revocations: what a look-up, a load and a change cost, against two concurrent maps.
//!
//! ```text
//! cargo bench --bench revocation                 the table, at 10⁴, 10⁶ and 10⁷ entries: some minutes
//! cargo bench --bench revocation -- ours 1e7     one candidate, one size, in this process
//! cargo test --bench revocation                  every candidate at 10⁴, and that it answers right
//! ```
//!
//! Each figure comes of a process of its own, whose memory is that of one set. Two threads look up while a third adds
//! a thousand entries a second, ten at a time. A look-up is timed in chains of sixteen, each of which begins with the
//! answer of the one before, so that the processor cannot do several at once; the median and the 99th of a hundred
//! chains are given, a look-up. What a chain costs that looks nothing up is taken off.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

use std::collections::hash_map::RandomState;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use portcullis::revocation::held::{Held, Id};
use portcullis::revocation::key::Key;
use portcullis::revocation::loading::Loading;
use portcullis::revocation::{Asked, Kind, Revocations};
use portcullis::token::NumericDate;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: NumericDate = NumericDate(1_800_000_000);

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match arguments.as_slice() {
        [name, size] => {
            let size = size.parse::<f64>().expect("a size such as 1e6") as u64;
            println!("{}", measured(name, size, Duration::from_secs(3)));
        }
        _ if std::env::args().any(|argument| argument == "--bench") => table(),
        _ => {
            for name in CANDIDATES {
                println!("{}", measured(name, 10_000, Duration::from_millis(20)));
            }
        }
    }
}

/// `floor` is what one load costs from memory as large as our filters.
const CANDIDATES: [&str; 4] = ["ours", "dashmap", "papaya", "floor"];

fn table() {
    println!(
        "| set | entries | load | resident | at its peak | miss p50 | p99 | hit p50 | p99 | ten added |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for size in ["1e4", "1e6", "1e7"] {
        for name in CANDIDATES {
            let here = std::env::current_exe().expect("this program");
            let said = Command::new(here).args([name, size]).output().expect("this program runs").stdout;
            print!("{}", String::from_utf8(said).expect("a row"));
        }
    }
}

/// What is compared.
trait Candidate: Sync {
    /// Adds a batch while others read.
    fn add(&self, batch: &mut dyn Iterator<Item = Held>);
    fn revokes(&self, key: Key) -> bool;
}

struct Ours(ArcSwap<Revocations>);

/// What a map keeps beside the key.
type Rest = [u32; 3];

fn rest(held: &Held) -> Rest {
    [held.id.0 as u32, u32::MAX, u32::MAX]
}

impl Candidate for Ours {
    fn add(&self, batch: &mut dyn Iterator<Item = Held>) {
        self.0.store(Arc::new(self.0.load().with(batch, &[], NOW)));
    }
    fn revokes(&self, key: Key) -> bool {
        let asked = Asked { keys: &[(Kind::Jti, key)], issued_at: Some(NOW), leeway: 30 };
        self.0.load().revoked(&asked, NOW).is_some()
    }
}

/// Nothing is ever found in it.
struct Floor(Vec<u64>);

impl Candidate for Floor {
    fn add(&self, batch: &mut dyn Iterator<Item = Held>) {
        batch.for_each(drop);
    }
    fn revokes(&self, key: Key) -> bool {
        let half = u64::from_be_bytes(*key.0.last_chunk().expect("sixteen octets"));
        self.0[((u128::from(half) * self.0.len() as u128) >> 64) as usize] == 1
    }
}

impl Candidate for DashMap<Key, Rest, RandomState> {
    fn add(&self, batch: &mut dyn Iterator<Item = Held>) {
        batch.for_each(|held| {
            self.insert(held.key, rest(&held));
        });
    }
    fn revokes(&self, key: Key) -> bool {
        self.get(&key).is_some_and(|rest| rest[1] != 0)
    }
}

impl Candidate for papaya::HashMap<Key, Rest, RandomState> {
    fn add(&self, batch: &mut dyn Iterator<Item = Held>) {
        let map = self.pin();
        batch.for_each(|held| {
            map.insert(held.key, rest(&held));
        });
    }
    fn revokes(&self, key: Key) -> bool {
        self.pin().get(&key).is_some_and(|rest| rest[1] != 0)
    }
}

/// One row of the table.
fn measured(name: &str, size: u64, time: Duration) -> String {
    let before = memory("VmRSS");
    let start = Instant::now();
    let candidate: Box<dyn Candidate> = match name {
        "ours" => {
            let mut loading = Loading::default();
            (0..size).for_each(|id| loading.push(&held(id)));
            let set = loading.finish(NOW);
            assert_eq!(set.len(Kind::Jti), size as usize);
            Box::new(Ours(ArcSwap::from_pointee(set)))
        }
        "dashmap" => Box::new(filled(DashMap::with_hasher(RandomState::new()), size)),
        "floor" => Box::new(Floor((0..size * 12 / 64 + 1).map(|word| word << 63).collect())),
        "papaya" => Box::new(filled(papaya::HashMap::with_hasher(RandomState::new()), size)),
        other => panic!("{other}: none of {CANDIDATES:?}"),
    };
    let loaded = start.elapsed();
    let resident = memory("VmRSS").saturating_sub(before);
    assert_eq!(candidate.revokes(number(0)), name != "floor");
    let (miss, hit, added) = read_and_written(&*candidate, size, time);
    let peak = memory("VmHWM").saturating_sub(before);
    format!(
        "| {name} | {size} | {:.2} s | {resident} MB | {peak} MB | {} ns | {} ns | {} ns | {} ns | {} µs |",
        loaded.as_secs_f64(),
        miss.0,
        miss.1,
        hit.0,
        hit.1,
        added.as_micros()
    )
}

fn filled<C: Candidate>(map: C, size: u64) -> C {
    map.add(&mut (0..size).map(held));
    map
}

/// Misses and hits a look-up (median, 99th), and the mean time that ten entries took to be added.
fn read_and_written(
    candidate: &dyn Candidate,
    size: u64,
    time: Duration,
) -> ((u64, u64), (u64, u64), Duration) {
    let (done, until_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let (mut from, mut busy, mut batches) = (size, Duration::ZERO, 0);
            let start = Instant::now();
            loop {
                let begun = Instant::now();
                candidate.add(&mut (from..from + 10).map(held));
                busy += begun.elapsed();
                (from, batches) = (from + 10, batches + 1);
                let next = start + Duration::from_millis(10) * batches;
                let pause = next.saturating_duration_since(Instant::now());
                if until_done.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return busy / batches;
                }
            }
        });
        let readers = [1, 2].map(|seed| scope.spawn(move || timed(candidate, size, seed, time)));
        let [(miss, hit), _] = readers.map(|reader| reader.join().expect("a reader"));
        drop(done);
        (miss, hit, writer.join().expect("a writer"))
    })
}

fn timed(candidate: &dyn Candidate, size: u64, seed: u64, time: Duration) -> ((u64, u64), (u64, u64)) {
    // Beyond what is ever added: these are never found.
    let miss = |at: u64| number((1 << 40) + at);
    let finds = candidate.revokes(number(0));
    let hit = |at: u64| number(((u128::from(mixed(at)) * u128::from(size)) >> 64) as u64);
    let mut at = seed << 32;
    let mut chains = |key: &dyn Fn(u64) -> Key, expected: bool| {
        let (mut taken, mut empty) = (Vec::with_capacity(MOST_CHAINS), Vec::with_capacity(MOST_CHAINS));
        let start = Instant::now();
        while start.elapsed() < time {
            let begun = Instant::now();
            for _ in 0..CHAIN {
                at += u64::from(black_box(key(black_box(at))).0[0] < 255) + 1;
            }
            let empty_chain = begun.elapsed().as_nanos() as u64;
            let begun = Instant::now();
            let mut count = 0;
            for _ in 0..CHAIN {
                let found = u64::from(candidate.revokes(key(at)));
                count += found;
                at += found + 1;
            }
            let chain = begun.elapsed().as_nanos() as u64;
            // As many as fit: the memory that is measured is the set's.
            if taken.len() < MOST_CHAINS {
                empty.push(empty_chain);
                taken.push(chain);
            }
            assert_eq!(count, if expected { CHAIN } else { 0 }, "{at}");
        }
        let overhead = quantile(&mut empty, 50);
        let a_look_up = |of: u64| of.saturating_sub(overhead) / CHAIN;
        (a_look_up(quantile(&mut taken, 50)), a_look_up(quantile(&mut taken, 99)))
    };
    (chains(&miss, false), chains(&hit, finds))
}

const CHAIN: u64 = 16;
/// Chains of which times are kept, a thread.
const MOST_CHAINS: usize = 100_000;

fn quantile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    values[values.len() * percent / 100]
}

fn held(id: u64) -> Held {
    Held { id: Id(id), kind: Kind::Jti, key: number(id), not_before: None, expires: None }
}

/// A key as good as a hash, without one's price.
fn number(of: u64) -> Key {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&mixed(of).to_be_bytes());
    octets[8..].copy_from_slice(&mixed(of ^ 0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Key(octets)
}

/// SplitMix64's last step.
fn mixed(of: u64) -> u64 {
    let of = of.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let of = (of ^ (of >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let of = (of ^ (of >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    of ^ (of >> 31)
}

/// Megabytes that the process holds, or ever held.
fn memory(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(which)).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") / 1024
}
