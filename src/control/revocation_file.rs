//! The revocation file: a YAML list of entries (config.md section 3), refused whole if anything in it is wrong.
//!
//! YAML is read within the bounds of a configuration: some 150,000 entries. A file that is a JSON array, as
//! programs write it, is read as JSON first, and may have a million. Only if anything is wrong with it is it
//! read as YAML, for the positions.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;

use crate::config::Issuer;
use crate::config::problems::{Position, Problem, Problems, quoted};
use crate::config::raw::{self, Content, Document, Node};
use crate::revocation::{Entry, Kind};
use crate::token::NumericDate;

/// Parses the file. `issuers` are those of the configuration that names it: an entry is scoped by the `iss` of
/// one of them, and takes its default for `expires` from it. `now` is when the file is loaded.
///
/// The second value holds warnings: entries of issuers that the configuration does not have match no token, and
/// those of an issuer that was removed must not keep every later file from being loaded.
pub fn parse(
    text: &str,
    file: &str,
    issuers: &[Arc<Issuer>],
    now: NumericDate,
) -> Result<(Vec<Entry>, Vec<Problem>), Problems> {
    let scope = Scope::new(issuers, now);
    if let Some(entries) = parse_json(text, &scope) {
        let warnings =
            scope.strangers(entries.iter().map(|entry| &*entry.issuer), |issuer| json_place(text, issuer));
        return Ok((entries, warnings));
    }
    let refuse = |mut list: Vec<Problem>| {
        list.sort_by_key(|problem| problem.at);
        Problems { file: file.to_owned(), text: text.into(), list }
    };
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let list = yaml(text).map_err(refuse)?;
    for written in &list {
        match scope.entry(written) {
            Ok(entry) => entries.push(entry),
            Err(mut found) => problems.append(&mut found),
        }
    }
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    let written = || list.iter().filter_map(|written| written.issuer.as_ref());
    let place = |issuer: &str| {
        written().find(|written| written.text == issuer).map_or_else(Position::default, |written| written.at)
    };
    let warnings = scope.strangers(written().map(|written| written.text.as_str()), place);
    Ok((entries, warnings))
}

/// A scalar as written, and where.
struct Text {
    text: String,
    at: Position,
}

/// An entry as written.
struct Written {
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
fn yaml(text: &str) -> Result<Vec<Written>, Vec<Problem>> {
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
    let written = nodes.iter().map(|node| Written::read(node, &mut problems)).collect();
    if problems.is_empty() { Ok(written) } else { Err(problems) }
}

impl Written {
    fn read(node: &Node, problems: &mut Vec<Problem>) -> Self {
        let mut written = Self {
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
            return written;
        };
        for entry in entries.iter().filter(|entry| !entry.value.is_null()) {
            let field = match &*entry.key {
                "kind" => &mut written.kind,
                "issuer" => &mut written.issuer,
                "value" => &mut written.value,
                "claim" => &mut written.claim,
                "not_before" => &mut written.not_before,
                "expires" => &mut written.expires,
                "reason" => &mut written.reason,
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
        written
    }
}

/// An entry in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    issuer: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
    not_before: Option<i64>,
    expires: Option<i64>,
    reason: Option<String>,
}

/// What entries are read against.
struct Scope<'i> {
    now: i64,
    /// By `iss`: how long after its watermark (or its block) no token lives, in seconds.
    issuers: HashMap<&'i str, i64>,
    /// The longest of them.
    longest: i64,
}

impl<'i> Scope<'i> {
    fn new(issuers: &'i [Arc<Issuer>], now: NumericDate) -> Self {
        let mut lives = HashMap::new();
        for issuer in issuers {
            let life = issuer.max_token_lifetime.saturating_add(issuer.leeway).as_secs();
            let life = i64::try_from(life).unwrap_or(i64::MAX);
            let longest = lives.entry(&*issuer.issuer).or_insert(life);
            *longest = life.max(*longest);
        }
        let longest = lives.values().copied().max().unwrap_or(0);
        Self { now: now.0, issuers: lives, longest }
    }

    fn entry(&self, written: &Written) -> Result<Entry, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |problem| problems.push(problem);
        let kind = required(&written.kind, "kind", written.at)
            .and_then(|(kind, at)| read_kind(kind).map_err(|why| why.at(at)))
            .map_err(&mut keep);
        let issuer = required(&written.issuer, "issuer", written.at).map_err(&mut keep);
        let value = required(&written.value, "value", written.at).map_err(&mut keep);
        let mut date = |date: &Option<Text>| {
            let date = date.as_ref()?;
            read_date(&date.text).map_err(|why| keep(why.at(date.at))).ok()
        };
        let (not_before, expires) = (date(&written.not_before), date(&written.expires));
        // A claim belongs to the kind `claim`, which was refused above.
        if let (Some(claim), Ok(_)) = (&written.claim, &kind) {
            let why = "`claim` belongs to entries of kind `claim`, which are not in this version";
            problems.push(Problem::new(claim.at, why));
        }
        let (Ok(kind), Ok((issuer, _)), Ok((value, _)), true) = (kind, issuer, value, problems.is_empty())
        else {
            return Err(problems);
        };
        let not_before = not_before.map(NumericDate);
        let expires = expires.or_else(|| self.default_end(kind, not_before, issuer)).map(NumericDate);
        let reason = written.reason.as_ref().map(|reason| reason.text.as_str().into());
        Ok(Entry { kind, issuer: issuer.into(), value: value.into(), not_before, expires, reason })
    }

    /// When an entry that does not say so can be forgotten: when no token that it revokes can be accepted any
    /// more. A block of a subject has no end.
    fn default_end(&self, kind: Kind, not_before: Option<NumericDate>, issuer: &str) -> Option<i64> {
        let life = self.issuers.get(issuer).copied().unwrap_or(self.longest);
        match (not_before, kind) {
            (Some(not_before), _) => Some(not_before.0.saturating_add(life)),
            (None, Kind::Jti) => Some(self.now.saturating_add(life)),
            (None, _) => None,
        }
    }

    /// A warning for each of the issuers `named` by entries that the configuration does not have, where the first
    /// entry names it.
    fn strangers<'w>(
        &self,
        named: impl Iterator<Item = &'w str>,
        place: impl Fn(&str) -> Position,
    ) -> Vec<Problem> {
        let mut strangers: BTreeMap<&str, usize> = BTreeMap::new();
        for issuer in named.filter(|issuer| !self.issuers.contains_key(issuer)) {
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
}

/// What is wrong with a scalar, before it is known where it stands.
struct Wrong {
    what: String,
    hint: String,
}

impl Wrong {
    fn at(self, at: Position) -> Problem {
        Problem::new(at, self.what).hint(self.hint)
    }
}

/// All entries of a JSON array, if it is one and nothing is wrong with it.
fn parse_json(text: &str, scope: &Scope<'_>) -> Option<Vec<Entry>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let written: Vec<Json<'_>> = serde_json::from_str(text).ok()?;
    let date = |date: Option<i64>| match date {
        Some(date) => is_date(date).then_some(Some(NumericDate(date))),
        None => Some(None),
    };
    let entry = |written: Json<'_>| {
        let kind = read_kind(&written.kind).ok()?;
        let (not_before, expires) = (date(written.not_before)?, date(written.expires)?);
        let (issuer, value) = (written.issuer, written.value);
        if issuer.is_empty() || value.is_empty() {
            return None;
        }
        let expires = expires.or_else(|| scope.default_end(kind, not_before, &issuer).map(NumericDate));
        let reason = written.reason.map(Into::into);
        Some(Entry { kind, issuer: issuer.into(), value: value.into(), not_before, expires, reason })
    };
    written.into_iter().map(entry).collect()
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

fn required<'w>(
    scalar: &'w Option<Text>,
    name: &str,
    entry: Position,
) -> Result<(&'w str, Position), Problem> {
    match scalar {
        Some(scalar) if !scalar.text.is_empty() => Ok((&scalar.text, scalar.at)),
        Some(scalar) => Err(Problem::new(scalar.at, format!("`{name}` is empty"))),
        None => Err(Problem::new(entry, format!("an entry without `{name}`")).hint(FORM)),
    }
}

fn read_kind(kind: &str) -> Result<Kind, Wrong> {
    const KNOWN: [Kind; 2] = [Kind::Jti, Kind::Subject];
    let known = KNOWN.into_iter().find(|known| known.name() == kind);
    known.ok_or_else(|| {
        let what = if LATER.contains(&kind) {
            format!("entries of kind `{kind}` are not in this version")
        } else {
            format!("there is no kind `{kind}`")
        };
        Wrong { what, hint: format!("this version knows {}", KNOWN.map(Kind::name).join(", ")) }
    })
}

fn read_date(date: &str) -> Result<i64, Wrong> {
    let read = date.parse().ok().filter(|&date| is_date(date));
    read.ok_or_else(|| {
        let milliseconds = date.parse().is_ok_and(|date: i64| date > LATEST);
        let hint = if milliseconds { "this looks like milliseconds" } else { "such as 1767225600" };
        Wrong { what: "a time is a whole number of Unix seconds".to_owned(), hint: hint.to_owned() }
    })
}

fn is_date(date: i64) -> bool {
    (0..=LATEST).contains(&date)
}

const FORM: &str = "{kind: jti, issuer: https://…, value: \"…\", not_before: …, expires: …, reason: \"…\"}";
/// Kinds that later versions know.
const LATER: [&str; 8] = ["all", "issuer", "kid", "tenant", "client", "api_key", "session", "claim"];
/// Issuers that are warned of: more are no slip.
const MOST_STRANGERS: usize = 20;
/// The year 5138: in milliseconds, 1973.
const LATEST: i64 = 100_000_000_000;
