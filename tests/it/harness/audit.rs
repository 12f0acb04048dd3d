//! What holds for *every* answer of the data plane, whatever the test is about.

use portcullis::gate::denial::Reason;

use crate::harness::canary;
use crate::harness::client::Response;

/// Headers that may leave on any answer.
const KNOWN: [&str; 25] = [
    "grpc-status",
    "grpc-message",
    "date",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "via",
    "vary",
    "allow",
    "retry-after",
    "cache-control",
    "pragma",
    "www-authenticate",
    "x-request-id",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// Headers of the recording upstream's own, which are passed on.
const OF_THE_UPSTREAM: [&str; 7] =
    ["x-upstream", "x-tag", "set-cookie", "etag", "last-modified", "location", "link"];

/// Members of a problem body that config.md section 3 requires.
const MEMBERS: [&str; 5] = ["type", "title", "status", "reason", "request_id"];

/// Checks one answer.
#[track_caller]
pub fn check(response: &Response, method: &str) {
    for (name, value) in &response.headers {
        let name = name.to_ascii_lowercase();
        let from_upstream = OF_THE_UPSTREAM.contains(&name.as_str());
        assert!(
            KNOWN.contains(&name.as_str()) || from_upstream,
            "{name}: {value} may not leave: {response:?}"
        );
        assert!(!(from_upstream && is_refusal(response)), "a refusal passed {name} on: {response:?}");
    }
    let everything = format!("{:?}\n{}", response.headers, response.text());
    if let Some(canary) = canary::find(&everything) {
        panic!("I4: {canary} left in an answer: {everything}");
    }
    if is_problem(response) {
        check_refusal(response, method);
    } else if is_operation_refusal(response) {
        check_operation_refusal(response);
    } else if is_grpc_refusal(response) {
        let code = response.header("grpc-message").unwrap_or_default();
        assert!(Reason::from_code(code).is_some(), "{code:?} is no reason: {response:?}");
    } else if response.header("x-upstream").is_none() {
        let ours = response.status < 400 || response.header("content-type").is_none();
        assert!(ours || method == "HEAD", "an error of the gateway's without a problem body: {response:?}");
        assert!(response.header("www-authenticate").is_none(), "a challenge on no refusal: {response:?}");
    }
}

/// Whether the gateway refused in gRPC: there the status is another field's, and the challenge stands on a 200.
fn is_grpc_refusal(response: &Response) -> bool {
    response.header("grpc-status").is_some() && response.header("x-upstream").is_none()
}

/// Whether it is the gateway that refused.
pub fn is_refusal(response: &Response) -> bool {
    is_problem(response) || is_operation_refusal(response)
}

/// Whether it refused in GraphQL's shape.
pub fn is_operation_refusal(response: &Response) -> bool {
    let ours = &response.json()["errors"][0]["extensions"]["reason"];
    response.header("x-upstream").is_none() && ours.is_string()
}

/// One error with its code, under the status of its reason or of old servers, and its challenge.
#[track_caller]
fn check_operation_refusal(response: &Response) {
    let said = response.json();
    let error = &said["errors"][0];
    assert_eq!(said["errors"].as_array().map(Vec::len), Some(1), "{response:?}");
    for member in ["code", "reason", "request_id"] {
        assert!(error["extensions"][member].is_string(), "an error without {member}: {response:?}");
    }
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{response:?}");
    let code = response.reason();
    let reason = Reason::from_code(&code).unwrap_or_else(|| panic!("{code:?} is no reason: {response:?}"));
    assert_ne!(reason, Reason::Internal, "a bug answered: {response:?}");
    if response.status == 200 {
        return;
    }
    assert!(said.get("data").is_none(), "an answer that was not run has no data: {response:?}");
    assert_eq!(reason.status(), response.status, "{code} and its status: {response:?}");
    let challenge = response.header("www-authenticate").unwrap_or_default();
    assert_eq!(matches!(response.status, 401 | 403), challenge.starts_with("Bearer "), "{response:?}");
    assert_eq!(response.status == 405, response.header("allow").is_some(), "{response:?}");
}

/// Whether it refused with a problem body.
fn is_problem(response: &Response) -> bool {
    response.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json"))
}

#[track_caller]
fn check_refusal(response: &Response, method: &str) {
    if method == "HEAD" {
        return;
    }
    let problem = response.json();
    for member in MEMBERS {
        assert!(!problem[member].is_null(), "a problem body without {member}: {response:?}");
    }
    assert_eq!(problem["status"].as_u64(), Some(response.status.into()), "{response:?}");
    let request_id = problem["request_id"].as_str().unwrap_or_default();
    assert!(request_id.len() >= 8, "no request id to speak of: {response:?}");
    let code = problem["reason"].as_str().unwrap_or_default();
    let reason = Reason::from_code(code).unwrap_or_else(|| panic!("{code:?} is no reason: {response:?}"));
    assert_eq!(reason.status(), response.status, "{code} and its status: {response:?}");
    assert_ne!(reason, Reason::Internal, "a bug answered: {response:?}");
    check_challenge(reason, response);
    if response.status == 405 {
        assert!(
            response.header("allow").is_some(),
            "RFC 9110 section 15.5.6: 405 without Allow: {response:?}"
        );
    }
    if response.status == 503 {
        let wait = response.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
        assert!(wait.is_some(), "503 without Retry-After: {response:?}");
    }
}

/// `WWW-Authenticate` as config.md section 3 words it (RFC 6750 section 3).
#[track_caller]
fn check_challenge(reason: Reason, response: &Response) {
    let challenges = response.all("www-authenticate");
    let challenge = challenges.first().copied().unwrap_or_default();
    let bearer = challenge.starts_with("Bearer realm=\"portcullis\"");
    let says = |error: &str| challenge.contains(&format!("error=\"{error}\""));
    let right = match (response.status, reason) {
        (401, Reason::NoCredentials) => bearer && !challenge.contains("error="),
        (401, _) => bearer && says("invalid_token"),
        (403, Reason::InsufficientScope) => {
            bearer && says("insufficient_scope") && challenge.contains("scope=\"")
        }
        (403, _) => bearer && says("insufficient_scope"),
        (400, Reason::ManyCredentials) => bearer && says("invalid_request"),
        // At the credential step it is challenged, elsewhere it is not.
        (400, _) => challenges.is_empty() || (bearer && says("invalid_request")),
        _ => challenges.is_empty(),
    };
    assert!(right && challenges.len() < 2, "the challenge of {reason:?}: {response:?}");
    assert!(!challenge.contains("access_token"), "{response:?}");
}
