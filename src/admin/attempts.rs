//! How often the admin token may be guessed.
//!
//! Wrong tokens are counted in windows of [`WINDOW`], by address and in all. An address that has used up its share is
//! told to come back, whatever it sends, so that the answer says nothing about a token; so is every address once all
//! of them have used up theirs, but for those that have brought the right token before: strangers who guess do not
//! keep the operator out. A window is short, because who guesses from behind the operator's own address does.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The attempts of the moment.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    began: Option<Instant>,
    in_all: u32,
    /// At most one for each of `in_all`, and for each of `known`.
    by_address: HashMap<IpAddr, u32>,
    /// Addresses that the right token came from, and when last; at most [`KNOWN`].
    known: HashMap<IpAddr, Instant>,
}

impl Attempts {
    /// How long whoever is at this address has to wait before a token of theirs is looked at.
    pub(crate) fn wait(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let counted = self.counted(now);
        let from = network(from);
        let own = counted.by_address.get(&from).copied().unwrap_or(0);
        let shut = own >= PER_ADDRESS || counted.in_all >= IN_ALL && !counted.known.contains_key(&from);
        let end = counted.began.filter(|_| shut)? + WINDOW;
        Some(end.saturating_duration_since(now))
    }

    /// A wrong token came from there.
    pub(crate) fn failed(&self, from: IpAddr, now: Instant) {
        let mut counted = self.counted(now);
        counted.began.get_or_insert(now);
        counted.in_all = counted.in_all.saturating_add(1);
        *counted.by_address.entry(network(from)).or_default() += 1;
    }

    /// The right one came from there.
    pub(crate) fn succeeded(&self, from: IpAddr, now: Instant) {
        let mut counted = self.counted(now);
        let from = network(from);
        if counted.known.len() >= KNOWN && !counted.known.contains_key(&from) {
            let oldest = counted.known.iter().min_by_key(|(_, when)| **when).map(|(address, _)| *address);
            oldest.map(|oldest| counted.known.remove(&oldest));
        }
        counted.known.insert(from, now);
    }

    /// What counts now: nothing of a window that is over.
    fn counted(&self, now: Instant) -> MutexGuard<'_, Counted> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.began.is_some_and(|began| now.saturating_duration_since(began) >= WINDOW) {
            let known = std::mem::take(&mut counted.known);
            *counted = Counted { known, ..Counted::default() };
        }
        counted
    }
}

/// Whom an address stands for: of IPv6, who has one has at least a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// After which everybody may try again.
pub(crate) const WINDOW: Duration = Duration::from_secs(30);
/// Wrong tokens from one address in a window: some slips, and a machine that was not told of a new token.
pub(crate) const PER_ADDRESS: u32 = 20;
/// And from all of them.
pub(crate) const IN_ALL: u32 = 200;
/// Addresses that are remembered because the right token came from them.
const KNOWN: usize = 64;
