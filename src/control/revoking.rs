//! Revoking one by one: what an operator asks for is on the disk, and then in force, before it is answered.
//!
//! First the store, then the set: what was answered survives a crash, and what the store did not take changes nothing.
//! Both are done by a task of their own, so that one who asks and hangs up leaves no entry that is kept and not in force.

pub(in crate::control) mod lasting;
mod undeclared;

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::config::problems::{Problem, quoted};
use crate::control::revoking::lasting::Lasting;
use crate::control::revoking::undeclared::ByClaim;
use crate::control::{Control, ControlHandle, Shared, clock};
use crate::gate;
use crate::gate::denial::{Denial, Reason};
use crate::revocation::held::{self, Held};
use crate::revocation::key::Key;
use crate::revocation::loading::Loading;
use crate::revocation::written::Vocabulary;
use crate::revocation::written::json::{self, Unread, Why};
use crate::revocation::written::presented;
use crate::revocation::{Entry, Kind, Revocations};
use crate::snapshot::{self, Snapshot};
use crate::store::error::StoreError;
use crate::store::{
    self, BATCH, Change, Cursor, Filter, ISSUER_OCTETS, Id, KIND_OCTETS, Listed, REASON_OCTETS, Store,
    Tombstone,
};
use crate::token::NumericDate;

/// What stood in a store when the process began.
pub struct Kept {
    store: Arc<Store>,
    revocations: Revocations,
    place: Cursor,
    by_claim: ByClaim,
    lasting: Lasting,
}

impl Kept {
    /// Reads all of it. Blocks, for seconds where there are millions.
    pub fn load(store: Arc<Store>) -> Result<Self, StoreError> {
        let now = clock::now();
        let (mut loading, by_claim, mut unknown) = (Loading::default(), ByClaim::default(), false);
        let place = store.snapshot(now.0.saturating_sub(SLACK), &mut |live| {
            if live.expires.is_none_or(|expires| expires > now.0) {
                by_claim.count(&live.kind, 1);
            }
            match held(live.id, &live.kind, live.key, (live.not_before, live.expires)) {
                Ok(held) => loading.push(&held),
                Err(_) => unknown = true,
            }
        })?;
        if unknown {
            return Err(unknown_kind());
        }
        let lasting = Lasting::new(store.lives()?);
        Ok(Self { store, revocations: loading.finish(now), place, by_claim, lasting })
    }

    /// Has the store remember how long tokens live by this configuration, the first one. Blocks; must not be called from
    /// within a tokio runtime. Gives what is to be said of entries that may end too early.
    pub fn remember(&self, config: &Config) -> io::Result<Vec<Problem>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(runtime.block_on(async {
            let warnings = lasting::revived(&self.store, &self.lasting, config).await;
            // What is not written counts all the same, and is written as soon as it can be.
            match self.lasting.remember(&self.store, config).await {
                Ok(()) | Err(StoreError::Paused) => {}
                Err(error) => lasting::unwritten(&error),
            }
            warnings
        }))
    }

    /// What is listed, with these beside it.
    pub(in crate::control) fn beside(self, listed: &Revocations) -> (Keeping, Revocations) {
        let Self { store, revocations, place, by_claim, lasting } = self;
        (Keeping { store, place: Mutex::new(place), by_claim, lasting }, listed.beside(&revocations))
    }
}

/// The store, and up to where its changes are in the set.
pub(in crate::control) struct Keeping {
    store: Arc<Store>,
    place: Mutex<Cursor>,
    /// For warnings.
    pub(in crate::control) by_claim: ByClaim,
    pub(in crate::control) lasting: Lasting,
}

impl Keeping {
    fn place(&self) -> Cursor {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn go_on(&self, place: Cursor) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Forgets now and then what is over. A store that takes no changes is asked again the next time.
    pub(in crate::control) fn purge(&self) -> impl Future<Output = ()> + Send + use<> {
        let store = Arc::clone(&self.store);
        async move {
            let mut next = interval(PURGE);
            next.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                next.tick().await;
                match store.purge(clock::now().0.saturating_sub(SLACK)).await {
                    Ok(0) | Err(StoreError::Paused) => {}
                    Ok(entries) => tracing::info!(entries, "what is over was removed from the store"),
                    Err(error) => tracing::warn!(%error, "what is over was not removed from the store"),
                }
            }
        }
    }
}

/// Changes that the store has, on their way to the writer.
pub(in crate::control) struct Heard {
    added: Vec<Held>,
    lifted: Vec<Held>,
    /// When the store had them, or they were found there.
    since: Instant,
    /// Told once they are in force.
    published: oneshot::Sender<()>,
}

/// What was added, or would be.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// In the order in which they were asked for.
    pub entries: Vec<store::Entry>,
    /// What is allowed, and hardly meant.
    pub warnings: Vec<String>,
}

/// Why nothing was revoked, lifted or listed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RevokeError {
    /// What was asked for are no entries.
    #[error("no entries")]
    Unread(Unread),
    /// There is no such entry.
    #[error("there is no such entry")]
    Unknown,
    /// No store is configured.
    #[error("no store is configured")]
    NoStore,
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The gateway stops.
    #[error("the gateway is stopping")]
    Stopped,
}

impl ControlHandle {
    /// What these octets say, to be given to [`Self::revoke`]. Nothing changes.
    pub fn rehearse(&self, octets: &[u8]) -> Result<Revoked, RevokeError> {
        let lives = self.keeping()?.lasting.lives();
        let config = self.config();
        let now = clock::now();
        let snapshot = Arc::clone(&self.shared.reader.load());
        let words = Vocabulary::new(&config, snapshot.revocations.latest(now)).remembering(&lives);
        let over = RefCell::new(Vec::new());
        let verify = |number: usize, held: &presented::Held<'_>| {
            let entries = held_out(&snapshot, held, now)?;
            if entries.is_none() {
                let what = format!("entry {number}: the token has expired, so that nothing is added for it");
                over.borrow_mut().push(what);
            }
            Ok(entries.unwrap_or_default())
        };
        let entries = json::read(octets, BATCH, &words, &verify).map_err(RevokeError::Unread)?;
        let numbered = |(number, entry): (usize, &Entry)| {
            beyond_bounds(entry).map(|why| format!("entry {number}: {why}"))
        };
        let beyond: Vec<String> = (1..).zip(&entries).filter_map(numbered).collect();
        if !beyond.is_empty() {
            return Err(RevokeError::Unread(Unread::Faults(beyond)));
        }
        let stranger = |entry: &&Entry| !entry.issuer.is_empty() && !words.has_issuer(&entry.issuer);
        let mut strangers: Vec<&str> = entries.iter().filter(stranger).map(|entry| &*entry.issuer).collect();
        strangers.sort_unstable();
        strangers.dedup();
        let strange = strangers.iter().map(|issuer| warning(issuer));
        let ended = |(number, entry): (usize, &Entry)| {
            let ended = entry.expires.is_some_and(|expires| expires <= now);
            ended.then(|| format!("entry {number}: it has ended (`expires`, or what that is unless given), so that it stops nothing"))
        };
        let ended = (1..).zip(&entries).filter_map(ended);
        let warnings = over.take().into_iter().chain(ended).chain(strange).take(MOST_WARNINGS).collect();
        let milliseconds = clock::milliseconds();
        let kept = |entry: &Entry| kept(entry, Id::new(milliseconds)?, now.0);
        let entries = entries.iter().map(kept).collect::<Result<_, StoreError>>()?;
        Ok(Revoked { entries, warnings })
    }

    /// Revokes these, all or nothing: kept once this returns, and in force for every request from then on.
    pub async fn revoke(&self, entries: &[store::Entry]) -> Result<(), RevokeError> {
        if entries.is_empty() {
            return Ok(());
        }
        let added = entries.iter().map(held_of).collect::<Result<_, _>>()?;
        let changes = entries.iter().cloned().map(Change::Added).collect();
        self.keep(changes, added, Vec::new()).await
    }

    /// The entry of this id, to be given to [`Self::lift`].
    pub async fn find(&self, id: Id) -> Result<store::Entry, RevokeError> {
        let store = Arc::clone(&self.keeping()?.store);
        let found = blocking(move || store.find(id)).await?;
        found.ok_or(RevokeError::Unknown)
    }

    /// Lifts an entry: what only it revoked counts again from the next request on.
    pub async fn lift(&self, entry: store::Entry) -> Result<(), RevokeError> {
        let held = held_of(&entry)?;
        let store::Entry { id, kind, key, .. } = entry;
        let tombstone = Tombstone { id, kind, key, actor: ACTOR.into(), at: clock::now().0 };
        self.keep(vec![Change::Lifted(tombstone)], Vec::new(), vec![held]).await
    }

    /// Entries of the store that count now, at most `most`, behind what `after` gave.
    pub async fn revocations(
        &self,
        filter: Filter,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<Listed, RevokeError> {
        let store = Arc::clone(&self.keeping()?.store);
        let now = clock::now().0;
        let Listed { entries, next } =
            blocking(move || store.list(now, &filter, after.as_ref(), most)).await?;
        let next = next.filter(|_| entries.len() == most);
        Ok(Listed { entries, next })
    }

    /// Puts in force what another process has written to the store since it was last looked at.
    pub async fn catch_up(&self) -> Result<(), RevokeError> {
        let Some(keeping) = &self.shared.keeping else { return Ok(()) };
        let store = Arc::clone(&keeping.store);
        keeping.lasting.add(blocking(move || store.lives()).await?);
        loop {
            let (store, since) = (Arc::clone(&keeping.store), keeping.place());
            let page = blocking(move || store.changes(&since, PAGE)).await?;
            if page.changes.is_empty() {
                return Ok(());
            }
            let (mut added, mut lifted) = (Vec::new(), Vec::new());
            for change in &page.changes {
                match change {
                    Change::Added(entry) => added.push(held_of(entry)?),
                    // When it would have been forgotten is not said: so it is remembered.
                    Change::Lifted(Tombstone { id, kind, key, .. }) => {
                        lifted.push(held(*id, kind, *key, (None, None))?);
                    }
                }
            }
            self.shared.publish(added, lifted).await?;
            keeping.by_claim.follow(&undeclared::counts(&page.changes));
            keeping.go_on(page.cursor);
        }
    }

    async fn keep(
        &self,
        changes: Vec<Change>,
        added: Vec<Held>,
        lifted: Vec<Held>,
    ) -> Result<(), RevokeError> {
        let shared = Arc::clone(&self.shared);
        let kept = tokio::spawn(async move {
            let keeping = shared.keeping.as_ref().ok_or(RevokeError::NoStore)?;
            let counts = undeclared::counts(&changes);
            let committed = keeping.store.append(changes).await?;
            keeping.by_claim.follow(&counts);
            shared.publish(added, lifted).await?;
            keeping.go_on(committed.cursor);
            Ok::<(), RevokeError>(())
        });
        kept.await.unwrap_or(Err(RevokeError::Stopped))
    }

    pub(in crate::control) fn keeping(&self) -> Result<&Keeping, RevokeError> {
        self.shared.keeping.as_ref().ok_or(RevokeError::NoStore)
    }
}

impl Shared {
    /// Has the writer publish changes, and returns once they are in force.
    async fn publish(&self, added: Vec<Held>, lifted: Vec<Held>) -> Result<(), RevokeError> {
        let (published, is_published) = oneshot::channel();
        let told = self.heard.send(Heard { added, lifted, since: Instant::now(), published }).await;
        told.map_err(|_| RevokeError::Stopped)?;
        is_published.await.map_err(|_| RevokeError::Stopped)
    }
}

impl Control {
    /// Publishes this, and what waits behind it, at once.
    pub(in crate::control) fn publish_revocations(&mut self, first: Heard) {
        let Heard { mut added, mut lifted, since, published } = first;
        let mut waiting = vec![(since, published)];
        while added.len() + lifted.len() < TOGETHER
            && let Ok(more) = self.heard.try_recv()
        {
            added.extend(more.added);
            lifted.extend(more.lifted);
            waiting.push((more.since, more.published));
        }
        let counts = (added.len(), lifted.len());
        let now = self.shared.reader.load().revocations.with(added, &lifted, clock::now());
        let generation = self.put(now);
        tracing::info!(generation, added = counts.0, lifted = counts.1, "revocations changed");
        for (since, published) in waiting {
            self.metrics.revocations().applied(since.elapsed());
            // Whoever waited may be gone.
            let _ = published.send(());
        }
    }

    /// Forgets what is over in one part of the set.
    pub(in crate::control) fn sweep(&mut self, part: usize) {
        let before = Arc::clone(&self.shared.reader.load().revocations);
        if !before.is_empty() {
            self.put(before.swept(part, clock::now()));
        }
    }

    fn put(&mut self, revocations: Revocations) -> u64 {
        let generation = self.publisher.publish(snapshot::Change::Revocations(Arc::new(revocations)));
        self.metrics.generation(generation);
        self.gauge_revocations();
        generation
    }

    /// Sets the gauges of what is revoked.
    pub(in crate::control) fn gauge_revocations(&self) {
        let revocations = Arc::clone(&self.shared.reader.load().revocations);
        for kind in Kind::ALL {
            self.metrics.revocations().entries(kind, revocations.len(kind));
        }
    }
}

/// Reads the store on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, RevokeError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(RevokeError::Stopped),
    }
}

/// The entries that a token which is held out comes to; `None` if it has ended already.
fn held_out(
    snapshot: &Snapshot,
    held: &presented::Held<'_>,
    now: NumericDate,
) -> Result<Option<Vec<Entry>>, String> {
    let token = match gate::presented::read(snapshot, &held.token, now) {
        Ok(token) => token,
        Err(Denial { reason: Reason::Expired, .. }) => return Ok(None),
        Err(Denial { reason, detail, .. }) => {
            return Err(format!("the token cannot be revoked: {}, {detail}", reason.code()));
        }
    };
    let session_ends = held.expires.map(NumericDate);
    let of = |kind, values: Vec<Box<str>>, expires| {
        let issuer = token.issuer.clone();
        values.into_iter().map(move |value| Entry {
            kind,
            issuer: issuer.clone(),
            claim: Box::default(),
            value,
            not_before: None,
            expires,
            reason: held.reason.clone(),
        })
    };
    let (ids, sessions) = (token.ids.clone(), token.sessions.clone());
    let entries: Vec<Entry> =
        of(Kind::Jti, ids, Some(token.ends)).chain(of(Kind::Session, sessions, session_ends)).collect();
    if entries.is_empty() {
        return Err("the token has neither an id nor a session by which it could be revoked \
             (revoke its subject: {kind: subject, …, not_before: …})"
            .to_owned());
    }
    Ok(Some(entries))
}

/// What of an entry is longer than the store takes.
pub(in crate::control) fn beyond_bounds(entry: &Entry) -> Option<Why> {
    let reason = entry.reason.as_deref().unwrap_or_default();
    let (what, most) = if reason.len() > REASON_OCTETS {
        ("`reason`", REASON_OCTETS)
    } else if entry.issuer.len() > ISSUER_OCTETS {
        ("`issuer`", ISSUER_OCTETS)
    } else if word(entry).len() > KIND_OCTETS {
        ("the claim's name", KIND_OCTETS - Kind::Claim.name().len() - 1)
    } else {
        return None;
    };
    let what = format!("{what} is longer than {most} octets");
    Some(Why { what, hint: "say it shorter".to_owned() })
}

/// What is said of entries whose issuer nobody has.
pub(in crate::control) fn warning(issuer: &str) -> String {
    let issuer = quoted(issuer);
    format!("no issuer of the configuration is {issuer}: what is scoped by it matches no token")
}

/// The entry's kind as the store keeps it: of a claim, its name is said too.
fn word(entry: &Entry) -> Box<str> {
    match entry.kind {
        Kind::Claim => format!("{}:{}", entry.kind.name(), entry.claim).into(),
        Kind::All
        | Kind::Issuer
        | Kind::Kid
        | Kind::Tenant
        | Kind::Client
        | Kind::ApiKey
        | Kind::Subject
        | Kind::Session
        | Kind::Jti => entry.kind.name().into(),
    }
}

/// As the store keeps it: without its value.
pub(in crate::control) fn kept(entry: &Entry, id: Id, created: i64) -> Result<store::Entry, StoreError> {
    Ok(store::Entry {
        id,
        kind: word(entry),
        key: entry.key().0,
        issuer: entry.issuer.clone(),
        not_before: entry.not_before.map(|date| date.0),
        expires: entry.expires.map(|date| date.0),
        reason: entry.reason.clone().unwrap_or_default(),
        actor: ACTOR.into(),
        created,
    })
}

pub(in crate::control) fn held_of(entry: &store::Entry) -> Result<Held, StoreError> {
    held(entry.id, &entry.kind, entry.key, (entry.not_before, entry.expires))
}

/// As the set takes it. The last octets of a store's id are random, and enough to tell entries of one key.
fn held(
    id: Id,
    kind: &str,
    key: store::Key,
    (not_before, expires): (Option<i64>, Option<i64>),
) -> Result<Held, StoreError> {
    let word = kind.split_once(':').map_or(kind, |(word, _claim)| word);
    let kind = Kind::from_name(word).ok_or_else(unknown_kind)?;
    let id = held::Id(u128::from_be_bytes(id.0) as u64);
    let (not_before, expires) = (not_before.map(NumericDate), expires.map(NumericDate));
    Ok(Held { id, kind, key: Key(key), not_before, expires })
}

/// Fail closed: what it would revoke is not known.
fn unknown_kind() -> StoreError {
    StoreError::Damaged("it has an entry of a kind that this version does not know".to_owned())
}

/// Who asks: there is one token for all operators.
const ACTOR: &str = "admin";
/// How far ahead a clock may be and how large a leeway, in seconds: so much longer an entry is read and kept.
const SLACK: i64 = 2 * 86_400;
/// Changes of the store that are read at once.
const PAGE: usize = 10_000;
/// Changes on their way to the writer: more tasks than this wait their turn.
pub(in crate::control) const HEARD: usize = 64;
/// Changes after which no more are waited for before they are published.
const TOGETHER: usize = 10_000;
/// Unknown issuers that are warned of: more are no slip.
pub(in crate::control) const MOST_WARNINGS: usize = 20;
/// Between two purges of the store.
const PURGE: Duration = Duration::from_secs(3_600);
/// Between two parts of the set that are swept: all of it in an hour.
pub(in crate::control) const SWEEP: Duration = Duration::from_secs(60);
