//! Whether tokens can be revoked in the ways that the file has for it: by their claims, which the file writes too.

use crate::config::authority::Authority;
use crate::config::credential::{Credential, CredentialKind};
use crate::config::decode::fields::Fields;
use crate::config::decode::names::Named;
use crate::config::endpoint::{Action, Issue, Revoke, Revoked, Selection};
use crate::config::minted::{Format, Minted, Sign};
use crate::config::problems::{Position, Problem, quoted};
use crate::config::template::{Piece, Source, Template, Text};
use crate::config::{ClaimMap, Issuer};
use crate::token::claims::Selector;

/// Refuses revocations that could only fail, or do less than they say; warns of tokens that outlive the key or the person that
/// they are made from.
pub(crate) fn check(file: &Fields<'_>, authority: &Authority, issuers: &Named<Issuer>) {
    for endpoint in &authority.endpoints {
        if let Action::Revoke(revoke) = &endpoint.action {
            check_revoke(file, revoke, (&endpoint.name, endpoint.at), issuers);
        }
    }
    for token in &authority.tokens {
        let Some((claims, names)) = said(token, issuers) else { continue };
        let holds = |credential: &Credential| {
            is_managed(credential)
                && authority.endpoints.iter().any(|endpoint| is_made(&endpoint.action, token, credential))
        };
        if let Some(credential) = authority.credentials.iter().find(|credential| holds(credential))
            && !says_whose(token, claims, names)
        {
            let (token_name, credential) = (quoted(&token.name), quoted(&credential.name));
            let what = format!(
                "{token_name} does not say whose it is: who is disabled or removed from {credential} keeps it until it ends"
            );
            let hint = "give `claims` a `client_id: \"{credential.id}\"`, or let `subject` be `{credential.id}` and among them";
            file.report.warning(Problem::new(token.at, what).hint(hint));
        }
    }
}

fn check_revoke(file: &Fields<'_>, revoke: &Revoke, (name, at): (&str, Position), issuers: &Named<Issuer>) {
    let (Revoked::Presented { tokens, .. } | Revoked::Subject { tokens, .. }) = &revoke.what;
    // What is looked up, or signed with keys that are kept, is refused without one for its own sake.
    if file.entry("store").is_none() && tokens.iter().all(|token| is_nowhere_kept(token)) {
        let problem = Problem::new(at, format!("{} revokes, and there is no `store`", quoted(name)));
        file.report.problem(problem.hint("write `store: {sqlite: portcullis.db}`"));
    }
    for token in tokens {
        let Some((claims, names)) = said(token, issuers) else { continue };
        let by_id = matches!(token.format, Format::Jwt { .. });
        let wanted = match &revoke.what {
            Revoked::Presented { family: true, .. } => Some(&names.session),
            Revoked::Presented { family: false, .. } => by_id.then_some(&names.id),
            Revoked::Subject { .. } => Some(&names.subject),
        };
        if let Some(wanted) = wanted.filter(|wanted| !says(claims, wanted)) {
            let claim = wanted.places().first().map(|place| place.written()).unwrap_or_default();
            let (name, token) = (quoted(name), quoted(&token.name));
            let what = format!(
                "{name} revokes {token} by a claim that it does not have: there is no claim `{claim}`"
            );
            file.report.problem(Problem::new(at, what).hint("give it to `claims` of the token"));
        }
    }
}

/// The claims of a token, by name.
type Said<'a> = &'a [(Box<str>, Template)];

/// What a token says, and by which names.
fn said<'a>(token: &'a Minted, issuers: &'a Named<Issuer>) -> Option<(Said<'a>, &'a ClaimMap)> {
    let (Format::Jwt { claims, .. } | Format::Opaque { claims, .. }) = &token.format else { return None };
    Some((claims, &issuers.get(token.issuer?)?.claims))
}

fn is_nowhere_kept(token: &Minted) -> bool {
    match &token.format {
        Format::Jwt { sign, .. } => match sign {
            Sign::Managed(_) => false,
            Sign::Pem { .. } | Sign::Secret { .. } => true,
        },
        Format::Opaque { .. } | Format::Refresh { .. } => false,
    }
}

/// The outermost claims in which a selector looks.
fn outermost(selector: &Selector) -> impl Iterator<Item = String> {
    selector.places().iter().map(|place| match place.written().strip_prefix('/') {
        Some(pointer) => pointer.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~"),
        None => place.written().to_owned(),
    })
}

fn says(claims: Said<'_>, selector: &Selector) -> bool {
    outermost(selector).any(|name| claims.iter().any(|(known, _)| **known == *name))
}

/// Whether what stops the holder of a credential stops the token: its client, or its subject, is their id.
fn says_whose(token: &Minted, claims: Said<'_>, names: &ClaimMap) -> bool {
    let has = |selector: &Selector, is: fn(&Source) -> bool| {
        let is = |template: &Template| match template {
            Template::Text(text) => whole(text).is_some_and(is),
            Template::Plain(_) | Template::List(_) | Template::Object(_) => false,
        };
        outermost(selector).any(|name| claims.iter().any(|(known, said)| **known == *name && is(said)))
    };
    let is_holders = whole(&token.subject).is_some_and(is_id);
    let is_subject = |source: &Source| matches!(source, Source::Subject) || is_id(source);
    has(&names.client, is_id) || is_holders && has(&names.subject, is_subject)
}

/// The only hole of a text that is nothing else.
fn whole(text: &Text) -> Option<&Source> {
    match text.0.as_slice() {
        [Piece::Hole(hole)] => Some(&hole.source),
        [] | [Piece::Literal(_)] | [_, ..] => None,
    }
}

fn is_id(source: &Source) -> bool {
    matches!(source, Source::Credential(name) if **name == *"id")
}

fn is_managed(credential: &Credential) -> bool {
    match &credential.kind {
        CredentialKind::ApiKeys(keys) => keys.managed,
        CredentialKind::People(people) => people.managed,
        CredentialKind::Issuer(_) => false,
    }
}

/// Whether an endpoint makes the token for holders of the credential.
fn is_made(action: &Action, token: &Minted, credential: &Credential) -> bool {
    let is = |one: &Credential| one.name == credential.name;
    let selects = |selection: &Selection| match selection {
        Selection::One(one) => is(one),
        Selection::By { of, .. } => of.iter().any(|(_, one)| is(one)),
    };
    match action {
        Action::Issue(Issue { tokens, credential, act_as, .. }) => {
            tokens.iter().any(|made| made.name == token.name)
                && act_as.as_ref().map_or_else(|| selects(credential), |(acted, _)| is(acted))
        }
        Action::OAuthToken { clients, access, .. } => access.name == token.name && selects(clients),
        Action::Refresh(_)
        | Action::Revoke(_)
        | Action::Introspect { .. }
        | Action::KeySet(_)
        | Action::Metadata(_)
        | Action::Resource => false,
    }
}
