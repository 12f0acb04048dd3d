//! Whose turn it is: of what a worker's connections have ready at once, requests are read and decided first, and sent on
//! together.
//!
//! An upstream to which requests are sent one by one, as each is read, falls asleep in between, and sending to one that
//! sleeps costs several times what sending does: the kernel wakes it, on another processor, before it returns. When they
//! come one right after the other it is awake for all but the first.

use std::future::poll_fn;
use std::task::Poll;

/// How many turns a worker gives to what is ready before it asks the kernel what else is. A request takes three, so that
/// the runtime's own 61 would cut a busy worker's round in pieces.
pub(in crate::proxy) const ROUND: u32 = 192;

/// Lets every other connection that has something ready have its turn first.
///
/// `tokio::task::yield_now` would ask the kernel in between what else is ready: one more system call for every request
/// that comes alone.
pub(in crate::proxy) async fn after_others() {
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

#[cfg(test)]
mod tests;
