//! Signatures of tokens that were never seen: a bounded line of them, and the task that verifies them in turns.
//!
//! A signature is the costliest thing that a request can ask for, and anybody can ask for it. So it never stands in the
//! way of what needs none: a turn of the worker's loop serves all connections that are ready, and then one signature, or
//! a few that are cheap. They are verified on the worker's own thread: another would have to be woken for each, and
//! takes its time from the same cores.
//!
//! The line is bounded in number (`limits.signatures_in_flight`), past which a request is `overloaded`, and what has stood
//! in it for too long is not verified any more.
//! Addresses take turns in it ([`queue`]), so that a flood from one of them takes no place from others. Requests that
//! bring the same token wait for the same signature.

mod queue;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::evidence::{SignatureVerdict, SignatureWork, WorkIdentity};
use crate::proxy::admission::client;
use crate::proxy::judge::guarded;
use crate::proxy::signatures::queue::{Pushed, Queue};
use crate::proxy::worker::Worker;

/// What has waited longer is not verified any more when its turn comes: it is as long as an `overloaded` client is told to
/// stay away. A line of 64 is gone long before.
const WAIT: Duration = Duration::from_secs(1);

/// How long whoever is turned away waits to hear of it. A flood whose requests are answered at once has its next ones here
/// at once, and reading and refusing them all would take more time from others than the signatures do.
const REST: Duration = Duration::from_millis(50);

/// How long one turn's signatures may take, if it is more than one: with ES256 it is one, with RS256 three, and whoever
/// needs none waits no longer for three than for one.
const TURN: Duration = Duration::from_micros(60);

/// One part in this many of a worker's time is for signatures where other connections would take all of it: new tokens
/// get through where old ones keep a worker busy, and take hardly anything from those. Time that nobody else wants is
/// theirs besides.
const SHARE: u32 = 16;

/// The most of that part that is saved up.
const SAVED: Duration = Duration::from_millis(2);

/// A worker's signatures.
#[derive(Debug)]
pub(in crate::proxy) struct Signatures {
    queue: RefCell<Queue<Rc<Flight>>>,
    arrived: Notify,
    /// Those of the last turn: until it is over, somebody may still come who waits for one of them.
    landed: RefCell<Vec<Rc<Flight>>>,
    /// When the last turn ended.
    turned: Cell<Instant>,
    /// Requests that had begun by then, and how many have come to wait here since.
    begun: Cell<u64>,
    came: Cell<u64>,
    /// Time that signatures have been left owing.
    saved: Cell<Duration>,
    /// What the last one took.
    cost: Cell<Duration>,
}

/// One signature, and who waits for it.
#[derive(Debug)]
struct Flight {
    identity: WorkIdentity,
    address: IpAddr,
    since: Instant,
    state: RefCell<State>,
    waiting: Cell<usize>,
    wakers: RefCell<SmallVec<[Waker; 1]>>,
}

#[derive(Debug)]
enum State {
    Waiting(Box<SignatureWork>),
    /// It was verified. Whoever comes first takes what came of it, and leaves it in the memo for the others.
    Verified(Option<SignatureVerdict>),
    /// It was put out of the line.
    PutOut,
    Failed(Denial),
}

/// What came of waiting for a signature.
#[derive(Debug)]
pub(in crate::proxy) enum Waited {
    /// This.
    Verdict(SignatureVerdict),
    /// What another request waited for was waited for, and nothing is left of it. It is remembered, unless there was no
    /// room for it: decide again.
    Shared,
    /// It is not verified: too many are waiting, or there is a fault of ours.
    Refused(Refusal),
}

/// Somebody who waits. When nobody is left, the place in line is free.
struct Waiting<'s> {
    signatures: &'s Signatures,
    flight: Rc<Flight>,
}

impl Signatures {
    /// A line for at most `most` signatures.
    pub(in crate::proxy) fn new(most: usize) -> Self {
        Self {
            queue: RefCell::new(Queue::new(most)),
            arrived: Notify::new(),
            landed: RefCell::default(),
            turned: Cell::new(Instant::now()),
            begun: Cell::default(),
            came: Cell::default(),
            saved: Cell::default(),
            cost: Cell::default(),
        }
    }

    /// Waits for a signature to be verified. `alone` says that another request's, the same, will not do.
    pub(in crate::proxy) async fn wait(&self, work: Box<SignatureWork>, from: IpAddr, alone: bool) -> Waited {
        let address = client(from);
        // As this request is refused: another that waits for the same may be for another route.
        let overloaded = work.overloaded();
        let same = if alone { None } else { self.same(work.identity()) };
        let flight = match same {
            Some(flight) => flight,
            None => self.stand(work, address),
        };
        flight.waiting.set(flight.waiting.get() + 1);
        self.came.set(self.came.get() + 1);
        let waiting = Waiting { signatures: self, flight };
        let waited = poll_fn(|context| waiting.poll(context, address, &overloaded)).await;
        if matches!(&waited, Waited::Refused(refusal) if refusal.denial.reason == Reason::Overloaded) {
            // Boxed: no connection that is served shall carry the room for it.
            Box::pin(tokio::time::sleep(REST)).await;
        }
        waited
    }

    /// The same signature, if somebody waits for it.
    fn same(&self, identity: WorkIdentity) -> Option<Rc<Flight>> {
        let is = |flight: &Rc<Flight>| flight.identity == identity;
        let landed = self.landed.borrow();
        landed.iter().find(|flight| is(flight)).or(self.queue.borrow().find(is)).map(Rc::clone)
    }

    /// Puts a signature in line; one of them is put out if there is no room.
    fn stand(&self, work: Box<SignatureWork>, address: IpAddr) -> Rc<Flight> {
        let flight = Rc::new(Flight {
            identity: work.identity(),
            address,
            since: Instant::now(),
            state: RefCell::new(State::Waiting(work)),
            waiting: Cell::new(0),
            wakers: RefCell::default(),
        });
        match self.queue.borrow_mut().push(address, Rc::clone(&flight)) {
            Pushed::In => {}
            Pushed::Instead(other) | Pushed::Full(other) => other.put_out(),
        }
        self.arrived.notify_one();
        flight
    }

    /// Verifies what stands in front of the line, unless others keep the worker busy and signatures have had their share.
    fn turn(&self, worker: &Worker) {
        let began = Instant::now();
        let others = began.saturating_duration_since(self.turned.replace(began));
        let saved = (self.saved.get() + others / SHARE).min(SAVED);
        self.saved.set(saved);
        // Requests have begun that do not wait here: there is other work.
        let begun = worker.ids.given();
        let busy = begun.wrapping_sub(self.begun.replace(begun)) > self.came.take();
        if busy && !is_enough(saved, self.cost.get()) {
            return;
        }
        let most = TURN.max(saved);
        let mut at = began;
        while let Some((flight, work)) = self.next(at) {
            let algorithm = work.algorithm();
            let landed = match guarded(|| work.verify()) {
                Ok(verdict) => State::Verified(Some(verdict)),
                Err(denial) => State::Failed(denial),
            };
            let took = at.elapsed();
            at += took;
            self.cost.set(took);
            worker.verified(algorithm, took);
            flight.land(landed);
            self.landed.borrow_mut().push(flight);
            if at.duration_since(began) + took > most {
                break;
            }
        }
        if busy {
            self.saved.set(saved.saturating_sub(at.duration_since(began)));
        }
        self.turned.set(at);
    }

    /// The next that has not waited too long.
    fn next(&self, now: Instant) -> Option<(Rc<Flight>, Box<SignatureWork>)> {
        loop {
            let flight = self.queue.borrow_mut().pop()?;
            if now.duration_since(flight.since) > WAIT {
                flight.put_out();
                continue;
            }
            let state = flight.state.replace(State::Verified(None));
            if let State::Waiting(work) = state {
                return Some((flight, work));
            }
        }
    }
}

/// Whether so much time, saved up, is enough for a signature when the last one took so long. One that took longer than is
/// ever saved up (its thread may have lost the processor in the middle of it) keeps no others from their turn.
fn is_enough(saved: Duration, cost: Duration) -> bool {
    saved >= cost.min(SAVED)
}

/// Verifies what comes, a turn of the worker's loop at a time.
pub(in crate::proxy) async fn serve(worker: Rc<Worker>) {
    let signatures = &worker.signatures;
    loop {
        while signatures.queue.borrow().is_empty() {
            signatures.arrived.notified().await;
        }
        signatures.turn(&worker);
        // Everything that is ready by then goes first, and what has just been verified is among it.
        tokio::task::yield_now().await;
        signatures.landed.borrow_mut().clear();
    }
}

impl Flight {
    /// Ends the wait for it.
    fn land(&self, state: State) {
        self.state.replace(state);
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    /// Ends it without a signature.
    fn put_out(&self) {
        if matches!(*self.state.borrow(), State::Waiting(_)) {
            self.land(State::PutOut);
        }
    }
}

impl Waiting<'_> {
    fn poll(&self, context: &mut Context<'_>, address: IpAddr, overloaded: &Refusal) -> Poll<Waited> {
        Poll::Ready(match &mut *self.flight.state.borrow_mut() {
            State::Waiting(_) => {
                let mut wakers = self.flight.wakers.borrow_mut();
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
                return Poll::Pending;
            }
            State::Verified(verdict) => verdict.take().map_or(Waited::Shared, Waited::Verdict),
            // Another address asked for too much: that is no reason to turn this one away.
            State::PutOut if self.flight.address != address => Waited::Shared,
            State::PutOut => Waited::Refused(overloaded.clone()),
            State::Failed(denial) => Waited::Refused(denial.clone().into()),
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.flight.waiting.get() - 1;
        self.flight.waiting.set(left);
        if left == 0 && matches!(*self.flight.state.borrow(), State::Waiting(_)) {
            self.signatures.queue.borrow_mut().remove(|other| Rc::ptr_eq(other, &self.flight));
        }
    }
}
