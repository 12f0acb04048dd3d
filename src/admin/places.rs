//! The places that connections take. When all are taken, whoever comes is let in by another that makes way: the oldest of
//! the address that has most of them, so that no number of strangers keeps the operator out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Connections at once: a few scrapers, probes and people.
const CONNECTIONS: usize = 64;

/// All places.
#[derive(Debug)]
pub(in crate::admin) struct Places {
    room: Arc<Semaphore>,
    /// Those that are taken, the oldest first.
    taken: Mutex<Vec<Arc<Taken>>>,
}

/// One that is.
#[derive(Debug)]
struct Taken {
    by: IpAddr,
    /// Held by what must not be broken off: see [`crate::admin::Ongoing`].
    ongoing: Arc<Semaphore>,
    wanted: Notify,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(in crate::admin) struct Place {
    places: Arc<Places>,
    taken: Arc<Taken>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Places {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(CONNECTIONS)), taken: Mutex::default() }
    }
}

impl Places {
    /// Waits for a place, having another connection make way if there is none.
    pub(in crate::admin) async fn take(places: &Arc<Self>, by: IpAddr) -> Place {
        let permit = match Arc::clone(&places.room).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                places.want_one();
                // Never closed.
                Arc::clone(&places.room).acquire_owned().await.ok()
            }
        };
        let by = by.to_canonical();
        let taken = Arc::new(Taken { by, ongoing: Arc::new(Semaphore::new(1)), wanted: Notify::new() });
        places.taken.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&taken));
        Place { places: Arc::clone(places), taken, _permit: permit }
    }

    /// Asks one to make way. One that is asked again does so already.
    fn want_one(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = || taken.iter().filter(|taken| taken.ongoing.available_permits() > 0);
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        idle().for_each(|taken| *counts.entry(taken.by).or_default() += 1);
        let most = counts.values().max().copied();
        if let Some(oldest) = idle().find(|taken| counts.get(&taken.by).copied() == most) {
            oldest.wanted.notify_one();
        }
    }
}

impl Place {
    /// What holds its only permit is not broken off for another connection's sake.
    pub(in crate::admin) fn ongoing(&self) -> Arc<Semaphore> {
        Arc::clone(&self.taken.ongoing)
    }

    /// Resolves when it has to make way.
    pub(in crate::admin) async fn is_wanted(&self) {
        self.taken.wanted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|taken| !Arc::ptr_eq(taken, &self.taken));
    }
}
