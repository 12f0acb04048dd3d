//! What operators do to API keys: make, show, change, rotate, remove.
//!
//! Each of these has to run to its end once it was begun: whoever asks does not drop it halfway.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::authority::api_keys::ApiKeys;
use crate::authority::api_keys::ring::{Ring, Secrets};
use crate::authority::asked::{Faults, meant, not_kept};
use crate::authority::clock;
use crate::authority::means::Means;
use crate::authority::registry::{self, Body, Entry, HOLDERS, HashedSecret, Name, Turn};
use crate::authority::stopping;
use crate::config::problems::quoted;
use crate::mint::api_key;
use crate::mint::managed::{
    KeyChange, KeyMade, KeyShown, Keys, NewKey, NotDone, SECRET_CHARACTERS, SECRET_OCTETS, SecretShown,
};
use crate::revocation::Kind;
use crate::store::{self, error::StoreError};

impl ApiKeys {
    /// Makes a key. It counts once this returns, which alone has its secret.
    pub async fn make(&self, new: NewKey) -> Result<KeyMade, NotDone> {
        let rings = self.rings.load_full();
        let managed = rings.iter().filter(|(_, ring)| ring.managed).map(|(name, _)| &**name);
        let credential = meant(new.credential.as_deref(), managed, "API keys")?;
        let Some(ring) = rings.get(credential) else { return Err(NotDone::Unknown) };
        faults(ring, &new)?;
        let (id, is_foreign) = match &new.id {
            Some(id) => (id.clone(), true),
            None => (api_key::id(&*entropy()?).ok_or_else(no_randomness)?, false),
        };
        let secret = match new.secret {
            Some(secret) => secret.0,
            None => fresh()?,
        };
        let turn = self.managed.turn().await;
        if self.by_id(ring, credential, &id).is_some() {
            return Err(NotDone::Conflict(format!("there is a key {} already", quoted(&id))));
        }
        if self.managed.len() >= HOLDERS {
            return Err(NotDone::Conflict(format!("there are {HOLDERS} keys, and no more may be")));
        }
        let created = clock::now().0;
        let body = Body {
            name: new.name.map(Into::into),
            prefix: new.prefix.map_or_else(|| ring.first.clone(), Into::into),
            foreign: is_foreign,
            scopes: new.scopes.into_iter().map(Into::into).collect(),
            attributes: new.attributes,
            expires: new.expires,
            created,
            secrets: vec![ring.secrets.hashed(1, &secret, created)],
            ..Body::default()
        };
        let name = (credential.into(), id.into());
        let inherited = |credential: &str, prefix: &str| self.inherited(credential, prefix);
        let entry = self.managed.put(&turn, name, body, &inherited).await.map_err(not_kept)?;
        Ok(made(&entry, secret, &ring.secrets))
    }

    /// A key, without its secrets.
    pub fn show(&self, credential: &str, id: &str) -> Result<KeyShown, NotDone> {
        let entry = self.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        Ok(shown(&entry, self.secrets(credential).as_ref()))
    }

    /// Keys behind a name, at most so many, in the order of credentials and ids. It looks at all of them.
    pub fn list(&self, credential: Option<&str>, after: Option<&str>, most: usize) -> Result<Keys, NotDone> {
        let after = after.map(registry::behind).transpose()?;
        let (entries, more) = self.managed.list(credential, after.as_ref(), most);
        let next = entries.last().filter(|_| more).map(|entry| entry.place());
        let shown = |entry: &Arc<Entry>| shown(entry, self.secrets(&entry.holder.credential).as_ref());
        Ok(Keys { keys: entries.iter().map(shown).collect(), next })
    }

    /// Changes a key. Disabling one also refuses what was made from it, on every request once this returns; enabling it
    /// has that count again.
    pub async fn change(&self, credential: &str, id: &str, change: KeyChange) -> Result<KeyShown, NotDone> {
        let ring = self.ring(credential)?;
        let turn = self.managed.turn().await;
        let entry = self.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let mut faults = Faults::default();
        faults.name(change.name.as_ref().and_then(Option::as_deref));
        faults.scopes(change.scopes.as_deref().unwrap_or_default(), ring.scope_match);
        change.attributes.iter().for_each(|attributes| faults.attributes(attributes, &TAKEN));
        faults.expires(change.expires.flatten());
        faults.none()?;
        let mut body = Body { last_used: entry.last_used(), ..entry.body.clone() };
        if let Some(name) = change.name {
            body.name = name.map(Into::into);
        }
        if let Some(scopes) = change.scopes {
            body.scopes = scopes.into_iter().map(Into::into).collect();
        }
        if let Some(attributes) = change.attributes {
            body.attributes = attributes;
        }
        if let Some(expires) = change.expires {
            body.expires = expires;
        }
        // What refuses what was made until now comes after what has no more made: nobody comes in between. Asked for again
        // after a failure, this ends what was begun.
        let stops = change.disabled == Some(true) && !self.is_stopped(&entry).await?;
        if stops && !body.disabled {
            // Enabled before, and cut short: what refused it then has no end.
            (self.means.lift)(entry.stopped_by()).await.map_err(not_kept)?;
        }
        let ids = if stops { stopping::ids(&entries(&ring, id, DISABLED, None)?) } else { body.stopped_by };
        body.stopped_by = ids.clone();
        body.disabled = change.disabled.unwrap_or(body.disabled);
        // That it is disabled, its revocation says: what is known of other keys is known still, and their streams go on.
        let says_else =
            |body: &Body| Body { disabled: false, stopped_by: Vec::new(), last_used: None, ..body.clone() };
        let is_told = says_else(&body) != says_else(&entry.body);
        let entry = self.put(&turn, entry.name(), body).await?;
        if stops {
            self.revoke(stopping::under(&ids, entries(&ring, id, DISABLED, None)?)).await?;
        }
        if change.disabled == Some(false) {
            // What is not in force any more is lifted too: asked for again after a failure, this ends what was begun.
            (self.means.lift)(entry.stopped_by()).await.map_err(not_kept)?;
        }
        if is_told {
            self.tell(credential).await?;
        }
        Ok(shown(&entry, Some(&ring.secrets)))
    }

    /// Removes a key for good, and refuses what was made from it.
    pub async fn remove(&self, credential: &str, id: &str) -> Result<(), NotDone> {
        let ring = self.ring(credential)?;
        let turn = self.managed.turn().await;
        let entry = self.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let body = Body { last_used: entry.last_used(), disabled: true, ..entry.body.clone() };
        let entry = self.put(&turn, entry.name(), body).await?;
        self.revoke(entries(&ring, id, REMOVED, Some(REMEMBERED))?).await?;
        self.managed.remove(&turn, &entry.name()).await.map_err(not_kept)?;
        // What disabled it has no end, and another key of its id may come.
        (self.means.lift)(entry.stopped_by()).await.map_err(not_kept)?;
        self.tell(credential).await
    }

    /// Makes a second secret: both count until one is removed.
    pub async fn add_secret(&self, credential: &str, id: &str) -> Result<KeyMade, NotDone> {
        let ring = self.ring(credential)?;
        let turn = self.managed.turn().await;
        let entry = self.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let mut body = Body { last_used: entry.last_used(), ..entry.body.clone() };
        // What nobody can present any more makes room.
        body.secrets.retain(|secret| ring.secrets.made(secret));
        if body.secrets.len() >= SECRETS {
            return Err(NotDone::Conflict(
                "the key has two secrets already: remove one that is no longer in use".into(),
            ));
        }
        let number = entry.body.secrets.iter().map(|secret| secret.number).max().unwrap_or_default();
        let secret = fresh()?;
        body.secrets.push(ring.secrets.hashed(number.saturating_add(1), &secret, clock::now().0));
        let entry = self.put(&turn, entry.name(), body).await?;
        Ok(made(&entry, secret, &ring.secrets))
    }

    /// Removes a secret: it counts no more once this returns, and nothing does that was made from the key until now. Which of
    /// its secrets made it is not known; whoever holds one that is left gets new tokens with it.
    pub async fn remove_secret(&self, credential: &str, id: &str, number: u32) -> Result<(), NotDone> {
        let ring = self.ring(credential)?;
        let turn = self.managed.turn().await;
        let entry = self.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let mut body = Body { last_used: entry.last_used(), ..entry.body.clone() };
        body.secrets.retain(|secret| secret.number != number);
        if body.secrets.len() == entry.body.secrets.len() {
            return Err(NotDone::Unknown);
        }
        if body.secrets.is_empty() {
            return Err(NotDone::Conflict(
                "it is the key's only secret: add another one first, or remove or disable the key".into(),
            ));
        }
        body.taken = body.taken.wrapping_add(1);
        // Whoever knew it may hold tokens that it brought: refused before, so that nothing is left of it where what follows
        // fails, and after, so that nobody comes in between.
        let made = || stopping::entries(&ring.made, id, SECRET_REMOVED).map_err(not_kept);
        self.revoke(made()?).await?;
        self.put(&turn, entry.name(), body).await?;
        self.revoke(made()?).await?;
        self.tell(credential).await
    }

    async fn put(&self, turn: &Turn<'_>, name: Name, body: Body) -> Result<Arc<Entry>, NotDone> {
        let inherited = |credential: &str, prefix: &str| self.inherited(credential, prefix);
        self.managed.put(turn, name, body, &inherited).await.map_err(not_kept)
    }

    /// Whether what was made from it is refused already, because it is disabled.
    async fn is_stopped(&self, entry: &Entry) -> Result<bool, NotDone> {
        let any = self.means.has_any(entry.stopped_by()).await.map_err(not_kept)?;
        Ok(entry.body.disabled && any)
    }

    async fn revoke(&self, entries: Vec<store::Entry>) -> Result<(), NotDone> {
        (self.means.revoke)(entries).await.map_err(not_kept)
    }

    /// What was found of this credential's keys may not be so any more.
    async fn tell(&self, credential: &str) -> Result<(), NotDone> {
        (self.means.records_changed)(credential.into()).await.map_err(not_kept)
    }

    fn ring(&self, credential: &str) -> Result<Arc<Ring>, NotDone> {
        self.rings.load().get(credential).map(Arc::clone).ok_or(NotDone::Unknown)
    }
}

/// What refuses what was made from a key until now, and the key itself on routes, for so many seconds or without an end.
fn entries(ring: &Ring, id: &str, reason: &str, seconds: Option<i64>) -> Result<Vec<store::Entry>, NotDone> {
    let until = seconds.map(|seconds| clock::now().0.saturating_add(seconds));
    let entries = || -> Result<Vec<_>, StoreError> {
        let mut entries = stopping::entries(&ring.made, id, reason)?;
        entries.push(Means::entry(Kind::ApiKey, &ring.issuer, id, until, reason)?);
        Ok(entries)
    };
    entries().map_err(not_kept)
}

/// Everything that is wrong with a key that is to be made.
fn faults(ring: &Ring, new: &NewKey) -> Result<(), NotDone> {
    let mut faults = Faults::default();
    if !ring.lasts {
        faults.add("the credential has no `pepper`, and a key has to outlive the process");
    }
    if let Some(prefix) = &new.prefix
        && !ring.prefixes.iter().any(|known| *known.text == **prefix)
    {
        faults.add(format!("`prefix`: {} is none of the credential's", quoted(prefix)));
    }
    if let Some(id) = &new.id {
        faults.id(id);
    }
    if let Some(secret) = &new.secret {
        if new.id.is_none() {
            faults.add("`secret` comes with an `id`: what is made here has both");
        }
        if secret.0.chars().count() < SECRET_CHARACTERS || secret.0.len() > SECRET_OCTETS {
            faults.add(format!(
                "`secret` has at least {SECRET_CHARACTERS} characters, and at most {SECRET_OCTETS} octets"
            ));
        }
    }
    faults.name(new.name.as_deref());
    faults.scopes(&new.scopes, ring.scope_match);
    faults.attributes(&new.attributes, &TAKEN);
    faults.expires(new.expires);
    faults.none()
}

fn made(entry: &Entry, secret: Zeroizing<String>, secrets: &Secrets) -> KeyMade {
    let whole = !entry.body.foreign;
    let key = whole.then(|| api_key::written(&entry.body.prefix, &entry.holder.id, &secret));
    KeyMade { shown: shown(entry, Some(secrets)), key, secret }
}

/// A key for people. Without what hashes secrets now none of its own counts.
fn shown(entry: &Entry, secrets: Option<&Secrets>) -> KeyShown {
    let Body { prefix, attributes, expires, disabled, created, .. } = entry.body.clone();
    let secret = |secret: &HashedSecret| SecretShown {
        number: secret.number,
        last4: secret.last4.to_string(),
        created: secret.created,
        usable: secrets.is_some_and(|secrets| secrets.made(secret)),
    };
    KeyShown {
        credential: entry.holder.credential.to_string(),
        id: entry.holder.id.to_string(),
        prefix: prefix.into(),
        name: entry.holder.name.as_deref().map(str::to_owned),
        scopes: entry.holder.scopes.iter().map(ToString::to_string).collect(),
        attributes,
        expires,
        disabled,
        created,
        last_used: entry.last_used(),
        secrets: entry.body.secrets.iter().map(secret).collect(),
    }
}

fn fresh() -> Result<Zeroizing<String>, NotDone> {
    api_key::secret(&*entropy()?).ok_or_else(no_randomness)
}

fn entropy() -> Result<Zeroizing<api_key::Entropy>, NotDone> {
    clock::random().map(Zeroizing::new).map_err(not_kept)
}

fn no_randomness() -> NotDone {
    NotDone::Unavailable("no randomness".to_owned())
}

/// Secrets that a key may have at once.
const SECRETS: usize = 2;
/// Attributes that templates find elsewhere.
const TAKEN: [&str; 3] = ["id", "name", "scopes"];
/// Seconds for which the id of a removed key is refused: until nothing remembers it any more.
const REMEMBERED: i64 = 60;
const DISABLED: &str = "the API key was disabled";
const SECRET_REMOVED: &str = "a secret of the API key was removed";
const REMOVED: &str = "the API key was removed";
