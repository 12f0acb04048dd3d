//! `permission` and `field`: a template, and the pattern whose groups fill it.

use regex::{Regex, RegexBuilder};

use crate::config::decode::fields::Fields;
use crate::config::defaults as d;
use crate::config::graphql::{Permission, PermissionPiece, WHOLE};
use crate::config::problems::{Problem, Wrong, closest, quoted};
use crate::token::scope::is_scope_token;

/// Reads both.
pub(crate) fn permission(fields: &Fields<'_>) -> Option<Permission> {
    let given = fields.value("field");
    let field = given.and_then(|value| value.read(pattern));
    if let (Some(entry), None) = (fields.entry("field"), fields.entry("permission")) {
        let problem = Problem::new(entry.at, "`field` without `permission`: nothing is made of its groups");
        fields.report.problem(problem.hint("write `permission: \"{operation}:{field}\"`, or leave it out"));
    }
    let value = fields.value("permission")?;
    if given.is_some() && field.is_none() {
        // Which groups there are meant to be, nobody knows.
        return None;
    }
    let template = value.read(|text| template(text, field.as_ref()))?;
    Some(Permission { template, field })
}

/// Compiles a pattern, to match whole names. Linear-time: the engine has neither look-around nor back-references.
fn pattern(text: &str) -> Result<Regex, Wrong> {
    if text.len() > d::GRAPHQL_PATTERN {
        return Err(Wrong::is(format!("is longer than {} octets", d::GRAPHQL_PATTERN)));
    }
    let compile = |text: &str| {
        RegexBuilder::new(text).size_limit(d::GRAPHQL_PATTERN_COMPILED).build().map_err(|error| {
            let what = if matches!(error, regex::Error::CompiledTooBig(_)) {
                "is too large once compiled".to_owned()
            } else {
                // The text shows the pattern and points into it, over several lines; its last says what is wrong.
                let said = error.to_string();
                let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("is no regular expression: {last}")
            };
            Wrong::is(what).hint("write it in single quotes: '^(?<action>[A-Z][a-z]+)(?<type>[A-Z]\\w+)$'")
        })
    };
    // By itself first, so that what closes what was never opened is refused and not made good.
    let alone = compile(text)?;
    if let Some(name) = alone.capture_names().flatten().find(|name| OWN.contains(name)) {
        let wrong = Wrong::is(format!("has a group `{name}`, which is a word of `permission` already"));
        return Err(wrong.hint("give the group another name"));
    }
    compile(&format!("{}{text}{}", WHOLE.0, WHOLE.1))
}

/// Takes a template apart.
fn template(text: &str, field: Option<&Regex>) -> Result<Vec<PermissionPiece>, Wrong> {
    if text.is_empty() || text.len() > d::GRAPHQL_PATTERN {
        return Err(Wrong::is(format!("is empty, or longer than {} octets", d::GRAPHQL_PATTERN)));
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        let hole = brace.strip_prefix('{').and_then(|after| after.split_once('}'));
        let Some((name, after)) = hole.filter(|(name, _)| !name.contains('{')) else {
            return Err(Wrong::is("has a brace without its pair").hint("write `{operation}:{field}`"));
        };
        literal(before, &mut pieces)?;
        pieces.push(piece(name, field)?);
        rest = after;
    }
    literal(rest, &mut pieces)?;
    Ok(pieces)
}

fn literal(text: &str, pieces: &mut Vec<PermissionPiece>) -> Result<(), Wrong> {
    if text.is_empty() {
        return Ok(());
    }
    if !is_scope_token(text) {
        return Err(Wrong::is("makes permissions that no grant can name")
            .hint("a scope has no space, no `\"`, no `\\` and only ASCII (RFC 6749 section 3.3)"));
    }
    pieces.push(PermissionPiece::Literal(text.into()));
    Ok(())
}

fn piece(name: &str, field: Option<&Regex>) -> Result<PermissionPiece, Wrong> {
    match name {
        "operation" => return Ok(PermissionPiece::Operation),
        "field" => return Ok(PermissionPiece::Field),
        _ => {}
    }
    let groups: Vec<&str> = field.into_iter().flat_map(Regex::capture_names).flatten().collect();
    if groups.contains(&name) {
        return Ok(PermissionPiece::Capture(name.into()));
    }
    let wrong = Wrong::is(format!("is made of {}, which is no group of `field`", quoted(name)));
    let near = closest(name, groups.iter().copied().chain(OWN));
    Err(match near {
        Some(near) => wrong.hint(format!("did you mean `{{{near}}}`?")),
        None => wrong.hint(format!(
            "`{{operation}}` and `{{field}}` are always there; `(?<{name}>…)` in `field` names a group"
        )),
    })
}

/// The words that are there without any pattern.
const OWN: [&str; 2] = ["operation", "field"];
