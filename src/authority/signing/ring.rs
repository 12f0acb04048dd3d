//! The keys of one algorithm that the gateway made, in the order in which they sign. What becomes of each follows from its
//! dates and the time: nothing has to happen for the next one to sign.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::authority::clock;
use crate::authority::signing::{KeyState, Listed};
use crate::keys::rotation::{SigningError, SigningKey};
use crate::mint::NoEntropy;
use crate::mint::sealed::SealingKey;
use crate::store::records::{Record, RecordKind};
use crate::token::{Algorithm, NumericDate};

/// A key, and its dates in seconds since 1970.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) key: Arc<SigningKey>,
    pub(super) key_id: Box<str>,
    pub(super) dates: Dates,
    /// The gate has its public half.
    pub(super) published: bool,
}

/// What is kept of a key in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dates {
    /// It was made.
    pub(super) created: i64,
    /// It signs first.
    pub(super) signs_from: i64,
    /// How long what it signs may count, at the most, with leeway, in seconds: the longest that ever was configured.
    pub(super) life: i64,
}

/// A record's body.
#[derive(Serialize, Deserialize)]
struct Body {
    algorithm: Box<str>,
    #[serde(flatten)]
    dates: Dates,
    /// Its private PEM, sealed, in base64.
    sealed: String,
}

/// Why a record is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It was sealed with another key, or is not what was sealed.
    Sealed,
    /// It is not what this version writes.
    Damaged,
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm, dates: Dates) -> Result<Self, SigningError> {
        let key = SigningKey::generate(algorithm)?;
        let key_id = key.key_id().unwrap_or_default().into();
        Ok(Self { key: Arc::new(key), key_id, dates, published: false })
    }

    /// As the store keeps it.
    pub(super) fn record(&self, sealing: &SealingKey, dates: Dates) -> Result<Record, NoEntropy> {
        let algorithm = self.key.algorithm().name();
        let pem = self.key.to_pem().ok_or(NoEntropy)?;
        let sealed = sealing.seal(&about(algorithm, &self.key_id), pem.as_bytes(), &mut clock::fill)?;
        let sealed = base64_simd::STANDARD.encode_to_string(sealed);
        let body = serde_json::to_vec(&Body { algorithm: algorithm.into(), dates, sealed });
        Ok(Record {
            kind: RecordKind::SigningKey,
            id: self.key_id.as_bytes().into(),
            subject: None,
            expires: None,
            body: body.map_err(|_| NoEntropy)?,
        })
    }

    /// From what the store kept.
    pub(super) fn read(record: &Record, sealing: &SealingKey) -> Result<Self, Unread> {
        let body: Body = serde_json::from_slice(&record.body).map_err(|_| Unread::Damaged)?;
        let key_id = str::from_utf8(&record.id).map_err(|_| Unread::Damaged)?;
        let algorithm = Algorithm::from_name(&body.algorithm).ok_or(Unread::Damaged)?;
        let sealed =
            base64_simd::STANDARD.decode_to_vec(body.sealed.as_bytes()).map_err(|_| Unread::Damaged)?;
        let pem: Zeroizing<Vec<u8>> =
            sealing.open(&about(&body.algorithm, key_id), &sealed).ok_or(Unread::Sealed)?;
        let key = SigningKey::from_pem(&pem, Some(algorithm)).map_err(|_| Unread::Damaged)?;
        if key.key_id() != Some(key_id) {
            return Err(Unread::Damaged);
        }
        Ok(Self { key: Arc::new(key), key_id: key_id.into(), dates: body.dates, published: false })
    }
}

/// What a sealed key is bound to: it opens nowhere but in its own record.
fn about(algorithm: &str, key_id: &str) -> Vec<u8> {
    format!("{}\0{key_id}\0{algorithm}\0{key_id}", RecordKind::SigningKey.name()).into_bytes()
}

/// The keys of one algorithm, by the time at which each signs first.
#[derive(Clone, Default)]
pub(super) struct Ring(Vec<Key>);

/// What is to be done with a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// A key is to be made that signs from this time on.
    Make(i64),
    /// This one is over: nothing that it signed counts any more.
    Remove(Box<str>),
    /// Nothing before this time.
    Nothing(i64),
}

impl Ring {
    pub(super) fn keys(&self) -> &[Key] {
        &self.0
    }

    pub(super) fn keys_mut(&mut self) -> impl Iterator<Item = &mut Key> {
        self.0.iter_mut()
    }

    pub(super) fn insert(&mut self, key: Key) {
        self.0.retain(|held| held.key_id != key.key_id);
        self.0.push(key);
        self.0.sort_by_key(|key| (key.dates.signs_from, key.dates.created));
    }

    pub(super) fn remove(&mut self, key_id: &str) {
        self.0.retain(|key| *key.key_id != *key_id);
    }

    /// The one that signs: the last whose time has come. A clock that was set back finds the first.
    pub(super) fn active(&self, now: i64) -> Option<&Key> {
        let mut usable = self.0.iter().filter(|key| key.published).peekable();
        let first = usable.peek().copied();
        usable.rfind(|key| key.dates.signs_from <= now).or(first)
    }

    /// Those that verifiers are told of.
    pub(super) fn published(&self, now: i64) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| self.ends(key).is_none_or(|ends| ends > now))
    }

    /// The one that signs in this one's place.
    fn successor(&self, key: &Key) -> Option<&Key> {
        let at = self.0.iter().position(|held| held.key_id == key.key_id)?;
        self.0.get(at + 1)
    }

    /// When nothing that it signed counts any more.
    fn ends(&self, key: &Key) -> Option<i64> {
        let successor = self.successor(key)?;
        Some(successor.dates.signs_from.saturating_add(key.dates.life).saturating_add(SLACK))
    }

    /// What is to be done, where a key becomes `rotate` seconds old (0 is any age) and is published `publish` seconds before it
    /// signs.
    pub(super) fn due(&self, now: i64, rotate: i64, publish: i64) -> Due {
        let over = self.0.iter().find(|key| self.ends(key).is_some_and(|ends| ends <= now));
        if let Some(key) = over {
            return Due::Remove(key.key_id.clone());
        }
        let Some(last) = self.0.last() else { return Due::Make(now) };
        let ends = self.0.iter().filter_map(|key| self.ends(key)).min().unwrap_or(i64::MAX);
        if rotate == 0 {
            return Due::Nothing(ends);
        }
        let next = last.dates.signs_from.saturating_add(rotate);
        let make = next.saturating_sub(publish).max(last.dates.signs_from);
        if make <= now {
            Due::Make(next.max(now.saturating_add(publish)))
        } else {
            Due::Nothing(make.min(ends))
        }
    }

    /// For operators.
    pub(super) fn list(&self, now: i64) -> impl Iterator<Item = Listed> {
        let active = self.active(now).map(|key| key.key_id.clone());
        self.published(now).map(move |key| {
            let state = if active.as_ref() == Some(&key.key_id) {
                KeyState::Active
            } else if key.dates.signs_from > now || !key.published {
                KeyState::Staged
            } else {
                KeyState::Retiring
            };
            Listed {
                key_id: key.key_id.clone(),
                algorithm: key.key.algorithm(),
                state,
                created: NumericDate(key.dates.created),
                signs_from: NumericDate(key.dates.signs_from),
                signs_until: self.successor(key).map(|next| NumericDate(next.dates.signs_from)),
                published_until: self.ends(key).map(NumericDate),
            }
        })
    }

    /// The public halves of what is published.
    pub(super) fn public(&self, now: i64) -> Vec<Value> {
        self.published(now).filter_map(|key| key.key.public_jwk()).collect()
    }
}

/// Seconds that a key stays published beyond the last token that it signed: clocks of others are behind ours.
const SLACK: i64 = 60;
