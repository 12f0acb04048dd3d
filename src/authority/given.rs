//! Tokens that were given of late by endpoints that give a token again (`reuse`): in memory only, and no more than so many.
//! After a restart everybody gets a new one.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use crate::authority::filling::{self, Made};
use crate::authority::grant::{self, Grant};
use crate::config::minted::Minted;
use crate::gate::call::Call;

/// Which tokens: of one endpoint, for one subject, saying the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; 32]);

/// What was given. One for the process.
#[derive(Default)]
pub struct Given(Mutex<HashMap<Name, Kept>>);

struct Kept {
    made: Arc<[Made]>,
    /// Seconds since 1970: when the first of them ends.
    ends: i64,
}

impl Given {
    /// The name of what this grant comes to. What depends on the moment or on chance alone makes no difference.
    pub fn name(call: &Call, tokens: &[Arc<Minted>], grant: &Grant) -> Name {
        let said = tokens.iter().filter_map(|minted| {
            let mut said = grant.tokens.get(&minted.name)?.clone();
            let volatile = grant::claims_of(minted).iter().filter(|(_, template)| {
                grant::names(template, |source| filling::is_volatile(source) || filling::is_session(source))
            });
            volatile.for_each(|(name, _)| drop(said.claims.remove(&**name)));
            Some(json!([minted.name, said.claims, said.lifetime]))
        });
        let said: Vec<_> = said.collect();
        let Grant { credential, id, subject, scopes, .. } = grant;
        let text = json!([call.endpoint.name, credential, id, subject, scopes, said]).to_string();
        let mut name = Name([0; 32]);
        name.0.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        name
    }

    /// What was given under this name and lives for so many seconds still.
    pub fn find(&self, name: Name, remaining: i64, now: i64) -> Option<Arc<[Made]>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = held.get(&name)?;
        (kept.ends.saturating_sub(now) >= remaining.max(1)).then(|| Arc::clone(&kept.made))
    }

    /// Forgets what has ended: its text is nowhere then.
    pub fn sweep(&self, now: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, kept| kept.ends > now);
    }

    /// Keeps what was given, unless too much is kept that has not ended.
    pub fn keep(&self, name: Name, made: &Arc<[Made]>, now: i64) {
        let ends = made.iter().map(|made| made.expires).min().unwrap_or(now);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= KEPT && !held.contains_key(&name) {
            held.retain(|_, kept| kept.ends > now);
        }
        if held.len() < KEPT || held.contains_key(&name) {
            held.insert(name, Kept { made: Arc::clone(made), ends });
        }
    }
}

/// What is kept at once: with tokens of a KiB, some ten MiB.
const KEPT: usize = 10_000;
