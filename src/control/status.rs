//! What operators are told of the writer's state.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::control::key_fetch::Health;
use crate::control::reload::Report;
use crate::revocation::Kind;
use crate::snapshot::{IssuerState, Keys, Snapshot};

/// Generation, latest reload, keys by issuer, revocations by kind. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Of the snapshot in force.
    pub generation: u64,
    /// The latest load.
    pub reload: Reload,
    /// In file order.
    pub issuers: Vec<IssuerStatus>,
    /// Entries by kind.
    pub revocations: BTreeMap<&'static str, usize>,
    /// What was warned of when the configuration in force was loaded.
    pub warnings: Vec<String>,
}

/// The latest load of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reload {
    /// Whether it was taken over.
    pub success: bool,
    /// When it ended, in Unix seconds.
    pub at: i64,
    /// Why it was refused, a line each.
    pub problems: Vec<String>,
}

/// One issuer's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssuerStatus {
    /// Its name in the file.
    pub name: Box<str>,
    /// Its `iss`.
    pub issuer: Box<str>,
    /// Whether its tokens can be verified at all.
    pub ready: bool,
    /// How many keys it has.
    pub keys: usize,
    /// Their ids.
    pub key_ids: Vec<Box<str>>,
    /// How they are fetched, if they are.
    pub fetched: Option<FetchStatus>,
}

/// One issuer's fetches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchStatus {
    /// How old the keys are, in seconds.
    pub age: Option<u64>,
    /// When they last arrived or were confirmed, in Unix seconds.
    pub last_success: Option<i64>,
    /// Why the latest fetch failed, if it did.
    pub last_error: Option<String>,
    /// Failures since the last success.
    pub failures: u32,
    /// Fetches begun.
    pub fetches: u64,
}

impl Status {
    /// Of these parts; `health` answers for issuers whose keys are fetched.
    pub fn new(
        snapshot: &Snapshot,
        report: &Report,
        warnings: Vec<String>,
        health: impl Fn(&str) -> Option<Health>,
    ) -> Self {
        let problems = report.result.as_ref().err().map(|error| error.lines()).unwrap_or_default();
        let count = |kind: Kind| (kind.name(), snapshot.revocations.len(kind));
        Self {
            generation: snapshot.generation,
            reload: Reload { success: report.result.is_ok(), at: report.at.0, problems },
            issuers: snapshot.issuers.iter().map(|state| issuer(state, &health)).collect(),
            revocations: Kind::ALL.into_iter().map(count).collect(),
            warnings,
        }
    }

    /// Whether the tokens of every issuer can be verified.
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.ready)
    }
}

fn issuer(state: &IssuerState, health: &impl Fn(&str) -> Option<Health>) -> IssuerStatus {
    let key_ids = match &state.keys {
        Keys::Ready { set, .. } => set.key_ids().map(Into::into).collect(),
        Keys::Unavailable | Keys::Records(_) => Vec::new(),
    };
    IssuerStatus {
        name: state.config.name.clone(),
        issuer: state.config.issuer.clone(),
        ready: !state.keys.is_empty() || state.keys.records().is_some(),
        keys: state.keys.len(),
        key_ids,
        fetched: health(&state.config.name).map(|health| FetchStatus {
            age: health.age.map(|age| age.as_secs()),
            last_success: health.last_success.map(|date| date.0),
            last_error: health.last_error,
            failures: health.failures,
            fetches: health.fetches,
        }),
    }
}
