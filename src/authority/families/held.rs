//! Families in memory, by what their tokens begin with, by session, by subject and by when they end; and as they are kept.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::authority::families::{FAMILIES, Family, Use};
use crate::authority::trouble::Trouble;
use crate::mint::opaque::Mark;
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::store::records::{Record, RecordKind};
use crate::token::NumericDate;

/// SHA-256 of a token, or of what it begins with.
pub(super) type Hash = [u8; 32];

/// A family's place.
pub(super) struct Slot {
    /// What its tokens begin with, hashed.
    pub(super) key: Hash,
    /// Held by whoever uses or ends it.
    pub(super) turn: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
}

/// What a family is at the moment.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) family: Arc<Family>,
    /// What tells its tokens from texts that only begin like them.
    pub(super) mark: Mark,
    /// The token that counts; after a crash there may be several.
    current: Vec<Hash>,
    /// The one that counted before.
    previous: Vec<Hash>,
    /// Until when that one is answered with `again`, in milliseconds since 1970.
    grace_until: i64,
    generation: u64,
    /// The text of the newest token, for as long as the grace.
    pub(super) again: Option<Zeroizing<Box<str>>>,
    /// It has ended, and that may not be on the disk yet.
    pub(super) dead: bool,
}

/// A record's body.
#[derive(Serialize, Deserialize)]
struct Body {
    session: Box<str>,
    token: Box<str>,
    beside: Vec<(Box<str>, Box<str>)>,
    subject: Box<str>,
    credential: Box<str>,
    holder: Box<str>,
    scopes: Vec<Box<str>>,
    carried: Map<String, Value>,
    expires: i64,
    life: i64,
    mark: String,
    current: Vec<String>,
    previous: Vec<String>,
    grace_until: i64,
    generation: u64,
}

impl Slot {
    pub(super) fn new(key: Hash, live: Live) -> Self {
        Self { key, turn: tokio::sync::Mutex::default(), live: Mutex::new(live) }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From what the store kept.
    pub(super) fn read(record: &Record) -> Option<Self> {
        let body: Body = serde_json::from_slice(&record.body).ok()?;
        let hashes = |texts: &[String]| -> Option<Vec<Hash>> {
            let read = |text: &String| base64_simd::STANDARD.decode_to_vec(text).ok()?.try_into().ok();
            texts.iter().map(read).collect()
        };
        let live = Live {
            mark: base64_simd::STANDARD.decode_to_vec(&body.mark).ok()?.try_into().ok()?,
            current: hashes(&body.current)?,
            previous: hashes(&body.previous)?,
            grace_until: body.grace_until,
            generation: body.generation,
            again: None,
            dead: false,
            family: Arc::new(Family {
                session: body.session,
                token: body.token,
                beside: body.beside,
                subject: body.subject,
                credential: body.credential,
                holder: body.holder,
                scopes: body.scopes,
                carried: body.carried,
                expires: NumericDate(body.expires),
                life: body.life,
            }),
        };
        Some(Self::new((*record.id).try_into().ok()?, live))
    }
}

impl Live {
    pub(super) fn begin(family: Arc<Family>, current: Hash, mark: Mark) -> Self {
        let (current, previous) = (vec![current], Vec::new());
        Self { family, mark, current, previous, grace_until: 0, generation: 1, again: None, dead: false }
    }

    /// Whether tokens of this name that it has count.
    pub(super) fn counts(&self, token: &str, now: NumericDate) -> bool {
        !self.dead && *self.family.token == *token && self.family.expires > now
    }

    pub(super) fn is_current(&self, token: &Hash) -> bool {
        is_one_of(&self.current, token)
    }

    /// Whether it is the one before the newest and may still be used. A clock that was set back does not make the grace longer.
    pub(super) fn in_grace(&self, token: &Hash, milliseconds: i64, grace: Duration) -> bool {
        let left = self.grace_until.saturating_sub(milliseconds);
        left > 0 && left <= as_milliseconds(grace) && is_one_of(&self.previous, token)
    }

    pub(super) fn has_too_many(&self) -> bool {
        self.current.len() >= SIBLINGS
    }

    /// After the newest was used.
    pub(super) fn next(&self, text: &Zeroizing<Box<str>>, using: &Use) -> Self {
        Self {
            family: self.family_after(using),
            mark: self.mark,
            current: vec![hash(text)],
            previous: self.current.clone(),
            grace_until: using.milliseconds.saturating_add(as_milliseconds(using.grace)),
            generation: self.generation + 1,
            again: (!using.grace.is_zero()).then(|| text.clone()),
            dead: false,
        }
    }

    /// After the one before the newest was used, and nobody knows any more what was answered.
    pub(super) fn sibling(&self, text: &Zeroizing<Box<str>>, _: &Use) -> Self {
        let mut after = self.clone();
        after.current.push(hash(text));
        after.again = Some(text.clone());
        after
    }

    fn family_after(&self, using: &Use) -> Arc<Family> {
        let Some(lifetime) = using.lifetime else { return Arc::clone(&self.family) };
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires = NumericDate(using.now.0.saturating_add(lifetime));
        Arc::new(Family { expires, ..Family::clone(&self.family) })
    }

    /// As the store keeps it: hashes, and no text.
    pub(super) fn record(&self, key: &Hash) -> Option<Record> {
        let written = |hashes: &[Hash]| -> Vec<String> {
            hashes.iter().map(|hash| base64_simd::STANDARD.encode_to_string(hash)).collect()
        };
        let family = Family::clone(&self.family);
        let body = Body {
            session: family.session,
            token: family.token,
            beside: family.beside,
            subject: family.subject,
            credential: family.credential,
            holder: family.holder,
            scopes: family.scopes,
            carried: family.carried,
            expires: family.expires.0,
            life: family.life,
            mark: base64_simd::STANDARD.encode_to_string(self.mark),
            current: written(&self.current),
            previous: written(&self.previous),
            grace_until: self.grace_until,
            generation: self.generation,
        };
        Some(Record {
            kind: RecordKind::Family,
            id: key.as_slice().into(),
            subject: Some(subject_key(&body.token, &body.subject).0),
            expires: Some(body.expires),
            body: serde_json::to_vec(&body).ok()?,
        })
    }
}

/// All of them.
///
/// Invariant: `sessions`, `subjects` and `ends` hold exactly those of `slots`, and `counts` says how many of each name.
#[derive(Default)]
pub(super) struct Held {
    slots: HashMap<Hash, Arc<Slot>>,
    sessions: HashMap<Box<str>, Hash>,
    subjects: BTreeSet<(Key, Hash)>,
    ends: BTreeSet<(i64, Hash)>,
    counts: HashMap<Box<str>, usize>,
    /// Room taken for families that are being kept, by name.
    coming: HashMap<Box<str>, usize>,
    /// Families whose newest text is in memory, and until when.
    fresh: VecDeque<(i64, Hash)>,
}

impl Held {
    /// Takes room for one more of this name.
    pub(super) fn reserve(&mut self, token: &str, now: i64) -> Result<(), Trouble> {
        let full = |held: &Self| {
            let of = |map: &HashMap<Box<str>, usize>| map.get(token).copied().unwrap_or_default();
            of(&held.counts) + of(&held.coming) >= FAMILIES
        };
        if full(self) {
            self.sweep(now, 0);
        }
        if full(self) {
            return Err(Trouble::Overloaded);
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

    pub(super) fn insert(&mut self, slot: Arc<Slot>) {
        let family = Arc::clone(&slot.live().family);
        self.sessions.insert(family.session.clone(), slot.key);
        self.subjects.insert((subject_key(&family.token, &family.subject), slot.key));
        self.ends.insert((family.expires.0, slot.key));
        *self.counts.entry(family.token.clone()).or_default() += 1;
        self.slots.insert(slot.key, slot);
    }

    pub(super) fn remove(&mut self, key: &Hash) {
        let Some(slot) = self.slots.remove(key) else { return };
        let family = Arc::clone(&slot.live().family);
        self.sessions.remove(&family.session);
        self.subjects.remove(&(subject_key(&family.token, &family.subject), *key));
        self.ends.remove(&(family.expires.0, *key));
        if let Some(count) = self.counts.get_mut(&family.token) {
            *count = count.saturating_sub(1);
        }
    }

    /// Lets a family be what it has become.
    pub(super) fn renew(&mut self, slot: &Slot, next: Live) {
        let ends = next.family.expires.0;
        if next.again.is_some() {
            self.fresh.push_back((next.grace_until, slot.key));
        }
        let before = std::mem::replace(&mut *slot.live(), next).family.expires.0;
        if self.ends.remove(&(before, slot.key)) {
            self.ends.insert((ends, slot.key));
        }
    }

    pub(super) fn get(&self, key: &Hash) -> Option<Arc<Slot>> {
        self.slots.get(key).map(Arc::clone)
    }

    pub(super) fn of_session(&self, session: &str) -> Option<Arc<Slot>> {
        self.get(self.sessions.get(session)?)
    }

    pub(super) fn of_subject(&self, token: &str, subject: &str) -> impl Iterator<Item = Arc<Slot>> {
        let key = subject_key(token, subject);
        let all = (key, [0; 32])..=(key, [u8::MAX; 32]);
        self.subjects.range(all).filter_map(|(_, key)| self.get(key))
    }

    /// Removes what has ended, at most so many that nobody waits long, and the texts whose grace has.
    pub(super) fn sweep(&mut self, now: i64, milliseconds: i64) {
        for _ in 0..SWEPT {
            match self.ends.first() {
                Some(&(ends, key)) if ends <= now => self.remove(&key),
                Some(_) | None => break,
            }
        }
        while let Some((until, key)) = self.fresh.front().copied().filter(|(until, _)| *until <= milliseconds)
        {
            self.fresh.pop_front();
            if let Some(slot) = self.slots.get(&key) {
                let mut live = slot.live();
                // It may have been used again since, and have a newer text.
                if live.grace_until <= until {
                    live.again = None;
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// Of all of them alike: how long it takes tells nothing of which it was.
fn is_one_of(hashes: &[Hash], hash: &Hash) -> bool {
    hashes.iter().fold(false, |found, held| found | bool::from(held.ct_eq(hash)))
}

/// What a token, or the beginning of one, is kept by.
pub(super) fn hash(text: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

fn subject_key(token: &str, subject: &str) -> Key {
    Key::new(Kind::Subject, token, subject)
}

fn as_milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Tokens of a family that may count at once: one, and another for every crash within the grace.
const SIBLINGS: usize = 4;
/// Families that are forgotten at once.
const SWEPT: usize = 10_000;
