//! Streams end with their tokens. What was decided when a stream was opened is asked again for as long as it lasts: at
//! the token's end, and whenever something was published, a revocation or an issuer's new keys.
//!
//! No stream has a timer. A worker looks at what it has published and at the clock some times a second, as long as it
//! has any stream at all, and tells those that are over. They say so in the words of their protocol; whoever has not
//! come to say it [`HASTE`] later is cut off.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::gate::denial::Reason;
use crate::gate::grant::Grant;
use crate::gate::lasting::Lasting;
use crate::proxy::judge::guarded;
use crate::proxy::parting::HASTE;
use crate::proxy::worker::{Worker, now};
use crate::snapshot::Snapshot;
use crate::token::NumericDate;

/// How often a worker looks. With [`HASTE`] it is within the second that a stream may outlive its token by.
const LOOK: Duration = Duration::from_millis(100);

/// Streams that are looked at before other work has its turn.
const AT_ONCE: usize = 256;

/// A worker's streams.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Recheck {
    /// In order of their beginning.
    streams: RefCell<BTreeMap<u64, Rc<Stream>>>,
    begun: Cell<u64>,
    /// A stream has begun since the last look: what was published between its decision and then is yet to be asked.
    fresh: Cell<bool>,
    first: Notify,
}

/// One of them.
#[derive(Debug)]
struct Stream {
    lasting: RefCell<Lasting>,
    /// The generation by which it was last looked at; 0 before.
    asked: Cell<u64>,
    over: Cell<Option<Over>>,
    /// When its client is to be warned; `None` where it is not, or was.
    warn: Cell<Option<NumericDate>>,
    /// It is time to.
    due: Cell<bool>,
    told: Notify,
}

/// It is over.
#[derive(Debug, Clone, Copy)]
struct Over {
    why: Reason,
    since: Instant,
    cut: bool,
}

/// Holds a stream to its token; it ends with the stream.
pub(in crate::proxy) struct Leash {
    worker: Rc<Worker>,
    number: u64,
    stream: Rc<Stream>,
}

impl Leash {
    /// `None` where the grant hangs by nothing that could end.
    pub(in crate::proxy) fn of(worker: &Rc<Worker>, grant: &Grant) -> Option<Self> {
        let lasting = Lasting::of(grant)?;
        let recheck = &worker.recheck;
        let number = recheck.begun.get();
        recheck.begun.set(number.wrapping_add(1));
        recheck.fresh.set(true);
        let warn = Cell::new(warned_at(&lasting, grant));
        let lasting = RefCell::new(lasting);
        let (asked, over, due, told) = (Cell::new(0), Cell::new(None), Cell::new(false), Notify::new());
        let stream = Rc::new(Stream { lasting, asked, over, warn, due, told });
        let mut streams = recheck.streams.borrow_mut();
        streams.insert(number, Rc::clone(&stream));
        if streams.len() == 1 {
            recheck.first.notify_one();
        }
        Some(Self { worker: Rc::clone(worker), number, stream })
    }

    /// Holds the stream to this grant's token instead. What is over stays over; and where this one hangs by nothing,
    /// what it was held to still counts.
    pub(in crate::proxy) fn renew(&self, grant: &Grant) {
        let (Some(lasting), None) = (Lasting::of(grant), self.over()) else { return };
        let stream = &self.stream;
        stream.warn.set(warned_at(&lasting, grant));
        stream.due.set(false);
        stream.asked.set(0);
        stream.lasting.replace(lasting);
        self.worker.recheck.fresh.set(true);
    }

    /// The stream is over, for this reason.
    pub(in crate::proxy) fn end(&self, why: Reason) {
        if self.over().is_none() {
            self.stream.tell(Over { why, since: Instant::now(), cut: false });
            // The next look sees to it that it ends in time.
            self.worker.recheck.fresh.set(true);
        }
    }

    /// Whether it is time to warn the client.
    pub(in crate::proxy) fn is_warning_due(&self) -> bool {
        self.stream.due.get()
    }

    /// Resolves when it is time to warn the client.
    pub(in crate::proxy) async fn warning(&self) {
        while !self.is_warning_due() {
            self.stream.told.notified().await;
        }
    }

    /// The client was warned.
    pub(in crate::proxy) fn warned(&self) {
        self.stream.due.set(false);
    }

    /// Why it is over, if it is.
    pub(in crate::proxy) fn over(&self) -> Option<Reason> {
        self.stream.over.get().map(|over| over.why)
    }

    /// Resolves when it is over.
    pub(in crate::proxy) async fn ended(&self) -> Reason {
        self.when(|_| true).await
    }

    /// Resolves when it was over for so long that it is cut off.
    pub(in crate::proxy) async fn cut(&self) -> Reason {
        self.when(|over| over.cut).await
    }

    async fn when(&self, is_it: impl Fn(&Over) -> bool) -> Reason {
        loop {
            // Nothing is told between this look and the wait: a worker is one thread.
            if let Some(over) = self.stream.over.get().filter(&is_it) {
                return over.why;
            }
            self.stream.told.notified().await;
        }
    }
}

/// When the client of a stream that lasts for so long is to be warned, if it is.
fn warned_at(lasting: &Lasting, grant: &Grant) -> Option<NumericDate> {
    let before = grant.route().config.streams.warning.as_ref()?.before.as_secs();
    let NumericDate(until) = lasting.until();
    Some(NumericDate(until.saturating_sub(i64::try_from(before).unwrap_or(i64::MAX))))
}

/// What `work` gives, unless this comes first.
pub(in crate::proxy) async fn unless<T, E>(
    first: impl Future<Output = E>,
    work: impl Future<Output = T>,
) -> Result<T, E> {
    let (mut first, mut work) = (pin!(first), pin!(work));
    poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(first) => Poll::Ready(Err(first)),
        Poll::Pending => work.as_mut().poll(context).map(Ok),
    })
    .await
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.worker.recheck.streams.borrow_mut().remove(&self.number);
    }
}

/// Watches the worker's streams; everything of a stream is asked again at least `every` so often.
pub(in crate::proxy) async fn serve(worker: Rc<Worker>, every: Duration) {
    let recheck = &worker.recheck;
    let (mut looked, mut parting) = ((0, NumericDate(0)), false);
    let mut all = Instant::now();
    loop {
        if recheck.streams.borrow().is_empty() {
            recheck.first.notified().await;
        }
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        while !recheck.streams.borrow().is_empty() {
            tick.tick().await;
            let generation = worker.shared.parts.reader.load().generation;
            let moment = (generation, now());
            let due = all.elapsed() >= every;
            if due {
                all = Instant::now();
            }
            if recheck.fresh.replace(false) || due || moment != looked || parting {
                parting = recheck.look(&worker, due).await;
            }
            looked = moment;
        }
    }
}

impl Recheck {
    /// What at most `most` streams hang by that are not over, in order of their beginning, from this place on; and the
    /// place to go on from, if there may be more.
    pub(in crate::proxy) fn held(&self, from: u64, most: usize) -> (Vec<Lasting>, Option<u64>) {
        let streams = self.streams.borrow();
        let mut next = None;
        let looked = streams.range(from..).take(most).inspect(|(number, _)| next = Some(**number + 1));
        let open = looked.filter(|(_, stream)| stream.over.get().is_none());
        (open.map(|(_, stream)| stream.lasting.borrow().clone()).collect(), next)
    }

    /// Looks at every stream, some at once; whether there are any that are over and not cut off yet. What is published
    /// meanwhile is met by the next look.
    async fn look(&self, worker: &Worker, all: bool) -> bool {
        let (mut from, mut parting) = (0, false);
        loop {
            let begun = from;
            {
                let snapshot = worker.shared.parts.reader.load();
                let (streams, now) = (self.streams.borrow(), now());
                for (&number, stream) in streams.range(from..).take(AT_ONCE) {
                    parting |= stream.look(&snapshot, now, all);
                    from = number + 1;
                }
            }
            if from == begun {
                return parting;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Stream {
    /// Whether it is over and not cut off yet.
    fn look(&self, snapshot: &Snapshot, now: NumericDate, again: bool) -> bool {
        if let Some(over) = self.over.get() {
            if !over.cut && over.since.elapsed() >= HASTE {
                self.tell(Over { cut: true, ..over });
                return false;
            }
            return !over.cut;
        }
        if self.warn.get().is_some_and(|at| now >= at) {
            self.warn.set(None);
            self.due.set(true);
            self.told.notify_waiters();
        }
        let asked = self.asked.replace(snapshot.generation) == snapshot.generation;
        if asked && !again && now < self.lasting.borrow().until() {
            return false;
        }
        // A fault of ours ends this stream and no other.
        let holds = guarded(|| self.lasting.borrow_mut().holds(snapshot, now));
        if let Err(denial) = holds.and_then(|holds| holds) {
            self.tell(Over { why: denial.reason, since: Instant::now(), cut: false });
            return true;
        }
        false
    }

    fn tell(&self, over: Over) {
        self.over.set(Some(over));
        self.told.notify_waiters();
    }
}
