//! The table itself, top down in the order of the file; what belongs to issuers and routes is beside it.

use std::time::Duration;

use crate::config::defaults as d;
use crate::config::shape::{
    Absent, Given, Key, Mapping, Takes, Text, credential, endpoint, issuer, route, token,
};

/// The whole file.
pub static FILE: Mapping = Mapping {
    id: "file",
    name: "the file",
    keys: &[
        Key::required("version", Takes::Whole(1, 1), "The version of this format."),
        Key::optional("workers", Takes::Whole(1, 1024), "one per core", "Worker threads."),
        Key::required("listeners", Takes::Some(&Takes::Short(&PLACE, &LISTENER)), "Where clients connect."),
        Key::optional("admin", Takes::Short(&ADDRESS, &ADMIN), "no admin listener", "The admin listener."),
        Key::optional(
            "upstreams",
            Takes::Named(Text::Name, &Takes::Short(&Takes::Text(Text::Peer), &UPSTREAM)),
            "none; required as soon as a route forwards",
            "Where requests go, by name.",
        ),
        Key::optional(
            "issuers",
            Takes::Named(Text::Name, &Takes::Fields(&issuer::ISSUER)),
            "none; required as soon as a route asks for a token",
            "Whose tokens count, by name.",
        ),
        Key::required(
            "routes",
            Takes::Named(Text::RouteKey, &Takes::Short(&REQUIREMENT, &route::ROUTE)),
            "What may be asked for, `[METHODS ][HOST]/PATH`, and what it requires. What is not here is 404.",
        ),
        Key::optional(
            "credentials",
            Takes::Named(Text::Name, &Takes::Fields(&credential::CREDENTIAL)),
            "none",
            "Who may have tokens made here, by name.",
        ),
        Key::optional(
            "tokens",
            Takes::Named(Text::Name, &Takes::Fields(&token::TOKEN)),
            "none",
            "What is minted here, by name; routes trust it as an issuer's.",
        ),
        Key::optional(
            "endpoints",
            Takes::Named(Text::RouteKey, &Takes::Fields(&endpoint::ENDPOINT)),
            "none",
            "What the gateway answers itself, `[METHODS ][HOST]/PATH`.",
        ),
        Key::optional(
            "oauth",
            Takes::Fields(&token::OAUTH),
            "none",
            "The endpoints of an authorization server for machines, all at once.",
        ),
        Key::optional(
            "signing_keys",
            Takes::Fields(&token::SIGNING_KEYS),
            "every default",
            "How keys that the gateway makes are kept and replaced.",
        ),
        Key::optional(
            "errors",
            endpoint::ERRORS,
            "problem details (RFC 9457)",
            "What refusals of all routes are answered with, by reason; `*` is for all others.",
        ),
        Key::optional(
            "revocation",
            Takes::Short(&PATH, &REVOCATION),
            "nothing is revoked",
            "What no longer counts.",
        ),
        Key::optional("store", Takes::Fields(&STORE), "nothing is kept", "What must survive a restart."),
        Key::optional(
            "audit",
            Takes::Short(&PATH, &AUDIT),
            "nothing is written down",
            "Who asked for which change.",
        ),
        Key::or(
            "key_mirror",
            PATH,
            Given::Word(d::KEY_MIRROR),
            "Directory for the last good fetched key sets; `none` turns it off.",
        ),
        Key::optional("limits", Takes::Fields(&LIMITS), "every default", "Every bound."),
        Key::or(
            "shutdown_grace",
            Takes::Duration(Duration::ZERO, DAY),
            Given::Duration(d::SHUTDOWN_GRACE),
            "How long open requests may go on after SIGTERM.",
        ),
        Key::optional(
            "upgrade_socket",
            PATH,
            "no upgrade without a restart",
            "Where `run --upgrade` takes over; in a directory (0700) of its own.",
        ),
        Key::optional("log", Takes::Fields(&LOG), "every default", "Logging."),
    ],
    later: &["policies", "feed"],
};

/// One of `listeners`.
pub static LISTENER: Mapping = Mapping {
    id: "listener",
    name: "a listener",
    keys: &[
        Key::required("address", PLACE, "Where, as IP:PORT or unix:PATH."),
        Key::optional(
            "mode",
            Takes::Text(Text::Mode),
            "0660",
            "Permissions of the file of a Unix socket, which alone has them.",
        ),
        Key::optional("tls", Takes::Fields(&LISTENER_TLS), "plain HTTP", "What it shows of itself over TLS."),
        Key::or(
            "proxy_protocol",
            words(&["none", "required"]),
            Given::Word("none"),
            "Whether connections begin with a PROXY header.",
        ),
        Key::optional(
            "trusted_proxies",
            Takes::Any(&Takes::Text(Text::Network)),
            "nobody's are",
            "Whose `X-Forwarded-*` are believed.",
        ),
    ],
    later: &[],
};

/// `tls` of a listener: one certificate, or several in `certificates`.
pub static LISTENER_TLS: Mapping = Mapping {
    id: "listener_tls",
    name: "a listener's `tls`",
    keys: &[
        Key::optional("certificate", PATH, "given in `certificates`", CERTIFICATE_FILE),
        Key::optional("private_key", Takes::Secret(&SECRET), "given in `certificates`", "Its key, as PEM."),
        Key::optional(
            "certificates",
            Takes::Some(&Takes::Fields(&CERTIFICATE)),
            "the one certificate beside it",
            "Several, chosen by the name that a client asks for; the first is for all others.",
        ),
        Key::optional(
            "client_ca",
            PATH,
            "no client certificates",
            "Who signs the clients' certificates, as PEM.",
        ),
        Key::or(
            "client_certificate",
            words(&["none", "optional", "required"]),
            Given::Word("none"),
            "Whether clients show a certificate; one that is shown has to verify.",
        ),
    ],
    later: &[],
};

/// One of `certificates`.
pub static CERTIFICATE: Mapping = Mapping {
    id: "certificate",
    name: "a certificate",
    keys: &[
        Key::required("certificate", PATH, CERTIFICATE_FILE),
        Key::required("private_key", Takes::Secret(&SECRET), "Its key, as PEM."),
    ],
    later: &[],
};

/// `admin`.
pub static ADMIN: Mapping = Mapping {
    id: "admin",
    name: "the admin listener",
    keys: &[
        Key::required("address", ADDRESS, "Where, as IP:PORT."),
        Key::optional("token", Takes::Secret(&SECRET), "loopback only", "Its bearer token."),
    ],
    later: &[],
};

/// Where a secret is: exactly one of `file`, `env` and `inline`.
pub static SECRET: Mapping = Mapping {
    id: "secret",
    name: "a secret",
    keys: &[SECRET_FILE, SECRET_ENV, SECRET_INLINE, DANGEROUS_INLINE],
    later: &["vault"],
};

/// Where a shared secret for HMAC is.
pub static SHARED_SECRET: Mapping = Mapping {
    id: "shared_secret",
    name: "a secret",
    keys: &[
        SECRET_FILE,
        SECRET_ENV,
        SECRET_INLINE,
        DANGEROUS_INLINE,
        flag(
            "dangerous_short_secret",
            "Accepts a secret shorter than its algorithm's hash (RFC 7518 section 3.2).",
        ),
    ],
    later: &["vault"],
};

/// One of `upstreams`.
pub static UPSTREAM: Mapping = Mapping {
    id: "upstream",
    name: "an upstream",
    keys: &[
        Key::required("peers", Takes::Some(&Takes::Text(Text::Peer)), "Where it is reached."),
        Key::or(
            "balance",
            words(&["round_robin", "least_requests", "consistent_hash"]),
            Given::Word("round_robin"),
            "How a peer is chosen.",
        ),
        Key::optional(
            "health",
            Takes::Either(&[words(&["none"]), Takes::Short(&Takes::Text(Text::RequestPath), &HEALTH)]),
            "peers are not checked",
            "Active health checks.",
        ),
        Key::or(
            "host",
            Takes::Either(&[words(&["keep", "upstream"]), Takes::Fields(&HOST)]),
            Given::Word("keep"),
            "The `Host` it is sent.",
        ),
        Key::optional(
            "tls",
            Takes::Fields(&UPSTREAM_TLS),
            "the system's roots, and no certificate of ours",
            "How its `https` peers are verified, and what they are shown.",
        ),
        Key::or(
            "connect_timeout",
            Takes::Duration(MILLISECOND, HOUR),
            Given::Duration(d::CONNECT_TIMEOUT),
            "To connect, and for `https` to shake hands.",
        ),
        Key::or(
            "response_timeout",
            Takes::Duration(MILLISECOND, DAY),
            Given::Duration(d::RESPONSE_TIMEOUT),
            "From the request sent to the response head.",
        ),
        whole(
            "max_requests",
            1,
            10_000_000,
            d::MAX_REQUESTS,
            "Requests that it has at once, WebSockets among them; any other is 503.",
        ),
    ],
    later: &[],
};

/// `tls` of an upstream.
pub static UPSTREAM_TLS: Mapping = Mapping {
    id: "upstream_tls",
    name: "an upstream's `tls`",
    keys: &[
        Key::optional("ca", PATH, "the system's roots", "Who signs the peers' certificates, as PEM."),
        Key::optional("certificate", PATH, "the peers are shown none", CERTIFICATE_FILE),
        Key::optional("private_key", Takes::Secret(&SECRET), "the peers are shown none", "Its key, as PEM."),
    ],
    later: &[],
};

/// `health` of an upstream.
pub static HEALTH: Mapping = Mapping {
    id: "health",
    name: "a health check",
    keys: &[
        Key::required("path", Takes::Text(Text::RequestPath), "`GET` this path; 2xx is healthy."),
        Key::or(
            "interval",
            Takes::Duration(Duration::from_millis(10), DAY),
            Given::Duration(d::HEALTH_INTERVAL),
            "How often.",
        ),
    ],
    later: &[],
};

/// `host` of an upstream, in long form.
pub static HOST: Mapping = Mapping {
    id: "host",
    name: "`host`",
    keys: &[Key::required("literal", Takes::Text(Text::Host), "This one.")],
    later: &[],
};

/// `revocation`.
pub static REVOCATION: Mapping = Mapping {
    id: "revocation",
    name: "`revocation`",
    keys: &[
        Key::optional("file", PATH, "no file", "A YAML list of entries."),
        Key::optional(
            "claims",
            Takes::Some(&CLAIM),
            "no entry is of the kind `claim`",
            "Claims that entries of the kind `claim` may name: names or pointers (RFC 6901).",
        ),
        Key::or(
            "recheck_streams",
            Takes::Duration(Duration::from_millis(100), HOUR),
            Given::Duration(d::RECHECK_STREAMS),
            "How often open streams are checked again.",
        ),
    ],
    later: &[],
};

/// `store`.
pub static STORE: Mapping = Mapping {
    id: "store",
    name: "`store`",
    keys: &[Key::required("sqlite", PATH, "An SQLite file.")],
    later: &["postgres"],
};

/// `audit`.
pub static AUDIT: Mapping = Mapping {
    id: "audit",
    name: "`audit`",
    keys: &[Key::required("file", PATH, "A file of JSON lines that only grows.")],
    later: &[],
};

/// `limits`.
pub static LIMITS: Mapping = Mapping {
    id: "limits",
    name: "`limits`",
    keys: &[
        size("token", 256, MIB, d::TOKEN, "Octets of a token."),
        size("header_line", 256, MIB, d::HEADER_LINE, "Octets of one header line."),
        size("header_total", 1024, MIB, d::HEADER_TOTAL, "Octets of a whole request head."),
        whole("headers", 1, d::HEADERS_MAX, d::HEADERS, "Header lines."),
        size(
            "h2_header_list",
            1024,
            MIB,
            d::H2_HEADER_LIST,
            "Octets of a decoded HTTP/2 field list, 32 added for each field.",
        ),
        whole("h2_streams", 1, 10_000, d::H2_STREAMS, "HTTP/2 streams open at once, a connection."),
        whole("connections", 1, 10_000_000, d::CONNECTIONS, "Connections open at once."),
        whole(
            "connections_per_address",
            1,
            10_000_000,
            d::CONNECTIONS_PER_ADDRESS,
            "Of which from one address.",
        ),
        whole("handshakes", 1, 10_000_000, d::HANDSHAKES, "TLS handshakes under way at once."),
        whole(
            "requests_per_connection",
            1,
            1_000_000_000_000,
            d::REQUESTS_PER_CONNECTION,
            "Requests before a connection is closed.",
        ),
        time("header_time", HOUR, d::HEADER_TIME, "From a request's first octet to the end of its head."),
        time("idle_time", DAY, d::IDLE_TIME, "Between requests."),
        size("body_rate", 1, 1024 * MIB, d::BODY_RATE, "Least octets of body a second."),
        time("write_stall", HOUR, d::WRITE_STALL, "Longest wait for a client to take octets."),
        size(
            "drain",
            0,
            64 * MIB,
            d::DRAIN,
            "Octets of a refused body that are read so that the connection can go on.",
        ),
        size(
            "verified_cache",
            0,
            1024 * 1024 * MIB,
            d::VERIFIED_CACHE,
            "Octets of memory for verified tokens, all workers together.",
        ),
        whole(
            "signatures_in_flight",
            1,
            10_000,
            d::SIGNATURES_IN_FLIGHT,
            "Tokens whose signatures wait to be verified, a worker; past it, `overloaded`.",
        ),
        size(
            "inspected_body",
            1024,
            64 * MIB,
            d::INSPECTED_BODY,
            "Octets of a request's body that is read whole; past it, `body_too_large`.",
        ),
        size(
            "inspected_total",
            1024,
            1024 * 1024 * MIB,
            d::INSPECTED_TOTAL,
            "Octets of all such bodies held at once; past it, `overloaded`.",
        ),
        size("key_set", 1024, 64 * MIB, d::KEY_SET, "Octets of a fetched key set."),
    ],
    later: &[],
};

/// `log`.
pub static LOG: Mapping = Mapping {
    id: "log",
    name: "`log`",
    keys: &[
        Key::or("format", words(&["text", "json"]), Given::Word("json"), "Form."),
        Key::or(
            "level",
            words(&["off", "error", "warn", "info", "debug", "trace"]),
            Given::Word(d::LOG_LEVEL),
            "From which level on.",
        ),
        Key::or("access", Takes::Flag, Given::Flag(d::LOG_ACCESS), "One line a request."),
    ],
    later: &[],
};

/// `{env: NAME, default: value}`, which may stand for any scalar.
pub static ENVIRONMENT: Mapping = Mapping {
    id: "env",
    name: "a value from the environment",
    keys: &[
        Key::required("env", TEXT, "The variable's name."),
        Key::optional("default", TEXT, "the variable must be set", "Its value if it is not set."),
    ],
    later: &[],
};

/// Shared by the sections.
pub(crate) const TEXT: Takes = Takes::Text(Text::Free);
/// Shared by the sections.
pub(crate) const PATH: Takes = Takes::Text(Text::Path);
/// Shared by the sections.
pub(crate) const CLAIM: Takes = Takes::Text(Text::Claim);
const ADDRESS: Takes = Takes::Text(Text::Address);
const PLACE: Takes = Takes::Text(Text::Listener);
/// Shared by the sections.
pub(crate) const REQUIREMENT: Takes = Takes::Text(Text::Scope);

const CERTIFICATE_FILE: &str = "The certificate and those between it and its root, as PEM.";
const SECRET_FILE: Key = Key::optional("file", PATH, "not in a file", "A file that holds it.");
const SECRET_ENV: Key =
    Key::optional("env", TEXT, "not in the environment", "An environment variable that holds it.");
const SECRET_INLINE: Key =
    Key::optional("inline", TEXT, "not in this file", "The secret itself; wants `dangerous_inline_secret`.");
const DANGEROUS_INLINE: Key = flag("dangerous_inline_secret", "Accepts `inline`.");

const MIB: u64 = 1024 * 1024;
/// Shared by the sections.
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
/// Shared by the sections.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
/// Shared by the sections.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Shared by the sections.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// One of these words.
pub(crate) const fn words(now: &'static [&'static str]) -> Takes {
    Takes::Word { now, later: &[] }
}

/// A flag that is off unless given.
pub(crate) const fn flag(name: &'static str, what: &'static str) -> Key {
    Key { name, takes: Takes::Flag, absent: Absent::Is(Given::Flag(false)), what }
}

const fn size(name: &'static str, min: u64, max: u64, given: u64, what: &'static str) -> Key {
    Key { name, takes: Takes::Size(min, max), absent: Absent::Is(Given::Size(given)), what }
}

const fn whole(name: &'static str, min: u64, max: u64, given: u64, what: &'static str) -> Key {
    Key { name, takes: Takes::Whole(min, max), absent: Absent::Is(Given::Whole(given)), what }
}

const fn time(name: &'static str, max: Duration, given: Duration, what: &'static str) -> Key {
    let takes = Takes::Duration(Duration::from_millis(10), max);
    Key { name, takes, absent: Absent::Is(Given::Duration(given)), what }
}
