//! Refusals as HTTP: the only place where one becomes octets (RFC 6750 section 3, RFC 9457).

use std::fmt::Write as _;

use crate::gate::denial::{Advice, Denial, Reason};
use crate::gate::preflight::Preflight;
use crate::proxy::request_id::RequestId;
use crate::proxy::stream::Socket;

/// Seconds after which a 503 is worth another try.
const RETRY_AFTER: u32 = 1;

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

/// Appends the answer for `denial` to `out`. `cors` are the lines of the route's rule, if it has one.
pub(in crate::proxy) fn respond(
    out: &mut Vec<u8>,
    denial: &Denial,
    id: &RequestId,
    cors: &[(&'static str, String)],
    manner: Manner,
) {
    let reason = denial.reason;
    let (body, mut head) = if manner.grpc { in_grpc(reason, id) } else { problem(reason, id) };
    if let Some(challenge) = challenge(denial) {
        let _ = write!(head, "www-authenticate: {challenge}\r\n");
    }
    if let Advice::Allow(methods) = &denial.advice {
        let _ = write!(head, "allow: {methods}\r\n");
    }
    if reason.status() == 503 {
        let _ = write!(head, "retry-after: {RETRY_AFTER}\r\n");
    }
    finish(&mut head, cors, manner.close);
    out.extend_from_slice(head.as_bytes());
    if !manner.to_head {
        out.extend_from_slice(body.as_bytes());
    }
}

/// Appends the answer to a CORS preflight.
pub(in crate::proxy) fn preflight(out: &mut Vec<u8>, preflight: &Preflight, close: bool) {
    // 200 with no body: some clients take 204 with a Content-Length ill, and others its absence.
    let mut head = String::from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n");
    finish(&mut head, &preflight.headers, close);
    out.extend_from_slice(head.as_bytes());
}

/// Tells a client that there is no room for its connection, as far as that takes no waiting.
pub(in crate::proxy) fn turn_away(socket: &Socket, id: &RequestId) {
    let mut out = Vec::new();
    let denial = Denial::new(Reason::Overloaded, "too many connections");
    respond(&mut out, &denial, id, &[], Manner { to_head: false, close: true, grpc: false });
    // A client that cannot even take this is simply closed.
    let _ = socket.try_write(&out);
}

/// The body and the beginning of the head.
fn problem(reason: Reason, id: &RequestId) -> (String, String) {
    let body = body(reason, id);
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\ncache-control: no-store\r\n",
        reason.status(),
        phrase(reason.status()),
        body.len()
    );
    (body, head)
}

/// The same for gRPC: a status of its own in a head that is all there is, and the reason's code as its message.
fn in_grpc(reason: Reason, id: &RequestId) -> (String, String) {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\ngrpc-status: {}\r\ngrpc-message: {}\r\nx-request-id: {id}\r\n",
        grpc_status(reason),
        reason.code(),
    );
    (String::new(), head)
}

/// The status code of gRPC that says most nearly the same: its clients retry, or ask for a new token, by it.
fn grpc_status(reason: Reason) -> u8 {
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

fn finish(head: &mut String, lines: &[(&'static str, String)], close: bool) {
    for (name, value) in lines {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if close {
        head.push_str("connection: close\r\n");
    }
    head.push_str("\r\n");
}

fn body(reason: Reason, id: &RequestId) -> String {
    let (code, status) = (reason.code(), reason.status());
    format!(
        "{{\"type\":\"urn:portcullis:reason:{code}\",\"title\":\"{}\",\"status\":{status},\"reason\":\"{code}\",\"request_id\":\"{id}\"}}\n",
        title(reason)
    )
}

/// The challenge: of every 401 and 403, and of a 400 at the credential step.
fn challenge(denial: &Denial) -> Option<String> {
    let realm = "Bearer realm=\"portcullis\"";
    match (denial.reason.status(), denial.reason, &denial.advice) {
        (401, Reason::NoCredentials, _) => Some(realm.to_owned()),
        (401, _, _) => Some(format!("{realm}, error=\"invalid_token\"")),
        (403, _, Advice::Scope(scope)) => {
            Some(format!("{realm}, error=\"insufficient_scope\", scope=\"{scope}\""))
        }
        (403, _, _) => Some(format!("{realm}, error=\"insufficient_scope\"")),
        (400, _, Advice::InvalidRequest) => Some(format!("{realm}, error=\"invalid_request\"")),
        _ => None,
    }
}

/// The reason in words: for whoever reads the answer, and nothing that the code does not say.
fn title(reason: Reason) -> &'static str {
    match reason {
        Reason::MalformedRequest => "The request is not well-formed",
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
        Reason::ExpectationFailed => "The expectation cannot be met",
        Reason::Misdirected => "The request is for another host",
        Reason::RequestTimeout => "The request did not arrive in time",
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
