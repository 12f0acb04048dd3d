//! What an endpoint answers: by the configuration's templates, and without any as the standards have it.

use serde_json::{Value, json};

use crate::authority::filling::{Filling, Why};
use crate::authority::request::{Asked, Body};
use crate::config::endpoint::{Answer, REASONS};
use crate::gate::call::{Answered, Call};
use crate::gate::denial::Reason;
use crate::mint::template;

/// Why an endpoint refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its code: of [`REASONS`], or one that `require` names.
    pub reason: Box<str>,
    /// The scope that was refused.
    pub scope: Option<Box<str>>,
    /// After how many seconds it makes sense to ask again.
    pub retry_after: Option<u64>,
    /// The challenge of a 401 (RFC 9110 section 11.6.1).
    pub challenge: Option<&'static str>,
    /// Another code of the standards than the reason's own.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// Of this reason, one of [`REASONS`].
    pub fn new(reason: &str) -> Self {
        Self { reason: reason.into(), scope: None, retry_after: None, challenge: None, code: None }
    }

    /// With this code of RFC 6749 section 5.2, or 8693 section 2.2.2.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The request is none that this endpoint takes.
    pub fn bad_request() -> Self {
        Self::new("bad_request")
    }

    /// The token does not count.
    pub fn bad_token() -> Self {
        Self::new("bad_token")
    }

    /// A fault of ours.
    pub fn internal() -> Self {
        Self::new("internal")
    }
}

/// `Basic` was used, or could be (RFC 6749 section 5.2, RFC 7617).
pub const BASIC: &str = "Basic realm=\"portcullis\", charset=\"UTF-8\"";

/// A bearer token is the credential (RFC 6750 section 3).
pub const BEARER: &str = "Bearer realm=\"portcullis\"";

/// What an endpoint did, in words of its own.
pub struct Done {
    /// Without a template: as the standards have it.
    pub body: Option<Value>,
    /// Lines of the head that its answer has, whatever its body.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// The answer to what was done.
pub fn done(call: &Call, filling: &Filling<'_>, done: Done) -> Result<Answered, Refusal> {
    let Done { body, mut headers } = done;
    let Some(answer) = &call.endpoint.answer else {
        let body = body.map(|body| body.to_string().into_bytes());
        if body.is_some() && !headers.iter().any(|(name, _)| **name == *CONTENT_TYPE) {
            headers.push((CONTENT_TYPE.into(), JSON.into()));
        }
        return Ok(Answered { status: 200, headers, body: body.unwrap_or_default(), result: SUCCESS });
    };
    // What it cannot be filled with came with the request, or is missing in it.
    let mut answered = templated(answer, filling, 200, SUCCESS).ok_or_else(Refusal::bad_request)?;
    answered.headers.extend(headers.into_iter().filter(|(name, _)| **name != *CONTENT_TYPE));
    Ok(answered)
}

/// The answer to what was refused.
pub fn refused(call: &Call, body: Option<&Body>, refusal: &Refusal, now: i64) -> Answered {
    let (result, status, code, message) = known(&refusal.reason);
    let code = refusal.code.unwrap_or(code);
    let empty = Body::Empty;
    let mut filling = Filling::new(Some(Asked::new(call, body.unwrap_or(&empty))), now);
    filling.refusal = Some(Why {
        reason: &refusal.reason,
        message,
        scope: Some(refusal.scope.as_deref().unwrap_or_default()),
    });
    // A template that cannot be filled is no reason to say nothing.
    let template = call.endpoint.errors.find(&refusal.reason);
    let mut answered =
        template.and_then(|answer| templated(answer, &filling, status, result)).unwrap_or_else(|| {
            let members = json!({"error": code, "error_description": message});
            let headers = vec![(CONTENT_TYPE.into(), JSON.into())];
            Answered { status, headers, body: members.to_string().into_bytes(), result }
        });
    let mut add = |name: &str, value: String| {
        if !answered.headers.iter().any(|(known, _)| **known == *name) {
            answered.headers.push((name.into(), value.into()));
        }
    };
    if let Some(seconds) = refusal.retry_after {
        add("retry-after", seconds.to_string());
    }
    if let (Some(challenge), 401) = (refusal.challenge, answered.status) {
        answered.headers.retain(|(known, _)| **known != *"www-authenticate");
        answered.headers.push(("www-authenticate".into(), challenge.into()));
    }
    answered
}

/// The answer where the gate did not let the caller through: worded by the same templates, by the gate's own code where a
/// template names it, else by the endpoint's.
pub fn by_gate(call: &Call, reason: Reason) -> Refusal {
    let named = call.endpoint.errors.0.iter().any(|(known, _)| **known == *reason.code());
    let ours = match reason {
        Reason::NoCredentials => "missing_credential",
        Reason::MalformedRequest
        | Reason::ManyCredentials
        | Reason::GraphqlRejected
        | Reason::UnsupportedMediaType
        | Reason::UnknownStream
        | Reason::BodyTooLarge => "bad_request",
        Reason::Overloaded | Reason::KeysUnavailable => "overloaded",
        Reason::Internal => "internal",
        Reason::MalformedToken
        | Reason::UntrustedIssuer
        | Reason::UnknownKey
        | Reason::BadSignature
        | Reason::Expired
        | Reason::NotYetValid
        | Reason::LivesTooLong
        | Reason::WrongAudience
        | Reason::WrongType
        | Reason::MissingClaim
        | Reason::Revoked
        | Reason::InsufficientScope
        | Reason::ConditionFailed
        | Reason::NoRoute
        | Reason::MethodNotAllowed
        | Reason::ExpectationFailed
        | Reason::Misdirected
        | Reason::RequestTimeout
        | Reason::HeadersTooLarge
        | Reason::UpstreamFailed
        | Reason::UpstreamTimeout => "bad_credential",
    };
    let challenge = match ours {
        "missing_credential" => Some(BEARER),
        "bad_credential" => Some(BEARER_INVALID),
        _ => None,
    };
    let retry_after = (ours == "overloaded").then_some(1);
    let mut refusal = Refusal::new(if named { reason.code() } else { ours });
    refusal.challenge = challenge;
    refusal.retry_after = retry_after;
    refusal
}

/// The label, the status, the code and the words of a reason. What `require` names by itself is a bad request.
fn known(reason: &str) -> (&'static str, u16, &'static str, &'static str) {
    let of = |name: &str| REASONS.iter().find(|(known, ..)| *known == name).copied();
    if let Some(known) = of(reason) {
        return known;
    }
    let (result, status) = match Reason::from_code(reason) {
        Some(reason) => ("bad_credential", Some(reason.status())),
        None => ("bad_request", None),
    };
    let (label, usual, code, message) =
        of(result).unwrap_or(("internal", 500, "server_error", "An internal fault"));
    (label, status.unwrap_or(usual), code, message)
}

fn templated(answer: &Answer, filling: &Filling<'_>, usual: u16, result: &'static str) -> Option<Answered> {
    let fill = |source: &_| filling.get(source);
    let mut headers: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(answer.headers.len() + 1);
    for (name, text) in &answer.headers {
        let value = template::render_text(text, &fill)?;
        // A value that came with the request must not begin another line.
        if value.bytes().any(|octet| octet.is_ascii_control() && octet != b'\t') {
            return None;
        }
        if !value.is_empty() {
            headers.push((name.to_ascii_lowercase().into(), value.into()));
        }
    }
    let body = match &answer.body {
        Some(body) => template::render(body, &fill)?.to_string().into_bytes(),
        None => Vec::new(),
    };
    if !body.is_empty() && !headers.iter().any(|(name, _)| **name == *CONTENT_TYPE) {
        headers.push((CONTENT_TYPE.into(), JSON.into()));
    }
    Some(Answered { status: answer.status.unwrap_or(usual), headers, body, result })
}

/// What an answer that was no refusal is counted as.
pub const SUCCESS: &str = "success";

const BEARER_INVALID: &str = "Bearer realm=\"portcullis\", error=\"invalid_token\"";
const CONTENT_TYPE: &str = "content-type";
const JSON: &str = "application/json";
