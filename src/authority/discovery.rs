//! What others have to know of the gateway: its keys, its endpoints, and what its routes ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::authority::answer::{self, Done, Refusal};
use crate::authority::clock;
use crate::authority::endpoints::Endpoints;
use crate::authority::filling::Filling;
use crate::authority::request::Asked;
use crate::config::endpoint::Action;
use crate::config::minted::Minted;
use crate::config::template::Template;
use crate::config::{Config, Issuer, KeySource, Records, Require, TokenPlace};
use crate::gate::call::Answered;
use crate::mint::template;

/// `key_set`: the public keys of these tokens (RFC 7517 section 5).
pub fn key_set(here: &Endpoints, asked: Asked<'_>, tokens: &[Arc<Minted>]) -> Result<Answered, Refusal> {
    let published = here.authority.signing.key_set(tokens.iter().map(|minted| &*minted.name));
    let age = format!("public, max-age={}", published.max_age.as_secs());
    let headers = vec![
        ("cache-control".into(), age.into()),
        ("content-type".into(), "application/jwk-set+json".into()),
    ];
    let filling = Filling::new(Some(asked), clock::now().0);
    answer::done(asked.call, &filling, Done { body: Some(published.document), headers })
}

/// `metadata` (RFC 8414).
pub fn metadata(asked: Asked<'_>, metadata: &Template) -> Result<Answered, Refusal> {
    let filling = Filling::new(Some(asked), clock::now().0);
    let body = template::render(metadata, &|source| filling.get(source)).ok_or_else(Refusal::internal)?;
    answer::done(asked.call, &filling, Done { body: Some(body), headers: vec![public()] })
}

/// `resource` (RFC 9728 section 2), from what the routes require.
pub fn resource(here: &Endpoints, asked: Asked<'_>) -> Result<Answered, Refusal> {
    let config = here.config();
    let mut document = json!({
        "resource": format!("{}://{}", asked.call.scheme, asked.call.host),
    });
    let (servers, scopes, methods) = required(&config);
    for (name, values) in [
        ("authorization_servers", servers),
        ("scopes_supported", scopes),
        ("bearer_methods_supported", methods),
    ] {
        // A member without a value is left out (RFC 9728 section 3.2).
        if !values.is_empty() {
            document[name] = json!(values);
        }
    }
    let filling = Filling::new(Some(asked), clock::now().0);
    answer::done(asked.call, &filling, Done { body: Some(document), headers: vec![public()] })
}

type Words = BTreeSet<Box<str>>;

/// Whose tokens routes take, with which scopes, and where these stand.
fn required(config: &Config) -> (Words, Words, Words) {
    let (mut servers, mut scopes, mut methods) = (Words::new(), Words::new(), Words::new());
    for route in config.routes.iter().filter(|route| route.endpoint.is_none()) {
        let Require::Token(requirement) = &route.require else { continue };
        scopes.extend(requirement.scopes.iter().chain(&requirement.any_scope).cloned());
        for issuer in requirement.issuers.iter().filter_map(|index| config.issuers.get(*index)) {
            servers.extend((is_server(issuer) && gives(config, issuer)).then(|| issuer.issuer.clone()));
            methods.extend(issuer.from.iter().filter_map(|place| match place {
                TokenPlace::Bearer => Some(Box::from("header")),
                TokenPlace::Query(name) if **name == *"access_token" => Some(Box::from("query")),
                TokenPlace::Query(_) | TokenPlace::Header(_) | TokenPlace::Cookie(_) => None,
            }));
        }
    }
    (servers, scopes, methods)
}

/// Whether an issuer has an identifier as authorization servers have one (RFC 8414 section 2): a URL, without query or fragment.
fn is_server(issuer: &Issuer) -> bool {
    let url = ["https://", "http://"].iter().any(|scheme| issuer.issuer.starts_with(scheme));
    url && !issuer.issuer.contains(['?', '#'])
}

/// Whether clients get the tokens of this issuer to show them here (RFC 6750): an API key is given out by nobody's endpoint, a
/// session in a cookie is the application's own, and of what is minted here OAuth's token endpoint, if there is one, gives
/// only the one.
fn gives(config: &Config, issuer: &Issuer) -> bool {
    let is_shown = issuer.from.iter().any(|place| match place {
        TokenPlace::Bearer => true,
        TokenPlace::Query(name) => **name == *"access_token",
        TokenPlace::Header(_) | TokenPlace::Cookie(_) => false,
    });
    let is_key = matches!(issuer.keys.value, KeySource::Records(Records::ApiKeys { .. }));
    let is_ours = config.authority.tokens.iter().any(|minted| minted.name == issuer.name);
    let mut given = config.authority.endpoints.iter().filter_map(|endpoint| match &endpoint.action {
        Action::OAuthToken { access, .. } => Some(&access.name),
        Action::Issue(_)
        | Action::Refresh(_)
        | Action::Revoke(_)
        | Action::Introspect { .. }
        | Action::KeySet(_)
        | Action::Metadata(_)
        | Action::Resource => None,
    });
    let (first, more) = (given.next(), given);
    let is_given =
        first.is_none_or(|first| std::iter::once(first).chain(more).any(|name| *name == issuer.name));
    is_shown && !is_key && (!is_ours || is_given)
}

fn public() -> (Box<str>, Box<str>) {
    ("cache-control".into(), "public, max-age=300".into())
}
