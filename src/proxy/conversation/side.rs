//! One end of a WebSocket whose messages are read and written here.
//!
//! It holds what it was given to send until that is taken, and no more than one message of what has come. Whoever gives and
//! takes looks at [`Side::waiting`] first: nobody is heard whose words could not be passed on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::http1::websocket::messages::{Event, Kind, Messages, Sender, Step, Violation};
use crate::http1::websocket::{close_frame, pong_frame, text_frame};
use crate::proxy::worker::random;

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
}

/// What the other side said.
#[derive(Debug)]
pub(super) enum Heard {
    Text(String),
    Binary,
    /// A message past its bound.
    TooLong,
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
        }
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
                    return Poll::Ready(heard(event, &mut self.out, self.masks));
                }
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
