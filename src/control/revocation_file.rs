//! The revocation file: a YAML list of entries (config.md section 3), refused whole if anything in it is wrong.
//!
//! YAML is read within the bounds of a configuration: some 150,000 entries. A file that is a JSON array, as
//! programs write it, is read as JSON first, and may have a million. Only if anything is wrong with it is it
//! read as YAML, for the positions.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::config::Config;
use crate::config::problems::{Position, Problem, Problems, quoted};
use crate::config::raw::{self, Content, Document, Node};
use crate::revocation::Entry;
use crate::revocation::written::json::Json;
use crate::revocation::written::{FORM, Fault, Field, Vocabulary, Written};
use crate::token::NumericDate;

/// Parses the file. `config` is the one that names it: an entry is scoped by the `iss` of one of its issuers, and
/// takes its default for `expires` from it. `now` is when the file is loaded.
///
/// The second value holds warnings: entries of issuers that the configuration does not have match no token, and
/// those of an issuer that was removed must not keep every later file from being loaded.
pub fn parse(
    text: &str,
    file: &str,
    config: &Config,
    now: NumericDate,
) -> Result<(Vec<Entry>, Vec<Problem>), Problems> {
    let words = Vocabulary::new(config, now);
    if let Some(entries) = parse_json(text, &words) {
        let mut warnings =
            strangers(&words, entries.iter().map(|entry| &*entry.issuer), |issuer| json_place(text, issuer));
        warnings.extend(ended(&entries, now));
        return Ok((entries, warnings));
    }
    let refuse = |mut list: Vec<Problem>| {
        list.sort_by_key(|problem| problem.at);
        Problems { file: file.to_owned(), text: text.into(), list }
    };
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let list = yaml(text).map_err(refuse)?;
    for found in &list {
        match words.read(&found.written()) {
            Ok(entry) => entries.push(entry),
            Err(faults) => problems.extend(faults.into_iter().map(|fault| found.problem(fault))),
        }
    }
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    let named = || list.iter().filter_map(|found| found.issuer.as_ref());
    let place = |issuer: &str| {
        named().find(|named| named.text == issuer).map_or_else(Position::default, |named| named.at)
    };
    let mut warnings = strangers(&words, named().map(|named| named.text.as_str()), place);
    warnings.extend(ended(&entries, now));
    Ok((entries, warnings))
}

/// A scalar as written, and where.
struct Text {
    text: String,
    at: Position,
}

/// An entry as found.
struct Found {
    at: Position,
    kind: Option<Text>,
    issuer: Option<Text>,
    value: Option<Text>,
    claim: Option<Text>,
    not_before: Option<Text>,
    expires: Option<Text>,
    reason: Option<Text>,
}

/// Reads the list. Everything that is wrong with it as YAML, or as entries of scalars, is reported.
fn yaml(text: &str) -> Result<Vec<Found>, Vec<Problem>> {
    let Document { root, mut problems, .. } = raw::parse(text);
    let Some(root) = root.filter(|root| !root.is_null()) else {
        if problems.is_empty() {
            let empty = Problem::new(Position { line: 1, column: 1 }, "the revocation file is empty");
            problems.push(empty.hint("write `[]` for no entries"));
        }
        return Err(problems);
    };
    let Content::Sequence(nodes) = &root.content else {
        problems.push(Problem::new(root.at, format!("a list of entries is expected, not {}", root.kind())));
        return Err(problems);
    };
    let found = nodes.iter().map(|node| Found::read(node, &mut problems)).collect();
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

impl Found {
    fn read(node: &Node, problems: &mut Vec<Problem>) -> Self {
        let mut found = Self {
            at: node.at,
            kind: None,
            issuer: None,
            value: None,
            claim: None,
            not_before: None,
            expires: None,
            reason: None,
        };
        let Content::Mapping(entries) = &node.content else {
            let what = format!("an entry is expected, not {}", node.kind());
            problems.push(Problem::new(node.at, what).hint(FORM));
            return found;
        };
        for entry in entries.iter().filter(|entry| !entry.value.is_null()) {
            let field = match &*entry.key {
                "kind" => &mut found.kind,
                "issuer" => &mut found.issuer,
                "value" => &mut found.value,
                "claim" => &mut found.claim,
                "not_before" => &mut found.not_before,
                "expires" => &mut found.expires,
                "reason" => &mut found.reason,
                unknown => {
                    let what = format!("an entry has no key `{unknown}`");
                    problems.push(Problem::new(entry.at, what).hint(FORM));
                    continue;
                }
            };
            match &entry.value.content {
                Content::Scalar(scalar) => {
                    *field = Some(Text { text: scalar.text.to_string(), at: entry.value.at });
                }
                Content::Sequence(_) | Content::Mapping(_) => {
                    let what = format!("`{}` is a single value, not {}", entry.key, entry.value.kind());
                    problems.push(Problem::new(entry.value.at, what));
                }
            }
        }
        found
    }

    fn written(&self) -> Written<'_> {
        fn text(found: &Option<Text>) -> Option<&str> {
            found.as_ref().map(|found| found.text.as_str())
        }
        // What is no number is no date either.
        let date = |found| text(found).map(|date| date.parse().unwrap_or(i64::MIN));
        Written {
            kind: text(&self.kind),
            issuer: text(&self.issuer),
            claim: text(&self.claim),
            value: text(&self.value),
            not_before: date(&self.not_before),
            expires: date(&self.expires),
            reason: text(&self.reason),
        }
    }

    fn problem(&self, fault: Fault) -> Problem {
        let at = match fault.field {
            Field::Entry => &None,
            Field::Kind => &self.kind,
            Field::Issuer => &self.issuer,
            Field::Claim => &self.claim,
            Field::Value => &self.value,
            Field::NotBefore => &self.not_before,
            Field::Expires => &self.expires,
            Field::Reason => &self.reason,
        };
        let at = at.as_ref().map_or(self.at, |text| text.at);
        Problem::new(at, fault.what).hint(fault.hint)
    }
}

/// All entries of a JSON array, if it is one and nothing is wrong with it.
fn parse_json(text: &str, words: &Vocabulary<'_>) -> Option<Vec<Entry>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let list: Vec<Json<'_>> = serde_json::from_str(text).ok()?;
    list.iter().map(|json| words.read(&json.written()).ok()).collect()
}

/// A warning for each of the issuers `named` by entries that the configuration does not have, where the first
/// entry names it.
fn strangers<'w>(
    words: &Vocabulary<'_>,
    named: impl Iterator<Item = &'w str>,
    place: impl Fn(&str) -> Position,
) -> Vec<Problem> {
    let mut strangers: BTreeMap<&str, usize> = BTreeMap::new();
    for issuer in named.filter(|issuer| !issuer.is_empty() && !words.has_issuer(issuer)) {
        *strangers.entry(issuer).or_default() += 1;
    }
    let warning = |(issuer, count): (&&str, &usize)| {
        let entries =
            if *count == 1 { "the entry matches".to_owned() } else { format!("{count} entries match") };
        let what = format!("no issuer of the configuration is {}: {entries} no token", quoted(issuer));
        Problem::new(place(issuer), what)
            .hint("an entry is scoped by an issuer's `iss`, exactly as configured")
    };
    let mut warnings: Vec<Problem> = strangers.iter().take(MOST_STRANGERS).map(warning).collect();
    warnings.sort_by_key(|warning| warning.at);
    warnings
}

/// A warning of the entries that have ended, if there are any.
fn ended(entries: &[Entry], now: NumericDate) -> Option<Problem> {
    let count = entries.iter().filter(|entry| entry.expires.is_some_and(|expires| expires <= now)).count();
    let what = match count {
        0 => return None,
        1 => "an entry has ended: it stops nothing".to_owned(),
        _ => format!("{count} entries have ended: they stop nothing"),
    };
    Some(
        Problem::new(Position { line: 1, column: 1 }, what)
            .hint("`expires` has passed, or what it is unless given; what has ended can be taken out"),
    )
}

/// Where a JSON file first names an issuer: JSON is read without positions. The file's start if it is spelt with
/// escapes.
fn json_place(text: &str, issuer: &str) -> Position {
    let before =
        serde_json::to_string(issuer).ok().and_then(|quoted| text.split_once(&*quoted)).unwrap_or_default().0;
    let line = before.rsplit('\n').next().unwrap_or_default();
    let from_one = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
    Position { line: from_one(before.matches('\n').count()), column: from_one(line.chars().count()) }
}

/// Issuers that are warned of: more are no slip.
const MOST_STRANGERS: usize = 20;
