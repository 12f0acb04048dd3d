//! `credentials`: who may have tokens made, and how they show who they are.

use std::sync::Arc;

use crate::config::Secret;
use crate::config::problems::Position;
use crate::token::scope::ScopeMatch;

/// One of `credentials`.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// Its name in the file.
    pub name: Box<str>,
    /// Where it stands.
    pub at: Position,
    /// What kind.
    pub kind: CredentialKind,
    /// Where it stands in a request to an endpoint. Of no meaning for [`CredentialKind::Issuer`]: its issuer says.
    pub from: CredentialPlace,
    /// How the scopes that its holders have may be patterns.
    pub scope_match: ScopeMatch,
}

/// The kinds of credential.
#[derive(Debug, Clone, PartialEq)]
pub enum CredentialKind {
    /// `api_keys`.
    ApiKeys(Arc<ApiKeys>),
    /// `people`.
    People(Arc<People>),
    /// `issuer: NAME`: a token of an issuer, by its index in `Config::issuers`.
    Issuer(usize),
}

impl CredentialKind {
    /// Every secret that it names.
    pub fn secrets(&self) -> Vec<&Secret> {
        let (entries, pepper) = match self {
            Self::ApiKeys(keys) => (&keys.entries, keys.pepper.as_ref()),
            Self::People(people) => (&people.entries, None),
            Self::Issuer(_) => return Vec::new(),
        };
        let listed: Vec<&Secret> = match entries.as_ref().map(|entries| &entries.source) {
            Some(EntriesSource::Secret(secret)) => vec![secret],
            Some(EntriesSource::Listed(listed)) => listed.iter().map(|entry| &entry.secret).collect(),
            None => Vec::new(),
        };
        pepper.into_iter().chain(listed).collect()
    }
}

/// Where a credential stands in a request to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialPlace {
    /// One text that is all of it.
    Whole(Reader),
    /// An id and a secret, each in a place of its own.
    Pair {
        /// The id, or a person's name.
        id: Reader,
        /// The secret, or the password.
        secret: Reader,
    },
    /// `Authorization: Basic` (RFC 7617), id and secret.
    Basic,
    /// RFC 6749 section 2.3.1: `Basic` with both parts form-encoded, or `client_id` and `client_secret` in the body; not both.
    Client,
}

/// A place in a request that an endpoint reads one value from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// `bearer`: `Authorization: Bearer`.
    Bearer,
    /// `{header: X-Key}`, lower-case.
    Header(Box<str>),
    /// `{cookie: sid}`.
    Cookie(Box<str>),
    /// `{query: token}`.
    Query(Box<str>),
    /// `{path: user}`: a parameter of the endpoint's path.
    Path(Box<str>),
    /// `{body: name}` or `{body: /a/b}`: a member of the body, JSON or a form.
    Body(Box<str>),
}

/// API keys: ids, and secrets that only their holders know.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKeys {
    /// What their owner's claims say as `iss` where a key itself is a route's credential; the credential's name unless given.
    pub issuer: Box<str>,
    /// What whole keys begin with, and what that says of them. Empty: any text, compared whole.
    pub prefixes: Vec<Prefix>,
    /// Keys listed in a file, in the environment or here.
    pub entries: Option<Entries>,
    /// Keys may be made and managed at run time (`/v1/api-keys`); they are kept in the store.
    pub managed: bool,
    /// Keys the hash of every secret. Required when `managed`; listed keys without one are hashed under a key of the process.
    pub pepper: Option<Secret>,
}

/// A prefix of whole API keys (`live_`), and the attributes that keys with it have.
#[derive(Debug, Clone, PartialEq)]
pub struct Prefix {
    /// What they begin with.
    pub text: Box<str>,
    /// What templates and claims find as the key's own members.
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// A list of keys or people that somebody else keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// A JSON array of objects.
    pub source: EntriesSource,
    /// Which member of an entry is the id (`id`).
    pub id: Box<str>,
    /// Which member is the secret (`secret`), or `password` of a person: plain, or hashed (`$argon2id$…`).
    pub secret: Box<str>,
    /// Which member holds the scopes (`scopes`).
    pub scopes: Box<str>,
}

/// Where such a list is.
#[derive(Debug, Clone, PartialEq)]
pub enum EntriesSource {
    /// A file or an environment variable: JSON, read again when it changes.
    Secret(Secret),
    /// The file itself: each secret is `{file: …}` or `{env: …}`; attributes beside it.
    Listed(Vec<Listed>),
}

/// One entry that stands in the file itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: Box<str>,
    /// Where its secret is.
    pub secret: Secret,
    /// What it may have.
    pub scopes: Vec<Box<str>>,
    /// Everything else.
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// People: names and passwords.
#[derive(Debug, Clone, PartialEq)]
pub struct People {
    /// People listed in a file or here; passwords as PHC strings (`$argon2id$…`).
    pub entries: Option<Entries>,
    /// People may be made and managed at run time (`/v1/users`); they are kept in the store.
    pub managed: bool,
    /// argon2id: memory in KiB.
    pub memory: u32,
    /// argon2id: passes.
    pub passes: u32,
}
