//! `revoke`: a token that is presented, alone or with its family, or all tokens of a subject (RFC 7009).
//!
//! Who presents a token that does not count, or that is somebody else's, is told the same as who presents one that was: that it
//! does not count any more (RFC 7009 section 2.2). No answer tells whether there ever was one.

use std::sync::Arc;

use serde_json::Value;

use crate::authority::answer::{self, Done, Refusal};
use crate::authority::clock;
use crate::authority::credential::{self, Principal};
use crate::authority::endpoints::Endpoints;
use crate::authority::filling::Filling;
use crate::authority::issue::is_refresh;
use crate::authority::making::seconds;
use crate::authority::means::Means;
use crate::authority::oauth::exchange;
use crate::authority::opaque::Which;
use crate::authority::refresh;
use crate::authority::request::Asked;
use crate::authority::trouble::Trouble;
use crate::authority::whose;
use crate::config::Issuer;
use crate::config::endpoint::{Revoke, Revoked};
use crate::config::minted::{Format, Minted};
use crate::config::template::Text;
use crate::gate::call::Answered;
use crate::gate::memo::TokenFacts;
use crate::mint::template;
use crate::revocation::{self, Kind};
use crate::store::Entry;
use crate::token::NumericDate;

/// Revokes.
pub async fn revoke(here: &Endpoints, asked: Asked<'_>, revoke: &Revoke) -> Result<Answered, Refusal> {
    let principal = match &revoke.credential {
        Some(selection) => Some(credential::principal(here, asked, selection).await?),
        None => None,
    };
    let mut filling = Filling::new(Some(asked), clock::now().0);
    filling.principal = principal.as_ref();
    match &revoke.what {
        Revoked::Presented { tokens, from, family } => {
            let text = refresh::presented(asked, from)?.ok_or_else(|| Refusal::new("missing_token"))?;
            let extent = if *family { Extent::Family } else { Extent::Token };
            here.revoke_presented(tokens, &text, principal.as_ref(), extent).await?;
        }
        Revoked::Subject { tokens, subject } => here.revoke_subject(tokens, subject, &filling).await?,
    }
    answer::done(
        asked.call,
        &filling,
        Done { body: Some(Value::Object(Default::default())), headers: Vec::new() },
    )
}

/// How much is revoked with a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Token,
    Family,
}

impl Endpoints {
    async fn revoke_presented(
        &self,
        tokens: &[Arc<Minted>],
        text: &str,
        principal: Option<&Principal>,
        extent: Extent,
    ) -> Result<(), Refusal> {
        let now = clock::now();
        let of_member = |minted: &Arc<Minted>| self.authority.families.of_member(minted, text, now);
        // One that was used counts here: a refresh may be on its way while somebody signs out, or a thief's was first.
        if let Some(family) = tokens.iter().find_map(of_member) {
            // A refresh token and its access tokens are one grant: without it, what it gave has no ground (RFC 7009 section 2.1).
            if principal.is_none_or(|principal| whose::is_family_of(&family, principal)) {
                self.authority.families.end(&family.session).await?;
                self.end_session_of_opaque(&family.session).await?;
            }
            return Ok(());
        }
        let Some((minted, facts)) = self.believed(tokens, text) else { return Ok(()) };
        let Some(whose) = self.whose(&facts) else { return Ok(()) };
        if principal.is_some_and(|principal| !whose.is_of(principal)) {
            return Ok(());
        }
        let mut entries = Vec::new();
        if let Some(id) = facts.token_id() {
            entries.push(entry(Kind::Jti, &whose.issuer, id, Some(self.ends(&whose.issuer, &facts)))?);
        }
        let session = whose.session.as_deref().filter(|_| extent == Extent::Family);
        // What was exchanged for somebody else's token has its session, and is no say over it.
        let owner = exchange::owner(&facts);
        let is_own = |owner: &str| principal.is_some_and(|principal| *principal.id == *owner);
        let session = session.filter(|session| {
            if owner.as_deref().is_some_and(|owner| !is_own(owner)) {
                return false;
            }
            let family = self.authority.families.of_session(session);
            principal
                .is_none_or(|principal| family.is_none_or(|family| whose::is_family_of(&family, principal)))
        });
        if let Some(session) = session {
            let ends = self.outlived(&whose.issuer, &facts);
            entries.push(entry(Kind::Session, &whose.issuer, session, Some(ends))?);
        }
        if entries.is_empty() && matches!(minted.format, Format::Jwt { .. }) {
            // A token without an id cannot be told from others: better to say so than to let it live on.
            tracing::error!(
                token = &*minted.name,
                "it has neither an id nor a session, so that it cannot be revoked"
            );
            return Err(Refusal::internal());
        }
        (self.authority.means.revoke)(entries).await.map_err(Trouble::from)?;
        if let Some(session) = session {
            self.authority.families.end(session).await?;
            self.end_session_of_opaque(session).await?;
        }
        if matches!(minted.format, Format::Opaque { .. }) {
            self.authority.opaque.revoke(&[&minted.name], Which::Text(text)).await?;
        }
        Ok(())
    }

    async fn end_session_of_opaque(&self, session: &str) -> Result<(), Refusal> {
        let config = self.config();
        let names = opaque_names(&config.authority.tokens);
        if !names.is_empty() {
            self.authority.opaque.revoke(&names, Which::Session(session)).await?;
        }
        Ok(())
    }

    async fn revoke_subject(
        &self,
        tokens: &[Arc<Minted>],
        subject: &Text,
        filling: &Filling<'_>,
    ) -> Result<(), Refusal> {
        let subject = template::render_text(subject, &|source| filling.get(source));
        let subject = subject.filter(|subject| !subject.is_empty()).ok_or_else(Refusal::bad_request)?;
        let mut entries = Vec::new();
        for issuer in tokens.iter().filter_map(|minted| self.issuer_of(minted)) {
            let ends = clock::now().0.saturating_add(self.longest()).saturating_add(self.slack(&issuer));
            let mut entry = entry(Kind::Subject, &issuer, &subject, Some(ends))?;
            let now = i64::try_from(clock::milliseconds()).unwrap_or(i64::MAX);
            entry.not_before = Some(revocation::watermark(now).0);
            entries.push(entry);
        }
        if !entries.is_empty() {
            (self.authority.means.revoke)(entries).await.map_err(Trouble::from)?;
        }
        let names = opaque_names(tokens);
        if !names.is_empty() {
            self.authority.opaque.revoke(&names, Which::Subject(&subject)).await?;
        }
        let refresh: Vec<&str> =
            tokens.iter().filter(|minted| is_refresh(minted)).map(|minted| &*minted.name).collect();
        if !refresh.is_empty() {
            self.authority.families.end_of_subject(&refresh, &subject).await?;
        }
        Ok(())
    }

    /// When the last request with a token is accepted, and the last of its streams over.
    fn ends(&self, issuer: &Issuer, facts: &TokenFacts) -> i64 {
        let NumericDate(expires) = facts.verified.claims().expires().unwrap_or(clock::now());
        expires.saturating_add(self.slack(issuer))
    }

    /// When every token that was issued until now is over.
    fn outlived(&self, issuer: &Issuer, facts: &TokenFacts) -> i64 {
        let longest = clock::now().0.saturating_add(self.longest()).saturating_add(self.slack(issuer));
        longest.max(self.ends(issuer, facts))
    }

    /// The longest life that a token may be given.
    fn longest(&self) -> i64 {
        let config = self.config();
        let lives = config
            .authority
            .tokens
            .iter()
            .map(|minted| seconds(minted.lifetime.max.max(minted.lifetime.default)));
        lives.max().unwrap_or(0)
    }

    /// How long it may be believed after its end: the leeway, and the longest grace that a route gives to streams.
    fn slack(&self, issuer: &Issuer) -> i64 {
        let graces = self.config().routes.iter().map(|route| seconds(route.streams.grace)).max();
        seconds(issuer.leeway).saturating_add(graces.unwrap_or(0))
    }
}

fn opaque_names(tokens: &[Arc<Minted>]) -> Vec<&str> {
    let opaque = tokens.iter().filter(|minted| matches!(minted.format, Format::Opaque { .. }));
    opaque.map(|minted| &*minted.name).collect()
}

fn entry(kind: Kind, issuer: &Issuer, value: &str, ends: Option<i64>) -> Result<Entry, Refusal> {
    Means::entry(kind, &issuer.issuer, value, ends, "revoked at an endpoint")
        .map_err(|error| Trouble::from(error).into())
}
