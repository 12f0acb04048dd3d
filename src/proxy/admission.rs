//! How many connections there may be: in all, from one address, and by the process's descriptors.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::config::limits::Limits;

/// Descriptors that clients leave free: one in this many of all, for upstream connections, the admin listener and
/// files.
const RESERVED_SHARE: usize = 4;

/// The least that clients leave free: what an operator needs to look, and a few upstream connections.
const RESERVED_LEAST: usize = 16;

/// The most that clients leave free.
const RESERVED_MOST: usize = 1024;

/// Connections open now, in all and by address.
#[derive(Debug)]
pub(in crate::proxy) struct Admission {
    most: usize,
    most_per_address: usize,
    /// Client connections have descriptors below this one.
    descriptors: usize,
    open: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Place {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    /// With the bounds of `limits` and so many descriptors of the process.
    pub(in crate::proxy) fn new(limits: &Limits, descriptors: usize) -> Arc<Self> {
        let reserved = (descriptors / RESERVED_SHARE).clamp(RESERVED_LEAST, RESERVED_MOST);
        Arc::new(Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            descriptors: descriptors.saturating_sub(reserved),
            open: AtomicUsize::new(0),
            by_address: DashMap::new(),
        })
    }

    /// A place for an accepted connection. The kernel gives the lowest descriptor that is free: its number says how
    /// many there are at least, and nothing has to be counted.
    pub(in crate::proxy) fn admit(self: &Arc<Self>, descriptor: RawFd) -> Option<Place> {
        let place = Place { admission: Arc::clone(self), address: None };
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let below = usize::try_from(descriptor).is_ok_and(|descriptor| descriptor < self.descriptors);
        (before < self.most && below).then_some(place)
    }
}

impl Place {
    /// Counts it for its client's address; `false` when there are too many of that.
    pub(in crate::proxy) fn count(&mut self, address: IpAddr) -> bool {
        let address = client(address);
        let mut held = self.admission.by_address.entry(address).or_insert(0);
        *held += 1;
        let admitted = *held <= self.admission.most_per_address;
        drop(held);
        self.address = Some(address);
        admitted
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

/// Whom an address stands for: one written as IPv4-mapped IPv6 is the IPv4 one, and an IPv6 one its /64, which is what
/// one client is given and can write any address of.
pub(in crate::proxy) fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}
