//! A worker: one thread, its listeners, its runtime, and what its connections share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::address::Address;
use crate::config::endpoint::Errors;
use crate::config::limits::Limits;
use crate::gate::memo::{Memo, MemoCounts};
use crate::gate::reserved::Seal;
use crate::metrics::connection::Unserved;
use crate::metrics::issuer::IssuerMetrics;
use crate::metrics::route::RouteMetrics;
use crate::metrics::stream::StreamMetrics;
use crate::metrics::upstream::UpstreamMetrics;
use crate::metrics::{CacheMetrics, Metrics, VerifyMetrics};
use crate::policy::route::Routes;
use crate::proxy::admission::Admission;
use crate::proxy::balance::{Balancer, Balancers};
use crate::proxy::buffer::Spares;
use crate::proxy::entrance::{self, Arrived, Door};
use crate::proxy::handshake::Handshakes;
use crate::proxy::listening::{Accepting, Dealt};
use crate::proxy::parting::{GOODBYE, HASTE, Parting};
use crate::proxy::pool::Pool;
use crate::proxy::recall;
use crate::proxy::recheck::{self, Recheck};
use crate::proxy::request_id::RequestIds;
use crate::proxy::signatures::{self, Signatures};
use crate::proxy::sparse::Sparse;
use crate::proxy::stream::Socket;
use crate::proxy::turn::{self, Turns};
use crate::proxy::whole::Bodies;
use crate::proxy::{Parts, Signals};
use crate::snapshot::Snapshot;
use crate::token::{Algorithm, NumericDate};

/// How long accepting rests when the process is out of file descriptors: long enough not to spin, short enough
/// to be back at once when some are free.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How often waiting upstream connections are looked through, and what is spare is given back.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long idle connections are kept once draining has begun, so that a client hears with its next answer that the
/// connection ends. Of clients that ask once a second or so, and do not look whether a connection is still there, 130
/// requests were lost in twenty upgrades when it was 250 ms, and none with this.
pub(in crate::proxy) const FAREWELL: Duration = Duration::from_secs(2);

/// How often a drain looks whether it is over.
const LOOK: Duration = Duration::from_millis(10);

/// What all workers share.
#[derive(Debug)]
pub(in crate::proxy) struct Shared {
    pub(in crate::proxy) parts: Parts,
    pub(in crate::proxy) admission: Arc<Admission>,
    /// The log of connections that could not be accepted.
    pub(in crate::proxy) starved: Sparse,
    /// The log of connections without the PROXY header that they must have.
    pub(in crate::proxy) unannounced: Sparse,
    pub(in crate::proxy) unshaken: Sparse,
    pub(in crate::proxy) balancers: Balancers,
    pub(in crate::proxy) memo_capacity: usize,
    /// Octets of plans that each worker remembers.
    pub(in crate::proxy) plans_capacity: u64,
    /// What the names of reserved event streams are sealed by: each worker takes those of every other.
    pub(in crate::proxy) seal: Option<Arc<Seal>>,
    pub(in crate::proxy) handshakes: Handshakes,
    /// What is held of bodies that are read whole.
    pub(in crate::proxy) bodies: Arc<Bodies>,
}

/// A socket that is accepted from.
struct Open {
    /// The listener, by its place in the configuration.
    listener: usize,
    address: Address,
    socket: Accepting,
}

/// An open connection: whether it waits for a request, and how to end it.
type Served = (Rc<Cell<bool>>, AbortHandle);

/// One worker's own.
pub(in crate::proxy) struct Worker {
    pub(in crate::proxy) shared: Arc<Shared>,
    pub(in crate::proxy) spares: Spares,
    pub(in crate::proxy) pool: Pool,
    pub(in crate::proxy) ids: RequestIds,
    pub(in crate::proxy) memo: RefCell<Memo>,
    /// When the latest request began: the time, for what need not know it closer than that, and needs no clock then.
    pub(in crate::proxy) moment: Cell<Instant>,
    pub(in crate::proxy) draining: Cell<bool>,
    /// Calls of our own endpoints that are being answered.
    pub(in crate::proxy) answering: Cell<usize>,
    drain_begun: Notify,
    pub(in crate::proxy) turns: Turns,
    pub(in crate::proxy) signatures: Signatures,
    pub(in crate::proxy) parting: Parting,
    pub(in crate::proxy) recheck: Recheck,
    pub(in crate::proxy) streams: StreamMetrics,
    view: RefCell<Rc<View>>,
    cache: CacheMetrics,
    counted: Cell<MemoCounts>,
    verify: [VerifyMetrics; Algorithm::ALL.len()],
    open: RefCell<HashMap<u64, Served>>,
    next_connection: Cell<u64>,
}

/// What a table of routes needs at hand on a worker; made anew when the table is.
pub(in crate::proxy) struct View {
    routes: Arc<Routes>,
    pub(in crate::proxy) by_route: Vec<RouteMetrics>,
    pub(in crate::proxy) unmatched: RouteMetrics,
    pub(in crate::proxy) issuers: Vec<IssuerMetrics>,
    upstreams: Vec<Option<Rc<UpstreamView>>>,
}

/// One upstream, as a worker sees it.
pub(in crate::proxy) struct UpstreamView {
    pub(in crate::proxy) balancer: Arc<Balancer>,
    pub(in crate::proxy) metrics: UpstreamMetrics,
}

impl Worker {
    /// Runs on the calling thread until draining is over or `stop` turns true.
    pub(in crate::proxy) fn run(
        shared: Arc<Shared>,
        sockets: Vec<Dealt>,
        signals: Signals,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(turn::ROUND)
            .build_local(LocalOptions::default())?;
        runtime.block_on(async move {
            let on_runtime = |Dealt { listener, address, socket, .. }| {
                Accepting::on_runtime(socket).map(|socket| Open { listener, address, socket })
            };
            let listeners = sockets.into_iter().map(on_runtime).collect::<io::Result<Vec<_>>>()?;
            let worker = Rc::new(Self::new(shared)?);
            worker.serve(listeners, signals).await;
            Ok(())
        })
    }

    fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let metrics = &shared.parts.metrics;
        let memo = Memo::new(random()?, shared.memo_capacity).with_plans(shared.plans_capacity);
        let memo = memo.with_seal(shared.seal.clone());
        let view = View::new(&shared.parts.reader.load(), &shared.balancers, metrics);
        Ok(Self {
            spares: Spares::default(),
            pool: Pool::default(),
            ids: RequestIds::new(u64::from_ne_bytes(random()?)),
            memo: RefCell::new(memo),
            moment: Cell::new(Instant::now()),
            draining: Cell::new(false),
            answering: Cell::new(0),
            drain_begun: Notify::new(),
            turns: Turns::default(),
            signatures: Signatures::new(shared.parts.limits.signatures_in_flight),
            parting: Parting::default(),
            recheck: Recheck::default(),
            streams: metrics.streams(),
            view: RefCell::new(Rc::new(view)),
            cache: metrics.cache(),
            counted: Cell::default(),
            verify: Algorithm::ALL.map(|algorithm| metrics.verify(algorithm)),
            open: RefCell::default(),
            next_connection: Cell::new(0),
            shared,
        })
    }

    async fn serve(self: &Rc<Self>, listeners: Vec<Open>, signals: Signals) {
        let Signals { mut drain, mut stop, accepting: count } = signals;
        let accepting: Vec<_> = listeners
            .into_iter()
            .filter_map(|open| {
                let listener = self.shared.parts.listeners.get(open.listener)?.clone();
                let metrics = self.shared.parts.metrics.connections(&open.address);
                let door = Rc::new(Door { index: open.listener, listener, metrics });
                Some(tokio::task::spawn_local(Rc::clone(self).accept(door, open.socket, drain.clone())))
            })
            .collect();
        count.send_modify(|workers| *workers += 1);
        let sweeper = tokio::task::spawn_local(Rc::clone(self).sweep());
        let verifier = tokio::task::spawn_local(signatures::serve(Rc::clone(self)));
        let asks = self.shared.parts.recall.join();
        let recalling = tokio::task::spawn_local(recall::serve(Rc::clone(self), asks));
        let watcher =
            tokio::task::spawn_local(recheck::serve(Rc::clone(self), self.shared.parts.recheck_streams));
        let at_once = tokio::select! {
            _ = drain.wait_for(|drain| *drain) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        self.draining.set(true);
        self.drain_begun.notify_waiters();
        for task in accepting {
            if at_once {
                task.abort();
            }
            // Its end is what is waited for: the queue is empty and the listener closed.
            let _ = task.await;
        }
        tokio::select! {
            () = self.part() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        if !self.parting.is_said() {
            // No time is left, and long streams hear it all the same.
            self.parting.say();
            let _told_or_not = tokio::time::timeout(HASTE, self.streams_left()).await;
        }
        sweeper.abort();
        verifier.abort();
        recalling.abort();
        watcher.abort();
    }

    /// Waits for open connections to close, within `shutdown_grace`. Shortly before its end long streams are told.
    async fn part(&self) {
        let grace = self.shared.parts.shutdown_grace;
        let end = Instant::now() + grace;
        let goodbye = end - GOODBYE.min(grace / 2);
        if !grace.is_zero() && tokio::time::timeout_at(goodbye, self.all_closed()).await.is_err() {
            self.parting.say();
            let _closed_or_cut = tokio::time::timeout_at(end, self.all_closed()).await;
        }
    }

    async fn streams_left(&self) {
        let mut look = tokio::time::interval(LOOK);
        while self.parting.is_awaited() {
            look.tick().await;
        }
    }

    async fn accept(self: Rc<Self>, door: Rc<Door>, listener: Accepting, mut drain: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                biased;
                _ = drain.wait_for(|drain| *drain) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer, &door),
                Err(error) => {
                    if let Some(left_out) = self.shared.starved.due() {
                        tracing::warn!(%error, left_out, "a connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        // Whoever was let into the queue is served, not reset.
        let Ok(queue) = listener.off_runtime() else { return };
        while let Ok((socket, peer)) = queue.waiting() {
            self.admit(socket, peer, &door);
        }
    }

    fn admit(self: &Rc<Self>, socket: Socket, peer: Option<IpAddr>, door: &Rc<Door>) {
        let Some(mut place) = self.shared.admission.admit(socket.as_raw_fd()) else {
            return entrance::turn_away(self, &socket, door, Unserved::Connections);
        };
        // Behind a balancer, the client's own address is known only later.
        if !door.is_proxied() && !peer.is_none_or(|peer| place.count(peer)) {
            return entrance::turn_away(self, &socket, door, Unserved::ConnectionsPerAddress);
        }
        let number = self.next_connection.get();
        self.next_connection.set(number.wrapping_add(1));
        let idle = Rc::new(Cell::new(false));
        let arrived = Arrived { socket, peer, door: Rc::clone(door), place, idle: Rc::clone(&idle) };
        let (worker, door) = (Rc::clone(self), Rc::clone(door));
        door.metrics.opened();
        let task = tokio::task::spawn_local(async move {
            let _closed = Closed { worker: Rc::clone(&worker), door, number };
            // Made in here: a future that is moved in has its room twice, for as long as the connection lives.
            entrance::enter(worker, arrived).await;
        });
        self.open.borrow_mut().insert(number, (idle, task.abort_handle()));
    }

    /// Ends the connections that wait for a request: nothing of theirs is lost.
    fn close_idle(&self) {
        for (idle, task) in self.open.borrow().values() {
            if idle.get() {
                task.abort();
            }
        }
    }

    async fn all_closed(&self) {
        let mut look = tokio::time::interval(LOOK);
        // A client that has not heard yet may be sending its next request: it is served, and told to go.
        let farewell = Instant::now() + FAREWELL;
        // What an endpoint has begun it ends, though its client may have gone.
        while !self.open.borrow().is_empty() || self.answering.get() > 0 {
            look.tick().await;
            if Instant::now() >= farewell {
                // Requests that came with this tick are taken first.
                tokio::task::yield_now().await;
                self.close_idle();
            }
        }
    }

    async fn sweep(self: Rc<Self>) {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        loop {
            every.tick().await;
            self.pool.sweep(Instant::now());
            self.spares.sweep();
            give_back_memory();
        }
    }

    /// Resolves when draining has begun.
    pub(in crate::proxy) async fn drain_begins(&self) {
        // On one thread nothing comes between the look and the wait.
        if !self.draining.get() {
            self.drain_begun.notified().await;
        }
    }

    /// The view of this snapshot's routes.
    pub(in crate::proxy) fn view(&self, snapshot: &Snapshot) -> Rc<View> {
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(&view.routes, &snapshot.routes) {
            *view = Rc::new(View::new(snapshot, &self.shared.balancers, &self.shared.parts.metrics));
        }
        Rc::clone(&view)
    }

    /// Counts a verification.
    pub(in crate::proxy) fn verified(&self, algorithm: Algorithm, took: Duration) {
        if let Some(at) = Algorithm::ALL.iter().position(|known| *known == algorithm) {
            self.verify[at].observe(took.as_secs_f64());
        }
    }

    /// Adds what the memo has counted since the last look-up to the metrics.
    pub(in crate::proxy) fn count_memo(&self) {
        let (now, before) = (self.memo.borrow().counts(), self.counted.get());
        if now.hits > before.hits {
            self.cache.hit();
        }
        if now.misses > before.misses {
            self.cache.miss();
        }
        if (now.evictions, now.entries) != (before.evictions, before.entries) {
            self.cache.evicted(now.evictions - before.evictions);
            self.cache.entries_changed(now.entries as i64 - before.entries as i64);
        }
        self.counted.set(now);
    }

    pub(in crate::proxy) fn limits(&self) -> &Limits {
        &self.shared.parts.limits
    }
}

/// A connection's end, however it ends.
struct Closed {
    worker: Rc<Worker>,
    door: Rc<Door>,
    number: u64,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.worker.open.borrow_mut().remove(&self.number);
        self.door.metrics.closed();
    }
}

impl View {
    fn new(snapshot: &Snapshot, balancers: &Balancers, metrics: &Metrics) -> Self {
        let routes = Arc::clone(&snapshot.routes);
        let mut upstreams: Vec<Option<Rc<UpstreamView>>> = Vec::new();
        for upward in routes.all().iter().filter_map(|route| route.upward()) {
            let at = upward.index;
            if upstreams.len() <= at {
                upstreams.resize(at + 1, None);
            }
            upstreams[at].get_or_insert_with(|| {
                let upstream = &upward.upstream;
                Rc::new(UpstreamView {
                    balancer: balancers.get(upstream, upward.tls.as_ref()),
                    metrics: metrics.upstream(&upstream.name),
                })
            });
        }
        Self {
            by_route: routes.all().iter().map(|route| metrics.route(&route.config.name)).collect(),
            unmatched: metrics.route("none"),
            issuers: snapshot.issuers.iter().map(|state| metrics.issuer(&state.config.name)).collect(),
            upstreams,
            routes,
        }
    }

    /// What a request that no route matches is answered with.
    pub(in crate::proxy) fn errors(&self) -> Option<&Errors> {
        self.routes.errors()
    }

    /// The upstream at this index of the configuration.
    pub(in crate::proxy) fn upstream(&self, index: usize) -> Option<&Rc<UpstreamView>> {
        self.upstreams.get(index)?.as_ref()
    }
}

/// Has the allocator give to the system what has been free for a second. It looks for that only when it takes or frees a
/// page of its own, so that a process with nothing to do would keep what the last flood took. This is such a page: no
/// octet of it is ever touched.
fn give_back_memory() {
    const PAGE: usize = 1024 * 1024;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(PAGE)));
}

/// The moment, for `exp` and its like. Before 1970 is 1970: tokens are then not yet valid, and nothing fails. A cheaper
/// clock, of the last tick, would not do: a token that was made a moment ago is then of the future, once a second.
pub(in crate::proxy) fn now() -> NumericDate {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    NumericDate(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Octets that nobody can foretell.
pub(in crate::proxy) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| io::Error::other("no randomness"))?;
    Ok(octets)
}
