//! Whether new traffic should come here, and if not, why.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// What the process knows of itself. Which issuers have keys is control's to say.
///
/// Keys count until all of them have been there once. An issuer that loses its keys later, or that a reload
/// brings, is its own routes' trouble: taking every instance out of service for it would make it everybody's.
#[derive(Debug, Default)]
pub struct Readiness {
    started: AtomicBool,
    draining: AtomicBool,
    failed: AtomicBool,
    began: AtomicBool,
    handed: AtomicBool,
    /// Imports that have not had their last word.
    imports: watch::Sender<usize>,
    /// Those are to have it now.
    ending: watch::Sender<bool>,
}

/// An import, as long as it is there.
#[derive(Debug)]
pub struct Import {
    imports: watch::Sender<usize>,
    ending: watch::Receiver<bool>,
}

impl Readiness {
    /// Every part runs and signals are taken: what is sent from here on is heard.
    pub fn start(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// The process is to end: no new traffic.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.ending.send_replace(true);
    }

    /// An import begins: the process waits for its last word when it ends.
    pub fn import(&self) -> Import {
        self.imports.send_modify(|imports| *imports += 1);
        Import { imports: self.imports.clone(), ending: self.ending.subscribe() }
    }

    /// Resolves when every import has had its last word.
    pub async fn imports_ended(&self) {
        let mut imports = self.imports.subscribe();
        let _ended = imports.wait_for(|imports| *imports == 0).await;
    }

    /// Another process has taken over, and is asked from now on: nothing is changed here any more.
    pub fn hand_over(&self) {
        self.handed.store(true, Ordering::Release);
        self.drain();
    }

    /// Whether another process has taken over.
    pub fn is_handed_over(&self) -> bool {
        self.handed.load(Ordering::Acquire)
    }

    /// A part that keeps decisions current has ended: no new traffic.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Why not; empty is ready. `waiting` names the issuers that have no keys.
    pub fn reasons(&self, waiting: &[String]) -> Vec<String> {
        if waiting.is_empty() {
            self.began.store(true, Ordering::Release);
        }
        let mut reasons = Vec::new();
        if !self.started.load(Ordering::Acquire) {
            reasons.push("starting".to_owned());
        }
        if self.draining.load(Ordering::Acquire) {
            reasons.push("draining".to_owned());
        }
        if self.failed.load(Ordering::Acquire) {
            reasons.push("keys and revocations are not updated any more".to_owned());
        }
        if !self.began.load(Ordering::Acquire) {
            reasons.extend(waiting.iter().map(|issuer| format!("issuer {issuer} has no keys yet")));
        }
        reasons
    }
}

impl Import {
    /// Resolves when it is to end.
    pub async fn is_to_end(&mut self) {
        let _told_or_gone = self.ending.wait_for(|ending| *ending).await;
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.imports.send_modify(|imports| *imports -= 1);
    }
}

#[cfg(test)]
mod tests;
