//! What a token can be revoked by: the values that the issuer's `claims` map and the declared claims find in it.

use std::borrow::Cow;

use crate::config::{Issuer, KeySource, Records};
use crate::keys::Verified;
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::token::claims::Selector;
use crate::token::json::document::Value;

/// The keys of every entry that could be about this token. One of the kind `api_key` is about the key that is itself the
/// credential, by its id, which is its subject.
pub(in crate::gate) fn keys(issuer: &Issuer, verified: &Verified) -> Box<[(Kind, Key)]> {
    let members = verified.claims().members();
    let iss = &issuer.issuer;
    let mut keys =
        vec![(Kind::All, Key::new(Kind::All, "", "")), (Kind::Issuer, Key::new(Kind::Issuer, iss, ""))];
    // The verifying key's own id, not the one that the token gives.
    keys.extend(verified.key_id().map(|kid| (Kind::Kid, Key::new(Kind::Kid, iss, kid))));
    let found = |selector: &Selector| selector.find(members).map(texts).unwrap_or_default();
    for (kind, selector) in [
        (Kind::Tenant, &issuer.claims.tenant),
        (Kind::Client, &issuer.claims.client),
        (Kind::Subject, &issuer.claims.subject),
        (Kind::Session, &issuer.claims.session),
        (Kind::Jti, &issuer.claims.id),
    ] {
        keys.extend(found(selector).iter().map(|text| (kind, Key::new(kind, iss, text))));
    }
    if let KeySource::Records(Records::ApiKeys { .. }) = &issuer.keys.value {
        let id = verified.claims().subject();
        keys.extend(id.map(|id| (Kind::ApiKey, Key::new(Kind::ApiKey, iss, id))));
    }
    for claim in &*issuer.revocable {
        let texts = found(&claim.selector);
        keys.extend(texts.iter().map(|text| (Kind::Claim, Key::of_claim(iss, &claim.name, text))));
    }
    keys.into()
}

/// How an entry writes a value: text as it is, numbers and booleans as JSON does. Of a list each of its values
/// counts; what else there may be has no name.
pub(in crate::gate) fn texts(value: Value<'_>) -> Vec<Cow<'_, str>> {
    match value {
        Value::Array(values) => values.filter_map(text).collect(),
        Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null | Value::Object(_) => {
            text(value).into_iter().collect()
        }
    }
}

fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(text.into()),
        Value::Number(_) => Some(serde_json::Value::from(value).to_string().into()),
        Value::Bool(flag) => Some(if flag { "true" } else { "false" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
