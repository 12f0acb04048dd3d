//! From a document to its plan: how much it asks for, and what each of its operations needs.
//!
//! Bounds look at what is written, needs at what may be run. A selection that is literally left out needs nothing, since no server runs
//! it; it still counts, since servers read and validate it.

mod measure;
mod typed;

#[cfg(test)]
pub(in crate::graphql) mod tests;

use crate::config::defaults::{GRAPHQL_BOUND_MAX, GRAPHQL_RECURSION_MAX, GRAPHQL_ROOT_SELECTIONS};
use crate::config::graphql::{Bound, Counted, OperationKind, OperationLimits};
use crate::graphql::document::{Body, Bounds, Document, Kind, Operation};
use crate::graphql::plan::{Needs, Plan, Planned, RootField};
use crate::graphql::planning::measure::{Measure, Measures};
use crate::graphql::planning::typed::Typed;
use crate::graphql::rejected::Rejected;
use crate::graphql::rules::Rules;
use crate::graphql::schema::walk::Walk;

/// Plans a document under these rules.
pub fn plan(rules: &Rules, text: &str, serial: u64) -> Result<Plan, Rejected> {
    let limits = &rules.config.limits;
    let read = |bound: Bound, most| if bound.warn { most } else { bound.most };
    let bounds = Bounds {
        tokens: read(limits.tokens, GRAPHQL_BOUND_MAX),
        recursion: read(limits.recursion, GRAPHQL_RECURSION_MAX),
    };
    let document = Document::read(text, &bounds).map_err(|fault| fault.rejected(text))?;
    let warnings = within(limits, &document)?;
    let typed = rules.schema().map(|schema| (schema, Typed::new(&document)));
    let mut fields = Fields {
        rules,
        document: &document,
        below: typed.as_ref().map(|(schema, typed)| Walk::new(schema, typed)),
        seen: vec![0; document.fragments.len()],
        steps: 0,
        reads_schema: !rules.introspection().are_none() && reads_schema(&document),
    };
    let mut operations = Vec::with_capacity(document.operations.len());
    for (place, operation) in document.operations.iter().enumerate() {
        operations.push(fields.planned(place, operation)?);
    }
    together(&mut operations, rules.config.operations);
    Ok(Plan { serial, operations: operations.into(), warnings: warnings.into() })
}

/// What joins the operations of a document: a server that runs another one than was judged, runs what was asked for as well.
fn together(operations: &mut [Planned], counted: Counted) {
    let is_mutation = |operation: &&Planned| operation.kind == OperationKind::Mutation;
    let is_alone = operations.len() < 2 || !operations.iter().any(|operation| is_mutation(&operation));
    if is_alone || counted == Counted::Selected {
        return;
    }
    let mut mutations = Needs::all(operations.iter().filter(is_mutation).map(|operation| &operation.needs));
    // It is written down for each of them.
    if mutations.permissions.len() > GRAPHQL_ROOT_SELECTIONS {
        mutations = Needs::nobody("mutations that need too much together");
    }
    for operation in operations {
        operation.is_safe = false;
        operation.needs = Needs::all([&operation.needs, &mutations]);
    }
}

/// Looks at every bound; the names of those that the document is past and that only warn.
fn within(limits: &OperationLimits, document: &Document<'_>) -> Result<Vec<&'static str>, Rejected> {
    let mut checks = Checks { warnings: Vec::new() };
    checks.check(&TOKENS, limits.tokens, document.tokens)?;
    checks.check(&RECURSION, limits.recursion, document.nesting)?;
    let mut measures = Measures::new(document, limits.cost.most != 0);
    for operation in &document.operations {
        checks.check(&NAME, limits.name, u64::from(operation.name.end - operation.name.start))?;
        let Measure { depth, aliases, directives, root_fields, cost } = measures.of(operation.body);
        checks.check(&DEPTH, limits.depth, depth)?;
        checks.check(&ALIASES, limits.aliases, aliases)?;
        checks.check(&DIRECTIVES, limits.directives, directives)?;
        match operation.kind {
            OperationKind::Mutation => checks.check(&MUTATIONS, limits.mutations, root_fields)?,
            OperationKind::Query | OperationKind::Subscription => {
                checks.check(&ROOT_FIELDS, limits.root_fields, root_fields)?;
            }
        }
        checks.check(&COST, limits.cost, measure::whole(cost))?;
    }
    Ok(checks.warnings)
}

/// A bound's names.
struct Limit {
    /// In the configuration and in warnings.
    name: &'static str,
    /// In answers.
    code: &'static str,
    /// What there is too much of.
    what: &'static str,
}

struct Checks {
    warnings: Vec<&'static str>,
}

impl Checks {
    fn check(&mut self, limit: &Limit, bound: Bound, measured: u64) -> Result<(), Rejected> {
        if bound.most == 0 || measured <= bound.most {
            return Ok(());
        }
        if !bound.warn {
            return Err(Rejected::new(limit.code, format!("{} are {} at most", limit.what, bound.most)));
        }
        if !self.warnings.contains(&limit.name) {
            self.warnings.push(limit.name);
        }
        Ok(())
    }
}

/// Finds what is at the roots of operations.
struct Fields<'d> {
    rules: &'d Rules,
    document: &'d Document<'d>,
    /// Rules below the root, if there are any.
    below: Option<Walk<'d, Typed<'d>>>,
    /// The last operation, from 1, in which a fragment was visited.
    seen: Vec<u32>,
    /// Selections that were looked at.
    steps: usize,
    /// Something in the document reads the schema, wherever it stands: a field may come to the root of queries again.
    reads_schema: bool,
}

fn reads_schema(document: &Document<'_>) -> bool {
    let mut fields = document.selections.iter().filter(|selection| selection.kind == Kind::Field);
    fields.any(|field| matches!(document.at(field.name), "__schema" | "__type"))
}

impl Fields<'_> {
    fn planned(&mut self, place: usize, operation: &Operation) -> Result<Planned, Rejected> {
        let fields = self.at_root(place as u32 + 1, operation)?;
        let needs = fields
            .iter()
            .map(|field| &field.needs)
            .chain(self.reads_schema.then(|| self.rules.introspection()));
        Ok(Planned {
            name: self.document.name(operation).map(Into::into),
            kind: operation.kind,
            needs: Needs::all(needs),
            fields: fields.into(),
            is_safe: operation.kind != OperationKind::Mutation,
        })
    }

    /// The fields at an operation's root by their own names, in order: through inline fragments, whatever type they are on, and through
    /// fragments, each once.
    fn at_root(&mut self, mark: u32, operation: &Operation) -> Result<Vec<RootField>, Rejected> {
        let document = self.document;
        let mut fields = Vec::new();
        let Body { start, end, .. } = operation.body;
        let mut path = vec![(start, end)];
        while let Some((next, end)) = path.last_mut() {
            let selection = document.selections.get(*next as usize).filter(|_| *next < *end);
            let Some(selection) = selection else {
                path.pop();
                continue;
            };
            self.steps += 1;
            if self.steps > GRAPHQL_ROOT_SELECTIONS {
                return Err(Rejected::new(ROOT_FIELDS.code, "the document has too many fields at its roots"));
            }
            let at = *next;
            *next = if selection.kind == Kind::Inline { at + 1 } else { selection.next };
            if selection.is_absent {
                *next = selection.next;
                continue;
            }
            match selection.kind {
                Kind::Inline => {}
                Kind::Field => {
                    let name = document.at(selection.name);
                    if name == "__typename" {
                        continue;
                    }
                    let mut needs = self.rules.needs(operation.kind, name);
                    if let Some(below) = &mut self.below {
                        let within = (at + 1, selection.next);
                        let within = (within.0 < within.1).then_some(within);
                        needs = Needs::all([&needs, &below.field(operation.kind, name, within)]);
                    }
                    fields.push(RootField {
                        key: document.key(selection).into(),
                        name: name.into(),
                        needs,
                        span: selection.place.start as usize..selection.place.end as usize,
                    });
                }
                Kind::Spread => {
                    let target = selection.target as usize;
                    let seen = self.seen.get_mut(target).filter(|seen| **seen != mark);
                    if let (Some(seen), Some(fragment)) = (seen, document.fragments.get(target)) {
                        *seen = mark;
                        path.push((fragment.body.start, fragment.body.end));
                    }
                }
            }
        }
        Ok(fields)
    }
}

const TOKENS: Limit = Limit { name: "tokens", code: "TOKEN_LIMIT_EXCEEDED", what: "tokens" };
const RECURSION: Limit = Limit { name: "recursion", code: "RECURSION_LIMIT", what: "nested brackets" };
const NAME: Limit =
    Limit { name: "name", code: "OPERATION_NAME_LIMIT", what: "octets of an operation's name" };
const DEPTH: Limit = Limit { name: "depth", code: "MAX_DEPTH_LIMIT", what: "levels" };
const ALIASES: Limit = Limit { name: "aliases", code: "MAX_ALIASES_LIMIT", what: "aliases" };
const DIRECTIVES: Limit = Limit { name: "directives", code: "MAX_DIRECTIVES_LIMIT", what: "directives" };
const ROOT_FIELDS: Limit =
    Limit { name: "root_fields", code: "MAX_ROOT_FIELDS_LIMIT", what: "fields at the root" };
const MUTATIONS: Limit =
    Limit { name: "mutations", code: "MAX_ROOT_FIELDS_LIMIT", what: "mutations of one operation" };
const COST: Limit = Limit { name: "cost", code: "MAX_COST_LIMIT", what: "costs" };
