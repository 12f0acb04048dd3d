//! A document as rules below the root walk it.

use std::collections::HashMap;

use bluejay_core::AsIter as _;
use bluejay_parser::ast::executable::{FragmentDefinition, Selection as Parsed, SelectionSet};

use crate::graphql::schema::walk::{Selection, Selections};

/// Fragments by name, each with its place.
#[derive(Debug)]
pub(crate) struct Typed<'d> {
    fragments: HashMap<&'d str, (usize, &'d FragmentDefinition<'d>)>,
}

impl<'d> Typed<'d> {
    pub(crate) fn new(fragments: &'d [FragmentDefinition<'d>]) -> Self {
        let fragments = fragments.iter().enumerate();
        Self { fragments: fragments.map(|(place, one)| (one.name().as_ref(), (place, one))).collect() }
    }
}

impl<'d> Selections<'d> for Typed<'d> {
    type Set = &'d SelectionSet<'d>;

    fn members(&self, set: Self::Set) -> impl Iterator<Item = Selection<'d, Self::Set>> {
        set.iter().map(|selection| match selection {
            Parsed::Field(field) => Selection::Field(field.name().as_ref(), field.selection_set()),
            Parsed::InlineFragment(inline) => {
                let on = inline.type_condition().map(|on| on.named_type().as_ref());
                Selection::Inline(on, inline.selection_set())
            }
            Parsed::FragmentSpread(spread) => Selection::Spread(spread.name().as_ref()),
        })
    }

    fn fragment(&self, name: &str) -> Option<(usize, &'d str, Self::Set)> {
        let (place, fragment) = self.fragments.get(name)?;
        Some((*place, fragment.type_condition().named_type().as_ref(), fragment.selection_set()))
    }
}
