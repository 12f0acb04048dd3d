//! What entries would stop, of the tokens that are remembered and the streams that are open.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::gate::checks::Checked;
use crate::gate::lasting::Lasting;
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
    /// For each entry, what it would stop.
    pub each: Vec<Stopped>,
    /// What any of them would.
    pub any: Stopped,
    /// What was asked about: the tokens that are accepted now, and the streams that may go on.
    pub of: Stopped,
}

/// What would end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Tokens.
    pub tokens: usize,
    /// Streams, however many of them have one token.
    pub streams: usize,
}

/// Asks `tokens` and `streams` about `entries`. A token that is there twice counts once, one that is over, revoked already,
/// or verified by what is not so any more, not at all; nor does a stream that is ending anyway.
pub fn count(
    snapshot: &Snapshot,
    (tokens, streams): (&[Arc<TokenFacts>], Vec<Lasting>),
    entries: &[Held],
    now: NumericDate,
) -> Matching {
    let wanted = Wanted::new(entries, now);
    let mut matching = Matching {
        each: vec![Stopped::default(); entries.len()],
        any: Stopped::default(),
        of: Stopped::default(),
    };
    let mut seen = HashSet::new();
    for facts in tokens {
        let Some(state) = snapshot.issuers.get(facts.issuer).filter(|state| state.epoch == facts.epoch)
        else {
            continue;
        };
        let checked = Checked { config: &state.config, facts, now };
        let counts = checked.time().is_ok()
            && facts.standing.is_ok()
            && checked.not_revoked(&snapshot.revocations).is_ok()
            && seen.insert((facts.issuer, facts.verified.claims().as_kept()));
        if counts {
            let stopping = wanted.stopping(&checked, &revocable::keys(&state.config, &facts.verified));
            matching.add(&stopping, |stopped| &mut stopped.tokens);
        }
    }
    for mut stream in streams {
        if stream.holds(snapshot, now).is_ok() {
            let (checked, keys) = stream.named(now);
            let stopping = wanted.stopping(&checked, &keys);
            matching.add(&stopping, |stopped| &mut stopped.streams);
        }
    }
    matching
}

impl Matching {
    /// One more, which these entries would stop.
    fn add(&mut self, stopping: &[usize], which: impl Fn(&mut Stopped) -> &mut usize) {
        *which(&mut self.of) += 1;
        *which(&mut self.any) += usize::from(!stopping.is_empty());
        for &index in stopping {
            self.each.get_mut(index).map(&which).into_iter().for_each(|count| *count += 1);
        }
    }
}

/// Entries, by what they are about.
struct Wanted<'e> {
    entries: &'e [Held],
    by_key: HashMap<(Kind, Key), Vec<usize>>,
    now: NumericDate,
}

impl<'e> Wanted<'e> {
    fn new(entries: &'e [Held], now: NumericDate) -> Self {
        let mut by_key: HashMap<(Kind, Key), Vec<usize>> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            by_key.entry((entry.kind, entry.key)).or_default().push(index);
        }
        Self { entries, by_key, now }
    }

    /// The entries, each once, that would stop a token of these names.
    fn stopping(&self, checked: &Checked<'_>, names: &[(Kind, Key)]) -> Vec<usize> {
        let issued_at = checked.facts.verified.claims().issued_at();
        let stops = |entry: &Held| entry.stops(issued_at, checked.leeway(), self.now);
        let named = names.iter().filter_map(|name| self.by_key.get(name)).flatten().copied();
        let mut stopping: Vec<usize> =
            named.filter(|index| self.entries.get(*index).is_some_and(stops)).collect();
        stopping.sort_unstable();
        stopping.dedup();
        stopping
    }
}
