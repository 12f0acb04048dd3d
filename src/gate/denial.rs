//! Refusals: one code everywhere (log, metric label, problem body, `explain`).

/// Why a request was refused. The one enum of config.md section 3; a variant lands with what can produce it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "config.md section 3 says what each means")]
pub enum Reason {
    MalformedRequest,
    ManyCredentials,
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
    ExpectationFailed,
    Misdirected,
    RequestTimeout,
    HeadersTooLarge,
    UpstreamFailed,
    UpstreamTimeout,
    KeysUnavailable,
    Overloaded,
    Internal,
}

impl Reason {
    /// Every reason, in the order of config.md.
    pub const ALL: [Self; 27] = [
        Self::MalformedRequest,
        Self::ManyCredentials,
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
        Self::ExpectationFailed,
        Self::Misdirected,
        Self::RequestTimeout,
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
            Self::ExpectationFailed => "expectation_failed",
            Self::Misdirected => "misdirected",
            Self::RequestTimeout => "request_timeout",
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
            Self::MalformedRequest | Self::ManyCredentials => 400,
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
            Self::NoRoute => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
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
