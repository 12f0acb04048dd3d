//! A worker: one thread, its listeners, its runtime, and what its connections share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use dashmap::DashMap;
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::Limits;
use crate::config::address::Address;
use crate::gate::memo::{Memo, MemoCounts};
use crate::http1::websocket::Close;
use crate::metrics::issuer::IssuerMetrics;
use crate::metrics::route::RouteMetrics;
use crate::metrics::stream::StreamMetrics;
use crate::metrics::{CacheMetrics, ConnectionMetrics, Metrics, UpstreamMetrics, VerifyMetrics};
use crate::policy::route::Routes;
use crate::proxy::balance::{Balancer, Balancers};
use crate::proxy::buffer::Spares;
use crate::proxy::entrance::{self, Accepted};
use crate::proxy::handshake::{Handshakes, Told};
use crate::proxy::listening::{Accepting, Dealt};
use crate::proxy::parting::{GOODBYE, HASTE, Parting};
use crate::proxy::pool::Pool;
use crate::proxy::request_id::RequestIds;
use crate::proxy::stream::Socket;
use crate::proxy::{Parts, Signals, refuse};
use crate::snapshot::Snapshot;
use crate::token::{Algorithm, NumericDate};

/// How long accepting rests when the process is out of file descriptors: long enough not to spin, short enough
/// to be back at once when some are free.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How often waiting upstream connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long idle connections are kept once draining has begun.
pub(in crate::proxy) const FAREWELL: Duration = Duration::from_millis(250);

/// How often a drain looks whether it is over.
const LOOK: Duration = Duration::from_millis(10);

/// What all workers share.
#[derive(Debug)]
pub(in crate::proxy) struct Shared {
    pub(in crate::proxy) parts: Parts,
    pub(in crate::proxy) admission: Arc<Admission>,
    pub(in crate::proxy) balancers: Balancers,
    pub(in crate::proxy) memo_capacity: usize,
    pub(in crate::proxy) handshakes: Handshakes,
}

/// Connections open now, in all and by address.
#[derive(Debug)]
pub(in crate::proxy) struct Admission {
    most: usize,
    most_per_address: usize,
    open: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Place {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
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
    pub(in crate::proxy) draining: Cell<bool>,
    drain_begun: Notify,
    pub(in crate::proxy) signatures: Cell<usize>,
    pub(in crate::proxy) told: Told,
    pub(in crate::proxy) parting: Parting,
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

impl Admission {
    pub(in crate::proxy) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            open: AtomicUsize::new(0),
            by_address: DashMap::new(),
        })
    }

    /// A place for a connection from this address. One without an address is of this machine, and not counted
    /// against any other.
    fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        // An address written as IPv4-mapped IPv6 is the IPv4 one.
        let address = address.map(|address| address.to_canonical());
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let place = Place { admission: Arc::clone(self), address };
        let Some(address) = address else { return Some(place) };
        let mut held = self.by_address.entry(address).or_insert(0);
        *held += 1;
        let admitted = *held <= self.most_per_address;
        drop(held);
        admitted.then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        if let dashmap::Entry::Occupied(mut held) = self.admission.by_address.entry(address) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

impl Worker {
    /// Runs on the calling thread until draining is over or `stop` turns true.
    pub(in crate::proxy) fn run(
        shared: Arc<Shared>,
        sockets: Vec<Dealt>,
        signals: Signals,
    ) -> io::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
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
        let memo = Memo::new(random()?, shared.memo_capacity);
        let view = View::new(&shared.parts.reader.load(), &shared.balancers, metrics);
        Ok(Self {
            spares: Spares::default(),
            pool: Pool::default(),
            ids: RequestIds::new(u64::from_ne_bytes(random()?)),
            memo: RefCell::new(memo),
            draining: Cell::new(false),
            drain_begun: Notify::new(),
            signatures: Cell::new(0),
            told: Told::default(),
            parting: Parting::default(),
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
            .map(|open| tokio::task::spawn_local(Rc::clone(self).accept(open, drain.clone())))
            .collect();
        count.send_modify(|workers| *workers += 1);
        let sweeper = tokio::task::spawn_local(Rc::clone(self).sweep());
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
        if self.parting.said().is_none() {
            // No time is left, and long streams hear it all the same.
            self.parting.say(Close::GoingAway);
            let _told_or_not = tokio::time::timeout(HASTE, self.streams_left()).await;
        }
        sweeper.abort();
    }

    /// Waits for open connections to close, within `shutdown_grace`. Shortly before its end long streams are told.
    async fn part(&self) {
        let grace = self.shared.parts.shutdown_grace;
        let end = Instant::now() + grace;
        let goodbye = end - GOODBYE.min(grace / 2);
        if !grace.is_zero() && tokio::time::timeout_at(goodbye, self.all_closed()).await.is_err() {
            self.parting.say(Close::GoingAway);
            let _closed_or_cut = tokio::time::timeout_at(end, self.all_closed()).await;
        }
    }

    async fn streams_left(&self) {
        let mut look = tokio::time::interval(LOOK);
        while self.parting.is_awaited() {
            look.tick().await;
        }
    }

    async fn accept(self: Rc<Self>, open: Open, mut drain: watch::Receiver<bool>) {
        let Open { listener: index, address, socket: listener } = open;
        let gauge = self.shared.parts.metrics.connections(&address);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = drain.wait_for(|drain| *drain) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, Accepted { peer, listener: index }, &gauge),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        // Whoever was let into the queue is served, not reset.
        let Ok(queue) = listener.off_runtime() else { return };
        while let Ok((socket, peer)) = queue.waiting() {
            self.admit(socket, Accepted { peer, listener: index }, &gauge);
        }
    }

    fn admit(self: &Rc<Self>, socket: Socket, accepted: Accepted, gauge: &ConnectionMetrics) {
        let Some(place) = self.shared.admission.admit(accepted.peer) else {
            // Who waits for a handshake is closed without a word: it could not be read.
            if self.shared.parts.reader.load().speaks_tls(accepted.listener) {
                return;
            }
            refuse::turn_away(&socket, &self.ids.next());
            return;
        };
        let number = self.next_connection.get();
        self.next_connection.set(number.wrapping_add(1));
        let idle = Rc::new(Cell::new(false));
        let serving = entrance::enter(Rc::clone(self), socket, accepted, Rc::clone(&idle));
        let (worker, gauge) = (Rc::clone(self), gauge.clone());
        gauge.opened();
        let task = tokio::task::spawn_local(async move {
            let _closed = Closed { worker, gauge, number, _place: place };
            serving.await;
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
        while !self.open.borrow().is_empty() {
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
            self.pool.sweep();
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
    gauge: ConnectionMetrics,
    number: u64,
    _place: Place,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.worker.open.borrow_mut().remove(&self.number);
        self.gauge.closed();
    }
}

impl View {
    fn new(snapshot: &Snapshot, balancers: &Balancers, metrics: &Metrics) -> Self {
        let routes = Arc::clone(&snapshot.routes);
        let mut upstreams: Vec<Option<Rc<UpstreamView>>> = Vec::new();
        for route in routes.all() {
            let at = route.upstream_index;
            if upstreams.len() <= at {
                upstreams.resize(at + 1, None);
            }
            upstreams[at].get_or_insert_with(|| {
                let upstream = &route.upstream;
                Rc::new(UpstreamView {
                    balancer: balancers.get(upstream, route.tls.as_ref()),
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

    /// The upstream at this index of the configuration.
    pub(in crate::proxy) fn upstream(&self, index: usize) -> Option<&Rc<UpstreamView>> {
        self.upstreams.get(index)?.as_ref()
    }
}

/// The moment, for `exp` and its like. Before 1970 is 1970: tokens are then not yet valid, and nothing fails.
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
