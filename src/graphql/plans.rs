//! The plans that a worker remembers, by the whole text of their documents, as it came: one that is known needs no
//! unescaping. A document that some clients escape in another way than others is known twice.
//!
//! By the text itself and not by a hash of it: who finds two texts of one hash would be let in with one and run the other.
//! Rules are told apart by their place in memory, which is not given to others as long as an entry knows of it; their contents
//! go when the last route does that has them.
//!
//! Texts that are no documents are remembered apart: no amount of them makes a plan go.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use foldhash::quality::FixedState;
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::config::defaults::{GRAPHQL_PLAN, GRAPHQL_PLAN_TEXT, GRAPHQL_PLANS, GRAPHQL_REJECTIONS};
use crate::graphql::envelope::Written;
use crate::graphql::plan::{Needs, Plan};
use crate::graphql::rejected::Rejected;
use crate::graphql::rules::Rules;

#[cfg(test)]
mod tests;

/// One worker's plans.
#[derive(Debug)]
pub struct Plans {
    serial: u64,
    good: Store<Arc<Plan>>,
    bad: Store<Rejected>,
}

/// What is remembered of documents, in so many octets; nothing is taken before the first.
struct Store<V> {
    octets: u64,
    seed: u64,
    cache: Option<Cache<Key, V, Octets, FixedState>>,
}

/// A document under a route's rules.
struct Key {
    rules: Weak<Rules>,
    escaped: bool,
    text: Box<str>,
}

/// The same, to look it up by.
struct Sought<'s> {
    rules: *const Rules,
    escaped: bool,
    text: &'s str,
}

#[derive(Debug, Clone)]
struct Octets;

impl Plans {
    /// Of at most so many octets. Who does not know the seed cannot choose documents that share a place.
    pub fn new(octets: u64, seed: u64) -> Self {
        Self { serial: 0, good: Store::new(octets, seed), bad: Store::new(GRAPHQL_REJECTIONS, seed) }
    }

    /// The plan of a document under these rules: the one that is remembered, or a new one.
    pub fn plan(&mut self, rules: &Arc<Rules>, document: &Written<'_>) -> Result<Arc<Plan>, Rejected> {
        let sought = Sought::new(rules, document);
        let fits = sought.text.len() <= GRAPHQL_PLAN_TEXT;
        if fits {
            if let Some(plan) = self.good.get(&sought) {
                return Ok(Arc::clone(plan));
            }
            if let Some(rejected) = self.bad.get(&sought) {
                return Err(rejected.clone());
            }
        }
        self.serial += 1;
        match rules.plan(&document.text(), self.serial) {
            Ok(plan) => {
                let plan = Arc::new(plan);
                if fits && weight(&plan) <= GRAPHQL_PLAN {
                    self.good.insert(Key::new(rules, &sought), Arc::clone(&plan));
                }
                Ok(plan)
            }
            Err(rejected) => {
                if fits {
                    self.bad.insert(Key::new(rules, &sought), rejected.clone());
                }
                Err(rejected)
            }
        }
    }

    /// Plans and rejections that are remembered.
    pub fn remembered(&self) -> (usize, usize) {
        (self.good.len(), self.bad.len())
    }
}

impl Default for Plans {
    /// As if there were eight workers and nobody to fear.
    fn default() -> Self {
        Self::new(GRAPHQL_PLANS / 8, 0)
    }
}

impl<V> Store<V>
where
    Octets: Weighter<Key, V>,
{
    fn new(octets: u64, seed: u64) -> Self {
        Self { octets, seed, cache: None }
    }

    fn get(&self, sought: &Sought<'_>) -> Option<&V> {
        self.cache.as_ref()?.get(sought)
    }

    fn insert(&mut self, key: Key, value: V) {
        let (octets, places) = (self.octets, FixedState::with_seed(self.seed));
        let items = usize::try_from(octets / TYPICAL).unwrap_or(usize::MAX).max(1);
        self.cache
            .get_or_insert_with(|| Cache::with(items, octets, Octets, places, Default::default()))
            .insert(key, value);
    }

    fn len(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::len)
    }
}

impl<V> std::fmt::Debug for Store<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("octets", &self.octets).finish_non_exhaustive()
    }
}

impl Key {
    fn new(rules: &Arc<Rules>, sought: &Sought<'_>) -> Self {
        Self { rules: Arc::downgrade(rules), escaped: sought.escaped, text: sought.text.into() }
    }
}

impl<'s> Sought<'s> {
    fn new(rules: &Arc<Rules>, document: &'s Written<'_>) -> Self {
        let (escaped, text) = match document {
            Written::Plain(text) => (false, &**text),
            Written::Escaped(raw) => (true, *raw),
        };
        Self { rules: Arc::as_ptr(rules), escaped, text }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.rules.ptr_eq(&other.rules) && self.escaped == other.escaped && self.text == other.text
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought { rules: self.rules.as_ptr(), escaped: self.escaped, text: &self.text }.hash(state);
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rules.hash(state);
        self.text.hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        std::ptr::eq(self.rules, key.rules.as_ptr()) && self.escaped == key.escaped && *self.text == *key.text
    }
}

impl Weighter<Key, Arc<Plan>> for Octets {
    fn weight(&self, key: &Key, plan: &Arc<Plan>) -> u64 {
        (key.text.len() + PLACE) as u64 + weight(plan)
    }
}

impl Weighter<Key, Rejected> for Octets {
    fn weight(&self, key: &Key, rejected: &Rejected) -> u64 {
        (key.text.len() + rejected.message.len() + size_of::<Rejected>() + PLACE) as u64
    }
}

/// Octets that a plan takes, about.
fn weight(plan: &Plan) -> u64 {
    let of_needs = |needs: &Needs| {
        let denied = needs.denied.as_ref().map_or(0, |denied| denied.len());
        needs.permissions.iter().map(|permission| permission.len() + PIECE).sum::<usize>() + denied
    };
    let operations = plan.operations.iter().map(|operation| {
        let fields = operation.fields.iter().map(|field| {
            size_of_val(field) + field.key.len() + field.name.len() + of_needs(&field.needs) + 2 * ROUNDED
        });
        size_of_val(operation) + fields.sum::<usize>() + of_needs(&operation.needs) + ROUNDED
    });
    (size_of_val(plan) + operations.sum::<usize>()) as u64
}

/// What an entry takes beside its contents: its place in the map, which is filled half to whole, and counts of the `Arc`.
const PLACE: usize = 160;
/// What a piece of text takes beside its octets: where it is, and what the allocator rounds up.
const PIECE: usize = 16 + ROUNDED;
/// What the allocator rounds up, on average.
const ROUNDED: usize = 8;
/// What an entry weighs, for the size of the eviction's queues.
const TYPICAL: u64 = 2_048;
