//! `issue`: a credential in, tokens out.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::authority::answer::{self, Done, Refusal};
use crate::authority::clock;
use crate::authority::credential::{self, Principal};
use crate::authority::endpoints::Endpoints;
use crate::authority::filling::{Filling, Made};
use crate::authority::given::Given;
use crate::authority::grant::{self, Grant};
use crate::authority::making;
use crate::authority::request::Asked;
use crate::authority::scopes;
use crate::config::Require;
use crate::config::endpoint::{Issue, Reuse, Scopes};
use crate::config::minted::{Format, Minted};
use crate::gate::call::Answered;
use crate::mint::{opaque, template};
use crate::policy::identity;
use crate::token::claims::Claims;
use crate::token::scope::ScopeMatch;

/// Issues. The order is fixed: the credential is there, the request has what it has to have, the credential is right, the
/// scopes are its own.
pub async fn issue(here: &Endpoints, asked: Asked<'_>, issue: &Issue) -> Result<Answered, Refusal> {
    let shown = credential::shown(asked, &issue.credential)?;
    credential::required(asked, &issue.require)?;
    let caller = credential::checked(here, asked, shown).await?;
    let now = clock::now().0;
    let principal = acting(here, asked, issue, caller, now)?;
    let scopes = granted(here, asked, &issue.scopes, &principal, &issue.tokens)?;
    let session = opaque::uuid(&mut clock::fill).map_err(|_| Refusal::internal())?;
    let mut filling = Filling::new(Some(asked), now);
    filling.principal = Some(&principal);
    filling.scopes = Some(&scopes);
    filling.session = Some(&session);
    let grant = grant_of(here, &issue.tokens, &filling, &principal)?;
    let name = issue.reuse.as_ref().map(|_| Given::name(asked.call, &issue.tokens, &grant));
    if let (Some(reuse), Some(name)) = (&issue.reuse, name)
        && may_reuse(asked, reuse)
        && let Some(made) = here.authority.given.find(name, making::seconds(reuse.min_remaining), now)
        && here.still_count(&issue.tokens, &made)
    {
        return answered(asked, &made, &filling);
    }
    let made: Arc<[Made]> = here.make(&issue.tokens, &grant, &principal).await?.into();
    if let Some(name) = name {
        here.authority.given.keep(name, &made, now);
    }
    filling.now = clock::now().0;
    answered(asked, &made, &filling)
}

/// In whose name it is asked: the caller's own, unless the endpoint says otherwise.
fn acting(
    here: &Endpoints,
    asked: Asked<'_>,
    issue: &Issue,
    caller: Principal,
    now: i64,
) -> Result<Principal, Refusal> {
    let Some((credential, id)) = &issue.act_as else { return Ok(caller) };
    let mut filling = Filling::new(Some(asked), now);
    filling.principal = Some(&caller);
    let id = template::render_text(id, &|source| filling.get(source)).ok_or_else(Refusal::bad_request)?;
    let found = credential::by_id(here, credential, &id, crate::token::NumericDate(now));
    Ok(found.ok_or_else(|| Refusal::new("bad_credential"))?.on_behalf(caller))
}

/// Which scopes are granted.
fn granted(
    here: &Endpoints,
    asked: Asked<'_>,
    rules: &Scopes,
    principal: &Principal,
    tokens: &[Arc<Minted>],
) -> Result<Vec<Box<str>>, Refusal> {
    let value = rules.asked.as_ref().map(|reader| asked.value(reader)).transpose();
    let value = value.map_err(|_| Refusal::bad_request())?.flatten();
    let wanted = scopes::listed(value.as_ref()).map_err(|_| Refusal::new("bad_scope"))?;
    let mut filling = Filling::new(Some(asked), clock::now().0);
    filling.principal = Some(principal);
    let ceiling = template::render(&rules.ceiling, &|source| filling.get(source));
    let ceiling = scopes::listed(ceiling.as_ref()).ok().flatten().unwrap_or_default();
    let read = here.read_as(tokens);
    scopes::granted(wanted, &ceiling, rules.mode, rules.matching, &read).map_err(denied)
}

/// A scope was refused.
pub fn denied(scopes::Refused(scope): scopes::Refused) -> Refusal {
    let mut refusal = Refusal::new("scope_denied");
    refusal.scope = Some(scope);
    refusal
}

/// What the tokens of one grant will say.
pub fn grant_of(
    here: &Endpoints,
    tokens: &[Arc<Minted>],
    filling: &Filling<'_>,
    principal: &Principal,
) -> Result<Grant, Refusal> {
    let mut grant = Grant {
        credential: principal.credential.name.clone(),
        id: principal.id.clone(),
        subject: Box::default(),
        scopes: filling.scopes.unwrap_or_default().to_vec(),
        own: principal.still_has(filling.scopes.unwrap_or_default()).count()
            == filling.scopes.unwrap_or_default().len(),
        session: filling.session.unwrap_or_default().into(),
        tokens: Default::default(),
    };
    for minted in tokens {
        let subject = template::render_text(&minted.subject, &|source| filling.get(source));
        let subject = subject.filter(|subject| !subject.is_empty()).ok_or_else(Refusal::bad_request)?;
        if grant.subject.is_empty() {
            grant.subject = subject.as_str().into();
        }
        let filling = Filling { subject: Some(&subject), ..*filling };
        let lifetime = lifetime(filling.asked, minted)?.min(principal.left(filling.now));
        grant.tokens.insert(minted.name.clone(), grant::said(minted, &filling, lifetime)?);
    }
    here.within_bounds(&grant)?;
    here.can_be_told(tokens, &grant)?;
    Ok(grant)
}

/// How long a token is to live: as asked for, cut to what may be.
pub fn lifetime(asked: Option<Asked<'_>>, minted: &Minted) -> Result<i64, Refusal> {
    let (default, max) = (making::seconds(minted.lifetime.default), making::seconds(minted.lifetime.max));
    let (Some(asked), Some(reader)) = (asked, &minted.lifetime.asked) else { return Ok(default) };
    let wanted = match asked.value(reader).map_err(|_| Refusal::bad_request())? {
        None => return Ok(default),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) if text.is_empty() => return Ok(default),
        Some(Value::String(text)) if text.bytes().all(|octet| octet.is_ascii_digit()) => text.parse().ok(),
        Some(Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let wanted = wanted.filter(|seconds| *seconds > 0).ok_or_else(Refusal::bad_request)?;
    Ok(i64::try_from(wanted).unwrap_or(i64::MAX).min(max))
}

fn may_reuse(asked: Asked<'_>, reuse: &Reuse) -> bool {
    let Some((reader, word)) = &reuse.unless else { return true };
    // What cannot be read might be the word.
    asked.text(reader).is_ok_and(|there| there.as_deref() != Some(&**word))
}

fn answered(asked: Asked<'_>, made: &[Made], filling: &Filling<'_>) -> Result<Answered, Refusal> {
    let filling = Filling { made, ..*filling };
    let body = Some(Value::Object(standard(&filling)));
    answer::done(asked.call, &filling, Done { body, headers: Vec::new() })
}

/// The answer of RFC 6749 section 5.1.
pub fn standard(filling: &Filling<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    if let Some(access) = filling.made.iter().find(|made| !made.refresh) {
        members.insert("access_token".to_owned(), access.text.as_str().into());
        members.insert("token_type".to_owned(), "Bearer".into());
        members.insert("expires_in".to_owned(), (access.expires - filling.now).max(0).into());
    }
    if let Some(refresh) = filling.made.iter().find(|made| made.refresh) {
        members.insert("refresh_token".to_owned(), refresh.text.as_str().into());
    }
    if let Some(scopes) = filling.scopes {
        members.insert("scope".to_owned(), scopes.join(" ").into());
    }
    members
}

impl Endpoints {
    /// How routes read the scopes of these tokens.
    pub fn read_as(&self, tokens: &[Arc<Minted>]) -> Vec<ScopeMatch> {
        tokens.iter().filter_map(|minted| self.issuer_of(minted)).map(|issuer| issuer.scope_match).collect()
    }

    /// Whether none of these has been revoked.
    fn still_count(&self, tokens: &[Arc<Minted>], made: &[Made]) -> bool {
        made.iter().all(|made| match made.refresh {
            true => self.family_of(tokens, &made.text).is_some(),
            false => self.believed(tokens, &made.text).is_some(),
        })
    }

    /// What a grant says has to fit into a token that the gateway itself would take.
    fn within_bounds(&self, grant: &Grant) -> Result<(), Refusal> {
        let longest = self.config().limits.token;
        let written =
            |said: &grant::Said| serde_json::to_vec(&said.claims).map_or(usize::MAX, |text| text.len());
        // Base64 makes four octets of three; the head and the signature take some, too.
        let fits = grant.tokens.values().all(|said| written(said) < longest / 2);
        if fits { Ok(()) } else { Err(Refusal::bad_request()) }
    }

    /// Every route that trusts a token can tell its upstream what it says: one that none of them takes is not given.
    fn can_be_told(&self, tokens: &[Arc<Minted>], grant: &Grant) -> Result<(), Refusal> {
        let config = self.config();
        for minted in tokens {
            let (Some(issuer), Some(said)) = (minted.issuer, grant.tokens.get(&minted.name)) else {
                continue;
            };
            let text = serde_json::to_vec(&said.claims).map_err(|_| Refusal::internal())?;
            let claims = Claims::parse(&text).map_err(|_| Refusal::bad_request())?;
            let trusting = config.routes.iter().filter(|route| match &route.require {
                Require::Public => false,
                Require::Token(requirement) => requirement.issuers.contains(&issuer),
            });
            for header in trusting.flat_map(|route| &route.forward.headers) {
                let claim = header.claim.find(claims.members());
                if claim.is_some_and(|claim| identity::values(claim, header.array).is_err()) {
                    return Err(Refusal::bad_request());
                }
            }
        }
        Ok(())
    }
}

/// Whether a token is good for nothing but the next pair.
pub fn is_refresh(minted: &Minted) -> bool {
    match minted.format {
        Format::Refresh { .. } => true,
        Format::Jwt { .. } | Format::Opaque { .. } => false,
    }
}
