//! `endpoints`: what the gateway answers itself, at any method and path.

use std::sync::Arc;
use std::time::Duration;

use crate::config::credential::{Credential, CredentialKind, Reader};
use crate::config::minted::Minted;
use crate::config::problems::Position;
use crate::config::template::{Template, Text};
use crate::token::scope::ScopeMatch;

/// One of `endpoints`. A route with its key leads to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its metric label: `name`, default the key as written.
    pub name: Box<str>,
    /// Where its key stands.
    pub at: Position,
    /// What it does.
    pub action: Action,
    /// What it answers when that was done; without, as RFC 6749, 7009, 7662 or 7517 has it.
    pub answer: Option<Answer>,
    /// What it answers when it was not.
    pub errors: Arc<Errors>,
    /// Failed attempts that one credential id, and one address, may make in a minute.
    pub attempts: u32,
}

/// What an endpoint does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `issue`.
    Issue(Issue),
    /// `refresh`.
    Refresh(Refresh),
    /// `revoke`.
    Revoke(Revoke),
    /// `introspect` (RFC 7662).
    Introspect {
        /// Who may ask.
        credential: Selection,
        /// About which.
        tokens: Vec<Arc<Minted>>,
        /// Where it stands: `{body: token}`.
        from: Reader,
    },
    /// `key_set` (RFC 7517 section 5): the public keys of these tokens.
    KeySet(Vec<Arc<Minted>>),
    /// `metadata` (RFC 8414), as it is.
    Metadata(Template),
    /// `resource` (RFC 9728), made from the routes' requirements.
    Resource,
    /// `oauth: {}`'s token endpoint: RFC 6749 `client_credentials` and `refresh_token`, RFC 8693 token exchange.
    OAuthToken {
        /// Who the clients are.
        clients: Selection,
        /// What they get.
        access: Arc<Minted>,
        /// And this, if it is given out.
        refresh: Option<Arc<Minted>>,
    },
}

impl Action {
    /// Who may ask, if anybody is named.
    pub fn selection(&self) -> Option<&Selection> {
        match self {
            Self::Issue(issue) => Some(&issue.credential),
            Self::Refresh(refresh) => refresh.credential.as_ref(),
            Self::Revoke(revoke) => revoke.credential.as_ref(),
            Self::Introspect { credential, .. } => Some(credential),
            Self::OAuthToken { clients, .. } => Some(clients),
            Self::KeySet(_) | Self::Metadata(_) | Self::Resource => None,
        }
    }

    /// Whether whoever asks shows what could be guessed, an API key or a password: tokens are judged as on routes.
    pub fn counts_attempts(&self) -> bool {
        match self.selection() {
            Some(Selection::One(credential)) => !matches!(credential.kind, CredentialKind::Issuer(_)),
            Some(Selection::By { .. }) => true,
            None => false,
        }
    }
}

impl Endpoint {
    /// Whether its clients are those of OAuth 2.0, who read every refusal as RFC 6749 section 5.2 has it.
    pub fn is_oauth(&self) -> bool {
        match self.action {
            Action::OAuthToken { .. } | Action::Revoke(_) | Action::Introspect { .. } => true,
            Action::Issue(_)
            | Action::Refresh(_)
            | Action::KeySet(_)
            | Action::Metadata(_)
            | Action::Resource => false,
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Holders of this.
    One(Arc<Credential>),
    /// Of one of these, by the word that stands there (`{by: {body: method}, of: {key: clients, password: people}}`).
    By {
        /// Where the word stands.
        reader: Reader,
        /// The words.
        of: Vec<(Box<str>, Arc<Credential>)>,
    },
}

/// `issue`. Its order is fixed: a credential is there, `require` holds, the credential is right, the scopes are its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Which, in order. Not empty.
    pub tokens: Vec<Arc<Minted>>,
    /// To whom.
    pub credential: Selection,
    /// What the request has to have.
    pub require: Vec<RequiredMember>,
    /// Which scopes the tokens get.
    pub scopes: Scopes,
    /// The token is made as if the API key with this id had asked (`act_as: {credential: keys, id: …}`).
    pub act_as: Option<(Arc<Credential>, Text)>,
    /// A token that the same subject has and that lives for this long still is given again.
    pub reuse: Option<Reuse>,
}

/// A member that a request has to have.
#[derive(Debug, Clone, PartialEq)]
pub struct RequiredMember {
    /// Where.
    pub reader: Reader,
    /// Of which type.
    pub kind: MemberKind,
    /// The name of the error otherwise: `bad_request`, unless given.
    pub error: Box<str>,
}

/// Types of a required member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberKind {
    /// Anything but null.
    #[default]
    Any,
    /// A text that is not empty.
    Text,
    /// A list of anything, at least one.
    List,
    /// A list of texts, at least one.
    TextList,
    /// A mapping.
    Object,
}

/// Which scopes tokens get.
#[derive(Debug, Clone, PartialEq)]
pub struct Scopes {
    /// Where scopes are asked for: a list of texts, or one text with spaces between.
    pub asked: Option<Reader>,
    /// What more than the credential has comes to.
    pub mode: ScopeMode,
    /// What they are cut from: the credential's own (`{credential.scopes}`), unless another template says.
    pub ceiling: Template,
    /// How the ceiling's may be patterns. What is asked for is a pattern of the same kind.
    pub matching: ScopeMatch,
}

/// What asking for scopes comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScopeMode {
    /// More than the ceiling is refused; nothing asked for gets the whole ceiling.
    #[default]
    Subset,
    /// Whatever is asked for, the ceiling is what one gets.
    Inherit,
}

/// When a token is given again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reuse {
    /// Not if this value stands there (`{query: refresh}` is `"true"`).
    pub unless: Option<(Reader, Box<str>)>,
    /// Nor if it lives for less than this.
    pub min_remaining: Duration,
}

/// `refresh`.
#[derive(Debug, Clone, PartialEq)]
pub struct Refresh {
    /// What is presented: a refresh token, or the JWT itself, which then carries its claims over.
    pub token: Arc<Minted>,
    /// Where it stands.
    pub from: Vec<Reader>,
    /// Who may present it; none for whoever has it.
    pub credential: Option<Selection>,
}

/// `revoke`.
#[derive(Debug, Clone, PartialEq)]
pub struct Revoke {
    /// What is revoked.
    pub what: Revoked,
    /// Who may; none for whoever presents the token.
    pub credential: Option<Selection>,
}

/// What an endpoint revokes.
#[derive(Debug, Clone, PartialEq)]
pub enum Revoked {
    /// The token that is presented, alone or with its family.
    Presented {
        /// What it may be.
        tokens: Vec<Arc<Minted>>,
        /// Where it stands.
        from: Vec<Reader>,
        /// With all that was refreshed from and to it.
        family: bool,
    },
    /// Every token of these of a subject (`subject: "{path.user}"`).
    Subject {
        /// Which.
        tokens: Vec<Arc<Minted>>,
        /// Whose.
        subject: Text,
    },
}

/// An answer with holes.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its status; without, 200, or of an error that of its reason.
    pub status: Option<u16>,
    /// Lines of its head, beside those of its body.
    pub headers: Vec<(Box<str>, Text)>,
    /// Its body, as JSON; none is none.
    pub body: Option<Template>,
}

/// Answers to what was refused, by the code of the reason (of an endpoint: [`crate::config::endpoint::REASONS`]; of a route:
/// `crate::gate::denial::Reason`); `*` is for all others. What is not there is answered as the standards have it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Errors(pub Vec<(Box<str>, Answer)>);

impl Errors {
    /// The answer for a reason.
    pub fn find(&self, reason: &str) -> Option<&Answer> {
        let named = |name: &str| self.0.iter().find(|(known, _)| **known == *name).map(|(_, answer)| answer);
        named(reason).or_else(|| named("*"))
    }
}

/// Why an endpoint refuses: the names that `errors` of an endpoint may have, with the status, the code of RFC 6749 section 5.2
/// (or 8693), and the words of the answer that there is without.
pub const REASONS: &[(&str, u16, &str, &str)] = &[
    ("missing_credential", 401, "invalid_client", "No credential was sent"),
    ("bad_request", 400, "invalid_request", "The request is not what this endpoint takes"),
    ("bad_credential", 401, "invalid_client", "The credential is not right"),
    ("scope_denied", 400, "invalid_scope", "A scope was asked for that the credential does not have"),
    ("bad_scope", 400, "invalid_scope", "What was asked for is no scope"),
    ("missing_token", 400, "invalid_request", "No token was sent"),
    ("bad_token", 400, "invalid_grant", "The token does not count"),
    ("too_many_actors", 400, "invalid_request", "More act for each other already than a token can say"),
    ("unsupported_grant_type", 400, "unsupported_grant_type", "The grant type is none of this endpoint"),
    ("too_many_attempts", 429, "slow_down", "Too many attempts have failed"),
    ("overloaded", 503, "temporarily_unavailable", "Too much is asked at once"),
    ("store_unavailable", 503, "temporarily_unavailable", "What has to be remembered cannot be written down"),
    ("internal", 500, "server_error", "An internal fault"),
];

/// Why a request is refused: the names that `errors` of a route may have, which are those of `crate::gate::denial::Reason`.
pub const ROUTE_REASONS: &[&str] = &[
    "malformed_request",
    "many_credentials",
    "graphql_rejected",
    "no_credentials",
    "malformed_token",
    "untrusted_issuer",
    "unknown_key",
    "bad_signature",
    "expired",
    "not_yet_valid",
    "lives_too_long",
    "wrong_audience",
    "wrong_type",
    "missing_claim",
    "revoked",
    "insufficient_scope",
    "condition_failed",
    "no_route",
    "method_not_allowed",
    "unsupported_media_type",
    "unknown_stream",
    "expectation_failed",
    "misdirected",
    "request_timeout",
    "body_too_large",
    "headers_too_large",
    "upstream_failed",
    "upstream_timeout",
    "keys_unavailable",
    "overloaded",
    "internal",
];
