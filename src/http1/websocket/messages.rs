//! The messages of one direction of a WebSocket, read as strictly as RFC 6455 section 5 says, from octets as they come.
//!
//! What is kept is bounded: a message that is longer than it may be is read and told of, and its payload is not kept.
//! No extension is known here: a message that one has transformed has a reserved bit set and is refused, so that whoever
//! wants to read messages has to keep `Sec-WebSocket-Extensions` out of the handshake.

#[cfg(test)]
mod tests;

use std::mem;

use crate::http1::websocket::frame::{self, Beginning, CONTROL_MAX, Header};
use crate::http1::websocket::utf8::Utf8;

/// Octets that are unmasked at a time.
const PIECE: usize = 512;

/// Who sends what is read: a client masks every frame, a server none (RFC 6455 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Sender {
    Client,
    Server,
}

/// What kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Kind {
    Text,
    Binary,
}

/// Something that has become whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'m> {
    /// A message, all of its fragments.
    Message {
        /// Of this kind.
        kind: Kind,
        /// Unmasked; `None` where it was passed by.
        payload: Option<Vec<u8>>,
    },
    /// A ping, and what it wants back.
    Ping(&'m [u8]),
    /// A pong.
    Pong(&'m [u8]),
    /// A Close frame, with its code and its reason if it has them.
    Close(Option<(u16, &'m str)>),
}

/// What some octets were: all of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'m> {
    /// How many of those given they were; not 0, if some were given.
    pub used: usize,
    /// Of a control frame, which may stand between the fragments of a message.
    pub control: bool,
    /// What they made whole.
    pub event: Option<Event<'m>>,
}

/// Why a direction can be read no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say all")]
pub enum Violation {
    #[error("a reserved bit is set")]
    Reserved,
    #[error("a reserved opcode")]
    Opcode,
    #[error("a client's frame that is not masked")]
    Unmasked,
    #[error("a server's frame that is masked")]
    Masked,
    #[error("a length that is none, or not in its shortest spelling")]
    Length,
    #[error("a control frame that is too long, or a fragment")]
    Control,
    #[error("a continuation of nothing")]
    Continuation,
    #[error("a message within another")]
    Within,
    #[error("a Close frame whose code is none")]
    Code,
    #[error("text that is not UTF-8")]
    Text,
    #[error("a message after a Close frame")]
    AfterClose,
}

/// Reads the messages of one direction.
#[derive(Debug)]
pub struct Messages {
    sender: Sender,
    /// Octets of a message that are kept.
    most: usize,
    beginning: Beginning,
    /// The frame whose payload is on its way, and how much of that has come.
    frame: Option<(Header, u64)>,
    message: Option<Message>,
    control: ([u8; CONTROL_MAX], usize),
    closed: bool,
}

/// A message that is on its way.
#[derive(Debug)]
struct Message {
    kind: Kind,
    /// `None` once it is passed by.
    kept: Option<Vec<u8>>,
    text: Utf8,
}

impl Messages {
    /// Keeps messages of up to `most` octets.
    pub fn new(sender: Sender, most: usize) -> Self {
        Self {
            sender,
            most,
            beginning: Beginning::default(),
            frame: None,
            message: None,
            control: ([0; CONTROL_MAX], 0),
            closed: false,
        }
    }

    /// Reads the next octets of the direction, as far as they are of one frame: a header, or a piece of a payload.
    ///
    /// # Errors
    ///
    /// What RFC 6455 section 5 forbids. Nothing that follows can be read.
    pub fn next(&mut self, octets: &[u8]) -> Result<Step<'_>, Violation> {
        let mut used = 0;
        while self.frame.is_none() {
            let Some(octet) = octets.get(used) else {
                let control = self.beginning.first().is_some_and(frame::is_control);
                return Ok(Step { used, control, event: None });
            };
            used += 1;
            if let Some(header) = self.beginning.take(*octet) {
                self.begin(header)?;
                self.frame = Some((header, 0));
            }
        }
        let Some((header, come)) = self.frame else { return Ok(Step { used, control: false, event: None }) };
        let left = header.length - come;
        let rest = octets.get(used..).unwrap_or_default();
        let here = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        self.take(header, come, rest.get(..here).unwrap_or_default())?;
        used += here;
        let come = come + here as u64;
        self.frame = (come < header.length).then_some((header, come));
        let control = header.is_control();
        let event = if come < header.length { None } else { self.end(header)? };
        Ok(Step { used, control, event })
    }

    /// Whether the last octet was the last of a message, or none has come yet: another message may stand here.
    pub fn is_between(&self) -> bool {
        self.message.is_none() && self.frame.is_none() && self.beginning.is_empty()
    }

    /// The message that is on its way, and what is kept of it, which is nothing where it is passed by; `None` until
    /// its first header is whole.
    pub fn so_far(&self) -> Option<(Kind, Option<&[u8]>)> {
        self.message.as_ref().map(|message| (message.kind, message.kept.as_deref()))
    }

    /// Passes by the message that is on its way: nobody wants to read it.
    pub fn pass_by(&mut self) {
        if let Some(message) = &mut self.message {
            message.kept = None;
        }
    }

    /// Checks a header, and takes what it begins.
    fn begin(&mut self, header: Header) -> Result<(), Violation> {
        let fits = |fits: bool, violation| if fits { Ok(()) } else { Err(violation) };
        fits(!header.has_reserved(), Violation::Reserved)?;
        match self.sender {
            Sender::Client => fits(header.is_masked(), Violation::Unmasked)?,
            Sender::Server => fits(!header.is_masked(), Violation::Masked)?,
        }
        fits(header.is_minimal(), Violation::Length)?;
        let kind = match header.opcode() {
            frame::CLOSE | frame::PING | frame::PONG => {
                self.control.1 = 0;
                let short = header.length <= CONTROL_MAX as u64;
                return fits(short && header.is_final(), Violation::Control);
            }
            frame::CONTINUATION => {
                fits(self.message.is_some(), Violation::Continuation)?;
                return self.keep_room(header.length);
            }
            frame::TEXT => Kind::Text,
            frame::BINARY => Kind::Binary,
            _ => return Err(Violation::Opcode),
        };
        fits(!self.closed, Violation::AfterClose)?;
        fits(self.message.is_none(), Violation::Within)?;
        self.message = Some(Message { kind, kept: Some(Vec::new()), text: Utf8::default() });
        self.keep_room(header.length)
    }

    /// Passes a message by as soon as a header says that it is too long.
    fn keep_room(&mut self, length: u64) -> Result<(), Violation> {
        if self.closed {
            return Err(Violation::AfterClose);
        }
        let so_far = self.so_far().and_then(|(_, kept)| kept).map_or(0, |kept| kept.len() as u64);
        if so_far.saturating_add(length) > self.most as u64 {
            self.pass_by();
        }
        Ok(())
    }

    /// Takes a piece of a frame's payload, which begins at `come`.
    fn take(&mut self, header: Header, come: u64, piece: &[u8]) -> Result<(), Violation> {
        let wanted = header.is_control()
            || self
                .message
                .as_ref()
                .is_some_and(|message| message.kind == Kind::Text || message.kept.is_some());
        if !wanted {
            return Ok(());
        }
        let mut plain = [0; PIECE];
        let mut at = come;
        for piece in piece.chunks(PIECE) {
            let Some(plain) = plain.get_mut(..piece.len()) else { continue };
            plain.copy_from_slice(piece);
            if header.is_masked() {
                frame::mask(plain, header.mask, at);
            }
            at += piece.len() as u64;
            match &mut self.message {
                _ if header.is_control() => {
                    let (octets, there) = &mut self.control;
                    // No longer than a control frame may be: its header was checked.
                    if let Some(place) = octets.get_mut(*there..*there + plain.len()) {
                        place.copy_from_slice(plain);
                        *there += plain.len();
                    }
                }
                Some(message) => message.take(plain)?,
                None => {}
            }
        }
        Ok(())
    }

    /// What the end of a frame makes whole.
    fn end(&mut self, header: Header) -> Result<Option<Event<'_>>, Violation> {
        let (octets, there) = &self.control;
        let payload = octets.get(..*there).unwrap_or_default();
        match header.opcode() {
            frame::PING => return Ok(Some(Event::Ping(payload))),
            frame::PONG => return Ok(Some(Event::Pong(payload))),
            frame::CLOSE => {
                self.closed = true;
                return closing(payload).map(|said| Some(Event::Close(said)));
            }
            _ => {}
        }
        if !header.is_final() {
            return Ok(None);
        }
        let Some(Message { kind, kept, text }) = mem::take(&mut self.message) else { return Ok(None) };
        if kind == Kind::Text && !text.is_whole() {
            return Err(Violation::Text);
        }
        Ok(Some(Event::Message { kind, payload: kept }))
    }
}

impl Message {
    fn take(&mut self, plain: &[u8]) -> Result<(), Violation> {
        if self.kind == Kind::Text && !self.text.pass(plain) {
            return Err(Violation::Text);
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(plain);
        }
        Ok(())
    }
}

/// What a Close frame says (RFC 6455 section 5.5.1).
fn closing(payload: &[u8]) -> Result<Option<(u16, &str)>, Violation> {
    let ([high, low], reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => ([*high, *low], reason),
        [_] => return Err(Violation::Code),
    };
    let code = u16::from_be_bytes([high, low]);
    // Those that an endpoint may send: the others say that there was none, or nothing yet (RFC 6455 section 7.4, and
    // IANA's registry of close codes).
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Code);
    }
    let reason = str::from_utf8(reason).map_err(|_| Violation::Text)?;
    Ok(Some((code, reason)))
}
