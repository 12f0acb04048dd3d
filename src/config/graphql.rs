//! `require.graphql` of a route: which permissions an operation needs, and what an operation may be.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use crate::config::problems::Position;
use crate::token::claims::Selector;

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say all")]
pub enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

/// `require.graphql`: the operations of this route are judged one by one, by the fields at their root.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphQl {
    /// What a field needs by its name; none where only `fields` say.
    pub permission: Option<Permission>,
    /// What single fields need: they go before the template.
    pub fields: Vec<FieldRule>,
    /// Operations of these kinds need no token, unless a field of theirs has a rule.
    pub public: Vec<OperationKind>,
    /// Who may read the schema by `__schema` and `__type`.
    pub introspection: Introspection,
    /// Which operations of a document count.
    pub operations: Counted,
    /// Operations in one request, at most; 0 takes no lists, unless it only warns.
    pub batch: Bound,
    /// Requests that a page of another origin could make a browser send without asking are refused.
    pub csrf: bool,
    /// Documents known by a hash or an id.
    pub persisted: Persisted,
    /// What becomes of an operation that may be run in part.
    pub unauthorized: Unauthorized,
    /// How much an operation may ask for.
    pub limits: OperationLimits,
    /// The route's condition names `request.arguments`.
    pub arguments: bool,
    /// Rules below the root.
    pub schema: Option<Arc<SchemaRules>>,
    /// Refusals are answered with status 200, as servers of old do.
    pub compat: bool,
    /// Refusals say which scopes were needed.
    pub show_scopes: bool,
    /// Event streams may be reserved (graphql-sse's single connection mode), and a reservation's name counts this long. Without,
    /// they are not served.
    pub reserved_streams: Option<Duration>,
    /// The protocols over a WebSocket.
    pub messages: Messages,
}

/// `permission` and `field`.
#[derive(Debug, Clone)]
pub struct Permission {
    /// What the permission is made of.
    pub template: Vec<PermissionPiece>,
    /// What names of fields have to be like: a field of another name is for nobody. Without, any. Anchored: it matches
    /// names whole ([`Permission::written`] is what the file says).
    pub field: Option<Regex>,
}

impl Permission {
    /// `field` as the file has it.
    pub fn written(&self) -> Option<&str> {
        let anchored = self.field.as_ref()?.as_str();
        Some(anchored.strip_prefix(WHOLE.0).and_then(|text| text.strip_suffix(WHOLE.1)).unwrap_or(anchored))
    }
}

/// What makes a pattern match whole names.
pub(crate) const WHOLE: (&str, &str) = (r"\A(?:", r")\z");

impl PartialEq for Permission {
    fn eq(&self, other: &Self) -> bool {
        let text = |permission: &Self| permission.field.as_ref().map(|field| field.as_str().to_owned());
        self.template == other.template && text(self) == text(other)
    }
}

/// A part of a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionPiece {
    /// As it stands.
    Literal(Box<str>),
    /// `{operation}`: `Query`, `Mutation` or `Subscription`.
    Operation,
    /// `{field}`: the field's name.
    Field,
    /// A named group of `field`.
    Capture(Box<str>),
}

/// What one root field needs: `Mutation.refund: orders:refund`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// Of operations of this kind.
    pub kind: OperationKind,
    /// The field's own name, never its alias.
    pub field: Box<str>,
    /// What it needs.
    pub need: FieldNeed,
}

/// What a field needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldNeed {
    /// Nothing.
    Public,
    /// A token that the route takes.
    Authenticated,
    /// All of these permissions. Not empty.
    Permissions(Vec<Box<str>>),
}

/// `introspection`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// Everybody may.
    Allow,
    /// Whoever has a token.
    Authenticated,
    /// Whoever has this permission.
    Permission(Box<str>),
    /// Nobody.
    Deny,
}

/// `operations`: whose permissions are asked for, where a document has several operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counted {
    /// Those of the one that is asked for, and of every mutation: no server can run another than was judged.
    #[default]
    Strict,
    /// Those of the one that is asked for.
    Selected,
}

/// `unauthorized`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unauthorized {
    /// The whole operation is refused.
    #[default]
    Refuse,
    /// The fields at its root that the token may not have are left out, and are `null` in the answer.
    Filter,
}

/// `persisted`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Persisted {
    /// A document that was sent once with its hash is known by the hash from then on.
    pub automatic: bool,
    /// The documents that may be run.
    pub safelist: Option<Safelist>,
}

/// `persisted.safelist`, with the documents as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safelist {
    /// A manifest, or a directory of documents; against the configuration's directory.
    pub path: PathBuf,
    /// Where it is named.
    pub at: Position,
    /// What is done with other documents.
    pub mode: SafelistMode,
    /// Ids and documents: what was found there when the configuration was read, sorted by id.
    pub documents: Arc<Vec<(Box<str>, Box<str>)>>,
}

/// How strict a safelist is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SafelistMode {
    /// Other documents are logged and run.
    Log,
    /// Other documents are refused.
    #[default]
    Enforce,
    /// Documents are not taken at all, only ids.
    Ids,
}

/// `limits` of `require.graphql`. 0 is no limit, except of what is named otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationLimits {
    /// Octets of a document with its envelope; never more than `limits.inspected_body`, whether it warns or not. Not 0.
    pub body: Bound,
    /// Tokens of a document. Not 0.
    pub tokens: Bound,
    /// Nesting of selections, values and types. Not 0.
    pub recursion: Bound,
    /// Selection sets within each other, through fragments.
    pub depth: Bound,
    /// Fields with another name than their own, through fragments.
    pub aliases: Bound,
    /// Directives, through fragments.
    pub directives: Bound,
    /// Fields at the root of a query or subscription.
    pub root_fields: Bound,
    /// Fields at the root of a mutation.
    pub mutations: Bound,
    /// Octets of an operation's name.
    pub name: Bound,
    /// What the operation costs: a field with a selection 2, one without 1, each level half as much again.
    pub cost: Bound,
}

/// One bound, and whether what is past it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The most. 0 is no bound.
    pub most: u64,
    /// What is past it is logged and counted, and run.
    pub warn: bool,
}

/// `schema` and `types`: rules on fields below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRules {
    /// An SDL file or the result of an introspection; against the configuration's directory.
    pub path: PathBuf,
    /// Where it is named.
    pub at: Position,
    /// The file's text: what was found there when the configuration was read.
    pub text: Arc<str>,
    /// `Type.field`, and what it needs.
    pub rules: Vec<TypeRule>,
}

/// What a field of a type needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRule {
    /// The type: an object, or an interface, whose rule goes for every type that implements it.
    pub of: Box<str>,
    /// The field; none is the type, wherever it is reached (`Type: …`).
    pub field: Option<Box<str>>,
    /// What it needs, beside what all else asks for; never [`FieldNeed::Public`].
    pub need: FieldNeed,
    /// Where the rule stands.
    pub at: Position,
}

/// `messages`: GraphQL over a WebSocket (`graphql-transport-ws` and the older `graphql-ws`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    /// Where the token is in the payload of `connection_init`, the first that is there; `Bearer ` before it is left out.
    pub token: Vec<Selector>,
    /// The longest wait for `connection_init`.
    pub init_time: Duration,
    /// How long a client may be silent before it is asked whether it is there, and from then until it is let go.
    pub keep_alive: Duration,
    /// Operations under way at once.
    pub operations: usize,
    /// Octets of one message.
    pub message: usize,
}

impl OperationKind {
    /// As permissions name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Subscription => "Subscription",
        }
    }
}
