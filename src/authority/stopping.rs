//! What refuses whatever was made from a credential, once its holder is disabled or gone: entries of the revocations'
//! vocabulary.

use crate::authority::clock;
use crate::authority::means::Means;
use crate::config::Config;
use crate::config::credential::Credential;
use crate::config::endpoint::{Action, Selection};
use crate::config::minted::Minted;
use crate::config::template::{Piece, Source, Text};
use crate::revocation::{Kind, watermark};
use crate::store::error::StoreError;
use crate::store::{Entry, Id};

/// Tokens of one issuer that are made from a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::authority) struct Made {
    /// What they say as `iss`.
    issuer: Box<str>,
    /// For how long the longest of them counts, in seconds.
    life: i64,
    /// Whether the holder is their subject.
    is_subject: bool,
}

/// What is made from a credential, by what is configured: an entry an issuer.
pub(in crate::authority) fn made_from(config: &Config, credential: &str) -> Vec<Made> {
    let mut all: Vec<Made> = Vec::new();
    for endpoint in &config.authority.endpoints {
        let (tokens, is_holder) = match &endpoint.action {
            Action::Issue(issue) => {
                let own = selects(&issue.credential, credential);
                let acted = issue.act_as.as_ref().is_some_and(|(acted, _)| *acted.name == *credential);
                if !own && !acted {
                    continue;
                }
                // Of a token that is made as if another had asked, that one is the subject.
                (issue.tokens.as_slice(), acted || issue.act_as.is_none())
            }
            Action::OAuthToken { clients, access, .. } if selects(clients, credential) => {
                (std::slice::from_ref(access), true)
            }
            Action::OAuthToken { .. }
            | Action::Refresh(_)
            | Action::Revoke(_)
            | Action::Introspect { .. }
            | Action::KeySet(_)
            | Action::Metadata(_)
            | Action::Resource => continue,
        };
        for made in tokens.iter().filter_map(|token| made(config, token, is_holder)) {
            match all.iter_mut().find(|known| known.issuer == made.issuer) {
                Some(known) => {
                    known.life = known.life.max(made.life);
                    known.is_subject |= made.is_subject;
                }
                None => all.push(made),
            }
        }
    }
    all
}

fn made(config: &Config, token: &Minted, is_holder: bool) -> Option<Made> {
    let issuer = config.issuers.get(token.issuer?)?;
    let life = token.lifetime.max.max(token.lifetime.default).saturating_add(issuer.leeway);
    Some(Made {
        issuer: issuer.issuer.clone(),
        life: i64::try_from(life.as_secs()).unwrap_or(i64::MAX / 2),
        is_subject: is_holder && is_the_id(&token.subject),
    })
}

/// `{credential.id}`, and nothing else.
pub(in crate::authority) fn is_the_id(subject: &Text) -> bool {
    match subject.0.as_slice() {
        [Piece::Hole(hole)] => matches!(&hole.source, Source::Credential(name) if **name == *"id"),
        [] | [Piece::Literal(_)] | [_, ..] => false,
    }
}

fn selects(selection: &Selection, credential: &str) -> bool {
    let is = |one: &Credential| *one.name == *credential;
    match selection {
        Selection::One(one) => is(one),
        Selection::By { of, .. } => of.iter().any(|(_, one)| is(one)),
    }
}

/// The entries that refuse what was made from the holder of this id until now. They end when none of it can count any more.
pub(in crate::authority) fn entries(made: &[Made], id: &str, reason: &str) -> Result<Vec<Entry>, StoreError> {
    let now = i64::try_from(clock::milliseconds()).unwrap_or(i64::MAX);
    let not_before = watermark(now).0;
    let mut entries = Vec::new();
    for Made { issuer, life, is_subject } in made {
        let kinds = [Some(Kind::Client), is_subject.then_some(Kind::Subject)];
        for kind in kinds.into_iter().flatten() {
            let expires = Some(not_before.saturating_add(*life));
            let entry = Means::entry(kind, issuer, id, expires, reason)?;
            entries.push(Entry { not_before: Some(not_before), ..entry });
        }
    }
    Ok(entries)
}

/// Their ids, as a record keeps them: before they are in force.
pub(in crate::authority) fn ids(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.to_string()).collect()
}

/// The same entries under ids that were kept before they were made: their moment is after that.
pub(in crate::authority) fn under(ids: &[String], entries: Vec<Entry>) -> Vec<Entry> {
    let ids = ids.iter().map(|id| id.parse().ok()).chain(std::iter::repeat(None));
    let named = |(entry, id): (Entry, Option<Id>)| Entry { id: id.unwrap_or(entry.id), ..entry };
    entries.into_iter().zip(ids).map(named).collect()
}
