//! What is to happen in an exchange, and where.

use std::time::Duration;

/// A point of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The request's head has come.
    Head,
    /// Half of its body has come; nothing happens here without a body.
    MidBody,
    /// All of it has come, and nothing was answered.
    Body,
    /// The answer's status line was sent.
    StatusLine,
    /// Half of its head.
    MidHead,
    /// Its head and half of its body.
    MidAnswer,
    /// So many octets of it.
    Octet(usize),
    /// All of it.
    Answer,
}

/// What happens there.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection is reset.
    Reset,
    /// It is closed in good order.
    Close,
    /// Nothing more is sent, and that is said; what comes is read to its end.
    HalfClose,
    /// Nothing more is sent; what comes is read to its end.
    Hang,
    /// Nothing more is read nor sent, for as long as the proxy lives.
    Deaf,
    /// Nothing happens for so long, and then the exchange goes on.
    Delay(Duration),
    /// These octets are sent, and then the exchange goes on.
    Write(Vec<u8>),
    /// These octets are sent unless the next request has come: nobody can take them for an answer to that.
    Belated(Vec<u8>),
    /// The rest of the body is read and no (further) answer is given; the next request may come.
    Done,
}

/// What happens in one exchange.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub(super) steps: Vec<(Phase, Fault)>,
    pub(super) answer: Option<Vec<u8>>,
    pub(super) drip: Option<Duration>,
    pub(super) idle: Option<(Duration, bool)>,
}

impl Phase {
    /// Those in which the request is not answered yet.
    pub const BEFORE: [Self; 3] = [Self::Head, Self::MidBody, Self::Body];
    /// Those within the answer.
    pub const WITHIN: [Self; 3] = [Self::StatusLine, Self::MidHead, Self::MidAnswer];
}

impl Plan {
    /// The request is forwarded, and its answer back.
    pub fn new() -> Self {
        Self::default()
    }

    /// This, there. Several at one point happen in the order given.
    pub fn at(mut self, phase: Phase, fault: Fault) -> Self {
        self.steps.push((phase, fault));
        self
    }

    /// These octets for an answer; the upstream is not asked.
    pub fn answer(mut self, octets: impl Into<Vec<u8>>) -> Self {
        self.answer = Some(octets.into());
        self
    }

    /// The answer octet by octet, with so long between them.
    pub fn drip(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self
    }

    /// The connection is closed (or reset) when no request has come so long after the answer.
    pub fn idle(mut self, wait: Duration, reset: bool) -> Self {
        self.idle = Some((wait, reset));
        self
    }
}
