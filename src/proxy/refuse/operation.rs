//! Refusals as clients of GraphQL expect them: a list of errors, and no data.
//!
//! The statuses are those of any refusal (GraphQL over HTTP, section "Status codes"); who cannot live with them has the
//! older habit of 200 for everything. A client that reads events gets what concerns its operation as an event: it takes
//! nothing else for an answer.

use serde_json::{Map, Value, json};

use crate::config::graphql::GraphQl;
use crate::gate::denial::{Advice, Denial, Reason};
use crate::graphql::accepted::Accepted;
use crate::graphql::rejected::{Kind, Rejected};
use crate::proxy::refuse::{
    Addition, Digits, Manner, RETRY_AFTER, append, challenge, finish, line, phrase, title,
};

#[cfg(test)]
mod tests;

/// How a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Said {
    media: Media,
    compat: bool,
    pub(super) show_scopes: bool,
}

/// What the answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    /// `application/graphql-response+json`.
    Response,
    /// `application/json`.
    Json,
    /// `text/event-stream`: one event, and the end (graphql-sse, "distinct connections mode").
    Events,
}

impl Said {
    /// By what the request accepts, each line one. What is equally welcome goes in the order of [`Media`].
    pub(in crate::proxy) fn of<'a>(accepted: impl Iterator<Item = &'a [u8]>, config: &GraphQl) -> Self {
        let Accepted { response, json, events } = Accepted::of(accepted);
        let response = if config.compat { 0 } else { response };
        let media = if response > 0 && response >= json.max(events) {
            Media::Response
        } else if events > json {
            Media::Events
        } else {
            Media::Json
        };
        Self { media, compat: config.compat, show_scopes: config.show_scopes }
    }

    /// The same for a client that goes by statuses alone, whatever the route says.
    pub(in crate::proxy) fn by_status(self) -> Self {
        let media = match self.media {
            Media::Response | Media::Json => self.media,
            Media::Events => Media::Json,
        };
        Self { media, compat: false, ..self }
    }

    /// Appends the answer, and says its status.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        denial: &Denial,
        (id, addition): (&str, Addition<'_>),
        manner: Manner,
    ) -> u16 {
        let as_event = self.by_event(denial);
        let status = match self.compat || as_event || asks_for_the_document(denial) {
            true => 200,
            false => denial.reason.status(),
        };
        let (media, body) = self.form(|place| self.errors(denial, id, place), denial, status);
        append(out, &["HTTP/1.1 ", Digits::of(status.into()).text(), " ", phrase(status), "\r\n"]);
        line(out, "content-type", media);
        line(out, "content-length", Digits::of(body.len()).text());
        line(out, "cache-control", "no-store");
        if !as_event {
            challenge(out, denial, status, addition);
        }
        if let Some(methods) = allowed(denial) {
            line(out, "allow", methods);
        }
        if denial.reason.status() == 503 {
            line(out, "retry-after", RETRY_AFTER);
        }
        finish(out, addition.cors, manner.close);
        if !manner.to_head {
            append(out, &[&body]);
        }
        status
    }

    /// Whether it is told by an event. Where every answer is 200, a reader of events would take any other for a stream that
    /// broke off.
    fn by_event(self, denial: &Denial) -> bool {
        self.media == Media::Events && (self.compat || is_of_the_operation(denial))
    }

    /// The status of a refusal in a route's own words that name none.
    pub(super) fn status(self, denial: &Denial) -> u16 {
        if self.compat || self.by_event(denial) { 200 } else { denial.reason.status() }
    }

    /// The type of an answer with this status, and its octets: by an event, or as often as there were operations; `answer` is that
    /// to the one of this place.
    pub(super) fn form(
        self,
        answer: impl Fn(usize) -> Value,
        denial: &Denial,
        status: u16,
    ) -> (&'static str, String) {
        if self.by_event(denial) && status == 200 {
            let event = format!("event: next\ndata: {}\n\nevent: complete\ndata:\n\n", answer(0));
            return ("text/event-stream", event);
        }
        let media = match self.media {
            Media::Response if is_graphql(denial) => "application/graphql-response+json; charset=utf-8",
            Media::Response | Media::Json | Media::Events => "application/json; charset=utf-8",
        };
        // Where the status says nothing, clients look for the answer to each of a list.
        let body = match denial.list() {
            list @ 1.. if status == 200 => (0..list).map(answer).collect(),
            _ => answer(0),
        };
        (media, body.to_string() + "\n")
    }

    /// The answer to the operation of this place: one error, and what servers of old say of data.
    fn errors(self, denial: &Denial, id: &str, place: usize) -> Value {
        let mut error = error(denial, id, self.show_scopes);
        if !self.compat {
            return json!({"errors": [error]});
        }
        let keys = denial.whole.as_ref().and_then(|whole| whole.keys.get(place));
        let keys = keys.map(Vec::as_slice).unwrap_or_default();
        // Which of a list it was is not known here.
        if let Some(first) = keys.first()
            && denial.list() < 2
        {
            error["path"] = json!([first]);
        }
        let data: Map<String, Value> = keys.iter().map(|key| (key.to_string(), Value::Null)).collect();
        let data = if data.is_empty() { Value::Null } else { data.into() };
        json!({"errors": [error], "data": data})
    }
}

/// A refusal as an error of GraphQL.
pub(in crate::proxy) fn error(denial: &Denial, id: &str, show_scopes: bool) -> Value {
    let mut extensions = json!({
        "code": code(denial),
        "reason": denial.reason.code(),
        "request_id": id,
    });
    if let Advice::Scope(scopes) = &denial.advice
        && show_scopes
    {
        extensions["requiredScopes"] = scopes.split(' ').collect();
    }
    json!({"message": message(denial), "extensions": extensions})
}

/// Whether it is the answer that makes a client send the document whose hash it has sent.
pub(super) fn asks_for_the_document(denial: &Denial) -> bool {
    matches!(&denial.advice, Advice::Operation(rejected) if rejected.kind == Kind::NotFound)
}

/// The methods that are allowed, where another was used.
pub(super) fn allowed(denial: &Denial) -> Option<&str> {
    match &denial.advice {
        Advice::Allow(methods) => Some(methods),
        Advice::Operation(rejected) if rejected.kind == Kind::Method => Some("POST"),
        Advice::None | Advice::Scope(_) | Advice::InvalidRequest | Advice::Operation(_) => None,
    }
}

/// What is said of it in words.
pub(super) fn message(denial: &Denial) -> &str {
    match &denial.advice {
        Advice::Operation(rejected) => &rejected.message,
        Advice::None | Advice::Scope(_) | Advice::Allow(_) | Advice::InvalidRequest => title(denial.reason),
    }
}

/// `extensions.code`.
fn code(denial: &Denial) -> String {
    match (&denial.advice, denial.reason.status()) {
        (Advice::Operation(rejected), _) => rejected.code.to_owned(),
        (_, 401) => "UNAUTHENTICATED".to_owned(),
        (_, 403) => "FORBIDDEN".to_owned(),
        (_, _) => denial.reason.code().to_ascii_uppercase(),
    }
}

/// Whether it answers a well-formed request of GraphQL: what keeps a request from being one has no answer of that type
/// (GraphQL over HTTP, section "Media Types").
fn is_graphql(denial: &Denial) -> bool {
    match &denial.advice {
        Advice::Operation(rejected) => is_of_the_document(rejected),
        Advice::None | Advice::Scope(_) | Advice::Allow(_) | Advice::InvalidRequest => {
            matches!(denial.reason.status(), 401 | 403)
        }
    }
}

/// Whether it is about what the operation asks for, and neither about who asks nor about how.
fn is_of_the_operation(denial: &Denial) -> bool {
    match &denial.advice {
        Advice::Operation(rejected) => is_of_the_document(rejected),
        Advice::None | Advice::Scope(_) | Advice::Allow(_) | Advice::InvalidRequest => {
            [Reason::InsufficientScope, Reason::ConditionFailed].contains(&denial.reason)
        }
    }
}

fn is_of_the_document(rejected: &Rejected) -> bool {
    match rejected.kind {
        Kind::Rejected => !["BAD_REQUEST", "CSRF_ERROR"].contains(&rejected.code),
        Kind::NotFound => true,
        Kind::TooLarge | Kind::MediaType | Kind::Method => false,
    }
}
