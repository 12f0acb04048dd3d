//! `credentials`.

use crate::config::defaults as d;
use crate::config::shape::table::{SECRET, TEXT, flag, words};
use crate::config::shape::{Given, Key, Mapping, Takes, Text};

/// One of `credentials`.
pub static CREDENTIAL: Mapping = Mapping {
    id: "credential",
    name: "a credential",
    keys: &[
        Key::optional("api_keys", Takes::Fields(&API_KEYS), "no API keys", "API keys: ids and secrets."),
        Key::optional("people", Takes::Fields(&PEOPLE), "no people", "People: names and passwords."),
        Key::optional(
            "issuer",
            Takes::Text(Text::Name),
            "no token",
            "A token of this issuer, or of this one of `tokens`.",
        ),
        Key::or(
            "from",
            Takes::Either(&[words(&["client", "basic", "bearer"]), Takes::Fields(&CREDENTIAL_PLACE)]),
            Given::Word("client"),
            "Where it stands in a request to an endpoint. `client` is RFC 6749 section 2.3.1.",
        ),
        Key::or(
            "scope_match",
            words(&["exact", "segments", "glob"]),
            Given::Word("exact"),
            "How the scopes of its holders may be patterns.",
        ),
    ],
    later: &[],
};

/// `from` of a credential, in long form: one text, or an id and a secret.
pub static CREDENTIAL_PLACE: Mapping = Mapping {
    id: "credential_place",
    name: "a credential's `from`",
    keys: &[
        READ_HEADER,
        READ_COOKIE,
        READ_QUERY,
        READ_PATH,
        READ_BODY,
        Key::optional("id", READER_OF, "one text is all of it", "Where its id is."),
        Key::optional("secret", READER_OF, "one text is all of it", "Where its secret, or the password, is."),
    ],
    later: &[],
};

/// A place that one value is read from: exactly one.
pub static READER: Mapping = Mapping {
    id: "reader",
    name: "a place of a request",
    keys: &[READ_HEADER, READ_COOKIE, READ_QUERY, READ_PATH, READ_BODY],
    later: &[],
};

/// `api_keys`.
pub static API_KEYS: Mapping = Mapping {
    id: "api_keys",
    name: "`api_keys`",
    keys: &[
        Key::optional("prefix", TEXT, "none", "What keys begin with."),
        Key::optional(
            "prefixes",
            Takes::Named(Text::Free, &Takes::Json),
            "none",
            "What keys begin with, and the attributes that those have.",
        ),
        Key::optional(
            "entries",
            Takes::Either(&[Takes::Any(&Takes::Fields(&LISTED_KEY)), Takes::Fields(&ENTRIES)]),
            "no list",
            "Keys that are listed here, in a file or in the environment.",
        ),
        flag("managed", "Keys may be made at run time (`/v1/api-keys`); wants `store` and `pepper`."),
        Key::optional("pepper", Takes::Secret(&SECRET), "none", "Keys the hashes of secrets."),
        Key::optional(
            "issuer",
            TEXT,
            "the credential's name",
            "`iss` of what a key says where it is a route's credential itself.",
        ),
    ],
    later: &[],
};

/// `people`.
pub static PEOPLE: Mapping = Mapping {
    id: "people",
    name: "`people`",
    keys: &[
        Key::optional(
            "entries",
            Takes::Either(&[Takes::Any(&Takes::Fields(&LISTED_PERSON)), Takes::Fields(&ENTRIES)]),
            "no list",
            "People who are listed here, in a file or in the environment.",
        ),
        flag("managed", "People may be added at run time (`/v1/users`); wants `store`."),
        Key::or(
            "memory",
            Takes::Size(8 * 1024, 1024 * 1024 * 1024),
            Given::Size(d::ARGON2_MEMORY),
            "Memory of one argon2id.",
        ),
        Key::or("passes", Takes::Whole(1, 64), Given::Whole(d::ARGON2_PASSES), "Passes of one argon2id."),
    ],
    later: &[],
};

/// `entries`, in a file or a variable.
pub static ENTRIES: Mapping = Mapping {
    id: "entries",
    name: "`entries`",
    keys: &[
        Key::optional("file", Takes::Text(Text::Path), "not in a file", "A file: a JSON array of objects."),
        Key::optional("env", TEXT, "not in the environment", "An environment variable with the same."),
        Key::or("id", TEXT, Given::Word(d::ENTRY_ID), "Which member is the id, or a person's name."),
        Key::optional(
            "secret",
            TEXT,
            "`secret`, and of a person `password`",
            "Which member is the secret, or the password (`$argon2id$…`).",
        ),
        Key::or("scopes", TEXT, Given::Word(d::ENTRY_SCOPES), "Which member holds the scopes."),
    ],
    later: &[],
};

/// One of `entries` that stands in the file itself. Keys that are not here are attributes.
pub static LISTED_KEY: Mapping = Mapping {
    id: "listed_key",
    name: "a listed key",
    keys: &[
        Key::required("id", TEXT, "Its id."),
        Key::required("secret", Takes::Secret(&SECRET), "Where its secret is."),
        Key::optional("scopes", Takes::Any(&TEXT), "none", "What it may have."),
    ],
    later: &[],
};

/// One of `entries` that stands in the file itself. Keys that are not here are attributes.
pub static LISTED_PERSON: Mapping = Mapping {
    id: "listed_person",
    name: "a listed person",
    keys: &[
        Key::required("id", TEXT, "The name to sign in with."),
        Key::required("password", Takes::Secret(&SECRET), "Where the password's hash is (`$argon2id$…`)."),
        Key::optional("scopes", Takes::Any(&TEXT), "none", "What the person may have."),
    ],
    later: &[],
};

/// Where one value stands in a request, short or long.
pub(crate) const READER_OF: Takes = Takes::Either(&[words(&["bearer"]), Takes::Fields(&READER)]);

const READ_HEADER: Key =
    Key::optional("header", Takes::Text(Text::HeaderName), "not a header", "This header.");
const READ_COOKIE: Key = Key::optional("cookie", TEXT, "not a cookie", "This cookie.");
const READ_QUERY: Key = Key::optional("query", TEXT, "not in the query", "This query parameter.");
const READ_PATH: Key = Key::optional("path", TEXT, "not in the path", "This parameter of the path.");
const READ_BODY: Key = Key::optional(
    "body",
    Takes::Text(Text::Claim),
    "not in the body",
    "This member of the body, by name or pointer (RFC 6901).",
);
