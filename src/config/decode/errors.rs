//! `answer` and `errors`: what is answered, with holes.

use std::sync::Arc;

use crate::config::decode::fields::Fields;
use crate::config::decode::templates::Place;
use crate::config::decode::value::Value;
use crate::config::endpoint::{Answer, Errors, REASONS, ROUTE_REASONS};
use crate::config::net;
use crate::config::problems::{Problem, Wrong, closest, quoted};
use crate::config::shape;
use crate::config::template::Text;

/// Reads an answer.
pub(crate) fn answer(value: Value<'_>, place: &Place<'_>) -> Option<Answer> {
    let fields = Fields::open(value, &shape::endpoint::ANSWER)?;
    let status = fields.entry("status").and_then(|_| u16::try_from(fields.whole("status")).ok());
    let mut headers: Vec<(Box<str>, Text)> = Vec::new();
    for entry in fields.value("headers").map(|value| value.named("x-kind: token")).unwrap_or_default() {
        if let Err(wrong) = net::header_name(&entry.key).and_then(|()| check_ours(&entry.key)) {
            let problem = Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what));
            fields.report.problem(Problem { hint: wrong.hint, ..problem });
        }
        let text = place.text(Value::of(entry, fields.report));
        let clean = text.filter(|text| {
            let clean = !text.written().chars().any(char::is_control);
            if !clean {
                Value::of(entry, fields.report).problem("a header holds a control character");
            }
            clean
        });
        headers.push((entry.key.to_ascii_lowercase().into(), clean?));
    }
    let body = match fields.value("body") {
        Some(value) => Some(place.template(value)?),
        None if fields.entry("body").is_some() => return None,
        None => None,
    };
    if let (Some(_), Some(status @ (204 | 205 | 304))) = (&body, status) {
        value.problem(format!("an answer of status {status} has no body"));
    }
    Some(Answer { status, headers, body })
}

/// What frames an answer is written by whoever writes it down.
fn check_ours(name: &str) -> Result<(), Wrong> {
    let lower = name.to_ascii_lowercase();
    let ours = [
        "connection",
        "content-length",
        "transfer-encoding",
        "date",
        "keep-alive",
        "upgrade",
        "trailer",
        "te",
    ];
    if ours.contains(&&*lower) || lower.starts_with("access-control-") || lower.starts_with("proxy-") {
        return Err(Wrong::is("is a header that the gateway writes itself"));
    }
    Ok(())
}

/// Reads `errors` of a route or of the file. The reasons are those of refusals.
pub(crate) fn of_routes(value: Value<'_>) -> Option<Arc<Errors>> {
    errors(value, &[], &[])
}

/// Reads `errors` of an endpoint, whose `require` has reasons of its own.
pub(crate) fn of_endpoint(value: Value<'_>, own: &[&str]) -> Option<Arc<Errors>> {
    let reasons: Vec<&str> = REASONS.iter().map(|(name, ..)| *name).collect();
    errors(value, &reasons, own)
}

fn errors(value: Value<'_>, reasons: &[&str], own: &[&str]) -> Option<Arc<Errors>> {
    let mut errors = Vec::new();
    let known = || reasons.iter().chain(own).chain(ROUTE_REASONS).copied();
    for entry in value.named("\"*\": {body: {message: \"{message}\"}}") {
        if &*entry.key != "*" && !known().any(|reason| *reason == *entry.key) {
            let problem =
                Problem::new(entry.at, format!("{} is no reason of a refusal here", quoted(&entry.key)));
            value.report.problem(match closest(&entry.key, known()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("`*` is for all that are not named"),
            });
        }
        if let Some(answer) = answer(Value::of(entry, value.report), &Place::ERROR) {
            errors.push((Box::from(&*entry.key), answer));
        }
    }
    Some(Arc::new(Errors(errors)))
}

/// The errors of a route in a file that has some: the route's own go before.
pub(crate) fn merged(own: Option<Arc<Errors>>, file: Option<&Arc<Errors>>) -> Option<Arc<Errors>> {
    let (Some(own), Some(file)) = (&own, file) else { return own.or_else(|| file.cloned()) };
    let mut all = own.0.clone();
    if !all.iter().any(|(reason, _)| &**reason == "*") {
        let others = file.0.iter().filter(|(reason, _)| own.0.iter().all(|(known, _)| known != reason));
        all.extend(others.cloned());
    }
    Some(Arc::new(Errors(all)))
}
