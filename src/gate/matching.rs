//! How many tokens entries would stop, of those that are remembered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::gate::checks::Checked;
use crate::gate::memo::TokenFacts;
use crate::gate::revocable;
use crate::revocation::Kind;
use crate::revocation::held::Held;
use crate::revocation::key::Key;
use crate::snapshot::Snapshot;
use crate::token::NumericDate;

/// What entries would stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// For each entry, the tokens that it would stop.
    pub each: Vec<usize>,
    /// The tokens that any of them would.
    pub any: usize,
    /// The tokens that were asked about: those that are accepted now.
    pub of: usize,
}

/// Asks `tokens` about `entries`. One that is there twice counts once, one that is over, revoked already, or verified by
/// what is not so any more, not at all.
pub fn count(
    snapshot: &Snapshot,
    tokens: &[Arc<TokenFacts>],
    entries: &[Held],
    now: NumericDate,
) -> Matching {
    let mut wanted: HashMap<(Kind, Key), Vec<usize>> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        wanted.entry((entry.kind, entry.key)).or_default().push(index);
    }
    let mut matching = Matching { each: vec![0; entries.len()], any: 0, of: 0 };
    let mut seen = HashSet::new();
    for facts in tokens {
        let Some(state) = snapshot.issuers.get(facts.issuer).filter(|state| state.epoch == facts.epoch)
        else {
            continue;
        };
        let checked = Checked { config: &state.config, facts, now };
        let claims = facts.verified.claims();
        let counts = checked.time().is_ok()
            && facts.standing.is_ok()
            && checked.not_revoked(&snapshot.revocations).is_ok()
            && seen.insert((facts.issuer, claims.as_kept()));
        if !counts {
            continue;
        }
        matching.of += 1;
        let mut stopping: Vec<usize> = revocable::keys(&state.config, &facts.verified)
            .iter()
            .filter_map(|name| wanted.get(name))
            .flatten()
            .copied()
            .filter(|index| {
                let stops = |entry: &Held| entry.stops(claims.issued_at(), checked.leeway(), now);
                entries.get(*index).is_some_and(stops)
            })
            .collect();
        stopping.sort_unstable();
        stopping.dedup();
        matching.any += usize::from(!stopping.is_empty());
        for index in stopping {
            matching.each[index] += 1;
        }
    }
    matching
}
