//! Families of refresh tokens: each use gives the next, and only the newest counts (RFC 9700 section 4.14.2, threats T5).
//!
//! A family is all that was refreshed from one sign-in. Of its tokens one counts, and the one before it for a little while,
//! the grace, with the same answer: for callers that come together, and for an answer that was lost. Whoever presents any
//! older one has taken it from somebody, or somebody has from them: the whole family dies, and with it every token that
//! names it as its session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::authority::means::Means;
use crate::authority::trouble::Trouble;
use crate::config::minted::{Format, Minted, Shape};
use crate::mint::{NoEntropy, opaque};
use crate::store::error::StoreError;
use crate::token::NumericDate;

/// Every family that lives. One for the process.
pub struct Families {
    _means: Means,
    state: Mutex<HashMap<Box<str>, (Arc<Family>, [Option<Zeroizing<String>>; 2])>>,
}

/// What all tokens of a family have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name: the `sid` of what is issued with its tokens.
    pub session: Box<str>,
    /// Which of `tokens` its own are.
    pub token: Box<str>,
    /// Which tokens were issued beside them, and are at every use: by name, with the `iss` of each.
    pub beside: Vec<(Box<str>, Box<str>)>,
    /// `sub` of what is issued.
    pub subject: Box<str>,
    /// The name of the credential that it was begun with.
    pub credential: Box<str>,
    /// Whose the credential was: who is refreshed for must be the same, where the endpoint asks.
    pub holder: Box<str>,
    /// What was granted; a use may ask for less, and does not change it (RFC 6749 section 6).
    pub scopes: Vec<Box<str>>,
    /// What templates need again to make the same claims as the first time.
    pub carried: Map<String, Value>,
    /// When it ends.
    pub expires: NumericDate,
    /// How long the tokens beside it may count, at the most, with their issuers' leeway, in seconds.
    pub life: i64,
}

/// A refresh token that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Its text.
    pub text: Zeroizing<Box<str>>,
    /// Of which family.
    pub family: Arc<Family>,
}

/// Why a refresh token does not count. An endpoint answers to all of them alike, but for trouble.
#[derive(Debug, Clone, PartialEq)]
pub enum NotGiven {
    /// It is none, or of a family that is over, or of somebody else: nothing has changed.
    Unknown,
    /// It was used before: its family is dead now.
    Replayed,
    /// Something stands in the way; nothing has changed.
    Trouble(Trouble),
}

impl Families {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self { _means: means, state: Mutex::default() }
    }

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Begins a family: its first token counts once this returns, and survives a crash.
    pub async fn begin(&self, minted: &Minted, family: Family) -> Result<Given, Trouble> {
        let shape = shape(minted).ok_or(Trouble::Fault("not a refresh token"))?;
        let begun = opaque::family(shape, &mut entropy)?;
        let text = opaque::member(shape, &begun, &mut entropy)?;
        let family = Arc::new(family);
        self.lock().insert(begun.as_str().into(), (Arc::clone(&family), [Some(text.clone()), None]));
        Ok(Given { text: Zeroizing::new(text.as_str().into()), family })
    }

    /// The family of a token that would be taken by [`Self::rotate`], without using it: for introspection and `revoke`.
    pub fn find(&self, minted: &Minted, presented: &str, now: NumericDate) -> Option<Arc<Family>> {
        let state = self.lock();
        let (family, [current, _]) = state.get(opaque::family_of(shape(minted)?, presented)?)?;
        let counts = current.as_ref().is_some_and(|current| **current == *presented) && family.expires > now;
        counts.then(|| Arc::clone(family))
    }

    /// Uses a refresh token: gives the next one, once it would survive a crash. `holder` is who presents it, where the endpoint
    /// wants to know: to a token of somebody else's nothing happens. Whoever asks and hangs up has used it nonetheless.
    pub async fn rotate(
        &self,
        minted: &Minted,
        presented: &str,
        holder: Option<&str>,
        now: NumericDate,
    ) -> Result<Given, NotGiven> {
        let shape = shape(minted).ok_or(NotGiven::Unknown)?;
        let begun = opaque::family_of(shape, presented).ok_or(NotGiven::Unknown)?;
        let mut state = self.lock();
        let (family, tokens) = state.get_mut(begun).ok_or(NotGiven::Unknown)?;
        if family.expires <= now || holder.is_some_and(|holder| *holder != *family.holder) {
            return Err(NotGiven::Unknown);
        }
        let is =
            |token: &Option<Zeroizing<String>>| token.as_ref().is_some_and(|token| **token == *presented);
        let text = match tokens {
            [current, before] if is(current) => {
                let next = opaque::member(shape, begun, &mut entropy)
                    .map_err(|error| NotGiven::Trouble(error.into()))?;
                *before = current.replace(next.clone());
                next
            }
            [Some(current), before] if is(before) => current.clone(),
            _ => {
                state.remove(begun);
                return Err(NotGiven::Replayed);
            }
        };
        Ok(Given { text: Zeroizing::new(text.as_str().into()), family: Arc::clone(family) })
    }

    /// Ends a family: its refresh tokens, and every token that names it as its session. Whether there was one.
    pub async fn end(&self, session: &str) -> Result<bool, Trouble> {
        let mut state = self.lock();
        let before = state.len();
        state.retain(|_, (family, _)| *family.session != *session);
        Ok(state.len() < before)
    }

    /// Ends every family of a subject, of refresh tokens of these names, and says how many there were.
    pub async fn end_of_subject(&self, tokens: &[&str], subject: &str) -> Result<usize, Trouble> {
        let mut state = self.lock();
        let before = state.len();
        state.retain(|_, (family, _)| *family.subject != *subject || !tokens.contains(&&*family.token));
        Ok(before - state.len())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, (Arc<Family>, [Option<Zeroizing<String>>; 2])>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shape(minted: &Minted) -> Option<&Shape> {
    match &minted.format {
        Format::Refresh { shape, .. } => Some(shape),
        Format::Jwt { .. } | Format::Opaque { .. } => None,
    }
}

fn entropy(octets: &mut [u8]) -> Result<(), NoEntropy> {
    rand::fill(octets).map_err(|_| NoEntropy)
}

/// For how long the token before the newest counts, unless `grace` says.
pub const GRACE: Duration = Duration::from_secs(10);
