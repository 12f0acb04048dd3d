//! Tokens in memory: by the hash of their text, by subject, by session, and by when they end.

use std::collections::{BTreeSet, HashMap};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::authority::opaque::{NewToken, TOKENS};
use crate::authority::trouble::Trouble;
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::store::records::{Record, RecordKind};

/// One token. Its text is not in it.
pub(super) struct Token {
    /// Which of `tokens`.
    pub(super) token: Box<str>,
    /// JSON.
    pub(super) claims: Box<[u8]>,
    subject: Option<Key>,
    session: Option<Key>,
    /// `exp`.
    pub(super) expires: i64,
}

/// A record's body.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    token: Box<str>,
    #[serde(borrow)]
    claims: &'a RawValue,
}

impl Token {
    /// None where it says no `exp`.
    pub(super) fn new(new: &NewToken<'_>) -> Option<Self> {
        let claims = serde_json::to_vec(new.claims).ok()?;
        Self::of(new.token, &claims)
    }

    fn of(token: &str, claims: &[u8]) -> Option<Self> {
        let said: serde_json::Map<String, Value> = serde_json::from_slice(claims).ok()?;
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        Some(Self {
            token: token.into(),
            claims: claims.into(),
            subject: text("sub").map(|subject| subject_key(token, subject)),
            session: text("sid").map(session_key),
            expires: said.get("exp")?.as_i64()?,
        })
    }

    /// As the store keeps it.
    pub(super) fn record(&self, key: &[u8; 32]) -> Option<Record> {
        let claims = serde_json::from_slice(&self.claims).ok()?;
        let body = serde_json::to_vec(&Body { token: self.token.clone(), claims }).ok()?;
        Some(Record {
            kind: RecordKind::Opaque,
            id: key.as_slice().into(),
            subject: self.subject.map(|key| key.0),
            expires: Some(self.expires),
            body,
        })
    }

    /// From what the store kept.
    pub(super) fn read(record: &Record) -> Option<([u8; 32], Self)> {
        let body: Body<'_> = serde_json::from_slice(&record.body).ok()?;
        let token = Self::of(&body.token, body.claims.get().as_bytes())?;
        Some(((*record.id).try_into().ok()?, token))
    }

    /// A claim that is a text.
    pub(super) fn claim(&self, name: &str) -> Option<String> {
        let said: serde_json::Map<String, Value> = serde_json::from_slice(&self.claims).ok()?;
        said.get(name)?.as_str().map(str::to_owned)
    }
}

/// All of them.
///
/// Invariant: `subjects`, `sessions` and `ends` hold exactly those of `tokens`, and `counts` says how many of each name.
#[derive(Default)]
pub(super) struct Held {
    tokens: HashMap<[u8; 32], Token>,
    /// By subject and end: one who has a million tokens costs no more than a million who have one.
    subjects: BTreeSet<(Key, i64, [u8; 32])>,
    sessions: BTreeSet<(Key, i64, [u8; 32])>,
    ends: BTreeSet<(i64, [u8; 32])>,
    counts: HashMap<Box<str>, usize>,
    /// Room taken for tokens that are being kept, by name.
    coming: HashMap<Box<str>, usize>,
}

impl Held {
    /// Takes room for one more of this name.
    pub(super) fn reserve(&mut self, token: &str, now: i64) -> Result<(), Trouble> {
        let of = |map: &HashMap<Box<str>, usize>| map.get(token).copied().unwrap_or_default();
        if of(&self.counts) + of(&self.coming) >= TOKENS {
            self.sweep(now);
            if of(&self.counts) + of(&self.coming) >= TOKENS {
                return Err(Trouble::Overloaded);
            }
        }
        *self.coming.entry(token.into()).or_default() += 1;
        Ok(())
    }

    /// Gives that room back.
    pub(super) fn release(&mut self, token: &str) {
        if let Some(coming) = self.coming.get_mut(token) {
            *coming = coming.saturating_sub(1);
        }
    }

    pub(super) fn insert(&mut self, key: [u8; 32], token: Token) {
        self.remove(&key);
        if let Some(subject) = token.subject {
            self.subjects.insert((subject, token.expires, key));
        }
        if let Some(session) = token.session {
            self.sessions.insert((session, token.expires, key));
        }
        self.ends.insert((token.expires, key));
        *self.counts.entry(token.token.clone()).or_default() += 1;
        self.tokens.insert(key, token);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &[u8; 32]) -> bool {
        let Some(token) = self.tokens.remove(key) else { return false };
        for (index, of) in [(&mut self.subjects, token.subject), (&mut self.sessions, token.session)] {
            if let Some(of) = of {
                index.remove(&(of, token.expires, *key));
            }
        }
        self.ends.remove(&(token.expires, *key));
        if let Some(count) = self.counts.get_mut(&token.token) {
            *count = count.saturating_sub(1);
        }
        true
    }

    /// Removes what has ended, at most so many that nobody waits long.
    pub(super) fn sweep(&mut self, now: i64) {
        for _ in 0..SWEPT {
            match self.ends.first() {
                Some(&(ends, key)) if ends <= now => drop(self.remove(&key)),
                Some(_) | None => break,
            }
        }
    }

    pub(super) fn get(&self, key: &[u8; 32]) -> Option<&Token> {
        self.tokens.get(key)
    }

    pub(super) fn get_key_value(&self, key: &[u8; 32]) -> Option<(&[u8; 32], &Token)> {
        self.tokens.get_key_value(key)
    }

    pub(super) fn of_subject(&self, token: &str, subject: &str) -> impl Iterator<Item = (&[u8; 32], &Token)> {
        self.of(&self.subjects, subject_key(token, subject))
    }

    pub(super) fn of_session(&self, session: &str) -> impl Iterator<Item = (&[u8; 32], &Token)> {
        self.of(&self.sessions, session_key(session))
    }

    /// The one that lives longest first.
    fn of<'h>(
        &'h self,
        index: &'h BTreeSet<(Key, i64, [u8; 32])>,
        key: Key,
    ) -> impl Iterator<Item = (&'h [u8; 32], &'h Token)> {
        let all = (key, i64::MIN, [0; 32])..=(key, i64::MAX, [u8::MAX; 32]);
        index.range(all).rev().filter_map(|(_, _, key)| self.tokens.get_key_value(key))
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }
}

/// What a token is kept by.
pub(super) fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// A subject of tokens of this name, unreadable at rest.
fn subject_key(token: &str, subject: &str) -> Key {
    Key::new(Kind::Subject, token, subject)
}

fn session_key(session: &str) -> Key {
    Key::new(Kind::Session, "", session)
}

/// Tokens that are forgotten at once.
const SWEPT: usize = 10_000;
