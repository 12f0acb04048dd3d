//! Rules below the root: a schema, and what reading each of its fields needs.
//!
//! A rule on a field goes for it wherever it is reached. One on a type goes for every field that comes to the type, for
//! every fragment on it, and for all its own fields. Rules of an interface go for every type that implements it; what is
//! read through an interface needs what it would need of any type that may stand there, as nobody knows which one will.
//! Rules only ever add to what is needed, and what the schema does not know is for nobody.

pub mod walk;

mod declared;
mod introspection;
mod known;
mod sdl;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;

use crate::config::defaults::GRAPHQL_SCHEMA_FIELDS;
use crate::config::graphql::{OperationKind, SchemaRules, TypeRule};
use crate::config::problems::{Position, Problem, closest, quoted};
use crate::graphql::plan::Needs;
use crate::graphql::schema::declared::Sort;
use crate::graphql::schema::known::Known;

/// A schema with rules bound to it.
#[derive(Debug, Default)]
pub struct Schema {
    types: Vec<Bound>,
    /// By kind of operation; none where the schema has no such operations.
    roots: [Option<usize>; 3],
    names: HashMap<Box<str>, usize>,
    /// All that anything needs, each once; the first is nothing.
    needs: Vec<Needs>,
}

/// One type.
#[derive(Debug)]
struct Bound {
    name: Box<str>,
    /// What a fragment on it needs: a place in [`Schema::needs`].
    needs: usize,
    fields: HashMap<Box<str>, BoundField>,
    /// Interfaces and unions that it belongs to, sorted.
    belongs: Vec<usize>,
}

#[derive(Debug)]
struct BoundField {
    /// What it comes to.
    of: usize,
    /// What reading it needs, with all that reaching what it comes to does: a place in [`Schema::needs`].
    needs: usize,
}

impl Schema {
    /// Binds rules; cannot fail. Where the schema is none nothing is known, and everything below the root is for nobody:
    /// [`check`] says so before. `at_root` says what the fields of roots need, wherever a field comes to a root again;
    /// `again` is what such a field needs besides.
    pub fn compile(
        rules: &SchemaRules,
        at_root: &dyn Fn(OperationKind, &str) -> Needs,
        again: Option<&Needs>,
    ) -> Self {
        let bound = |known: Known| bind(&known, &rules.rules, at_root, again);
        read(&rules.text).map_or_else(|_| Self::default(), bound)
    }

    fn root(&self, kind: OperationKind) -> Option<usize> {
        KINDS.into_iter().zip(self.roots).find_map(|(known, root)| root.filter(|_| known == kind))
    }
}

/// What is wrong with a schema's file, by its lines; and with rules, where they stand in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The file is no schema.
    File(Vec<Problem>),
    /// Rules name what the schema does not have.
    Rules(Vec<Problem>),
}

/// Checks what [`Schema::compile`] takes for granted.
pub fn check(text: &str, rules: &[TypeRule]) -> Result<(), Wrong> {
    let known = read(text).map_err(Wrong::File)?;
    let problems: Vec<Problem> = rules.iter().filter_map(|rule| unbound(&known, rule)).collect();
    if problems.is_empty() { Ok(()) } else { Err(Wrong::Rules(problems)) }
}

/// Reads SDL, or the JSON of an introspection.
fn read(text: &str) -> Result<Known, Vec<Problem>> {
    let start = Position { line: 1, column: 1 };
    let declared = if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        introspection::read(text).map_err(|problem| vec![problem])?
    } else {
        sdl::read(text).map_err(|flaw| vec![flaw.problem(text)])?
    };
    if declared.types.iter().map(|one| 1 + one.fields.len()).sum::<usize>() > GRAPHQL_SCHEMA_FIELDS {
        let what = format!("more than {GRAPHQL_SCHEMA_FIELDS} types and fields");
        return Err(vec![Problem::new(start, what)]);
    }
    known::known(declared)
        .map_err(|flaws| flaws.into_iter().take(SHOWN).map(|flaw| flaw.problem(text)).collect())
}

/// Why a rule cannot be bound, if it cannot.
fn unbound(known: &Known, rule: &TypeRule) -> Option<Problem> {
    let names = || known.types.iter().map(|one| &*one.name);
    let hinted = |problem: Problem, near: Option<&str>| match near {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    };
    let Some(of) = known.names.get(&rule.of).and_then(|index| known.types.get(*index)) else {
        let problem = Problem::new(rule.at, format!("the schema has no type {}", quoted(&rule.of)));
        return Some(hinted(problem, closest(&rule.of, names().take(HINTED))));
    };
    if of.sort == Sort::Input {
        let what = format!("{} is an input: nothing is read of it", quoted(&rule.of));
        return Some(Problem::new(rule.at, what));
    }
    let field = rule.field.as_deref()?;
    if of.fields.contains_key(field) {
        return None;
    }
    let problem = Problem::new(
        rule.at,
        format!("the type {} of the schema has no field {}", quoted(&rule.of), quoted(field)),
    );
    let mut fields: Vec<&str> = of.fields.keys().map(|name| &**name).collect();
    fields.sort_unstable();
    Some(hinted(problem, closest(field, fields)))
}

/// Binds rules to what is known.
fn bind(
    known: &Known,
    rules: &[TypeRule],
    at_root: &dyn Fn(OperationKind, &str) -> Needs,
    again: Option<&Needs>,
) -> Schema {
    let mut own: Vec<Needs> = vec![Needs::nothing(); known.types.len()];
    let mut fields: HashMap<(usize, &str), Needs> = HashMap::new();
    for rule in rules {
        let Some(index) = known.names.get(&rule.of).copied() else { continue };
        let what =
            rule.field.as_deref().map_or_else(|| rule.of.to_string(), |field| format!("{}.{field}", rule.of));
        let needs = Needs::by_rule(&rule.need, &what);
        match rule.field.as_deref() {
            Some(field) => fields.entry((index, field)).or_default().join(&needs),
            None => own[index].join(&needs),
        }
    }
    // What reaching each type needs: its own rule, and those of all that it implements.
    let reaching: Vec<Needs> = known
        .types
        .iter()
        .enumerate()
        .map(|(index, one)| {
            Needs::all(std::iter::once(index).chain(one.implements.iter().copied()).map(|index| &own[index]))
        })
        .collect();
    let is_root = |index: usize| known.roots.contains(&Some(index));
    let of_field = |index: usize, name: &str, of: usize| {
        let implemented = known.types[index].implements.iter().copied();
        let rules = std::iter::once(index).chain(implemented).filter_map(|index| fields.get(&(index, name)));
        let kinds = KINDS.into_iter().zip(known.roots).filter(|(_, root)| *root == Some(index));
        let own: Vec<Needs> = kinds.map(|(kind, _)| at_root(kind, name)).collect();
        let comes_to_root = is_root(of) || known.types[of].possible.iter().any(|index| is_root(*index));
        let again = again.filter(|_| comes_to_root);
        Needs::all(rules.chain([&reaching[index], &reaching[of]]).chain(&own).chain(again))
    };
    let mut kept = Kept::default();
    kept.place(Needs::nothing());
    let mut types = Vec::with_capacity(known.types.len());
    for (index, one) in known.types.iter().enumerate() {
        let mut fields = HashMap::with_capacity(one.fields.len());
        for (name, of) in &one.fields {
            // Through an interface, any of those that may stand there is read.
            let possible = one.possible.iter().filter_map(|possible| {
                let of = known.types[*possible].fields.get(name)?;
                Some(of_field(*possible, name, *of))
            });
            let all: Vec<Needs> = possible.chain([of_field(index, name, *of)]).collect();
            fields.insert(name.clone(), BoundField { of: *of, needs: kept.place(Needs::all(&all)) });
        }
        let needs = kept.place(reaching[index].clone());
        types.push(Bound { name: one.name.clone(), needs, fields, belongs: one.belongs.clone() });
    }
    Schema { types, roots: known.roots, names: known.names.clone(), needs: kept.all }
}

/// Needs, each kept once.
#[derive(Default)]
struct Kept {
    all: Vec<Needs>,
    places: HashMap<Needs, usize>,
}

impl Kept {
    fn place(&mut self, needs: Needs) -> usize {
        *self.places.entry(needs).or_insert_with_key(|needs| {
            self.all.push(needs.clone());
            self.all.len() - 1
        })
    }
}

/// Kinds of operations, in the order of their roots.
const KINDS: [OperationKind; 3] =
    [OperationKind::Query, OperationKind::Mutation, OperationKind::Subscription];
/// Mistakes of one file that are said.
const SHOWN: usize = 20;
/// How many names are searched for the one that was meant.
const HINTED: usize = 10_000;
