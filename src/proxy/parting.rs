//! The end of long streams. A stream that may last for hours is told when it has to end, in the words of its own
//! protocol, so that the client connects anew instead of wondering: a Close frame for a WebSocket, the last chunk for
//! an event stream.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::http1::websocket::Close;
use crate::proxy::worker::Worker;

/// How long before the end of `shutdown_grace` the goodbye is said; at most half of the grace.
pub(in crate::proxy) const GOODBYE: Duration = Duration::from_secs(2);

/// How long a goodbye may take when there is no time left for it: a second signal, or no grace at all.
pub(in crate::proxy) const HASTE: Duration = Duration::from_millis(500);

/// Who on a worker waits for a goodbye.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Parting {
    said: Cell<Option<Close>>,
    heard: Notify,
    staying: Cell<usize>,
}

/// A long stream, from its beginning to the end of its connection.
pub(in crate::proxy) struct Stay(Rc<Worker>);

impl Parting {
    /// Says goodbye to every long stream, those to come too.
    pub(in crate::proxy) fn say(&self, why: Close) {
        self.said.set(Some(why));
        self.heard.notify_waiters();
    }

    /// What was said, if it was.
    pub(in crate::proxy) fn said(&self) -> Option<Close> {
        self.said.get()
    }

    /// Whether a long stream is still there.
    pub(in crate::proxy) fn is_awaited(&self) -> bool {
        self.staying.get() > 0
    }

    /// Resolves when goodbye is said.
    pub(in crate::proxy) async fn goodbye(&self) -> Close {
        loop {
            // Nothing is said between this look and the wait: a worker is one thread.
            if let Some(why) = self.said() {
                return why;
            }
            self.heard.notified().await;
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
