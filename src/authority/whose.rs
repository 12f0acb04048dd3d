//! Whose a token is, by the claims that its issuer's configuration names.

use std::sync::Arc;

use serde_json::Value;

use crate::authority::credential::Principal;
use crate::authority::endpoints::Endpoints;
use crate::authority::families::Family;
use crate::authority::scopes;
use crate::config::Issuer;
use crate::config::minted::Minted;
use crate::gate::memo::TokenFacts;
use crate::token::claims::Selector;

/// What a token says of itself.
pub struct Whose {
    /// Its issuer.
    pub issuer: Arc<Issuer>,
    /// Who had it made.
    pub client: Option<Box<str>>,
    /// Whom it is for.
    pub subject: Option<Box<str>>,
    /// Its family.
    pub session: Option<Box<str>>,
    /// What it may.
    pub scopes: Vec<Box<str>>,
    /// `aud`.
    pub audience: Vec<Box<str>>,
}

impl Whose {
    /// Whether whoever asks had it made; of a token that does not say so, whether it is for them.
    pub fn is_of(&self, principal: &Principal) -> bool {
        self.owner() == Some(&*principal.id)
    }

    /// Who had it made; of a token that does not say so, whom it is for.
    pub fn owner(&self) -> Option<&str> {
        self.client.as_deref().or(self.subject.as_deref())
    }

    /// Whether it is meant for whoever asks: a protected resource that its tokens name.
    pub fn is_for(&self, principal: &Principal) -> bool {
        self.audience.iter().any(|audience| **audience == *principal.id)
    }
}

impl Endpoints {
    /// Whose a token is that was believed.
    pub fn whose(&self, facts: &TokenFacts) -> Option<Whose> {
        let snapshot = self.reader.load();
        let state = snapshot.issuers.get(facts.issuer).filter(|state| state.epoch == facts.epoch)?;
        let claims = facts.verified.claims();
        let text = |selector: &Selector| selector.find(claims.members())?.as_text().map(Box::from);
        let named = &state.config.claims;
        let scope = named.scope.find(claims.members()).map(Value::from);
        Some(Whose {
            client: text(&named.client),
            subject: text(&named.subject),
            session: text(&named.session),
            scopes: scopes::listed(scope.as_ref()).ok().flatten().unwrap_or_default(),
            audience: claims.audience().map(Box::from).collect(),
            issuer: Arc::clone(&state.config),
        })
    }

    /// The tokens of these names, as they are configured now.
    pub fn named<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<Arc<Minted>> {
        let config = self.config();
        let find = |name: &str| config.authority.tokens.iter().find(|minted| *minted.name == *name).cloned();
        names.into_iter().filter_map(find).collect()
    }
}

/// Whether a family is of whoever asks.
pub fn is_family_of(family: &Family, principal: &Principal) -> bool {
    principal.credential.name == family.credential && principal.id == family.holder
}
