//! What entries would come to, before they are added.

use std::sync::Arc;

use crate::control::revoking::{RevokeError, held_of};
use crate::control::{ControlHandle, clock};
use crate::gate::lasting::Lasting;
use crate::gate::matching::{self, Matching};
use crate::gate::memo::TokenFacts;
use crate::revocation::held::Held;
use crate::store;

/// What entries would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// For each entry, whether one that is in force stops the same tokens already.
    pub already: Vec<bool>,
    /// Of the tokens and streams that were asked about, those that they would stop.
    pub matching: Matching,
}

impl ControlHandle {
    /// Weighs entries against what is in force, these tokens and these streams. Takes its time: a microsecond or two for
    /// each.
    pub fn weigh(
        &self,
        entries: &[store::Entry],
        known: (&[Arc<TokenFacts>], Vec<Lasting>),
    ) -> Result<Weighed, RevokeError> {
        let (snapshot, now) = (Arc::clone(&self.shared.reader.load()), clock::now());
        let held: Vec<Held> = entries.iter().map(held_of).collect::<Result<_, _>>()?;
        let already = held.iter().map(|entry| snapshot.revocations.covers(entry, now)).collect();
        Ok(Weighed { already, matching: matching::count(&snapshot, known, &held, now) })
    }
}
