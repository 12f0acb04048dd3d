//! Holders of credentials that are managed here: all of them in memory, and each a record of the store.
//!
//! API keys and people differ in how they prove who they are; how they are kept, listed, changed and remembered to have
//! been used is the same, and is here. What is changed is on the disk before memory has it, and memory has it before
//! anybody is told.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::authority::clock;
use crate::authority::holder::{Holder, Stamp};
use crate::authority::means::Means;
use crate::mint::managed::NotDone;
use crate::store::error::StoreError;
use crate::store::records::{Record, RecordChange, RecordKind};
use crate::store::{BATCH, Id};
use crate::token::NumericDate;

/// Those of one kind, by credential and id.
pub(in crate::authority) struct Registry {
    kind: RecordKind,
    means: Means,
    known: RwLock<Known>,
    /// Held while something is changed: what is written is made from what is known.
    turn: AsyncMutex<()>,
    /// Whose last use is not written down yet: at most as many as there are.
    used: Mutex<BTreeSet<Name>>,
}

/// By credential, and by id.
type Known = HashMap<Box<str>, HashMap<Box<str>, Arc<Entry>>>;

/// A credential's name, and the id of a holder.
pub(in crate::authority) type Name = (Box<str>, Box<str>);

/// One's turn to change something: what is read while it is held is not changed by others.
pub(in crate::authority) struct Turn<'t>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'t, ()>);

/// One of them.
pub(in crate::authority) struct Entry {
    /// What everybody is told.
    pub(in crate::authority) holder: Arc<Holder>,
    /// As it is kept.
    pub(in crate::authority) body: Body,
    /// Its secrets' hashes, as they are compared; zeros in the place of one that is not there, which nothing hashes to.
    pub(in crate::authority) hashes: [[u8; 32]; 2],
    last_used: AtomicI64,
}

/// As it is kept, beside credential and id: JSON. No secret is in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::authority) struct Body {
    pub(in crate::authority) name: Option<Box<str>>,
    /// Of an API key: what the whole text begins with.
    #[serde(default)]
    pub(in crate::authority) prefix: Box<str>,
    /// An API key whose id was not made here, and that has no whole text.
    #[serde(default)]
    pub(in crate::authority) foreign: bool,
    pub(in crate::authority) scopes: Vec<Box<str>>,
    /// Its own.
    pub(in crate::authority) attributes: Map<String, Value>,
    #[serde(default)]
    pub(in crate::authority) expires: Option<i64>,
    pub(in crate::authority) disabled: bool,
    pub(in crate::authority) created: i64,
    #[serde(default)]
    pub(in crate::authority) last_used: Option<i64>,
    /// Of an API key: at most two.
    #[serde(default)]
    pub(in crate::authority) secrets: Vec<HashedSecret>,
    /// How often a secret was taken away, or a password changed.
    #[serde(default)]
    pub(in crate::authority) taken: u32,
    /// Of a person: a PHC string.
    #[serde(default)]
    pub(in crate::authority) password: Option<Box<str>>,
    /// The entries that refuse what was made from it while it is disabled.
    #[serde(default)]
    pub(in crate::authority) stopped_by: Vec<String>,
}

/// A secret of an API key, hashed under a pepper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::authority) struct HashedSecret {
    pub(in crate::authority) number: u32,
    /// HMAC-SHA-256 in base64url.
    pub(in crate::authority) hash: Box<str>,
    /// Which pepper it was.
    pub(in crate::authority) pepper: Box<str>,
    pub(in crate::authority) created: i64,
    pub(in crate::authority) last4: Box<str>,
}

/// The attributes that a holder has from elsewhere, by credential and prefix.
pub(in crate::authority) type Inherited<'a> = &'a (dyn Fn(&str, &str) -> Map<String, Value> + Sync);

impl Registry {
    pub(in crate::authority) fn new(kind: RecordKind, means: Means) -> Self {
        Self { kind, means, known: RwLock::default(), turn: AsyncMutex::default(), used: Mutex::default() }
    }

    /// Reads what the store has, in the place of what is known. Blocks.
    pub(in crate::authority) fn load(&self, inherited: Inherited<'_>) -> Result<(), StoreError> {
        let (mut known, mut damaged) = (Known::new(), 0_usize);
        self.means.kept(self.kind, &mut |record| match read(&record) {
            Some(((credential, id), body)) => {
                let entry = Arc::new(Entry::new(&credential, &id, body, inherited));
                known.entry(credential).or_default().insert(id, entry);
            }
            None => damaged += 1,
        })?;
        if damaged > 0 {
            return Err(StoreError::Damaged(format!("{damaged} records cannot be read")));
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Gives everybody what they have from elsewhere anew.
    pub(in crate::authority) fn inherit(&self, inherited: Inherited<'_>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (credential, entries) in known.iter_mut() {
            for (id, entry) in entries.iter_mut() {
                let body = Body { last_used: entry.last_used(), ..entry.body.clone() };
                *entry = Arc::new(Entry::new(credential, id, body, inherited));
            }
        }
    }

    pub(in crate::authority) fn get(&self, credential: &str, id: &str) -> Option<Arc<Entry>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(credential)?.get(id).map(Arc::clone)
    }

    pub(in crate::authority) fn len(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().map(HashMap::len).sum()
    }

    /// Those behind a name, in order, at most so many; and whether there are more. It looks at all of them.
    pub(in crate::authority) fn list(
        &self,
        credential: Option<&str>,
        after: Option<&Name>,
        most: usize,
    ) -> (Vec<Arc<Entry>>, bool) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let of = known.iter().filter(|(name, _)| credential.is_none_or(|wanted| *wanted == ***name));
        let all = of
            .flat_map(|(credential, entries)| entries.iter().map(move |(id, entry)| (credential, id, entry)));
        let behind = |(credential, id): (&str, &str)| {
            after.is_none_or(|(after_credential, after_id)| {
                (credential, id) > (&**after_credential, &**after_id)
            })
        };
        let mut listed: Vec<_> = all.filter(|(credential, id, _)| behind((credential, id))).collect();
        let more = listed.len() > most;
        if more {
            listed.select_nth_unstable_by_key(most, |(credential, id, _)| (*credential, *id));
            listed.truncate(most);
        }
        listed.sort_unstable_by_key(|(credential, id, _)| (*credential, *id));
        (listed.into_iter().map(|(_, _, entry)| Arc::clone(entry)).collect(), more)
    }

    /// Waits for a turn to change something.
    pub(in crate::authority) async fn turn(&self) -> Turn<'_> {
        Turn(self.turn.lock().await)
    }

    /// Keeps one, in the place of the one of its name: on the disk and known once it returns. `turn` is whoever changes.
    pub(in crate::authority) async fn put(
        &self,
        _turn: &Turn<'_>,
        (credential, id): Name,
        body: Body,
        inherited: Inherited<'_>,
    ) -> Result<Arc<Entry>, StoreError> {
        let entry = Arc::new(Entry::new(&credential, &id, body, inherited));
        self.means.keep(vec![RecordChange::Keep(self.record(&entry)?)]).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(credential).or_default().insert(id, Arc::clone(&entry));
        Ok(entry)
    }

    /// Keeps none of this name.
    pub(in crate::authority) async fn remove(&self, _turn: &Turn<'_>, name: &Name) -> Result<(), StoreError> {
        self.means.keep(vec![RecordChange::Remove { kind: self.kind, id: record_id(name) }]).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = known.get_mut(&name.0) {
            entries.remove(&name.1);
        }
        Ok(())
    }

    /// Remembers that one was used: at most once in [`USE_SECONDS`], and written down later.
    pub(in crate::authority) fn used(&self, entry: &Entry, now: NumericDate) {
        let last = entry.last_used.load(Ordering::Relaxed);
        if now.0.saturating_sub(last) < USE_SECONDS {
            return;
        }
        let is_first = entry.last_used.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if is_first.is_ok() {
            let name = (entry.holder.credential.clone(), entry.holder.id.clone());
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
    }

    /// Writes down who was used, a batch a commit. What cannot be written is forgotten: it is of use to people only.
    pub(in crate::authority) async fn write_uses(&self) -> Result<(), StoreError> {
        loop {
            let turn = self.turn().await;
            let names: Vec<Name> = {
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                std::iter::from_fn(|| used.pop_first()).take(BATCH / 2).collect()
            };
            if names.is_empty() {
                return Ok(());
            }
            let entries = names.iter().filter_map(|(credential, id)| self.get(credential, id));
            let records: Result<Vec<_>, _> =
                entries.map(|entry| self.record(&entry).map(RecordChange::Keep)).collect();
            self.means.keep(records?).await?;
            drop(turn);
        }
    }

    fn record(&self, entry: &Entry) -> Result<Record, StoreError> {
        let name = (entry.holder.credential.clone(), entry.holder.id.clone());
        let body = Body { last_used: entry.last_used(), ..entry.body.clone() };
        let body = serde_json::to_vec(&body).map_err(|_| StoreError::Refused("a record that is no JSON"))?;
        Ok(Record { kind: self.kind, id: record_id(&name), subject: None, expires: None, body })
    }
}

impl Entry {
    pub(in crate::authority) fn new(
        credential: &str,
        id: &str,
        body: Body,
        inherited: Inherited<'_>,
    ) -> Self {
        let mut attributes = inherited(credential, &body.prefix);
        attributes.extend(body.attributes.clone());
        let holder = Holder {
            credential: credential.into(),
            id: id.into(),
            name: body.name.clone(),
            scopes: body.scopes.clone().into(),
            attributes: Arc::new(attributes),
            expires: body.expires.map(NumericDate),
            stamp: Stamp { created: body.created, taken: body.taken },
        };
        let last_used = AtomicI64::new(body.last_used.unwrap_or(NEVER));
        let hash_of =
            |place: usize| body.secrets.get(place).and_then(HashedSecret::octets).unwrap_or_default();
        let hashes = [hash_of(0), hash_of(1)];
        Self { holder: Arc::new(holder), body, hashes, last_used }
    }

    /// Whether it counts at this moment.
    pub(in crate::authority) fn counts(&self, now: NumericDate) -> bool {
        !self.body.disabled && self.body.expires.is_none_or(|expires| now.0 < expires)
    }

    pub(in crate::authority) fn last_used(&self) -> Option<i64> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|last| *last != NEVER)
    }

    /// The entries that refuse what was made from it while it is disabled.
    pub(in crate::authority) fn stopped_by(&self) -> Vec<Id> {
        self.body.stopped_by.iter().filter_map(|id| id.parse().ok()).collect()
    }

    /// Names the page behind it.
    pub(in crate::authority) fn place(&self) -> String {
        let Holder { credential, id, .. } = &*self.holder;
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(format!("{credential}\0{id}"))
    }

    pub(in crate::authority) fn name(&self) -> Name {
        (self.holder.credential.clone(), self.holder.id.clone())
    }
}

/// The name behind which a page begins, by what [`Entry::place`] said.
pub(in crate::authority) fn behind(place: &str) -> Result<Name, NotDone> {
    let octets = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(place.as_bytes()).ok();
    let text = octets.and_then(|octets| String::from_utf8(octets).ok());
    let name = text.as_deref().and_then(|text| text.split_once('\0'));
    let wrong = || NotDone::Invalid(vec!["`after` is what `next` of the page before said".to_owned()]);
    name.map(|(credential, id)| (credential.into(), id.into())).ok_or_else(wrong)
}

impl HashedSecret {
    fn octets(&self) -> Option<[u8; 32]> {
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(self.hash.as_bytes()).ok()?.try_into().ok()
    }
}

/// What a record of this name has as its id: neither a credential's name nor an id has a zero in it.
fn record_id((credential, id): &Name) -> Box<[u8]> {
    [credential.as_bytes(), &[0], id.as_bytes()].concat().into()
}

fn read(record: &Record) -> Option<(Name, Body)> {
    let (credential, id) = std::str::from_utf8(&record.id).ok()?.split_once('\0')?;
    Some(((credential.into(), id.into()), serde_json::from_slice(&record.body).ok()?))
}

/// Writes down every so often who was used, until it is dropped.
pub(in crate::authority) async fn write_uses_of(registries: [&Registry; 2]) {
    loop {
        tokio::time::sleep(clock::USES).await;
        for registry in registries {
            if let Err(error) = registry.write_uses().await {
                tracing::debug!(%error, "when credentials were last used was not written down");
            }
        }
    }
}

/// Seconds for which a use is as good as the last one.
const USE_SECONDS: i64 = 60;
/// In the place of a date.
const NEVER: i64 = i64::MIN / 2;
/// Holders of managed credentials of one kind: some hundred megabytes.
pub(in crate::authority) const HOLDERS: usize = 1_000_000;
