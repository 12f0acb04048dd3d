//! Takes some messages out of a client's direction, and leaves all else as it is, octet for octet.
//!
//! What may still be wanted is held until that is known, and nothing longer: text whose first octet begins a JSON object
//! and which is short enough. Control frames are not held; they overtake the fragments that they stand between, as
//! they may (RFC 6455 section 5.4).

#[cfg(test)]
mod tests;

use std::mem;

use crate::http1::websocket::messages::{Event, Kind, Messages, Sender, Step, Violation};

/// Fragments of one message whose headers there is room for.
const FRAGMENTS: usize = 64;

/// Octets of the longest header (RFC 6455 section 5.2).
const HEADER: usize = 14;

/// Sifts one direction.
#[derive(Debug)]
pub struct Sieve {
    messages: Messages,
    /// Octets, as they came, of the message on its way, or of a header that begins one.
    held: Vec<u8>,
    /// Octets that are held at most.
    most: usize,
}

/// What became of some octets.
#[derive(Debug, PartialEq, Eq)]
pub struct Sifted<T> {
    /// How many of those given were looked at: all of them, unless something was found.
    pub used: usize,
    /// What was found in a message that was taken out.
    pub found: Option<T>,
}

impl Sieve {
    /// Wants messages of up to `most` octets.
    pub fn new(most: usize) -> Self {
        let messages = Messages::new(Sender::Client, most);
        Self { messages, held: Vec::new(), most: most + FRAGMENTS * HEADER }
    }

    /// Sifts the next octets, up to the first message in which `look` finds something; what goes on is appended to
    /// `out`.
    ///
    /// # Errors
    ///
    /// Octets that are no client's frames: where the next message begins is not known.
    pub fn sift<T>(
        &mut self,
        octets: &[u8],
        out: &mut Vec<u8>,
        look: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Sifted<T>, Violation> {
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            let Step { used, control, event } = self.messages.next(rest)?;
            let (here, whole) = (rest.get(..used).unwrap_or_default(), event.is_some());
            at += used;
            if control {
                out.extend_from_slice(here);
                continue;
            }
            if let Some(Event::Message { kind: Kind::Text, payload: Some(payload) }) = &event
                && begins_object(payload)
                && self.held.len() + used <= self.most
                && let Some(found) = look(payload)
            {
                self.held = Vec::new();
                return Ok(Sifted { used: at, found: Some(found) });
            }
            if !whole && self.may_be_wanted() && self.held.len() + used <= self.most {
                self.held.extend_from_slice(here);
                continue;
            }
            self.messages.pass_by();
            out.append(&mut mem::take(&mut self.held));
            out.extend_from_slice(here);
        }
        Ok(Sifted { used: at, found: None })
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether the message on its way may still be one that is looked at. What has only begun to begin may.
    fn may_be_wanted(&self) -> bool {
        match self.messages.so_far() {
            None => true,
            Some((Kind::Binary, _) | (Kind::Text, None)) => false,
            Some((Kind::Text, Some(so_far))) => begins_object(so_far),
        }
    }
}

/// Whether what begins like this may be a JSON object: white space goes before it (RFC 8259 section 2).
fn begins_object(text: &[u8]) -> bool {
    let first = text.iter().find(|octet| !matches!(octet, b' ' | b'\t' | b'\n' | b'\r'));
    first.is_none_or(|first| *first == b'{')
}
