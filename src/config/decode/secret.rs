//! Where secrets are. Nothing read here is repeated in a message or shown in a snippet (threats K10).

use crate::config::decode::fields::Fields;
use crate::config::decode::report::Report;
use crate::config::decode::value::Value;
use crate::config::problems::{Problem, closest};
use crate::config::raw::{Content, Entry, Node};
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

/// Keeps the value of an unknown key out of the snippets as far as it may be a secret: what stands under a name
/// that suggests one, at whatever depth, or looks like one itself. The rest is shown, so that the operator sees
/// what is meant.
pub(crate) fn hide_suspicious(entry: &Entry, report: &Report<'_>) {
    if suggests_secret(&entry.key) {
        report.hide(&entry.value);
    } else {
        hide_suspicious_in(&entry.value, report);
    }
}

fn hide_suspicious_in(node: &Node, report: &Report<'_>) {
    match &node.content {
        Content::Scalar(scalar) if looks_secret(&scalar.text) => report.hide(node),
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter().for_each(|item| hide_suspicious_in(item, report)),
        Content::Mapping(entries) => entries.iter().for_each(|entry| hide_suspicious(entry, report)),
    }
}

/// Whether a key's name, or a word of it with a typo, is one of [`SUSPICIOUS`].
pub(crate) fn suggests_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    SUSPICIOUS.iter().any(|part| lower.contains(part))
        || words.any(|word| closest(word, SUSPICIOUS).is_some())
}

/// Whatever it is called: a PEM block, a JSON document (a JWK has private members), a URL with a password.
fn looks_secret(text: &str) -> bool {
    let authority =
        text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    text.contains("-----BEGIN") || text.trim_start().starts_with(['{', '[']) || authority.contains('@')
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

/// Parts of the names of keys that hold secrets.
pub(crate) const SUSPICIOUS: [&str; 12] = [
    "secret",
    "token",
    "password",
    "passphrase",
    "passwd",
    "private",
    "credential",
    "authorization",
    "inline",
    "hmac",
    "key",
    "pem",
];
