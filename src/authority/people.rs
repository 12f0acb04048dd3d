//! People: names, passwords, and who may sign in. Passwords are hashed with argon2id, by few at a time.
//!
//! Whatever is wrong, an unknown name, another password, somebody who is disabled, is the same answer after the same work
//! (threats T9). Where they belong, `namespaces`, is one of their attributes.

mod hashing;
mod managing;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use argon2::Params;
use argon2id::Memory;
use aws_lc_rs::hmac;
use serde_json::Map;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::authority::clock;
use crate::authority::holder::Holder;
use crate::authority::listed::{self, Found};
use crate::authority::means::Means;
use crate::authority::people::hashing::{Hashing, Known, Overloaded};
use crate::authority::registry::{Body, Entry, Registry};
use crate::authority::stopping::{self, Made};
use crate::config::Config;
use crate::config::credential::{self, CredentialKind};
use crate::config::material::Material;
use crate::store::error::StoreError;
use crate::store::records::RecordKind;
use crate::token::NumericDate;
use crate::token::scope::ScopeMatch;

/// Everybody of every credential. One for the process.
pub struct People {
    inner: Arc<Inner>,
}

struct Inner {
    means: Means,
    managed: Registry,
    /// What is configured, by credential.
    rooms: ArcSwap<Rooms>,
    hashing: Hashing,
    /// Hashes passwords that a list has in clear.
    own_pepper: hmac::Key,
}

type Rooms = BTreeMap<Box<str>, Arc<Room>>;

/// One credential as it is configured.
struct Room {
    managed: bool,
    scope_match: ScopeMatch,
    costs: Params,
    /// What is hashed with where nobody is meant.
    decoy: Box<str>,
    made: Vec<Made>,
    listed: HashMap<Box<str>, (Arc<Entry>, Known)>,
}

/// Why nobody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Unknown, disabled, or another password: the same answer, after the same work.
    Refused,
    /// Too many wait to sign in already: `overloaded`.
    Overloaded,
}

impl People {
    /// Nobody yet. Passwords are hashed on half of so many cores.
    pub fn new(means: Means, cores: usize) -> Self {
        let own_pepper: [u8; 32] = clock::random().unwrap_or_default();
        let managed = Registry::new(RecordKind::Person, means.clone());
        let inner = Inner {
            means,
            managed,
            rooms: ArcSwap::default(),
            hashing: Hashing::new(cores),
            own_pepper: hmac::Key::new(hmac::HMAC_SHA256, &own_pepper),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes on whom a configuration lists, and what hashing costs.
    pub fn configure(&self, config: &Config, material: &Material) {
        let mut rooms = Rooms::new();
        for credential in &config.authority.credentials {
            if let CredentialKind::People(people) = &credential.kind {
                let costs = Params::new(people.memory, people.passes, 1, None).unwrap_or_default();
                let mut room = Room {
                    managed: people.managed,
                    scope_match: credential.scope_match,
                    decoy: hashing::decoy(&costs),
                    costs,
                    made: stopping::made_from(config, &credential.name),
                    listed: HashMap::new(),
                };
                self.inner.list(&mut room, &credential.name, people, material);
                rooms.insert(credential.name.clone(), Arc::new(room));
            }
        }
        self.inner.rooms.store(Arc::new(rooms));
    }

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        self.inner.managed.load(&|_, _| Map::new())
    }

    /// Who has this name and this password, for the credential of this name. Waits for its turn to hash.
    pub async fn sign_in(
        &self,
        credential: &str,
        name: &str,
        password: &str,
    ) -> Result<Arc<Holder>, NotSignedIn> {
        let inner = &self.inner;
        let room = inner.room(credential).ok_or(NotSignedIn::Refused)?;
        if !hashing::fits(password) {
            return Err(NotSignedIn::Refused);
        }
        let (entry, known) = inner.find(&room, credential, name);
        let password = Zeroizing::new(password.to_owned());
        let (pepper, decoy) = (inner.own_pepper.clone(), room.decoy.clone());
        let work = {
            let password = password.clone();
            move |memory: &mut Memory| is_password(&password, known.as_ref(), &decoy, &pepper, memory)
        };
        let is_proven = inner.hashing.run(work).await.map_err(|Overloaded| NotSignedIn::Overloaded)?;
        // Hashing took its time: meanwhile they may have been disabled, or the password be another one.
        let still = |entry: &Arc<Entry>| {
            let (now, _) = inner.find(&room, credential, name);
            now.is_some_and(|now| now.counts(clock::now()) && now.holder.stamp == entry.holder.stamp)
        };
        let entry = entry.filter(|entry| is_proven & still(entry)).ok_or(NotSignedIn::Refused)?;
        inner.managed.used(&entry, clock::now());
        if let Some(kept) = &entry.body.password
            && !hashing::costs(kept, &room.costs)
        {
            inner.rehash(&entry, password, room.costs.clone());
        }
        Ok(Arc::clone(&entry.holder))
    }

    /// The person of this name, if they may sign in now: for `act_as`, and for a family that is refreshed.
    pub fn find(&self, credential: &str, name: &str, now: NumericDate) -> Option<Arc<Holder>> {
        let room = self.inner.room(credential)?;
        let (entry, _) = self.inner.find(&room, credential, name);
        entry.filter(|entry| entry.counts(now)).map(|entry| Arc::clone(&entry.holder))
    }

    /// Writes down when people last signed in.
    pub(in crate::authority) fn uses(&self) -> &Registry {
        &self.inner.managed
    }
}

impl Inner {
    fn room(&self, credential: &str) -> Option<Arc<Room>> {
        self.rooms.load().get(credential).map(Arc::clone)
    }

    /// The person of this name, and what their password is compared with.
    fn find(&self, room: &Room, credential: &str, name: &str) -> (Option<Arc<Entry>>, Option<Known>) {
        if let Some((entry, known)) = room.listed.get(name) {
            return (Some(Arc::clone(entry)), Some(known.clone()));
        }
        let entry = self.managed.get(credential, name);
        let known = entry.as_ref().and_then(|entry| entry.body.password.clone()).map(Known::Hash);
        (entry, known)
    }

    /// Takes on the entries of a list; of two with one name the first counts.
    fn list(&self, room: &mut Room, credential: &str, people: &credential::People, material: &Material) {
        let entries = people.entries.iter().flat_map(|entries| listed::read(credential, entries, material));
        for Found { id, secret, scopes, name, attributes } in entries {
            let known = if secret.starts_with('$') {
                if !hashing::is_hash(&secret) {
                    tracing::error!(
                        credential,
                        "a listed password is no hash of argon2id: its entry is left out"
                    );
                    continue;
                }
                if !hashing::costs(&secret, &room.costs) {
                    tracing::warn!(
                        credential,
                        "a listed password was hashed at other costs than `memory` and `passes`: \
                         how long a sign-in takes says that its name is there"
                    );
                }
                Known::Hash(secret.as_str().into())
            } else {
                Known::Listed(hashed(&self.own_pepper, &secret), room.decoy.clone())
            };
            let body = Body { name, scopes, attributes, ..Body::default() };
            let entry = Arc::new(Entry::new(credential, &id, body, &|_, _| Map::new()));
            room.listed.entry(id).or_insert((entry, known));
        }
    }

    /// Keeps a password hashed at the costs of now, behind the back of who signed in.
    fn rehash(self: &Arc<Self>, entry: &Arc<Entry>, password: Zeroizing<String>, costs: Params) {
        let (inner, before) = (Arc::clone(self), Arc::clone(entry));
        tokio::spawn(async move {
            let Ok(Ok(hash)) =
                inner.hashing.run(move |memory| hashing::hash(&password, &costs, memory)).await
            else {
                return;
            };
            let turn = inner.managed.turn().await;
            let name = before.name();
            let Some(now) = inner.managed.get(&name.0, &name.1) else { return };
            // Another password was set meanwhile: that one stays.
            if now.body.password != before.body.password {
                return;
            }
            let body = Body { password: Some(hash), last_used: now.last_used(), ..now.body.clone() };
            if let Err(error) = inner.managed.put(&turn, name, body, &|_, _| Map::new()).await {
                tracing::warn!(%error, "a password was not kept at the costs of now");
            }
        });
    }
}

/// Whether it is the password: one hash is made in every case.
fn is_password(
    password: &str,
    known: Option<&Known>,
    decoy: &str,
    pepper: &hmac::Key,
    memory: &mut Memory,
) -> bool {
    match known {
        Some(Known::Hash(known)) => hashing::verify(password, known, memory),
        Some(Known::Listed(listed, decoy)) => {
            let _never = hashing::verify(password, decoy, memory);
            hashed(pepper, password).ct_eq(listed).into()
        }
        None => {
            let _never = hashing::verify(password, decoy, memory);
            false
        }
    }
}

fn hashed(pepper: &hmac::Key, password: &str) -> [u8; 32] {
    hmac::sign(pepper, password.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}
