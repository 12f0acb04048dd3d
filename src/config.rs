//! The typed configuration: valid by construction. What can fail, failed in [`parse`].
//!
//! Bytes become [`raw`] nodes with positions, and nodes become the types below; every problem is collected
//! with its line, column, what and hint. Nothing here reads files, the clock or the process environment.

pub mod address;
pub mod authority;
pub mod credential;
pub mod defaults;
pub mod endpoint;
pub mod expression;
pub mod forward;
pub mod graphql;
pub mod limits;
pub mod log;
pub mod material;
pub mod minted;
pub mod net;
pub mod network;
pub mod pattern;
pub mod peer;
pub mod problems;
pub mod raw;
pub mod revocation;
pub mod schema;
pub mod scope;
pub mod shape;
pub mod shown;
pub mod streams;
pub mod template;
pub mod units;
pub mod websocket;

mod decode;
mod print;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::address::Address;
use crate::config::authority::Authority;
use crate::config::endpoint::{Endpoint, Errors};
use crate::config::expression::Expression;
use crate::config::forward::Forward;
use crate::config::graphql::GraphQl;
use crate::config::limits::Limits;
use crate::config::log::Log;
use crate::config::network::Network;
use crate::config::pattern::{HostPattern, PathPattern};
use crate::config::peer::Peer;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::revocation::{DeclaredClaim, Revocation};
use crate::config::scope::Built;
use crate::config::shown::{ListenerTls, UpstreamTls};
use crate::config::streams::Streams;
use crate::config::websocket::WebSocket;
use crate::token::Algorithm;
use crate::token::claims::Selector;
use crate::token::scope::ScopeMatch;

/// A value and where it stood in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stood.
    pub at: Position,
}

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads; `None` is one per core.
    pub workers: Option<usize>,
    /// Where clients connect. Not empty.
    pub listeners: Vec<Listener>,
    /// The admin listener.
    pub admin: Option<Admin>,
    /// Upstreams, in file order; routes name them by index.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Issuers, in file order; routes name them by index.
    pub issuers: Vec<Arc<Issuer>>,
    /// Routes, in file order, and behind them those that lead to endpoints. Not empty.
    pub routes: Vec<Arc<Route>>,
    /// What is minted and answered here.
    pub authority: Authority,
    /// `revocation`.
    pub revocation: Option<Revocation>,
    /// `store: {sqlite: PATH}`: what must survive a restart.
    pub store: Option<PathBuf>,
    /// `audit: {file: PATH}`: where it is written down who asked for which change.
    pub audit: Option<PathBuf>,
    /// Directory of the last good fetched key sets; `None` when `none`.
    pub key_mirror: Option<PathBuf>,
    /// Every bound.
    pub limits: Limits,
    /// How long open requests may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// Where a new process takes over, if that is wanted.
    pub upgrade_socket: Option<PathBuf>,
    /// Logging.
    pub log: Log,
}

impl Config {
    /// `revocation.recheck_streams`, said or not.
    pub fn recheck_streams(&self) -> Duration {
        self.revocation.as_ref().map_or(defaults::RECHECK_STREAMS, |revocation| revocation.recheck_streams)
    }
}

/// One address clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// Who may connect to a Unix socket: its file's permissions (`mode`). Of no meaning for an IP address.
    pub mode: u32,
    /// What it shows of itself over TLS; plain HTTP without.
    pub tls: Option<ListenerTls>,
    /// Whether its connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// Whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Network>,
}

/// Whether connections begin with a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    None,
    /// They must.
    Required,
}

/// `admin`.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where.
    pub address: SocketAddr,
    /// Its bearer token, if one is set.
    pub token: Option<Secret>,
}

/// Where a secret is; the edges read it. It never stands in the file but with `dangerous_inline_secret`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Where.
    pub source: SecretSource,
    /// Where it is named in the configuration, to blame.
    pub at: Position,
}

/// The places a secret may be.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; one trailing newline is trimmed if the content is UTF-8. Absolute, or resolved against the
    /// configuration's directory already.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// In the file itself (`dangerous_inline_secret`).
    Inline(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            SecretSource::File(path) => write!(f, "Secret(file {})", path.display()),
            SecretSource::Env(name) => write!(f, "Secret(env {name})"),
            SecretSource::Inline(_) => f.write_str("Secret(***)"),
        }
    }
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in the file.
    pub name: Box<str>,
    /// Where it is reached. Not empty.
    pub peers: Vec<Peer>,
    /// How a peer is chosen.
    pub balance: Balance,
    /// Active health checks.
    pub health: Option<Health>,
    /// The `Host` it is sent.
    pub host: UpstreamHost,
    /// How its `https` peers are verified, and what they are shown; without, the system's roots, and nothing.
    pub tls: Option<UpstreamTls>,
    /// To connect, and for `https` to shake hands.
    pub connect_timeout: Duration,
    /// From the request sent to the response head.
    pub response_timeout: Duration,
    /// Requests that it has at once, tunnels among them.
    pub max_requests: usize,
}

/// How a peer is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastRequests,
    /// By the subject's hash, else the client address's.
    ConsistentHash,
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `GET` this path; 2xx is healthy.
    pub path: Box<str>,
    /// How often.
    pub interval: Duration,
}

/// The `Host` an upstream is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UpstreamHost {
    /// The client's.
    #[default]
    Keep,
    /// The peer's `host:port`.
    Upstream,
    /// This one.
    Literal(Box<str>),
}

/// One issuer whose tokens count.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Its name in the file: the metric label.
    pub name: Box<str>,
    /// `iss`, exact.
    pub issuer: Box<str>,
    /// Any of these; `None` is `any`.
    pub audience: Option<Vec<Box<str>>>,
    /// Where its keys come from.
    pub keys: Located<KeySource>,
    /// Between fetches.
    pub refresh: Duration,
    /// Between fetches forced by unknown kids.
    pub cooldown: Duration,
    /// How long fetched keys serve when no fetch succeeds.
    pub max_stale: Duration,
    /// How long a request may wait for a key.
    pub miss_wait: Duration,
    /// The allowed algorithms; `None` is what the keys are.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Clock difference tolerated.
    pub leeway: Duration,
    /// Longest life accepted.
    pub max_token_lifetime: Duration,
    /// What kind of token.
    pub token_type: TokenType,
    /// How its granted scopes are read.
    pub scope_match: ScopeMatch,
    /// Where the claims are.
    pub claims: ClaimMap,
    /// Which others a token can be revoked by: `revocation.claims`, the same for every issuer.
    pub revocable: Arc<[DeclaredClaim]>,
    /// Where its tokens stand in a request. Not empty.
    pub from: Vec<TokenPlace>,
    /// Plain HTTP fetches beyond loopback are allowed (`dangerous_http`).
    pub dangerous_http: bool,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// By OpenID Connect discovery from `issuer`.
    Discovery,
    /// A JWKS document fetched from here (`https`, or `http` to loopback or with `dangerous_http`).
    JwksUrl(String),
    /// A JWKS file.
    JwksFile(PathBuf),
    /// A JWKS in the configuration itself, as JSON text.
    JwksInline(String),
    /// Public keys as PEM.
    PemFile(PathBuf),
    /// Public keys as PEM in an environment variable.
    PemEnv(String),
    /// Public keys as PEM in the configuration itself.
    PemInline(String),
    /// A shared secret.
    Secret {
        /// Where.
        secret: Secret,
        /// Shorter than the hash is accepted (`dangerous_short_secret`).
        dangerous_short: bool,
    },
    /// The gateway's own: what it signs with, as it keeps and replaces it.
    Managed,
    /// The public half of a private key in PEM, with which the gateway signs.
    SigningPem(Secret),
    /// None: the token is looked up.
    Records(Records),
}

impl KeySource {
    /// The secret in it, if there is one.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Secret { secret, .. } | Self::SigningPem(secret) => Some(secret),
            Self::Records(Records::Introspection(introspection)) => Some(&introspection.secret),
            Self::Records(Records::Opaque { .. } | Records::ApiKeys { .. })
            | Self::Managed
            | Self::Discovery
            | Self::JwksUrl(_)
            | Self::JwksFile(_)
            | Self::JwksInline(_)
            | Self::PemFile(_)
            | Self::PemEnv(_)
            | Self::PemInline(_) => None,
        }
    }
}

/// Where a token is looked up that is nothing but a name for what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Among those that were minted here, beginning with this.
    Opaque {
        /// May be empty.
        prefix: Box<str>,
    },
    /// Among the API keys of the credential of the issuer's name, beginning with one of these; with anything, if there are none.
    ApiKeys {
        /// May be empty.
        prefixes: Vec<Box<str>>,
    },
    /// At whoever issued it (RFC 7662).
    Introspection(Introspection),
}

/// `introspection` of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// The endpoint (`https`, or `http` to loopback or with `dangerous_http`).
    pub url: String,
    /// The client's id there.
    pub client: Box<str>,
    /// Its secret.
    pub secret: Secret,
    /// How long an answer counts, at the most, and never beyond `exp`.
    pub cache: Duration,
    /// How long it is waited for.
    pub timeout: Duration,
}

/// What kind of token an issuer's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenType {
    /// Any but those that say they are something else (ID, refresh, logout tokens).
    #[default]
    Any,
    /// The RFC 9068 profile.
    AtJwt,
}

/// `claims`: where scope, subject, client, id, session and tenant are found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the configuration's")]
pub struct ClaimMap {
    pub scope: Selector,
    pub subject: Selector,
    pub client: Selector,
    pub id: Selector,
    pub session: Selector,
    pub tenant: Selector,
}

/// Where a token may stand in a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TokenPlace {
    /// `Authorization: Bearer`.
    Bearer,
    /// The whole value of this header (lower-case name).
    Header(Box<str>),
    /// This cookie.
    Cookie(Box<str>),
    /// This query parameter.
    Query(Box<str>),
}

/// One route.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its metric label: `name`, default the key as written.
    pub name: Box<str>,
    /// Where its key stands.
    pub at: Position,
    /// Methods as written, `GET` implying `HEAD`; empty is any.
    pub methods: Vec<Box<str>>,
    /// The hosts it is for.
    pub host: HostPattern,
    /// The paths it is for.
    pub path: PathPattern,
    /// What it requires.
    pub require: Require,
    /// What the upstream is told.
    pub forward: Forward,
    /// CORS, if it takes part.
    pub cors: Option<Cors>,
    /// Which pages may open a WebSocket.
    pub websocket: WebSocket,
    /// What becomes of its long streams when their token dies.
    pub streams: Streams,
    /// Index into [`Config::upstreams`]; of no meaning where `endpoint` is.
    pub upstream: usize,
    /// The gateway answers by itself.
    pub endpoint: Option<Arc<Endpoint>>,
    /// What refusals are answered with (`errors`, of the route or of the whole file).
    pub errors: Option<Arc<Errors>>,
    /// Whether a refusal counts.
    pub enforce: Enforce,
    /// Paths in [`crate::path::Path::Dangerous`] spelling may match (`dangerous_path`).
    pub dangerous_path: bool,
}

/// What a route requires.
#[derive(Debug, Clone, PartialEq)]
pub enum Require {
    /// Nothing.
    Public,
    /// A token of one of these issuers, and what else is named.
    Token(Requirement),
}

/// What a token must have. `scopes` and `any_scope` both empty, nothing `built` and no `when` is `authenticated`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Requirement {
    /// Indices into [`Config::issuers`]: those trusted here. Not empty.
    pub issuers: Vec<usize>,
    /// All of these.
    pub scopes: Vec<Box<str>>,
    /// And, unless empty, one of these.
    pub any_scope: Vec<Box<str>>,
    /// And these, which are built from the request; boxed, as nearly every requirement is literal.
    pub built: Option<Box<Built>>,
    /// And this.
    pub when: Option<Expression>,
    /// What comes is GraphQL, and judged by its operations; all of the above is for those that need a token.
    pub graphql: Option<Arc<GraphQl>>,
}

/// CORS (Fetch standard) for one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Exact origins; `*` stands alone and excludes credentials.
    pub origins: Vec<Box<str>>,
    /// `Access-Control-Allow-Credentials`.
    pub credentials: bool,
    /// Allowed request headers, lower-case.
    pub headers: Vec<Box<str>>,
    /// Exposed response headers.
    pub expose: Vec<Box<str>>,
    /// How long a preflight may be remembered.
    pub max_age: Duration,
}

/// Whether a refusal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforce {
    /// It does.
    #[default]
    Deny,
    /// It is counted and logged, and the request goes on without an identity.
    Shadow,
}

/// What [`parse`] needs from outside.
pub struct Context<'a> {
    /// The file's name, for messages.
    pub name: &'a str,
    /// What relative paths are relative to.
    pub directory: &'a Path,
    /// The environment, for `{env: NAME, default: value}` scalars.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// Parses a whole file, or reports every problem in it at once. The second value holds warnings
/// (`dangerous_*` keys).
pub fn parse(text: &str, context: &Context<'_>) -> Result<(Config, Vec<Problem>), Problems> {
    decode::decode(text, context)
}

/// Renders the long form (`check --print`), secrets redacted, as YAML.
pub fn print(config: &Config) -> String {
    print::print(config)
}
