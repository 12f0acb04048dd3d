//! `routes`.

use std::time::Duration;

use crate::config::defaults as d;
use crate::config::shape::table::{CLAIM, DAY, REQUIREMENT, SECOND, flag, words};
use crate::config::shape::{Given, Key, Mapping, Takes, Text, endpoint, graphql};

/// One of `routes`.
pub static ROUTE: Mapping = Mapping {
    id: "route",
    name: "a route",
    keys: &[
        Key::optional("name", Takes::Text(Text::Label), "its key", "Its metric label."),
        Key::required("require", Takes::Short(&REQUIREMENT, &REQUIRE), "What it requires."),
        Key::optional("forward", Takes::Fields(&FORWARD), "every default", "What the upstream is told."),
        Key::optional("cors", Takes::Fields(&CORS), "no CORS", "Cross-origin requests by browsers."),
        Key::or(
            "websocket",
            Takes::Either(&[words(&["same_origin", "none", "any"]), Takes::Fields(&WEBSOCKET)]),
            Given::Word("same_origin"),
            "Which pages may open a WebSocket.",
        ),
        Key::optional(
            "streams",
            Takes::Fields(&STREAMS),
            "every default",
            "What becomes of its WebSockets, event streams and long answers when their token dies.",
        ),
        Key::optional("upstream", Takes::Text(Text::Name), "the only upstream", "Where it goes."),
        Key::or(
            "enforce",
            words(&["deny", "shadow"]),
            Given::Word("deny"),
            "`shadow` counts and logs a refusal and lets the request pass.",
        ),
        Key::or(
            "on_stale_revocations",
            Takes::Word { now: &["serve"], later: &["deny"] },
            Given::Word("serve"),
            "What happens while revocations are stale.",
        ),
        Key::optional(
            "errors",
            endpoint::ERRORS,
            "those of the file",
            "What refusals are answered with, by reason; `*` is for all others.",
        ),
        flag("dangerous_path", "Accepts paths that another parser may read differently (`%2f`, `//`, `..`)."),
    ],
    later: &[],
};

/// `require` of a route, in long form.
pub static REQUIRE: Mapping = Mapping {
    id: "require",
    name: "`require`",
    keys: &[
        Key::optional(
            "issuers",
            Takes::Some(&Takes::Text(Text::Name)),
            "all issuers",
            "Whose tokens count here.",
        ),
        Key::optional("scopes", Takes::Some(&Takes::Text(Text::Scope)), "no scope", "All of these scopes."),
        Key::optional(
            "any_scope",
            Takes::Some(&Takes::Text(Text::Scope)),
            "no scope",
            "One of these scopes.",
        ),
        Key::optional(
            "when",
            Takes::Text(Text::Expression),
            "no condition",
            "A CEL expression over `claims`, `request` and `now`.",
        ),
        Key::optional(
            "graphql",
            Takes::Fields(&graphql::GRAPHQL),
            "requests are judged by their method and path",
            "What comes is GraphQL, and judged by its operations; the rest is for those that need a token.",
        ),
    ],
    later: &[],
};

/// `forward` of a route.
pub static FORWARD: Mapping = Mapping {
    id: "forward",
    name: "`forward`",
    keys: &[
        Key::optional(
            "headers",
            Takes::Named(Text::HeaderName, &Takes::Either(&[Takes::Some(&CLAIM), Takes::Fields(&HEADER)])),
            "no identity headers",
            "Identity headers, and the claim that fills each.",
        ),
        Key::or(
            "authorization",
            words(&["strip", "keep"]),
            Given::Word("strip"),
            "Whether the credential travels on.",
        ),
    ],
    later: &[],
};

/// One of `forward.headers`, in long form.
pub static HEADER: Mapping = Mapping {
    id: "header",
    name: "a header",
    keys: &[
        Key::required("claim", Takes::Some(&CLAIM), "Which claim."),
        Key::or(
            "array",
            words(&["comma", "json", "repeat"]),
            Given::Word("comma"),
            "How an array is written.",
        ),
    ],
    later: &[],
};

/// `websocket` of a route, in long form.
pub static WEBSOCKET: Mapping = Mapping {
    id: "websocket",
    name: "`websocket`",
    keys: &[Key::required("origins", Takes::Some(&Takes::Text(Text::Origin)), "Exact origins.")],
    later: &[],
};

/// `streams` of a route.
pub static STREAMS: Mapping = Mapping {
    id: "streams",
    name: "`streams`",
    keys: &[
        Key::or(
            "close",
            Takes::Whole(d::POLICY_VIOLATION as u64, d::PRIVATE_CLOSE_LAST as u64),
            Given::Whole(d::STREAM_CLOSE as u64),
            "The close code of a WebSocket whose token died: 1008, or 4000 to 4999.",
        ),
        Key::or(
            "grace",
            Takes::Duration(Duration::ZERO, d::STREAM_GRACE_MAX),
            Given::Duration(d::STREAM_GRACE),
            "How long past `exp` and leeway a stream may go on; never past a revocation.",
        ),
        Key::optional(
            "warning",
            Takes::Short(&Takes::Text(Text::Free), &WARNING),
            "no warning",
            "A text message to a WebSocket's client before its token ends.",
        ),
        Key::optional(
            "reauthenticate",
            Takes::Fields(&REAUTHENTICATE),
            "a stream ends with the token that it began with",
            "Which of a WebSocket client's text messages bring a new token. The upstream does not get them.",
        ),
    ],
    later: &[],
};

/// `streams.warning`, in long form.
pub static WARNING: Mapping = Mapping {
    id: "warning",
    name: "`warning`",
    keys: &[
        Key::or(
            "before",
            Takes::Duration(SECOND, DAY),
            Given::Duration(d::STREAM_WARNING),
            "How long before the stream's end.",
        ),
        Key::required("message", Takes::Text(Text::Free), "The message, of at most 1 KiB."),
    ],
    later: &[],
};

/// `streams.reauthenticate`.
pub static REAUTHENTICATE: Mapping = Mapping {
    id: "reauthenticate",
    name: "`reauthenticate`",
    keys: &[
        Key::required("token", Takes::Text(Text::Claim), "Where the token is in the message's JSON object."),
        Key::optional(
            "when",
            Takes::Named(Text::Claim, &Takes::Text(Text::Free)),
            "every message with a string at `token` is one",
            "What else the object has to say: a string, a whole number or a boolean for each member.",
        ),
    ],
    later: &[],
};

/// `cors` of a route.
pub static CORS: Mapping = Mapping {
    id: "cors",
    name: "`cors`",
    keys: &[
        Key::required("origins", Takes::Some(&Takes::Text(Text::Origin)), "Exact origins, or `*` alone."),
        Key::or(
            "credentials",
            Takes::Flag,
            Given::Flag(true),
            "Access-Control-Allow-Credentials; off where `origins` is `*`.",
        ),
        Key::or(
            "headers",
            Takes::Any(&Takes::Text(Text::HeaderName)),
            Given::Words(d::CORS_HEADERS),
            "Allowed request headers.",
        ),
        Key::or(
            "expose",
            Takes::Any(&Takes::Text(Text::HeaderName)),
            Given::Words(&[]),
            "Response headers that scripts may read.",
        ),
        Key::or(
            "max_age",
            Takes::Duration(Duration::ZERO, DAY),
            Given::Duration(d::CORS_MAX_AGE),
            "How long a preflight may be remembered.",
        ),
    ],
    later: &[],
};
