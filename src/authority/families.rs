//! Families of refresh tokens: each use gives the next, and only the newest counts (RFC 9700 section 4.14.2, threats T5).
//!
//! A family is all that was refreshed from one sign-in. Of its tokens one counts, and the one before it for a little while,
//! the grace, with the same answer: for callers that come together, and for an answer that was lost. Whoever presents any
//! older one has taken it from somebody, or somebody has from them: the whole family dies, and with it every token that
//! names it as its session.
//!
//! The next token is on the disk, as a hash, before anybody has it. Its text is nowhere but in memory, and there no longer
//! than the grace. If the process dies between the two, the caller's old token is the one before the newest: within the grace
//! it is given another token beside the one that nobody may ever have seen, and either of the two counts until one is used.

mod held;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::authority::clock;
use crate::authority::families::held::{Held, Live, Slot, hash};
use crate::authority::means::Means;
use crate::authority::trouble::Trouble;
use crate::config::minted::{Format, Minted, Shape};
use crate::mint::opaque::{self, Mark};
use crate::revocation::Kind;
use crate::store::error::StoreError;
use crate::store::records::{RecordChange, RecordKind};
use crate::token::NumericDate;

/// Every family that lives. One for the process; clones are the same.
#[derive(Clone)]
pub struct Families {
    shared: Arc<Shared>,
}

struct Shared {
    means: Means,
    held: Mutex<Held>,
}

/// What all tokens of a family have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name: the `sid` of what is issued with its tokens.
    pub session: Box<str>,
    /// Which of `tokens` its own are.
    pub token: Box<str>,
    /// Which tokens were issued beside them, and are at every use: by name, with the `iss` of each.
    pub beside: Vec<(Box<str>, Box<str>)>,
    /// `sub` of what is issued.
    pub subject: Box<str>,
    /// The name of the credential that it was begun with.
    pub credential: Box<str>,
    /// Whose the credential was: who is refreshed for must be the same, where the endpoint asks.
    pub holder: Box<str>,
    /// What was granted; a use may ask for less, and does not change it (RFC 6749 section 6).
    pub scopes: Vec<Box<str>>,
    /// What templates need again to make the same claims as the first time.
    pub carried: Map<String, Value>,
    /// When it ends.
    pub expires: NumericDate,
    /// How long the tokens beside it may count, at the most, with their issuers' leeway, in seconds.
    pub life: i64,
}

/// A refresh token that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Its text.
    pub text: Zeroizing<Box<str>>,
    /// Of which family.
    pub family: Arc<Family>,
}

/// Why a refresh token does not count. An endpoint answers to all of them alike, but for trouble.
#[derive(Debug, Clone, PartialEq)]
pub enum NotGiven {
    /// It is none, or of a family that is over, or of somebody else: nothing has changed.
    Unknown,
    /// It was used before: its family is dead now.
    Replayed,
    /// Something stands in the way; nothing has changed.
    Trouble(Trouble),
}

/// A use of a token, to be done on a task of its own.
struct Use {
    shape: Shape,
    grace: Duration,
    /// For how long the family lives from here on; none if it ends when it would have.
    lifetime: Option<Duration>,
    presented: Zeroizing<Box<str>>,
    holder: Option<Box<str>>,
    now: NumericDate,
    /// Since 1970.
    milliseconds: i64,
}

impl Families {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self { shared: Arc::new(Shared { means, held: Mutex::default() }) }
    }

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        let (now, mut held, mut damaged) = (clock::now().0, Held::default(), false);
        self.shared.means.kept(RecordKind::Family, &mut |record| match Slot::read(&record) {
            Some(slot) if slot.live().family.expires.0 > now => held.insert(Arc::new(slot)),
            Some(_) => {}
            None => damaged = true,
        })?;
        if damaged {
            return Err(StoreError::Damaged("it has a family that this version cannot read".to_owned()));
        }
        *self.shared.lock() = held;
        Ok(())
    }

    /// Begins a family: its first token counts once this returns, and survives a crash. [`Trouble::Overloaded`] where there are
    /// too many of its name.
    pub async fn begin(&self, minted: &Minted, family: Family) -> Result<Given, Trouble> {
        let shape = shape(minted).ok_or(Trouble::Fault("not a refresh token"))?;
        let begun = opaque::family(shape, &mut clock::fill)?;
        let mut mark = Mark::default();
        clock::fill(&mut mark)?;
        let text = given(&opaque::member(shape, &begun, &mark, &mut clock::fill)?);
        let family = Arc::new(family);
        let live = Live::begin(Arc::clone(&family), hash(&text), mark);
        let key = hash(&begun);
        self.shared.lock().reserve(&family.token, clock::now().0)?;
        let shared = Arc::clone(&self.shared);
        let kept = tokio::spawn(async move {
            let kept = shared.keep(&key, &live).await;
            let mut held = shared.lock();
            held.release(&live.family.token);
            kept.map(|()| held.insert(Arc::new(Slot::new(key, live))))
        });
        kept.await.unwrap_or(Err(Trouble::Fault("a task has failed")))?;
        Ok(Given { text, family })
    }

    /// The family of a token that would be taken by [`Self::rotate`], without using it: for introspection.
    pub fn find(&self, minted: &Minted, presented: &str, now: NumericDate) -> Option<Arc<Family>> {
        let begun = opaque::family_of(shape(minted)?, presented)?;
        let slot = self.shared.lock().get(&hash(begun))?;
        let live = slot.live();
        let counts = live.counts(&minted.name, now) && live.is_current(&hash(presented));
        counts.then(|| Arc::clone(&live.family))
    }

    /// The family that a token belongs to, whether it is the one of the moment or was used long ago: whoever holds any of them
    /// may end it.
    pub fn of_member(&self, minted: &Minted, presented: &str, now: NumericDate) -> Option<Arc<Family>> {
        let shape = shape(minted)?;
        let begun = opaque::family_of(shape, presented)?;
        let slot = self.shared.lock().get(&hash(begun))?;
        let live = slot.live();
        let was = live.counts(&minted.name, now) && opaque::is_member(shape, &live.mark, presented);
        was.then(|| Arc::clone(&live.family))
    }

    /// Uses a refresh token: gives the next one, once it would survive a crash. `holder` is who presents it, where the endpoint
    /// wants to know: to a token of somebody else's nothing happens. Whoever asks and hangs up has used it nonetheless.
    pub async fn rotate(
        &self,
        minted: &Minted,
        presented: &str,
        holder: Option<&str>,
        now: NumericDate,
    ) -> Result<Given, NotGiven> {
        let milliseconds = || i64::try_from(clock::milliseconds()).unwrap_or(i64::MAX);
        self.rotate_at(minted, presented, holder, (now, milliseconds)).await
    }

    async fn rotate_at(
        &self,
        minted: &Minted,
        presented: &str,
        holder: Option<&str>,
        (now, milliseconds): (NumericDate, impl FnOnce() -> i64 + Send + 'static),
    ) -> Result<Given, NotGiven> {
        let Format::Refresh { shape, grace, sliding } = &minted.format else { return Err(NotGiven::Unknown) };
        let begun = opaque::family_of(shape, presented).ok_or(NotGiven::Unknown)?;
        let slot = self.shared.lock().get(&hash(begun)).ok_or(NotGiven::Unknown)?;
        if slot.live().family.token != minted.name {
            return Err(NotGiven::Unknown);
        }
        let mut using = Use {
            shape: shape.clone(),
            grace: *grace,
            lifetime: sliding.then_some(minted.lifetime.default),
            presented: Zeroizing::new(presented.into()),
            holder: holder.map(Box::from),
            now,
            milliseconds: 0,
        };
        let shared = Arc::clone(&self.shared);
        let used = tokio::spawn(async move {
            // One use of a family after the other: what each of them finds is so until it has changed it.
            let _turn = slot.turn.lock().await;
            // Whoever asked first may get their turn second: by a time of before it a clock would seem set back.
            using.milliseconds = milliseconds();
            shared.use_of(&slot, using).await
        });
        used.await.unwrap_or(Err(NotGiven::Trouble(Trouble::Fault("a task has failed"))))
    }

    /// The family of this name, if there is one.
    pub fn of_session(&self, session: &str) -> Option<Arc<Family>> {
        let slot = self.shared.lock().of_session(session).into_iter().next()?;
        Some(Arc::clone(&slot.live().family))
    }

    /// Ends a family: its refresh tokens, and every token that names it as its session. Whether there was one.
    pub async fn end(&self, session: &str) -> Result<bool, Trouble> {
        let slots = self.shared.lock().of_session(session).into_iter().collect();
        Ok(self.end_all(slots).await? > 0)
    }

    /// Ends every family of a subject, of refresh tokens of these names, and says how many there were.
    pub async fn end_of_subject(&self, tokens: &[&str], subject: &str) -> Result<usize, Trouble> {
        let slots = {
            let held = self.shared.lock();
            tokens.iter().flat_map(|token| held.of_subject(token, subject)).collect()
        };
        self.end_all(slots).await
    }

    /// Forgets what is over, a part at a time, and texts whose grace is.
    pub fn sweep(&self, now: NumericDate) {
        let milliseconds = i64::try_from(clock::milliseconds()).unwrap_or(i64::MAX);
        self.shared.lock().sweep(now.0, milliseconds);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn end_all(&self, slots: Vec<Arc<Slot>>) -> Result<usize, Trouble> {
        let shared = Arc::clone(&self.shared);
        let ended = tokio::spawn(async move {
            let mut ended = 0;
            for slot in slots {
                let _turn = slot.turn.lock().await;
                shared.bury(&slot).await?;
                ended += 1;
            }
            Ok(ended)
        });
        ended.await.unwrap_or(Err(Trouble::Fault("a task has failed")))
    }
}

impl Shared {
    /// Whoever calls has the family's turn.
    async fn use_of(&self, slot: &Arc<Slot>, using: Use) -> Result<Given, NotGiven> {
        let live = slot.live().clone();
        let family = &live.family;
        if live.dead {
            // It could not be written down that it is: once more.
            self.bury(slot).await.map_err(NotGiven::Trouble)?;
            return Err(NotGiven::Unknown);
        }
        let another = using.holder.as_ref().is_some_and(|holder| *holder != family.holder);
        if family.expires <= using.now || another {
            return Err(NotGiven::Unknown);
        }
        let presented = hash(&using.presented);
        if live.is_current(&presented) {
            return self.next(slot, &live, &using, Live::next).await;
        }
        if !opaque::is_member(&using.shape, &live.mark, &using.presented) {
            return Err(NotGiven::Unknown);
        }
        if !live.in_grace(&presented, using.milliseconds, using.grace) {
            tracing::warn!(session = &*family.session, "a refresh token was used again: its family ends");
            self.bury(slot).await.map_err(NotGiven::Trouble)?;
            return Err(NotGiven::Replayed);
        }
        if let Some(text) = &live.again {
            return Ok(Given { text: text.clone(), family: Arc::clone(family) });
        }
        // The text was in the memory of a process that is gone.
        if live.has_too_many() {
            return Err(NotGiven::Unknown);
        }
        self.next(slot, &live, &using, Live::sibling).await
    }

    /// Makes a token, keeps the family with it, and only then lets it be known.
    async fn next(
        &self,
        slot: &Arc<Slot>,
        live: &Live,
        using: &Use,
        after: fn(&Live, &Zeroizing<Box<str>>, &Use) -> Live,
    ) -> Result<Given, NotGiven> {
        let begun = opaque::family_of(&using.shape, &using.presented).ok_or(NotGiven::Unknown)?;
        let text = opaque::member(&using.shape, begun, &live.mark, &mut clock::fill)
            .map_err(|error| NotGiven::Trouble(error.into()))?;
        let text = given(&text);
        let next = after(live, &text, using);
        self.keep(&slot.key, &next).await.map_err(NotGiven::Trouble)?;
        let family = Arc::clone(&next.family);
        self.lock().renew(slot, next);
        Ok(Given { text, family })
    }

    /// Ends a family. It is dead at once, whatever becomes of writing that down.
    async fn bury(&self, slot: &Arc<Slot>) -> Result<(), Trouble> {
        let family = {
            let mut live = slot.live();
            live.dead = true;
            live.again = None;
            Arc::clone(&live.family)
        };
        let ends = Some(clock::now().0.saturating_add(family.life));
        let entry =
            |(_, iss): &(Box<str>, Box<str>)| Means::entry(Kind::Session, iss, &family.session, ends, REASON);
        let mut issuers = family.beside.clone();
        issuers.sort_by(|(_, one), (_, other)| one.cmp(other));
        issuers.dedup_by(|(_, one), (_, other)| one == other);
        let entries = issuers.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        (self.means.revoke)(entries).await?;
        let removal = RecordChange::Remove { kind: RecordKind::Family, id: slot.key.as_slice().into() };
        self.means.keep(vec![removal]).await?;
        self.lock().remove(&slot.key);
        Ok(())
    }

    async fn keep(&self, key: &[u8; 32], live: &Live) -> Result<(), Trouble> {
        let record = live.record(key).ok_or(Trouble::Fault("a family that is no JSON"))?;
        Ok(self.means.keep(vec![RecordChange::Keep(record)]).await?)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shape(minted: &Minted) -> Option<&Shape> {
    match &minted.format {
        Format::Refresh { shape, .. } => Some(shape),
        Format::Jwt { .. } | Format::Opaque { .. } => None,
    }
}

fn given(text: &str) -> Zeroizing<Box<str>> {
    Zeroizing::new(text.into())
}

/// Why, for operators.
const REASON: &str = "a family of refresh tokens has ended";
/// Families of refresh tokens of one name: a gigabyte.
pub const FAMILIES: usize = 1_000_000;
