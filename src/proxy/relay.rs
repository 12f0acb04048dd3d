//! Bodies on their way, both directions: read a piece, write it, hold nothing else.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::config::limits::Limits;
use crate::gate::denial::Reason;
use crate::gate::grant::Grant;
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::Framing;
use crate::http1::write;
use crate::proxy::buffer::{Buffer, ROOM};
use crate::proxy::deadline::Deadline;
use crate::proxy::parting::{Farewell, Farewells};
use crate::proxy::recheck::{Leash, unless};
use crate::proxy::refuse;
use crate::proxy::worker::Worker;

/// The longest stretch of waiting for a client over which `limits.body_rate` is measured.
const PACE_WINDOW: Duration = Duration::from_secs(5);

/// The longest silence of a stream of messages that has no answer yet: its server may answer with its first message.
const NOTHING_SAID: Duration = Duration::from_secs(300);

/// Octets of head and content that are gathered for one plain write.
const GATHERED: usize = 4096;

/// Why a body did not get across.
#[derive(Debug)]
pub(in crate::proxy) enum Lost {
    /// Its sender broke off, was too slow, or broke its framing.
    Source(Fault),
    /// Its receiver broke off.
    Sink,
    /// Its receiver took nothing for too long.
    Stalled,
    /// The token that it was granted to is over: why.
    Over(Reason),
}

/// What was wrong with a body's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Fault {
    /// It ended or failed before the body did.
    Gone,
    /// Slower than the rate asked for.
    Slow,
    /// Not the framing that its head announced.
    Framing(&'static str),
}

/// How a receiver is written to.
pub(in crate::proxy) struct Sink<'s, W> {
    to: &'s mut W,
    /// Each write waits at most this long.
    stall: Duration,
    framing: Framing,
    /// What is to be written first: the head.
    out: &'s mut Vec<u8>,
    /// The last octets of its content. Nothing ends like an empty line.
    tail: [u8; 3],
}

/// What a client's body is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum HeldTo {
    /// `limits.body_rate`.
    Rate,
    /// Not to be silent for [`NOTHING_SAID`]: a stream of messages, before anybody has answered.
    Idle,
    /// Nothing: its receiver has begun to answer, so that what is still to come may hang on the answer.
    Nothing,
}

/// How fast a client's body has to come: a window of waiting in which it brought too little is the last.
pub(in crate::proxy) struct Pace<'p> {
    held_to: &'p Cell<HeldTo>,
    silent: Duration,
    window: Duration,
    least: u64,
    waited: Duration,
    brought: u64,
}

impl<'p> Pace<'p> {
    pub(in crate::proxy) fn new(limits: &Limits, held_to: &'p Cell<HeldTo>) -> Self {
        let window = limits.idle_time.min(PACE_WINDOW);
        let least = (limits.body_rate as f64 * window.as_secs_f64()) as u64;
        Self { held_to, silent: Duration::ZERO, window, least, waited: Duration::ZERO, brought: 0 }
    }

    /// Fills `input` once.
    pub(in crate::proxy) async fn fill(
        &mut self,
        deadline: &mut Deadline,
        input: &mut Buffer,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), Fault> {
        loop {
            let started = Instant::now();
            let left = self.window.saturating_sub(self.waited);
            match deadline.within(started + left, input.fill(from, ROOM)).await {
                Ok(Ok(0) | Err(_)) => return Err(Fault::Gone),
                Ok(Ok(count)) => {
                    self.waited += started.elapsed();
                    self.brought += count as u64;
                    return Ok(());
                }
                Err(_) if self.is_too_slow() => return Err(Fault::Slow),
                Err(_) => {
                    self.waited = Duration::ZERO;
                    self.brought = 0;
                }
            }
        }
    }

    /// Judges a window that has ended.
    fn is_too_slow(&mut self) -> bool {
        self.silent = if self.brought == 0 { self.silent + self.window } else { Duration::ZERO };
        match self.held_to.get() {
            HeldTo::Rate => self.brought < self.least,
            HeldTo::Idle => self.silent >= NOTHING_SAID,
            HeldTo::Nothing => false,
        }
    }
}

/// Sends a client's body upstream, after what `sink.out` holds, and says so in `done`. Then it watches for the
/// client's end, taking what it sends ahead into `input`: it never resolves but with a fault.
pub(in crate::proxy) async fn pump<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut R,
    input: &mut Buffer,
    body: &mut BodyReader,
    mut sink: Sink<'_, W>,
    pace: &mut Pace<'_>,
    deadline: &mut Deadline,
    done: &Cell<bool>,
) -> Lost {
    loop {
        match sink.pass(input, body, deadline).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(lost) => return lost,
        }
        if let Err(fault) = pace.fill(deadline, input, from).await {
            return Lost::Source(fault);
        }
    }
    done.set(true);
    gone(from, input).await;
    Lost::Source(Fault::Gone)
}

/// Resolves when the client has gone. What it sends ahead is taken into `input` as far as there is room: past that
/// its end would not be seen before the octets in front of it are.
pub(in crate::proxy) async fn gone(from: &mut (impl AsyncRead + Unpin), input: &mut Buffer) {
    if !input.is_lent() {
        // Nothing can come but the end.
        let _ = from.read(&mut [0; 1]).await;
        return;
    }
    while !input.is_full(ROOM) {
        if !matches!(input.fill(from, ROOM).await, Ok(1..)) {
            return;
        }
    }
    std::future::pending().await
}

/// What kind of stream a body is, as far as its end is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Manner {
    /// An event stream in chunks. Its client asks for it again, from where it was (HTML standard, "Server-sent events"):
    /// it ends well between two of its pieces when the gateway goes away, and between two events with its token.
    Events {
        /// With its token it is cut off: where one event ends cannot be seen, or its reader knows no event that ends it.
        cut: bool,
    },
    /// gRPC's messages: it ends with a status.
    Messages,
    /// Anything else, whose end cannot come early without a lie: it is cut off.
    Octets,
}

/// What may end an upstream's body besides its own end.
pub(in crate::proxy) struct Ending<'p> {
    pub(in crate::proxy) worker: &'p Rc<Worker>,
    /// By which it was granted.
    pub(in crate::proxy) grant: &'p Grant,
    /// Taken when it turns out that the body takes time.
    pub(in crate::proxy) leash: Option<Leash>,
    /// How the upstream delimits it.
    pub(in crate::proxy) framing: Framing,
    /// A body of declared length was there to be announced: the wait for its next octets is bounded by this. Nothing
    /// bounds it for any other: event streams are silent for as long as nothing happens.
    pub(in crate::proxy) silence: Duration,
    pub(in crate::proxy) manner: Manner,
}

/// How a body got across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Relayed {
    /// Whole.
    Whole,
    /// Up to a goodbye.
    Parted(Farewell),
}

/// Sends an upstream's body to the client, after what `sink.out` holds.
pub(in crate::proxy) async fn relay<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut R,
    answer: &mut Buffer,
    body: &mut BodyReader,
    mut sink: Sink<'_, W>,
    deadline: &mut Deadline,
    mut ending: Ending<'_>,
) -> Result<Relayed, Lost> {
    loop {
        let whole = {
            let mut passing = pin!(sink.pass(answer, body, deadline));
            // Most answers are there whole and leave at once, and are never held to anything.
            match poll_fn(|context| Poll::Ready(passing.as_mut().poll(context))).await {
                Poll::Ready(passed) => passed?,
                Poll::Pending => {
                    ending.hold();
                    match &ending.leash {
                        None => passing.await?,
                        // Boxed, as all that is rare: every connection would else carry the room for it.
                        Some(leash) => Box::pin(in_time(leash, passing)).await?,
                    }
                }
            }
        };
        if whole {
            return Ok(Relayed::Whole);
        }
        ending.hold();
        let filling = ending.unless_told(answer.fill(from, ROOM));
        let filled = match ending.framing {
            Framing::Length(_) => {
                let filled = deadline.at_most(ending.silence, filling).await;
                filled.unwrap_or_else(|_| Ok(Err(io::ErrorKind::TimedOut.into())))
            }
            Framing::None | Framing::Chunked | Framing::UntilClose => filling.await,
        };
        match filled {
            Err(why) => {
                let parting = sink.part(why, ending.manner, deadline);
                return match &ending.leash {
                    None => parting.await,
                    Some(leash) => Box::pin(in_time(leash, parting)).await,
                };
            }
            Ok(Ok(0)) if ending.framing == Framing::UntilClose => {
                sink.end(&[], deadline).await?;
                return Ok(Relayed::Whole);
            }
            Ok(Ok(0) | Err(_)) => return Err(Lost::Source(Fault::Gone)),
            Ok(Ok(_)) => {}
        }
    }
}

impl Ending<'_> {
    /// From here on the body is held to its token.
    fn hold(&mut self) {
        if self.leash.is_none() {
            self.leash = Leash::of(self.worker, self.grant);
        }
    }

    /// What `future` gives, or why the body has to end where that comes first. What tells is boxed: every connection
    /// would else carry the room for it.
    async fn unless_told<F: Future>(&self, future: F) -> Result<F::Output, Farewell> {
        match (self.manner, &self.leash) {
            (Manner::Events { .. }, leash) => {
                let farewells = Farewells { parting: &self.worker.parting, leash: leash.as_ref() };
                unless(Box::pin(farewells.heard()), future).await
            }
            (Manner::Messages | Manner::Octets, Some(leash)) => {
                unless(Box::pin(leash.ended()), future).await.map_err(Farewell::Over)
            }
            (Manner::Messages | Manner::Octets, None) => Ok(future.await),
        }
    }
}

/// What sending gives, unless the token has been over for too long.
async fn in_time<T>(leash: &Leash, sending: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    unless(leash.cut(), sending).await.unwrap_or_else(|why| Err(Lost::Over(why)))
}

impl<'s, W: AsyncWrite + Unpin> Sink<'s, W> {
    /// Writes to `to` what `out` holds and then a body in this framing; each write waits at most `stall`.
    pub(in crate::proxy) fn new(
        to: &'s mut W,
        stall: Duration,
        framing: Framing,
        out: &'s mut Vec<u8>,
    ) -> Self {
        Self { to, stall, framing, out, tail: *b"\n\n\n" }
    }

    /// Passes on all of `input` that belongs to the body; `true` when that was its end.
    async fn pass(
        &mut self,
        input: &mut Buffer,
        body: &mut BodyReader,
        deadline: &mut Deadline,
    ) -> Result<bool, Lost> {
        loop {
            match body.next(input.filled()).map_err(|error| Lost::Source(Fault::Framing(error.0)))? {
                Piece::Content { skip, length } => {
                    input.consume(skip);
                    self.content(&input.filled()[..length], deadline).await?;
                    input.consume(length);
                }
                Piece::More { skip } => {
                    input.consume(skip);
                    // Before waiting for more: what is there goes out, the head first of all.
                    self.flush(&[], deadline).await?;
                    return Ok(false);
                }
                Piece::End { skip } => {
                    input.consume(skip);
                    self.end(body.trailers(), deadline).await?;
                    return Ok(true);
                }
            }
        }
    }

    /// Ends the body before its time, as its kind can.
    async fn part(
        &mut self,
        why: Farewell,
        manner: Manner,
        deadline: &mut Deadline,
    ) -> Result<Relayed, Lost> {
        match (why, manner) {
            (Farewell::Leaving, _) => self.end(&[], deadline).await?,
            (Farewell::Over(why), Manner::Events { cut }) => {
                // Within an event nothing can be added, and a good end would pass off half of it for all there was.
                if cut || !is_between_events(self.tail) {
                    return Err(Lost::Over(why));
                }
                let event = format!("event: error\ndata: {{\"reason\":\"{}\"}}\n\n", why.code());
                self.content(event.as_bytes(), deadline).await?;
                self.end(&[], deadline).await?;
            }
            (Farewell::Over(why), Manner::Messages) => {
                let (status, message) = (refuse::grpc_status(why), why.code());
                let status = format!("grpc-status: {status}\r\ngrpc-message: {message}\r\n");
                self.end(status.as_bytes(), deadline).await?;
            }
            (Farewell::Over(why), Manner::Octets) => return Err(Lost::Over(why)),
        }
        Ok(Relayed::Parted(why))
    }

    async fn content(&mut self, content: &[u8], deadline: &mut Deadline) -> Result<(), Lost> {
        match content.last_chunk() {
            Some(last) => self.tail = *last,
            None => content.iter().for_each(|octet| self.tail = [self.tail[1], self.tail[2], *octet]),
        }
        match self.framing {
            Framing::Chunked => {
                write::chunk_size(self.out, content.len());
                self.out.extend_from_slice(content);
                self.out.extend_from_slice(b"\r\n");
                if self.out.len() >= ROOM { self.flush(&[], deadline).await } else { Ok(()) }
            }
            // Copying a little costs less than a vectored write.
            Framing::None | Framing::Length(_) | Framing::UntilClose
                if self.out.len() + content.len() <= GATHERED =>
            {
                self.out.extend_from_slice(content);
                Ok(())
            }
            Framing::None | Framing::Length(_) | Framing::UntilClose => self.flush(content, deadline).await,
        }
    }

    /// Ends the body; `trailers` are those that its reader kept.
    async fn end(&mut self, trailers: &[u8], deadline: &mut Deadline) -> Result<(), Lost> {
        if self.framing == Framing::Chunked {
            write::last_chunk(self.out, trailers);
        }
        self.flush(&[], deadline).await
    }

    /// Writes `out` and then `content`, together where the receiver takes it.
    async fn flush(&mut self, content: &[u8], deadline: &mut Deadline) -> Result<(), Lost> {
        let lost = |error: io::Error| {
            if error.kind() == io::ErrorKind::TimedOut { Lost::Stalled } else { Lost::Sink }
        };
        send(self.to, self.out, content, self.stall, deadline).await.map_err(lost)?;
        self.out.clear();
        Ok(())
    }
}

/// Whether an event stream that ends like this has ended its last event: with an empty line, of any of the three ends
/// that a line may have.
fn is_between_events(tail: [u8; 3]) -> bool {
    match tail {
        [before, b'\r', b'\n'] => matches!(before, b'\r' | b'\n'),
        [_, before, b'\r' | b'\n'] => matches!(before, b'\r' | b'\n'),
        [..] => false,
    }
}

/// Writes both slices whole; each write waits at most `stall`.
pub(in crate::proxy) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    first: &[u8],
    second: &[u8],
    stall: Duration,
    deadline: &mut Deadline,
) -> io::Result<()> {
    send_counting(to, (first, second), stall, deadline, &mut 0).await
}

/// The same, and adds to `sent` what has gone out, also when it fails.
pub(in crate::proxy) async fn send_counting(
    to: &mut (impl AsyncWrite + Unpin),
    (mut first, mut second): (&[u8], &[u8]),
    stall: Duration,
    deadline: &mut Deadline,
    sent: &mut usize,
) -> io::Result<()> {
    while !first.is_empty() || !second.is_empty() {
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        let slices = if first.is_empty() {
            &slices[1..]
        } else if second.is_empty() {
            &slices[..1]
        } else {
            &slices[..]
        };
        let one = async {
            match slices {
                [slice] => to.write(slice).await,
                slices => to.write_vectored(slices).await,
            }
        };
        let written = match deadline.at_most(stall, one).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        *sent += written;
        let of_first = written.min(first.len());
        first = &first[of_first..];
        second = &second[written - of_first..];
    }
    flush(to, stall, deadline).await
}

/// Has what was written leave: a socket has sent it already, TLS may hold a record that the receiver took no room for
/// yet.
pub(in crate::proxy) async fn flush(
    to: &mut (impl AsyncWrite + Unpin),
    stall: Duration,
    deadline: &mut Deadline,
) -> io::Result<()> {
    deadline.at_most(stall, to.flush()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
