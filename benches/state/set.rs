//! Ten million entries: a restart with them, what they take, and what a request pays for them.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::revocation::Kind;
use portcullis::revocation::key::Key;
use portcullis::store::{BATCH, Change, Entry, Id, Store};
use rustix::fs::{Advice, fadvise};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::gateway::{Gateway, ISS, now, ready, until_answered};
use crate::process::median;
use crate::{Size, row, upstream};

/// Connections kept alive, and tokens that they take in turn.
const CONNECTIONS: usize = 64;
const TOKENS: usize = 100;

/// Batches on their way to the store's writer.
const UNDER_WAY: usize = 16;

/// Of each of the kinds that a token of ours has: none of the entries is about one of them.
const FOUR: [Kind; 4] = [Kind::Client, Kind::Subject, Kind::Session, Kind::Jti];
const OF_EACH: usize = 10_000;

/// Rounds of each between two starts.
const ROUNDS: usize = 4;

/// What a request may cost with all entries, of what it costs without.
const BOUND: &str = "1.03";

pub(crate) async fn measure(size: &Size, upstream: SocketAddr) {
    let many = store(&[Kind::Jti], size.entries).await;
    let entries = size.entries;
    for on_disk in [true, false] {
        if on_disk {
            forget_pages(&many.path().join("portcullis.db"));
        }
        let from = if on_disk { "from the disk" } else { "from the page cache" };
        let what = format!("set: restart with {entries} entries {from}");
        restart(many.path(), upstream, &what).await;
    }
    cost(size, many.path()).await;
}

/// A store with so many entries of each kind.
async fn store(kinds: &[Kind], of_each: usize) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&directory.path().join("portcullis.db")).unwrap());
    let mut appending = JoinSet::new();
    for &kind in kinds {
        for from in (0..of_each).step_by(BATCH) {
            if appending.len() == UNDER_WAY {
                appending.join_next().await.unwrap().unwrap();
            }
            let batch: Vec<Change> =
                (from..of_each.min(from + BATCH)).map(|number| added(kind, number)).collect();
            let store = Arc::clone(&store);
            appending.spawn(async move {
                store.append(batch).await.unwrap();
            });
        }
    }
    appending.join_all().await;
    Arc::into_inner(store).unwrap().close();
    directory
}

/// An entry about nobody's token.
fn added(kind: Kind, number: usize) -> Change {
    let created = now();
    Change::Added(Entry {
        id: Id::new(created as u64 * 1_000).unwrap(),
        kind: kind.name().into(),
        key: Key::new(kind, ISS, &format!("{number:032x}")).0,
        issuer: ISS.into(),
        not_before: None,
        expires: Some(created + 86_400),
        reason: "".into(),
        actor: "bench".into(),
        created,
    })
}

/// Lets the next reader read from the disk.
fn forget_pages(file: &Path) {
    let file = File::open(file).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

async fn restart(directory: &Path, upstream: SocketAddr, what: &str) {
    let begun = Instant::now();
    let gateway = Gateway::spawn(directory, upstream, 2);
    let (admin, public) = (gateway.admin, gateway.address);
    let request = gateway.request("after-the-start");
    let (readyz, first) = tokio::join!(
        async {
            until_answered(admin, &ready()).await;
            begun.elapsed()
        },
        async {
            until_answered(public, &request).await;
            begun.elapsed()
        }
    );
    let times =
        format!("{:.2} s to ready, {:.2} s to the first 200", readyz.as_secs_f64(), first.as_secs_f64());
    row(what, &times, "20 s");
    let mebibytes = |which| gateway.memory(which) / 1024.0;
    let memory = format!("{:.0} MiB resident, {:.0} MiB at the peak", mebibytes("VmRSS"), mebibytes("VmHWM"));
    row(&format!("{what}, memory"), &memory, "400 MB");
}

/// Gateways with and without entries, each for a round in turn: alone on one core, and the load on another. Where its
/// memory happens to lie makes one process up to a tenth dearer than another that does the same: all are started anew some
/// times, and one without entries is compared with another.
async fn cost(size: &Size, many: &Path) {
    let (none, again) = (store(&[], 0).await, store(&[], 0).await);
    let four = store(&FOUR, OF_EACH.min(size.entries)).await;
    let [ours, theirs] = cores();
    sched_setaffinity(None, &ours).unwrap();
    let upstream = upstream::start();
    let mut costs: [Vec<f64>; 4] = Default::default();
    for _ in 0..size.starts {
        let mut subjects = Vec::new();
        for directory in [none.path(), again.path(), many, four.path()] {
            // A child has the cores of who started it.
            sched_setaffinity(None, &theirs).unwrap();
            let gateway = Gateway::spawn(directory, upstream, 1);
            sched_setaffinity(None, &ours).unwrap();
            let mut subject = Subject::new(gateway).await;
            subject.round(size.round).await;
            subjects.push(subject);
        }
        for round in 0..ROUNDS {
            for turn in 0..costs.len() {
                // None is always the first, nor always behind the same other.
                let turn = if round % 2 == 0 { turn } else { costs.len() - 1 - turn };
                costs[turn].push(subjects[turn].round(size.round).await);
            }
        }
    }
    let entries = size.entries;
    let of_each = OF_EACH.min(entries);
    let names = [
        ("no entries".to_owned(), ""),
        ("no entries, another process".to_owned(), ""),
        (format!("{entries} of `jti`"), BOUND),
        (format!("{of_each} of each of client, subject, session and jti"), BOUND),
    ];
    for (with, (name, bound)) in costs.iter().zip(names) {
        let ratio = |of: &dyn Fn(Vec<f64>) -> f64| of(with.clone()) / of(costs[0].clone());
        let least = |costs: Vec<f64>| costs.into_iter().fold(f64::INFINITY, f64::min);
        let figures = format!(
            "{:.2} µs, ratio {:.3} (of the least: {:.2} µs, {:.3})",
            median(with.clone()),
            ratio(&median),
            least(with.clone()),
            ratio(&least)
        );
        row(&format!("set: processor of a request, {name}"), &figures, bound);
    }
}

struct Subject {
    gateway: Gateway,
    requests: Vec<Arc<[u8]>>,
    connections: Vec<Connection>,
}

impl Subject {
    async fn new(gateway: Gateway) -> Self {
        until_answered(gateway.admin, &ready()).await;
        let requests = (0..TOKENS).map(|number| gateway.request(&format!("live-{number}")).into()).collect();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(gateway.address).await);
        }
        Self { gateway, requests, connections }
    }

    /// Microseconds of processor time a request.
    async fn round(&mut self, time: Duration) -> f64 {
        let before = self.gateway.process.cpu();
        let end = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for (start, mut connection) in self.connections.drain(..).enumerate() {
            let requests = self.requests.clone();
            tasks.spawn(async move {
                let mut count = 0;
                while Instant::now() < end {
                    let answer = connection.send(&requests[(start + count) % requests.len()]).await;
                    assert_eq!(answer.status, 200);
                    count += 1;
                }
                (connection, count)
            });
        }
        let mut requests = 0;
        for (connection, count) in tasks.join_all().await {
            self.connections.push(connection);
            requests += count;
        }
        let used = self.gateway.process.cpu() - before;
        used.as_secs_f64() * 1e6 / requests as f64
    }
}

/// The first two cores that we may have: for the load, and for the gateway. Where there is one, they share it.
fn cores() -> [CpuSet; 2] {
    let allowed = sched_getaffinity(None).unwrap();
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let first = cores.next().expect("we run on one");
    [first, cores.next().unwrap_or(first)].map(|core| {
        let mut set = CpuSet::new();
        set.set(core);
        set
    })
}
