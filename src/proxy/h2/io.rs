//! The connection that frames go over: what was read of it before, and whether it takes what is written.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::proxy::stream::Stream;

/// A connection's octets, since when a write has been waiting, and how much was read.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    /// Octets that were read before it was known what they are.
    ahead: Bytes,
    stalled: Rc<Cell<Option<Instant>>>,
    heard: Rc<Cell<u64>>,
}

impl Watched {
    pub(super) fn new(stream: Stream, ahead: Bytes) -> Self {
        Self { stream, ahead, stalled: Rc::default(), heard: Rc::default() }
    }

    /// Since when nothing could be written, while something was to be.
    pub(super) fn stalled(&self) -> Rc<Cell<Option<Instant>>> {
        Rc::clone(&self.stalled)
    }

    /// Counts the reads that brought something.
    pub(super) fn heard(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.heard)
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        match (written.is_pending(), self.stalled.get()) {
            (true, None) => self.stalled.set(Some(Instant::now())),
            (false, Some(_)) => self.stalled.set(None),
            (true, Some(_)) | (false, None) => {}
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let read = Pin::new(&mut self.stream).poll_read(context, into);
            if read.is_ready() {
                self.heard.set(self.heard.get().wrapping_add(1));
            }
            return read;
        }
        let count = self.ahead.len().min(into.remaining());
        into.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, octets);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
