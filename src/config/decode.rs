//! From nodes to the typed configuration, collecting every problem on the way.
//!
//! One file a section; each reads its mapping through [`fields::Fields`] and goes on after a mistake.

pub(crate) mod fields;
pub(crate) mod secret;
pub(crate) mod value;
pub(crate) mod words;

mod authority;
mod certificate;
mod credentials;
mod endpoints;
mod errors;
mod forward;
mod grants;
mod graphql;
mod issue;
mod issuers;
mod keys;
mod listeners;
mod names;
mod oauth;
mod process;
mod readers;
mod report;
mod require;
mod revocable;
mod routes;
mod streams;
mod templates;
mod ties;
mod tokens;
mod upstreams;

use std::sync::Arc;

use crate::config::authority::Authority;
use crate::config::decode::endpoints::Around;
use crate::config::decode::fields::Fields;
use crate::config::decode::oauth::OAuth;
use crate::config::decode::report::Report;
use crate::config::decode::require::Requirements;
use crate::config::decode::ties::Ties;
use crate::config::decode::value::Value;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::shape::table;
use crate::config::{Config, Context, raw};

/// What [`crate::config::parse`] does.
pub(crate) fn decode(text: &str, context: &Context<'_>) -> Result<(Config, Vec<Problem>), Problems> {
    let mut document = raw::parse(text);
    let report = Report::new(context, &mut document);
    let config = match &document.root {
        Some(root) => whole(root, &report),
        None => {
            if report.is_clean() {
                report.problem(empty(Position { line: 1, column: 1 }));
            }
            None
        }
    };
    report.finish(text, config)
}

fn empty(at: Position) -> Problem {
    Problem::new(at, "the file is empty").hint("begin it with `version: 1`")
}

fn whole(root: &raw::Node, report: &Report<'_>) -> Option<Config> {
    let file = Value::file(root, report);
    if root.is_null() {
        report.problem(empty(root.at));
        return None;
    }
    let fields = Fields::open(file, &table::FILE)?;
    fields.whole("version");
    let workers = fields.value("workers").and(Some(fields.whole("workers"))).map(process::narrow);
    let listeners = listeners::listeners(&fields);
    let admin = listeners::admin(&fields, &listeners);
    let upstreams = upstreams::upstreams(&fields);
    let revocation = process::revocation(&fields);
    let claims = revocation.as_ref().map(|revocation| Arc::clone(&revocation.claims)).unwrap_or_default();
    let mut issuers = issuers::issuers(&fields, &claims);
    let oauth = oauth::read(&fields, &listeners);
    let mut tokens = tokens::tokens(&fields, oauth.as_ref(), &mut issuers);
    if let Some(oauth) = &oauth {
        oauth.complete_tokens(&fields, &mut tokens, &mut issuers);
    }
    let mut credentials = credentials::credentials(&fields, &mut issuers);
    if let Some(oauth) = &oauth {
        oauth.complete_clients(&fields, &mut credentials);
    }
    let errors = fields.value("errors").and_then(errors::of_routes);
    let mut ties = Ties::default();
    let names = issuers.named.names("issuer");
    let limits = process::limits(&fields);
    let requirements = Requirements::new(&names, &issuers.general, &limits);
    let upstream_names = upstreams.names("upstream");
    let mut routes = routes::routes(&fields, &upstream_names, &requirements, errors.as_ref(), &mut ties);
    let mut around = Around::new(&fields, &tokens, &credentials, &issuers);
    around.together.extend(oauth.as_ref().map(OAuth::together));
    let (mut endpoints, leading) = endpoints::endpoints(&fields, &around, &mut ties);
    routes.extend(leading);
    if let Some((own, leading)) =
        oauth.as_ref().and_then(|oauth| oauth.endpoints(&fields, &around, &mut ties))
    {
        endpoints.extend(own);
        routes.extend(leading);
    }
    let authority = Authority {
        credentials: credentials.into_values(),
        tokens: tokens.into_values(),
        endpoints,
        signing_keys: tokens::signing_keys(&fields),
        errors,
    };
    let store = process::store(&fields);
    authority::check(&fields, &authority);
    revocable::check(&fields, &authority, &issuers.named);
    Some(Config {
        workers,
        listeners,
        admin,
        upstreams: upstreams.into_values(),
        issuers: issuers.named.into_values(),
        routes,
        authority,
        revocation,
        store,
        audit: process::audit(&fields),
        key_mirror: process::key_mirror(&fields),
        limits,
        shutdown_grace: fields.duration("shutdown_grace"),
        upgrade_socket: process::upgrade_socket(&fields),
        log: process::log(&fields),
    })
}
