//! `endpoints` and `errors`.

use std::time::Duration;

use crate::config::defaults as d;
use crate::config::shape::credential::READER_OF;
use crate::config::shape::route::CORS;
use crate::config::shape::table::{DAY, TEXT, flag, words};
use crate::config::shape::{Given, Key, Mapping, Takes, Text};

/// One of `endpoints`: exactly one of what it does.
pub static ENDPOINT: Mapping = Mapping {
    id: "endpoint",
    name: "an endpoint",
    keys: &[
        Key::optional("name", Takes::Text(Text::Label), "its key", "Its metric label."),
        Key::optional(
            "issue",
            NAMES,
            "issues nothing",
            "Gives these of `tokens` to whoever has the credential.",
        ),
        Key::optional("refresh", NAME, "refreshes nothing", "Gives what this token was given with anew."),
        Key::optional("revoke", NAMES, "revokes nothing", "Ends tokens of these kinds."),
        Key::optional("introspect", NAMES, "says nothing of tokens", "Says what a token says (RFC 7662)."),
        Key::optional("key_set", NAMES, "shows no keys", "The public keys of these tokens (RFC 7517)."),
        Key::optional("metadata", Takes::Template, "no metadata", "This JSON (RFC 8414)."),
        Key::optional(
            "resource",
            Takes::Fields(&RESOURCE),
            "no metadata",
            "Protected-resource metadata (RFC 9728), from what the routes require.",
        ),
        Key::optional(
            "grants",
            Takes::Fields(&GRANTS),
            "no token endpoint",
            "A token endpoint of OAuth 2.0: client_credentials, refresh_token (RFC 6749) and token exchange (RFC 8693).",
        ),
        Key::optional(
            "credential",
            Takes::Short(&NAME, &SELECTION),
            "whoever presents the token",
            "Who may ask: one of `credentials`, or one of several by a word of the request.",
        ),
        Key::optional("from", Takes::Some(&READER_OF), "see `from` of the token", "Where the token stands."),
        flag("family", "Revokes all that was refreshed from and to the token."),
        Key::optional(
            "subject",
            Takes::Text(Text::Template),
            "the token that is presented",
            "Revokes every token of this subject.",
        ),
        Key::optional(
            "require",
            Takes::Named(Text::Claim, &Takes::Short(&words(KINDS), &MEMBER)),
            "nothing",
            "Members that the body has to have, in order.",
        ),
        Key::optional("scopes", Takes::Fields(&SCOPES), "every default", "Which scopes the tokens get."),
        Key::optional(
            "act_as",
            Takes::Fields(&ACT_AS),
            "for the caller itself",
            "The token is made as if this API key had asked.",
        ),
        Key::optional(
            "reuse",
            Takes::Fields(&REUSE),
            "a new token each time",
            "A token that the subject has is given again.",
        ),
        Key::optional(
            "answer",
            Takes::Fields(&ANSWER),
            "as RFC 6749 and 7009 have it",
            "What is answered when it was done.",
        ),
        Key::optional(
            "errors",
            ERRORS,
            "as RFC 6749 has it",
            "What is answered when it was not, by reason; `*` is for all others.",
        ),
        Key::or(
            "attempts",
            Takes::Whole(1, 1_000_000),
            Given::Whole(d::ATTEMPTS),
            "Failed attempts a minute, of one credential id and of one address.",
        ),
        Key::optional("cors", Takes::Fields(&CORS), "no CORS", "Cross-origin requests by browsers."),
    ],
    later: &[],
};

/// `resource`: there is nothing to say.
pub static RESOURCE: Mapping = Mapping { id: "resource", name: "`resource`", keys: &[], later: &[] };

/// `grants`.
pub static GRANTS: Mapping = Mapping {
    id: "grants",
    name: "`grants`",
    keys: &[
        Key::required("access", NAME, "Which of `tokens` clients get."),
        Key::optional("refresh", NAME, "no refresh token", "And which refresh token."),
    ],
    later: &[],
};

/// `credential` of an endpoint, where a word of the request chooses.
pub static SELECTION: Mapping = Mapping {
    id: "selection",
    name: "`credential`",
    keys: &[
        Key::required("by", READER_OF, "Where the word stands."),
        Key::required(
            "of",
            Takes::Named(Text::Label, &NAME),
            "The words, and the credential each stands for.",
        ),
    ],
    later: &[],
};

/// One of `require` of an endpoint.
pub static MEMBER: Mapping = Mapping {
    id: "member",
    name: "a required member",
    keys: &[
        Key::or(
            "type",
            words(KINDS),
            Given::Word("any"),
            "Of which type it has to be; no list or text is empty.",
        ),
        Key::or("error", TEXT, Given::Word(d::MEMBER_ERROR), "The reason that is answered otherwise."),
    ],
    later: &[],
};

/// `scopes` of an endpoint.
pub static SCOPES: Mapping = Mapping {
    id: "scopes",
    name: "`scopes`",
    keys: &[
        Key::optional("asked", READER_OF, "none can be asked for", "Where scopes are asked for."),
        Key::or(
            "mode",
            words(&["subset", "inherit"]),
            Given::Word("subset"),
            "`subset` refuses more than the ceiling; with `inherit` the ceiling is what one gets.",
        ),
        Key::or("ceiling", Takes::Template, Given::Word(d::CEILING), "What they are cut from."),
    ],
    later: &[],
};

/// `act_as` of an endpoint.
pub static ACT_AS: Mapping = Mapping {
    id: "act_as",
    name: "`act_as`",
    keys: &[
        Key::required("credential", NAME, "One of `credentials`, of API keys."),
        Key::required("id", Takes::Text(Text::Template), "The key's id."),
    ],
    later: &[],
};

/// `reuse` of an endpoint.
pub static REUSE: Mapping = Mapping {
    id: "reuse",
    name: "`reuse`",
    keys: &[
        Key::optional("unless", Takes::Fields(&UNLESS), "always", "A new one is made if this stands there."),
        Key::or(
            "min_remaining",
            Takes::Duration(Duration::ZERO, DAY),
            Given::Duration(d::REUSE_REMAINING),
            "Nor is one given again that lives for less.",
        ),
    ],
    later: &[],
};

/// `unless` of `reuse`: a place, and what stands there.
pub static UNLESS: Mapping = Mapping {
    id: "unless",
    name: "`unless`",
    keys: &[
        Key::optional("header", Takes::Text(Text::HeaderName), "not a header", "This header."),
        Key::optional("cookie", TEXT, "not a cookie", "This cookie."),
        Key::optional("query", TEXT, "not in the query", "This query parameter."),
        Key::optional("body", Takes::Text(Text::Claim), "not in the body", "This member of the body."),
        Key::required("is", TEXT, "What stands there."),
    ],
    later: &[],
};

/// `answer`, and one of `errors`.
pub static ANSWER: Mapping = Mapping {
    id: "answer",
    name: "an answer",
    keys: &[
        Key::optional("status", Takes::Whole(200, 599), "200, and of an error its own", "Its status."),
        Key::optional(
            "headers",
            Takes::Named(Text::HeaderName, &Takes::Text(Text::Template)),
            "none",
            "Lines of its head.",
        ),
        Key::optional("body", Takes::Template, "no body", "Its body, as JSON."),
    ],
    later: &[],
};

/// `errors`, of the file, a route or an endpoint.
pub(crate) const ERRORS: Takes = Takes::Named(Text::Label, &Takes::Fields(&ANSWER));

const NAME: Takes = Takes::Text(Text::Name);
const NAMES: Takes = Takes::Some(&NAME);
const KINDS: &[&str] = &["any", "text", "list", "text_list", "object"];
