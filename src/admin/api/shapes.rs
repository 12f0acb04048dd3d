//! What the endpoints answer, as types: what is sent and what `/openapi.json` says of it have one source.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::revocations::{Added, Rehearsed as Weighed};
use crate::store;

/// Why something was refused or cannot be done (RFC 9457).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::admin::api) struct Problem {
    /// `urn:portcullis:reason:` and the reason.
    #[serde(rename = "type")]
    pub(in crate::admin::api) kind: String,
    /// The status in words.
    pub(in crate::admin::api) title: &'static str,
    /// The status.
    pub(in crate::admin::api) status: u16,
    /// The reason, a word for programs.
    pub(in crate::admin::api) reason: String,
    /// The same for people.
    pub(in crate::admin::api) detail: String,
    #[serde(flatten)]
    pub(in crate::admin::api) extra: Extra,
    /// The id of the request, which stands in the audit file too.
    pub(in crate::admin::api) request_id: String,
}

/// What some problems have besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::admin::api) struct Extra {
    /// Everything that is wrong, a line each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin::api) problems: Option<Vec<String>>,
    /// How many there are that are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin::api) more: Option<usize>,
}

/// Whether new traffic should come here.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Ready {
    /// Whether it should.
    pub(in crate::admin::api) ready: bool,
    /// Why not.
    pub(in crate::admin::api) reasons: Vec<String>,
}

/// What the process is and knows of itself; control's own state (`generation`, `reload`, `issuers`, `revocations`) beside it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Status {
    /// The program's.
    pub(in crate::admin::api) version: &'static str,
    /// The process that answers.
    pub(in crate::admin::api) pid: u32,
    /// When it started, in Unix seconds.
    pub(in crate::admin::api) started: u64,
    /// How long ago that is.
    pub(in crate::admin::api) uptime_seconds: u64,
    #[serde(flatten)]
    pub(in crate::admin::api) ready: Ready,
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub(in crate::admin::api) detail: serde_json::Map<String, serde_json::Value>,
}

/// A configuration in force.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Reloaded {
    /// Counts what was ever put in force.
    pub(in crate::admin::api) generation: u64,
    /// What is allowed in it, and hardly meant.
    pub(in crate::admin::api) warnings: Vec<String>,
}

/// What an entry says; its value is kept hashed, and not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Said {
    kind: String,
    /// Of kind `claim`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// What was issued before this is revoked, in Unix seconds; everything, if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    /// When it can be forgotten, in Unix seconds; never, if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// An entry that is on the disk and in force.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Kept {
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    #[serde(flatten)]
    said: Said,
    /// When it was added, in Unix seconds.
    created: i64,
    /// Who added it.
    actor: String,
}

/// What was added.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Revoked {
    /// In the order in which they were sent.
    entries: Vec<Kept>,
    /// What is allowed, and hardly meant.
    warnings: Vec<String>,
}

/// What would be added.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Rehearsed {
    /// In the order in which they were sent.
    entries: Vec<Would>,
    /// What is allowed, and hardly meant.
    warnings: Vec<String>,
    /// Absent where it was no rehearsal, and nothing was to be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<AllMatches>,
}

/// An entry that would be added.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Would {
    #[serde(flatten)]
    said: Said,
    /// Whether one that is in force stops the same tokens already.
    already: bool,
    matches: Matches,
}

/// What an entry would stop.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Matches {
    /// Of the tokens that are remembered, so many.
    tokens: usize,
    /// Of the streams that are open, so many.
    streams: usize,
}

/// What all entries together would stop.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct AllMatches {
    /// Of the tokens that are remembered, so many.
    tokens: usize,
    /// Tokens that are remembered, and accepted now.
    of: usize,
    /// Of the streams that are open, so many.
    streams: usize,
}

/// A page of entries.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin::api) struct Listed {
    entries: Vec<Kept>,
    /// `after` of the next page; null if there is none.
    #[schema(required = true)]
    next: Option<String>,
}

impl From<&store::Entry> for Said {
    fn from(entry: &store::Entry) -> Self {
        let (kind, claim) = match entry.kind.split_once(':') {
            Some((kind, claim)) => (kind, Some(claim)),
            None => (&*entry.kind, None),
        };
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            kind: kind.to_owned(),
            claim: claim.map(str::to_owned),
            issuer: said(&entry.issuer),
            not_before: entry.not_before,
            expires: entry.expires,
            reason: said(&entry.reason),
        }
    }
}

impl From<&store::Entry> for Kept {
    fn from(entry: &store::Entry) -> Self {
        let (id, actor) = (entry.id.to_string(), entry.actor.to_string());
        Self { id, said: entry.into(), created: entry.created, actor }
    }
}

impl From<&Added> for Revoked {
    fn from(added: &Added) -> Self {
        Self { entries: added.entries.iter().map(Kept::from).collect(), warnings: added.warnings.clone() }
    }
}

impl From<&Weighed> for Rehearsed {
    fn from(Weighed { would, already, each, any, of }: &Weighed) -> Self {
        let entries = would.entries.iter().zip(already).zip(each).map(|((entry, already), stopping)| Would {
            said: entry.into(),
            already: *already,
            matches: Matches { tokens: stopping.tokens, streams: stopping.streams },
        });
        let matches = Some(AllMatches { tokens: any.tokens, of: of.tokens, streams: any.streams });
        Self { entries: entries.collect(), warnings: would.warnings.clone(), matches }
    }
}

impl Rehearsed {
    /// Nothing.
    pub(in crate::admin::api) fn nothing(warnings: Vec<String>) -> Self {
        Self { entries: Vec::new(), warnings, matches: None }
    }
}

impl Listed {
    /// A page.
    pub(in crate::admin::api) fn new(entries: &[store::Entry], next: Option<String>) -> Self {
        Self { entries: entries.iter().map(Kept::from).collect(), next }
    }
}
