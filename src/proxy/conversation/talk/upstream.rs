//! What is run, where, and what comes of it.

use std::io;
use std::rc::Rc;

use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::{Grant, Identity};
use crate::graphql::conversation::message::{self, Message, Party, Protocol};
use crate::proxy::conversation::deciding::Granted;
use crate::proxy::conversation::ending::{self, Ending, Words};
use crate::proxy::conversation::side::Heard;
use crate::proxy::conversation::talk::{Number, State, Talk, Upward};
use crate::proxy::conversation::upward::{Reach, Reached};
use crate::proxy::recheck::Leash;

/// Conversations with upstreams at once, of one client's: one for nobody, one for a token, and some for the tokens that
/// come after it.
const UPSTREAMS: usize = 4;

impl Talk<'_> {
    /// Runs an operation that was granted, under the identity of its grant.
    pub(super) fn run(
        &mut self,
        id: Box<str>,
        payload: &Rc<str>,
        granted: Granted,
    ) -> Result<(), Box<Ending>> {
        self.hold_to(&granted.grant);
        let instead = instead(&granted.grant);
        let Some(number) = self.upstream_for(granted) else {
            return self.refuse(&id, &Denial::new(Reason::Overloaded, "too many identities at once"));
        };
        self.conversation.runs(&id, number);
        let payload = instead.unwrap_or_else(|| Rc::from(payload.as_bytes()));
        let Some(upward) = self.upward.get_mut(&number) else { return Ok(()) };
        match &mut upward.state {
            State::Opening(_, waiting) => {
                waiting.push((id, payload));
                Ok(())
            }
            State::Open(reached) => match begin(reached, &id, &payload) {
                Ok(()) => Ok(()),
                Err(_) => self.failed(number, bad_gateway()),
            },
        }
    }

    /// Holds the conversation to the token of a grant, from the first that has one.
    fn hold_to(&mut self, grant: &Rc<Grant>) {
        if self.latest.is_some() || matches!(grant.identity(), Identity::Anonymous) {
            return;
        }
        self.latest = Some(Rc::clone(grant));
        let Some(leash) = Leash::of(self.worker, grant).map(Rc::new) else { return };
        self.leash = Some(Rc::clone(&leash));
        self.over = Some(Box::pin(async move { leash.ended().await }));
    }

    /// The conversation with the upstream under this grant's identity: one that there is, or a new one.
    fn upstream_for(&mut self, granted: Granted) -> Option<Number> {
        let (name, head) = (&granted.grant.upstream().name, &granted.head);
        let there = self.upward.iter().find(|(_, there)| there.upstream == *name && there.head == *head);
        if let Some((number, _)) = there {
            return Some(*number);
        }
        if self.upward.len() >= UPSTREAMS {
            let idle = |number: &Number| !self.conversation.is_any_at(*number);
            let idle = self.upward.keys().copied().find(idle)?;
            self.let_go(idle);
        }
        self.reached = self.reached.wrapping_add(1);
        let (upstream, head) = (name.clone(), head.clone());
        let (worker, opened) = (Rc::clone(self.worker), Rc::clone(&self.opened));
        let reach = Reach { worker, opened, granted, payload: self.payload.clone() };
        let state = State::Opening(Box::pin(reach.begin()), Vec::new());
        self.upward.insert(self.reached, Upward { upstream, head, state });
        Some(self.reached)
    }

    /// Takes leave of an upstream that nothing is asked of any more.
    fn let_go(&mut self, number: Number) {
        if let Some(Upward { state: State::Open(reached), .. }) = self.upward.remove(&number) {
            ending::leave(self.worker, *reached, &Words::new(ending::NORMAL, ""));
        }
    }

    /// An upstream was reached, or was not: then what waits for it is refused.
    pub(super) fn opened(
        &mut self,
        number: Number,
        opened: Result<Box<Reached>, Denial>,
    ) -> Result<(), Box<Ending>> {
        let Some(upward) = self.upward.get_mut(&number) else { return Ok(()) };
        let State::Opening(_, waiting) = &mut upward.state else { return Ok(()) };
        let waiting = std::mem::take(waiting);
        match opened {
            Ok(mut reached) => {
                let begun = waiting.iter().try_for_each(|(id, payload)| begin(&mut reached, id, payload));
                upward.state = State::Open(reached);
                begun.or_else(|_| self.failed(number, bad_gateway()))
            }
            Err(denial) => {
                self.upward.remove(&number);
                waiting.iter().try_for_each(|(id, _)| self.refuse(id, &denial))
            }
        }
    }

    /// The client wants no more of an operation.
    pub(super) fn stop(&mut self, id: &str) -> io::Result<()> {
        let Some(number) = self.conversation.ended(id) else { return Ok(()) };
        match self.upward.get_mut(&number).map(|upward| &mut upward.state) {
            Some(State::Opening(_, waiting)) => {
                waiting.retain(|(there, _)| **there != *id);
                Ok(())
            }
            Some(State::Open(reached)) => {
                let stop = Message::Complete { id: id.into() };
                let stop = message::write(reached.protocol, Party::Client, &stop);
                // An upstream that cannot be told is found out about when it is heard next.
                let _ = reached.side.say(&stop.unwrap_or_default());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Hears an upstream.
    pub(super) fn answered(&mut self, number: Number, heard: Heard) -> Result<(), Box<Ending>> {
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Nothing => return Ok(()),
            Heard::Close(Some((code, reason))) => return self.failed(number, Words::new(code, reason)),
            Heard::Close(None) => return self.failed(number, Words::new(ending::NORMAL, "")),
            Heard::Binary | Heard::TooLong | Heard::NoRoom | Heard::Violation(_) | Heard::Ended => {
                return self.failed(number, bad_gateway());
            }
        };
        let Some(State::Open(reached)) = self.upward.get_mut(&number).map(|upward| &mut upward.state) else {
            return Ok(());
        };
        let said = match message::read(reached.protocol, Party::Server, &text) {
            Some(Message::Ping(payload)) => {
                let pong = message::write(reached.protocol, Party::Client, &Message::Pong(payload));
                reached.side.say(&pong.unwrap_or_default())
            }
            Some(Message::Alive) if self.conversation.protocol() == Protocol::Legacy => {
                self.say(&Message::Alive)
            }
            Some(Message::Pong(_) | Message::Alive | Message::Ack(_)) => Ok(()),
            // An answer to what was not asked there, or not any more, is nobody's.
            Some(Message::Next { id, payload }) => {
                if self.conversation.place(&id) != Some(number) {
                    return Ok(());
                }
                self.say(&Message::Next { id, payload })
            }
            Some(last @ (Message::Error { .. } | Message::Complete { .. })) => {
                let (Message::Error { id, .. } | Message::Complete { id }) = &last else { return Ok(()) };
                if self.conversation.place(id) != Some(number) {
                    return Ok(());
                }
                self.conversation.ended(id);
                self.say(&last)
            }
            Some(Message::NotBegun(_) | Message::Init(_) | Message::Begin { .. } | Message::Terminate)
            | None => return self.failed(number, bad_gateway()),
        };
        said.map_err(|_| Box::new(Ending::by_client(None)))
    }

    /// An upstream has ended. Where nothing ran there and others are left, nobody misses it.
    pub(super) fn failed(&mut self, number: Number, words: Words) -> Result<(), Box<Ending>> {
        self.upward.remove(&number);
        if !self.upward.is_empty() && !self.conversation.is_any_at(number) {
            return Ok(());
        }
        Err(Box::new(Ending::by_upstream(words)))
    }
}

/// What is run instead of what was sent: what was judged.
fn instead(grant: &Grant) -> Option<Rc<[u8]>> {
    grant.asked().and_then(|asked| asked.instead.as_deref()).map(Rc::from)
}

/// Begins an operation there.
fn begin(reached: &mut Reached, id: &str, payload: &[u8]) -> io::Result<()> {
    let payload = std::str::from_utf8(payload).map_err(|_| io::ErrorKind::InvalidData)?;
    let begin = Message::Begin { id: id.into(), payload };
    reached.side.say(&message::write(reached.protocol, Party::Client, &begin).unwrap_or_default())
}

pub(super) fn bad_gateway() -> Words {
    Words::new(ending::BAD_GATEWAY, "The upstream failed")
}
