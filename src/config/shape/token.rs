//! `tokens` and `signing_keys`.

use std::time::Duration;

use crate::config::defaults as d;
use crate::config::shape::credential::READER_OF;
use crate::config::shape::issuer::{CLAIMS, PLACE};
use crate::config::shape::table::{DAY, PATH, SECOND, SECRET, SHARED_SECRET, TEXT, YEAR, words};
use crate::config::shape::{Given, Key, Mapping, Takes, Text};

/// One of `tokens`.
pub static TOKEN: Mapping = Mapping {
    id: "token",
    name: "a token",
    keys: &[
        Key::or("format", words(&["jwt", "opaque", "refresh"]), Given::Word("jwt"), "What it looks like."),
        Key::optional("issuer", TEXT, "of the token that `oauth` gives out its URL, else its name", "`iss`."),
        Key::optional(
            "audience",
            Takes::Some(&TEXT),
            "its `issuer` where `type` is `at+jwt` (RFC 9068 section 3), else `any`",
            "`aud`: whom it is for, and one of these routes then ask for; or `any`.",
        ),
        Key::or(
            "sign",
            Takes::Short(&Takes::Text(Text::Algorithm), &SIGN),
            Given::Word("ES256"),
            "With what a JWT is signed: an algorithm, for keys that the gateway makes and replaces; or a key.",
        ),
        Key::or("type", words(&["at+jwt", "JWT"]), Given::Word("at+jwt"), "The JOSE header's `typ`."),
        Key::optional("prefix", TEXT, "none", "What a random token begins with."),
        Key::or(
            "octets",
            Takes::Whole(d::TOKEN_OCTETS_MIN, d::TOKEN_OCTETS_MAX),
            Given::Whole(d::TOKEN_OCTETS),
            "Randomness of a random token.",
        ),
        Key::or(
            "encoding",
            words(&["base62", "hex", "base64url"]),
            Given::Word("base62"),
            "How a random token is written.",
        ),
        Key::optional(
            "lifetime",
            Takes::Short(&SPAN, &LIFETIME),
            "1h, and of a refresh token 30d",
            "How long it lives.",
        ),
        Key::or(
            "sliding",
            Takes::Flag,
            Given::Flag(true),
            "Each use of a refresh token begins its lifetime anew.",
        ),
        Key::or(
            "grace",
            Takes::Duration(Duration::ZERO, d::REFRESH_GRACE_MAX),
            Given::Duration(d::REFRESH_GRACE),
            "How long a refresh token still counts once it has been used, with the same answer.",
        ),
        Key::or("subject", Takes::Text(Text::Template), Given::Word(d::TOKEN_SUBJECT), "Whom it is for."),
        Key::optional(
            "claims",
            Takes::Named(Text::Claim, &Takes::Template),
            "`sub`, `aud`, `jti`, `sid`, `client_id` and `scope`",
            "What it says beside `iss`, `iat` and `exp`.",
        ),
        Key::optional(
            "claim_names",
            Takes::Fields(&CLAIMS),
            "every default",
            "Where routes find the claims.",
        ),
        Key::or(
            "from",
            Takes::Some(&Takes::Either(&[words(&["bearer"]), Takes::Fields(&PLACE)])),
            Given::Word("bearer"),
            "Where it stands in a request.",
        ),
        Key::or(
            "leeway",
            Takes::Duration(Duration::ZERO, d::LEEWAY_MAX),
            Given::Duration(d::TOKEN_LEEWAY),
            "Clock difference tolerated.",
        ),
        Key::or(
            "scope_match",
            words(&["exact", "segments", "glob"]),
            Given::Word("exact"),
            "How the scopes that it grants may be patterns.",
        ),
    ],
    later: &[],
};

/// `sign` of a token, in long form.
pub static SIGN: Mapping = Mapping {
    id: "sign",
    name: "`sign`",
    keys: &[
        Key::required("algorithm", Takes::Text(Text::Algorithm), "With which algorithm."),
        Key::optional("secret", Takes::Secret(&SHARED_SECRET), "no secret", "A shared secret, for HMAC."),
        Key::optional("pem", Takes::Secret(&SECRET), "no key in PEM", "A private key in PEM (PKCS#8)."),
    ],
    later: &[],
};

/// `lifetime` of a token, in long form.
pub static LIFETIME: Mapping = Mapping {
    id: "lifetime",
    name: "`lifetime`",
    keys: &[
        Key::required("default", SPAN, "Unless another is asked for."),
        Key::optional(
            "asked",
            READER_OF,
            "none can be asked for",
            "Where another may be asked for, in seconds.",
        ),
        Key::optional("max", SPAN, "`default`", "The longest that can be asked for; longer is cut to it."),
    ],
    later: &[],
};

/// `signing_keys`.
pub static SIGNING_KEYS: Mapping = Mapping {
    id: "signing_keys",
    name: "`signing_keys`",
    keys: &[
        Key::optional(
            "sealed_with",
            Takes::Secret(&SECRET),
            "no token is signed with the gateway's own keys",
            "Seals them in the store: 32 octets, or their base64.",
        ),
        Key::or(
            "rotate",
            Takes::Duration(Duration::ZERO, YEAR),
            Given::Duration(d::ROTATE),
            "How old an active key becomes; 0s is for ever.",
        ),
        Key::or(
            "publish",
            Takes::Duration(Duration::ZERO, DAY),
            Given::Duration(d::PUBLISH),
            "How long a key is published before it signs.",
        ),
    ],
    later: &[],
};

/// `oauth`.
pub static OAUTH: Mapping = Mapping {
    id: "oauth",
    name: "`oauth`",
    keys: &[
        Key::optional(
            "issuer",
            TEXT,
            "http(s)://localhost and the first listener's port, with a warning",
            "The URL that clients know the gateway by.",
        ),
        Key::optional(
            "clients",
            Takes::Text(Text::Name),
            "`clients`, made if there is none: managed API keys",
            "Which of `credentials` the clients are.",
        ),
        Key::optional(
            "access",
            Takes::Text(Text::Name),
            "`access`, made if there is none: a JWT of an hour, ES256",
            "Which of `tokens` they get.",
        ),
        Key::optional(
            "refresh",
            Takes::Text(Text::Name),
            "`refresh`, made if there is none: 30d",
            "And which refresh token; `none` for none.",
        ),
        Key::optional(
            "pepper",
            Takes::Secret(&SECRET),
            "no clients are made",
            "Keys the hashes of the clients' secrets, where `clients` is made.",
        ),
        Key::or("path", PATH, Given::Word(d::OAUTH_PATH), "Where `token`, `revoke` and `introspect` are."),
    ],
    later: &[],
};

/// How long tokens may live.
pub(crate) const SPAN: Takes = Takes::Span(SECOND, d::TOKEN_LIFETIME_MAX);
