//! An HTTP/1.1 body, written as a stream's DATA.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http1::body::{BodyReader, Piece};
use crate::proxy::h2::inbound::failed;

/// The sending side of a stream whose head was sent.
#[derive(Debug)]
pub(super) struct Outbound {
    to: SendStream<Bytes>,
    body: BodyReader,
    /// Octets of content that the reader of the body has passed and that were not sent yet: the next written.
    due: usize,
    ended: bool,
}

impl Outbound {
    /// Sends a body that is framed as `body` reads it; `ended` says that there is none, and the stream's end is
    /// sent.
    pub(super) fn new(to: SendStream<Bytes>, body: BodyReader, ended: bool) -> Self {
        Self { to, body, due: 0, ended }
    }

    /// Resolves when the other side has reset the stream.
    pub(super) fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.to.poll_reset(context)
    }

    /// Resets the stream, unless its end was sent.
    pub(super) fn reset(&mut self, reason: Reason) {
        if !self.ended {
            self.to.send_reset(reason);
            self.ended = true;
        }
    }

    /// Takes some of `octets`: as much content as the stream's window and buffer have room for.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut at = 0;
        while at < octets.len() && !self.ended {
            let rest = &octets[at..];
            if self.due == 0 {
                match self.body.next(rest).map_err(|_| io::ErrorKind::InvalidData)? {
                    Piece::Content { skip, length } => (at, self.due) = (at + skip, length),
                    Piece::More { skip } => at += skip,
                    Piece::End { skip } => {
                        at += skip;
                        self.end()?;
                    }
                }
                continue;
            }
            match self.poll_room(context, self.due.min(rest.len())) {
                Poll::Ready(Ok(room)) => {
                    self.send(&rest[..room])?;
                    at += room;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if at > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        match at {
            // Nothing may follow an end.
            0 => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            _ => Poll::Ready(Ok(at)),
        }
    }

    /// How much of `want` octets may be sent now, at least 1.
    fn poll_room(&mut self, context: &mut Context<'_>, want: usize) -> Poll<io::Result<usize>> {
        self.to.reserve_capacity(want);
        let room = match self.to.capacity() {
            0 => match self.to.poll_capacity(context) {
                Poll::Ready(Some(room)) => room.map_err(failed)?,
                Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Poll::Pending => return Poll::Pending,
            },
            room => room,
        };
        Poll::Ready(Ok(room.min(want)))
    }

    fn send(&mut self, content: &[u8]) -> io::Result<()> {
        self.due -= content.len();
        // Where the length is known, the last octets end the stream.
        let last = self.due == 0 && self.body.is_done();
        self.to.send_data(Bytes::copy_from_slice(content), last).map_err(failed)?;
        self.ended = last;
        Ok(())
    }

    /// Ends the stream, after what is its body because it was sent.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        let trailers = fields(self.body.trailers());
        if trailers.is_empty() {
            self.to.send_data(Bytes::new(), true).map_err(failed)
        } else {
            self.to.send_trailers(trailers).map_err(failed)
        }
    }
}

/// The lines of a trailer section. One that HTTP/2 cannot say is left out.
fn fields(section: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in section.split(|octet| *octet == b'\n') {
        let mut halves = line.splitn(2, |octet| *octet == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            fields.append(name, value);
        }
    }
    fields
}
