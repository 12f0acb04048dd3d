//! Notices that a configuration's files may have changed, in every way editors and Kubernetes change files.
//!
//! What is watched is directories: of each file, and of what it is a link to. Any event is a hint and no more;
//! whoever gets it compares contents. A poll finds what no event told of (network file systems, a directory
//! that was replaced, a watch that could not be set).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The watched directories.
#[derive(Debug)]
pub struct Watcher {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Watcher {
    /// Watches nothing yet.
    pub fn start() -> Self {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                notify.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "files cannot be watched: changes are noticed by polling only");
            })
            .ok();
        Self { watcher, directories: BTreeSet::new(), changed }
    }

    /// Watches the directories of these files and of what they link to (of directories, themselves too), and no others any more. To be called
    /// again now and then: a directory may be another one by then.
    pub fn follow<'p>(&mut self, files: impl IntoIterator<Item = &'p Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = BTreeSet::new();
        for file in files {
            let target = file.canonicalize().ok();
            let parents = [Some(file), target.as_deref()].into_iter().flatten().filter_map(Path::parent);
            wanted.extend(parents.map(Path::to_owned));
            wanted.extend(target.filter(|target| target.is_dir()));
        }
        for gone in self.directories.difference(&wanted) {
            // It may not exist any more.
            let _ = watcher.unwatch(gone);
        }
        for directory in &wanted {
            let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
            let known = self.directories.contains(directory);
            if let Err(error) = watched.as_ref()
                && !known
            {
                let directory = directory.display();
                tracing::warn!(%directory, %error, "a directory cannot be watched: it is polled");
            }
        }
        self.directories = wanted;
    }

    /// What tells [`hint`] of changes.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

/// Passes changes on once they have settled, and hints now and then without any.
pub async fn hint(changed: Arc<Notify>, hinted: impl Fn()) {
    let mut poll = interval_at(Instant::now() + POLL, POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.notified() => quiet(&changed).await,
            _ = poll.tick() => {}
        }
        hinted();
    }
}

/// Waits until nothing has changed for a moment, but not for ever.
async fn quiet(changed: &Notify) {
    let begun = Instant::now();
    while begun.elapsed() < MOST_QUIET && timeout(QUIET, changed.notified()).await.is_ok() {}
}

/// Reading is no change: our own would never end.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// An editor's burst of events is over after this.
const QUIET: Duration = Duration::from_millis(50);
/// In a directory that never rests, changes are passed on this often.
const MOST_QUIET: Duration = Duration::from_secs(1);
/// For what no event tells of.
const POLL: Duration = Duration::from_secs(30);
