//! Opaque tokens: what each of them says, in memory by the hash of its text, and in the store likewise.
//!
//! The text is random, of 128 bits or more, and is nowhere kept: SHA-256 of it is as good as itself for finding it, and good
//! for nothing else. Nothing needs to be slow or peppered where nothing can be guessed.
//!
//! A token costs some 500 octets of memory, and as many in the store; there are at most [`TOKENS`] of each name.

mod held;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::authority::clock;
use crate::authority::means::Means;
use crate::authority::opaque::held::{Held, Token, hash};
use crate::authority::trouble::Trouble;
use crate::revocation::Kind;
use crate::store::BATCH;
use crate::store::error::StoreError;
use crate::store::records::{RecordChange, RecordKind};
use crate::token::NumericDate;

/// Every opaque token that counts. One for the process; clones are the same.
#[derive(Clone)]
pub struct Opaque {
    shared: Arc<Shared>,
}

struct Shared {
    means: Means,
    held: RwLock<Held>,
    /// Removals are made one at a time: what one of them has seen is there until it removes it.
    removing: Mutex<()>,
}

/// A token that was made and is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// Which of `tokens`.
    pub token: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What it says: `iss`, `sub`, `iat`, `exp` and `jti` among it, and `sid` where it is of a family.
    pub claims: &'a Map<String, Value>,
}

/// What looking a token up came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// It counts: its claims, as JSON.
    Known(Vec<u8>),
    /// There is none, or no longer.
    Unknown,
}

/// Which tokens are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// That of this text, whichever of `tokens` it is.
    Text(&'a str),
    /// Those whose `sub` is this.
    Subject(&'a str),
    /// Those whose `sid` is this.
    Session(&'a str),
}

impl Opaque {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self { shared: Arc::new(Shared { means, held: RwLock::default(), removing: Mutex::default() }) }
    }

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        let (now, mut held, mut damaged) = (clock::now().0, Held::default(), false);
        self.shared.means.kept(RecordKind::Opaque, &mut |record| match Token::read(&record) {
            Some((key, token)) if token.expires > now => held.insert(key, token),
            Some(_) => {}
            None => damaged = true,
        })?;
        if damaged {
            return Err(StoreError::Damaged(
                "it has an opaque token that this version cannot read".to_owned(),
            ));
        }
        *self.shared.write() = held;
        Ok(())
    }

    /// Keeps a new token: once it returns the token counts, and survives a crash. [`Trouble::Overloaded`] where there are too
    /// many of its name.
    pub async fn issue(&self, new: NewToken<'_>) -> Result<(), Trouble> {
        let key = hash(new.text);
        let token = Token::new(&new).ok_or(Trouble::Fault("a token without claims that it needs"))?;
        let record = token.record(&key).ok_or(Trouble::Fault("claims that are no JSON"))?;
        self.shared.write().reserve(new.token, clock::now().0)?;
        let (shared, name) = (Arc::clone(&self.shared), Box::<str>::from(new.token));
        // Whoever hangs up leaves no token that is kept and does not count, or the other way round.
        let kept = tokio::spawn(async move {
            let kept = shared.means.keep(vec![RecordChange::Keep(record)]).await;
            let mut held = shared.write();
            held.release(&name);
            kept.map(|()| held.insert(key, token))
        });
        Ok(kept.await.map_err(|_| Trouble::Fault("a task has failed"))??)
    }

    /// What a text says that was presented for the issuer of this name.
    pub fn look_up(&self, issuer: &str, text: &str, now: NumericDate) -> Looked {
        let held = self.shared.read();
        let token = held.get(&hash(text)).filter(|token| *token.token == *issuer && token.expires > now.0);
        token.map_or(Looked::Unknown, |token| Looked::Known(token.claims.to_vec()))
    }

    /// Revokes tokens of these names, and says how many there were: gone from the store, and refused from the next request
    /// on, those too that are remembered. None is no error (RFC 7009 section 2.2).
    pub async fn revoke(&self, tokens: &[&str], which: Which<'_>) -> Result<usize, Trouble> {
        let keys: Vec<[u8; 32]> = {
            let held = self.shared.read();
            let named = |(key, token): (&[u8; 32], &Token)| tokens.contains(&&*token.token).then_some(*key);
            match which {
                Which::Text(text) => held.get_key_value(&hash(text)).and_then(named).into_iter().collect(),
                Which::Subject(subject) => tokens
                    .iter()
                    .flat_map(|token| held.of_subject(token, subject))
                    .filter_map(named)
                    .collect(),
                Which::Session(session) => held.of_session(session).filter_map(named).collect(),
            }
        };
        if keys.is_empty() {
            return Ok(0);
        }
        let shared = Arc::clone(&self.shared);
        let removed = tokio::spawn(async move {
            let _alone = shared.removing.lock().await;
            shared.remove(&keys).await
        });
        removed.await.unwrap_or(Err(Trouble::Fault("a task has failed")))
    }

    /// Forgets what is over, a part at a time. The store does so by itself.
    pub fn sweep(&self, now: NumericDate) {
        self.shared.write().sweep(now.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.read().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shared {
    /// First they are revoked: whoever remembers them hears of that. Then they are gone.
    async fn remove(&self, keys: &[[u8; 32]]) -> Result<usize, Trouble> {
        let mut removed = 0;
        for keys in keys.chunks(BATCH) {
            let (entries, unnamed) = {
                let held = self.read();
                let found = keys.iter().filter_map(|key| held.get(key));
                let unnamed = found.clone().filter(|token| token.claim("jti").is_none());
                let unnamed: BTreeSet<Box<str>> = unnamed.map(|token| token.token.clone()).collect();
                let entry = |token: &Token| {
                    let (iss, id) = (token.claim("iss")?, token.claim("jti")?);
                    Some(Means::entry(Kind::Jti, &iss, &id, Some(token.expires), REASON))
                };
                (found.filter_map(entry).collect::<Result<Vec<_>, _>>()?, unnamed)
            };
            (self.means.revoke)(entries).await?;
            let removal =
                |key: &[u8; 32]| RecordChange::Remove { kind: RecordKind::Opaque, id: key.as_slice().into() };
            self.means.keep(keys.iter().map(removal).collect()).await?;
            {
                let mut held = self.write();
                removed += keys.iter().filter(|key| held.remove(key)).count();
            }
            // What no entry can name is forgotten with all tokens of its name: whoever remembers one asks again.
            for name in unnamed {
                (self.means.records_changed)(name).await?;
            }
        }
        Ok(removed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why, for operators.
const REASON: &str = "revoked by an endpoint";
/// Opaque tokens of one name: half a gigabyte.
pub const TOKENS: usize = 1_000_000;
