//! The shape of the file: every mapping, its keys, what each takes and what it is when absent.
//!
//! One table, [`table::FILE`], and four readers of it: the decoder (`crate::config::decode`) refuses what
//! stands in no mapping's list and takes every default from it, [`crate::config::schema`] turns it into JSON
//! Schema, and tests hold `config/portcullis.yaml` and the printed long form to it.
//!
//! Why not derive the schema from serde types: the file's grammar has short forms, `{env: …}` for any scalar,
//! defaults and refusals with a reason of their own, none of which a derived schema can know.

pub mod credential;
pub mod endpoint;
pub mod graphql;
pub mod issuer;
pub mod route;
pub mod table;
pub mod token;

use std::time::Duration;

/// A mapping with a closed list of keys.
#[derive(Debug)]
pub struct Mapping {
    /// Its name in the schema.
    pub id: &'static str,
    /// What it is called in a message: "an upstream".
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Keys of features that this version does not have.
    pub later: &'static [&'static str],
}

/// One key of a [`Mapping`].
#[derive(Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What its absence means.
    pub absent: Absent,
    /// What it is, in a sentence: the schema's description.
    pub what: &'static str,
}

/// What the absence of a key means.
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// It must be there.
    Refused,
    /// As if this were given.
    Is(Given),
    /// This, which no fixed value can say.
    Means(&'static str),
}

/// A default.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Given {
    Flag(bool),
    Whole(u64),
    Duration(Duration),
    Size(u64),
    Word(&'static str),
    Words(&'static [&'static str]),
}

/// What a key takes. Wherever a scalar stands, `{env: NAME, default: value}` may stand too.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// `250ms 30s 5m 2h 1d`, from the first to the second.
    Duration(Duration, Duration),
    /// `16KiB 1MiB`, in octets from the first to the second.
    Size(u64, u64),
    /// One of the words of `now`; those of `later` are not in this version.
    #[expect(missing_docs, reason = "said above")]
    Word { now: &'static [&'static str], later: &'static [&'static str] },
    /// A text of a kind that the decoder reads.
    Text(Text),
    /// Where a secret is.
    Secret(&'static Mapping),
    /// A mapping.
    Fields(&'static Mapping),
    /// A scalar of the first kind, short for the mapping with its one natural member.
    Short(&'static Self, &'static Mapping),
    /// One or several; not none.
    Some(&'static Self),
    /// Any number.
    Any(&'static Self),
    /// A mapping of names, which the operator chooses, to these.
    Named(Text, &'static Self),
    /// One of these.
    Either(&'static [Self]),
    /// A JSON document, written as YAML.
    Json,
    /// JSON with holes, written as YAML: anything ([`crate::config::template`]).
    Template,
    /// How long a token lives, from the first to the second: a duration, or as others write them (`2 days`, `1.5h`).
    Span(Duration, Duration),
}

/// Kinds of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Text {
    Free,
    Path,
    Url,
    Peer,
    Network,
    Address,
    Listener,
    Mode,
    Host,
    Origin,
    HeaderName,
    Claim,
    Scope,
    Expression,
    Algorithm,
    RequestPath,
    Name,
    Label,
    RouteKey,
    Template,
    RootField,
    PublicOperation,
    TypeField,
}

impl Mapping {
    /// Whether what is none of its keys is the operator's own.
    pub fn is_open(&self) -> bool {
        ["listed_key", "listed_person"].contains(&self.id)
    }
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// A key that must be given.
    pub const fn required(name: &'static str, takes: Takes, what: &'static str) -> Self {
        Self { name, takes, absent: Absent::Refused, what }
    }
    /// A key with a default.
    pub const fn or(name: &'static str, takes: Takes, given: Given, what: &'static str) -> Self {
        Self { name, takes, absent: Absent::Is(given), what }
    }
    /// A key whose absence means something that no value says.
    pub const fn optional(name: &'static str, takes: Takes, means: &'static str, what: &'static str) -> Self {
        Self { name, takes, absent: Absent::Means(means), what }
    }
}

impl Takes {
    /// The mappings that stand directly in what this takes.
    pub fn mappings(self) -> Vec<&'static Mapping> {
        match self {
            Self::Fields(mapping) | Self::Short(_, mapping) | Self::Secret(mapping) => vec![mapping],
            Self::Some(takes) | Self::Any(takes) | Self::Named(_, takes) => takes.mappings(),
            Self::Either(all) => all.iter().flat_map(|takes| takes.mappings()).collect(),
            Self::Flag
            | Self::Whole(..)
            | Self::Duration(..)
            | Self::Size(..)
            | Self::Word { .. }
            | Self::Text(_)
            | Self::Json
            | Self::Template
            | Self::Span(..) => Vec::new(),
        }
    }
}

impl Text {
    /// A regular expression (of ECMA 262 and of Rust alike) for the schema. The decoder has the last word.
    pub fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Free | Self::Expression | Self::Path | Self::Template => None,
            Self::Url => Some("^https?://[^/?#]+"),
            Self::Peer => Some("^(https?://[^/?#]+/?|unix:/?[^/].*)$"),
            Self::Network => Some("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"),
            Self::Address => Some("^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$"),
            Self::Listener => Some("^((\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}|unix:.*[^/])$"),
            Self::Mode => Some("^0[0-7]{3}$"),
            Self::Host => Some("^[A-Za-z0-9._:\\[\\]-]+$"),
            Self::Origin => Some("^(\\*|[a-z][a-z0-9+.-]*://[^/?#]+)$"),
            Self::HeaderName => Some("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
            Self::Claim | Self::Label => Some("^.+$"),
            Self::Scope => Some("^[!#-\\[\\]-~]+$"),
            Self::Algorithm => {
                Some("^(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|EdDSA|HS256|HS384|HS512)$")
            }
            Self::RequestPath => Some("^/[!-~]*$"),
            Self::Name => Some("^[^./\\\\\\x00-\\x1f][^/\\\\\\x00-\\x1f]*$"),
            Self::RootField => Some("^(Query|Mutation|Subscription)\\.[_A-Za-z][_0-9A-Za-z]*$"),
            Self::PublicOperation => Some("^(Query|Mutation|Subscription)(\\.[_A-Za-z][_0-9A-Za-z]*)?$"),
            Self::TypeField => Some("^[_A-Za-z][_0-9A-Za-z]*(\\.[_A-Za-z][_0-9A-Za-z]*)?$"),
            Self::RouteKey => Some("^([A-Z0-9!#$%&'*+.^_`|~,-]+ +)?[^/ ]*/[!-~]*$"),
        }
    }
}
