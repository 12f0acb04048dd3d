//! How often a credential may be guessed: failed attempts, counted by the credential's id and by the client's address, in
//! windows of [`WINDOW`] (threats T3).
//!
//! Each count has a place among a fixed number of them, found by a keyed hash; two that share a place are told apart
//! by the rest of the hash, and the one that comes later evicts one of the few that its hash allows: the one that has
//! failed least. So nobody is forgotten for whoever comes but by very many that failed as often: to be rid of a count
//! of ten, ten failures each from as many addresses as the table has places, in a minute. No number of addresses makes it
//! grow.

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The failed attempts of the moment. One for the process.
#[derive(Debug)]
pub struct Attempts {
    began: Instant,
    keys: RandomState,
    parts: Box<[Mutex<Part>]>,
}

/// A part of the table, with a lock of its own.
#[derive(Debug, Default)]
struct Part {
    /// Sets of [`WAYS`] places; made when the first attempt in it fails.
    places: Box<[Place]>,
}

/// A count. Nobody's, if nothing has failed.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Whose.
    mark: u64,
    /// Milliseconds since the table began at which its window did.
    since: u64,
    failed: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        let parts = std::iter::repeat_with(Mutex::default).take(PARTS).collect();
        Self { began: Instant::now(), keys: RandomState::new(), parts }
    }
}

impl Attempts {
    /// How long whoever is at this address has to wait before a credential with this id is looked at: where `most`
    /// attempts with the id, if such are counted, or from the address, have failed. To be asked before the credential is looked at, and
    /// answered with 429 and `Retry-After`, whatever was sent.
    pub fn wait(
        &self,
        credential: &str,
        id: Option<&str>,
        from: IpAddr,
        most: u32,
        now: Instant,
    ) -> Option<Duration> {
        let of = |mark| self.failed_of(mark, now).filter(|(failed, _)| *failed >= most).map(|(_, wait)| wait);
        id.and_then(|id| of(self.mark_of_id(credential, id))).max(of(self.mark_of_address(from)))
    }

    /// An attempt with this id begins. It counts as failed until [`Self::excused`]: of many at once no more are looked at than
    /// may fail.
    pub fn begun(&self, credential: &str, id: Option<&str>, now: Instant) {
        if let Some(id) = id {
            self.count(self.mark_of_id(credential, id), now);
        }
    }

    /// An attempt with this id has not failed.
    pub fn excused(&self, credential: &str, id: Option<&str>, now: Instant) {
        let Some(id) = id else { return };
        let (mark, now) = (self.mark_of_id(credential, id), self.milliseconds(now));
        let mut part = self.part(mark).lock().unwrap_or_else(PoisonError::into_inner);
        let set = part.places.get_mut(set_of(mark)..).and_then(|set| set.get_mut(..WAYS)).unwrap_or_default();
        if let Some(own) = set.iter_mut().find(|place| place.mark == mark && !place.is_over(now)) {
            own.failed -= 1;
        }
    }

    /// An attempt from this address has failed. Those that have only begun do not count: behind one address may be many people.
    pub fn failed(&self, from: IpAddr, now: Instant) {
        self.count(self.mark_of_address(from), now);
    }

    fn mark_of_id(&self, credential: &str, id: &str) -> u64 {
        self.keys.hash_one((0_u8, credential, id)).max(1)
    }

    fn mark_of_address(&self, from: IpAddr) -> u64 {
        self.keys.hash_one((1_u8, client(from))).max(1)
    }

    fn failed_of(&self, mark: u64, now: Instant) -> Option<(u32, Duration)> {
        let now = self.milliseconds(now);
        let part = self.part(mark).lock().unwrap_or_else(PoisonError::into_inner);
        let set = part.places.get(set_of(mark)..)?.get(..WAYS)?;
        let place = set.iter().find(|place| place.mark == mark && !place.is_over(now))?;
        let end = place.since.saturating_add(WINDOW.as_millis() as u64);
        Some((place.failed, Duration::from_millis(end.saturating_sub(now))))
    }

    fn count(&self, mark: u64, now: Instant) {
        let now = self.milliseconds(now);
        let mut part = self.part(mark).lock().unwrap_or_else(PoisonError::into_inner);
        if part.places.is_empty() {
            part.places = vec![Place::default(); SETS * WAYS].into();
        }
        let Some(set) = part.places.get_mut(set_of(mark)..).and_then(|set| set.get_mut(..WAYS)) else {
            return;
        };
        if let Some(own) = set.iter_mut().find(|place| place.mark == mark && !place.is_over(now)) {
            own.failed = own.failed.saturating_add(1);
            return;
        }
        // What is over is free; else the one that has failed least, and of those the oldest.
        let least = set.iter_mut().min_by_key(|place| (!place.is_over(now), place.failed, place.since));
        if let Some(place) = least {
            *place = Place { mark, since: now, failed: 1 };
        }
    }

    fn part(&self, mark: u64) -> &Mutex<Part> {
        // A power of two of them, found by the upper bits; the lower ones find the set.
        &self.parts[(mark >> 32) as usize % PARTS]
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Place {
    fn is_over(&self, now: u64) -> bool {
        self.failed == 0 || now.saturating_sub(self.since) >= WINDOW.as_millis() as u64
    }
}

fn set_of(mark: u64) -> usize {
    (mark & 0xffff_ffff) as usize % SETS * WAYS
}

/// Whom an address stands for: of IPv6, who has one has at least a network of 64 bits.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// After which everybody may try again.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Places for counts: 1.5 MiB, once there were failures everywhere.
pub const PLACES: usize = PARTS * SETS * WAYS;
const PARTS: usize = 64;
const SETS: usize = 128;
/// Places of a set: whoever is to be forgotten is the one of them that failed least.
const WAYS: usize = 8;
