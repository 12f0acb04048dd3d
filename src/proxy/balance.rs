//! Which peer of an upstream is next: chosen and health-checked through pingora-load-balancing, least requests
//! ours.
//!
//! An upstream of one address without health checks needs no choice and gets none.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use http::Extensions;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora_load_balancing::discovery::ServiceDiscovery;
use pingora_load_balancing::selection::consistent::KetamaHashing;
use pingora_load_balancing::selection::{BackendIter, BackendSelection, RoundRobin};
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::config::peer::{Peer, Scheme};
use crate::config::{Balance, Upstream};
use crate::proxy::address::PeerAddress;
use crate::proxy::health::PeerCheck;
use crate::tls::client::ClientTls;

/// How often names are looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

/// Peers looked at before none is found healthy.
const LOOKS: usize = 256;

/// The balancers of every upstream in use; one whose last user is gone is gone.
#[derive(Debug)]
pub(in crate::proxy) struct Balancers {
    runtime: Handle,
    known: Mutex<HashMap<Box<str>, Weak<Balancer>>>,
}

/// One upstream's choice of peers.
pub(in crate::proxy) struct Balancer {
    upstream: Arc<Upstream>,
    /// What its `https` peers are checked with.
    tls: Option<Arc<ClientTls>>,
    /// What every peer speaks; `None` where they differ.
    scheme: Option<Scheme>,
    choice: Choice,
    in_flight: DashMap<PeerAddress, Arc<AtomicUsize>>,
    /// What the addresses are called in the configuration.
    names: Arc<DashMap<PeerAddress, Peer>>,
    resolved: watch::Receiver<bool>,
    task: Option<AbortHandle>,
}

enum Choice {
    Only(PeerAddress),
    RoundRobin(Arc<LoadBalancer<RoundRobin>>),
    ConsistentHash(Arc<LoadBalancer<KetamaHashing>>),
}

/// A chosen peer; counted as busy until dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Chosen {
    pub(in crate::proxy) address: PeerAddress,
    busy: Option<Arc<AtomicUsize>>,
}

impl std::fmt::Debug for Balancer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Balancer").field("upstream", &self.upstream.name).finish_non_exhaustive()
    }
}

impl Balancers {
    pub(in crate::proxy) fn new(runtime: Handle) -> Self {
        Self { runtime, known: Mutex::default() }
    }

    /// The balancer of an upstream: the one that all workers share, as long as nothing about it has changed.
    pub(in crate::proxy) fn get(
        &self,
        upstream: &Arc<Upstream>,
        tls: Option<&Arc<ClientTls>>,
    ) -> Arc<Balancer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(balancer) = known.get(&upstream.name).and_then(Weak::upgrade)
            && balancer.upstream == *upstream
            && balancer.tls.as_ref().map(Arc::as_ptr) == tls.map(Arc::as_ptr)
        {
            return balancer;
        }
        let balancer = Arc::new(Balancer::new(upstream, tls, &self.runtime));
        known.retain(|_, balancer| balancer.strong_count() > 0);
        known.insert(upstream.name.clone(), Arc::downgrade(&balancer));
        balancer
    }
}

impl Balancer {
    fn new(upstream: &Arc<Upstream>, tls: Option<&Arc<ClientTls>>, runtime: &Handle) -> Self {
        let names = Arc::new(DashMap::new());
        let check = PeerCheck::new(upstream, tls, &names);
        // Names take a look-up; until the first has succeeded there is nothing to choose from.
        let (found, resolved) =
            watch::channel(upstream.peers.iter().all(|peer| literal(Some(peer)).is_some()));
        let (choice, task) =
            match (upstream.peers.as_slice(), &upstream.health, literal(upstream.peers.first())) {
                ([_], None, Some(address)) => (Choice::Only(address), None),
                _ => match upstream.balance {
                    Balance::RoundRobin | Balance::LeastRequests => {
                        let (balancer, task) = start::<RoundRobin>(upstream, check, runtime, found, &names);
                        (Choice::RoundRobin(balancer), Some(task))
                    }
                    Balance::ConsistentHash => {
                        let (balancer, task) =
                            start::<KetamaHashing>(upstream, check, runtime, found, &names);
                        (Choice::ConsistentHash(balancer), Some(task))
                    }
                },
            };
        let first = upstream.peers.first().map(|peer| peer.scheme()).unwrap_or_default();
        let scheme = upstream.peers.iter().all(|peer| peer.scheme() == first).then_some(first);
        let (upstream, tls) = (Arc::clone(upstream), tls.cloned());
        Self { upstream, tls, scheme, choice, in_flight: DashMap::new(), names, resolved, task }
    }

    /// Chooses a peer that is not among `tried`. `key` is what a consistent hash goes by.
    pub(in crate::proxy) fn choose(&self, key: &[u8], tried: &[PeerAddress]) -> Option<Chosen> {
        let fresh = |backend: &Backend, healthy: bool| {
            healthy && address_of(backend).is_some_and(|address| !tried.contains(&address))
        };
        let address = match &self.choice {
            Choice::Only(only) => {
                return (!tried.contains(only)).then(|| Chosen { address: only.clone(), busy: None });
            }
            Choice::RoundRobin(balancer) if self.upstream.balance == Balance::LeastRequests => {
                let backends = balancer.backends();
                let all = backends.get_backend();
                let open = all
                    .iter()
                    .filter(|backend| fresh(backend, backends.ready(backend)))
                    .filter_map(address_of);
                open.min_by_key(|address| self.busy(address).load(Ordering::Relaxed))?
            }
            Choice::RoundRobin(balancer) => address_of(&balancer.select_with(key, LOOKS, fresh)?)?,
            Choice::ConsistentHash(balancer) => address_of(&balancer.select_with(key, LOOKS, fresh)?)?,
        };
        let busy = self.busy(&address);
        busy.fetch_add(1, Ordering::Relaxed);
        Some(Chosen { address, busy: Some(busy) })
    }

    /// What the peer at this address is called in the configuration, as a `Host` value.
    pub(in crate::proxy) fn name_of(&self, address: &PeerAddress) -> String {
        let named = self.names.get(address).map(|peer| peer.to_string());
        let only =
            || self.upstream.peers.first().filter(|_| self.upstream.peers.len() == 1).map(Peer::to_string);
        named.or_else(only).unwrap_or_else(|| address.to_string())
    }

    /// What the peer at this address speaks; `None` if it is none any more.
    pub(in crate::proxy) fn scheme_of(&self, address: &PeerAddress) -> Option<Scheme> {
        self.scheme.or_else(|| self.peer_of(address, |peer| peer.scheme()))
    }

    /// Something of the peer at this address, as it is configured.
    pub(in crate::proxy) fn peer_of<T>(&self, address: &PeerAddress, get: impl Fn(&Peer) -> T) -> Option<T> {
        match (&self.choice, self.upstream.peers.first()) {
            (Choice::Only(_), Some(only)) => Some(get(only)),
            _ => self.names.get(address).map(|peer| get(&peer)),
        }
    }

    /// Waits for the first look-up of the peers' names, at most this long; `false` when it had ended before, or
    /// does not in time.
    pub(in crate::proxy) async fn resolved(&self, at_most: Duration) -> bool {
        let mut resolved = self.resolved.clone();
        !*resolved.borrow()
            && matches!(tokio::time::timeout(at_most, resolved.wait_for(|done| *done)).await, Ok(Ok(_)))
    }

    fn busy(&self, address: &PeerAddress) -> Arc<AtomicUsize> {
        if let Some(busy) = self.in_flight.get(address) {
            return Arc::clone(&busy);
        }
        Arc::clone(&self.in_flight.entry(address.clone()).or_default())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        if let Some(busy) = &self.busy {
            busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Starts discovery and health checks; the first discovery of literal addresses is done when this returns.
fn start<S>(
    upstream: &Arc<Upstream>,
    check: Option<PeerCheck>,
    runtime: &Handle,
    found: watch::Sender<bool>,
    names: &Arc<DashMap<PeerAddress, Peer>>,
) -> (Arc<LoadBalancer<S>>, AbortHandle)
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let mut backends =
        Backends::new(Box::new(Names { peers: upstream.peers.clone(), names: Arc::clone(names) }));
    if let Some(check) = check {
        backends.set_health_check(Box::new(check));
    }
    let mut balancer = LoadBalancer::<S>::from_backends(backends);
    let named = upstream.peers.iter().any(|peer| literal(Some(peer)).is_none());
    balancer.update_frequency = named.then_some(RESOLVE_EVERY);
    balancer.health_check_frequency = upstream.health.as_ref().map(|health| health.interval);
    balancer.parallel_health_check = true;
    let balancer = Arc::new(balancer);
    let running = Arc::clone(&balancer);
    let name = upstream.name.clone();
    let every = upstream.health.as_ref().map(|health| health.interval);
    let task = runtime.spawn(async move {
        loop {
            match running.update().await {
                Ok(()) => drop(found.send_replace(true)),
                Err(error) => {
                    tracing::warn!(upstream = %name, %error, "the peers' names could not be looked up")
                }
            }
            if every.is_some() {
                running.backends().run_health_check(true).await;
            }
            match (every, named) {
                (None, false) => break,
                (None, true) => tokio::time::sleep(RESOLVE_EVERY).await,
                (Some(every), _) => tokio::time::sleep(every).await,
            }
        }
    });
    if !named {
        // Literal addresses resolve without waiting, so that the first request finds them.
        let mut first = std::pin::pin!(balancer.update());
        let _ = first.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    }
    (balancer, task.abort_handle())
}

/// Peers by name or address.
struct Names {
    peers: Vec<Peer>,
    names: Arc<DashMap<PeerAddress, Peer>>,
}

#[async_trait]
impl ServiceDiscovery for Names {
    async fn discover(&self) -> pingora_core::Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut backends = BTreeSet::new();
        for peer in &self.peers {
            let addresses = match (literal(Some(peer)), peer) {
                (Some(address), _) => vec![address],
                (None, Peer::Unix(_)) => Vec::new(),
                (None, Peer::Host { host, port, .. }) => {
                    let found = tokio::net::lookup_host((&**host, *port)).await;
                    let found = found.map_err(|error| {
                        let kind = pingora_core::ErrorType::ConnectError;
                        pingora_core::Error::because(kind, "name look-up", error)
                    })?;
                    found.map(PeerAddress::Inet).collect()
                }
            };
            for address in addresses {
                backends.extend(backend(&address));
                self.names.insert(address, peer.clone());
            }
        }
        self.names
            .retain(|found, _| backends.iter().any(|backend| address_of(backend).as_ref() == Some(found)));
        Ok((backends, HashMap::new()))
    }
}

fn backend(address: &PeerAddress) -> Option<Backend> {
    let addr = match address {
        PeerAddress::Inet(address) => PeerAddr::Inet(*address),
        PeerAddress::Unix(path) => PeerAddr::Unix(UnixAddr::from_pathname(path).ok()?),
    };
    Some(Backend { addr, weight: 1, ext: Extensions::new() })
}

/// The address of a backend of ours.
pub(in crate::proxy) fn address_of(backend: &Backend) -> Option<PeerAddress> {
    match &backend.addr {
        PeerAddr::Inet(address) => Some(PeerAddress::Inet(*address)),
        PeerAddr::Unix(address) => address.as_pathname().map(|path| PeerAddress::Unix(path.into())),
    }
}

fn literal(peer: Option<&Peer>) -> Option<PeerAddress> {
    peer.and_then(PeerAddress::literal)
}

impl std::fmt::Display for Peer {
    /// As a `Host` value: an IPv6 address in brackets, the port unless it is the scheme's own. What listens on a Unix
    /// socket is on this host.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Host { scheme, host, port } = self else { return f.write_str(self.host()) };
        let own = *port == scheme.port();
        match (host.contains(':'), own) {
            (true, true) => write!(f, "[{host}]"),
            (true, false) => write!(f, "[{host}]:{port}"),
            (false, true) => f.write_str(host),
            (false, false) => write!(f, "{host}:{port}"),
        }
    }
}
