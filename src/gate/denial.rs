//! Refusals: one code everywhere (log, metric label, problem body, `explain`).

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::Issuer;
use crate::graphql::rejected::Rejected;
use crate::policy::route::CompiledRoute;

/// One refusal: an answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why, as a code: all that the client is told.
    pub reason: Reason,
    /// Why, for the log and `explain`. Never a credential.
    pub detail: Cow<'static, str>,
    /// What the answer says besides.
    pub advice: Advice,
    /// What is refused at once, if more is to be said of it. Boxed, as most refusals are of nothing of the kind, and moved.
    pub whole: Option<Box<Whole>>,
}

/// Operations that are refused at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whole {
    /// How many came in a list; 0 where none did.
    pub list: usize,
    /// The names that the answer to each would have had, on a route that answers as servers of old do: they told `null` of
    /// each.
    pub keys: Vec<Vec<Box<str>>>,
}

/// What a refusal's head says besides its reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Advice {
    /// Nothing.
    #[default]
    None,
    /// `scope` of the challenge (RFC 6750 section 3).
    Scope(String),
    /// `Allow` (RFC 9110 section 10.2.1).
    Allow(String),
    /// The challenge of a 400 at the credential step: `error="invalid_request"`.
    InvalidRequest,
    /// What a GraphQL client is told of it.
    Operation(Box<Rejected>),
}

/// A denial, and what was known of the request when it fell.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The denial.
    pub denial: Denial,
    /// The route, if one had been matched: its label, its CORS rule.
    pub route: Option<Arc<CompiledRoute>>,
    /// The issuer, if one had been found.
    pub issuer: Option<Arc<Issuer>>,
}

impl Denial {
    /// A denial without advice.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), advice: Advice::None, whole: None }
    }

    /// Operations of the list that it refuses whole; 0 where none came in a list.
    pub fn list(&self) -> usize {
        self.whole.as_ref().map_or(0, |whole| whole.list)
    }

    /// The same with advice.
    #[must_use]
    pub fn advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }
}

impl From<Denial> for Refusal {
    /// A refusal before any route was matched.
    fn from(denial: Denial) -> Self {
        Self { denial, route: None, issuer: None }
    }
}

/// Why a request was refused. The one enum of config.md section 3; a variant lands with what can produce it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "config.md section 3 says what each means")]
pub enum Reason {
    MalformedRequest,
    ManyCredentials,
    GraphqlRejected,
    NoCredentials,
    MalformedToken,
    UntrustedIssuer,
    UnknownKey,
    BadSignature,
    Expired,
    NotYetValid,
    LivesTooLong,
    WrongAudience,
    WrongType,
    MissingClaim,
    Revoked,
    InsufficientScope,
    ConditionFailed,
    NoRoute,
    MethodNotAllowed,
    UnsupportedMediaType,
    UnknownStream,
    ExpectationFailed,
    Misdirected,
    RequestTimeout,
    BodyTooLarge,
    HeadersTooLarge,
    UpstreamFailed,
    UpstreamTimeout,
    KeysUnavailable,
    Overloaded,
    Internal,
}

impl Reason {
    /// Every reason, in the order of config.md.
    pub const ALL: [Self; 31] = [
        Self::MalformedRequest,
        Self::ManyCredentials,
        Self::GraphqlRejected,
        Self::NoCredentials,
        Self::MalformedToken,
        Self::UntrustedIssuer,
        Self::UnknownKey,
        Self::BadSignature,
        Self::Expired,
        Self::NotYetValid,
        Self::LivesTooLong,
        Self::WrongAudience,
        Self::WrongType,
        Self::MissingClaim,
        Self::Revoked,
        Self::InsufficientScope,
        Self::ConditionFailed,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::UnknownStream,
        Self::ExpectationFailed,
        Self::Misdirected,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::HeadersTooLarge,
        Self::UpstreamFailed,
        Self::UpstreamTimeout,
        Self::KeysUnavailable,
        Self::Overloaded,
        Self::Internal,
    ];

    /// The code: log, metric label, problem body, `explain`.
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::ManyCredentials => "many_credentials",
            Self::GraphqlRejected => "graphql_rejected",
            Self::NoCredentials => "no_credentials",
            Self::MalformedToken => "malformed_token",
            Self::UntrustedIssuer => "untrusted_issuer",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LivesTooLong => "lives_too_long",
            Self::WrongAudience => "wrong_audience",
            Self::WrongType => "wrong_type",
            Self::MissingClaim => "missing_claim",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
            Self::ConditionFailed => "condition_failed",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnknownStream => "unknown_stream",
            Self::ExpectationFailed => "expectation_failed",
            Self::Misdirected => "misdirected",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }

    /// The reason of this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The status it is answered with, unless a template replaces it.
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedRequest | Self::ManyCredentials | Self::GraphqlRejected => 400,
            Self::NoCredentials
            | Self::MalformedToken
            | Self::UntrustedIssuer
            | Self::UnknownKey
            | Self::BadSignature
            | Self::Expired
            | Self::NotYetValid
            | Self::LivesTooLong
            | Self::WrongAudience
            | Self::WrongType
            | Self::MissingClaim
            | Self::Revoked => 401,
            Self::InsufficientScope | Self::ConditionFailed => 403,
            Self::NoRoute | Self::UnknownStream => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::ExpectationFailed => 417,
            Self::Misdirected => 421,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::UpstreamFailed => 502,
            Self::KeysUnavailable | Self::Overloaded => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}
