//! What tokens are made from: for whom, with which scopes, saying what. A family of refresh tokens keeps it; a live JWT
//! carries it in its own claims.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authority::answer::Refusal;
use crate::authority::filling::{self, Filling};
use crate::config::minted::{Format, Minted};
use crate::config::template::{Piece, Source, Template, Text};
use crate::mint::template;

/// What was granted once, and is given again with every refresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The credential that it was granted to, by its name in the configuration.
    pub credential: Box<str>,
    /// `{credential.id}`.
    pub id: Box<str>,
    /// Whom the tokens are for.
    pub subject: Box<str>,
    /// What was granted.
    pub scopes: Vec<Box<str>>,
    /// All of it was the holder's own, who may lose it.
    pub own: bool,
    /// The family.
    pub session: Box<str>,
    /// By the name of the token: what it says beside `iss`, `iat` and `exp`, and how many seconds it lives.
    pub tokens: BTreeMap<Box<str>, Said>,
}

/// What one token of a grant says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Its claims.
    pub claims: Map<String, Value>,
    /// Seconds.
    pub lifetime: i64,
}

/// The claims template of a token.
pub fn claims_of(minted: &Minted) -> &[(Box<str>, Template)] {
    match &minted.format {
        Format::Jwt { claims, .. } | Format::Opaque { claims, .. } => claims,
        Format::Refresh { .. } => &[],
    }
}

/// What a token is to say at first.
pub fn said(minted: &Minted, filling: &Filling<'_>, lifetime: i64) -> Result<Said, Refusal> {
    let claims = template::render_members(claims_of(minted), &|source| filling.get(source));
    // A hole that the request left empty: it is the request that lacks something.
    Ok(Said { claims: claims.ok_or_else(Refusal::bad_request)?, lifetime })
}

impl Said {
    /// The same said again: what depends on the moment or on chance is new, all else is carried over.
    #[must_use]
    pub fn again(&self, minted: &Minted, filling: &Filling<'_>) -> Self {
        self.renewed(minted, filling, filling::is_volatile)
    }

    /// The same with what was granted changed, too.
    #[must_use]
    pub fn narrowed(&self, minted: &Minted, filling: &Filling<'_>) -> Self {
        self.renewed(minted, filling, |source| matches!(source, Source::Scope | Source::Scopes))
    }

    /// The same with these sources asked again, where they have anything to say.
    #[must_use]
    pub fn renewed(
        &self,
        minted: &Minted,
        filling: &Filling<'_>,
        which: impl Fn(&Source) -> bool + Copy,
    ) -> Self {
        let mut claims = self.claims.clone();
        for (name, template) in claims_of(minted).iter().filter(|(_, template)| names(template, which)) {
            let member = [(name.clone(), template.clone())];
            if let Some(value) = template::render_members(&member, &|source| filling.get(source)) {
                claims.extend(value);
            }
        }
        Self { claims, ..*self }
    }
}

/// Whether a template has a hole of this kind.
pub fn names(template: &Template, which: impl Fn(&Source) -> bool + Copy) -> bool {
    match template {
        Template::Plain(_) => false,
        Template::Text(Text(pieces)) => pieces.iter().any(|piece| match piece {
            Piece::Literal(_) => false,
            Piece::Hole(hole) => which(&hole.source),
        }),
        Template::List(elements) => elements.iter().any(|element| names(element, which)),
        Template::Object(members) => members.iter().any(|(_, member)| names(member, which)),
    }
}
