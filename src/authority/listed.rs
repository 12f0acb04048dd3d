//! Lists that somebody else keeps: entries of a file, of an environment variable, or of the configuration itself.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::credential::{Entries, EntriesSource};
use crate::config::material::Material;

/// One entry, with its secret as it was written.
pub(in crate::authority) struct Found {
    pub(in crate::authority) id: Box<str>,
    pub(in crate::authority) secret: Zeroizing<String>,
    pub(in crate::authority) scopes: Vec<Box<str>>,
    pub(in crate::authority) name: Option<Box<str>>,
    pub(in crate::authority) attributes: Map<String, Value>,
}

/// The entries of a credential. One that is not as it has to be is left out, and said: it lets nobody in.
pub(in crate::authority) fn read(credential: &str, entries: &Entries, material: &Material) -> Vec<Found> {
    match &entries.source {
        EntriesSource::Secret(_) => {
            let Some(text) = material.entries.get(credential) else { return Vec::new() };
            let Ok(mut list) = serde_json::from_slice::<Vec<Map<String, Value>>>(text) else {
                tracing::error!(credential, "the list is no JSON array of objects: nobody on it is let in");
                return Vec::new();
            };
            list.truncate(LISTED);
            let found = list.into_iter().zip(1..).filter_map(|(entry, place): (_, usize)| {
                let found = entry_of(entry, entries);
                if found.is_none() {
                    tracing::error!(credential, place, "an entry without an id or a secret is left out");
                }
                found
            });
            found.collect()
        }
        EntriesSource::Listed(listed) => {
            let found = listed.iter().filter_map(|entry| {
                let secret = material.listed.get(&(credential.into(), entry.id.clone()))?;
                Some(Found {
                    id: entry.id.clone(),
                    secret: Zeroizing::new(std::str::from_utf8(secret).ok()?.to_owned()),
                    scopes: entry.scopes.clone(),
                    name: text(entry.attributes.get("name")),
                    attributes: entry.attributes.clone(),
                })
            });
            found.collect()
        }
    }
}

fn entry_of(mut entry: Map<String, Value>, entries: &Entries) -> Option<Found> {
    let id = match entry.remove(&*entries.id)? {
        Value::String(id) if !id.is_empty() => id.into(),
        Value::Number(id) => id.to_string().into(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let secret = match entry.remove(&*entries.secret)? {
        Value::String(secret) if !secret.is_empty() => Zeroizing::new(secret),
        Value::String(_)
        | Value::Number(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Array(_)
        | Value::Object(_) => {
            return None;
        }
    };
    let scopes = scopes(entry.remove(&*entries.scopes))?;
    Some(Found { id, secret, scopes, name: text(entry.get("name")), attributes: entry })
}

/// A list of texts, or one with spaces between (RFC 6749 section 3.3); nothing is none.
fn scopes(value: Option<Value>) -> Option<Vec<Box<str>>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::String(text)) => {
            Some(text.split(' ').filter(|scope| !scope.is_empty()).map(Into::into).collect())
        }
        Some(Value::Array(scopes)) => scopes.into_iter().map(|scope| text(Some(&scope))).collect(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => None,
    }
}

fn text(value: Option<&Value>) -> Option<Box<str>> {
    value.and_then(Value::as_str).map(Into::into)
}

/// Entries of one list: what is managed by hand, or made by a program that should use the admin listener instead.
const LISTED: usize = 100_000;
