//! A WebSocket after the upstream's 101: raw octets both ways until either side ends it (RFC 6455 section 1.4).
//!
//! A direction reads a piece, writes it and holds nothing else; while there is nothing to move it holds no buffer.
//! Nothing bounds the silence between messages: a chat may be quiet all night, and the kernel asks whether the other
//! side is still there. Everything else is bounded: a write by `limits.write_stall`, and what is left of a tunnel with
//! one end by `limits.idle_time`.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gate::grant::Grant;
use crate::http1::head::{Framing, RequestHead, ResponseHead};
use crate::http1::websocket::sieve::Sifted;
use crate::http1::websocket::{Close, Frames, text_to_client};
use crate::http1::write::{self, ResponseEdits};
use crate::metrics::stream::StreamEnd;
use crate::proxy::buffer::{Buffer, ROOM};
use crate::proxy::connection::{Connection, Next};
use crate::proxy::deadline::Deadline;
use crate::proxy::forward::Forwarded;
use crate::proxy::judge::from_now;
use crate::proxy::parting::{Farewell, Farewells, Stay};
use crate::proxy::reach::Link;
use crate::proxy::recheck::{Leash, unless};
use crate::proxy::relay;
use crate::proxy::renewal::{Opened, Renewal};
use crate::proxy::stream::{Halves, ReadHalf, Stream, WriteHalf};
use crate::proxy::worker::{Worker, random};

/// How long an upstream that was told goodbye is still read, so that it sees it before the reset.
const LINGER: Duration = Duration::from_secs(1);

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its source ended between two frames, and its sink was told.
    Passed,
    /// Its source failed, or ended within a frame.
    Cut,
    /// Its sink takes no more.
    Lost,
    /// Its sink took nothing for `write_stall`.
    Stalled,
    /// A goodbye of ours was sent.
    Parted,
}

/// Which way a direction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toward {
    Client,
    Upstream,
}

/// How both ended; a direction that had not ended when the tunnel did has none.
struct Ends {
    upward: Option<End>,
    downward: Option<End>,
    /// Which ended first.
    first: Toward,
}

/// One direction.
struct Way<'w, 's> {
    worker: &'w Worker,
    toward: Toward,
    from: ReadHalf<'w, 's>,
    to: WriteHalf<'w, 's>,
    deadline: &'w mut Deadline,
    frames: Frames,
    farewells: Farewells<'w>,
    /// The code of a Close frame that says that the token is over.
    code: u16,
    /// Looks at what a client sends, where that may renew the stream.
    renewal: Option<Box<Renewal<'w>>>,
    /// What a client is told before the token is over.
    warning: Option<&'w str>,
    /// Pieces moved by both ways: silence is told by it.
    moved: &'w Cell<u64>,
}

/// Tells the client of the 101 in `connection.answer_head`, and carries octets until both ways have ended.
pub(in crate::proxy) async fn tunnel(
    connection: &mut Connection,
    grant: &Grant,
    mut link: Link,
    mut answer: Buffer,
) -> Forwarded {
    let worker = Rc::clone(&connection.worker);
    connection.stay = Some(Stay::on(&worker));
    let status = connection.answer_head.status;
    let opened = Opened::take(connection, grant);
    if switch(connection, grant, &mut answer).await.is_err() {
        worker.spares.take_back(answer);
        worker.streams.closed(StreamEnd::Client);
        return Forwarded::Answered(status, Next::Abort);
    }
    let input = std::mem::take(&mut connection.input);
    let Connection { stream, deadline, downstream, .. } = connection;
    let (mut upward_deadline, leash) = (Deadline::new(), Leash::of(&worker, grant));
    let ends = {
        let (client, upstream) = (Halves::of(stream), Halves::of(&mut link.stream));
        let (from_client, to_client) = client.both();
        let (from_upstream, to_upstream) = upstream.both();
        let renewal = opened.map(|opened| Box::new(opened.renewable(&worker, downstream, grant)));
        let (moved, worker, frames) = (Cell::new(0), &*worker, Frames::default());
        let streams = &grant.route().config.streams;
        let farewells = Farewells { parting: &worker.parting, leash: leash.as_ref() };
        let way = |toward, from, to, deadline| Way {
            worker,
            toward,
            from,
            to,
            deadline,
            frames: frames.clone(),
            farewells,
            code: streams.close,
            renewal: None,
            warning: None,
            moved: &moved,
        };
        let upward = way(Toward::Upstream, from_client, to_upstream, &mut upward_deadline);
        let upward = Way { renewal, ..upward };
        let downward = way(Toward::Client, from_upstream, to_client, deadline);
        let warning = streams.warning.as_ref().map(|warning| &*warning.message);
        let downward = Way { warning, ..downward };
        let both = both(upward.carry(input), downward.carry(answer), &moved, worker.limits().idle_time);
        match &leash {
            None => both.await,
            Some(leash) => unless(leash.cut(), both).await.unwrap_or(Ends::CUT),
        }
    };
    connection.over = leash.as_ref().and_then(Leash::over);
    worker.streams.closed(connection.over.map_or_else(|| ends.reason(), StreamEnd::of));
    leave(&worker, link, ends.upward);
    // A client that has every frame of what there was is let go in good order; any other sees a reset.
    let next = match ends.downward {
        Some(End::Passed | End::Parted) => Next::Close,
        Some(End::Cut | End::Lost | End::Stalled) | None => Next::Abort,
    };
    Forwarded::Answered(status, next)
}

/// Sends the 101, and gives back what an idle tunnel has no use for.
async fn switch(connection: &mut Connection, grant: &Grant, answer: &mut Buffer) -> io::Result<()> {
    let Connection { out, answer_head, cors, .. } = connection;
    out.clear();
    let add: Vec<(&str, &str)> = cors.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let own_cors = grant.cors().is_some();
    let edits =
        ResponseEdits { framing: Framing::None, declared_length: None, close: false, own_cors, add: &add };
    write::response_head(out, answer.filled(), answer_head, &edits);
    answer.consume(answer_head.length);
    connection.send_out().await?;
    connection.worker.spares.take_back_out(std::mem::take(&mut connection.out));
    connection.head = RequestHead::default();
    connection.answer_head = ResponseHead::default();
    Ok(())
}

/// Waits for both ways. One that has nowhere to go ends the tunnel; one that has ended well leaves the other as long
/// as something moves at least every `alone`.
async fn both(
    upward: impl Future<Output = End>,
    downward: impl Future<Output = End>,
    moved: &Cell<u64>,
    alone: Duration,
) -> Ends {
    let (mut upward, mut downward) = (pin!(upward), pin!(downward));
    let mut ends = Ends { upward: None, downward: None, first: Toward::Client };
    let mut seen = 0;
    let mut silence = pin!(tokio::time::sleep(Duration::MAX));
    loop {
        let half = ends.upward.is_some() || ends.downward.is_some();
        tokio::select! {
            biased;
            end = &mut downward, if ends.downward.is_none() => ends.downward = Some(end),
            end = &mut upward, if ends.upward.is_none() => ends.upward = Some(end),
            () = &mut silence, if half => {
                if moved.get() == seen {
                    return ends;
                }
                seen = moved.get();
                silence.as_mut().reset(from_now(alone));
                continue;
            }
        }
        if ends.downward.is_none() {
            ends.first = Toward::Upstream;
        }
        if ends.is_over() {
            return ends;
        }
        seen = moved.get();
        silence.as_mut().reset(from_now(alone));
    }
}

/// Ends the upstream's connection as the way toward it ended.
fn leave(worker: &Rc<Worker>, mut link: Link, upward: Option<End>) {
    match upward {
        Some(End::Passed) => {}
        Some(End::Parted) => {
            let stay = Stay::on(worker);
            // Closing with octets unread would reset what the upstream has not read yet: the goodbye.
            tokio::task::spawn_local(async move {
                let _stay = stay;
                // Both bounded: over TLS even the end is something that has to be taken.
                let _read = tokio::time::timeout(LINGER, async {
                    if link.stream.shutdown().await.is_ok() {
                        waste(&mut link.stream).await;
                    }
                })
                .await;
            });
        }
        Some(End::Cut | End::Lost | End::Stalled) | None => link.stream.abort(),
    }
}

/// Reads to the end, keeping nothing.
async fn waste(from: &mut Stream) {
    let mut octets = [0; 1024];
    while matches!(from.read(&mut octets).await, Ok(1..)) {}
}

impl Ends {
    /// Of a tunnel that was cut off.
    const CUT: Self = Self { upward: None, downward: None, first: Toward::Client };

    /// Whether nothing is left to carry. An upstream that takes no more may have said something before: it is heard.
    fn is_over(&self) -> bool {
        match (self.upward, self.downward) {
            (Some(_), Some(_)) => true,
            (Some(End::Cut | End::Stalled), None) | (None, Some(End::Cut | End::Lost | End::Stalled)) => true,
            (Some(End::Passed | End::Parted | End::Lost), None)
            | (None, Some(End::Passed | End::Parted))
            | (None, None) => false,
        }
    }

    /// By whose doing it ended.
    fn reason(&self) -> StreamEnd {
        let ended = [self.upward, self.downward];
        let has = |end| ended.contains(&Some(end));
        let first = match self.first {
            Toward::Upstream => self.upward,
            Toward::Client => self.downward,
        };
        if has(End::Parted) {
            return StreamEnd::Drained;
        }
        if has(End::Stalled) || ended.contains(&None) && first == Some(End::Passed) {
            return StreamEnd::Stalled;
        }
        match (self.first, first) {
            // A way ends by its source's doing, unless its sink failed it.
            (Toward::Upstream, Some(End::Lost)) => StreamEnd::Upstream,
            (Toward::Client, Some(End::Lost)) | (Toward::Upstream, _) => StreamEnd::Client,
            (Toward::Client, _) => StreamEnd::Upstream,
        }
    }
}

impl<'w> Way<'w, '_> {
    /// Carries what is `held`, and then whatever comes.
    async fn carry(mut self, held: Buffer) -> End {
        let spares = &self.worker.spares;
        let mut held = Some(held);
        loop {
            if let Some(why) = self.farewells.said()
                && self.frames.is_between()
            {
                spares.take_back(held.unwrap_or_default());
                return self.part(why).await;
            }
            if let Some(leash) = self.due()
                && self.frames.is_between_messages()
            {
                leash.warned();
                if let Err(end) = Box::pin(self.warn()).await {
                    spares.take_back(held.unwrap_or_default());
                    return end;
                }
            }
            let mut buffer = match held.take() {
                Some(buffer) => buffer,
                None => {
                    self.wait().await;
                    spares.lend()
                }
            };
            if buffer.is_empty() {
                match now(buffer.fill(&mut self.from, ROOM)).await {
                    Some(Ok(1..)) => {}
                    // Nothing to move: nothing to hold.
                    None => {
                        spares.take_back(buffer);
                        continue;
                    }
                    Some(Ok(0)) if self.is_between() => {
                        spares.take_back(buffer);
                        return self.pass_end().await;
                    }
                    Some(Ok(0) | Err(_)) => {
                        spares.take_back(buffer);
                        return End::Cut;
                    }
                }
            }
            if let Err(end) = self.deliver(&mut buffer).await {
                spares.take_back(buffer);
                return end;
            }
            held = Some(buffer);
        }
    }

    /// Whether nothing has begun that has not ended.
    fn is_between(&self) -> bool {
        self.frames.is_between() && self.renewal.as_ref().is_none_or(|renewal| renewal.holds_nothing())
    }

    /// Where it is time to warn the client: what says so.
    fn due(&self) -> Option<&'w Leash> {
        self.warning.and(self.farewells.leash).filter(|leash| leash.is_warning_due())
    }

    /// Warns the client, unless a Close frame has gone by already.
    async fn warn(&mut self) -> Result<(), End> {
        match self.warning {
            Some(message) if !self.frames.is_closed() => {
                self.send(&text_to_client(message)).await.map_err(end)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Resolves when there may be something to read, a goodbye to say between two frames, or a warning between two
    /// messages.
    async fn wait(&mut self) {
        let mut goodbye = pin!(self.farewells.heard());
        let between = self.frames.is_between();
        let leash = self.warning.and(self.farewells.leash).filter(|_| self.frames.is_between_messages());
        let mut warning = pin!(async {
            match leash {
                Some(leash) => leash.warning().await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|context| {
            if between && goodbye.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if warning.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // An error is met by the read that follows.
            self.from.poll_readable(context).map(drop)
        })
        .await;
    }

    /// Writes what is in `buffer`; once goodbye is said, no further than to the end of the frame that is on its way, and
    /// where there is a warning to give, no further than to the end of the message.
    async fn deliver(&mut self, buffer: &mut Buffer) -> Result<(), End> {
        let count = match self.farewells.said() {
            Some(_) => self.frames.to_end(buffer.filled()),
            None if self.due().is_some() => self.frames.to_message_end(buffer.filled()),
            None => buffer.len(),
        };
        if self.renewal.is_some() {
            // Boxed, as all that is rare: every tunnel would else carry the room for it.
            Box::pin(self.sift(buffer, count)).await?;
        } else {
            self.send(&buffer.filled()[..count]).await.map_err(end)?;
            self.frames.pass(&buffer.filled()[..count]);
            buffer.consume(count);
        }
        self.moved.set(self.moved.get() + 1);
        Ok(())
    }

    /// Writes what is to go on of the first `count` octets of `buffer`; a message that brings a token is not, and what
    /// follows it waits until that is decided on.
    async fn sift(&mut self, buffer: &mut Buffer, count: usize) -> Result<(), End> {
        let Some(renewal) = &mut self.renewal else { return Ok(()) };
        let mut out = self.worker.spares.lend_out();
        let sifted = renewal.sift(&buffer.filled()[..count], &mut out);
        let sent = if out.is_empty() { Ok(()) } else { self.send(&out).await };
        self.frames.pass(&out);
        self.worker.spares.take_back_out(out);
        sent.map_err(end)?;
        // What comes after octets that are no frame means nothing.
        let Sifted { used, found } = sifted.map_err(|_| End::Cut)?;
        buffer.consume(used);
        if let (Some(token), Some(renewal)) = (found, &mut self.renewal) {
            renewal.bring(&token, self.farewells).await;
        }
        Ok(())
    }

    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        let stall = self.worker.limits().write_stall;
        relay::send(&mut self.to, octets, &[], stall, self.deadline).await?;
        let flushed = self.deadline.at_most(stall, self.to.flush()).await;
        flushed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Tells the sink that nothing more comes.
    async fn pass_end(&mut self) -> End {
        let stall = self.worker.limits().write_stall;
        match self.deadline.at_most(stall, self.to.shutdown()).await {
            Ok(_) => End::Passed,
            Err(_) => End::Stalled,
        }
    }

    /// Says goodbye, unless a Close frame has gone by already.
    async fn part(&mut self, why: Farewell) -> End {
        if self.frames.is_closed() {
            return End::Parted;
        }
        let why = match why {
            Farewell::Leaving => Close::GoingAway,
            Farewell::Over(why) => Close::Because { code: self.code, reason: why.code() },
        };
        let said = match self.toward {
            Toward::Client => self.send(&why.to_client()).await,
            Toward::Upstream => match random() {
                Ok(mask) => self.send(&why.to_server(mask)).await,
                Err(error) => Err(error),
            },
        };
        said.map_or_else(end, |()| End::Parted)
    }
}

/// How a direction ends whose sink has failed.
fn end(error: io::Error) -> End {
    if error.kind() == io::ErrorKind::TimedOut { End::Stalled } else { End::Lost }
}

/// Polls once: `None` where it would wait.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
