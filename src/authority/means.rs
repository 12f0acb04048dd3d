//! What the registries do to the world outside of them, each of it a function that `app` wires: keep, revoke, lift, and say
//! that what was looked up may not be so any more.

use std::pin::Pin;
use std::sync::Arc;

use crate::authority::clock;
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::snapshot::Keys;
use crate::store::error::StoreError;
use crate::store::records::{Record, RecordChange, RecordKind};
use crate::store::{Entry, Id, Store};

/// The ways out. Cheap to clone.
#[derive(Clone)]
pub struct Means {
    /// Where records are kept, if anywhere.
    pub store: Option<Arc<Store>>,
    /// Adds entries, all or none: kept once it returns, and in force for every request from then on.
    pub revoke: Revoke,
    /// Lifts entries, likewise; one that is not there is lifted.
    pub lift: Lift,
    /// Says that what was found in an issuer's records (by the issuer's name) may not be found now: in force once it
    /// returns.
    pub records_changed: RecordsChanged,
    /// Has the gate verify the tokens of an issuer (by its name) with these keys: it does once it returns.
    pub publish_keys: PublishKeys,
}

/// Adds entries.
pub type Revoke = Arc<dyn Fn(Vec<Entry>) -> Doing + Send + Sync>;
/// Lifts entries.
pub type Lift = Arc<dyn Fn(Vec<Id>) -> Doing + Send + Sync>;
/// Of the issuer of this name.
pub type RecordsChanged = Arc<dyn Fn(Box<str>) -> Doing + Send + Sync>;
/// Of the issuer of this name, these.
pub type PublishKeys = Arc<dyn Fn(Box<str>, Keys) -> Doing + Send + Sync>;
/// Something under way.
pub type Doing = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

impl Means {
    /// Keeps changes of records: on the disk once it returns. An error where no store is configured.
    pub async fn keep(&self, changes: Vec<RecordChange>) -> Result<(), StoreError> {
        let store = self.store.as_ref().ok_or(NO_STORE)?;
        store.keep(changes).await
    }

    /// Gives every record of a kind to `each`; none without a store. Blocks.
    pub fn kept(&self, kind: RecordKind, each: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        self.store.as_ref().map_or(Ok(()), |store| store.kept(kind, each))
    }

    /// Whether the store has any of these entries, in force or not.
    pub async fn has_any(&self, ids: Vec<Id>) -> Result<bool, StoreError> {
        let Some(store) = self.store.clone() else { return Ok(false) };
        let found = tokio::task::spawn_blocking(move || {
            ids.into_iter().map(|id| store.find(id)).find(|found| !matches!(found, Ok(None)))
        });
        found.await.unwrap_or(Some(Err(StoreError::Closed))).map_or(Ok(false), |found| found.map(|_| true))
    }

    /// An entry for [`Self::revoke`]: of this kind, about `value` at the issuer of this `iss`. Without an end it is for ever.
    pub fn entry(
        kind: Kind,
        issuer: &str,
        value: &str,
        expires: Option<i64>,
        reason: &str,
    ) -> Result<Entry, StoreError> {
        Ok(Entry {
            id: Id::new(clock::milliseconds())?,
            kind: kind.name().into(),
            key: Key::new(kind, issuer, value).0,
            issuer: issuer.into(),
            not_before: None,
            expires,
            reason: reason.into(),
            actor: ACTOR.into(),
            created: clock::now().0,
        })
    }
}

/// Who asks for what was not asked for at the admin listener.
const ACTOR: &str = "authority";
const NO_STORE: StoreError = StoreError::Refused("no store is configured");
