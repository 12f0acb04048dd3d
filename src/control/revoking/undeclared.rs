//! Entries of the store about claims that the configuration does not declare any more: they stop nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::config::Config;
use crate::config::problems::quoted;
use crate::revocation::Kind;
use crate::store::Change;

/// How many entries there are of each claim, those included that have ended since the start.
#[derive(Debug, Default)]
pub(in crate::control) struct ByClaim(Mutex<BTreeMap<Box<str>, i64>>);

impl ByClaim {
    /// One more, or one less, of an entry of this kind, as the store writes it.
    pub(in crate::control) fn count(&self, kind: &str, by: i64) {
        let Some(claim) = claim(kind) else { return };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < CLAIMS || counts.contains_key(claim) {
            *counts.entry(claim.into()).or_default() += by;
        }
    }

    /// What the store has taken.
    pub(in crate::control) fn follow(&self, counts: &[(Box<str>, i64)]) {
        counts.iter().for_each(|(kind, by)| self.count(kind, *by));
    }

    /// What is to be said of those that `config` does not declare.
    pub(in crate::control) fn warnings(&self, config: &Config) -> Vec<String> {
        let declared = config.revocation.as_ref().map(|revocation| &*revocation.claims).unwrap_or_default();
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = counts.iter().filter(|(_, count)| **count > 0).map(|(claim, _)| claim);
        let undeclared = kept.filter(|claim| !declared.iter().any(|declared| declared.name == **claim));
        let warning = |claim: &str| {
            let claim = quoted(claim);
            format!(
                "the store has entries of the claim {claim}, which `revocation.claims` does not name: they stop nothing"
            )
        };
        undeclared.map(|claim| warning(claim)).collect()
    }
}

/// What changes come to, once the store has taken them.
pub(in crate::control) fn counts(changes: &[Change]) -> Vec<(Box<str>, i64)> {
    let count = |change: &Change| {
        let (kind, by) = match change {
            Change::Added(entry) => (&entry.kind, 1),
            Change::Lifted(tombstone) => (&tombstone.kind, -1),
        };
        claim(kind).map(|_| (kind.clone(), by))
    };
    changes.iter().filter_map(count).collect()
}

fn claim(kind: &str) -> Option<&str> {
    kind.strip_prefix(Kind::Claim.name())?.strip_prefix(':')
}

/// Claims that are counted: many more than a configuration may declare at once.
const CLAIMS: usize = 1_000;
