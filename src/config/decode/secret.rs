//! Where secrets are. Nothing read here is repeated in a message or shown in a snippet (threats K10).

use crate::config::decode::fields::Fields;
use crate::config::decode::report::Report;
use crate::config::decode::value::Value;
use crate::config::problems::Problem;
use crate::config::raw::{Content, Node};
use crate::config::shape::{Mapping, Takes};
use crate::config::{Secret, SecretSource};

/// Reads where a secret is; the shape says which flags it may have.
pub(crate) fn read<'a>(value: Value<'a>, shape: &'static Mapping) -> Option<(Secret, Fields<'a>)> {
    if !is_well_formed(value.node, shape) {
        value.problem_with_hint(
            format!("{} does not say where the secret is", value.name()),
            "a secret never stands in the file: write `{file: PATH}` or `{env: NAME}`",
        );
        return None;
    }
    let fields = Fields::open(value, shape)?;
    let allowed = fields.flag("dangerous_inline_secret");
    let (name, place) = fields.one_of(&["file", "env", "inline"])?;
    let source = match name {
        "file" => SecretSource::File(crate::config::decode::fields::path(place)?),
        "env" => SecretSource::Env(place.word()?.into()),
        _ if allowed => SecretSource::Inline(place.word()?.into()),
        _ => {
            let problem = Problem::new(place.at(), "a secret stands in the file");
            let hint = "write `{file: PATH}` or `{env: NAME}`; `dangerous_inline_secret: true` accepts it";
            value.report.problem(problem.hint(hint));
            return None;
        }
    };
    Some((Secret { source, at: value.node.at }, fields))
}

/// Keeps a secret's place in the file out of the snippets, whatever stands there: all but the names of files
/// and of environment variables.
pub(crate) fn hide(node: &Node, report: &Report<'_>) {
    let Content::Mapping(entries) = &node.content else {
        report.hide(node);
        return;
    };
    for entry in entries.iter() {
        match &*entry.key {
            "file" | "env" => {}
            "inline" | "dangerous_inline_secret" | "dangerous_short_secret" => report.hide(&entry.value),
            _ => {
                report.hide_span(entry.span);
                report.hide(&entry.value);
            }
        }
    }
}

/// Only known keys and flags that are flags, so that no message has a reason to repeat a word that might be the
/// secret itself.
fn is_well_formed(node: &Node, shape: &Mapping) -> bool {
    let Content::Mapping(entries) = &node.content else { return false };
    entries.iter().all(|entry| match shape.key(&entry.key).map(|key| key.takes) {
        Some(Takes::Flag) => match &entry.value.content {
            Content::Scalar(scalar) => matches!(&*scalar.text, "true" | "false"),
            Content::Sequence(_) | Content::Mapping(_) => false,
        },
        Some(_) => true,
        None => shape.later.contains(&&*entry.key),
    })
}
