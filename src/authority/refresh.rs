//! `refresh`: what was given once is given anew, to whoever presents a refresh token, or the live token itself.

use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::authority::answer::{self, Done, Refusal};
use crate::authority::clock;
use crate::authority::credential::{self, Principal};
use crate::authority::endpoints::Endpoints;
use crate::authority::families::{Family, NotGiven};
use crate::authority::filling::{Filling, Made};
use crate::authority::grant::{Grant, Said};
use crate::authority::issue::{self, is_refresh};
use crate::authority::lifetime;
use crate::authority::making;
use crate::authority::oauth::exchange;
use crate::authority::request::Asked;
use crate::authority::scopes;
use crate::config::credential::Reader;
use crate::config::endpoint::{Refresh, ScopeMode};
use crate::config::minted::Minted;
use crate::gate::call::Answered;
use crate::gate::memo::TokenFacts;
use crate::token::NumericDate;
use crate::token::scope::ScopeMatch;

/// What a refresh came to.
pub struct Refreshed {
    /// What it says.
    pub grant: Grant,
    /// The tokens, in the order in which they were issued.
    pub made: Vec<Made>,
}

/// Refreshes.
pub async fn refresh(here: &Endpoints, asked: Asked<'_>, refresh: &Refresh) -> Result<Answered, Refusal> {
    let principal = match &refresh.credential {
        Some(selection) => Some(credential::principal(here, asked, selection).await?),
        None => None,
    };
    let text = presented(asked, &refresh.from)?.ok_or_else(|| Refusal::new("missing_token"))?;
    let refreshed = if is_refresh(&refresh.token) {
        by_family(here, asked, &refresh.token, &text, principal.as_ref(), None).await?
    } else {
        by_itself(here, asked, &refresh.token, &text, principal.as_ref()).await?
    };
    let mut filling = Filling::new(Some(asked), clock::now().0);
    filling.principal = principal.as_ref();
    answered(asked, &refreshed, &filling)
}

/// The answer to what was refreshed.
pub fn answered(asked: Asked<'_>, refreshed: &Refreshed, filling: &Filling<'_>) -> Result<Answered, Refusal> {
    let Refreshed { grant, made } = refreshed;
    let filling = Filling {
        subject: Some(&grant.subject),
        scopes: Some(&grant.scopes),
        session: Some(&grant.session),
        made,
        ..*filling
    };
    let body = Some(Value::Object(issue::standard(&filling)));
    answer::done(asked.call, &filling, Done { body, headers: Vec::new() })
}

/// The token that stands in the first of these places that holds any.
pub fn presented(asked: Asked<'_>, from: &[Reader]) -> Result<Option<String>, Refusal> {
    for reader in from {
        if let Some(text) = asked.text(reader).map_err(|_| Refusal::bad_request())? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// By a refresh token: the next one, and what was issued beside it, saying what it said. `wanted` is for fewer scopes (RFC 6749
/// section 6).
pub async fn by_family(
    here: &Endpoints,
    asked: Asked<'_>,
    minted: &Arc<Minted>,
    text: &str,
    principal: Option<&Principal>,
    wanted: Option<Vec<Box<str>>>,
) -> Result<Refreshed, Refusal> {
    let families = &here.authority.families;
    let now = clock::now();
    // What can be known to be refused is refused before the token is used.
    if let Some(family) = families.find(minted, text, now) {
        may_use(here, &family, principal, now)?;
        narrowed(here, &family, wanted.clone())?;
        answerable(here, asked, minted, &family, principal)?;
    }
    let holder = principal.map(|principal| &*principal.id);
    let given = families.rotate(minted, text, holder, now).await.map_err(|why| match why {
        NotGiven::Unknown | NotGiven::Replayed => Refusal::bad_token(),
        NotGiven::Trouble(trouble) => trouble.into(),
    })?;
    let family = Arc::clone(&given.family);
    // All of one moment: whatever ends the family from here on stops what is made.
    let now = clock::now();
    let left = may_use(here, &family, principal, now)?;
    let mut grant = Grant::of_family(&family).ok_or_else(Refusal::internal)?;
    let narrower = narrowed(here, &family, wanted)?;
    let mut scopes = narrower.unwrap_or_else(|| grant.scopes.clone());
    if grant.own {
        scopes = credential::kept(here, &family.credential, &family.holder, &scopes, now);
    }
    let is_narrower = scopes != grant.scopes;
    grant.scopes = scopes;
    let beside: Vec<Arc<Minted>> = here.named(family.beside.iter().map(|(name, _)| &**name));
    let filling = Filling {
        subject: Some(&grant.subject),
        scopes: Some(&grant.scopes),
        session: Some(&grant.session),
        ..Filling::new(Some(asked), now.0)
    };
    let mut said = Vec::with_capacity(beside.len());
    for minted in beside {
        // What is no longer configured, or was not then, is not given.
        let Some(before) = grant.tokens.get(&minted.name) else { continue };
        let mut again = before.again(&minted, &filling);
        again.lifetime = again.lifetime.min(left);
        if is_narrower {
            again = again.narrowed(&minted, &filling);
        }
        said.push((minted, again));
    }
    let mut made = Vec::with_capacity(said.len() + 1);
    for (minted, said) in said {
        made.push(here.one(&minted, &said, now.0).await?);
    }
    made.push(making::of_family(minted, given));
    Ok(Refreshed { grant, made })
}

/// Whether the endpoint's answer can be filled with what the request has: it would lose the next token otherwise.
fn answerable(
    here: &Endpoints,
    asked: Asked<'_>,
    minted: &Minted,
    family: &Family,
    principal: Option<&Principal>,
) -> Result<(), Refusal> {
    let grant = Grant::of_family(family).ok_or_else(Refusal::internal)?;
    let now = clock::now().0;
    let blank = |minted: &Minted| Made {
        name: minted.name.clone(),
        text: Zeroizing::default(),
        expires: now,
        refresh: is_refresh(minted),
    };
    let beside = here.named(family.beside.iter().map(|(name, _)| &**name));
    let beside = beside.iter().filter(|minted| grant.tokens.contains_key(&minted.name));
    let made = beside.map(|minted| blank(minted)).chain([blank(minted)]).collect();
    let filling = Filling { principal, ..Filling::new(Some(asked), now) };
    answered(asked, &Refreshed { grant, made }, &filling).map(drop)
}

/// The holder has to be the same, where the endpoint asks who it is, and still count; and nothing may have ended the family.
/// Gives the seconds for which what comes of it may live.
fn may_use(
    here: &Endpoints,
    family: &Family,
    principal: Option<&Principal>,
    now: NumericDate,
) -> Result<i64, Refusal> {
    let same = principal.is_none_or(|principal| {
        principal.credential.name == family.credential && principal.id == family.holder
    });
    here.left_of(family, now).filter(|_| same).ok_or_else(Refusal::bad_token)
}

/// Fewer scopes than the family's, where any are asked for.
fn narrowed(
    here: &Endpoints,
    family: &Family,
    wanted: Option<Vec<Box<str>>>,
) -> Result<Option<Vec<Box<str>>>, Refusal> {
    let Some(wanted) = wanted else { return Ok(None) };
    let beside = here.named(family.beside.iter().map(|(name, _)| &**name));
    let read = here.read_as(&beside);
    let matching = read.first().copied().unwrap_or(ScopeMatch::Exact);
    scopes::granted(Some(wanted), &family.scopes, ScopeMode::Subset, matching, &read)
        .map(Some)
        .map_err(issue::denied)
}

/// By the live token itself, which carries its claims over: only the dates, and what is random, are new.
async fn by_itself(
    here: &Endpoints,
    asked: Asked<'_>,
    minted: &Arc<Minted>,
    text: &str,
    principal: Option<&Principal>,
) -> Result<Refreshed, Refusal> {
    let now = clock::now();
    let (_, facts) = here.believed(std::slice::from_ref(minted), text).ok_or_else(Refusal::bad_token)?;
    let whose = here.whose(&facts).ok_or_else(Refusal::bad_token)?;
    if principal.is_some_and(|principal| !whose.is_of(principal)) {
        return Err(Refusal::bad_token());
    }
    let left = lifetime::left(here, minted, &facts, now).ok_or_else(Refusal::bad_token)?;
    let mut lifetime = issue::lifetime(Some(asked), minted)?.min(left);
    if exchange::owner(&facts).is_some() {
        // It was cut to what it came from, which this must not undo.
        let ends = facts.verified.claims().expires().ok_or_else(Refusal::internal)?;
        lifetime = lifetime.min(ends.0.saturating_sub(now.0));
    }
    if lifetime <= 0 {
        return Err(Refusal::bad_token());
    }
    let said = Said { claims: carried(&facts), lifetime };
    let grant = Grant {
        credential: Box::default(),
        id: whose.client.unwrap_or_default(),
        subject: facts.subject().unwrap_or_default().into(),
        scopes: whose.scopes,
        own: false,
        session: whose.session.unwrap_or_default(),
        tokens: Default::default(),
    };
    let filling = Filling {
        subject: Some(&grant.subject),
        scopes: Some(&grant.scopes),
        session: Some(&grant.session),
        ..Filling::new(Some(asked), now.0)
    };
    let said = said.again(minted, &filling);
    let made = here.one(minted, &said, now.0).await?;
    Ok(Refreshed { grant, made: vec![made] })
}

/// The claims of a token that another may say again: all but its dates.
pub fn carried(facts: &TokenFacts) -> Map<String, Value> {
    let mut claims: Map<String, Value> = facts.verified.claims().members().into();
    for own in ["iss", "iat", "exp"] {
        claims.remove(own);
    }
    claims
}
