//! Templates filled in: JSON for claims and for answers, texts for subjects and header lines.
//!
//! What a hole stands for is its caller's to say: `fill` gives the value, or nothing. Nothing where something has to be
//! fails the whole template: half a token, or half an answer, is worse than none.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::config::template::{Hole, Piece, Source, Template, Text};

/// What one value of a template came to.
enum Filled {
    Value(Value),
    /// A hole that may stay empty did.
    Empty,
}

/// Fills a template in. `None` where a hole stayed empty that may not; a whole template that is one empty hole is `null`.
pub fn render(template: &Template, fill: &dyn Fn(&Source) -> Option<Value>) -> Option<Value> {
    match value(template, fill)? {
        Filled::Value(value) => Some(value),
        Filled::Empty => Some(Value::Null),
    }
}

/// Fills the members of an object in, as [`render`] does: a member whose value is one empty hole is left out.
pub fn render_members(
    members: &[(Box<str>, Template)],
    fill: &dyn Fn(&Source) -> Option<Value>,
) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for (name, template) in members {
        if let Filled::Value(value) = value(template, fill)? {
            object.insert(name.to_string(), value);
        }
    }
    Some(object)
}

/// Fills a text in: what is text as it is, anything else as JSON has it. `None` where a hole stayed empty that may not.
pub fn render_text(text: &Text, fill: &dyn Fn(&Source) -> Option<Value>) -> Option<String> {
    let mut written = String::new();
    for piece in &text.0 {
        match piece {
            Piece::Literal(literal) => written.push_str(literal),
            Piece::Hole(hole) => match filled(hole, fill)? {
                Filled::Value(Value::String(text)) => written.push_str(&text),
                Filled::Value(value) => written.push_str(&value.to_string()),
                Filled::Empty => {}
            },
        }
    }
    Some(written)
}

fn value(template: &Template, fill: &dyn Fn(&Source) -> Option<Value>) -> Option<Filled> {
    Some(Filled::Value(match template {
        Template::Plain(value) => value.clone(),
        Template::Text(text) => match &*text.0 {
            [Piece::Hole(hole)] => return filled(hole, fill),
            [Piece::Literal(_)] | [] | [_, _, ..] => Value::String(render_text(text, fill)?),
        },
        Template::List(elements) => {
            let mut list = Vec::with_capacity(elements.len());
            for element in elements {
                if let Filled::Value(value) = value(element, fill)? {
                    list.push(value);
                }
            }
            Value::Array(list)
        }
        Template::Object(members) => Value::Object(render_members(members, fill)?),
    }))
}

fn filled(hole: &Hole, fill: &dyn Fn(&Source) -> Option<Value>) -> Option<Filled> {
    match fill(&hole.source) {
        Some(value) => Some(Filled::Value(value)),
        None => hole.optional.then_some(Filled::Empty),
    }
}
