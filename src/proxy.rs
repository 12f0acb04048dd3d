//! The data plane: listeners, connections, and the way upstream.
//!
//! One thread a worker, each with its own listeners (`SO_REUSEPORT`), runtime, memo and upstream pool: nothing
//! on a request's path is shared but the snapshot and the counters. A connection never leaves its worker.

mod access_log;
mod address;
mod admission;
mod anew;
mod balance;
mod buffer;
mod connection;
mod conversation;
mod deadline;
mod downstream;
mod duplex;
mod endpoint;
mod entrance;
mod exchange;
mod forward;
mod h2;
mod handshake;
mod health;
mod inspected;
mod judge;
pub mod listening;
mod narrowed;
mod parting;
mod pool;
mod proxy_header;
mod reach;
pub mod recall;
mod recheck;
mod refuse;
mod relay;
mod renewal;
mod request_id;
mod reserved;
mod signatures;
mod sparse;
mod stream;
mod tunnel;
mod turn;
mod whole;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Listener;
use crate::config::defaults::GRAPHQL_PLANS;
use crate::config::limits::Limits;
use crate::gate::call::AskAuthority;
use crate::gate::evidence::{AskKeys, AskRecord};
use crate::gate::reserved::Seal;
use crate::metrics::Metrics;
use crate::proxy::admission::Admission;
use crate::proxy::balance::Balancers;
use crate::proxy::handshake::Handshakes;
use crate::proxy::listening::{BindError, Bound, Given};
use crate::proxy::recall::Recall;
use crate::proxy::sparse::Sparse;
use crate::proxy::worker::{Shared, Worker};
use crate::snapshot::Reader;

/// What the data plane is built from.
pub struct Parts {
    /// What decisions read.
    pub reader: Reader,
    /// Who is asked for missing keys.
    pub ask_keys: AskKeys,
    /// Who knows tokens that are looked up.
    pub ask_record: AskRecord,
    /// Who answers for our own endpoints.
    pub ask_authority: AskAuthority,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// Every bound.
    pub limits: Limits,
    /// Descriptors that the process may have open.
    pub descriptors: usize,
    /// Worker threads.
    pub workers: usize,
    /// Whether each request is one line in the log.
    pub access_log: bool,
    /// How long open requests may go on once draining has begun.
    pub shutdown_grace: Duration,
    /// Where the workers can be asked what they remember.
    pub recall: Arc<Recall>,
    /// How often at the least open streams are asked whether their token still counts, whatever happens.
    pub recheck_streams: Duration,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// The data plane.
#[derive(Debug)]
pub struct Proxy {
    parts: Parts,
}

/// What the data plane is told while it runs, and what it says.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Turns true: nothing new is accepted.
    pub drain: watch::Receiver<bool>,
    /// Turns true: everything ends.
    pub stop: watch::Receiver<bool>,
    /// Counts the workers that accept.
    pub accepting: watch::Sender<usize>,
}

impl Proxy {
    /// Wires the parts.
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Binds the listeners, but for those that sockets are given for.
    pub fn bind(&self, listeners: &[Listener], given: Vec<Given>) -> Result<Bound, BindError> {
        Bound::bind(listeners, self.parts.workers, given)
    }

    /// Runs the workers until `drain` turns true and nothing is open any more, until that has lasted
    /// `shutdown_grace`, or until `stop` turns true. Resolves when every worker is done.
    pub async fn run(self, bound: Bound, signals: Signals) {
        let workers = bound.workers.len();
        let shared = Arc::new(Shared {
            admission: Admission::new(&self.parts.limits, self.parts.descriptors),
            starved: Sparse::default(),
            unannounced: Sparse::default(),
            unshaken: Sparse::default(),
            balancers: Balancers::new(tokio::runtime::Handle::current()),
            seal: worker::random().ok().and_then(Seal::new).map(Arc::new),
            handshakes: Handshakes::default(),
            bodies: Arc::default(),
            memo_capacity: self.parts.limits.verified_cache / workers.max(1),
            plans_capacity: GRAPHQL_PLANS / workers.max(1) as u64,
            parts: self.parts,
        });
        let mut done = Vec::new();
        for (index, sockets) in bound.workers.into_iter().enumerate() {
            let (shared, signals) = (Arc::clone(&shared), signals.clone());
            let (finished, wait) = tokio::sync::oneshot::channel::<()>();
            let spawned = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                if let Err(error) = Worker::run(shared, sockets, signals) {
                    tracing::error!(%error, "a worker could not start");
                }
                drop(finished);
            });
            match spawned {
                Ok(_) => done.push(wait),
                Err(error) => tracing::error!(%error, "a worker thread could not start"),
            }
        }
        for worker in done {
            // The sender is dropped, never used: an error is the end that is waited for.
            let _ = worker.await;
        }
    }
}
