//! Who asks: which credential counts, where it stands, and whose it is.
//!
//! The order is fixed, and clients rely on it: first that a credential is there at all, then what the request has to have
//! besides, then whether the credential is right. Between the last two stands what keeps it from being guessed.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::authority::answer::{self, BASIC, BEARER, Refusal};
use crate::authority::endpoints::Endpoints;
use crate::authority::filling;
use crate::authority::holder::{Holder, Presented, Stamp};
use crate::authority::people::NotSignedIn;
use crate::authority::request::{self, Asked};
use crate::authority::scopes;
use crate::config::credential::{Credential, CredentialKind, CredentialPlace, Reader};
use crate::config::endpoint::{MemberKind, RequiredMember, Selection};
use crate::gate::memo::TokenFacts;
use crate::revocation::key::Key;
use crate::revocation::{self, Kind};
use crate::token::NumericDate;
use crate::token::scope::{Granted, Pattern};

/// Whoever asks, once the credential was right.
#[derive(Clone)]
pub struct Principal {
    /// Which credential.
    pub credential: Arc<Credential>,
    /// `{credential.id}`.
    pub id: Box<str>,
    /// `{credential.name}`.
    name: Option<Box<str>>,
    /// `{credential.scopes}`.
    pub scopes: Vec<Box<str>>,
    /// All else.
    members: Map<String, Value>,
    /// When it ends: what is made from it lives no longer.
    expires: Option<NumericDate>,
    /// What it was proven by; nothing of whoever is known elsewhere.
    stamp: Option<Stamp>,
    /// What is found where that has nothing: who asks in the name of this one (`act_as`).
    beneath: Option<Arc<Self>>,
}

/// A credential as it was sent. Nobody's to log.
pub struct Shown {
    credential: Arc<Credential>,
    what: What,
    challenge: Option<&'static str>,
}

enum What {
    /// One text that is all of it.
    Whole(Zeroizing<String>),
    Pair(Zeroizing<String>, Zeroizing<String>),
    /// There is something, and it is nothing that a credential could be.
    Unfit,
    /// The gate has looked at it.
    Token,
}

impl Principal {
    /// `{credential.NAME}`.
    pub fn member(&self, name: &str) -> Option<Value> {
        let own = match name {
            "id" => Some(Value::from(&*self.id)),
            "name" => self.name.as_deref().map(Value::from),
            "scopes" => Some(json!(self.scopes)),
            // What a list says is null is known to be null, and not missing.
            _ => filling::member(&self.members, name)
                .or_else(|| self.members.get(name).filter(|value| value.is_null()).cloned()),
        };
        own.or_else(|| self.beneath.as_ref().and_then(|beneath| beneath.member(name)))
    }

    /// The holder of an API key, or a person.
    pub fn holder(credential: &Arc<Credential>, holder: &Holder) -> Self {
        Self {
            credential: Arc::clone(credential),
            id: holder.id.clone(),
            name: holder.name.clone(),
            scopes: holder.scopes.to_vec(),
            members: Map::clone(&holder.attributes),
            expires: holder.expires,
            stamp: Some(holder.stamp),
            beneath: None,
        }
    }

    /// Whoever a token of another issuer speaks for. Its scopes are those of its claims.
    fn token(credential: &Arc<Credential>, facts: &TokenFacts, scopes: Vec<Box<str>>) -> Self {
        Self {
            credential: Arc::clone(credential),
            id: facts.subject().unwrap_or_default().into(),
            name: None,
            scopes,
            members: facts.verified.claims().members().into(),
            expires: None,
            stamp: None,
            beneath: None,
        }
    }

    /// Seconds for which what is made from it may live.
    pub fn left(&self, now: i64) -> i64 {
        let own = self.expires.map_or(i64::MAX, |NumericDate(expires)| expires.saturating_sub(now));
        self.beneath.as_ref().map_or(own, |beneath| own.min(beneath.left(now)))
    }

    /// Those of these scopes that it has.
    pub fn still_has<'s>(&self, scopes: &'s [Box<str>]) -> impl Iterator<Item = &'s Box<str>> {
        let matching = self.credential.scope_match;
        let own = Granted::of_texts(self.scopes.iter().map(|scope| &**scope), matching);
        let has = move |scope: &str| Pattern::parse(scope, matching).is_ok_and(|scope| own.contains(&scope));
        scopes.iter().filter(move |scope| has(scope))
    }

    /// This one, on whose behalf `caller` asks.
    #[must_use]
    pub fn on_behalf(mut self, caller: Self) -> Self {
        self.beneath = Some(Arc::new(caller));
        self
    }
}

/// The first step: a credential is there.
pub fn shown(asked: Asked<'_>, selection: &Selection) -> Result<Shown, Refusal> {
    let credential = match selection {
        Selection::One(credential) => credential,
        Selection::By { reader, of } => {
            let word = asked.text(reader).map_err(|_| Refusal::bad_request())?;
            let word = word.ok_or_else(Refusal::bad_request)?;
            let named = of.iter().find(|(known, _)| **known == *word);
            named.map(|(_, credential)| credential).ok_or_else(Refusal::bad_request)?
        }
    };
    let found = |what, challenge| Shown { credential: Arc::clone(credential), what, challenge };
    if let CredentialKind::Issuer(_) = credential.kind {
        return match asked.call.refused {
            Some(reason @ crate::gate::denial::Reason::NoCredentials) => {
                Err(answer::by_gate(asked.call, reason))
            }
            Some(_) | None => Ok(found(What::Token, Some(BEARER))),
        };
    }
    let (what, challenge) = placed(asked, &credential.from)?;
    let missing = || {
        let mut refusal = Refusal::new("missing_credential");
        refusal.challenge = challenge;
        refusal
    };
    what.map(|what| found(what, challenge)).ok_or_else(missing)
}

/// The second: the request has what it has to have, in order.
pub fn required(asked: Asked<'_>, members: &[RequiredMember]) -> Result<(), Refusal> {
    for member in members {
        let value = asked.value(&member.reader).map_err(|_| Refusal::new(&member.error))?;
        let fits = match (member.kind, value) {
            (_, None) => false,
            (MemberKind::Any, Some(_)) => true,
            (MemberKind::Text, Some(value)) => value.as_str().is_some_and(|text| !text.is_empty()),
            (MemberKind::Object, Some(value)) => value.is_object(),
            // A form has no lists: there the texts stand in one, with spaces between.
            (kind @ (MemberKind::List | MemberKind::TextList), Some(value)) => match (value, asked.body()) {
                (Value::Array(values), _) => {
                    let texts = kind == MemberKind::List || values.iter().all(Value::is_string);
                    !values.is_empty() && texts
                }
                (Value::String(text), request::Body::Form(_)) => !text.trim().is_empty(),
                _ => false,
            },
        };
        if !fits {
            return Err(Refusal::new(&member.error));
        }
    }
    Ok(())
}

/// The third: it is right.
pub async fn checked(here: &Endpoints, asked: Asked<'_>, shown: Shown) -> Result<Principal, Refusal> {
    let authority = &*here.authority;
    let Shown { credential, what, challenge } = shown;
    if let Some(reason) = asked.call.refused {
        return Err(answer::by_gate(asked.call, reason));
    }
    let id = match &what {
        What::Token => {
            let facts = asked.call.caller.as_ref().ok_or_else(Refusal::internal)?;
            return Ok(Principal::token(&credential, facts, scopes_of(authority, facts)));
        }
        // What is one text has no id but itself: an id that many share would have strangers lock each other out. What is left
        // is that the address may fail only so often.
        What::Whole(text) => Some(text.as_str()),
        What::Unfit => None,
        What::Pair(id, _) => {
            let is_key = matches!(credential.kind, CredentialKind::ApiKeys(_));
            let is_counted = !(is_key && authority.api_keys.is_beyond_guessing(&credential.name, id));
            is_counted.then_some(id.as_str())
        }
    };
    let (name, from, most) = (&*credential.name, asked.call.peer, asked.call.endpoint.attempts);
    if let Some(wait) = authority.attempts.wait(name, id, from, most, Instant::now()) {
        let mut refusal = Refusal::new("too_many_attempts");
        refusal.retry_after = Some(wait.as_secs().saturating_add(1));
        return Err(refusal);
    }
    authority.attempts.begun(name, id, Instant::now());
    let bad = || {
        authority.attempts.failed(from, Instant::now());
        let mut refusal = Refusal::new("bad_credential");
        refusal.challenge = challenge;
        refusal
    };
    let now = crate::authority::clock::now();
    let holder = match (&credential.kind, &what) {
        (CredentialKind::ApiKeys(_), What::Whole(text)) => {
            authority.api_keys.check(name, Presented::Whole(text), now).map_err(|_| bad())?
        }
        (CredentialKind::ApiKeys(_), What::Pair(id, secret)) => {
            by_pair(authority, name, id, secret, now).ok_or_else(bad)?
        }
        (CredentialKind::People(_), What::Pair(person, password)) => {
            match authority.people.sign_in(name, person, password).await {
                Ok(holder) => holder,
                Err(NotSignedIn::Refused) => return Err(bad()),
                Err(NotSignedIn::Overloaded) => {
                    authority.attempts.excused(name, id, Instant::now());
                    let mut refusal = Refusal::new("overloaded");
                    refusal.retry_after = Some(1);
                    return Err(refusal);
                }
            }
        }
        (CredentialKind::ApiKeys(_), What::Unfit | What::Token)
        | (CredentialKind::People(_), What::Whole(_) | What::Unfit | What::Token)
        | (CredentialKind::Issuer(_), _) => return Err(bad()),
    };
    if is_revoked(here, &credential, &holder.id, now) {
        return Err(bad());
    }
    authority.attempts.excused(name, id, Instant::now());
    Ok(Principal::holder(&credential, &holder))
}

/// The scopes of a token, where its issuer's configuration says that they are.
fn scopes_of(authority: &Authority, facts: &TokenFacts) -> Vec<Box<str>> {
    let configured = authority.configured.load();
    let scope = configured
        .config
        .issuers
        .get(facts.issuer)
        .and_then(|issuer| issuer.claims.scope.find(facts.verified.claims().members()).map(Value::from));
    scopes::listed(scope.as_ref()).ok().flatten().unwrap_or_default()
}

/// All three at once, where nothing stands between them.
pub async fn principal(
    here: &Endpoints,
    asked: Asked<'_>,
    selection: &Selection,
) -> Result<Principal, Refusal> {
    checked(here, asked, shown(asked, selection)?).await
}

/// A key that was made here is shown as one text: it is its own secret, beside its id. Both ways are gone, whatever the first
/// comes to.
fn by_pair(
    authority: &Authority,
    name: &str,
    id: &str,
    secret: &str,
    now: NumericDate,
) -> Option<Arc<Holder>> {
    let pair = authority.api_keys.check(name, Presented::Pair { id, secret }, now);
    let whole = authority.api_keys.check(name, Presented::Whole(secret), now);
    pair.or(whole).ok().filter(|holder| *holder.id == *id)
}

/// The holder of this id of a credential, if it counts now: for whom another has vouched.
pub fn by_id(
    here: &Endpoints,
    credential: &Arc<Credential>,
    id: &str,
    now: NumericDate,
) -> Option<Principal> {
    let authority = &here.authority;
    let holder = match &credential.kind {
        CredentialKind::ApiKeys(_) => authority.api_keys.find(&credential.name, id, now),
        CredentialKind::People(_) => authority.people.find(&credential.name, id, now),
        CredentialKind::Issuer(_) => None,
    }?;
    (!is_revoked(here, credential, id, now)).then(|| Principal::holder(credential, &holder))
}

/// Whether what was proven once is so still: nobody was disabled, and no secret or password was taken away since.
pub fn still_counts(here: &Endpoints, principal: &Principal, now: NumericDate) -> bool {
    let own = principal.stamp.is_none_or(|stamp| {
        let found = by_id(here, &principal.credential, &principal.id, now);
        found.is_some_and(|found| found.stamp == Some(stamp))
    });
    own && principal.beneath.as_ref().is_none_or(|beneath| still_counts(here, beneath, now))
}

/// Whether a revocation names the API key of this id: it is refused on routes by the same entry.
fn is_revoked(here: &Endpoints, credential: &Credential, id: &str, now: NumericDate) -> bool {
    let CredentialKind::ApiKeys(keys) = &credential.kind else { return false };
    let snapshot = here.reader.load();
    if snapshot.revocations.is_empty() {
        return false;
    }
    let keys = [(Kind::ApiKey, Key::new(Kind::ApiKey, &keys.issuer, id))];
    let asked = revocation::Asked { keys: &keys, issued_at: None, leeway: 0 };
    snapshot.revocations.revoked(&asked, now).is_some()
}

/// Seconds for which what is made for the holder of this id may live, by what is configured and kept now; nothing where
/// the holder does not count. Whoever came with a token of another issuer is not known here: they count for as long as what
/// was made for them.
pub fn left(here: &Endpoints, credential: &str, id: &str, now: NumericDate) -> Option<i64> {
    match holder(here, credential, id, now)? {
        Holding::Foreign => Some(i64::MAX),
        Holding::Here(holder) => Some(holder.left(now.0)),
    }
}

/// Those of these scopes that the holder of this id has now; all of them where it is not known here what it has.
pub fn kept(
    here: &Endpoints,
    credential: &str,
    id: &str,
    scopes: &[Box<str>],
    now: NumericDate,
) -> Vec<Box<str>> {
    match holder(here, credential, id, now) {
        Some(Holding::Foreign) => scopes.to_vec(),
        Some(Holding::Here(holder)) => holder.still_has(scopes).cloned().collect(),
        None => Vec::new(),
    }
}

/// Who holds a credential.
enum Holding {
    /// Somebody who is known elsewhere.
    Foreign,
    Here(Box<Principal>),
}

fn holder(here: &Endpoints, credential: &str, id: &str, now: NumericDate) -> Option<Holding> {
    let config = here.config();
    let mut credentials = config.authority.credentials.iter();
    let credential = credentials.find(|known| *known.name == *credential)?;
    Some(match credential.kind {
        CredentialKind::Issuer(_) => Holding::Foreign,
        CredentialKind::ApiKeys(_) | CredentialKind::People(_) => {
            Holding::Here(Box::new(by_id(here, credential, id, now)?))
        }
    })
}

type Placed = (Option<What>, Option<&'static str>);

/// What stands in the credential's place, and the challenge that fits it.
fn placed(asked: Asked<'_>, place: &CredentialPlace) -> Result<Placed, Refusal> {
    match place {
        CredentialPlace::Whole(reader) => {
            let challenge = matches!(reader, Reader::Bearer).then_some(BEARER);
            let what = match text(asked, reader)? {
                Text::None => None,
                Text::Unfit => Some(What::Unfit),
                Text::Is(text) => Some(What::Whole(text)),
            };
            Ok((what, challenge))
        }
        CredentialPlace::Pair { id, secret } => {
            let what = match (text(asked, id)?, text(asked, secret)?) {
                (Text::None, _) | (_, Text::None) => None,
                (Text::Is(id), Text::Is(secret)) => Some(What::Pair(id, secret)),
                (Text::Unfit | Text::Is(_), Text::Unfit) | (Text::Unfit, Text::Is(_)) => Some(What::Unfit),
            };
            Ok((what, None))
        }
        CredentialPlace::Basic => Ok((basic(asked)?.map(Basic::into_pair), Some(BASIC))),
        CredentialPlace::Client => client(asked),
    }
}

/// RFC 6749 section 2.3.1. A client uses one method at a time: with both, somebody has added the other.
fn client(asked: Asked<'_>) -> Result<Placed, Refusal> {
    let (id, secret) = (Reader::Body("client_id".into()), Reader::Body("client_secret".into()));
    let basic = basic(asked)?;
    match (basic, text(asked, &id)?, text(asked, &secret)?) {
        (Some(_), _, Text::Is(_) | Text::Unfit) => Err(Refusal::bad_request()),
        // The id again, of which some clients believe that it is wanted with every grant (RFC 6749 section 4.1.3).
        (Some(basic), id, Text::None) => {
            let what = basic.form_encoded();
            match (&what, id) {
                (What::Pair(known, _), Text::Is(id)) if **known != *id => Err(Refusal::bad_request()),
                (_, Text::Unfit) => Err(Refusal::bad_request()),
                (_, Text::Is(_) | Text::None) => Ok((Some(what), Some(BASIC))),
            }
        }
        (None, Text::Is(id), Text::Is(secret)) => Ok((Some(What::Pair(id, secret)), None)),
        (None, Text::None, _) | (None, _, Text::None) => Ok((None, Some(BASIC))),
        (None, Text::Unfit | Text::Is(_), _) => Ok((Some(What::Unfit), None)),
    }
}

/// What `Authorization: Basic` holds (RFC 7617 section 2), if anything.
struct Basic(Option<(Zeroizing<String>, Zeroizing<String>)>);

impl Basic {
    fn into_pair(self) -> What {
        self.0.map_or(What::Unfit, |(id, secret)| What::Pair(id, secret))
    }

    /// RFC 6749 section 2.3.1: both parts were encoded as in a form before.
    fn form_encoded(self) -> What {
        let decoded = |text: &str| request::decoded(text).map(Zeroizing::new);
        match self.0.map(|(id, secret)| (decoded(&id), decoded(&secret))) {
            Some((Ok(id), Ok(secret))) => What::Pair(id, secret),
            Some(_) | None => What::Unfit,
        }
    }
}

fn basic(asked: Asked<'_>) -> Result<Option<Basic>, Refusal> {
    let authorization = asked.authorization().map_err(|_| Refusal::bad_request())?;
    let Some((_, encoded)) = authorization.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) else {
        return Ok(None);
    };
    let octets = base64_simd::STANDARD.decode_to_vec(encoded.trim()).ok().map(Zeroizing::new);
    let pair = octets.as_ref().and_then(|octets| std::str::from_utf8(octets).ok()?.split_once(':'));
    Ok(Some(Basic(
        pair.map(|(id, secret)| (Zeroizing::new(id.to_owned()), Zeroizing::new(secret.to_owned()))),
    )))
}

/// A text in a place where a part of a credential stands.
enum Text {
    None,
    Unfit,
    Is(Zeroizing<String>),
}

fn text(asked: Asked<'_>, reader: &Reader) -> Result<Text, Refusal> {
    match asked.value(reader).map_err(|_| Refusal::bad_request())? {
        // What servers of many kinds take for nothing.
        None | Some(Value::Null | Value::Bool(false)) => Ok(Text::None),
        Some(Value::Number(number)) if number.as_f64() == Some(0.0) => Ok(Text::None),
        Some(Value::String(text)) if text.is_empty() => Ok(Text::None),
        Some(Value::String(text)) if text.len() <= CREDENTIAL => Ok(Text::Is(Zeroizing::new(text))),
        Some(_) => Ok(Text::Unfit),
    }
}

/// Octets of one part of a credential: what is longer is none, and costs nothing to refuse.
const CREDENTIAL: usize = 1_024;
