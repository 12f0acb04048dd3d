//! A stream's DATA, read as an HTTP/1.1 body.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use tokio::io::ReadBuf;

use crate::http1::write;
use crate::proxy::h2::is_well_formed;

/// How the content is framed in the octets that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    /// As it is: the head says how much comes, and `h2` has made sure that this much comes.
    Plain,
    /// In chunks, without trailers.
    Chunks,
    /// In chunks, with the trailers that came.
    ChunksAndTrailers,
}

/// What is read of a stream: a head that was made before, then the body.
#[derive(Debug)]
pub(super) struct Inbound {
    from: RecvStream,
    framed: Framed,
    /// Octets of ours that stand before the content: the head, chunk lines.
    ours: Vec<u8>,
    read: usize,
    /// Content that came, as far as it was not read yet.
    content: Bytes,
    stage: Stage,
}

/// What comes next of the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Data,
    Trailers,
    Done,
}

impl Inbound {
    /// Reads `head`, then the body.
    pub(super) fn new(head: Vec<u8>, from: RecvStream, framed: Framed) -> Self {
        Self { from, framed, ours: head, read: 0, content: Bytes::new(), stage: Stage::Data }
    }

    /// Resolves when there is something to read; `false` says that the body has ended, and everything of it was read.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.read < self.ours.len() || !self.content.is_empty() {
                return Poll::Ready(Ok(true));
            }
            if self.stage == Stage::Done {
                return Poll::Ready(Ok(false));
            }
            ready!(self.poll_frames(context))?;
        }
    }

    /// Reads some; `false` says that the body has ended, and everything of it was read.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = into.filled().len();
        loop {
            self.hand_out(into)?;
            if into.filled().len() > before || into.remaining() == 0 {
                return Poll::Ready(Ok(true));
            }
            if self.stage == Stage::Done {
                return Poll::Ready(Ok(false));
            }
            ready!(self.poll_frames(context))?;
        }
    }

    /// Takes what comes next of the frames; all that came before was read.
    fn poll_frames(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stage {
            Stage::Data => match ready!(self.from.poll_data(context)) {
                Some(content) => self.take(content.map_err(failed)?),
                None if self.framed == Framed::ChunksAndTrailers => self.stage = Stage::Trailers,
                None => self.finish(&[]),
            },
            Stage::Trailers => {
                let trailers = ready!(self.from.poll_trailers(context)).map_err(failed)?;
                if !trailers.as_ref().is_none_or(is_well_formed) {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                let mut section = Vec::new();
                for (name, value) in trailers.iter().flatten() {
                    field(&mut section, name.as_str(), value.as_bytes());
                }
                self.finish(&section);
            }
            Stage::Done => {}
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, content: Bytes) {
        self.content = content;
        if self.framed != Framed::Plain && !self.content.is_empty() {
            write::chunk_size(&mut self.ours, self.content.len());
        }
    }

    fn finish(&mut self, trailers: &[u8]) {
        self.stage = Stage::Done;
        if self.framed != Framed::Plain {
            write::last_chunk(&mut self.ours, trailers);
        }
    }

    /// Copies out what is there: our octets, then content.
    fn hand_out(&mut self, into: &mut ReadBuf<'_>) -> io::Result<()> {
        let ours = self.ours.get(self.read..).unwrap_or_default();
        let count = ours.len().min(into.remaining());
        into.put_slice(&ours[..count]);
        self.read += count;
        if self.read < self.ours.len() {
            return Ok(());
        }
        // A head is made once, and nothing that is written here afterwards is as long.
        if self.read > 0 {
            (self.ours, self.read) = (Vec::new(), 0);
        }
        let count = self.content.len().min(into.remaining());
        if count == 0 {
            return Ok(());
        }
        into.put_slice(&self.content[..count]);
        self.content.advance(count);
        if self.content.is_empty() && self.framed != Framed::Plain {
            self.ours.extend_from_slice(b"\r\n");
        }
        // Only what was read lets the other side send more: that is the back-pressure.
        self.from.flow_control().release_capacity(count).map_err(failed)
    }
}

/// Appends a field line.
pub(super) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// A stream's end that is no good one. Whether by a reset or with its connection, nothing is whole.
pub(super) fn failed(error: h2::Error) -> io::Error {
    if error.is_io()
        && let Some(error) = error.get_io()
    {
        return error.kind().into();
    }
    io::ErrorKind::ConnectionReset.into()
}
