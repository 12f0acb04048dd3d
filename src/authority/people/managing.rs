//! What operators do about people: let in, show, change, remove.
//!
//! Each of these has to run to its end once it was begun: whoever asks does not drop it halfway.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::authority::asked::{Faults, meant, not_kept};
use crate::authority::clock;
use crate::authority::people::hashing::{self, Overloaded};
use crate::authority::people::{People, Room};
use crate::authority::registry::{self, Body, Entry, HOLDERS};
use crate::authority::stopping;
use crate::config::problems::quoted;
use crate::mint::managed::{
    self, Hidden, NewPerson, NotDone, PASSWORD_CHARACTERS, PASSWORD_OCTETS, PersonChange, PersonShown, SCOPES,
};
use crate::store;

impl People {
    /// Lets somebody in, once this returns.
    pub async fn make(&self, new: NewPerson) -> Result<PersonShown, NotDone> {
        let rooms = self.inner.rooms.load_full();
        let managed = rooms.iter().filter(|(_, room)| room.managed).map(|(name, _)| &**name);
        let credential = meant(new.credential.as_deref(), managed, "people")?;
        let Some(room) = rooms.get(credential) else { return Err(NotDone::Unknown) };
        let mut faults = Faults::default();
        faults.id(&new.id);
        faults.name(new.name.as_deref());
        faults.scopes(&new.scopes, room.scope_match);
        faults.attributes(&new.attributes, &TAKEN);
        namespaces(&mut faults, &new.namespaces);
        password(&mut faults, Some(&new.password));
        faults.none()?;
        let hash = self.hashed(room, new.password).await?;
        let turn = self.inner.managed.turn().await;
        if self.inner.find(room, credential, &new.id).0.is_some() {
            return Err(NotDone::Conflict(format!("there is somebody called {} already", quoted(&new.id))));
        }
        if self.inner.managed.len() >= HOLDERS {
            return Err(NotDone::Conflict(format!("there are {HOLDERS} people, and no more may be")));
        }
        let body = Body {
            name: new.name.map(Into::into),
            scopes: new.scopes.into_iter().map(Into::into).collect(),
            attributes: with_namespaces(new.attributes, new.namespaces),
            created: clock::now().0,
            password: Some(hash),
            ..Body::default()
        };
        let name = (credential.into(), new.id.into());
        let entry = self.inner.managed.put(&turn, name, body, &|_, _| Map::new()).await.map_err(not_kept)?;
        Ok(shown(&entry))
    }

    /// A person, without their password.
    pub fn show(&self, credential: &str, id: &str) -> Result<PersonShown, NotDone> {
        self.inner.managed.get(credential, id).map(|entry| shown(&entry)).ok_or(NotDone::Unknown)
    }

    /// People behind a name, at most so many, in the order of credentials and ids. It looks at all of them.
    pub fn list(
        &self,
        credential: Option<&str>,
        after: Option<&str>,
        most: usize,
    ) -> Result<managed::People, NotDone> {
        let after = after.map(registry::behind).transpose()?;
        let (entries, more) = self.inner.managed.list(credential, after.as_ref(), most);
        let next = entries.last().filter(|_| more).map(|entry| entry.place());
        Ok(managed::People { users: entries.iter().map(shown).collect(), next })
    }

    /// Changes a person. Disabling one also refuses what was made for them, on every request once this returns; enabling
    /// them has that count again.
    pub async fn change(
        &self,
        credential: &str,
        id: &str,
        change: PersonChange,
    ) -> Result<PersonShown, NotDone> {
        let room = self.inner.room(credential).ok_or(NotDone::Unknown)?;
        self.inner.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let mut faults = Faults::default();
        faults.name(change.name.as_ref().and_then(Option::as_deref));
        faults.scopes(change.scopes.as_deref().unwrap_or_default(), room.scope_match);
        change.attributes.iter().for_each(|attributes| faults.attributes(attributes, &TAKEN));
        namespaces(&mut faults, change.namespaces.as_deref().unwrap_or_default());
        password(&mut faults, change.password.as_ref());
        faults.none()?;
        // Before it is our turn: others do not wait for hashing.
        let hash = match change.password {
            Some(password) => Some(self.hashed(&room, password).await?),
            None => None,
        };
        let turn = self.inner.managed.turn().await;
        let entry = self.inner.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let mut body = Body { last_used: entry.last_used(), ..entry.body.clone() };
        if let Some(name) = change.name {
            body.name = name.map(Into::into);
        }
        if let Some(scopes) = change.scopes {
            body.scopes = scopes.into_iter().map(Into::into).collect();
        }
        let (own, belongs) = without_namespaces(&body.attributes);
        let belongs = change.namespaces.unwrap_or(belongs);
        body.attributes = with_namespaces(change.attributes.unwrap_or(own), belongs);
        // What refuses what was made until now comes after what has no more made: nobody signs in between. Asked for again
        // after a failure, this ends what was begun.
        let is_other = hash.is_some();
        if is_other {
            body.taken = body.taken.wrapping_add(1);
            body.password = hash;
        }
        let stops = change.disabled == Some(true) && !self.is_stopped(&entry).await?;
        let entries = |reason| stopping::entries(&room.made, id, reason).map_err(not_kept);
        let ids = if stops { stopping::ids(&entries(DISABLED)?) } else { body.stopped_by };
        body.stopped_by = ids.clone();
        body.disabled = change.disabled.unwrap_or(body.disabled);
        let name = entry.name();
        let entry = self.inner.managed.put(&turn, name, body, &|_, _| Map::new()).await.map_err(not_kept)?;
        if is_other {
            // Whoever knew the password before may hold tokens that it brought.
            self.revoke(entries(PASSWORD_CHANGED)?).await?;
        }
        if stops {
            self.revoke(stopping::under(&ids, entries(DISABLED)?)).await?;
        }
        if change.disabled == Some(false) {
            // What is not in force any more is lifted too: asked for again after a failure, this ends what was begun.
            (self.inner.means.lift)(entry.stopped_by()).await.map_err(not_kept)?;
        }
        Ok(shown(&entry))
    }

    /// Removes a person for good, and refuses what was made for them.
    pub async fn remove(&self, credential: &str, id: &str) -> Result<(), NotDone> {
        let room = self.inner.room(credential).ok_or(NotDone::Unknown)?;
        let turn = self.inner.managed.turn().await;
        let entry = self.inner.managed.get(credential, id).ok_or(NotDone::Unknown)?;
        let body = Body { last_used: entry.last_used(), disabled: true, ..entry.body.clone() };
        let name = entry.name();
        let entry = self.inner.managed.put(&turn, name, body, &|_, _| Map::new()).await.map_err(not_kept)?;
        self.revoke(stopping::entries(&room.made, id, REMOVED).map_err(not_kept)?).await?;
        self.inner.managed.remove(&turn, &entry.name()).await.map_err(not_kept)
    }

    /// Whether what was made for them is refused already, because they are disabled.
    async fn is_stopped(&self, entry: &Entry) -> Result<bool, NotDone> {
        let any = self.inner.means.has_any(entry.stopped_by()).await.map_err(not_kept)?;
        Ok(entry.body.disabled && any)
    }

    async fn revoke(&self, entries: Vec<store::Entry>) -> Result<(), NotDone> {
        (self.inner.means.revoke)(entries).await.map_err(not_kept)
    }

    async fn hashed(&self, room: &Room, password: Hidden) -> Result<Box<str>, NotDone> {
        let costs = room.costs.clone();
        let hashed = self.inner.hashing.run(move |memory| hashing::hash(&password.0, &costs, memory)).await;
        let overloaded =
            |Overloaded| NotDone::Unavailable("too many people are signing in; ask again".to_owned());
        hashed.map_err(overloaded)?.map_err(not_kept)
    }
}

fn password(faults: &mut Faults, password: Option<&Hidden>) {
    let fits = |text: &str| text.chars().count() >= PASSWORD_CHARACTERS && text.len() <= PASSWORD_OCTETS;
    if password.is_some_and(|password| !fits(&password.0)) {
        faults.add(format!(
            "`password` has at least {PASSWORD_CHARACTERS} characters, and at most {PASSWORD_OCTETS} octets"
        ));
    }
}

fn namespaces(faults: &mut Faults, namespaces: &[String]) {
    let fits = |namespace: &String| (1..=NAMESPACE_OCTETS).contains(&namespace.len());
    if namespaces.len() > SCOPES || !namespaces.iter().all(fits) {
        faults.add(format!("`namespaces` are at most {SCOPES}, of 1 to {NAMESPACE_OCTETS} octets each"));
    }
}

fn with_namespaces(mut attributes: Map<String, Value>, namespaces: Vec<String>) -> Map<String, Value> {
    if !namespaces.is_empty() {
        attributes.insert(NAMESPACES.to_owned(), namespaces.into());
    }
    attributes
}

fn without_namespaces(attributes: &Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let mut own = attributes.clone();
    let namespaces = own.remove(NAMESPACES);
    let texts = namespaces.as_ref().and_then(Value::as_array).into_iter().flatten();
    let texts = texts.filter_map(|text| text.as_str().map(str::to_owned)).collect();
    (own, texts)
}

/// A person, for people.
fn shown(entry: &Arc<Entry>) -> PersonShown {
    let (attributes, namespaces) = without_namespaces(&entry.body.attributes);
    PersonShown {
        credential: entry.holder.credential.to_string(),
        id: entry.holder.id.to_string(),
        name: entry.holder.name.as_deref().map(str::to_owned),
        scopes: entry.holder.scopes.iter().map(ToString::to_string).collect(),
        namespaces,
        attributes,
        disabled: entry.body.disabled,
        created: entry.body.created,
        last_used: entry.last_used(),
    }
}

/// Where people belong.
const NAMESPACES: &str = "namespaces";
/// Attributes that have a place of their own.
const TAKEN: [&str; 4] = ["id", "name", "scopes", NAMESPACES];
/// Octets of a namespace.
const NAMESPACE_OCTETS: usize = 256;
const PASSWORD_CHANGED: &str = "the person's password was changed";
const DISABLED: &str = "the person was disabled";
const REMOVED: &str = "the person was removed";
