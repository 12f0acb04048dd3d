//! Steps 9 to 13: what runs on every request, whether the token was remembered or not.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::forward::Forward;
use crate::config::{Issuer, KeySource, Requirement, TokenType};
use crate::gate::Request;
use crate::gate::denial::{Advice, Denial, Reason};
use crate::gate::memo::{REVOCABLE, TokenFacts};
use crate::gate::revocable;
use crate::policy::condition::{self, Seen};
use crate::policy::identity;
use crate::policy::requirement::{self, MissingScopes};
use crate::policy::route::CompiledRoute;
use crate::revocation::key::Key;
use crate::revocation::{Asked, Kind, Revocations};
use crate::snapshot::Snapshot;
use crate::token::NumericDate;
use crate::token::claims::Claims;
use crate::token::json::document::{Document, Members, Value};

/// A verified token, being checked under its issuer's rules at one moment.
pub(in crate::gate) struct Checked<'c> {
    pub(in crate::gate) config: &'c Issuer,
    pub(in crate::gate) facts: &'c TokenFacts,
    pub(in crate::gate) now: NumericDate,
}

impl Checked<'_> {
    fn claims(&self) -> &Claims {
        self.facts.verified.claims()
    }

    pub(in crate::gate) fn leeway(&self) -> i64 {
        seconds(self.config.leeway)
    }

    /// Step 9: `exp`, `nbf`, `iat` with leeway (RFC 7519 section 4.1), and the longest life. What is looked up may be for
    /// ever: whoever keeps it can take it back.
    pub(in crate::gate) fn time(&self) -> Result<(), Denial> {
        let dates = self.claims();
        let (now, leeway) = (self.now.0, self.leeway());
        let latest = now.saturating_add(leeway);
        let Some(NumericDate(expires)) = dates.expires() else {
            return match self.config.keys.value {
                KeySource::Records(_) => self.begun(latest),
                KeySource::Discovery
                | KeySource::JwksUrl(_)
                | KeySource::JwksFile(_)
                | KeySource::JwksInline(_)
                | KeySource::PemFile(_)
                | KeySource::PemEnv(_)
                | KeySource::PemInline(_)
                | KeySource::Secret { .. }
                | KeySource::Managed
                | KeySource::SigningPem(_) => Err(Denial::new(Reason::MissingClaim, "no exp")),
            };
        };
        if expires <= now.saturating_sub(leeway) {
            return Err(Denial::new(Reason::Expired, "exp has passed"));
        }
        self.begun(latest)?;
        let from = dates.issued_at().map_or(now, |NumericDate(date)| date);
        if expires.saturating_sub(from) > seconds(self.config.max_token_lifetime) {
            return Err(Denial::new(Reason::LivesTooLong, "a longer life than max_token_lifetime"));
        }
        Ok(())
    }

    /// Neither `nbf` nor `iat` is yet to come.
    fn begun(&self, latest: i64) -> Result<(), Denial> {
        let dates = self.claims();
        if dates.not_before().is_some_and(|NumericDate(date)| date > latest) {
            return Err(Denial::new(Reason::NotYetValid, "nbf is yet to come"));
        }
        if dates.issued_at().is_some_and(|NumericDate(date)| date > latest) {
            return Err(Denial::new(Reason::NotYetValid, "iat is yet to come"));
        }
        Ok(())
    }

    /// Step 10, whole: judged once an epoch.
    pub(in crate::gate) fn standing(&self) -> Result<(), Denial> {
        self.audience()?;
        self.kind()?;
        self.required()
    }

    /// Step 10: `aud` names this API (RFC 7519 section 4.1.3: any one is enough).
    fn audience(&self) -> Result<(), Denial> {
        let Some(wanted) = &self.config.audience else { return Ok(()) };
        let claims = self.claims();
        if !claims.members().has("aud") {
            return Err(Denial::new(Reason::MissingClaim, "no aud"));
        }
        if claims.audience().any(|audience| wanted.iter().any(|wanted| **wanted == *audience)) {
            return Ok(());
        }
        Err(Denial::new(Reason::WrongAudience, "aud names none of the issuer's audiences"))
    }

    /// Step 10: it is an access token (RFC 8725 sections 3.11 and 3.12, RFC 9068 section 4).
    fn kind(&self) -> Result<(), Denial> {
        let typ = self.facts.verified.typ();
        match self.config.token_type {
            TokenType::AtJwt if typ == Some("at+jwt") => Ok(()),
            TokenType::AtJwt => Err(Denial::new(Reason::WrongType, "typ is not at+jwt")),
            TokenType::Any => match other_kind(typ, self.claims().members(), || self.has_scope()) {
                None => Ok(()),
                Some(mark) => Err(Denial::new(Reason::WrongType, mark)),
            },
        }
    }

    fn has_scope(&self) -> bool {
        self.config.claims.scope.find(self.claims().members()).is_some()
    }

    /// Step 10: what the token type requires (RFC 9068 section 2.2).
    fn required(&self) -> Result<(), Denial> {
        let required: &[&'static str] = match self.config.token_type {
            TokenType::Any => &[],
            TokenType::AtJwt => &["sub", "client_id", "iat", "jti"],
        };
        let members = self.claims().members();
        match required.iter().find(|name| !members.has(name)) {
            None => Ok(()),
            Some(name) => Err(Denial::new(Reason::MissingClaim, format!("no {name}"))),
        }
    }

    /// What revocations may name the token by: found once, unless it is more than a token is counted for.
    fn revocable(&self) -> Cow<'_, [(Kind, Key)]> {
        if let Some(known) = self.facts.revocable.get() {
            return Cow::Borrowed(known);
        }
        let found = revocable::keys(self.config, &self.facts.verified);
        if found.len() > REVOCABLE {
            return Cow::Owned(found.into());
        }
        Cow::Borrowed(self.facts.revocable.get_or_init(|| found))
    }

    /// Step 11: every kind compared alone.
    pub(in crate::gate) fn not_revoked(&self, revocations: &Revocations) -> Result<(), Denial> {
        if revocations.is_empty() {
            return Ok(());
        }
        self.not_revoked_by(&self.revocable(), revocations)
    }

    /// The same, of a token that revocations may name by these.
    pub(in crate::gate) fn not_revoked_by(
        &self,
        keys: &[(Kind, Key)],
        revocations: &Revocations,
    ) -> Result<(), Denial> {
        let asked = Asked { keys, issued_at: self.claims().issued_at(), leeway: self.leeway() };
        match revocations.revoked(&asked, self.now) {
            None => Ok(()),
            Some(kind) => Err(Denial::new(Reason::Revoked, format!("revoked by {}", kind.name()))),
        }
    }

    /// Step 13: scopes, then the condition. A token's scopes and a route's do not change, so
    /// that what was found once is remembered; a condition is asked every time.
    pub(in crate::gate) fn permitted(
        &self,
        required: &Requirement,
        request: &Request<'_>,
        route: &CompiledRoute,
        snapshot: &Snapshot,
        each: &[Option<Arc<Document>>],
    ) -> Result<(), Denial> {
        let refused = |missing: MissingScopes| {
            Denial::new(Reason::InsufficientScope, "the token's scopes do not cover the route's")
                .advice(Advice::Scope(missing.0))
        };
        match &required.built {
            // What the path says changes with every request: nothing of it is remembered.
            Some(built) => {
                let parameters = route.parameters(request.path.as_str());
                requirement::check_built(required, built, &parameters, &self.facts.granted)
                    .map_err(refused)?;
            }
            None => {
                let mark = snapshot.route_mark(route.index);
                if self.facts.permitted.load(Ordering::Relaxed) != mark {
                    requirement::check(required, &self.facts.granted).map_err(refused)?;
                    self.facts.permitted.store(mark, Ordering::Relaxed);
                }
            }
        }
        let Some(expression) = &required.when else { return Ok(()) };
        // A condition sees no header that the upstream will not get: a client's own identity headers are removed.
        let ours = snapshot.routes.identity_headers();
        let headers = request.headers.iter().filter(|field| !ours.contains(field.name));
        // A name is a token, and so text.
        let headers = headers.filter_map(|field| Some((std::str::from_utf8(field.name).ok()?, field.value)));
        let headers: Vec<_> = headers.collect();
        let mut seen = Seen {
            claims: self.claims().members(),
            method: request.method,
            path: request.path.as_str(),
            parameters: &route.parameters(request.path.as_str()),
            query: request.query.unwrap_or_default(),
            headers: &headers,
            peer: &request.peer.to_string(),
            tls: request.tls,
            arguments: None,
            now: self.now.0,
        };
        let failed = |failed| match failed {
            condition::Failed::False => "the condition does not hold",
            condition::Failed::Error(why) => why,
        };
        let refused = |why: &'static str| Denial::new(Reason::ConditionFailed, why);
        let nothing = Document::default();
        if each.is_empty() {
            // A handshake, or a token that is renewed: nothing is asked for.
            seen.arguments = expression.names_arguments().then(|| nothing.members());
            return condition::holds(expression, &seen).map_err(failed).map_err(refused);
        }
        // It has to hold for all that may be run.
        for arguments in each {
            let arguments = arguments.as_ref().ok_or_else(|| refused(AMBIGUOUS))?;
            seen.arguments = Some(arguments.members());
            condition::holds(expression, &seen).map_err(failed).map_err(refused)?;
        }
        Ok(())
    }

    /// Step 15: the headers that tell the upstream who is asking; absent where the claim is.
    pub(in crate::gate) fn identity_headers(
        &self,
        forward: &Forward,
    ) -> Result<Vec<(Box<str>, String)>, Denial> {
        let mut headers = Vec::new();
        for header in &forward.headers {
            let Some(claim) = header.claim.find(self.claims().members()) else { continue };
            // Leaving it out would make another caller of this one: no identity is better than a wrong one.
            let values = identity::values(claim, header.array).map_err(|_| {
                Denial::new(
                    Reason::MissingClaim,
                    format!("the claim for {} has no safe form as a header", header.name),
                )
            })?;
            headers.extend(values.into_iter().map(|value| (header.name.clone(), value)));
        }
        Ok(headers)
    }
}

/// The mark of a token that is no access token, if it bears one.
fn other_kind(
    typ: Option<&str>,
    members: Members<'_>,
    has_scope: impl FnOnce() -> bool,
) -> Option<&'static str> {
    // RFC 8725 section 3.11: a media type of its own says what a token is for, and only one is for access.
    if typ.is_some_and(|typ| (typ.ends_with("+jwt") && typ != "at+jwt") || typ == "refresh") {
        return Some("typ says that it is another kind of token");
    }
    if members.has("at_hash") || members.has("c_hash") {
        return Some("an ID token (at_hash, c_hash)");
    }
    // Some providers put the nonce into access tokens too; those have a scope, ID tokens have none.
    if members.has("nonce") && !has_scope() {
        return Some("an ID token (nonce)");
    }
    if members.has("events") {
        return Some("a logout or security event token (events)");
    }
    let word = |name| members.get(name).and_then(Value::as_text).map(str::to_ascii_lowercase);
    match (word("token_use").as_deref(), word("typ").as_deref()) {
        (Some("id" | "refresh"), _) => Some("token_use says that it is another kind of token"),
        (_, Some("id" | "refresh" | "offline" | "logout")) => {
            Some("the typ claim says that it is another kind of token")
        }
        _ => None,
    }
}

const AMBIGUOUS: &str = "the operation's arguments can be read in more than one way";

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
