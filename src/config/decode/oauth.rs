//! `oauth`: an authorization server for machines, as credentials, tokens and endpoints like any others.

use std::sync::Arc;

use crate::config::address::Address;
use crate::config::credential::{Credential, Reader};
use crate::config::decode::credentials;
use crate::config::decode::endpoints::{Answering, Around, Lead, lead};
use crate::config::decode::fields::Fields;
use crate::config::decode::grants::{check_access, check_clients, check_refresh};
use crate::config::decode::issuers::Issuers;
use crate::config::decode::names::Named;
use crate::config::decode::secret;
use crate::config::decode::ties::Ties;
use crate::config::decode::tokens;
use crate::config::defaults::{ATTEMPTS, OAUTH_PATH};
use crate::config::endpoint::{Action, Endpoint, Errors, Revoke, Revoked, Selection};
use crate::config::minted::{Format, Minted};
use crate::config::pattern;
use crate::config::problems::{Position, Problem, Wrong, quoted};
use crate::config::shape::{self, table};
use crate::config::template::{Template, Text};
use crate::config::{Listener, Secret, net};

/// What `oauth` says.
pub(crate) struct OAuth {
    at: Position,
    /// The URL that clients know the gateway by, without a slash at its end.
    url: String,
    path: String,
    pepper: Option<Secret>,
    clients: String,
    access: String,
    refresh: Option<String>,
}

/// Reads `oauth`.
pub(crate) fn read(file: &Fields<'_>, listeners: &[Listener]) -> Option<OAuth> {
    let entry = file.entry("oauth")?;
    let value = file.value("oauth")?;
    let fields = Fields::open(value, &shape::token::OAUTH)?;
    let url = match fields.value("issuer") {
        Some(value) => value.read(issuer_url),
        None => Some(local(&fields, entry.at, listeners)),
    };
    let path = match fields.value("path") {
        Some(value) => value.read(path),
        None => Some(OAUTH_PATH.to_owned()),
    };
    let pepper = fields.value("pepper").map(|value| secret::read(value, &table::SECRET));
    let name = |key: &str| match fields.value(key) {
        Some(value) => value.word().map(String::from),
        None => Some(key.to_owned()),
    };
    let (clients, access, refresh) = (name("clients"), name("access"), name("refresh"));
    let pepper = match pepper {
        Some(pepper) => Some(pepper?.0),
        None => None,
    };
    let refresh = refresh.filter(|name| name != "none");
    Some(OAuth { at: entry.at, url: url?, path: path?, pepper, clients: clients?, access: access?, refresh })
}

/// An issuer's URL (RFC 8414 section 2).
fn issuer_url(text: &str) -> Result<String, Wrong> {
    net::fetched(text, true)?;
    if text.contains('?') {
        return Err(Wrong::is("has a query, which an issuer never has"));
    }
    Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
}

fn local(fields: &Fields<'_>, at: Position, listeners: &[Listener]) -> String {
    let found = listeners.iter().find_map(|listener| {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        match listener.address {
            Address::Ip(address) => Some(format!("{scheme}://localhost:{}", address.port())),
            Address::Unix(_) => None,
        }
    });
    let url = found.unwrap_or_else(|| "http://localhost".to_owned());
    let problem = Problem::new(at, format!("`oauth` without `issuer`: tokens say {url}"));
    fields.report.warning(problem.hint("give the URL that clients use: `issuer: https://api.example.com`"));
    url
}

fn path(text: &str) -> Result<String, Wrong> {
    let wrong = || Wrong::is("is no path").hint("write `/oauth`");
    let key = pattern::read_key(text).map_err(|_| wrong())?;
    if !text.starts_with('/') || text.contains(['{', '}']) || text.len() > 1 && text.ends_with('/') {
        return Err(wrong());
    }
    let rendered = key.path.render();
    Ok(if rendered == "/" { String::new() } else { rendered })
}

impl OAuth {
    /// The URL, for the token that it gives out.
    pub(crate) fn url_of(&self, token: &str) -> Option<&str> {
        (self.access == token).then_some(&self.url)
    }

    /// Adds what it takes for granted and the file does not have.
    pub(crate) fn complete_tokens(
        &self,
        file: &Fields<'_>,
        named: &mut Named<Minted>,
        issuers: &mut Issuers<'_>,
    ) {
        for (name, default) in [(Some(&self.access), "access"), (self.refresh.as_ref(), "refresh")] {
            let Some(name) = name.filter(|name| **name == default && !named.names("token").has(name)) else {
                continue;
            };
            let token = tokens::made(file, name, self.at, Some(&self.url), issuers);
            named.push(name, token.map(Arc::new));
        }
    }

    /// The same for the clients.
    pub(crate) fn complete_clients(&self, file: &Fields<'_>, named: &mut Named<Credential>) {
        let made = self.clients == "clients" && !named.names("credential").has(&self.clients);
        match (&self.pepper, made) {
            (Some(pepper), true) => {
                let clients = credentials::made(&self.clients, self.at, pepper.clone());
                named.push(&self.clients, Some(Arc::new(clients)));
            }
            (None, true) => {
                let problem =
                    Problem::new(self.at, "`oauth` has no clients, and no `pepper` to make them with");
                let hint = "write `oauth: {pepper: {file: PATH}}`, or name API keys of `credentials`: `clients: NAME`";
                file.report.problem(problem.hint(hint));
                named.push(&self.clients, None);
            }
            (Some(pepper), false) => {
                let problem =
                    Problem::new(pepper.at, "`pepper` of `oauth`, whose clients are among `credentials`");
                file.report.problem(problem.hint("give it there"));
            }
            (None, false) => {}
        }
    }

    /// What is given out together.
    pub(crate) fn together(&self) -> Vec<String> {
        std::iter::once(&self.access).chain(&self.refresh).cloned().collect()
    }

    /// The endpoints, and the routes that lead to them.
    pub(crate) fn endpoints(
        &self,
        file: &Fields<'_>,
        around: &Around<'_>,
        ties: &mut Ties,
    ) -> Option<Answering> {
        let token = |name: &String, key: &str, check: fn(&Minted) -> Result<(), Wrong>| {
            let found = around.token_names.index(name).map(|index| around.tokens.get(index));
            if found.is_none() {
                self.unknown(file, key, name, "token");
            }
            let token = Arc::clone(found??);
            let checked = check(&token).map_err(|wrong| {
                let what = format!("`{key}` of `oauth`: {} {}", quoted(name), wrong.what);
                file.report.problem(Problem::new(self.at, what));
            });
            checked.ok().map(|()| token)
        };
        let access = token(&self.access, "access", check_access);
        let refresh = self.refresh.as_ref().map(|name| token(name, "refresh", check_refresh));
        let clients = around.credential_names.index(&self.clients).map(|index| around.credentials.get(index));
        if clients.is_none() {
            self.unknown(file, "clients", &self.clients, "credential");
        }
        let clients = Selection::One(Arc::clone(clients??));
        if let Err(what) = check_clients(&clients) {
            file.report.problem(Problem::new(self.at, format!("`clients` of `oauth`: {what}")));
            return None;
        }
        let access = access?;
        let refresh = match refresh {
            Some(refresh) => Some(refresh?),
            None => None,
        };
        let (mut endpoints, mut routes) = (Vec::new(), Vec::new());
        for (key, action) in self.actions(&clients, &access, refresh.as_ref()) {
            let Ok(read) = pattern::read_key(&key) else { continue };
            ties.check(file.report, &read, &key, self.at);
            let endpoint = Arc::new(Endpoint {
                name: key.into(),
                at: self.at,
                action,
                answer: None,
                errors: Arc::new(Errors::default()),
                attempts: u32::try_from(ATTEMPTS).unwrap_or(u32::MAX),
            });
            routes.push(Arc::new(lead(read, &endpoint, Lead::default())));
            endpoints.push(endpoint);
        }
        Some((endpoints, routes))
    }

    fn unknown(&self, file: &Fields<'_>, key: &str, name: &str, what: &str) {
        let what = format!("`{key}` of `oauth`: {} is no {what} of this file", quoted(name));
        file.report.problem(Problem::new(self.at, what));
    }

    fn actions(
        &self,
        clients: &Selection,
        access: &Arc<Minted>,
        refresh: Option<&Arc<Minted>>,
    ) -> Vec<(String, Action)> {
        let path = &self.path;
        let tokens = || std::iter::once(access).chain(refresh).cloned().collect::<Vec<_>>();
        let body = || Reader::Body("token".into());
        let granted = Action::OAuthToken {
            clients: clients.clone(),
            access: Arc::clone(access),
            refresh: refresh.cloned(),
        };
        let presented = Revoked::Presented { tokens: tokens(), from: vec![body()], family: true };
        let revoke = Revoke { what: presented, credential: Some(clients.clone()) };
        let introspect = Action::Introspect { credential: clients.clone(), tokens: tokens(), from: body() };
        let mut actions = vec![
            (format!("POST {path}/token"), granted),
            (format!("POST {path}/revoke"), Action::Revoke(revoke)),
            (format!("POST {path}/introspect"), introspect),
        ];
        let has_keys = is_public(access);
        if has_keys {
            actions.push(("GET /.well-known/jwks.json".into(), Action::KeySet(vec![Arc::clone(access)])));
        }
        // RFC 8414 section 3.1: the path of the issuer stands behind the well-known one.
        let own = self.url.get(self.origin().len()..).unwrap_or_default();
        let metadata = self.metadata(has_keys, refresh.is_some());
        actions
            .push((format!("GET /.well-known/oauth-authorization-server{own}"), Action::Metadata(metadata)));
        actions.push(("GET /.well-known/oauth-protected-resource".into(), Action::Resource));
        actions
    }

    /// The issuer's URL without its path.
    fn origin(&self) -> &str {
        let host = self.url.find("://").map_or(0, |at| at + 3);
        let path = self.url.get(host..).and_then(|rest| rest.find('/')).map(|at| host + at);
        self.url.get(..path.unwrap_or(self.url.len())).unwrap_or_default()
    }

    /// RFC 8414 section 2.
    fn metadata(&self, has_keys: bool, refreshes: bool) -> Template {
        let text = |text: String| Template::Text(Text::literal(&text));
        // Where they are served: behind the host, whatever path the issuer's name has.
        let url = |path: &str| text(format!("{}{path}", self.origin()));
        let words = |words: &[&str]| {
            Template::List(words.iter().map(|word| Template::Text(Text::literal(word))).collect())
        };
        let mut grants = vec!["client_credentials"];
        grants.extend(refreshes.then_some("refresh_token"));
        grants.push("urn:ietf:params:oauth:grant-type:token-exchange");
        let methods = || words(&["client_secret_basic", "client_secret_post"]);
        let path = &self.path;
        let mut members = vec![
            ("issuer", text(self.url.clone())),
            ("token_endpoint", url(&format!("{path}/token"))),
            ("token_endpoint_auth_methods_supported", methods()),
            ("revocation_endpoint", url(&format!("{path}/revoke"))),
            ("revocation_endpoint_auth_methods_supported", methods()),
            ("introspection_endpoint", url(&format!("{path}/introspect"))),
            ("introspection_endpoint_auth_methods_supported", methods()),
            ("grant_types_supported", words(&grants)),
            // Required, and there is no authorization endpoint.
            ("response_types_supported", words(&[])),
        ];
        if has_keys {
            members.insert(1, ("jwks_uri", url("/.well-known/jwks.json")));
        }
        Template::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

/// Whether anybody can verify it.
fn is_public(token: &Minted) -> bool {
    match &token.format {
        Format::Jwt { sign, .. } => !sign.algorithm().is_symmetric(),
        Format::Opaque { .. } | Format::Refresh { .. } => false,
    }
}
