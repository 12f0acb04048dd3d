//! Finite automata over the characters of scope-tokens: what a pattern accepts, and whether several patterns
//! together accept all that another one does.

use std::collections::BTreeSet;

/// A nondeterministic automaton with a single end. Built from left to right; state 0 is the start and the
/// state made last is the end, so that what is built next goes on from there.
///
/// Invariant: from every state the end can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automaton {
    states: Vec<State>,
}

impl Automaton {
    /// About how many octets of memory it holds.
    pub(super) fn footprint(&self) -> usize {
        let state = |state: &State| {
            size_of::<State>()
                + state.steps.capacity() * size_of::<(Class, usize)>()
                + state.free.capacity() * size_of::<usize>()
        };
        size_of::<Self>() + self.states.iter().map(state).sum::<usize>()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    /// Taken by reading one character.
    steps: Vec<(Class, usize)>,
    /// Taken for nothing.
    free: Vec<usize>,
}

/// The characters that a step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    One(u8),
    Any,
    NotColon,
}

impl Class {
    fn reads(self, octet: u8) -> bool {
        match self {
            Self::One(one) => one == octet,
            Self::Any => true,
            Self::NotColon => octet != b':',
        }
    }
}

impl Default for Automaton {
    /// Accepts the empty text alone.
    fn default() -> Self {
        Self { states: vec![State::default()] }
    }
}

impl Automaton {
    /// Goes on with exactly this text.
    pub fn literal(&mut self, text: &str) {
        for octet in text.bytes() {
            self.step(Class::One(octet));
        }
    }

    /// Goes on with one character.
    pub fn any_one(&mut self) {
        self.step(Class::Any);
    }

    /// Goes on with any number of characters.
    pub fn any_number(&mut self) {
        let end = self.end();
        self.states[end].steps.push((Class::Any, end));
        // A state of its own, lest what follows shares the loop with what came before.
        self.free_step();
    }

    /// Goes on with one part: one or more characters, none of them `:`.
    pub fn one_part(&mut self) {
        self.step(Class::NotColon);
        let end = self.end();
        self.states[end].steps.push((Class::NotColon, end));
        self.free_step();
    }

    /// Goes on with one or more parts, `:` between them.
    pub fn parts(&mut self) {
        let start = self.end();
        self.one_part();
        let end = self.end();
        self.states[end].steps.push((Class::One(b':'), start));
        self.free_step();
    }

    /// Goes on with any one of `texts`, each built by `build`.
    pub fn alternatives<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t str>,
        build: impl Fn(&mut Self, &'t str),
    ) {
        let start = self.end();
        let mut ends = Vec::new();
        for text in texts {
            let begin = self.add();
            self.states[start].free.push(begin);
            build(self, text);
            ends.push(self.end());
        }
        let end = self.add();
        for from in ends {
            self.states[from].free.push(end);
        }
    }

    /// Whether it accepts `text`.
    pub fn accepts(&self, text: &str) -> bool {
        let mut now = Reached::none(self.states.len());
        let mut next = now.clone();
        self.reach(&mut now, 0);
        for octet in text.bytes() {
            next.clear();
            self.read(&now, octet, &mut next);
            if next.is_none() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.has(self.end())
    }

    fn end(&self) -> usize {
        self.states.len() - 1
    }

    fn add(&mut self) -> usize {
        self.states.push(State::default());
        self.end()
    }

    fn step(&mut self, class: Class) {
        let from = self.end();
        let to = self.add();
        self.states[from].steps.push((class, to));
    }

    fn free_step(&mut self) {
        let from = self.end();
        let to = self.add();
        self.states[from].free.push(to);
    }

    /// Adds to `next` what is reached from `now` by reading `octet`, and counts the states it looked at.
    fn read(&self, now: &Reached, octet: u8, next: &mut Reached) -> usize {
        let mut looked_at = 0;
        for state in now.iter() {
            looked_at += 1;
            for &(class, to) in &self.states[state].steps {
                if class.reads(octet) {
                    looked_at += self.reach(next, to);
                }
            }
        }
        looked_at
    }

    /// Adds a state and all that is reached from it for nothing, and counts what was new.
    fn reach(&self, reached: &mut Reached, state: usize) -> usize {
        if !reached.insert(state) {
            return 0;
        }
        let mut new = 1;
        let mut open = self.states[state].free.clone();
        while let Some(state) = open.pop() {
            if reached.insert(state) {
                new += 1;
                open.extend(&self.states[state].free);
            }
        }
        new
    }
}

/// A set of states.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reached(Box<[u64]>);

impl Reached {
    fn none(states: usize) -> Self {
        Self(vec![0; states.div_ceil(64)].into())
    }

    /// Whether it was not there yet.
    fn insert(&mut self, state: usize) -> bool {
        let bit = 1 << (state % 64);
        let word = &mut self.0[state / 64];
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn has(&self, state: usize) -> bool {
        self.0[state / 64] >> (state % 64) & 1 == 1
    }

    fn is_none(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit as usize)
            })
        })
    }
}

/// Whether `requested` accepts some text of scope characters that is not empty, and one of `union` accepts each
/// of those that it does.
///
/// Walks both at once: a single state of `requested` beside the set of states that `union` may be in. A pair
/// in which `requested` may stop and no member of `union` may is a text that is not contained. Gives up with
/// `false` after [`CONTAINMENT_STEPS`].
pub fn contains(union: &[Automaton], requested: &Automaton) -> bool {
    let Joined { automaton: joined, ends } = join(union);
    let characters = representatives(&joined, requested);
    let mut start = Reached::none(joined.states.len());
    let mut steps = joined.reach(&mut start, 0);

    let mut some_text = false;
    let mut seen = BTreeSet::new();
    let mut open = vec![Pair { state: 0, beside: start, has_read: false }];
    while let Some(pair) = open.pop() {
        if pair.has_read && pair.state == requested.end() {
            some_text = true;
            if !ends.iter().any(|end| pair.beside.has(*end)) {
                return false;
            }
        }
        if !seen.insert(pair.clone()) {
            continue;
        }
        let State { steps: reading, free } = &requested.states[pair.state];
        for &state in free {
            steps += pair.beside.0.len();
            open.push(Pair { state, ..pair.clone() });
        }
        for &(class, state) in reading {
            for &octet in characters.iter().filter(|octet| class.reads(**octet)) {
                let mut beside = Reached::none(joined.states.len());
                steps += beside.0.len() + joined.read(&pair.beside, octet, &mut beside);
                // From every state the end can be reached: where the union is nowhere, it misses some text.
                if beside.is_none() || steps > CONTAINMENT_STEPS {
                    return false;
                }
                open.push(Pair { state, beside, has_read: true });
            }
        }
    }
    some_text
}

/// Where two automata may be after reading the same text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    state: usize,
    beside: Reached,
    /// Whether that text is not empty: the empty one is no scope-token.
    has_read: bool,
}

/// Several automata in one, with an end each.
struct Joined {
    automaton: Automaton,
    ends: Vec<usize>,
}

fn join(union: &[Automaton]) -> Joined {
    let mut joined = Joined { automaton: Automaton::default(), ends: Vec::new() };
    for automaton in union {
        let offset = joined.automaton.states.len();
        joined.automaton.states[0].free.push(offset);
        joined.automaton.states.extend(automaton.states.iter().map(|state| State {
            steps: state.steps.iter().map(|&(class, to)| (class, to + offset)).collect(),
            free: state.free.iter().map(|to| to + offset).collect(),
        }));
        joined.ends.push(joined.automaton.end());
    }
    joined
}

/// One character of each kind that these automata can tell apart: those they name, `:`, and one that they do
/// not name, if there is one left.
fn representatives(union: &Automaton, requested: &Automaton) -> Vec<u8> {
    let mut named: BTreeSet<u8> = union
        .states
        .iter()
        .chain(&requested.states)
        .flat_map(|state| &state.steps)
        .filter_map(|(class, _)| match class {
            Class::One(octet) => Some(*octet),
            Class::Any | Class::NotColon => None,
        })
        .collect();
    named.insert(b':');
    let another =
        (0x21..=0x7e).filter(|octet| !matches!(octet, b'"' | b'\\')).find(|octet| !named.contains(octet));
    named.extend(another);
    named.into_iter().collect()
}

/// How many states containment may visit before it gives up and says no: about ten milliseconds of work. Real
/// patterns need some hundred; what needs more was written to need more.
pub const CONTAINMENT_STEPS: usize = 500_000;
