//! `introspect` (RFC 7662): what a token says, to those who may know.
//!
//! Whoever may not is told what is told of a token that is none: `{"active": false}`, and nothing else (RFC 7662 section 2.2,
//! threats T10). A credential may ask about tokens that were made for it, about those whose `aud` is its id, and, with the scope
//! [`MAY_ASK`], about all.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::authority::answer::{self, Done, Refusal};
use crate::authority::clock;
use crate::authority::credential::{self, Principal};
use crate::authority::endpoints::Endpoints;
use crate::authority::filling::Filling;
use crate::authority::request::Asked;
use crate::authority::whose;
use crate::config::credential::Reader;
use crate::config::endpoint::Selection;
use crate::config::minted::Minted;
use crate::gate::call::Answered;

/// The scope of a credential that may ask about tokens that are not its own: that of a protected resource.
pub const MAY_ASK: &str = "introspect";

/// Answers what a token says.
pub async fn introspect(
    here: &Endpoints,
    asked: Asked<'_>,
    selection: &Selection,
    tokens: &[Arc<Minted>],
    from: &Reader,
) -> Result<Answered, Refusal> {
    let principal = credential::principal(here, asked, selection).await?;
    let text = asked.text(from).map_err(|_| Refusal::bad_request())?;
    let text = text.ok_or_else(|| Refusal::new("missing_token"))?;
    let said = here
        .said_of(tokens, &text, &principal)
        .unwrap_or_else(|| Map::from_iter([("active".to_owned(), Value::Bool(false))]));
    let mut filling = Filling::new(Some(asked), clock::now().0);
    filling.principal = Some(&principal);
    answer::done(asked.call, &filling, Done { body: Some(Value::Object(said)), headers: Vec::new() })
}

impl Endpoints {
    fn said_of(
        &self,
        tokens: &[Arc<Minted>],
        text: &str,
        principal: &Principal,
    ) -> Option<Map<String, Value>> {
        let may_ask_all = principal.scopes.iter().any(|scope| **scope == *MAY_ASK);
        if let Some((_, family)) = self.family_of(tokens, text) {
            let said = json!({
                "active": true,
                "token_type": "refresh_token",
                "client_id": family.holder,
                "sub": family.subject,
                "scope": family.scopes.join(" "),
                "exp": family.expires.0,
            });
            let may = may_ask_all || whose::is_family_of(&family, principal);
            return said.as_object().filter(|_| may).cloned();
        }
        let (_, facts) = self.believed(tokens, text)?;
        let whose = self.whose(&facts)?;
        if !(may_ask_all || whose.is_of(principal) || whose.is_for(principal)) {
            return None;
        }
        let mut said: Map<String, Value> = facts.verified.claims().members().into();
        // What the standard names comes from where the claims have it.
        let text = |text: Option<Box<str>>| text.map(|text| Value::from(&*text));
        let named = [
            ("client_id", text(whose.client)),
            ("sub", text(whose.subject)),
            ("scope", (!whose.scopes.is_empty()).then(|| whose.scopes.join(" ").into())),
        ];
        said.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        said.insert("active".to_owned(), true.into());
        said.insert("token_type".to_owned(), "Bearer".into());
        Some(said)
    }
}
