//! Whose turn it is: of what a worker's connections have ready at once, requests are read and decided first, and sent on
//! together.
//!
//! An upstream to which requests are sent one by one, as each is read, falls asleep in between, and sending to one that
//! sleeps costs several times what sending does: the kernel wakes it, on another processor, before it returns. When they
//! come one right after the other it is awake for all but the first.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

/// How many turns a worker gives to what is ready before it asks the kernel what else is. A request takes three, so that
/// the runtime's own 61 would cut a busy worker's round in pieces.
pub(in crate::proxy) const ROUND: u32 = 192;

/// How many of a worker's requests wait for others at a time. Where more are ready no upstream falls asleep, and what was
/// read of each would be gone from the processor's cache when it is sent.
const TOGETHER: usize = 32;

/// A worker's requests that wait for others to have their turn.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Turns {
    waiting: Cell<usize>,
}

/// One of them.
struct Waiting<'t>(&'t Turns);

impl Turns {
    /// Lets every other connection that has something ready have its turn first, unless enough wait already.
    ///
    /// `tokio::task::yield_now` would ask the kernel in between what else is ready: one more system call for every
    /// request that comes alone.
    pub(in crate::proxy) async fn after_others(&self) {
        if self.waiting.get() >= TOGETHER {
            return;
        }
        let _place = Waiting::among(self);
        let mut has_yielded = false;
        poll_fn(|context| {
            if has_yielded {
                return Poll::Ready(());
            }
            has_yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

impl<'t> Waiting<'t> {
    fn among(turns: &'t Turns) -> Self {
        turns.waiting.set(turns.waiting.get() + 1);
        Self(turns)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

#[cfg(test)]
mod tests;
