//! The end of long streams. A stream that may last for hours is told when it has to end, in the words of its own
//! protocol, so that the client connects anew instead of wondering: a Close frame for a WebSocket, the last chunk for
//! an event stream, a status for gRPC. It has to because the gateway goes away, or because its token is over
//! ([`crate::proxy::recheck`]).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::gate::denial::Reason;
use crate::proxy::recheck::{Leash, unless};
use crate::proxy::worker::Worker;

/// How long before the end of `shutdown_grace` the goodbye is said; at most half of the grace.
pub(in crate::proxy) const GOODBYE: Duration = Duration::from_secs(2);

/// How long a goodbye may take when there is no time left for it: a second signal, or no grace at all.
pub(in crate::proxy) const HASTE: Duration = Duration::from_millis(500);

/// Who on a worker waits for a goodbye.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Parting {
    said: Cell<bool>,
    heard: Notify,
    staying: Cell<usize>,
}

/// Why a stream has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Farewell {
    /// The gateway goes away.
    Leaving,
    /// Its token is over: why.
    Over(Reason),
}

/// What one stream listens for.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Farewells<'w> {
    pub(in crate::proxy) parting: &'w Parting,
    pub(in crate::proxy) leash: Option<&'w Leash>,
}

/// A long stream, from its beginning to the end of its connection.
pub(in crate::proxy) struct Stay(Rc<Worker>);

impl Parting {
    /// Says goodbye to every long stream, those to come too.
    pub(in crate::proxy) fn say(&self) {
        self.said.set(true);
        self.heard.notify_waiters();
    }

    /// Whether it was said.
    pub(in crate::proxy) fn is_said(&self) -> bool {
        self.said.get()
    }

    /// Whether a long stream is still there.
    pub(in crate::proxy) fn is_awaited(&self) -> bool {
        self.staying.get() > 0
    }

    /// Resolves when goodbye is said.
    pub(in crate::proxy) async fn goodbye(&self) {
        // Nothing is said between this look and the wait: a worker is one thread.
        while !self.is_said() {
            self.heard.notified().await;
        }
    }
}

impl Farewells<'_> {
    /// Why it has to end, if it has to.
    pub(in crate::proxy) fn said(&self) -> Option<Farewell> {
        let over = self.leash.and_then(Leash::over).map(Farewell::Over);
        over.or_else(|| self.parting.is_said().then_some(Farewell::Leaving))
    }

    /// Resolves when it has to end.
    pub(in crate::proxy) async fn heard(&self) -> Farewell {
        let Some(leash) = self.leash else {
            self.parting.goodbye().await;
            return Farewell::Leaving;
        };
        match unless(leash.ended(), self.parting.goodbye()).await {
            Ok(()) => Farewell::Leaving,
            Err(why) => Farewell::Over(why),
        }
    }
}

impl Stay {
    pub(in crate::proxy) fn on(worker: &Rc<Worker>) -> Self {
        let staying = &worker.parting.staying;
        staying.set(staying.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let staying = &self.0.parting.staying;
        staying.set(staying.get().saturating_sub(1));
    }
}
