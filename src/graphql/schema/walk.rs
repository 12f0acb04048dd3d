//! What an operation needs below its root: a walk over its selections, each in the type that it stands in.
//!
//! A fragment is walked once for each type that it is spread in, and what came of it is kept, so that fragments within
//! fragments cost what they are long and not what they come to. Steps and depth are bounded, and so is what is kept and said of
//! needs: a few letters may ask for all that there is, many times. Past the bounds the operation is for nobody.

use std::collections::HashMap;

use crate::config::defaults::{
    GRAPHQL_WALK_DEPTH, GRAPHQL_WALK_NEEDS, GRAPHQL_WALK_STEPS, GRAPHQL_WALK_WORDS,
};
use crate::config::graphql::OperationKind;
use crate::graphql::plan::Needs;
use crate::graphql::schema::{BoundField, Schema};

/// A document, as far as it is walked.
pub trait Selections<'d> {
    /// What stands between two braces.
    type Set: Copy;

    /// What a set holds, in order.
    fn members(&self, set: Self::Set) -> impl Iterator<Item = Selection<'d, Self::Set>>;

    /// The fragment of this name: its place among the document's, the type that it is on, and what it holds.
    fn fragment(&self, name: &str) -> Option<(usize, &'d str, Self::Set)>;
}

/// One member of a set.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'d, S> {
    /// A field by its own name, and what is selected of it.
    Field(&'d str, Option<S>),
    /// `... on Type { … }`, or `... { … }`.
    Inline(Option<&'d str>, S),
    /// `...Name`.
    Spread(&'d str),
}

/// A walk over one document. What it finds out of fragments serves all of the document's operations.
#[derive(Debug)]
pub struct Walk<'w, D> {
    schema: &'w Schema,
    document: &'w D,
    /// By fragment and type; none while the fragment is being walked.
    fragments: HashMap<(usize, usize), Option<Found>>,
    steps: usize,
    /// Words of what is kept of fragments.
    words: usize,
    /// Needs that were told of fields at roots.
    told: usize,
}

/// What was found: which of the schema's needs, by their places, and the first thing that is nobody's.
#[derive(Debug, Clone, Default)]
struct Found {
    needs: Vec<u64>,
    denied: Option<Box<str>>,
}

impl<'w, D> Walk<'w, D> {
    /// Over this document.
    pub fn new<'d>(schema: &'w Schema, document: &'w D) -> Self
    where
        D: Selections<'d>,
    {
        Self { schema, document, fragments: HashMap::new(), steps: 0, words: 0, told: 0 }
    }

    /// What a field at the root of an operation of this kind needs with all that is selected of it. `__typename`, `__schema`
    /// and `__type` need nothing here: introspection has a policy of its own.
    pub fn field<'d>(&mut self, kind: OperationKind, name: &'d str, inside: Option<D::Set>) -> Needs
    where
        D: Selections<'d>,
    {
        if name.starts_with("__") {
            return Needs::nothing();
        }
        let mut found = Found::default();
        match self.schema.root(kind) {
            Some(root) => self.one(root, name, inside, 0, &mut found),
            None => found.deny(kind.name(), name),
        }
        self.told = self.told.saturating_add(found.count());
        if self.told > GRAPHQL_WALK_NEEDS {
            return Needs::nobody("selections.too many needs");
        }
        found.into_needs(self.schema)
    }

    fn set<'d>(&mut self, set: D::Set, of: usize, depth: usize, found: &mut Found)
    where
        D: Selections<'d>,
    {
        if depth >= GRAPHQL_WALK_DEPTH {
            return found.deny("selections", "too deep");
        }
        let document = self.document;
        for member in document.members(set) {
            self.steps += 1;
            if self.steps > GRAPHQL_WALK_STEPS {
                return found.deny("selections", "too many");
            }
            match member {
                Selection::Field("__typename", _) => {}
                Selection::Field(name, inside) => self.one(of, name, inside, depth, found),
                Selection::Inline(None, inside) => self.set(inside, of, depth + 1, found),
                Selection::Inline(Some(on), inside) => {
                    if let Some(within) = self.narrowed(of, on, found) {
                        self.set(inside, within, depth + 1, found);
                    }
                }
                Selection::Spread(name) => self.spread(name, of, depth, found),
            }
        }
    }

    /// A field of a type, and what is selected of it.
    fn one<'d>(&mut self, of: usize, name: &'d str, inside: Option<D::Set>, depth: usize, found: &mut Found)
    where
        D: Selections<'d>,
    {
        let Some(within) = self.schema.types.get(of) else { return found.deny("selections", name) };
        let Some(BoundField { of, needs }) = within.fields.get(name) else {
            return found.deny(&within.name, name);
        };
        found.add(*needs);
        if let Some(inside) = inside {
            self.set(inside, *of, depth + 1, found);
        }
    }

    fn spread<'d>(&mut self, name: &'d str, of: usize, depth: usize, found: &mut Found)
    where
        D: Selections<'d>,
    {
        let Some((fragment, on, inside)) = self.document.fragment(name) else {
            return found.deny("fragment", name);
        };
        let Some(within) = self.narrowed(of, on, found) else { return };
        match self.fragments.get(&(fragment, within)) {
            Some(Some(known)) => return found.join(known),
            // It holds itself. Such documents are refused before they are walked.
            Some(None) => return found.deny("fragment", name),
            None => {}
        }
        self.fragments.insert((fragment, within), None);
        let mut inner = Found::default();
        self.set(inside, within, depth + 1, &mut inner);
        found.join(&inner);
        self.words = self.words.saturating_add(inner.needs.len());
        if self.words > GRAPHQL_WALK_WORDS {
            return found.deny("selections", "too many needs");
        }
        self.fragments.insert((fragment, within), Some(inner));
    }

    /// The type that a fragment's fields stand in: its own, unless what it stands in is one of those already.
    fn narrowed(&self, of: usize, on: &str, found: &mut Found) -> Option<usize> {
        let Some(index) = self.schema.names.get(on).copied() else {
            found.deny("type", on);
            return None;
        };
        found.add(self.schema.types.get(index)?.needs);
        let is_one_already = self.schema.types.get(of)?.belongs.binary_search(&index).is_ok();
        Some(if is_one_already { of } else { index })
    }
}

impl Found {
    fn add(&mut self, needs: usize) {
        let (word, bit) = (needs / 64, needs % 64);
        if self.needs.len() <= word {
            self.needs.resize(word + 1, 0);
        }
        if let Some(word) = self.needs.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    fn count(&self) -> usize {
        self.needs.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn join(&mut self, other: &Self) {
        if self.needs.len() < other.needs.len() {
            self.needs.resize(other.needs.len(), 0);
        }
        self.needs.iter_mut().zip(&other.needs).for_each(|(word, other)| *word |= other);
        if self.denied.is_none() {
            self.denied.clone_from(&other.denied);
        }
    }

    /// Notes something that the schema does not know. The first is kept.
    fn deny(&mut self, of: &str, name: &str) {
        self.denied.get_or_insert_with(|| format!("{of}.{name}").into_boxed_str());
    }

    fn into_needs(self, schema: &Schema) -> Needs {
        let bits = self.needs.iter().enumerate();
        let places = bits.flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        });
        let mut needs = Needs::all(places.filter_map(|place| schema.needs.get(place)));
        if let Some(denied) = self.denied {
            needs.join(&Needs::nobody(denied));
        }
        needs
    }
}
