//! One question to an issuer, and what its answer says (RFC 7662 section 2).

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::{Map, Value};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::{Introspection, Issuer};
use crate::control::clock;
use crate::control::introspection::{Answer, times};
use crate::control::key_fetch::client::{Client, FetchError, Place};
use crate::token::NumericDate;
use crate::token::claims::Claims;
use crate::token::json::{self, Bounds};

/// A question, whole.
pub(super) struct Question {
    place: Place,
    authorization: HeaderValue,
    form: Zeroizing<String>,
    cache: Duration,
    timeout: Duration,
    /// The issuer's name, for logs.
    name: Box<str>,
    /// Its `iss`.
    issuer: Box<str>,
}

/// What an answer is worth nothing for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the answer is no JSON object with `active`")]
    NoAnswer,
    #[error("the claims of the answer are not what claims are: {0}")]
    Claims(String),
}

impl Question {
    /// As a client with a secret (RFC 6749 section 2.3.1). `None` where there is nowhere to ask.
    pub(super) fn new(
        issuer: &Issuer,
        source: &Introspection,
        secret: &Zeroizing<Vec<u8>>,
        token: &str,
    ) -> Option<Self> {
        let place = Place::new(&source.url, issuer.dangerous_http).ok()?;
        let pair = Zeroizing::new(format!("{}:{}", *encoded(source.client.as_bytes()), *encoded(secret)));
        let basic =
            Zeroizing::new(format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair.as_bytes())));
        let mut authorization = HeaderValue::from_str(&basic).ok()?;
        authorization.set_sensitive(true);
        let form =
            Zeroizing::new(format!("token={}&token_type_hint=access_token", *encoded(token.as_bytes())));
        let (cache, timeout) = times(source);
        let (name, issuer) = (issuer.name.clone(), issuer.issuer.clone());
        Some(Self { place, authorization, form, cache, timeout, name, issuer })
    }
}

/// What asking has come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    /// An answer, and for how long it counts.
    Answer(Answer, Duration),
    /// The provider answers, and not about this token.
    NotThis,
    /// It is in trouble, or takes us for nobody.
    Trouble,
}

impl Trouble {
    /// Whether it may be this token's alone: whoever sends a strange one is not to keep all others from being asked about.
    fn is_of_the_token(&self) -> bool {
        match self {
            Self::NoAnswer | Self::Claims(_) | Self::Fetch(FetchError::TooLong(_)) => true,
            Self::Fetch(FetchError::Status(status)) => matches!(status, 400 | 413 | 414 | 422 | 431),
            Self::Fetch(_) => false,
        }
    }
}

/// Asks.
pub(super) async fn asked(client: &Arc<Client>, question: Question) -> Asked {
    let Question { place, authorization, form, cache, timeout: patience, name, issuer } = question;
    let text = client.post(&place, authorization, String::clone(&form), ANSWER);
    let text = match timeout(patience, text).await {
        Ok(text) => text.map_err(Trouble::Fetch),
        Err(_) => Err(Trouble::Fetch(FetchError::Timeout(patience))),
    };
    match text.and_then(|text| read(&text, &issuer, cache, clock::now())) {
        Ok((answer, lasts)) => Asked::Answer(answer, lasts),
        Err(error) => {
            tracing::warn!(issuer = &*name, %error, "a token cannot be asked about");
            if error.is_of_the_token() { Asked::NotThis } else { Asked::Trouble }
        }
    }
}

/// What an answer says of the token.
pub(super) fn read(
    text: &[u8],
    issuer: &str,
    cache: Duration,
    now: NumericDate,
) -> Result<(Answer, Duration), Trouble> {
    let mut said: Map<String, Value> = json::object(text, BOUNDS).map_err(|_| Trouble::NoAnswer)?;
    match said.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok((Answer::Inactive, cache)),
        Some(_) | None => return Err(Trouble::NoAnswer),
    }
    // Some say `null` of what they do not know.
    said.retain(|_, value| !value.is_null());
    match said.get("iss") {
        None => drop(said.insert("iss".to_owned(), issuer.into())),
        Some(Value::String(iss)) if **iss == *issuer => {}
        // A token of somebody else's that they know of: it is not for this issuer to vouch for.
        Some(_) => return Ok((Answer::Inactive, cache)),
    }
    // `exp` is optional (section 2.2), and a token without an end is none: it counts until it is asked about again.
    let seconds = i64::try_from(cache.as_secs()).unwrap_or(i64::MAX).max(1);
    said.entry("exp").or_insert_with(|| now.0.saturating_add(seconds).into());
    let text = serde_json::to_vec(&said).map_err(|_| Trouble::NoAnswer)?;
    let claims = Claims::parse(&text).map_err(|why| Trouble::Claims(why.to_string()))?;
    let left = claims.expires().map_or(0, |expires| expires.0.saturating_sub(now.0));
    if left <= 0 {
        return Ok((Answer::Inactive, cache));
    }
    let lasts = cache.min(Duration::from_secs(left.unsigned_abs()));
    Ok((Answer::Active(Arc::new(claims)), lasts))
}

/// As forms have it (`application/x-www-form-urlencoded`).
fn encoded(octets: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(octets.len() * 3));
    for octet in octets {
        match octet {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => {
                text.push(char::from(*octet));
            }
            b' ' => text.push('+'),
            // Writing to a text cannot fail.
            _ => drop(write!(text, "%{octet:02X}")),
        }
    }
    text
}

/// Octets of an answer: as many as a token has, many times over.
const ANSWER: usize = 64 * 1024;
const BOUNDS: Bounds = Bounds { depth: 32, members: 64, elements: 1024 };
