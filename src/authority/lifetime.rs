//! Whose a live token is that is shown to be refreshed: it lives no longer than the credential that it was made from.

use crate::authority::credential;
use crate::authority::endpoints::Endpoints;
use crate::authority::grant::claims_of;
use crate::authority::stopping;
use crate::config::credential::{Credential, CredentialKind};
use crate::config::endpoint::{Action, Selection};
use crate::config::minted::Minted;
use crate::config::template::{Piece, Source, Template};
use crate::gate::memo::TokenFacts;
use crate::token::NumericDate;

/// Seconds for which another token may live that says what this one says; nothing where whoever it was made for does not
/// count any more. A token that does not say whose it is, and one that was made for somebody who is known elsewhere, tells no
/// end.
pub(in crate::authority) fn left(
    here: &Endpoints,
    minted: &Minted,
    facts: &TokenFacts,
    now: NumericDate,
) -> Option<i64> {
    let Some(id) = id(minted, facts) else { return Some(i64::MAX) };
    let config = here.config();
    let (mut longest, mut elsewhere) = (None, false);
    for credential in config.authority.endpoints.iter().flat_map(|endpoint| makers(&endpoint.action, minted))
    {
        match &credential.kind {
            CredentialKind::Issuer(_) => elsewhere = true,
            CredentialKind::ApiKeys(_) | CredentialKind::People(_) => {
                longest = longest.max(credential::left(here, &credential.name, &id, now));
            }
        }
    }
    longest.or(elsewhere.then_some(i64::MAX))
}

/// `{credential.id}` of whoever had it made, where its claims say it.
fn id(minted: &Minted, facts: &TokenFacts) -> Option<Box<str>> {
    let says = |template: &Template| match template {
        Template::Text(text) => {
            stopping::is_the_id(text)
                || stopping::is_the_id(&minted.subject)
                    && matches!(text.0.as_slice(), [Piece::Hole(hole)] if hole.source == Source::Subject)
        }
        Template::Plain(_) | Template::List(_) | Template::Object(_) => false,
    };
    let (name, _) = claims_of(minted).iter().find(|(_, template)| says(template))?;
    facts.verified.claims().members().get(name)?.as_text().map(Box::from)
}

/// The credentials that an endpoint makes a token from.
fn makers<'a>(action: &'a Action, minted: &Minted) -> Vec<&'a Credential> {
    match action {
        Action::Issue(issue) if issue.tokens.iter().any(|token| token.name == minted.name) => {
            match &issue.act_as {
                Some((acted, _)) => vec![acted],
                None => selected(&issue.credential),
            }
        }
        Action::OAuthToken { clients, access, .. } if access.name == minted.name => selected(clients),
        Action::Issue(_)
        | Action::OAuthToken { .. }
        | Action::Refresh(_)
        | Action::Revoke(_)
        | Action::Introspect { .. }
        | Action::KeySet(_)
        | Action::Metadata(_)
        | Action::Resource => Vec::new(),
    }
}

fn selected(selection: &Selection) -> Vec<&Credential> {
    match selection {
        Selection::One(one) => vec![one],
        Selection::By { of, .. } => of.iter().map(|(_, one)| &**one).collect(),
    }
}
