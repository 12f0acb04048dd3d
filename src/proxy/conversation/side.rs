//! One end of a WebSocket whose messages are read and written here.
//!
//! It holds what it was given to send until that is taken, and no more than one message of what has come. Whoever gives and
//! takes looks at [`Side::waiting`] first: nobody is heard whose words could not be passed on.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::http1::websocket::messages::{Event, Kind, Messages, Sender, Step, Violation};
use crate::http1::websocket::{close_frame, ping_to_client, pong_frame, text_frame};
use crate::proxy::whole::Held;
use crate::proxy::worker::{Worker, random};

/// Octets that are read at once.
const PIECE: usize = 8 * 1024;

/// Room that is kept for what is sent next.
const KEPT: usize = 16 * 1024;

/// One end.
pub(super) struct Side<S> {
    stream: S,
    /// It is ours to mask: the other side is a server.
    masks: bool,
    messages: Messages,
    /// What has come and was not read yet.
    come: Vec<u8>,
    read: usize,
    /// What is to be sent, and how much of it was.
    out: Vec<u8>,
    sent: usize,
    /// Since when the other side has taken nothing of it.
    untaken: Option<Instant>,
    room: Option<Room>,
}

/// What is held of a message that is on its way, of all that requests and messages may hold together
/// (`limits.inspected_total`).
struct Room {
    worker: Rc<Worker>,
    /// What is held now, since when, and how much it is.
    held: Option<(Held, Instant, usize)>,
    /// That message has become whole: it is held until the next is looked at.
    ended: bool,
}

/// What the other side said.
#[derive(Debug)]
pub(super) enum Heard {
    Text(String),
    Binary,
    /// A message past its bound.
    TooLong,
    /// A message for which there is no room now.
    NoRoom,
    /// Something that only has to do with the WebSocket itself, and was seen to.
    Nothing,
    Close(Option<(u16, String)>),
    Violation(Violation),
    /// The connection has ended.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Side<S> {
    /// An end at which `sender` sends messages of up to `most` octets; so much has come already.
    pub(super) fn new(stream: S, sender: Sender, most: usize, come: Vec<u8>) -> Self {
        Self {
            stream,
            masks: sender == Sender::Server,
            messages: Messages::new(sender, most),
            come,
            read: 0,
            out: Vec::new(),
            sent: 0,
            untaken: None,
            room: None,
        }
    }

    /// What is held of a message counts among what all may hold together.
    pub(super) fn counted(self, worker: &Rc<Worker>) -> Self {
        Self { room: Some(Room { worker: Rc::clone(worker), held: None, ended: false }), ..self }
    }

    /// When a message that has begun will have been on its way for so long.
    pub(super) fn lingers_until(&self, most: Duration) -> Option<Instant> {
        let began = self.room.as_ref()?.held.as_ref().map(|(_, since, _)| *since)?;
        self.messages.so_far().map(|_| began + most)
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_in_message(&self) -> bool {
        self.messages.so_far().is_some()
    }

    /// Octets that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// When the other side will have taken nothing for too long.
    pub(super) fn stalls_at(&self, stall: Duration) -> Option<Instant> {
        self.untaken.map(|since| since + stall)
    }

    /// Sends a text message.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        let mask = mask(self.masks)?;
        self.out.extend_from_slice(&text_frame(text, mask));
        Ok(())
    }

    /// Sends a client a ping.
    pub(super) fn ping(&mut self) {
        self.out.extend_from_slice(&ping_to_client());
    }

    /// Sends a Close frame.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) -> io::Result<()> {
        let mask = mask(self.masks)?;
        self.out.extend_from_slice(&close_frame(code, reason, mask));
        Ok(())
    }

    /// Sends what waits; ready when nothing does.
    pub(super) fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.untaken = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.untaken.get_or_insert_with(Instant::now);
                    // What was taken of a long queue is not kept until the rest is.
                    if self.sent >= KEPT {
                        self.out.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Poll::Pending;
                }
            }
        }
        if self.sent > 0 {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            // An end that has nothing to say holds no room to say it.
            self.out = Vec::new();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more is sent.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// Hears what comes next. Pings are answered.
    pub(super) fn poll_heard(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        loop {
            while let Some(rest) = self.come.get(self.read..).filter(|rest| !rest.is_empty()) {
                let step = match self.messages.next(rest) {
                    Ok(step) => step,
                    Err(violation) => return Poll::Ready(Heard::Violation(violation)),
                };
                let Step { used, event, control: _ } = step;
                self.read += used;
                if let Some(event) = event {
                    if let (Event::Message { .. }, Some(room)) = (&event, &mut self.room) {
                        room.ended = true;
                    }
                    return Poll::Ready(heard(event, &mut self.out, self.masks));
                }
            }
            let there = self.messages.so_far().and_then(|(_, kept)| kept).map_or(0, <[u8]>::len);
            if self.room.as_mut().is_some_and(|room| !room.holds(there)) {
                return Poll::Ready(Heard::NoRoom);
            }
            // An end that says nothing holds nothing.
            self.come = Vec::new();
            self.read = 0;
            let mut piece = [0; PIECE];
            let mut into = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut into)) {
                Ok(()) if !into.filled().is_empty() => self.come.extend_from_slice(into.filled()),
                Ok(()) | Err(_) => return Poll::Ready(Heard::Ended),
            }
        }
    }

    /// Reads to the end, keeping nothing.
    pub(super) fn poll_waste(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut piece = [0; PIECE];
            let mut into = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// What carries it.
    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl Room {
    /// Holds so much of the message on its way; `false` where that is more than there is room for.
    fn holds(&mut self, there: usize) -> bool {
        if there == 0 || std::mem::take(&mut self.ended) {
            self.held = None;
        }
        if there == 0 {
            return true;
        }
        let (held, _, taken) = self.held.get_or_insert_with(|| (Held::on(&self.worker), Instant::now(), 0));
        let more = there.saturating_sub(*taken);
        *taken += more;
        more == 0 || held.take(more)
    }
}

/// Unpredictable octets to mask a client's frame with (RFC 6455 section 5.3); a server's is not masked.
fn mask(masks: bool) -> io::Result<Option<[u8; 4]>> {
    if masks { random().map(Some) } else { Ok(None) }
}

fn heard(event: Event<'_>, out: &mut Vec<u8>, masks: bool) -> Heard {
    match event {
        Event::Message { payload: None, .. } => Heard::TooLong,
        Event::Message { kind: Kind::Binary, .. } => Heard::Binary,
        Event::Message { kind: Kind::Text, payload: Some(payload) } => {
            String::from_utf8(payload).map_or(Heard::Violation(Violation::Text), Heard::Text)
        }
        Event::Ping(payload) => match mask(masks) {
            Ok(mask) => {
                out.extend_from_slice(&pong_frame(payload, mask));
                Heard::Nothing
            }
            Err(_) => Heard::Ended,
        },
        Event::Pong(_) => Heard::Nothing,
        Event::Close(said) => Heard::Close(said.map(|(code, reason)| (code, reason.to_owned()))),
    }
}
