//! A token endpoint as OAuth 2.0 has it: `client_credentials` and `refresh_token` (RFC 6749 sections 4.4 and 6).
//!
//! Its parameters stand in a form, each once, and none of them in the query (section 3.2): what else arrives is no request of
//! any client that follows the standard, and two parsers could read it differently.

pub mod exchange;

use std::sync::Arc;

use crate::authority::answer::Refusal;
use crate::authority::clock;
use crate::authority::credential::{self, Principal};
use crate::authority::endpoints::Endpoints;
use crate::authority::filling::Filling;
use crate::authority::issue;
use crate::authority::refresh::{self, Refreshed};
use crate::authority::request::{Asked, Body};
use crate::authority::scopes;
use crate::config::endpoint::{ScopeMode, Selection};
use crate::config::minted::Minted;
use crate::gate::call::Answered;
use crate::mint::opaque;

/// Who the clients are, and what they get.
#[derive(Clone, Copy)]
pub struct Rules<'r> {
    /// Who the clients are.
    pub clients: &'r Selection,
    /// What they get.
    pub access: &'r Arc<Minted>,
    /// And this, if it is given out.
    pub refresh: Option<&'r Arc<Minted>>,
}

/// Answers a token request.
pub async fn token(here: &Endpoints, asked: Asked<'_>, rules: Rules<'_>) -> Result<Answered, Refusal> {
    if asked.call.query.as_deref().is_some_and(|query| !query.is_empty()) || asked.call.body.len() > BODY {
        return Err(Refusal::bad_request());
    }
    match asked.body() {
        Body::Form(_) if is_form(asked) => {}
        Body::Form(_) | Body::Empty | Body::Json(_) => return Err(Refusal::bad_request()),
    }
    let shown = credential::shown(asked, rules.clients)?;
    let grant_type = parameter(asked, "grant_type").ok_or_else(Refusal::bad_request)?;
    let grant = match grant_type.as_str() {
        CLIENT_CREDENTIALS => GrantType::ClientCredentials,
        REFRESH_TOKEN if rules.refresh.is_some() => GrantType::RefreshToken,
        TOKEN_EXCHANGE => GrantType::TokenExchange,
        _ => return Err(Refusal::new("unsupported_grant_type")),
    };
    let client = credential::checked(here, asked, shown).await?;
    match grant {
        GrantType::ClientCredentials => client_credentials(here, asked, rules, &client).await,
        GrantType::RefreshToken => refreshed(here, asked, rules, &client).await,
        GrantType::TokenExchange => exchange::exchange(here, asked, rules.access, &client).await,
    }
}

/// What says of itself that it is something else is no form, whatever is in it: another server would read it as that (threats
/// T4). Clients that say nothing are taken at what they send.
fn is_form(asked: Asked<'_>) -> bool {
    let (Ok(media), Ok(None)) = (asked.header("content-type"), asked.header("content-encoding")) else {
        return false;
    };
    let is = |part: &str, known: &str| part.eq_ignore_ascii_case(known);
    media.is_none_or(|media| {
        let mut parts = media.split(';').map(str::trim);
        parts.next().is_some_and(|media| is(media, "application/x-www-form-urlencoded"))
            && parts.all(|part| is(part, "charset=utf-8") || is(part, "charset=\"utf-8\""))
    })
}

enum GrantType {
    ClientCredentials,
    RefreshToken,
    TokenExchange,
}

/// RFC 6749 section 4.4. That a refresh token comes with it is what the configuration wants (section 4.4.3 advises against).
async fn client_credentials(
    here: &Endpoints,
    asked: Asked<'_>,
    rules: Rules<'_>,
    client: &Principal,
) -> Result<Answered, Refusal> {
    let tokens: Vec<_> = [rules.access].into_iter().chain(rules.refresh).cloned().collect();
    let read = here.read_as(&tokens);
    let matching = client.credential.scope_match;
    let scopes = scopes::granted(wanted(asked)?, &client.scopes, ScopeMode::Subset, matching, &read)
        .map_err(issue::denied)?;
    let session = opaque::uuid(&mut clock::fill).map_err(|_| Refusal::internal())?;
    let filling = Filling {
        principal: Some(client),
        scopes: Some(&scopes),
        session: Some(&session),
        ..Filling::new(Some(asked), clock::now().0)
    };
    let grant = issue::grant_of(here, &tokens, &filling, client)?;
    let made = here.make(&tokens, &grant, client).await?;
    refresh::answered(asked, &Refreshed { grant, made }, &Filling { now: clock::now().0, ..filling })
}

/// RFC 6749 section 6.
async fn refreshed(
    here: &Endpoints,
    asked: Asked<'_>,
    rules: Rules<'_>,
    client: &Principal,
) -> Result<Answered, Refusal> {
    let text = parameter(asked, "refresh_token").ok_or_else(|| Refusal::new("missing_token"))?;
    let minted = rules.refresh.ok_or_else(|| Refusal::new("unsupported_grant_type"))?;
    let refreshed = refresh::by_family(here, asked, minted, &text, Some(client), wanted(asked)?).await?;
    let filling = Filling { principal: Some(client), ..Filling::new(Some(asked), clock::now().0) };
    refresh::answered(asked, &refreshed, &filling)
}

/// The scopes that are asked for.
fn wanted(asked: Asked<'_>) -> Result<Option<Vec<Box<str>>>, Refusal> {
    scopes::listed(asked.member("scope").as_ref()).map_err(|_| Refusal::new("scope_denied"))
}

/// A parameter that has a value: without one it is as good as not there (RFC 6749 section 3.2).
fn parameter(asked: Asked<'_>, name: &str) -> Option<String> {
    let value = asked.member(name)?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

const CLIENT_CREDENTIALS: &str = "client_credentials";
const REFRESH_TOKEN: &str = "refresh_token";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Octets of a token request (threats T4).
const BODY: usize = 8 * 1_024;
