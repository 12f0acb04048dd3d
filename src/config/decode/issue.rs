//! `issue`: who gets which tokens, with which scopes.

use std::sync::Arc;

use crate::config::credential::{Credential, CredentialKind, Reader};
use crate::config::decode::endpoints::Here;
use crate::config::decode::fields::Fields;
use crate::config::decode::readers;
use crate::config::decode::templates::Place;
use crate::config::decode::value::Value;
use crate::config::defaults::{CEILING, MEMBER_ERROR, REQUIRED_MEMBERS};
use crate::config::endpoint::{Issue, RequiredMember, Reuse, ScopeMode, Scopes, Selection};
use crate::config::minted::{Format, Minted};
use crate::config::problems::{Problem, Wrong, quoted};
use crate::config::shape;
use crate::config::template::{Template, Text};
use crate::token::scope::{ScopeMatch, is_scope_token};

/// Reads `issue` and what belongs to it.
pub(crate) fn issue(here: &Here<'_>, value: Value<'_>) -> Option<Issue> {
    let fields = here.fields;
    let tokens = here.tokens(value, |_| Ok(()));
    if let Some(tokens) = &tokens {
        check_tokens(here, value, tokens);
    }
    let credential = here.required_credential("issue");
    let require = fields.value("require").map(members).unwrap_or_default();
    let act_as = fields.value("act_as").map(|value| act_as(here, value));
    let reuse = fields.value("reuse").map(|value| reuse(value, tokens.as_deref()));
    let acts = act_as.as_ref().and_then(|acts| acts.as_ref().map(|(credential, _)| credential));
    let matching = credential.as_ref().map(|credential| match acts {
        Some(acts) => acts.scope_match,
        None => matching(here, credential),
    });
    let scopes = scopes(here, matching.unwrap_or_default());
    let act_as = match act_as {
        Some(act_as) => Some(act_as?),
        None => None,
    };
    let reuse = match reuse {
        Some(reuse) => Some(reuse?),
        None => None,
    };
    Some(Issue { tokens: tokens?, credential: credential?, require, scopes: scopes?, act_as, reuse })
}

/// Whether they go together, and find on this path what they ask for.
fn check_tokens(here: &Here<'_>, value: Value<'_>, tokens: &[Arc<Minted>]) {
    let refreshing = tokens.iter().filter(|token| matches!(token.format, Format::Refresh { .. })).count();
    if refreshing == tokens.len() {
        value.problem_with_hint(
            "a refresh token alone is of use for nothing",
            "issue what it refreshes beside it",
        );
    } else if refreshing > 1 {
        value.problem("more than one refresh token");
    }
    let (claim, subject) =
        (Place::CLAIM.on(here.parameters.to_vec()), Place::SUBJECT.on(here.parameters.to_vec()));
    for token in tokens {
        let name = quoted(&token.name);
        if let Err(wrong) = subject.check(&token.subject) {
            value.problem(format!("`subject` of {name} {}", wrong.what));
        }
        let claims: &[(Box<str>, Template)] = match &token.format {
            Format::Jwt { claims, .. } | Format::Opaque { claims, .. } => claims,
            Format::Refresh { .. } => &[],
        };
        for (member, template) in claims {
            template.texts(&mut |text| {
                if let Err(wrong) = claim.check(text) {
                    value.problem(format!("the claim {} of {name} {}", quoted(member), wrong.what));
                }
            });
        }
        if let Some(Err(wrong)) =
            token.lifetime.asked.as_ref().map(|reader| readers::check_path(reader, here.parameters))
        {
            value.problem(format!("`lifetime.asked` of {name}: {}", wrong.what));
        }
    }
}

fn members(value: Value<'_>) -> Vec<RequiredMember> {
    let entries = value.named("scopes: {type: text_list, error: bad_scopes}");
    if let Some(entry) = entries.get(REQUIRED_MEMBERS) {
        value.report.problem(Problem::new(entry.at, format!("more than {REQUIRED_MEMBERS} members")));
    }
    entries
        .iter()
        .take(REQUIRED_MEMBERS)
        .filter_map(|entry| member(&entry.key, Value::of(entry, value.report)))
        .collect()
}

fn member(key: &str, value: Value<'_>) -> Option<RequiredMember> {
    if crate::token::claims::Selector::parse(&[key]).is_none() {
        value.report.problem(
            Problem::new(value.at(), format!("{} names no member", quoted(key)))
                .hint("write a name, or a pointer such as `/destination/id` (RFC 6901)"),
        );
    }
    let reader = Reader::Body(key.into());
    if value.is_scalar() {
        let word = crate::config::decode::fields::word(value)?;
        return Some(RequiredMember { reader, kind: word, error: MEMBER_ERROR.into() });
    }
    let fields = Fields::open(value, &shape::endpoint::MEMBER)?;
    let kind = fields.choice("type");
    let error = match fields.value("error") {
        Some(value) => value.read(reason)?,
        None => MEMBER_ERROR.into(),
    };
    Some(RequiredMember { reader, kind, error })
}

/// A reason's name: a metric label, and what `errors` is asked for.
fn reason(text: &str) -> Result<Box<str>, Wrong> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !text.is_empty() && text.len() <= REASON && text.bytes().all(fits) {
        return Ok(text.into());
    }
    Err(Wrong::is("is no name of a reason").hint("lower-case letters, digits and `_`: `bad_scopes`"))
}

/// How the scopes that holders of these have may be patterns. There is one answer: what is asked for is read in the
/// same way.
fn matching(here: &Here<'_>, selection: &Selection) -> ScopeMatch {
    let of = |credential: &Credential| match credential.kind {
        CredentialKind::ApiKeys(_) | CredentialKind::People(_) => credential.scope_match,
        CredentialKind::Issuer(index) => {
            here.around.issuers.named.get(index).map(|issuer| issuer.scope_match).unwrap_or_default()
        }
    };
    match selection {
        Selection::One(credential) => of(credential),
        Selection::By { of: several, .. } => {
            let mut all = several.iter().map(|(_, credential)| of(credential));
            let first = all.next().unwrap_or_default();
            if let (true, Some(entry)) = (all.any(|other| other != first), here.fields.entry("credential")) {
                let what = "credentials whose `scope_match` differ, at one endpoint";
                here.fields.report.problem(Problem::new(entry.at, what).hint("give them the same"));
            }
            first
        }
    }
}

fn scopes(here: &Here<'_>, matching: ScopeMatch) -> Option<Scopes> {
    let ceiling = || Text::parse(CEILING).ok().map(Template::Text);
    let Some(value) = here.fields.value("scopes") else {
        return Some(Scopes { asked: None, mode: ScopeMode::default(), ceiling: ceiling()?, matching });
    };
    let fields = Fields::open(value, &shape::endpoint::SCOPES)?;
    let asked = fields.value("asked").map(|value| here.reader(value));
    let (mode, place) = (fields.choice("mode"), Place::CEILING.on(here.parameters.to_vec()));
    let ceiling = match fields.value("ceiling") {
        Some(value) => place.template(value).inspect(|template| check_ceiling(value, template)),
        None => ceiling(),
    };
    let asked = match asked {
        Some(asked) => Some(asked?),
        None => None,
    };
    Some(Scopes { asked, mode, ceiling: ceiling?, matching })
}

/// A ceiling is a text, or a list of texts.
fn check_ceiling(value: Value<'_>, template: &Template) {
    let is_text = |template: &Template| match template {
        Template::Text(text) => {
            text.holes().next().is_some() || text.written().split(' ').all(is_scope_token)
        }
        Template::Plain(_) | Template::List(_) | Template::Object(_) => false,
    };
    let fits = match template {
        Template::Text(_) => is_text(template),
        Template::List(items) => items.iter().all(is_text),
        Template::Plain(_) | Template::Object(_) => false,
    };
    if !fits {
        value.problem_with_hint(
            "`ceiling` is no list of scopes",
            "write `[orders:read]`, or `\"{credential.scopes}\"`",
        );
    }
}

fn act_as(here: &Here<'_>, value: Value<'_>) -> Option<(Arc<Credential>, Text)> {
    let fields = Fields::open(value, &shape::endpoint::ACT_AS)?;
    let credential = fields.value("credential").and_then(|value| {
        let credential = here.around.credential(value)?;
        match credential.kind {
            CredentialKind::ApiKeys(_) => Some(credential),
            CredentialKind::People(_) | CredentialKind::Issuer(_) => {
                value.problem(format!("{} are no API keys", quoted(&credential.name)));
                None
            }
        }
    });
    let id = fields.value("id").and_then(|value| Place::ACT_AS.text(value));
    Some((credential?, id?))
}

fn reuse(value: Value<'_>, tokens: Option<&[Arc<Minted>]>) -> Option<Reuse> {
    let fields = Fields::open(value, &shape::endpoint::REUSE)?;
    if tokens.is_some_and(|tokens| tokens.iter().any(|token| matches!(token.format, Format::Refresh { .. })))
    {
        value.problem_with_hint(
            "`reuse` where a refresh token is issued",
            "it counts once: leave `reuse` out",
        );
    }
    let unless = fields.value("unless").map(|value| {
        let own = Fields::open(value, &shape::endpoint::UNLESS)?;
        let reader = readers::one(&own, &["header", "cookie", "query", "body"]);
        let is = own.value("is").and_then(Value::word);
        Some((reader?, is?))
    });
    let unless = match unless {
        Some(unless) => Some(unless?),
        None => None,
    };
    Some(Reuse { unless, min_remaining: fields.duration("min_remaining") })
}

/// Characters of a reason's name.
const REASON: usize = 64;
