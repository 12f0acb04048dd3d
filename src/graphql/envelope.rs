//! The JSON around a document (RFC 8259), as strictly as any server may read it.
//!
//! Nothing is built but a list of the outermost members, which point into the text. What two servers could read in two
//! ways is refused: a name that stands twice, however it is escaped and in whatever case it is written (some decoders
//! compare names without regard to it), half of a surrogate pair, and whatever JSON's grammar does not know.
//!
//! Why not the reader of tokens ([`crate::token::json`]): it refuses equal names at every depth, where what stands deeper
//! is for the upstream to judge; and it goes through serde, which takes twice as long.

mod scanner;
mod text;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::graphql::envelope::scanner::Scanner;
use crate::graphql::envelope::text::unescaped;

#[cfg(test)]
mod tests;

/// Members of one object of ours, at most: requests have four.
const MEMBERS: usize = 64;

/// Octets of the name of one, at most: each is held against each other.
const NAME: usize = 256;

/// What a copy of the object finds its missing members in, to servers in JavaScript (`Object.assign`).
pub(in crate::graphql) const PROTOTYPE: &str = "__proto__";

/// Nesting of what is in them, at most.
const DEPTH: usize = 128;

/// Why a text is no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What brings one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope<'t> {
    /// The document; none where it is absent, `null` or empty.
    pub query: Option<Written<'t>>,
    /// Which of its operations; none where absent or `null`.
    pub operation_name: Option<Cow<'t, str>>,
    /// What names a document that the server has: `documentId` and its like.
    pub id: Option<Cow<'t, str>>,
    /// `extensions.persistedQuery`.
    pub persisted: Option<PersistedQuery<'t>>,
    /// The outermost members, in order.
    pub members: Members<'t>,
    /// Those of `extensions`.
    pub extensions: Vec<Member<'t>>,
}

/// A document as it came: one that is known by that needs no unescaping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<'t> {
    /// As it is.
    Plain(Cow<'t, str>),
    /// As a string of JSON without its quotes: its escapes, of which there are some, are in order.
    Escaped(&'t str),
}

/// Members of an object, in order.
pub type Members<'t> = SmallVec<[Member<'t>; 4]>;

/// `extensions.persistedQuery`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistedQuery<'t> {
    /// `sha256Hash`.
    pub hash: Cow<'t, str>,
    /// `version` is 1, the only one there is.
    pub is_known: bool,
}

/// A member: what it is to us, and how it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'t> {
    /// What it is.
    pub name: Name,
    /// Its name, unescaped.
    pub key: Cow<'t, str>,
    /// Its value as written.
    pub value: &'t str,
    /// There is an escape in it.
    pub escaped: bool,
}

/// Names of members that have a meaning to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Name {
    Query,
    OperationName,
    Variables,
    Extensions,
    /// One of those by which servers know documents that they have.
    Id,
    PersistedQuery,
    Hash,
    Version,
    Other,
}

/// Names of an operation's members.
const OUTER: &[(&str, Name)] = &[
    ("query", Name::Query),
    ("operationName", Name::OperationName),
    ("variables", Name::Variables),
    ("extensions", Name::Extensions),
    ("id", Name::Id),
    ("documentId", Name::Id),
    ("doc_id", Name::Id),
    ("queryId", Name::Id),
];

const EXTENSIONS: &[(&str, Name)] = &[("persistedQuery", Name::PersistedQuery)];

const PERSISTED: &[(&str, Name)] = &[("sha256Hash", Name::Hash), ("version", Name::Version)];

/// What `text` brings: one object, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "the large one is what nearly all bring, and none is kept")]
pub enum Brought<'t> {
    /// One operation.
    One(Envelope<'t>),
    /// A list, each with its text.
    List(Vec<(Envelope<'t>, &'t str)>),
    /// A list of more than that.
    TooMany,
}

/// Reads what brings operations: an object, or an array of at most `most` of them.
pub fn read(text: &[u8], most: usize) -> Result<Brought<'_>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed("not UTF-8"))?;
    let mut scanner = Scanner::new(text);
    scanner.space();
    let brought = match scanner.peek() {
        Some(b'{') => Brought::One(scanner.envelope()?),
        Some(b'[') => scanner.list(most)?,
        Some(_) | None => return Err(Malformed("no JSON object")),
    };
    if matches!(brought, Brought::TooMany) {
        return Ok(brought);
    }
    scanner.space();
    match scanner.peek() {
        None => Ok(brought),
        Some(_) => Err(Malformed("something follows the JSON value")),
    }
}

/// What a name means among an operation's members; an error where it is a known one in another spelling.
pub fn named(name: &str) -> Result<Name, Malformed> {
    meaning(name, OUTER)
}

/// Reads one JSON object or `null` that stands by itself: `variables` and `extensions` of a query string.
pub fn object(text: &str) -> Result<Option<Members<'_>>, Malformed> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value(0)?;
    scanner.space();
    if scanner.peek().is_some() {
        return Err(Malformed("something follows the JSON value"));
    }
    members_of(value, EXTENSIONS)
}

/// `persistedQuery` among the members of `extensions`.
pub fn persisted<'t>(extensions: &[Member<'t>]) -> Result<Option<PersistedQuery<'t>>, Malformed> {
    let found = extensions.iter().find(|member| member.name == Name::PersistedQuery);
    let Some(members) = found.map(|member| members_of(member.value, PERSISTED)).transpose()?.flatten() else {
        return Ok(None);
    };
    let of = |name| members.iter().find(|member: &&Member<'t>| member.name == name);
    let hash = of(Name::Hash).map(Member::text).transpose()?.flatten();
    let hash = hash.ok_or(Malformed("persistedQuery without sha256Hash"))?;
    let is_known = of(Name::Version).is_some_and(|member| member.value == "1");
    Ok(Some(PersistedQuery { hash, is_known }))
}

/// The members of `extensions` that do not name a document, as an object; none where there are none.
pub fn others(extensions: &[Member<'_>]) -> Option<String> {
    let mut out = Vec::new();
    for member in extensions.iter().filter(|member| member.name != Name::PersistedQuery) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        quote(&member.key, &mut out);
        out.push(b':');
        out.extend_from_slice(member.value.as_bytes());
    }
    if out.is_empty() {
        return None;
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}

/// Appends text as a JSON string.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    // Of a string, into memory: it cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// The members of a value that was read before; none of `null`.
fn members_of<'t>(value: &'t str, known: &[(&str, Name)]) -> Result<Option<Members<'t>>, Malformed> {
    let mut scanner = Scanner::new(value);
    scanner.space();
    match scanner.peek() {
        Some(b'{') => scanner.members(known, 1).map(Some),
        Some(b'n') => Ok(None),
        Some(_) | None => Err(Malformed("an object belongs there, or null")),
    }
}

/// A string that was read before, without its quotes; none of `null`.
fn string_of(value: &str) -> Result<Option<&str>, Malformed> {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(raw) => Ok(Some(raw)),
        None if value == "null" => Ok(None),
        None => Err(Malformed("a string belongs there, or null")),
    }
}

/// The text of a string without its quotes.
fn text_of(raw: &str, escaped: bool) -> Cow<'_, str> {
    if escaped { unescaped(raw) } else { Cow::Borrowed(raw) }
}

impl<'t> Member<'t> {
    /// Its value, a string; none of `null`.
    fn text(&self) -> Result<Option<Cow<'t, str>>, Malformed> {
        Ok(string_of(self.value)?.map(|raw| text_of(raw, self.escaped)))
    }

    /// Its value, a document; none of `null` and of nothing.
    fn document(&self) -> Result<Option<Written<'t>>, Malformed> {
        let raw = string_of(self.value)?.filter(|raw| !raw.is_empty());
        Ok(raw.map(|raw| match self.escaped {
            true => Written::Escaped(raw),
            false => raw.into(),
        }))
    }

    /// Whether another of this meaning and with this key is the same to some server.
    fn is_also(&self, name: Name, key: &str) -> bool {
        // Names that have a meaning are no more than themselves.
        let both_known = self.name != Name::Other && name != Name::Other;
        (self.name == name || !both_known) && is_same(&self.key, key)
    }
}

fn meaning(key: &str, known: &[(&str, Name)]) -> Result<Name, Malformed> {
    if key == PROTOTYPE {
        return Err(Malformed("a member whose members some servers take for the object's own"));
    }
    if let Some((_, meaning)) = known.iter().find(|(name, _)| *name == key) {
        return Ok(*meaning);
    }
    match known.iter().find(|(name, _)| is_same(name, key)) {
        Some(_) => Err(Malformed("a member whose name is known in another case")),
        None => Ok(Name::Other),
    }
}

/// Whether two names are one to a decoder that does not regard case.
fn is_same(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    if one.is_ascii() && other.is_ascii() {
        return false;
    }
    one.chars().flat_map(folded).eq(other.chars().flat_map(folded))
}

/// A character without its case. Two beyond ASCII have a small letter of ASCII as theirs (Unicode, CaseFolding.txt).
fn folded(character: char) -> impl Iterator<Item = char> {
    match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other,
    }
    .to_lowercase()
}

impl<'t> Written<'t> {
    /// The document.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(raw) => unescaped(raw),
        }
    }
}

impl<'t> From<&'t str> for Written<'t> {
    fn from(text: &'t str) -> Self {
        Self::Plain(Cow::Borrowed(text))
    }
}

impl PersistedQuery<'_> {
    /// The same, on its own.
    pub fn into_owned(self) -> PersistedQuery<'static> {
        PersistedQuery { hash: Cow::Owned(self.hash.into_owned()), is_known: self.is_known }
    }
}
