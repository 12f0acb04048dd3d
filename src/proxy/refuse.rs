//! Refusals as HTTP: the only place where one becomes octets (RFC 6750 section 3, RFC 9457).

pub(in crate::proxy) mod operation;
pub(in crate::proxy) mod worded;

use crate::config::endpoint::Errors;
use crate::gate::call::Answered;
use crate::gate::denial::{Advice, Denial, Reason};
use crate::gate::preflight::Preflight;
use crate::proxy::refuse::operation::Said;
use crate::proxy::refuse::worded::Worded;
use crate::proxy::request_id::RequestId;
use crate::proxy::stream::Socket;

/// Seconds after which a 503 is worth another try.
const RETRY_AFTER: &str = "1";

/// How an answer of our own is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Manner {
    /// It answers `HEAD`: no body follows.
    pub(in crate::proxy) to_head: bool,
    /// The connection ends with it.
    pub(in crate::proxy) close: bool,
    /// It answers gRPC, whose clients look for a refusal in its own fields.
    pub(in crate::proxy) grpc: bool,
}

/// What a route has to say to its refusals.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::proxy) struct Addition<'a> {
    /// Lines of its CORS rule, if it has one.
    pub(in crate::proxy) cors: &'a [(&'static str, String)],
    /// Its own answers, by reason.
    pub(in crate::proxy) errors: Option<&'a Errors>,
    /// Where what it wants of tokens is described (RFC 9728 section 5.1).
    pub(in crate::proxy) metadata: Option<&'a str>,
    /// How a client of GraphQL is told, on a route that judges operations.
    pub(in crate::proxy) said: Option<Said>,
    /// Its clients read errors as RFC 6749 section 5.2 has them.
    pub(in crate::proxy) oauth: bool,
}

/// Appends the answer for `denial` to `out`, and says its status.
///
/// Piece by piece, straight into place: a refusal is to cost less than what it refuses.
pub(in crate::proxy) fn respond(
    out: &mut Vec<u8>,
    denial: &Denial,
    id: &RequestId,
    addition: Addition<'_>,
    manner: Manner,
) -> u16 {
    let (reason, id) = (denial.reason, id.hex());
    // A client that is asked for a document sends it: no other words would do.
    let is_asked = operation::asks_for_the_document(denial);
    if let Some(errors) = addition.errors.filter(|_| !manner.grpc && !is_asked)
        && let Some(worded) = Worded::of(denial, errors, addition.said, id.text())
    {
        return worded.write(out, denial, addition, manner);
    }
    if let Some(said) = addition.said.filter(|_| !manner.grpc) {
        return said.write(out, denial, (id.text(), addition), manner);
    }
    let status = Digits::of(reason.status().into());
    let body = match addition.oauth {
        true => oauth_body(reason),
        false => body(reason, status.text(), id.text()),
    };
    let kind = if addition.oauth { "application/json" } else { "application/problem+json" };
    match manner.grpc {
        true => grpc_head(out, reason, id.text()),
        false => problem_head(out, status.text(), reason, kind, &body),
    }
    challenge(out, denial, reason.status(), addition);
    if let Some(methods) = operation::allowed(denial) {
        line(out, "allow", methods);
    }
    if reason.status() == 503 {
        line(out, "retry-after", RETRY_AFTER);
    }
    finish(out, addition.cors, manner.close);
    if !manner.to_head && !manner.grpc {
        append(out, &body);
    }
    reason.status()
}

/// Appends the answer to a CORS preflight.
pub(in crate::proxy) fn preflight(out: &mut Vec<u8>, preflight: &Preflight, close: bool) {
    // 200 with no body: some clients take 204 with a Content-Length ill, and others its absence.
    append(out, &["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"]);
    finish(out, &preflight.headers, close);
}

/// Appends an endpoint's answer. What cannot be written as one is an error, and nothing is appended then.
pub(in crate::proxy) fn answered(
    out: &mut Vec<u8>,
    answered: &Answered,
    cors: &[(&'static str, String)],
    manner: Manner,
) -> Result<(), &'static str> {
    if !(200..600).contains(&answered.status) {
        return Err("an endpoint's answer with no status for one");
    }
    if !answered.headers.iter().all(|(name, value)| is_writable(name, value)) {
        return Err("an endpoint's answer with a line that no head may have");
    }
    let status = Digits::of(answered.status.into());
    append(out, &["HTTP/1.1 ", status.text(), " ", phrase(answered.status), "\r\n"]);
    // RFC 9110 section 8.6: 204 has neither a body nor its length; 304 could only have another answer's.
    let bodiless = matches!(answered.status, 204 | 304);
    if !bodiless {
        line(out, "content-length", Digits::of(answered.body.len()).text());
    }
    for (name, value) in &answered.headers {
        line(out, name, value);
    }
    // RFC 6749 section 5.1: what holds a token is kept by nobody.
    let named = |name: &str| answered.headers.iter().any(|(known, _)| **known == *name);
    if !named("cache-control") {
        line(out, "cache-control", "no-store");
        if !named("pragma") {
            line(out, "pragma", "no-cache");
        }
    }
    finish(out, cors, manner.close);
    if !manner.to_head && !bodiless {
        out.extend_from_slice(&answered.body);
    }
    Ok(())
}

/// Whether a line can stand in a head that is framed here: a lower-case name that has nothing to do with framing, and a
/// value without anything that could end the line.
fn is_writable(name: &str, value: &str) -> bool {
    const OURS: [&str; 6] =
        ["connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "trailer"];
    let token = |octet: u8| {
        octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&octet)
    };
    let named = !name.is_empty() && name.bytes().all(token) && !OURS.contains(&name);
    named && value.bytes().all(|octet| octet == b'\t' || (octet >= b' ' && octet != 0x7f))
}

/// Tells a client that there is no room for its connection, as far as that takes no waiting.
pub(in crate::proxy) fn turn_away(socket: &Socket, id: &RequestId) {
    let mut out = Vec::new();
    let denial = Denial::new(Reason::Overloaded, "too many connections");
    let manner = Manner { to_head: false, close: true, grpc: false };
    respond(&mut out, &denial, id, Addition::default(), manner);
    // A client that cannot even take this is simply closed.
    let _ = socket.try_write(&out);
}

/// The beginning of the head.
fn problem_head(out: &mut Vec<u8>, status: &str, reason: Reason, kind: &str, body: &[&str]) {
    let length: usize = body.iter().map(|piece| piece.len()).sum();
    let length = Digits::of(length);
    let pieces = [
        "HTTP/1.1 ",
        status,
        " ",
        phrase(reason.status()),
        "\r\ncontent-type: ",
        kind,
        "\r\ncontent-length: ",
        length.text(),
        "\r\ncache-control: no-store\r\n",
    ];
    append(out, &pieces);
}

/// The same for gRPC: a status of its own in a head that is all there is, and the reason's code as its message.
fn grpc_head(out: &mut Vec<u8>, reason: Reason, id: &str) {
    append(out, &["HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n"]);
    line(out, "grpc-status", Digits::of(grpc_status(reason).into()).text());
    line(out, "grpc-message", reason.code());
    line(out, "x-request-id", id);
}

/// The status code of gRPC that says most nearly the same: its clients retry, or ask for a new token, by it.
pub(in crate::proxy) fn grpc_status(reason: Reason) -> u8 {
    const INVALID_ARGUMENT: u8 = 3;
    const DEADLINE_EXCEEDED: u8 = 4;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    const UNAUTHENTICATED: u8 = 16;
    match reason.status() {
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 | 405 => UNIMPLEMENTED,
        408 | 504 => DEADLINE_EXCEEDED,
        413 | 429 | 431 => RESOURCE_EXHAUSTED,
        502 | 503 => UNAVAILABLE,
        400..500 => INVALID_ARGUMENT,
        _ => INTERNAL,
    }
}

fn finish(out: &mut Vec<u8>, lines: &[(&'static str, String)], close: bool) {
    for (name, value) in lines {
        line(out, name, value);
    }
    append(out, &[if close { "connection: close\r\n\r\n" } else { "\r\n" }]);
}

/// The body, in pieces.
fn body<'b>(reason: Reason, status: &'b str, id: &'b str) -> [&'b str; 11] {
    let code = reason.code();
    [
        "{\"type\":\"urn:portcullis:reason:",
        code,
        "\",\"title\":\"",
        title(reason),
        "\",\"status\":",
        status,
        ",\"reason\":\"",
        code,
        "\",\"request_id\":\"",
        id,
        "\"}\n",
    ]
}

/// The same for clients of OAuth 2.0 (RFC 6749 section 5.2), of what only the request's way here can be the reason for.
fn oauth_body<'b>(reason: Reason) -> [&'b str; 11] {
    let code = match reason.status() {
        500 => "server_error",
        501..=599 => "temporarily_unavailable",
        _ => "invalid_request",
    };
    ["{\"error\":\"", code, "\",\"error_description\":\"", title(reason), "\"}\n", "", "", "", "", "", ""]
}

/// The challenge: of every 401 and 403, whatever their bodies, and of a 400 at the credential step.
fn challenge(out: &mut Vec<u8>, denial: &Denial, status: u16, addition: Addition<'_>) {
    let shows = addition.said.is_none_or(|said| said.show_scopes);
    let error: &[&str] = match (denial.reason.status(), denial.reason, &denial.advice) {
        (401, Reason::NoCredentials, _) => &[],
        (401, _, _) => &[", error=\"invalid_token\""],
        (403, _, Advice::Scope(scope)) if shows => &[", error=\"insufficient_scope\", scope=\"", scope, "\""],
        (403, _, _) => &[", error=\"insufficient_scope\""],
        (400, _, Advice::InvalidRequest) => &[", error=\"invalid_request\""],
        // RFC 9110 section 15.5.2: a 401 has one, also where a template makes it of something else.
        _ if status == 401 => &[],
        _ => return,
    };
    append(out, &["www-authenticate: Bearer realm=\"portcullis\""]);
    append(out, error);
    if let Some(metadata) = addition.metadata {
        append(out, &[", resource_metadata=\"", metadata, "\""]);
    }
    append(out, &["\r\n"]);
}

/// A number as text.
struct Digits([u8; 20], usize);

impl Digits {
    fn of(mut number: usize) -> Self {
        let (mut digits, mut at) = ([0; 20], 20);
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self(digits, at);
            }
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0[self.1..]).unwrap_or_default()
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    append(out, &[name, ": ", value, "\r\n"]);
}

fn append(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// The reason in words: for whoever reads the answer, and nothing that the code does not say.
fn title(reason: Reason) -> &'static str {
    match reason {
        Reason::MalformedRequest => "The request is not well-formed",
        Reason::GraphqlRejected => "The operation is not accepted",
        Reason::ManyCredentials => "More than one credential was sent",
        Reason::NoCredentials => "A token is needed",
        Reason::MalformedToken => "The token is not well-formed",
        Reason::UntrustedIssuer => "The token's issuer is not trusted here",
        Reason::UnknownKey => "The token's key is not known",
        Reason::BadSignature => "The token's signature does not verify",
        Reason::Expired => "The token has expired",
        Reason::NotYetValid => "The token is not valid yet",
        Reason::LivesTooLong => "The token lives longer than is accepted",
        Reason::WrongAudience => "The token is for another audience",
        Reason::WrongType => "The token is no access token",
        Reason::MissingClaim => "The token lacks a claim",
        Reason::Revoked => "The token has been revoked",
        Reason::InsufficientScope => "The token's scopes do not suffice",
        Reason::ConditionFailed => "The route's condition does not hold",
        Reason::NoRoute => "There is no such route",
        Reason::MethodNotAllowed => "The method is not allowed here",
        Reason::UnsupportedMediaType => "The media type is not supported here",
        Reason::UnknownStream => "There is no such event stream",
        Reason::ExpectationFailed => "The expectation cannot be met",
        Reason::Misdirected => "The request is for another host",
        Reason::RequestTimeout => "The request did not arrive in time",
        Reason::BodyTooLarge => "The request's body is too large",
        Reason::HeadersTooLarge => "The request's header is too large",
        Reason::UpstreamFailed => "The upstream failed",
        Reason::UpstreamTimeout => "The upstream did not answer in time",
        Reason::KeysUnavailable => "The token's keys cannot be had now",
        Reason::Overloaded => "Too much is asked at once",
        Reason::Internal => "An internal fault",
    }
}

fn phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused")
}
