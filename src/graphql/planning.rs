//! From a document to its plan.

mod typed;

use std::collections::{HashMap, HashSet};

use bluejay_core::executable::{OperationDefinition as _, OperationDefinitionReference};
use bluejay_core::{AsIter as _, OperationType};
use bluejay_parser::HasSpan as _;
use bluejay_parser::ast::executable::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet};
use bluejay_parser::ast::{Parse, ParseOptions};

use crate::config::graphql::{Counted, OperationKind};
use crate::graphql::plan::{Needs, Plan, Planned, RootField};
use crate::graphql::planning::typed::Typed;
use crate::graphql::rejected::Rejected;
use crate::graphql::rules::Rules;
use crate::graphql::schema::walk;

/// Plans a document under these rules.
pub fn plan(rules: &Rules, text: &str, serial: u64) -> Result<Plan, Rejected> {
    let options = ParseOptions {
        graphql_ruby_compatibility: false,
        max_depth: usize::try_from(rules.config.limits.recursion.most).unwrap_or(usize::MAX),
        max_tokens: usize::try_from(rules.config.limits.tokens.most).ok(),
    };
    let parsed = ExecutableDocument::parse_with_options(text, options).result;
    let document =
        parsed.map_err(|_| Rejected::new("GRAPHQL_PARSE_FAILED", "the document is not GraphQL"))?;
    let mut fragments = HashMap::new();
    for fragment in document.fragment_definitions() {
        if fragments.insert(fragment.name().as_ref(), fragment).is_some() {
            return Err(Rejected::new("GRAPHQL_VALIDATION_FAILED", "two fragments of one name"));
        }
    }
    let typed = Typed::new(document.fragment_definitions());
    let mut below = rules.schema().map(|schema| walk::Walk::new(schema, &typed));
    let mut operations = Vec::new();
    for operation in document.operation_definitions() {
        let operation = operation.as_ref();
        let kind = match operation.operation_type() {
            OperationType::Query => OperationKind::Query,
            OperationType::Mutation => OperationKind::Mutation,
            OperationType::Subscription => OperationKind::Subscription,
        };
        let name: Option<Box<str>> = match &operation {
            OperationDefinitionReference::Explicit(explicit) => {
                bluejay_core::executable::ExplicitOperationDefinition::name(*explicit).map(Into::into)
            }
            OperationDefinitionReference::Implicit(_) => None,
        };
        let below = below.as_mut();
        let mut walk =
            Walk { rules, kind, below, fragments: &fragments, seen: HashSet::new(), fields: Vec::new() };
        walk.set(operation.selection_set())?;
        let fields = walk.fields;
        let mut needs = Needs::nothing();
        for field in &fields {
            needs.join(&field.needs);
        }
        let is_safe = kind != OperationKind::Mutation;
        operations.push(Planned { name, kind, needs, fields: fields.into(), is_safe });
    }
    if operations.is_empty() {
        return Err(Rejected::new("GRAPHQL_VALIDATION_FAILED", "no operation in the document"));
    }
    if rules.config.operations == Counted::Strict {
        strictly(&mut operations);
    }
    Ok(Plan { serial, operations: operations.into(), warnings: Box::default() })
}

/// Every operation needs what every mutation does.
fn strictly(operations: &mut [Planned]) {
    let mut all = Needs::nothing();
    let is_mutation = |operation: &&Planned| operation.kind == OperationKind::Mutation;
    for operation in operations.iter().filter(is_mutation) {
        all.join(&operation.needs);
    }
    let safe = operations.iter().all(|operation| operation.kind != OperationKind::Mutation);
    for operation in operations {
        operation.needs.join(&all);
        operation.is_safe = safe;
    }
}

struct Walk<'d, 'w> {
    rules: &'d Rules,
    kind: OperationKind,
    below: Option<&'w mut walk::Walk<'d, Typed<'d>>>,
    fragments: &'d HashMap<&'d str, &'d FragmentDefinition<'d>>,
    seen: HashSet<&'d str>,
    fields: Vec<RootField>,
}

impl<'d> Walk<'d, '_> {
    fn set(&mut self, set: &'d SelectionSet<'d>) -> Result<(), Rejected> {
        for selection in set.iter() {
            match selection {
                Selection::Field(field) => {
                    let name = bluejay_core::executable::Field::name(field);
                    if name == "__typename" {
                        continue;
                    }
                    let span = field.span().byte_range();
                    let mut needs = self.rules.needs(self.kind, name);
                    if let Some(below) = &mut self.below {
                        needs.join(&below.field(self.kind, name, field.selection_set()));
                    }
                    self.fields.push(RootField {
                        key: field.response_key().into(),
                        name: name.into(),
                        needs,
                        span,
                    });
                }
                Selection::InlineFragment(fragment) => {
                    self.set(bluejay_parser::ast::executable::InlineFragment::selection_set(fragment))?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = bluejay_core::executable::FragmentSpread::name(spread);
                    let Some((name, fragment)) = self.fragments.get_key_value(name) else {
                        return Err(Rejected::new(
                            "GRAPHQL_VALIDATION_FAILED",
                            "a fragment that is not there",
                        ));
                    };
                    if self.seen.insert(name) {
                        self.set(fragment.selection_set())?;
                    }
                }
            }
        }
        Ok(())
    }
}
