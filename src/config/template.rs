//! Texts and JSON with holes in them: what a token claims, and what an endpoint answers.
//!
//! `{name}` is a hole. A value that is exactly one hole keeps the type of what fills it (a list, a number, null); among
//! other characters what fills it is written as text. `{name?}` may stay empty: as a whole value it takes its key, or its
//! element, with it. `{{` and `}}` are the braces themselves.

use crate::config::net;
use crate::config::problems::{Wrong, closest, quoted};
use crate::token::claims::Selector;

#[cfg(test)]
mod tests;

/// JSON with holes.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// `null`, a flag or a number, as it is.
    Plain(serde_json::Value),
    /// A text without, with one, or with several holes.
    Text(Text),
    /// A list.
    List(Vec<Self>),
    /// An object, in the order in which it is written.
    Object(Vec<(Box<str>, Self)>),
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

impl Text {
    /// Reads a text with holes. The error says what is wrong with it, and repeats nothing but the hole.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let end = after.find(['{', '}']).filter(|end| brace == "{" && after[*end..].starts_with('}'));
            let Some(end) = end else {
                return Err(Wrong::is(format!("has a `{brace}` without its pair"))
                    .hint("a hole is `{name}`; `{{` and `}}` are the braces themselves"));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            pieces.push(Piece::Hole(Hole::parse(&after[..end])?));
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Self(pieces))
    }

    /// As it is written in the file.
    pub fn written(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.replace('{', "{{").replace('}', "}}"),
            Piece::Hole(hole) => {
                format!("{{{}{}}}", hole.source.written(), if hole.optional { "?" } else { "" })
            }
        };
        self.0.iter().map(piece).collect()
    }

    /// A text without holes.
    pub fn literal(text: &str) -> Self {
        Self(if text.is_empty() { Vec::new() } else { vec![Piece::Literal(text.into())] })
    }

    /// Its holes.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Hole(hole) => Some(hole),
        })
    }
}

impl Template {
    /// A text of one hole and nothing else.
    pub fn hole(source: Source, optional: bool) -> Self {
        Self::Text(Text(vec![Piece::Hole(Hole { source, optional })]))
    }

    /// Visits every text in it.
    pub fn texts<'t>(&'t self, visit: &mut dyn FnMut(&'t Text)) {
        match self {
            Self::Plain(_) => {}
            Self::Text(text) => visit(text),
            Self::List(items) => items.iter().for_each(|item| item.texts(visit)),
            Self::Object(members) => members.iter().for_each(|(_, member)| member.texts(visit)),
        }
    }
}

impl Hole {
    fn parse(written: &str) -> Result<Self, Wrong> {
        let (name, optional) = written.strip_suffix('?').map_or((written, false), |name| (name, true));
        Ok(Self { source: Source::parse(name)?, optional })
    }
}

impl Source {
    fn parse(name: &str) -> Result<Self, Wrong> {
        let unknown = || {
            let wrong =
                Wrong::is(format!("has the hole {}, which nothing fills", quoted(&format!("{{{name}}}"))));
            match closest(name, WORDS.iter().map(|(word, _)| *word).chain(FAMILIES)) {
                Some(near) => wrong.hint(format!("did you mean `{{{near}}}`?")),
                None => wrong.hint(
                    "`{credential.NAME}`, `{body.NAME}`, `{path.NAME}`, `{query.NAME}`, `{header.NAME}`, `{token.NAME}`, \
                     `{random.N}`, `{subject}`, `{scopes}`, `{scope}`, `{session}`, `{now}`, `{uuid}`, `{reason}`, \
                     `{message}`, `{request.id}`; `{{` and `}}` are the braces themselves",
                ),
            }
        };
        if let Some((_, source)) = WORDS.iter().find(|(word, _)| *word == name) {
            return Ok(source.clone());
        }
        let Some((family, inner)) = name.split_once('.').filter(|(_, inner)| !inner.is_empty()) else {
            return Err(unknown());
        };
        let member = || match Selector::parse(&[inner]) {
            Some(_) => Ok(Box::from(inner)),
            None => Err(Wrong::is(format!(
                "has the hole {}, which is no pointer",
                quoted(&format!("{{{name}}}"))
            ))
            .hint("a pointer is written as RFC 6901 has it: `/a/b`, with `~0` for `~` and `~1` for `/`")),
        };
        match family {
            "credential" => member().map(Self::Credential),
            "body" => member().map(Self::Body),
            "path" => Ok(Self::Path(inner.into())),
            "query" => Ok(Self::Query(inner.into())),
            "header" if net::is_token(inner) => Ok(Self::Header(inner.to_ascii_lowercase().into())),
            "random" => match inner.parse::<usize>() {
                Ok(count) if (1..=RANDOM_CHARACTERS).contains(&count) => Ok(Self::Random(count)),
                _ => Err(Wrong::is("has a `{random.N}` where N is no whole number")
                    .hint(format!("from 1 to {RANDOM_CHARACTERS}"))),
            },
            "token" => Ok(match (inner.strip_suffix(".expires"), inner.strip_suffix(".lifetime")) {
                (Some(token), _) if !token.is_empty() => Self::Expires(token.into()),
                (_, Some(token)) if !token.is_empty() => Self::Lifetime(token.into()),
                _ => Self::Token(inner.into()),
            }),
            _ => Err(unknown()),
        }
    }

    /// As it is written between the braces.
    pub fn written(&self) -> String {
        match self {
            Self::Credential(name) => format!("credential.{name}"),
            Self::Body(name) => format!("body.{name}"),
            Self::Path(name) => format!("path.{name}"),
            Self::Query(name) => format!("query.{name}"),
            Self::Header(name) => format!("header.{name}"),
            Self::Random(count) => format!("random.{count}"),
            Self::Token(name) => format!("token.{name}"),
            Self::Expires(name) => format!("token.{name}.expires"),
            Self::Lifetime(name) => format!("token.{name}.lifetime"),
            Self::Subject
            | Self::Scopes
            | Self::Scope
            | Self::Session
            | Self::Now
            | Self::Uuid
            | Self::Reason
            | Self::Message
            | Self::RequestId => {
                WORDS.iter().find(|(_, source)| source == self).map_or("", |(word, _)| *word).to_owned()
            }
        }
    }
}

/// Holes that are one word.
const WORDS: [(&str, Source); 9] = [
    ("subject", Source::Subject),
    ("scopes", Source::Scopes),
    ("scope", Source::Scope),
    ("session", Source::Session),
    ("now", Source::Now),
    ("uuid", Source::Uuid),
    ("reason", Source::Reason),
    ("message", Source::Message),
    ("request.id", Source::RequestId),
];

/// For hints.
const FAMILIES: [&str; 3] = ["credential.id", "credential.scopes", "credential.name"];

/// `{random.N}`: more is no name any more.
const RANDOM_CHARACTERS: usize = 256;
