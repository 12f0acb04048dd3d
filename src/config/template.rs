//! Texts and JSON with holes in them: what a token claims, and what an endpoint answers.
//!
//! `{name}` is a hole. A value that is exactly one hole keeps the type of what fills it (a list, a number, null); among
//! other characters what fills it is written as text. `{name?}` may stay empty: as a whole value it takes its key, or its
//! element, with it. `{{` and `}}` are the braces themselves.

/// JSON with holes.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// `null`, a flag or a number, as it is.
    Plain(serde_json::Value),
    /// A text without, with one, or with several holes.
    Text(Text),
    /// A list.
    List(Vec<Template>),
    /// An object, in the order in which it is written.
    Object(Vec<(Box<str>, Template)>),
}

/// A text with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub Vec<Piece>);

/// A part of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Literal(Box<str>),
    /// What is filled in.
    Hole(Hole),
}

/// What is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// From where.
    pub source: Source,
    /// It may stay empty (`{name?}`).
    pub optional: bool,
}

/// Where a hole is filled from. Which of them a template may name, its place decides: a claims template knows no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `{credential.NAME}`: `id`, `name`, `scopes`, or an attribute of an API key or a person; a claim of a token of
    /// another issuer. A name that begins with `/` is an RFC 6901 pointer.
    Credential(Box<str>),
    /// `{body.NAME}` or `{body./a/b}`: a member of the request's body, JSON or a form.
    Body(Box<str>),
    /// `{path.NAME}`: a parameter of the endpoint's path.
    Path(Box<str>),
    /// `{query.NAME}`.
    Query(Box<str>),
    /// `{header.NAME}`, lower-case.
    Header(Box<str>),
    /// `{subject}`: whom the token is for.
    Subject,
    /// `{scopes}`: what was granted, as a list.
    Scopes,
    /// `{scope}`: the same in one text (RFC 6749 section 3.3); in an error, the scope that was refused.
    Scope,
    /// `{session}`: the name of the family that a token and all that it is refreshed to belong to.
    Session,
    /// `{now}`: seconds since 1970.
    Now,
    /// `{uuid}`: a random one (RFC 9562 version 4).
    Uuid,
    /// `{random.N}`: N random characters of `0-9A-Za-z`.
    Random(usize),
    /// `{token.NAME}`: the token of this entry of `tokens` that was made.
    Token(Box<str>),
    /// `{token.NAME.expires}`: seconds since 1970.
    Expires(Box<str>),
    /// `{token.NAME.lifetime}`: seconds from now.
    Lifetime(Box<str>),
    /// `{reason}`: the code of the refusal, of an error.
    Reason,
    /// `{message}`: the same in words.
    Message,
    /// `{request.id}`.
    RequestId,
}
