//! The answer to an operation that was sent on without some of its fields: `null` and an error for each of them.
//!
//! What the upstream said of the others stays as it said it, octet for octet. Nothing here guards anything, as what was
//! left out was never run: it tells the client what it did not get.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::graphql::members::Members;

/// What an operation's root was, and what of it was not sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The names that the answer's `data` would have had, in the operation's order, each once.
    pub keys: Box<[Key]>,
    /// A name that stands in the answer where nothing else was left, and is not for the client.
    pub stand_in: Option<Box<str>>,
}

/// One name in the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub name: Box<str>,
    /// Why its field was left out; none of one that was sent on.
    pub refused: Option<Missing>,
}

/// Why a field was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It needs a token, and there was none.
    Token,
    /// The token's permissions do not cover it: those that it needs, where the route tells them.
    Permission(Option<Box<[Box<str>]>>),
}

/// An answer that is none to a GraphQL operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer that is no GraphQL response, to an operation that was sent on in part")]
pub struct NotMerged;

/// The whole answer, of the upstream's to what it was sent.
///
/// One without `data` is about a request that was not run at all, and stays what it is.
pub fn merge(answer: &[u8], left_out: &LeftOut) -> Result<Vec<u8>, NotMerged> {
    let text = str::from_utf8(answer).map_err(|_| NotMerged)?;
    let Members(members) = serde_json::from_str(text).map_err(|_| NotMerged)?;
    let data = members.iter().find(|(name, _)| name == "data");
    let Some((_, data)) = data else { return Ok(answer.to_vec()) };
    let mut out = Vec::with_capacity(answer.len() + 128 * left_out.keys.len());
    let mut told = false;
    out.push(b'{');
    for (name, value) in &members {
        begin(&mut out, name);
        match &**name {
            "data" => write_data(&mut out, data, left_out)?,
            "errors" => {
                told = true;
                write_errors(&mut out, Some(value), left_out)?;
            }
            _ => out.extend_from_slice(value.get().as_bytes()),
        }
    }
    if !told {
        begin(&mut out, "errors");
        write_errors(&mut out, None, left_out)?;
    }
    out.push(b'}');
    Ok(out)
}

/// `data` with what was left out as `null`, where it would have stood. `null` as a whole stays: a field that must not be
/// `null` was.
fn write_data(out: &mut Vec<u8>, data: &RawValue, left_out: &LeftOut) -> Result<(), NotMerged> {
    if data.get() == "null" {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let Members(members) = serde_json::from_str(data.get()).map_err(|_| NotMerged)?;
    let places: HashMap<&str, usize> =
        left_out.keys.iter().enumerate().map(|(place, key)| (&*key.name, place)).collect();
    let mut written = 0;
    out.push(b'{');
    for (name, value) in &members {
        if left_out.stand_in.as_deref() == Some(&**name) {
            continue;
        }
        match places.get(&**name) {
            // A `__typename` under the name of a field that was left out, which only a server that puts up with one name for
            // two fields runs. What was left out is told of, and is `null`.
            Some(place) if left_out.keys.get(*place).is_some_and(|key| key.refused.is_some()) => continue,
            Some(place) => {
                nulls(out, left_out, written..*place);
                written = written.max(*place);
            }
            None => {}
        }
        begin(out, name);
        out.extend_from_slice(value.get().as_bytes());
    }
    nulls(out, left_out, written..left_out.keys.len());
    out.push(b'}');
    Ok(())
}

/// `null` for each of these that was left out.
fn nulls(out: &mut Vec<u8>, left_out: &LeftOut, places: std::ops::Range<usize>) {
    for key in left_out.keys.get(places).into_iter().flatten().filter(|key| key.refused.is_some()) {
        begin(out, &key.name);
        out.extend_from_slice(b"null");
    }
}

/// The upstream's errors, and one for each field that was left out.
fn write_errors(out: &mut Vec<u8>, errors: Option<&RawValue>, left_out: &LeftOut) -> Result<(), NotMerged> {
    let theirs: Vec<&RawValue> = match errors.filter(|errors| errors.get() != "null") {
        Some(errors) => serde_json::from_str(errors.get()).map_err(|_| NotMerged)?,
        None => Vec::new(),
    };
    out.push(b'[');
    for error in theirs {
        part(out);
        out.extend_from_slice(error.get().as_bytes());
    }
    for key in &left_out.keys {
        let Some(missing) = &key.refused else { continue };
        part(out);
        out.extend_from_slice(missing.error(&key.name).to_string().as_bytes());
    }
    out.push(b']');
    Ok(())
}

impl Missing {
    /// `extensions.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token => "UNAUTHENTICATED",
            Self::Permission(_) => "FORBIDDEN",
        }
    }

    fn error(&self, key: &str) -> serde_json::Value {
        let (message, scopes) = match self {
            Self::Token => ("A token is needed for this field", None),
            Self::Permission(scopes) => ("The token's scopes do not cover this field", scopes.as_deref()),
        };
        let mut extensions = serde_json::json!({"code": self.code()});
        if let Some(scopes) = scopes {
            extensions["requiredScopes"] = scopes.iter().map(|scope| &**scope).collect();
        }
        serde_json::json!({"message": message, "path": [key], "extensions": extensions})
    }
}

/// A comma, unless it is the first of a list or an object.
fn part(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
}

/// The name of a member, with what stands before and after it.
fn begin(out: &mut Vec<u8>, name: &str) {
    part(out);
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    out.push(b':');
}
