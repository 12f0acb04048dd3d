//! What a route's long streams do when their token dies.

use std::time::Duration;

use crate::config::defaults;
use crate::token::claims::Selector;

/// `streams` of a route: WebSockets, event streams, long answers. None outlives its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// The close code that both ends of a WebSocket get (RFC 6455 section 7.4): 1008, or one from 4000 to 4999.
    pub close: u16,
    /// How long past the token's `exp` and leeway a stream may go on; never past a revocation.
    pub grace: Duration,
    /// What a WebSocket's client is told before its token ends.
    pub warning: Option<Warning>,
    /// Which of a client's messages bring a new token.
    pub reauthenticate: Option<Reauthenticate>,
}

/// `streams.warning`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// How long before the stream's end.
    pub before: Duration,
    /// A text message's whole payload. Not empty, and at most [`defaults::WARNING_MESSAGE`] octets.
    pub message: Box<str>,
}

/// `streams.reauthenticate`: a text message, one JSON object, that has a string here and is like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reauthenticate {
    /// Where the token is in it.
    pub token: Selector,
    /// What else it says: at most [`defaults::REAUTHENTICATE_WHEN`] members.
    pub when: Vec<Member>,
}

/// A member that a message has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As written: a name or a pointer.
    pub name: Box<str>,
    /// Where that is.
    pub selector: Selector,
    /// What it has to be.
    pub value: Literal,
}

/// The value of a [`Member`], of a JSON type of its own: no number is like a string.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Literal {
    Text(Box<str>),
    Flag(bool),
    Whole(u64),
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            close: defaults::STREAM_CLOSE,
            grace: defaults::STREAM_GRACE,
            warning: None,
            reauthenticate: None,
        }
    }
}
