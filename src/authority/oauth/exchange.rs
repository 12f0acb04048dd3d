//! Token exchange (RFC 8693): a token in, a narrower one out.
//!
//! What comes out is never worth more than what went in: no more scopes, no longer life, the same family, so that it dies with
//! that (not with the token alone, where only that is revoked by its id), and no say over it. Of the gateway's own tokens only that which the endpoint gives is taken: another kind may be for another audience, in words
//! of its own, and its subject may be whoever its holder said. A token of another issuer is also cut to what the client may have itself: a route that trusts only the gateway's own
//! tokens would otherwise be open to whatever the other issuer says.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::authority::answer::Refusal;
use crate::authority::answer::{self, Done};
use crate::authority::clock;
use crate::authority::credential::Principal;
use crate::authority::endpoints::Endpoints;
use crate::authority::filling::Filling;
use crate::authority::grant::{self, Said};
use crate::authority::issue::{self, denied};
use crate::authority::oauth::{parameter, wanted};
use crate::authority::refresh;
use crate::authority::request::Asked;
use crate::authority::scopes;
use crate::authority::whose::Whose;
use crate::config::endpoint::ScopeMode;
use crate::config::minted::{Format, Minted};
use crate::config::template::Source;
use crate::gate::call::Answered;
use crate::gate::held;
use crate::gate::memo::TokenFacts;
use crate::mint::opaque;
use crate::token::json::document::Value as DocumentValue;
use crate::token::scope::{Granted, Pattern};

/// A token that was presented and counts.
struct Held {
    facts: TokenFacts,
    whose: Whose,
    /// Which of `tokens` it is; none of another issuer's.
    minted: Option<Arc<Minted>>,
}

/// Exchanges.
pub async fn exchange(
    here: &Endpoints,
    asked: Asked<'_>,
    access: &Arc<Minted>,
    client: &Principal,
) -> Result<Answered, Refusal> {
    let issued = issued_type(asked, access)?;
    is_own_target(here, asked, access)?;
    let subject = held_out(here, asked, access, ["subject_token", "subject_token_type"])?
        .ok_or_else(Refusal::bad_request)?;
    let actor = held_out(here, asked, access, ["actor_token", "actor_token_type"])?;
    may_act(here, &subject, actor.as_ref(), (access, client))?;
    let scopes = narrowed(here, wanted(asked)?, &subject, access, client)?;
    let now = clock::now().0;
    let fresh = opaque::uuid(&mut clock::fill).map_err(|_| Refusal::internal())?;
    let own = subject.minted.is_some();
    let session = subject.whose.session.clone().filter(|_| own).unwrap_or_else(|| fresh.into());
    let name = subject.whose.subject.clone().ok_or_else(Refusal::bad_token)?;
    let filling = Filling {
        principal: Some(client),
        subject: Some(&name),
        scopes: Some(&scopes),
        session: Some(&session),
        ..Filling::new(Some(asked), now)
    };
    let left = subject.facts.verified.claims().expires().map_or(0, |expires| expires.0.saturating_sub(now));
    let lifetime = issue::lifetime(None, access)?.min(left).min(client.left(now));
    let mut said = match &subject.minted {
        Some(minted) if minted.name == access.name => {
            Said { claims: refresh::carried(&subject.facts), lifetime }
                .again(access, &filling)
                .narrowed(access, &filling)
                .renewed(access, &filling, |source| matches!(source, Source::Credential(_)))
        }
        Some(_) | None => grant::said(access, &filling, lifetime)?,
    };
    // What was exchanged for another's token has its session, and is no say over it.
    let owner = owner(&subject.facts).or(subject.whose.owner().map(Box::from));
    let owner = owner.filter(|_| own).unwrap_or_else(|| client.id.clone());
    said.claims.insert(EXCHANGED.to_owned(), (*owner).into());
    if let Some(actor) = &actor {
        said.claims.insert("act".to_owned(), act(actor, &subject)?);
    }
    let made = [here.one(access, &said, now).await?];
    let filling = Filling { made: &made, ..filling };
    let mut body = issue::standard(&filling);
    body.insert("issued_token_type".to_owned(), issued.into());
    answer::done(asked.call, &filling, Done { body: Some(Value::Object(body)), headers: Vec::new() })
}

/// Whose the session of a token is that came of an exchange; nothing of one that did not.
pub fn owner(facts: &TokenFacts) -> Option<Box<str>> {
    let members = facts.verified.claims().members();
    members.get(EXCHANGED).and_then(DocumentValue::as_text).map(Box::from)
}

/// `requested_token_type`: an access token is what there is; that it is a JWT may be asked for, too.
fn issued_type(asked: Asked<'_>, access: &Minted) -> Result<&'static str, Refusal> {
    match parameter(asked, "requested_token_type").as_deref() {
        None | Some(ACCESS_TOKEN) => Ok(ACCESS_TOKEN),
        Some(JWT) if matches!(access.format, Format::Jwt { .. }) => Ok(JWT),
        Some(_) => Err(Refusal::bad_request()),
    }
}

/// `resource` and `audience` name whom the token is for already, or there is none for them.
fn is_own_target(here: &Endpoints, asked: Asked<'_>, access: &Minted) -> Result<(), Refusal> {
    let own = here.issuer_of(access).and_then(|issuer| issuer.audience.clone()).unwrap_or_default();
    for name in ["resource", "audience"] {
        let Some(target) = parameter(asked, name) else { continue };
        if !own.iter().any(|audience| **audience == *target) {
            return Err(Refusal::bad_request().code("invalid_target"));
        }
    }
    Ok(())
}

/// A token that is held out: one that the endpoint gives, or one of a configured issuer.
fn held_out(
    here: &Endpoints,
    asked: Asked<'_>,
    access: &Arc<Minted>,
    [token, kind]: [&str; 2],
) -> Result<Option<Held>, Refusal> {
    let (text, kind) = match (parameter(asked, token), parameter(asked, kind)) {
        (None, None) => return Ok(None),
        (Some(text), Some(kind)) => (text, kind),
        (None, Some(_)) | (Some(_), None) => return Err(Refusal::bad_request()),
    };
    if kind != ACCESS_TOKEN && kind != JWT {
        return Err(Refusal::bad_request());
    }
    let own = here.believed(std::slice::from_ref(access), &text);
    let (minted, facts) = match own {
        Some((minted, facts)) => (Some(minted), facts),
        None => (None, foreign(here, &text)?),
    };
    if kind == JWT && minted.as_ref().is_some_and(|minted| !matches!(minted.format, Format::Jwt { .. })) {
        return Err(not_taken());
    }
    let whose = here.whose(&facts).ok_or_else(not_taken)?;
    Ok(Some(Held { facts, whose, minted }))
}

/// A JWT of an issuer of others.
fn foreign(here: &Endpoints, text: &str) -> Result<TokenFacts, Refusal> {
    let config = here.config();
    let snapshot = here.reader.load();
    let ours = |name: &str| config.authority.tokens.iter().any(|minted| *minted.name == *name);
    let others = snapshot.issuers.iter().enumerate().filter(|(_, state)| !ours(&state.config.name));
    let others: Vec<usize> = others.map(|(place, _)| place).collect();
    held::verified(&snapshot, text, &others, clock::now()).map_err(|_| not_taken())
}

/// RFC 8693 section 2.2.2: a token that is not acceptable makes the request invalid.
fn not_taken() -> Refusal {
    Refusal::bad_token().code("invalid_request")
}

/// `may_act` of the subject's token names who may (RFC 8693 section 4.4): the actor, and where none is named the client, which
/// acts itself then. What names nobody by `sub` or `client_id` lets nobody.
fn may_act(
    here: &Endpoints,
    subject: &Held,
    actor: Option<&Held>,
    (access, client): (&Minted, &Principal),
) -> Result<(), Refusal> {
    let claims: Map<String, Value> = subject.facts.verified.claims().members().into();
    let Some(may) = claims.get("may_act") else { return Ok(()) };
    let own = here.issuer_of(access);
    let (sub, client_id, iss) = match actor {
        Some(Held { whose, .. }) => (whose.subject.as_deref(), whose.client.as_deref(), Some(&whose.issuer)),
        None => (Some(&*client.id), Some(&*client.id), own.as_ref()),
    };
    let is = |name: &str, value: Option<&str>| {
        may.get(name).is_none_or(|wanted| wanted.as_str() == value && value.is_some())
    };
    let named = ["sub", "client_id"].iter().any(|name| may.get(name).is_some())
        && is("sub", sub)
        && is("client_id", client_id)
        && is("iss", iss.map(|issuer| &*issuer.issuer));
    if named { Ok(()) } else { Err(not_taken()) }
}

/// `act` (RFC 8693 section 4.1): who acts, and within it who did before.
fn act(actor: &Held, subject: &Held) -> Result<Value, Refusal> {
    let mut act = Map::new();
    act.extend(actor.whose.subject.as_deref().map(|sub| ("sub".to_owned(), Value::from(sub))));
    if actor.whose.issuer.issuer != subject.whose.issuer.issuer {
        act.insert("iss".to_owned(), (&*actor.whose.issuer.issuer).into());
    }
    let before: Map<String, Value> = subject.facts.verified.claims().members().into();
    let before = before.get("act");
    let actors = std::iter::successors(before, |act| act.get("act")).count();
    if actors >= ACTORS {
        return Err(Refusal::new("too_many_actors"));
    }
    act.extend(before.map(|before| ("act".to_owned(), before.clone())));
    Ok(json!(act))
}

/// What is granted: of what is asked for, what the token that was presented has; of a token of others, only what the client
/// may have itself.
fn narrowed(
    here: &Endpoints,
    wanted: Option<Vec<Box<str>>>,
    subject: &Held,
    access: &Arc<Minted>,
    client: &Principal,
) -> Result<Vec<Box<str>>, Refusal> {
    let read = here.read_as(std::slice::from_ref(access));
    let matching = subject.whose.issuer.scope_match;
    let is_foreign = subject.minted.is_none();
    let own = Granted::of_texts(client.scopes.iter().map(|scope| &**scope), client.credential.scope_match);
    let may = |scope: &str| {
        let hows = read.iter().copied().chain([client.credential.scope_match]);
        !is_foreign
            || hows.into_iter().all(|how| Pattern::parse(scope, how).is_ok_and(|scope| own.contains(&scope)))
    };
    // What nobody asked for is not refused, but left out.
    let ceiling: Vec<Box<str>> =
        subject.whose.scopes.iter().filter(|scope| wanted.is_some() || may(scope)).cloned().collect();
    let granted = scopes::granted(wanted, &ceiling, ScopeMode::Subset, matching, &read).map_err(denied)?;
    match granted.iter().find(|scope| !may(scope)) {
        Some(scope) => Err(denied(scopes::Refused(scope.clone()))),
        None => Ok(granted),
    }
}

/// The claim of a token that came of an exchange: whose the session is that it has.
const EXCHANGED: &str = "exchanged";

/// Who acts for whom, one within the other: half of what the gateway reads of any document.
const ACTORS: usize = 16;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
