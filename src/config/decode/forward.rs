//! `forward`, `cors` and `websocket` of a route: what the upstream and the browser are told.

use std::collections::HashMap;

use crate::config::decode::fields::Fields;
use crate::config::decode::issuers::selector;
use crate::config::decode::value::Value;
use crate::config::forward::{ArrayForm, Forward, ForwardHeader};
use crate::config::problems::{Problem, Wrong, quoted};
use crate::config::raw::Entry;
use crate::config::shape;
use crate::config::websocket::WebSocket;
use crate::config::{Cors, net};

/// Reads `forward`.
pub(crate) fn forward(value: Value<'_>) -> Option<Forward> {
    let fields = Fields::open(value, &shape::route::FORWARD)?;
    let entries = fields.value("headers").map(|value| value.named("X-Subject: sub")).unwrap_or_default();
    let mut seen: HashMap<String, &str> = HashMap::new();
    let mut headers = Vec::with_capacity(entries.len());
    for entry in entries {
        let blame = |wrong: Wrong| {
            let problem = Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what));
            value.report.problem(Problem { hint: wrong.hint, ..problem });
        };
        if let Err(wrong) = net::header_name(&entry.key).and_then(|()| check_identity(&entry.key)) {
            blame(wrong);
        }
        if let Some(other) = seen.insert(net::folded(&entry.key), &entry.key) {
            blame(Wrong::is(format!("is the same header as {} to many servers", quoted(other))));
        }
        headers.extend(header(entry, Value::of(entry, value.report)));
    }
    Some(Forward { headers, keep_authorization: fields.word_of("authorization") == Some("keep") })
}

fn header(entry: &Entry, value: Value<'_>) -> Option<ForwardHeader> {
    let is_long = value.node.get("claim").is_some() || value.node.get("array").is_some();
    let (claim, array) = if is_long {
        let fields = Fields::open(value, &shape::route::HEADER)?;
        let array = fields.choice("array");
        (fields.value("claim").and_then(selector)?, array)
    } else {
        (selector(value)?, ArrayForm::default())
    };
    Some(ForwardHeader { name: Box::from(&*entry.key), claim, array })
}

/// An identity header is removed from every request: none that a request needs may be one, and none that the
/// gateway writes itself.
fn check_identity(name: &str) -> Result<(), Wrong> {
    let folded = net::folded(name);
    let rebuilt =
        ["x-forwarded-", "proxy-", "access-control-", "sec-"].iter().any(|start| folded.starts_with(start));
    if rebuilt || CONTROLLED.contains(&folded.as_str()) {
        return Err(Wrong::is("is a header that the gateway controls or the request needs")
            .hint("choose a name of your own, such as `X-Subject`"));
    }
    Ok(())
}

/// Reads `cors`.
pub(crate) fn cors(value: Value<'_>) -> Option<Cors> {
    let fields = Fields::open(value, &shape::route::CORS)?;
    let given = fields.value("origins")?.some();
    let mut origins: Vec<Box<str>> = Vec::with_capacity(given.len());
    for value in &given {
        let origin = value.read(|text| match text {
            "*" if given.len() > 1 => Err(Wrong::is("stands beside other origins").hint("`*` stands alone")),
            "*" => Ok(text.into()),
            _ => net::origin(text).map(|()| text.into()),
        });
        origins.extend(origin);
    }
    let every = origins.iter().any(|origin| &**origin == "*");
    let credentials = fields.flag("credentials");
    if let (true, true, Some(entry)) = (every, credentials, fields.entry("credentials")) {
        // Fetch standard, "CORS protocol and credentials": browsers refuse the pair, and reflecting the origin
        // instead would give every site the user's session.
        let problem = Problem::new(entry.at, "`origins: \"*\"` with `credentials: true`");
        value.report.problem(problem.hint("name the origins, or set `credentials: false`"));
    }
    Some(Cors {
        origins,
        credentials: credentials && !every,
        headers: header_names(&fields, "headers"),
        expose: header_names(&fields, "expose"),
        max_age: fields.duration("max_age"),
    })
}

/// Reads `websocket`.
pub(crate) fn websocket(value: Value<'_>) -> Option<WebSocket> {
    if value.is_scalar() {
        return match value.choice(&["same_origin", "none", "any"], &[])? {
            0 => Some(WebSocket::SameOrigin),
            1 => Some(WebSocket::Never),
            _ => Some(WebSocket::Any),
        };
    }
    let fields = Fields::open(value, &shape::route::WEBSOCKET)?;
    let origin = |text: &str| match text {
        "*" => Err(Wrong::is("is no origin").hint("write `websocket: any` for pages of every origin")),
        _ => net::origin(text).map(|()| Box::from(text)),
    };
    let origins = fields.value("origins")?.some();
    Some(WebSocket::Origins(origins.into_iter().filter_map(|value| value.read(origin)).collect()))
}

fn header_names(fields: &Fields<'_>, name: &str) -> Vec<Box<str>> {
    let read = |text: &str| {
        if text == "*" {
            return Err(
                Wrong::is("does not stand for every header when there are credentials").hint("name them")
            );
        }
        net::header_name(text).map(|()| text.to_ascii_lowercase().into())
    };
    match fields.value(name) {
        Some(value) => value.list().into_iter().filter_map(|value| value.read(read)).collect(),
        None => fields.default(name).words().into_iter().map(Box::from).collect(),
    }
}

/// Folded. Framing and routing (RFC 9110 sections 7.2, 7.6.1 and 8.6), credentials, what the gateway rebuilds,
/// and what describes the body or the browser.
const CONTROLLED: [&str; 27] = [
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "keep-alive",
    "max-forwards",
    "origin",
    "range",
    "referer",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-request-id",
];
