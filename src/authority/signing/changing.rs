//! How rings change: keys are made and kept, then published, and only then sign.

use std::collections::BTreeSet;

use crate::authority::means::Means;
use crate::authority::signing::ring::{Dates, Due, Key, Ring};
use crate::authority::signing::{Replaced, Shared, Use, verifying};
use crate::authority::trouble::Trouble;
use crate::revocation::Kind;
use crate::store::records::{RecordChange, RecordKind};
use crate::token::Algorithm;

impl Shared {
    /// Makes what is due, has the gate know of it, and returns when there is something to do again.
    pub(super) async fn settle(&self, now: i64) -> Result<i64, Trouble> {
        let next = self.make_due(now).await?;
        let used = self.lock().used.clone();
        for (algorithm, used) in &used {
            self.publish(*algorithm, used, now).await?;
        }
        self.revoke_replaced().await?;
        Ok(next)
    }

    /// Makes and keeps what is due, and throws away what is over. What is new is not published yet.
    pub(super) async fn make_due(&self, now: i64) -> Result<i64, Trouble> {
        self.seal_again().await?;
        let (used, rotate, publish) = {
            let state = self.lock();
            (state.used.clone(), state.rotate, state.publish)
        };
        let mut next = i64::MAX;
        for (algorithm, used) in &used {
            loop {
                let due = self.lock().rings.entry(*algorithm).or_default().due(now, rotate, publish);
                match due {
                    Due::Make(signs_from) => drop(self.make(*algorithm, now, signs_from).await?),
                    Due::Remove(key_id) => {
                        self.means.keep(vec![removal(&key_id)]).await?;
                        self.lock().rings.entry(*algorithm).or_default().remove(&key_id);
                        tracing::info!(kid = &*key_id, "a signing key is over");
                    }
                    Due::Nothing(until) => {
                        next = next.min(until);
                        break;
                    }
                }
            }
            self.lengthen(*algorithm, used.life).await?;
        }
        Ok(next)
    }

    /// Makes a key and keeps it. It neither signs nor is published yet.
    async fn make(&self, algorithm: Algorithm, now: i64, signs_from: i64) -> Result<Box<str>, Trouble> {
        let (sealing, life) = {
            let state = self.lock();
            let life = state.used.get(&algorithm).map_or(0, |used| used.life);
            (state.sealing.clone().ok_or(Trouble::NoKey)?, life)
        };
        let key = generated(algorithm, Dates { created: now, signs_from, life }).await?;
        self.means.keep(vec![RecordChange::Keep(key.record(&sealing, key.dates)?)]).await?;
        let key_id = key.key_id.clone();
        tracing::info!(kid = &*key_id, algorithm = algorithm.name(), signs_from, "a signing key was made");
        self.lock().rings.entry(algorithm).or_default().insert(key);
        Ok(key_id)
    }

    /// Makes the next key, unless it is there, and publishes it.
    pub(super) async fn stage(&self, algorithm: Algorithm, now: i64) -> Result<Box<str>, Trouble> {
        let (used, publish, staged) = {
            let state = self.lock();
            let last = state.rings.get(&algorithm).and_then(|ring| ring.keys().last());
            let staged = last.filter(|key| key.dates.signs_from > now).map(|key| key.key_id.clone());
            (state.used.get(&algorithm).cloned().unwrap_or_default(), state.publish, staged)
        };
        let key_id = match staged {
            Some(key_id) => key_id,
            None => self.make(algorithm, now, now.saturating_add(publish)).await?,
        };
        self.publish(algorithm, &used, now).await?;
        Ok(key_id)
    }

    /// Throws all keys of a ring away for a new one that signs at once.
    pub(super) async fn replace(&self, algorithm: Algorithm, now: i64) -> Result<Box<str>, Trouble> {
        let (sealing, used, old) = {
            let state = self.lock();
            if state.replaced.len() >= REPLACED {
                return Err(Trouble::Overloaded);
            }
            let sealing = state.sealing.clone().ok_or(Trouble::NoKey)?;
            let ring = state.rings.get(&algorithm).cloned().unwrap_or_default();
            let old: Vec<Key> = ring.keys().to_vec();
            (sealing, state.used.get(&algorithm).cloned().unwrap_or_default(), old)
        };
        let key = generated(algorithm, Dates { created: now, signs_from: now, life: used.life }).await?;
        let mut changes = vec![RecordChange::Keep(key.record(&sealing, key.dates)?)];
        changes.extend(old.iter().map(|key| removal(&key.key_id)));
        self.means.keep(changes).await?;
        let key_id = key.key_id.clone();
        let mut ring = Ring::default();
        ring.insert(key);
        // From here on nothing is signed until the gate has the new key, and has the old ones no more.
        {
            let mut state = self.lock();
            state.rings.insert(algorithm, ring);
            for (issuer, key) in
                used.issuers.iter().flat_map(|(_, iss)| old.iter().map(move |key| (iss, key)))
            {
                let ends = now.saturating_add(key.dates.life.max(used.life));
                let (issuer, key_id) = (issuer.clone(), key.key_id.clone());
                state.replaced.push(Replaced { issuer, key_id, ends });
            }
        }
        tracing::warn!(
            kid = &*key_id,
            algorithm = algorithm.name(),
            "all signing keys were replaced at once"
        );
        self.publish(algorithm, &used, now).await?;
        self.revoke_replaced().await?;
        Ok(key_id)
    }

    /// Revokes what was replaced at once. What fails is tried again whenever keys are looked at.
    async fn revoke_replaced(&self) -> Result<(), Trouble> {
        let replaced = self.lock().replaced.clone();
        if replaced.is_empty() {
            return Ok(());
        }
        let entry = |Replaced { issuer, key_id, ends }: &Replaced| {
            Means::entry(Kind::Kid, issuer, key_id, Some(*ends), EMERGENCY)
        };
        (self.means.revoke)(replaced.iter().map(entry).collect::<Result<_, _>>()?).await?;
        self.lock().replaced.retain(|one| !replaced.contains(one));
        Ok(())
    }

    /// Has the gate verify with the ring as it is now; what it has not signed before can sign from then on.
    async fn publish(&self, algorithm: Algorithm, used: &Use, now: i64) -> Result<(), Trouble> {
        let (public, ids) = {
            let state = self.lock();
            let Some(ring) = state.rings.get(&algorithm) else { return Ok(()) };
            let ids: BTreeSet<Box<str>> = ring.published(now).map(|key| key.key_id.clone()).collect();
            if state.told.get(&algorithm) == Some(&ids) {
                return Ok(());
            }
            (ring.public(now), ids)
        };
        for (name, _) in &used.issuers {
            (self.means.publish_keys)(name.clone(), verifying(&public)).await?;
        }
        let mut state = self.lock();
        for key in state.rings.entry(algorithm).or_default().keys_mut() {
            key.published |= ids.contains(&key.key_id);
        }
        state.told.insert(algorithm, ids);
        Ok(())
    }

    /// Remembers that tokens live longer than when these keys were made.
    async fn lengthen(&self, algorithm: Algorithm, life: i64) -> Result<(), Trouble> {
        let (sealing, shorter) = {
            let state = self.lock();
            let ring = state.rings.get(&algorithm).cloned().unwrap_or_default();
            let shorter: Vec<Key> = ring.keys().iter().filter(|key| key.dates.life < life).cloned().collect();
            (state.sealing.clone(), shorter)
        };
        let (Some(sealing), false) = (sealing, shorter.is_empty()) else { return Ok(()) };
        let keep = |key: &Key| key.record(&sealing, Dates { life, ..key.dates }).map(RecordChange::Keep);
        self.means.keep(shorter.iter().map(keep).collect::<Result<_, _>>()?).await?;
        for key in self.lock().rings.entry(algorithm).or_default().keys_mut() {
            key.dates.life = key.dates.life.max(life);
        }
        Ok(())
    }

    /// Seals what the store has with the key of now.
    async fn seal_again(&self) -> Result<(), Trouble> {
        let (sealing, keys) = {
            let state = self.lock();
            if !state.to_seal {
                return Ok(());
            }
            let keys: Vec<Key> = state.rings.values().flat_map(Ring::keys).cloned().collect();
            (state.sealing.clone().ok_or(Trouble::NoKey)?, keys)
        };
        let keep = |key: &Key| key.record(&sealing, key.dates).map(RecordChange::Keep);
        self.means.keep(keys.iter().map(keep).collect::<Result<_, _>>()?).await?;
        tracing::info!(keys = keys.len(), "signing keys were sealed with the new key");
        let mut state = self.lock();
        // Meanwhile there may be another one.
        state.to_seal = state.sealing.as_ref() != Some(&sealing);
        Ok(())
    }
}

/// A key of RSA takes a second to find: not on a thread that others wait for.
async fn generated(algorithm: Algorithm, dates: Dates) -> Result<Key, Trouble> {
    let key = tokio::task::spawn_blocking(move || Key::generate(algorithm, dates)).await;
    Ok(key.map_err(|_| Trouble::Fault("a key could not be made"))??)
}

fn removal(key_id: &str) -> RecordChange {
    RecordChange::Remove { kind: RecordKind::SigningKey, id: key_id.as_bytes().into() }
}

/// Keys that were replaced at once and are to be revoked still, from which on no more are replaced.
const REPLACED: usize = 1_000;
/// Why keys are revoked here.
const EMERGENCY: &str = "signing keys were replaced in an emergency";
