//! One timer a connection, set anew only when it has to be.
//!
//! Every wait of a connection has a deadline, and hardly any is ever reached. Setting a timer for each would
//! cost more than the wait, so the one timer stays where it was set as long as that is early enough, and looks
//! again when it fires.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Far enough never to matter: what a timer is set to before its first use.
const NEVER: Duration = Duration::from_secs(86_400);

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Elapsed;

/// A connection's timer.
#[derive(Debug)]
pub(in crate::proxy) struct Deadline {
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(in crate::proxy) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(NEVER)) }
    }

    /// Awaits `future` until `until` at the latest. The timer may fire early for an earlier wait's sake; then it
    /// is set to what is left.
    pub(in crate::proxy) async fn within<F: Future>(
        &mut self,
        until: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_elapsed(until, context).map(Err),
        })
        .await
    }

    /// The same for `most` from the moment on at which it turns out to wait at all: most writes do not, and no clock is
    /// read for those.
    pub(in crate::proxy) async fn at_most<F: Future>(
        &mut self,
        most: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut until = None;
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                let until = *until.get_or_insert_with(|| Instant::now() + most);
                self.poll_elapsed(until, context).map(Err)
            }
        })
        .await
    }

    fn poll_elapsed(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<Elapsed> {
        if self.sleep.deadline() > until {
            self.sleep.as_mut().reset(until);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(Elapsed);
            }
            self.sleep.as_mut().reset(until);
        }
        Poll::Pending
    }
}
