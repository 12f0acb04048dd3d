//! `require.graphql` of a route.

use crate::config::defaults as d;
use crate::config::shape::table::{CLAIM, REQUIREMENT, SECOND, flag, words};
use crate::config::shape::{Given, Key, Mapping, Takes, Text};

/// `require.graphql`.
pub static GRAPHQL: Mapping = Mapping {
    id: "graphql",
    name: "`graphql`",
    keys: &[
        Key::optional(
            "permission",
            Takes::Text(Text::Template),
            "what neither `fields` nor `public` covers is for nobody",
            "What a field at the root of an operation needs: `{operation}`, `{field}` and the groups of `field`.",
        ),
        Key::optional(
            "field",
            Takes::Text(Text::Template),
            "fields of every name",
            "What a field's name is like, whole; its named groups are for `permission`. Others are for nobody.",
        ),
        Key::optional(
            "fields",
            Takes::Named(Text::RootField, &Takes::Some(&REQUIREMENT)),
            "no field has a rule of its own",
            "What single fields need, before `public` and `permission`: `public`, `authenticated`, or all of these scopes.",
        ),
        Key::optional(
            "public",
            Takes::Some(&Takes::Text(Text::PublicOperation)),
            "every operation needs a token",
            "Kinds of operations that are for everybody, or single fields: `Query`, `Mutation.login`.",
        ),
        Key::optional(
            "introspection",
            Takes::Either(&[words(&["allow", "authenticated", "deny"]), Takes::Fields(&INTROSPECTION)]),
            "`allow` where queries are public, else `authenticated`",
            "Who may read the schema.",
        ),
        Key::or(
            "operations",
            words(&["strict", "selected"]),
            Given::Word("strict"),
            "Of a document with several operations, whose permissions are needed: also of every mutation, or only \
             of the one that is asked for.",
        ),
        Key::or(
            "batch",
            Takes::Short(&BATCH, &BATCH_BOUND),
            Given::Whole(d::GRAPHQL_BATCH),
            "Operations in one request, at most; 0 takes no lists.",
        ),
        Key::or(
            "csrf",
            Takes::Flag,
            Given::Flag(true),
            "Refuses what a page of another origin could make a browser send unasked.",
        ),
        Key::optional(
            "persisted",
            Takes::Fields(&PERSISTED),
            "documents come whole, and any may",
            "Documents known by a hash or an id.",
        ),
        Key::or(
            "unauthorized",
            words(&["refuse", "filter"]),
            Given::Word("refuse"),
            "Whether an operation is refused whole, or run without the root fields that the token may not have.",
        ),
        Key::optional(
            "limits",
            Takes::Fields(&LIMITS),
            "every default",
            "How much an operation may ask for.",
        ),
        Key::optional(
            "schema",
            Takes::Text(Text::Path),
            "no rules below the root",
            "The schema, for `types`: SDL, or the JSON of an introspection.",
        ),
        Key::optional(
            "types",
            Takes::Named(Text::TypeField, &Takes::Some(&REQUIREMENT)),
            "no rules below the root",
            "What fields below the root need besides: `Person.email`, or `Order` for whatever leads to one.",
        ),
        Key::optional(
            "compat",
            Takes::Whole(200, 200),
            "refusals have their own statuses",
            "200: refusals are answered with it, as servers of old do.",
        ),
        flag("show_scopes", "Refusals say which scopes were needed."),
        Key::optional(
            "reserved_streams",
            Takes::Duration(d::RESERVED_STREAMS_MIN, d::RESERVED_STREAMS_MAX),
            "event streams cannot be reserved",
            "Serves graphql-sse's single connection mode; how long a reservation can be used, by whoever has made it.",
        ),
        Key::optional(
            "messages",
            Takes::Fields(&MESSAGES),
            "every default",
            "GraphQL over a WebSocket: `graphql-transport-ws`, and the older `graphql-ws`.",
        ),
    ],
    later: &[],
};

/// `introspection`, in long form.
pub static INTROSPECTION: Mapping = Mapping {
    id: "graphql_introspection",
    name: "`introspection`",
    keys: &[Key::required("permission", REQUIREMENT, "The scope that it needs.")],
    later: &[],
};

/// `persisted`.
pub static PERSISTED: Mapping = Mapping {
    id: "persisted",
    name: "`persisted`",
    keys: &[
        flag("automatic", "A document that came once with its hash is known by the hash from then on."),
        Key::optional(
            "safelist",
            Takes::Fields(&SAFELIST),
            "any document may be run",
            "The documents that may be run.",
        ),
    ],
    later: &[],
};

/// `persisted.safelist`.
pub static SAFELIST: Mapping = Mapping {
    id: "safelist",
    name: "`safelist`",
    keys: &[
        Key::required(
            "path",
            Takes::Text(Text::Path),
            "A manifest (Apollo's, Relay's, or `{\"id\": \"document\"}`), or a directory of `.graphql` files.",
        ),
        Key::or(
            "mode",
            words(&["enforce", "log", "ids"]),
            Given::Word("enforce"),
            "Other documents are refused; `log` runs them and says so; `ids` takes ids alone.",
        ),
    ],
    later: &[],
};

/// `limits` of `graphql`.
pub static LIMITS: Mapping = Mapping {
    id: "graphql_limits",
    name: "`limits` of `graphql`",
    keys: &[
        Key::or(
            "body",
            Takes::Short(&BODY, &BODY_BOUND),
            Given::Size(d::GRAPHQL_BODY),
            "Octets of a request; never more than `inspected_body` of the file's own `limits`.",
        ),
        bound("tokens", d::GRAPHQL_TOKENS, "Tokens of a document; not 0."),
        bound("recursion", d::GRAPHQL_RECURSION, "Nested brackets of a document; not 0."),
        Key::optional(
            "depth",
            Takes::Short(&MOST, &BOUND),
            "`{most: 15, warn: true}`",
            "Selection sets within each other, through fragments.",
        ),
        bound("aliases", d::GRAPHQL_ALIASES, "Fields under another name, through fragments."),
        bound("directives", d::GRAPHQL_DIRECTIVES, "Directives, through fragments."),
        bound("root_fields", d::GRAPHQL_ROOT_FIELDS, "Fields at the root of an operation."),
        bound("mutations", d::GRAPHQL_MUTATIONS, "Fields at the root of a mutation."),
        bound("name", d::GRAPHQL_NAME, "Octets of an operation's name."),
        bound(
            "cost",
            d::GRAPHQL_COST,
            "A field with a selection costs 2, one without 1, each level half as much again.",
        ),
    ],
    later: &[],
};

/// One bound, in long form.
pub static BOUND: Mapping = Mapping {
    id: "bound",
    name: "a bound",
    keys: &[
        Key::required("most", MOST, "The most; 0 is no bound."),
        flag(
            "warn",
            "What is past it is counted and run: of tokens and recursion as far as documents are read at all.",
        ),
    ],
    later: &[],
};

/// `batch`, in long form.
pub static BATCH_BOUND: Mapping = Mapping {
    id: "batch",
    name: "`batch`",
    keys: &[
        Key::required("most", BATCH, "The most; 0 is none."),
        flag("warn", "Longer lists are counted and run, to the most that any route takes."),
    ],
    later: &[],
};

/// `body`, in long form.
pub static BODY_BOUND: Mapping = Mapping {
    id: "body_bound",
    name: "`body`",
    keys: &[
        Key::required("most", BODY, "The most."),
        flag("warn", "What is past it is counted and run, to `inspected_body` of the file's own `limits`."),
    ],
    later: &[],
};

/// `messages`.
pub static MESSAGES: Mapping = Mapping {
    id: "messages",
    name: "`messages`",
    keys: &[
        Key::or(
            "token",
            Takes::Some(&CLAIM),
            Given::Words(d::MESSAGE_TOKEN),
            "Where the payload of `connection_init` has the token: the first that is there.",
        ),
        Key::or(
            "init_time",
            Takes::Duration(SECOND, d::MESSAGE_INIT_TIME_MAX),
            Given::Duration(d::MESSAGE_INIT_TIME),
            "How long `connection_init` is waited for.",
        ),
        Key::or(
            "keep_alive",
            Takes::Duration(SECOND, d::MESSAGE_KEEP_ALIVE_MAX),
            Given::Duration(d::MESSAGE_KEEP_ALIVE),
            "A client that is silent for so long is sent a ping, and let go when it is silent for so long again.",
        ),
        Key::or(
            "operations",
            Takes::Whole(1, d::MESSAGE_OPERATIONS_MAX),
            Given::Whole(d::MESSAGE_OPERATIONS),
            "Operations under way at once, of one connection.",
        ),
        Key::or(
            "message",
            Takes::Size(1, d::GRAPHQL_BODY_MAX),
            Given::Size(d::MESSAGE),
            "Octets of one message.",
        ),
    ],
    later: &[],
};

const fn bound(name: &'static str, given: u64, what: &'static str) -> Key {
    Key::or(name, Takes::Short(&MOST, &BOUND), Given::Whole(given), what)
}

const MOST: Takes = Takes::Whole(0, d::GRAPHQL_BOUND_MAX);
const BATCH: Takes = Takes::Whole(0, d::GRAPHQL_BATCH_MAX);
const BODY: Takes = Takes::Size(1, d::GRAPHQL_BODY_MAX);
