//! A document without some fields at its root: what is sent on of an operation of which only a part may be run.
//!
//! Only the operation that was asked for is kept, with the fragments that it still reaches and the variables that it still
//! uses: servers refuse what is declared and not used (GraphQL, sections 5.5.1.4 and 5.8.4). Everything that stays does so
//! octet for octet.
//!
//! This takes a document that was read already, and is not what anybody is judged by: whoever sends the result on reads it
//! again, as if a client had sent it, and finds the fields that were to stay or refuses the whole.

pub(in crate::graphql) mod outline;
pub(in crate::graphql) mod tokens;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

use crate::graphql::envelope::{self, Brought};
use crate::graphql::pruned::outline::{Definition, Outline};
use crate::graphql::pruned::tokens::{Token, TokenKind};

/// A document with fields left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The document.
    pub document: String,
    /// The alias of a `__typename` that stands where nothing else was left of a fragment; nothing else has this name.
    pub stand_in: Option<Box<str>>,
}

/// Octets that are added to [`unused_name`] at most: who writes longer names wants to be refused.
const NAMES: usize = 64;

/// What is sent on instead of an envelope: the same with its document pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead {
    /// The document.
    pub pruned: Pruned,
    /// The envelope with it, and with nothing that names another.
    pub envelope: Vec<u8>,
}

/// [`prune`]s the document of an envelope that holds one.
pub fn rewrite(envelope: &[u8], operation: usize, left_out: &HashSet<usize>) -> Option<Instead> {
    let Ok(Brought::One(read)) = envelope::read(envelope, 0) else { return None };
    let pruned = prune(&read.query.as_ref()?.text(), operation, left_out)?;
    let mut envelope = Vec::with_capacity(envelope.len());
    read.write(&pruned.document, &mut envelope);
    Some(Instead { pruned, envelope })
}

/// `document` with only this operation of it, the `operation`th, and without the fields at its root that begin at these
/// octets.
///
/// None where that cannot be done without changing what else is asked for: a fragment that is to lose a field stands
/// below the root too.
pub fn prune(document: &str, operation: usize, left_out: &HashSet<usize>) -> Option<Pruned> {
    let tokens = tokens::read(document)?;
    let mut outline = Outline::read(document, &tokens, left_out)?;
    let selected = outline.operations.get(operation).copied()?;
    let at_root = at_root(&outline, selected)?;
    let below = below(&outline, &at_root);
    let kept: Vec<usize> = (0..outline.definitions.len())
        .filter(|place| at_root.contains(place) || below.contains(place))
        .collect();
    if below.iter().any(|place| outline.definitions.get(*place).is_none_or(Definition::is_cut)) {
        return None;
    }
    let used: HashSet<&str> = kept
        .iter()
        .filter_map(|place| outline.definitions.get(*place))
        .flat_map(|one| one.variables())
        .collect();
    let emptied =
        kept.iter().any(|place| outline.definitions.get(*place).is_some_and(Definition::is_emptied));
    let stand_in = if emptied { Some(unused_name(document)?) } else { None };
    let unused = unused_variables(document, &tokens, outline.definitions.get(selected)?, &used)?;
    outline.definitions.get_mut(selected)?.removed.extend(unused);
    let mut out = String::with_capacity(document.len());
    for place in kept {
        write(&mut out, document, outline.definitions.get_mut(place)?, stand_in.as_deref());
    }
    Some(Pruned { document: out, stand_in })
}

/// The operation, and the fragments whose selections are at its root.
fn at_root(outline: &Outline<'_>, selected: usize) -> Option<HashSet<usize>> {
    let (mut reached, mut look) = (HashSet::from([selected]), vec![selected]);
    while let Some(place) = look.pop() {
        for name in &outline.definitions.get(place)?.spreads_at_root {
            let place = outline.fragment(name)?;
            if reached.insert(place) {
                look.push(place);
            }
        }
    }
    Some(reached)
}

/// The fragments that are reached through what stays of their fields.
fn below(outline: &Outline<'_>, at_root: &HashSet<usize>) -> HashSet<usize> {
    let definition = |place: usize| outline.definitions.get(place);
    let mut reached = HashSet::new();
    let mut look: Vec<&str> = at_root
        .iter()
        .filter_map(|place| definition(*place))
        .flat_map(|one| one.spreads_below.iter().copied())
        .collect();
    while let Some(name) = look.pop() {
        let Some(place) = outline.fragment(name).filter(|place| reached.insert(*place)) else { continue };
        let Some(one) = definition(place) else { continue };
        look.extend(one.spreads_at_root.iter().chain(&one.spreads_below));
    }
    reached
}

/// A name that nothing in the document has: one longer than any in it that begins so. The document is read once, whoever
/// wrote it.
fn unused_name(document: &str) -> Option<Box<str>> {
    const NAME: &str = "_left_out";
    let longest = document
        .match_indices(NAME)
        .map(|(at, _)| {
            document.as_bytes().iter().skip(at + NAME.len()).take_while(|octet| **octet == b'_').count()
        })
        .max();
    let more = longest.map_or(0, |longest| longest + 1);
    (more <= NAMES).then(|| [NAME, &"_".repeat(more)].concat().into())
}

/// Where the operation declares variables that nothing uses any more; all of the declarations where it uses none.
fn unused_variables(
    document: &str,
    tokens: &[Token],
    operation: &Definition<'_>,
    used: &HashSet<&str>,
) -> Option<Vec<Range<usize>>> {
    let Some(declared) = operation.declarations.clone() else { return Some(Vec::new()) };
    let declarations = outline::declarations(document, tokens.get(declared.clone())?)?;
    if declarations.iter().all(|(name, _)| !used.contains(name)) {
        let first = tokens.get(declared.start)?.octets.start;
        let last = tokens.get(declared.end.checked_sub(1)?)?.octets.end;
        return Some(Vec::from([Range { start: first, end: last }]));
    }
    Some(
        declarations.into_iter().filter(|(name, _)| !used.contains(name)).map(|(_, octets)| octets).collect(),
    )
}

/// Appends a definition as it stands, but for what was removed.
fn write(out: &mut String, document: &str, definition: &mut Definition<'_>, stand_in: Option<&str>) {
    let mut edits: Vec<(Range<usize>, Option<&str>)> =
        definition.removed.drain(..).map(|octets| (octets, None)).collect();
    edits.extend(definition.emptied.iter().map(|at| (*at..*at, stand_in)));
    // What is put in stands at the end of what was open, behind all that was removed of it.
    edits.sort_by_key(|(octets, _)| (octets.start, octets.end));
    let mut at = definition.octets.start;
    for (octets, instead) in edits {
        out.push_str(document.get(at..octets.start).unwrap_or_default());
        out.push(' ');
        if let Some(name) = instead {
            out.push_str(name);
            out.push_str(": __typename ");
        }
        at = octets.end;
    }
    out.push_str(document.get(at..definition.octets.end).unwrap_or_default());
    out.push('\n');
}

impl<'d> Definition<'d> {
    /// Whether anything of it is left out.
    fn is_cut(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Whether a selection set of it would be empty.
    fn is_emptied(&self) -> bool {
        !self.emptied.is_empty()
    }

    /// The variables that what stays of it uses.
    fn variables(&self) -> impl Iterator<Item = &'d str> {
        self.uses.iter().copied()
    }
}

/// Whether a token is this punctuator.
pub(in crate::graphql) fn is(token: Option<&Token>, punctuator: u8) -> bool {
    token.is_some_and(|token| token.kind == TokenKind::Punctuator(punctuator))
}
