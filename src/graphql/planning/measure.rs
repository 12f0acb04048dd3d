//! How much an operation asks for, through fragments: each fragment is measured once, and counts wherever it is spread.
//! What doubles thirty times is a large number here, not a long time; numbers stay at the largest rather than begin anew.

use crate::graphql::document::{Body, Document, Kind};

/// What a definition comes to.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::graphql::planning) struct Measure {
    /// Levels of fields within fields.
    pub(in crate::graphql::planning) depth: u64,
    pub(in crate::graphql::planning) aliases: u64,
    pub(in crate::graphql::planning) directives: u64,
    pub(in crate::graphql::planning) root_fields: u64,
    /// In parts of [`UNIT`].
    pub(in crate::graphql::planning) cost: u64,
}

/// The measures of a document's fragments.
#[derive(Debug)]
pub(in crate::graphql::planning) struct Measures<'d> {
    document: &'d Document<'d>,
    fragments: Vec<Measure>,
    /// Costs are only worked out where there is a bound.
    with_cost: bool,
    /// By level: what the fields there cost that were met since one was met above.
    sums: Vec<u64>,
}

/// A cost in whole numbers, rounded up.
pub(in crate::graphql::planning) fn whole(cost: u64) -> u64 {
    cost.div_ceil(UNIT)
}

impl<'d> Measures<'d> {
    /// Measures every fragment.
    pub(in crate::graphql::planning) fn new(document: &'d Document<'d>, with_cost: bool) -> Self {
        let fragments = vec![Measure::default(); document.fragments.len()];
        let mut measures = Self { document, fragments, with_cost, sums: Vec::new() };
        for place in document.order.iter().map(|place| *place as usize) {
            let Some(fragment) = document.fragments.get(place) else { continue };
            let measured = measures.of(fragment.body);
            if let Some(measure) = measures.fragments.get_mut(place) {
                *measure = measured;
            }
        }
        measures
    }

    /// Measures a definition. Those that it spreads have been measured.
    pub(in crate::graphql::planning) fn of(&mut self, body: Body) -> Measure {
        let mut measure = Measure { directives: u64::from(body.directives), ..Measure::default() };
        for selection in self.document.body(body) {
            let level = u64::from(selection.level);
            let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
            add(&mut measure.directives, u64::from(selection.directives));
            match selection.kind {
                Kind::Inline => {}
                Kind::Field => {
                    measure.depth = measure.depth.max(level + 1);
                    add(&mut measure.aliases, u64::from(!selection.alias.is_empty()));
                    add(&mut measure.root_fields, u64::from(level == 0));
                }
                Kind::Spread => {
                    let within = self.fragment(selection.target);
                    measure.depth = measure.depth.max(within.depth.saturating_add(level));
                    add(&mut measure.aliases, within.aliases);
                    add(&mut measure.directives, within.directives);
                    add(&mut measure.root_fields, if level == 0 { within.root_fields } else { 0 });
                }
            }
        }
        if self.with_cost {
            measure.cost = self.cost(body);
        }
        measure
    }

    fn fragment(&self, target: u32) -> Measure {
        self.fragments.get(target as usize).copied().unwrap_or_default()
    }

    /// What a definition costs. From the last selection to the first, so that what is within a field comes before it.
    fn cost(&mut self, body: Body) -> u64 {
        let document = self.document;
        self.sums.clear();
        for selection in document.body(body).iter().rev() {
            let level = selection.level as usize;
            let cost = match selection.kind {
                Kind::Inline => 0,
                Kind::Spread => self.fragment(selection.target).cost,
                Kind::Field => {
                    let within = self.sums.get_mut(level + 1).map_or(0, std::mem::take);
                    let own = if within == 0 { SCALAR } else { OBJECT };
                    own.saturating_add(within).saturating_add(within / 2)
                }
            };
            if self.sums.len() <= level {
                self.sums.resize(level + 1, 0);
            }
            if let Some(sum) = self.sums.get_mut(level) {
                *sum = sum.saturating_add(cost);
            }
        }
        self.sums.first().copied().unwrap_or_default()
    }
}

/// Parts that a cost is counted in: half of a half of a half is not nothing.
const UNIT: u64 = 1 << 16;
/// A field without a selection,
const SCALAR: u64 = UNIT;
/// and one with a selection.
const OBJECT: u64 = 2 * UNIT;
