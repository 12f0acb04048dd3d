//! Which fragment a spread means, and that a document's operations and fragments can be told apart (section 5.2 and 5.5 of
//! the specification).

use std::collections::{HashMap, HashSet};

use crate::graphql::document::fault::Fault;
use crate::graphql::document::{Document, Kind};

/// Gives each spread its fragment, and the fragments an order in which each stands behind those that it spreads.
pub(in crate::graphql::document) fn link(document: &mut Document<'_>) -> Result<(), Fault> {
    operations(document)?;
    targets(document)?;
    document.order = order(document)?;
    if document.order.len() < document.fragments.len() {
        return Err(Fault::Invalid("a fragment is not used"));
    }
    Ok(())
}

/// Operations are known by their names, or there is one.
fn operations(document: &Document<'_>) -> Result<(), Fault> {
    match &*document.operations {
        [] => return Err(Fault::Invalid("the document has no operation")),
        [_] => return Ok(()),
        _ => {}
    }
    let mut names = HashSet::new();
    for operation in &document.operations {
        match document.name(operation) {
            None => return Err(Fault::Invalid("an operation without a name is not the only one")),
            Some(name) if !names.insert(name) => return Err(Fault::Invalid("two operations have one name")),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Finds what each spread means.
fn targets(document: &mut Document<'_>) -> Result<(), Fault> {
    let text = document.text;
    let at = |start: u32, end: u32| text.get(start as usize..end as usize).unwrap_or_default();
    let mut places = HashMap::with_capacity(document.fragments.len());
    for (place, fragment) in document.fragments.iter().enumerate() {
        if places.insert(at(fragment.name.start, fragment.name.end), place as u32).is_some() {
            return Err(Fault::Invalid("two fragments have one name"));
        }
    }
    for selection in &mut document.selections {
        if selection.kind == Kind::Spread {
            let target = places.get(at(selection.name.start, selection.name.end));
            selection.target = *target.ok_or(Fault::Invalid("a fragment is not there"))?;
        }
    }
    Ok(())
}

/// How far a fragment has been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    Entered,
    Left,
}

/// The fragments that operations reach, in the order in which they are left.
fn order(document: &Document<'_>) -> Result<Vec<u32>, Fault> {
    let mut order = Vec::with_capacity(document.fragments.len());
    if document.fragments.is_empty() {
        return Ok(order);
    }
    let mut seen = vec![Seen::Not; document.fragments.len()];
    // Selections that are still to be looked at, and the fragment that they are of.
    let mut path: Vec<(Option<u32>, u32, u32)> = Vec::new();
    for operation in &document.operations {
        path.push((None, operation.body.start, operation.body.end));
        while let Some((of, next, end)) = path.last_mut() {
            if *next >= *end {
                let left = *of;
                path.pop();
                if let Some(fragment) = left {
                    order.push(fragment);
                    if let Some(seen) = seen.get_mut(fragment as usize) {
                        *seen = Seen::Left;
                    }
                }
                continue;
            }
            let selection = document.selections.get(*next as usize);
            *next += 1;
            let Some(selection) = selection.filter(|selection| selection.kind == Kind::Spread) else {
                continue;
            };
            let target = selection.target as usize;
            match seen.get_mut(target) {
                Some(Seen::Entered) => return Err(Fault::Invalid("a fragment holds itself")),
                Some(Seen::Left) | None => {}
                Some(not) => {
                    *not = Seen::Entered;
                    if let Some(fragment) = document.fragments.get(target) {
                        path.push((Some(selection.target), fragment.body.start, fragment.body.end));
                    }
                }
            }
        }
    }
    Ok(order)
}
