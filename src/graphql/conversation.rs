//! GraphQL over a WebSocket: one conversation, as the side that is asked sees it.
//!
//! Two protocols say the same in other words: `graphql-transport-ws`, and the older `graphql-ws` of
//! `subscriptions-transport-ws`. What is read is what is meant ([`message`]), so that the upstream may speak the other one of
//! those that the client has offered. Nothing of what a client sends goes on as it came but an operation's payload: a message is
//! written anew from its id and that, and what else stood in it has no reader.
//!
//! # Threats
//!
//! | attack | rule | proved by |
//! |---|---|---|
//! | an operation before the connection was acknowledged (CVE-2026-35523) | nothing begins before `connection_init`, in either protocol | `graphql::conversation::tests`, `it::graphql::conversation` |
//! | a message that two parsers read differently | members that mean something stand once, whatever their case and escapes | `graphql::conversation::message::tests` |
//! | operations without end, or ids without end | `messages.operations`, [`ID`] | the same |
//! | an answer to another operation of the same id | an id is free again only when its operation has ended | the same |

pub mod credential;
pub mod fault;
pub mod message;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::graphql::conversation::fault::Fault;
use crate::graphql::conversation::message::{Message, Party, Protocol};

/// Octets of an operation's id, at most. Clients make UUIDs and counters.
pub const ID: usize = 256;

/// The state of one conversation. `W` is where an operation runs.
#[derive(Debug)]
pub struct Conversation<W> {
    protocol: Protocol,
    /// Operations under way at once.
    most: usize,
    acknowledged: bool,
    /// `None` while it is being decided on.
    running: HashMap<Box<str>, Option<W>>,
}

/// What a client's message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'m> {
    /// To begin; the payload, a JSON object, may bring a token.
    Init(Option<&'m str>),
    /// To go on under a new token: `connection_init` once more, in the older protocol.
    Again(Option<&'m str>),
    /// To be answered; the payload may bring a new token.
    Ping(Option<&'m str>),
    /// To run what the payload, a JSON object, says. The id is taken.
    Begin {
        /// The operation's id.
        id: Box<str>,
        /// What a POST's body would be.
        payload: &'m str,
    },
    /// The same, past the bound on operations: the id is not taken.
    Full {
        /// The operation's id.
        id: Box<str>,
    },
    /// To end an operation. It is unknown where it has ended by itself meanwhile.
    End {
        /// Its id.
        id: Box<str>,
    },
    /// To end all.
    Terminate,
    /// Nothing.
    Nothing,
}

impl<W: Copy + PartialEq> Conversation<W> {
    /// One that has not begun, in which so many operations may run at once.
    pub fn new(protocol: Protocol, most: usize) -> Self {
        Self { protocol, most, acknowledged: false, running: HashMap::new() }
    }

    /// What is spoken.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.acknowledged
    }

    /// Hears a message of the client's.
    ///
    /// # Errors
    ///
    /// What ends the conversation.
    pub fn hear<'m>(&mut self, text: &'m str) -> Result<Said<'m>, Fault> {
        let message = message::read(self.protocol, Party::Client, text).ok_or(Fault::Malformed)?;
        match message {
            Message::Init(payload) if !self.acknowledged => {
                self.acknowledged = true;
                Ok(Said::Init(payload))
            }
            Message::Init(payload) => match self.protocol {
                Protocol::Transport => Err(Fault::TwoInits),
                Protocol::Legacy => Ok(Said::Again(payload)),
            },
            Message::Ping(payload) => Ok(Said::Ping(payload)),
            Message::Pong(_) => Ok(Said::Nothing),
            Message::Begin { .. } if !self.acknowledged => Err(Fault::Early),
            Message::Begin { id, .. } if self.running.contains_key(&*id) => Err(Fault::SameId),
            Message::Begin { id, .. } if self.running.len() >= self.most => Ok(Said::Full { id: id.into() }),
            Message::Begin { id, payload } => {
                let id: Box<str> = id.into();
                self.running.insert(id.clone(), None);
                Ok(Said::Begin { id, payload })
            }
            Message::Complete { id } => Ok(Said::End { id: id.into() }),
            Message::Terminate => Ok(Said::Terminate),
            // What only the other side says.
            Message::Ack(_)
            | Message::Alive
            | Message::NotBegun(_)
            | Message::Next { .. }
            | Message::Error { .. } => Err(Fault::Malformed),
        }
    }

    /// The operation that was decided on runs there.
    pub fn runs(&mut self, id: &str, there: W) {
        if let Some(place) = self.running.get_mut(id) {
            *place = Some(there);
        }
    }

    /// Where this operation runs; `None` where there is none, or it is being decided on.
    pub fn place(&self, id: &str) -> Option<W> {
        self.running.get(id).copied().flatten()
    }

    /// The operation has ended: its id is free. Where it ran.
    pub fn ended(&mut self, id: &str) -> Option<W> {
        self.running.remove(id).flatten()
    }

    /// Whether any operation runs there.
    pub fn is_any_at(&self, there: W) -> bool {
        self.running.values().any(|place| *place == Some(there))
    }

    /// Operations under way.
    pub fn running(&self) -> usize {
        self.running.len()
    }
}
