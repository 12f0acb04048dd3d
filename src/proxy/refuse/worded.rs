//! A refusal in a route's own words: the template of its reason, filled in.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::config::endpoint::Errors;
use crate::config::template::Source;
use crate::gate::denial::{Advice, Denial};
use crate::mint::NoEntropy;
use crate::mint::opaque;
use crate::mint::template::{render, render_text};
use crate::proxy::refuse::operation::{Said, allowed, message};
use crate::proxy::refuse::{
    Addition, Digits, Manner, RETRY_AFTER, append, challenge, finish, is_writable, line, phrase,
};
use crate::proxy::worker::now;

/// A template, filled in.
#[derive(Debug)]
pub(in crate::proxy) struct Worded {
    status: u16,
    headers: Vec<(Box<str>, String)>,
    /// Of this type.
    body: Option<(&'static str, String)>,
}

impl Worded {
    /// `None` where the route has no words for this reason, or they have a hole that nothing fills: it is answered as it
    /// would be without.
    pub(super) fn of(denial: &Denial, errors: &Errors, said: Option<Said>, id: &str) -> Option<Self> {
        let template = errors.find(denial.reason.code())?;
        let fill = |source: &Source| fill(source, denial, id);
        let body = match &template.body {
            Some(body) => Some(render(body, &fill)?),
            None => None,
        };
        let mut headers = Vec::with_capacity(template.headers.len());
        for (name, value) in &template.headers {
            let value = render_text(value, &fill)?;
            if is_writable(name, &value) {
                headers.push((name.clone(), value));
            }
        }
        let status = said.map_or(denial.reason.status(), |said| said.status(denial));
        let status = template.status.unwrap_or(status);
        let body = body.map(|body| match said {
            Some(said) => said.form(|_| body.clone(), denial, status),
            None => ("application/json", body.to_string()),
        });
        Some(Self { status, headers, body })
    }

    /// The first error of GraphQL that it tells, for whoever is told one by one.
    pub(in crate::proxy) fn error(denial: &Denial, errors: &Errors, id: &str) -> Option<Value> {
        let body = errors.find(denial.reason.code())?.body.as_ref()?;
        let mut body = render(body, &|source| fill(source, denial, id))?;
        let error = body.pointer_mut("/errors/0").filter(|error| error.is_object());
        error.map(Value::take)
    }

    /// Appends it, and says its status.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        denial: &Denial,
        addition: Addition<'_>,
        manner: Manner,
    ) -> u16 {
        let named = |name: &str| self.headers.iter().any(|(known, _)| **known == *name);
        let (media, body) = self.body.as_ref().map_or(("", ""), |(media, body)| (*media, body.as_str()));
        append(out, &["HTTP/1.1 ", Digits::of(self.status.into()).text(), " ", phrase(self.status), "\r\n"]);
        if self.status != 204 {
            line(out, "content-length", Digits::of(body.len()).text());
        }
        if self.body.is_some() && !named("content-type") {
            line(out, "content-type", media);
        }
        if !named("cache-control") {
            line(out, "cache-control", "no-store");
        }
        for (name, value) in &self.headers {
            line(out, name, value);
        }
        challenge(out, denial, self.status, addition);
        if let Some(methods) = allowed(denial) {
            line(out, "allow", methods);
        }
        if self.status == 503 && !named("retry-after") {
            line(out, "retry-after", RETRY_AFTER);
        }
        finish(out, addition.cors, manner.close);
        if !manner.to_head && self.status != 204 {
            append(out, &[body]);
        }
        self.status
    }
}

/// What there is to say of a refusal. Nothing of the request's own goes into it.
fn fill(source: &Source, denial: &Denial, id: &str) -> Option<Value> {
    match source {
        Source::Message => Some(message(denial).into()),
        Source::Reason => Some(denial.reason.code().into()),
        Source::RequestId => Some(id.into()),
        Source::Scope => match &denial.advice {
            Advice::Scope(scope) => Some(scope.as_str().into()),
            // As an endpoint's: a template for all reasons says nothing of scopes where there are none.
            Advice::None | Advice::Allow(_) | Advice::InvalidRequest | Advice::Operation(_) => {
                Some("".into())
            }
        },
        Source::Now => Some(now().0.into()),
        Source::Uuid => opaque::uuid(&mut entropy).ok().map(Value::from),
        Source::Random(characters) => {
            let text = opaque::alphanumeric(*characters, &mut entropy).ok()?;
            Some(text.as_str().into())
        }
        Source::Credential(_)
        | Source::Body(_)
        | Source::Path(_)
        | Source::Query(_)
        | Source::Header(_)
        | Source::Subject
        | Source::Scopes
        | Source::Session
        | Source::Token(_)
        | Source::Expires(_)
        | Source::Lifetime(_) => None,
    }
}

fn entropy(octets: &mut [u8]) -> Result<(), NoEntropy> {
    aws_lc_rs::rand::fill(octets).map_err(|_| NoEntropy)
}
