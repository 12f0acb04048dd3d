//! From nodes to the typed configuration, collecting every problem on the way.
//!
//! One file a section; each reads its mapping through [`fields::Fields`] and goes on after a mistake.

pub(crate) mod fields;
pub(crate) mod secret;
pub(crate) mod value;
pub(crate) mod words;

mod certificate;
mod forward;
mod issuers;
mod keys;
mod listeners;
mod names;
mod process;
mod report;
mod require;
mod routes;
mod streams;
mod ties;
mod upstreams;

use std::sync::Arc;

use crate::config::decode::fields::Fields;
use crate::config::decode::report::Report;
use crate::config::decode::value::Value;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::shape::table;
use crate::config::{Authority, Config, Context, raw};

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
    let issuers = issuers::issuers(&fields, &claims);
    let routes = routes::routes(&fields, &upstreams.names("upstream"), &issuers.names("issuer"));
    Some(Config {
        workers,
        listeners,
        admin,
        upstreams: upstreams.into_values(),
        issuers: issuers.into_values(),
        routes,
        authority: Authority::default(),
        revocation,
        store: process::store(&fields),
        audit: process::audit(&fields),
        key_mirror: process::key_mirror(&fields),
        limits: process::limits(&fields),
        shutdown_grace: fields.duration("shutdown_grace"),
        upgrade_socket: process::upgrade_socket(&fields),
        log: process::log(&fields),
    })
}
