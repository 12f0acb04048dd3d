//! A document as rules below the root walk it.

use std::collections::HashMap;

use crate::graphql::document::{Document, Kind};
use crate::graphql::schema::walk::{Selection, Selections};

/// A document, its fragments by name.
#[derive(Debug)]
pub(in crate::graphql::planning) struct Typed<'d> {
    document: &'d Document<'d>,
    fragments: HashMap<&'d str, usize>,
}

impl<'d> Typed<'d> {
    pub(in crate::graphql::planning) fn new(document: &'d Document<'d>) -> Self {
        let fragments = document.fragments.iter().enumerate();
        Self { document, fragments: fragments.map(|(place, one)| (document.at(one.name), place)).collect() }
    }
}

impl<'d> Selections<'d> for Typed<'d> {
    /// From a selection to one past the last.
    type Set = (u32, u32);

    fn members(&self, (mut next, end): Self::Set) -> impl Iterator<Item = Selection<'d, Self::Set>> {
        let document = self.document;
        std::iter::from_fn(move || {
            loop {
                let at = next;
                let selection = document.selections.get(at as usize).filter(|_| at < end)?;
                next = selection.next;
                if selection.is_absent {
                    continue;
                }
                let (name, within) = (document.at(selection.name), (at + 1, selection.next));
                return Some(match selection.kind {
                    Kind::Field => Selection::Field(name, (within.0 < within.1).then_some(within)),
                    Kind::Inline => Selection::Inline((!name.is_empty()).then_some(name), within),
                    Kind::Spread => Selection::Spread(name),
                });
            }
        })
    }

    fn fragment(&self, name: &str) -> Option<(usize, &'d str, Self::Set)> {
        let place = *self.fragments.get(name)?;
        let fragment = self.document.fragments.get(place)?;
        Some((place, self.document.at(fragment.on), (fragment.body.start, fragment.body.end)))
    }
}
