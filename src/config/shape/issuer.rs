//! `issuers`.

use std::time::Duration;

use crate::config::defaults as d;
use crate::config::shape::table::{CLAIM, DAY, PATH, SECOND, SECRET, SHARED_SECRET, TEXT, YEAR, flag, words};
use crate::config::shape::{Absent, Given, Key, Mapping, Takes, Text};

/// One of `issuers`.
pub static ISSUER: Mapping = Mapping {
    id: "issuer",
    name: "an issuer",
    keys: &[
        Key::required("issuer", TEXT, "`iss`, compared exactly."),
        Key::required("audience", Takes::Some(&TEXT), "`aud` must hold one of these; or `any`."),
        Key::or(
            "keys",
            Takes::Either(&[words(&["discovery"]), Takes::Fields(&KEYS)]),
            Given::Word("discovery"),
            "Where its keys come from.",
        ),
        Key::or(
            "refresh",
            Takes::Duration(d::FETCH_PAUSE_MIN, YEAR),
            Given::Duration(d::REFRESH),
            "Between fetches of keys; Cache-Control may shorten it to 1m.",
        ),
        Key::or(
            "cooldown",
            Takes::Duration(d::FETCH_PAUSE_MIN, DAY),
            Given::Duration(d::COOLDOWN),
            "Between fetches forced by unknown kids.",
        ),
        Key::or(
            "max_stale",
            Takes::Duration(Duration::ZERO, YEAR),
            Given::Duration(d::MAX_STALE),
            "How long fetched keys serve when no fetch succeeds.",
        ),
        Key::or(
            "miss_wait",
            Takes::Duration(Duration::ZERO, Duration::from_secs(30)),
            Given::Duration(d::MISS_WAIT),
            "How long a request may wait for a key.",
        ),
        Key::optional(
            "algorithms",
            Takes::Some(&Takes::Text(Text::Algorithm)),
            "what the keys are",
            "The allowed algorithms.",
        ),
        Key::or(
            "leeway",
            Takes::Duration(Duration::ZERO, d::LEEWAY_MAX),
            Given::Duration(d::LEEWAY),
            "Clock difference tolerated.",
        ),
        Key::or(
            "max_token_lifetime",
            Takes::Duration(SECOND, Duration::from_secs(100 * 365 * 86_400)),
            Given::Duration(d::MAX_TOKEN_LIFETIME),
            "Longest life accepted: exp - iat, or exp - now without iat.",
        ),
        Key::or(
            "token_type",
            words(&["any", "at+jwt"]),
            Given::Word("any"),
            "`at+jwt` is the RFC 9068 profile.",
        ),
        Key::or(
            "scope_match",
            words(&["exact", "segments", "glob"]),
            Given::Word("exact"),
            "How granted scopes may be patterns.",
        ),
        Key::optional("claims", Takes::Fields(&CLAIMS), "every default", "Where the claims are."),
        Key::or(
            "from",
            Takes::Some(&Takes::Either(&[words(&["bearer"]), Takes::Fields(&PLACE)])),
            Given::Word("bearer"),
            "Where its tokens stand in a request.",
        ),
        Key::optional(
            "introspection",
            Takes::Fields(&INTROSPECTION),
            "its tokens are JWTs",
            "Its tokens are opaque, and asked about at whoever issued them (RFC 7662).",
        ),
        flag("dangerous_http", "Accepts keys over plain HTTP beyond loopback."),
    ],
    later: &[],
};

/// `introspection` of an issuer.
pub static INTROSPECTION: Mapping = Mapping {
    id: "introspection",
    name: "`introspection`",
    keys: &[
        Key::required("url", Takes::Text(Text::Url), "The endpoint."),
        Key::required("client", TEXT, "The id that the gateway has there."),
        Key::required("secret", Takes::Secret(&SECRET), "And its secret."),
        Key::or(
            "cache",
            Takes::Duration(Duration::ZERO, d::INTROSPECTION_CACHE_MAX),
            Given::Duration(d::INTROSPECTION_CACHE),
            "How long an answer counts, never beyond `exp`.",
        ),
        Key::or(
            "timeout",
            Takes::Duration(Duration::from_millis(10), Duration::from_secs(30)),
            Given::Duration(d::INTROSPECTION_TIMEOUT),
            "How long an answer is waited for.",
        ),
    ],
    later: &[],
};

/// `keys` of an issuer, in long form: exactly one.
pub static KEYS: Mapping = Mapping {
    id: "keys",
    name: "`keys`",
    keys: &[
        Key::optional("jwks", Takes::Fields(&JWKS), "not as a JWKS", "A JWKS document (RFC 7517 section 5)."),
        Key::optional("pem", Takes::Fields(&PEM), "not as PEM", "Public keys as PEM."),
        Key::optional("secret", Takes::Secret(&SHARED_SECRET), "not a secret", "A shared secret, for HMAC."),
    ],
    later: &[],
};

/// `keys.jwks`: exactly one.
pub static JWKS: Mapping = Mapping {
    id: "jwks",
    name: "`jwks`",
    keys: &[
        Key::optional("url", Takes::Text(Text::Url), "not fetched", "Fetched from here."),
        Key::optional("file", PATH, "not in a file", "A file."),
        Key::optional(
            "inline",
            Takes::Either(&[Takes::Json, TEXT]),
            "not in this file",
            "The document itself, as YAML or as JSON text.",
        ),
    ],
    later: &[],
};

/// `keys.pem`: exactly one.
pub static PEM: Mapping = Mapping {
    id: "pem",
    name: "`pem`",
    keys: &[
        Key::optional("file", PATH, "not in a file", "A file."),
        Key::optional("env", TEXT, "not in the environment", "An environment variable."),
        Key::optional("inline", TEXT, "not in this file", "The PEM itself."),
    ],
    later: &[],
};

/// `claims` of an issuer.
pub static CLAIMS: Mapping = Mapping {
    id: "claims",
    name: "`claims`",
    keys: &[
        claim("scope", d::CLAIM_SCOPE, "The granted scopes."),
        claim("subject", d::CLAIM_SUBJECT, "Who."),
        claim("client", d::CLAIM_CLIENT, "By which client."),
        claim("id", d::CLAIM_ID, "The token's id."),
        claim("session", d::CLAIM_SESSION, "The session."),
        claim("tenant", d::CLAIM_TENANT, "The tenant."),
    ],
    later: &[],
};

/// One of `from`, in long form: exactly one.
pub static PLACE: Mapping = Mapping {
    id: "place",
    name: "a place of `from`",
    keys: &[
        Key::optional(
            "header",
            Takes::Text(Text::HeaderName),
            "not a header",
            "The whole value of this header.",
        ),
        Key::optional("cookie", TEXT, "not a cookie", "This cookie."),
        Key::optional("query", TEXT, "not in the query", "This query parameter."),
    ],
    later: &[],
};

const fn claim(name: &'static str, given: &'static [&'static str], what: &'static str) -> Key {
    Key { name, takes: Takes::Some(&CLAIM), absent: Absent::Is(Given::Words(given)), what }
}
