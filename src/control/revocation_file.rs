//! The revocation file: a YAML list of entries (config.md section 3), refused whole if anything in it is wrong.
//!
//! A file that is a JSON array, as programs write it, is read as JSON first: it may have a million entries.
//! Only if anything is wrong with it is it read as YAML, for the positions.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::{Location, MergeKeyPolicy, RenderOptions, SnippetMode, Spanned, UserMessageFormatter};

use crate::config::Issuer;
use crate::config::problems::{Position, Problem, Problems};
use crate::revocation::{Entry, Kind};
use crate::token::NumericDate;

/// Parses the file. `issuers` are those of the configuration that names it: an entry is scoped by the `iss` of
/// one of them, and takes its default for `expires` from it. `now` is when the file is loaded.
pub fn parse(
    text: &str,
    file: &str,
    issuers: &[Arc<Issuer>],
    now: NumericDate,
) -> Result<Vec<Entry>, Problems> {
    let scope = Scope::new(issuers, now);
    if let Some(entries) = parse_json(text, &scope) {
        return Ok(entries);
    }
    let refuse = |mut list: Vec<Problem>| {
        list.sort_by_key(|problem| problem.at);
        Problems { file: file.to_owned(), text: text.into(), list }
    };
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for written in yaml(text).map_err(|problem| refuse(vec![problem]))? {
        match scope.entry(&written) {
            Ok(entry) => entries.push(entry),
            Err(mut found) => problems.append(&mut found),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(refuse(problems)) }
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

/// Reads the list; what is wrong with it as YAML, or as entries of scalars, is the first such thing.
fn yaml(text: &str) -> Result<Vec<Written>, Problem> {
    type Scalar = Option<Spanned<String>>;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        kind: Scalar,
        issuer: Scalar,
        value: Scalar,
        claim: Scalar,
        not_before: Scalar,
        expires: Scalar,
        reason: Scalar,
    }
    let options = serde_saphyr::options! {
        // Size is bounded by whoever read the file; what aliases expand to stays bounded.
        budget: serde_saphyr::budget! {
            max_events: MOST_NODES,
            max_nodes: MOST_NODES,
            max_total_scalar_bytes: usize::MAX,
        },
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let read: Result<Option<Vec<Spanned<Fields>>>, _> = serde_saphyr::from_str_with_options(text, options);
    let entries = read.map_err(|error| {
        let formatter = UserMessageFormatter;
        let mut options = RenderOptions::new(&formatter);
        options.snippets = SnippetMode::Off;
        let what = error.render_with_options(options);
        // The place is said already.
        let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what);
        Problem::new(position(error.location().unwrap_or(Location::UNKNOWN)), what)
    })?;
    let entries = entries.ok_or_else(|| {
        let at = Position { line: 1, column: 1 };
        Problem::new(at, "the revocation file is empty").hint("write `[]` for no entries")
    })?;
    let text = |scalar: Scalar| {
        scalar.map(|Spanned { value, referenced, .. }| Text { text: value, at: position(referenced) })
    };
    let written = |Spanned { value, referenced, .. }: Spanned<Fields>| Written {
        at: position(referenced),
        kind: text(value.kind),
        issuer: text(value.issuer),
        value: text(value.value),
        claim: text(value.claim),
        not_before: text(value.not_before),
        expires: text(value.expires),
        reason: text(value.reason),
    };
    Ok(entries.into_iter().map(written).collect())
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
        Self { now: now.0, issuers: lives }
    }

    fn entry(&self, written: &Written) -> Result<Entry, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |problem| problems.push(problem);
        let kind = required(&written.kind, "kind", written.at)
            .and_then(|(kind, at)| read_kind(kind).map_err(|why| why.at(at)))
            .map_err(&mut keep);
        let issuer = required(&written.issuer, "issuer", written.at)
            .and_then(|(issuer, at)| self.known(issuer).map_err(|why| why.at(at)))
            .map_err(&mut keep);
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
        let (Ok(kind), Ok((issuer, life)), Ok((value, _)), true) = (kind, issuer, value, problems.is_empty())
        else {
            return Err(problems);
        };
        let not_before = not_before.map(NumericDate);
        let expires = expires.or_else(|| self.default_end(kind, not_before, life)).map(NumericDate);
        let reason = written.reason.as_ref().map(|reason| reason.text.as_str().into());
        Ok(Entry { kind, issuer: issuer.into(), value: value.into(), not_before, expires, reason })
    }

    /// When an entry that does not say so can be forgotten: when no token that it revokes can be accepted any
    /// more. A block of a subject has no end.
    fn default_end(&self, kind: Kind, not_before: Option<NumericDate>, life: i64) -> Option<i64> {
        match (not_before, kind) {
            (Some(not_before), Kind::Jti | Kind::Subject) => Some(not_before.0.saturating_add(life)),
            (None, Kind::Jti) => Some(self.now.saturating_add(life)),
            (None, Kind::Subject) => None,
        }
    }

    fn known<'w>(&self, issuer: &'w str) -> Result<(&'w str, i64), Wrong> {
        let life = self.issuers.get(issuer).ok_or_else(|| Wrong {
            what: format!("no issuer of the configuration has `issuer: {issuer}`"),
            hint: "an entry is scoped by an issuer's `iss`, exactly as configured".to_owned(),
        })?;
        Ok((issuer, *life))
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
        let (kind, (issuer, life)) = (read_kind(&written.kind).ok()?, scope.known(&written.issuer).ok()?);
        let (not_before, expires) = (date(written.not_before)?, date(written.expires)?);
        let expires = expires.or_else(|| scope.default_end(kind, not_before, life).map(NumericDate));
        let value = Some(written.value).filter(|value| !value.is_empty())?;
        let reason = written.reason.map(Into::into);
        Some(Entry { kind, issuer: issuer.into(), value: value.into(), not_before, expires, reason })
    };
    written.into_iter().map(entry).collect()
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
    let known = Kind::ALL.into_iter().find(|known| known.name() == kind);
    known.ok_or_else(|| {
        let what = if LATER.contains(&kind) {
            format!("entries of kind `{kind}` are not in this version")
        } else {
            format!("there is no kind `{kind}`")
        };
        Wrong { what, hint: format!("this version knows {}", Kind::ALL.map(Kind::name).join(", ")) }
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

fn position(location: Location) -> Position {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: small(location.line()), column: small(location.column()) }
}

const FORM: &str = "{kind: jti, issuer: https://…, value: \"…\", not_before: …, expires: …, reason: \"…\"}";
/// Kinds that later versions know.
const LATER: [&str; 8] = ["all", "issuer", "kid", "tenant", "client", "api_key", "session", "claim"];
/// The year 5138: in milliseconds, 1973.
const LATEST: i64 = 100_000_000_000;
/// Ten million entries.
const MOST_NODES: usize = 200_000_000;
