//! `routes`.

use std::sync::Arc;

use crate::config::decode::errors;
use crate::config::decode::fields::Fields;
use crate::config::decode::forward;
use crate::config::decode::names::{self, Names};
use crate::config::decode::require::{self, Requirements};
use crate::config::decode::streams;
use crate::config::decode::ties::Ties;
use crate::config::decode::value::Value;
use crate::config::endpoint::Errors;
use crate::config::forward::Forward;
use crate::config::pattern::{self, RouteKey};
use crate::config::problems::{Problem, quoted};
use crate::config::raw::{Content, Entry};
use crate::config::shape;
use crate::config::streams::Streams;
use crate::config::websocket::WebSocket;
use crate::config::{Enforce, Require, Route};

/// Reads `routes`. Not empty, and no two tie.
pub(crate) fn routes(
    file: &Fields<'_>,
    upstreams: &Names<'_>,
    requirements: &Requirements<'_>,
    errors: Option<&Arc<Errors>>,
    ties: &mut Ties,
) -> Vec<Arc<Route>> {
    let Some(value) = file.value("routes") else { return Vec::new() };
    let entries = value.named("GET /orders/{id}: orders:read");
    if matches!(&value.node.content, Content::Mapping(entries) if entries.is_empty()) {
        value.problem_with_hint(
            "`routes` is empty: every request would be refused",
            "write `GET /orders/{id}: orders:read`",
        );
    } else if upstreams.len() == 0 {
        lacks_upstreams(file);
    }
    let mut routes = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = match pattern::read_key(&entry.key) {
            Ok(key) => key,
            Err(wrong) => {
                let problem =
                    Problem::new(entry.at, format!("the route {} {}", quoted(&entry.key), wrong.what));
                file.report.problem(Problem { hint: wrong.hint, ..problem });
                continue;
            }
        };
        ties.check(file.report, &key, &entry.key, entry.at);
        let value = Value::of(entry, file.report);
        routes.extend(route(entry, value, key, upstreams, requirements, errors).map(Arc::new));
    }
    routes
}

/// Said once, and not for each route.
fn lacks_upstreams(file: &Fields<'_>) {
    let (at, what) = match file.entry("upstreams") {
        None => (file.at, "missing key `upstreams` in the file: its routes forward"),
        Some(entry) if entry.value.is_empty() => (entry.at, "`upstreams` is empty, and the routes forward"),
        // Whatever else it is has been reported.
        Some(_) => return,
    };
    file.report.problem(Problem::new(at, what).hint("write `upstreams: {orders: http://10.0.0.5:8080}`"));
}

fn route(
    entry: &Entry,
    value: Value<'_>,
    key: RouteKey,
    upstreams: &Names<'_>,
    requirements: &Requirements<'_>,
    errors: Option<&Arc<Errors>>,
) -> Option<Route> {
    if entry.value.is_null() || value.node.is_empty() {
        let problem = Problem::new(entry.at, format!("the route {} requires nothing", value.name()));
        value.report.problem(problem.hint(require::HINT));
        return None;
    }
    let parameters = key.path.clone();
    let parameters: Vec<&str> = parameters.parameters().collect();
    let RouteKey { methods, host, path } = key;
    let short = |require, upstream| Route {
        name: Box::from(&*entry.key),
        at: entry.at,
        methods,
        host,
        path,
        require,
        forward: Forward::default(),
        cors: None,
        websocket: WebSocket::default(),
        streams: Streams::default(),
        upstream,
        endpoint: None,
        errors: errors.cloned(),
        enforce: Enforce::default(),
        dangerous_path: false,
    };
    if value.is_scalar() {
        let require = requirements.read(value, &parameters);
        return Some(short(require?, only(upstreams, value)?));
    }
    let fields = Fields::open(value, &shape::route::ROUTE)?;
    let name = fields
        .value("name")
        .and_then(|value| value.read(|text| names::check_label(text).map(|()| Box::from(text))));
    let require = fields.value("require").and_then(|value| requirements.read(value, &parameters));
    let forward = fields.value("forward").and_then(forward::forward).unwrap_or_default();
    let cors = fields.value("cors").and_then(forward::cors);
    let websocket = fields.value("websocket").and_then(forward::websocket).unwrap_or_default();
    let streams = fields.value("streams").and_then(streams::streams).unwrap_or_default();
    let upstream = match fields.value("upstream") {
        Some(value) => upstreams.find(value),
        None => only(upstreams, value),
    };
    let own = fields.value("errors").and_then(errors::of_routes);
    let errors = errors::merged(own, errors);
    fields.word_of("on_stale_revocations");
    let (enforce, dangerous_path) = (fields.choice("enforce"), fields.flag("dangerous_path"));
    warn_unfilled(&fields, require.as_ref(), &forward);
    let route = short(require?, upstream?);
    let name = name.unwrap_or_else(|| route.name.clone());
    Some(Route { name, forward, cors, websocket, streams, errors, enforce, dangerous_path, ..route })
}

/// The upstream of a route that names none: the only one.
fn only(upstreams: &Names<'_>, value: Value<'_>) -> Option<usize> {
    match upstreams.len() {
        // Said once, for the file.
        0 => None,
        1 => Some(0),
        _ => {
            let what =
                format!("missing key `upstream` in the route {}: there are several upstreams", value.name());
            value
                .report
                .problem(Problem::new(value.at(), what).hint("name one: `{require: …, upstream: orders}`"));
            None
        }
    }
}

/// Headers of a public route are never filled, and its streams have no token: whoever wrote them expected otherwise.
fn warn_unfilled(fields: &Fields<'_>, require: Option<&Require>, forward: &Forward) {
    if require != Some(&Require::Public) {
        return;
    }
    if let (false, Some(entry)) = (forward.headers.is_empty(), fields.entry("forward")) {
        let problem = Problem::new(entry.at, "a public route has no identity to forward");
        fields.report.warning(problem.hint("these headers are removed from requests and never set"));
    }
    if let Some(entry) = fields.entry("streams") {
        let problem = Problem::new(entry.at, "the streams of a public route have no token that could die");
        fields.report.warning(problem.hint("leave the key out, or require something"));
    }
}
