//! `{token: …, reason: …}`: an entry that holds out the very token it is about. Who verifies it is told by the caller.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::revocation::Entry;
use crate::revocation::written::json::date;
use crate::revocation::written::{Fault, Field, is_date, no_date};

/// What is asked for a token.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Held<'a> {
    /// The token: a secret.
    #[serde(borrow)]
    pub token: Cow<'a, str>,
    /// When the entry of its session can be forgotten.
    #[serde(default, deserialize_with = "date")]
    pub expires: Option<i64>,
    /// Why, for the operator.
    pub reason: Option<Box<str>>,
}

impl fmt::Debug for Held<'_> {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").finish_non_exhaustive()
    }
}

/// Makes entries of the token that the entry of this number (counted from 1) holds out, or says what is wrong: never with
/// octets of the token.
pub type Verify<'v> = dyn Fn(usize, &Held<'_>) -> Result<Vec<Entry>, String> + 'v;

/// Whether an object has a token in the place of a kind.
#[derive(Deserialize)]
struct Probe {
    token: Option<IgnoredAny>,
}

/// The entries of an object that holds out a token; `None` if it is another one.
pub(in crate::revocation::written) fn entries(
    number: usize,
    object: &str,
    verify: &Verify<'_>,
) -> Option<Result<Vec<Entry>, String>> {
    let is_held = object.starts_with('{')
        && serde_json::from_str::<Probe>(object).is_ok_and(|probe| probe.token.is_some());
    is_held.then(|| match serde_json::from_str::<Held<'_>>(object) {
        Ok(Held { expires: Some(date), .. }) if !is_date(date) => {
            let Fault { what, hint, .. } = no_date(Field::Expires, date);
            Err(format!("{what} ({hint})"))
        }
        Ok(held) => verify(number, &held),
        // Without the parser's words: they may be the token's.
        Err(_) => Err(format!("what holds out a token has nothing else that names (it is {FORM})")),
    })
}

const FORM: &str = "{token: \"…\", reason: \"…\"}, and `expires` if its session's entry is to end";
