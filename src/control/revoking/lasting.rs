//! How long tokens have ever lived: an entry that ends by default ends no sooner than the longest of them.
//!
//! An entry's end is fixed when it is made. Were it made with the lives of that moment, a configuration that was shorter for
//! a while would leave entries that end before the tokens do which a later one accepts. So the largest life of each issuer is
//! kept, in the store before the configuration is in force.
//!
//! No memory helps where a life becomes longer than it ever was: entries of before are warned of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::config::problems::{Position, Problem, Problems, quoted};
use crate::config::{Config, Issuer};
use crate::control::Shared;
use crate::control::config_file::Attempt;
use crate::revocation::written::{Lives, lives};
use crate::store::error::StoreError;
use crate::store::{Filter, LIVES, Store};

/// The largest lives, and what of them the store does not have yet.
#[derive(Debug)]
pub(in crate::control) struct Lasting {
    known: Mutex<Known>,
    unwritten: Notify,
}

#[derive(Debug)]
struct Known {
    longest: Arc<Lives>,
    is_written: bool,
}

impl Lasting {
    /// What the store remembers.
    pub(in crate::control) fn new(longest: Lives) -> Self {
        let known = Known { longest: Arc::new(longest), is_written: true };
        Self { known: Mutex::new(known), unwritten: Notify::new() }
    }

    /// The longest lives ever.
    pub(in crate::control) fn lives(&self) -> Arc<Lives> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner).longest)
    }

    /// What another process has written.
    pub(in crate::control) fn add(&self, lives: Lives) {
        self.merge(lives, false);
    }

    fn merge(&self, lives: Lives, are_new: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut longest = Lives::clone(&known.longest);
        for (iss, life) in lives {
            let has_place = longest.len() < LIVES || longest.contains_key(&iss);
            let known = longest.entry(if has_place { iss } else { Box::default() }).or_default();
            *known = life.max(*known);
        }
        *known = Known { longest: Arc::new(longest), is_written: known.is_written && !are_new };
        if !known.is_written {
            self.unwritten.notify_one();
        }
    }

    /// Has the store remember the lives of a configuration that is going to be in force. From an error on they count here
    /// all the same, and are to be written later.
    pub(in crate::control) async fn remember(
        &self,
        store: &Store,
        config: &Config,
    ) -> Result<(), StoreError> {
        let lives = longer(&self.lives(), lives(config));
        if lives.is_empty() {
            return Ok(());
        }
        let written = store.remember(lives.clone()).await;
        self.merge(lives, written.is_err());
        written
    }

    /// Writes what the store could not take.
    async fn write(&self, store: &Store) {
        let mut fails = false;
        loop {
            let lives = {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                (!known.is_written).then(|| Arc::clone(&known.longest))
            };
            let Some(lives) = lives else {
                self.unwritten.notified().await;
                continue;
            };
            match store.remember(Lives::clone(&lives)).await {
                Ok(()) => {
                    let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                    known.is_written = Arc::ptr_eq(&lives, &known.longest);
                    fails = false;
                }
                Err(error) => {
                    if !fails && error != StoreError::Paused {
                        unwritten(&error);
                    }
                    fails = true;
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

pub(in crate::control) fn unwritten(error: &StoreError) {
    tracing::warn!(%error, "the store does not remember yet how long tokens may live");
}

/// Those that are longer than they were.
fn longer(known: &Lives, lives: Lives) -> Lives {
    let shared = known.get("").copied();
    let is_longer = |iss: &str, life| known.get(iss).copied().max(shared).is_none_or(|known| known < life);
    lives.into_iter().filter(|(iss, life)| is_longer(iss, *life)).collect()
}

/// What is to be said of a configuration that lets tokens live longer than they ever did.
pub(in crate::control) async fn revived(
    store: &Arc<Store>,
    lasting: &Lasting,
    config: &Config,
) -> Vec<Problem> {
    let known = lasting.lives();
    let mut warnings = Vec::new();
    for (iss, life) in longer(&known, lives(config)) {
        let Some(before) = known.get(&iss).copied() else { continue };
        let (store, filter) = (Arc::clone(store), Filter { issuer: Some(iss.clone()), kind: None });
        // Also those that have ended, as far as the store still has them.
        let listed = tokio::task::spawn_blocking(move || store.list(i64::MIN, &filter, None, SOME)).await;
        let ends = match listed {
            Ok(Ok(listed)) => {
                listed.entries.len() == SOME || listed.entries.iter().any(|entry| entry.expires.is_some())
            }
            Ok(Err(_)) | Err(_) => true,
        };
        let of_iss = |issuer: &&Arc<Issuer>| issuer.issuer == iss;
        if let Some(issuer) = config.issuers.iter().find(of_iss).filter(|_| ends) {
            let iss = quoted(&iss);
            let what = format!(
                "tokens of {iss} are accepted for {life} s now, and never were for more than {before} s: entries of the \
                     store that ended by default may leave some of those that they revoked"
            );
            let hint = "revoke them again: what is added now lasts as long as they do";
            warnings.push(Problem::new(issuer.keys.at, what).hint(hint));
        }
    }
    warnings
}

/// Writes what the store could not take at once: it was with another process, or its disk was full.
pub(in crate::control) async fn write(shared: Arc<Shared>) {
    if let Some(keeping) = &shared.keeping {
        keeping.lasting.write(&keeping.store).await;
    }
}

/// Has the store remember what a load brings, before it is put in force. What the store cannot take is refused: entries that
/// are added after a restart would end too early, and nobody would know. A store that is with another process is another
/// matter: nothing is added here meanwhile.
pub(in crate::control) async fn remembered(shared: Arc<Shared>, file: String, attempt: Attempt) -> Attempt {
    let Some(keeping) = &shared.keeping else { return attempt };
    let Attempt { files, result } = attempt;
    let mut loaded = match result {
        Ok(loaded) => loaded,
        Err(problems) => return Attempt { files, result: Err(problems) },
    };
    let revived = revived(&keeping.store, &keeping.lasting, &loaded.config).await;
    let result = match keeping.lasting.remember(&keeping.store, &loaded.config).await {
        Ok(()) | Err(StoreError::Paused) => {
            loaded.warnings.extend(revived);
            Ok(loaded)
        }
        Err(error) => {
            let what = format!("{error}: it has to remember how long tokens may live by this configuration");
            let problem = Problem::new(Position { line: 1, column: 1 }, what);
            Err(Problems { file, text: Arc::from(""), list: vec![problem] })
        }
    };
    Attempt { files, result }
}

/// Until the store is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// Entries of an issuer that are looked at for an end.
const SOME: usize = 1_000;
