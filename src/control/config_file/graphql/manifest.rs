//! Manifests of documents: Apollo's (`format: apollo-persisted-query-manifest`), and what Relay's compiler and others write,
//! `{"id": "document"}`.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::config::problems::{Position, Problem};

/// Apollo's.
#[derive(Deserialize)]
struct Apollo {
    version: u64,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    id: Box<str>,
    body: Box<str>,
}

/// An object as it stands, members of one name and all.
struct Pairs(Documents);

/// Ids and documents.
type Documents = Vec<(Box<str>, Box<str>)>;

/// Whether a manifest says what it is.
#[derive(Deserialize)]
struct Format {
    format: Option<serde_json::Value>,
}

/// Reads ids and documents, in the manifest's order.
pub(super) fn read(text: &str) -> Result<Documents, Problem> {
    let format: Format = serde_json::from_str(text).map_err(|error| problem(&error))?;
    if format.format.as_ref().and_then(serde_json::Value::as_str) == Some(APOLLO) {
        let manifest: Apollo = serde_json::from_str(text).map_err(|error| problem(&error))?;
        if manifest.version != VERSION {
            let what = format!("a manifest of version {}: only {VERSION} is known", manifest.version);
            return Err(Problem::new(START, what));
        }
        return Ok(manifest.operations.into_iter().map(|one| (one.id, one.body)).collect());
    }
    let Pairs(pairs) = serde_json::from_str(text).map_err(|error| problem(&error))?;
    Ok(pairs)
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of ids and documents")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

/// What is wrong, where; nothing of what the file holds.
fn problem(error: &serde_json::Error) -> Problem {
    let narrow = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
    let at = Position { line: narrow(error.line()), column: narrow(error.column()) };
    Problem::new(at, "no manifest of documents")
        .hint("write `{\"id\": \"document\"}`, or a manifest of the format `apollo-persisted-query-manifest`")
}

const START: Position = Position { line: 1, column: 1 };
const APOLLO: &str = "apollo-persisted-query-manifest";
const VERSION: u64 = 1;
