//! One cell, one writer: what every decision reads, published whole.
//!
//! [`Publisher`] is not `Clone`: a second writer does not compile.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Issuer, KeySource};
use crate::keys::KeySet;
use crate::policy::route::Routes;
use crate::revocation::Revocations;
use crate::tls::server::ServerTls;

/// Everything one decision reads. Immutable; parts are shared between generations.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts publications, from 1.
    pub generation: u64,
    /// Routes, requirements, upstreams.
    pub routes: Arc<Routes>,
    /// Issuers by the index that routes use.
    pub issuers: Arc<[Arc<IssuerState>]>,
    /// What no longer counts.
    pub revocations: Arc<Revocations>,
    /// What each listener shakes hands with, in the configuration's order; `None` where it speaks plain HTTP.
    pub listeners: Arc<[Option<Arc<ServerTls>>]>,
    /// `limits.token`.
    pub token_limit: usize,
    /// Counts the tables of routes, from 1.
    pub table: u64,
}

/// Routes that one table may have for [`Snapshot::route_mark`] to tell them apart: many more than a file that is
/// small enough to be read can hold.
const MARKED_ROUTES: u64 = 1 << 24;

/// One issuer and its keys of the moment.
#[derive(Debug)]
pub struct IssuerState {
    /// Its configuration.
    pub config: Arc<Issuer>,
    /// Its keys.
    pub keys: Keys,
    /// Changes whenever its keys, its algorithms or anything else that steps 5, 7 and 8 read changes, and is
    /// never used twice: a memo entry of another epoch is dead.
    pub epoch: u64,
}

/// The keys of the moment.
#[derive(Debug, Clone)]
pub enum Keys {
    /// These. `fetched` sets may learn of new keys; others may not.
    Ready {
        /// The keys.
        set: Arc<KeySet>,
        /// Whether they were fetched, so that an unknown kid may be new.
        fetched: bool,
    },
    /// None yet, or none any more (past `max_stale`): decisions are `keys_unavailable`.
    Unavailable,
    /// Its tokens are looked up. The number changes whenever what was found may not be what would be found now.
    Records(u64),
}

/// What can be published: one part, whole.
#[derive(Debug)]
pub enum Change {
    /// A new configuration: everything at once. Keys of fetched issuers that stay are carried over by whoever
    /// makes the change.
    Config {
        /// The compiled routes.
        routes: Arc<Routes>,
        /// Issuers and their keys, in the order the routes use. Epochs are assigned by the publisher.
        issuers: Vec<(Arc<Issuer>, Keys)>,
        /// Revocations that a list has; what was added one by one stays.
        revocations: Arc<Revocations>,
        /// What each listener shakes hands with, in the configuration's order.
        listeners: Vec<Option<Arc<ServerTls>>>,
        /// `limits.token`.
        token_limit: usize,
    },
    /// New keys for the issuer of this name.
    Keys {
        /// The issuer's name.
        issuer: Box<str>,
        /// Its keys.
        keys: Keys,
    },
    /// New revocations.
    Revocations(Arc<Revocations>),
}

/// The one writer's end.
#[derive(Debug)]
pub struct Publisher {
    cell: Arc<ArcSwap<Snapshot>>,
    /// Invariant: above every epoch ever given out.
    next_epoch: u64,
}

/// A reader's end.
#[derive(Debug, Clone)]
pub struct Reader {
    cell: Arc<ArcSwap<Snapshot>>,
}

impl Reader {
    /// The snapshot of the moment: one load per decision, dropped before any await.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.cell.load()
    }
}

/// Makes the cell from the first change, which has to be a [`Change::Config`]; anything else starts empty.
pub fn channel(initial: Change) -> (Publisher, Reader) {
    let empty = Snapshot {
        generation: 0,
        routes: Arc::new(Routes::default()),
        issuers: Arc::from([]),
        revocations: Arc::new(Revocations::default()),
        listeners: Arc::from([]),
        token_limit: 0,
        table: 0,
    };
    let cell = Arc::new(ArcSwap::from_pointee(empty));
    let mut publisher = Publisher { cell: Arc::clone(&cell), next_epoch: 1 };
    publisher.publish(initial);
    (publisher, Reader { cell })
}

impl Publisher {
    /// Publishes one change and returns the new generation.
    pub fn publish(&mut self, change: Change) -> u64 {
        let now = self.cell.load_full();
        let generation = now.generation + 1;
        let next = match change {
            Change::Config { routes, issuers, revocations, listeners, token_limit } => {
                // Step 5 reads the limit, and a memo hit skips step 5: another limit is another epoch.
                let old = if token_limit == now.token_limit { &*now.issuers } else { &[] };
                let issuers =
                    issuers.into_iter().map(|(config, keys)| self.state(old, config, keys)).collect();
                let table = now.table + 1;
                let listeners = listeners.into();
                // A load takes its time, in which others may have been revoked.
                let revocations = Arc::new(revocations.beside(&now.revocations));
                Snapshot { generation, routes, issuers, revocations, listeners, token_limit, table }
            }
            Change::Keys { issuer, keys } => {
                let replace = |state: &Arc<IssuerState>| {
                    if state.config.name == issuer {
                        self.state(&now.issuers, Arc::clone(&state.config), keys.clone())
                    } else {
                        Arc::clone(state)
                    }
                };
                Snapshot { generation, issuers: now.issuers.iter().map(replace).collect(), ..now.parts() }
            }
            Change::Revocations(revocations) => Snapshot { generation, revocations, ..now.parts() },
        };
        self.cell.store(Arc::new(next));
        generation
    }

    /// Keeps the state (and its epoch) of an issuer whose configuration and keys did not change.
    fn state(&mut self, old: &[Arc<IssuerState>], config: Arc<Issuer>, keys: Keys) -> Arc<IssuerState> {
        let same = old.iter().find(|state| same_issuer(&state.config, &config) && state.keys.same(&keys));
        if let Some(state) = same {
            return Arc::clone(state);
        }
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        Arc::new(IssuerState { config, keys, epoch })
    }
}

/// Whether two issuers are configured alike, wherever in the file they stand: a line added above an issuer
/// must not cost it its memo.
fn same_issuer(one: &Arc<Issuer>, other: &Arc<Issuer>) -> bool {
    if Arc::ptr_eq(one, other) || one == other {
        return true;
    }
    let mut moved = Issuer::clone(other);
    moved.keys.at = one.keys.at;
    if let (KeySource::Secret { secret, .. }, KeySource::Secret { secret: here, .. }) =
        (&mut moved.keys.value, &one.keys.value)
    {
        secret.at = here.at;
    }
    **one == moved
}

impl Snapshot {
    fn parts(&self) -> Self {
        Self {
            generation: self.generation,
            routes: Arc::clone(&self.routes),
            issuers: Arc::clone(&self.issuers),
            revocations: Arc::clone(&self.revocations),
            listeners: Arc::clone(&self.listeners),
            token_limit: self.token_limit,
            table: self.table,
        }
    }

    /// Whether the listener at this place of the configuration begins with a handshake.
    pub fn speaks_tls(&self, listener: usize) -> bool {
        self.listeners.get(listener).is_some_and(Option::is_some)
    }

    /// Stands for a route of this table: no route of another table, or at another place, has the same.
    pub fn route_mark(&self, index: usize) -> u64 {
        self.table * MARKED_ROUTES + index as u64 % MARKED_ROUTES
    }
}

impl Keys {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Ready { set, .. } => set.len(),
            Self::Unavailable | Self::Records(_) => 0,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which records tokens are looked up among, if they are.
    pub fn records(&self) -> Option<u64> {
        match self {
            Self::Records(version) => Some(*version),
            Self::Ready { .. } | Self::Unavailable => None,
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ready { set, fetched }, Self::Ready { set: other, fetched: also }) => {
                fetched == also && (Arc::ptr_eq(set, other) || set.same_keys(other))
            }
            (Self::Unavailable, Self::Unavailable) => true,
            (Self::Records(version), Self::Records(other)) => version == other,
            (Self::Ready { .. } | Self::Records(_) | Self::Unavailable, _) => false,
        }
    }
}
