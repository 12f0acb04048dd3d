//! One request as a person describes it, put through what the gateway puts it through.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::endpoint::Errors;
use crate::config::limits::Limits;
use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::explain::{self, Outcome};
use crate::gate::websocket::Handshake;
use crate::gate::{Field, Request};
use crate::http1::head::{self, HeadLimits, RequestError, RequestHead, Span};
use crate::path;
use crate::snapshot::Snapshot;
use crate::token::NumericDate;

/// A request head, as octets: what the description comes to on the wire.
#[derive(Debug, Clone)]
pub struct Described {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// What was decided, and how.
#[derive(Debug, Clone)]
pub struct Told {
    /// Each step that was passed and with what.
    pub steps: Vec<(&'static str, String)>,
    /// How it ended.
    pub verdict: Verdict,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the upstream.
    Allowed(Allowed),
    /// One of the gateway's own endpoints answers it.
    Answered {
        /// The route's name.
        route: String,
        /// The endpoint's.
        endpoint: String,
        /// The name of the issuer of its token, if it needs one.
        issuer: Option<String>,
        /// That token's subject, if it has one.
        subject: Option<String>,
    },
    /// It is answered here, as a CORS preflight of this route.
    Preflight(String),
    /// Its handshake answered here: GraphQL over a WebSocket, on this route.
    Conversation(String),
    /// It is refused.
    Refused {
        /// With this.
        reason: Reason,
        /// Answered with this status, which a route may choose.
        status: u16,
        /// And this in the log.
        detail: String,
    },
}

/// Who was let in where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The route's name.
    pub route: String,
    /// The issuer's name, unless nothing was asked for.
    pub issuer: Option<String>,
    /// The token's subject, if it has one.
    pub subject: Option<String>,
    /// The identity headers that are set.
    pub headers: Vec<(String, String)>,
    /// What it would have been refused with, were the route not in shadow.
    pub shadow: Option<Reason>,
}

impl Verdict {
    /// The status that it is refused with, if it is.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Allowed(_) | Self::Answered { .. } | Self::Preflight(_) | Self::Conversation(_) => None,
        }
    }

    /// Why it is refused, if it is.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            Self::Allowed(_) | Self::Answered { .. } | Self::Preflight(_) | Self::Conversation(_) => None,
        }
    }
}

impl Verdict {
    fn of(outcome: Outcome, all: Option<&Errors>) -> Self {
        match outcome {
            Outcome::Allowed { route, issuer, subject, headers, shadow } => {
                let headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
                let shadow = shadow.map(|denial| denial.reason);
                Self::Allowed(Allowed { route, issuer, subject, headers, shadow })
            }
            Outcome::Endpoint { refused: Some(denial), .. } => {
                let (reason, status) = (denial.reason, denial.reason.status());
                Self::Refused { reason, status, detail: denial.detail.into_owned() }
            }
            Outcome::Endpoint { route, endpoint, issuer, subject, refused: None } => {
                Self::Answered { route, endpoint, issuer, subject }
            }
            Outcome::Preflight { route } => Self::Preflight(route),
            Outcome::Conversation { route } => Self::Conversation(route),
            Outcome::Refused(refusal) => {
                let status = status(&refusal, all);
                let Denial { reason, detail, .. } = refusal.denial;
                Self::Refused { reason, status, detail: detail.into_owned() }
            }
        }
    }
}

impl Described {
    /// Describes a request: `url` is a path with or without a query, or a whole `http://` URL. What cannot be
    /// written as one request is an error; what can is decided, however odd.
    pub fn new(method: &str, url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let (host, target) = split(url)?;
        let named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if named && host.is_some() {
            return Err("the URL and a Host header both name a host".to_owned());
        }
        let mut lines = vec![format!("{method} {target} HTTP/1.1")];
        if !named {
            lines.push(format!("Host: {}", host.unwrap_or("localhost")));
        }
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if lines.iter().any(|line| line.contains(['\r', '\n', '\0'])) {
            return Err("a line break cannot stand in a request line or a header".to_owned());
        }
        Ok(Self { head: (lines.join("\r\n") + "\r\n\r\n").into_bytes(), body: Vec::new() })
    }

    /// The same with a body, for what looks into bodies.
    #[must_use]
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        if !body.is_empty() {
            // The head says how long it is, as a client's would.
            let end = self.head.len().saturating_sub(b"\r\n".len());
            self.head.splice(end..end, format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        Self { body, ..self }
    }

    /// Reads it as the gateway would, decides it against `snapshot` at `now`, and tells every step.
    pub fn explain(&self, limits: &Limits, snapshot: &Snapshot, now: NumericDate) -> Told {
        let bounds =
            HeadLimits { line: limits.header_line, total: limits.header_total, lines: limits.headers };
        let mut head = RequestHead::default();
        match head.read(&self.head, &bounds) {
            Ok(true) => {}
            Ok(false) => return refused("the head does not end".to_owned(), Reason::MalformedRequest),
            Err(error) => return refused(error.to_string(), reason(error)),
        }
        let text = |span: &Span| head::text(&self.head, span);
        let path = match path::canonical(text(&head.path)) {
            Ok(path) => path,
            Err(error) => return refused(error.to_string(), Reason::MalformedRequest),
        };
        let host = text(&head.host).to_ascii_lowercase();
        let field = |line: &head::Line| Field {
            name: head::octets(&self.head, &line.name),
            value: head::octets(&self.head, &line.value),
        };
        let headers: Vec<Field<'_>> = head.lines.iter().map(field).collect();
        let request = Request {
            method: text(&head.method),
            host: host.strip_suffix('.').unwrap_or(&host),
            path,
            query: head.query.as_ref().map(text),
            headers: &headers,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            websocket: head
                .websocket
                .as_ref()
                .map(|_| Handshake { authority: text(&head.authority), secure: false }),
            tls: None,
            presented: None,
            message: None,
        };
        let explanation = explain::explain_with(snapshot, &request, &self.body, now);
        Told { steps: explanation.steps, verdict: Verdict::of(explanation.outcome, snapshot.routes.errors()) }
    }
}

/// Takes `url` apart into the host it names, if it does, and the request target.
fn split(url: &str) -> Result<(Option<&str>, &str), String> {
    if url.starts_with('/') {
        return Ok((None, url));
    }
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or("a URL begins with \"/\", \"http://\" or \"https://\"")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    match target {
        "" => Ok((Some(host), "/")),
        _ if target.starts_with('?') => Err("a URL with a query needs a path before it".to_owned()),
        _ => Ok((Some(host), target)),
    }
}

/// Refused before there was a request to decide.
fn refused(detail: String, reason: Reason) -> Told {
    Told { steps: Vec::new(), verdict: Verdict::Refused { reason, status: reason.status(), detail } }
}

/// The status that a refusal is answered with: of the route's own words, of `compat`, or its own.
fn status(refusal: &Refusal, all: Option<&Errors>) -> u16 {
    let Refusal { denial, route, .. } = refusal;
    let own = denial.reason.status();
    let compat =
        route.as_ref().and_then(|route| route.graphql.as_ref()).is_some_and(|rules| rules.config.compat);
    let errors = route.as_ref().map_or(all, |route| route.config.errors.as_deref());
    let words = errors.and_then(|errors| errors.find(denial.reason.code()));
    words.and_then(|words| words.status).unwrap_or(if compat { 200 } else { own })
}

fn reason(error: RequestError) -> Reason {
    match error {
        RequestError::Malformed(_) | RequestError::Upgrade => Reason::MalformedRequest,
        RequestError::TooLarge => Reason::HeadersTooLarge,
        RequestError::Method => Reason::MethodNotAllowed,
        RequestError::Expectation => Reason::ExpectationFailed,
    }
}

#[cfg(test)]
mod tests;
