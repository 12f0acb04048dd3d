//! What the client says.

use std::io;
use std::rc::Rc;

use tokio::time::Instant;

use crate::config::defaults::INIT_PAYLOAD;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::graphql::conversation::fault::Fault;
use crate::graphql::conversation::message::Message;
use crate::graphql::conversation::{Said, credential};
use crate::http1::websocket::messages::Violation;
use crate::metrics::stream::StreamEnd;
use crate::proxy::conversation::deciding::{self, Token};
use crate::proxy::conversation::ending::{self, Ending, Words};
use crate::proxy::conversation::side::Heard;
use crate::proxy::conversation::talk::{Decided, Talk, messages};

impl Talk<'_> {
    /// Hears the client.
    pub(super) fn hear(&mut self, heard: Heard) -> Result<(), Box<Ending>> {
        let closing = |code| Err(Box::new(Ending::by_client(Some(Words::new(code, "")))));
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Nothing => return Ok(()),
            Heard::Binary => return closing(ending::UNSUPPORTED),
            Heard::TooLong => return closing(ending::TOO_BIG),
            Heard::NoRoom => return closing(ending::TRY_LATER),
            Heard::Violation(Violation::Text) => return closing(ending::NOT_TEXT),
            Heard::Violation(_) => return closing(ending::PROTOCOL),
            Heard::Ended => return Err(Box::new(Ending::by_client(None))),
            Heard::Close(said) => {
                let (code, _) = said.unzip();
                let words = Words { code, ..Words::default() };
                let upstream = Words { code: code.or(Some(ending::NORMAL)), ..Words::default() };
                return Err(Box::new(Ending { upstream, ..Ending::by_client(Some(words)) }));
            }
        };
        // Whoever never stops talking would never be found late otherwise.
        if self.due.is_some_and(|due| Instant::now() >= due) {
            return Err(self.fault(Fault::Late));
        }
        match self.conversation.hear(&text).map_err(|fault| self.fault(fault))? {
            // It is kept for as long as the conversation lasts.
            Said::Init(payload) if payload.is_some_and(|payload| payload.len() > INIT_PAYLOAD) => {
                return closing(ending::TOO_BIG);
            }
            Said::Init(payload) => {
                let token = self.token_in(payload)?;
                if token.as_ref().is_some_and(|token| self.opened.conversation.contradicts(token)) {
                    return Err(self.fault(Fault::TwoCredentials));
                }
                self.init(payload, token)
            }
            Said::Again(payload) => match self.token_in(payload)? {
                Some(token) => self.renew(token, self.word(&Message::Ack(None))),
                None => return Err(self.fault(Fault::TwoInits)),
            },
            Said::Ping(payload) => match self.token_in(payload)? {
                Some(token) if self.conversation.has_begun() => {
                    self.renew(token, self.word(&Message::Pong(None)))
                }
                // A token is not said back to anybody.
                Some(_) => self.say(&Message::Pong(None)),
                None => self.say(&Message::Pong(payload)),
            },
            Said::Begin { id, payload } => {
                self.decide(id, payload);
                Ok(())
            }
            Said::Full { id } => {
                let denial = Denial::new(Reason::Overloaded, "too many operations at once");
                let error = deciding::error(&denial, self.worker.ids.next(), &self.opened);
                self.say(&Message::Error { id: (&*id).into(), payload: &error })
            }
            Said::End { id } => self.stop(&id),
            Said::Terminate => {
                return Err(Box::new(Ending::by_client(Some(Words::new(ending::NORMAL, "")))));
            }
            Said::Nothing => Ok(()),
        }
        .map_err(|_| Box::new(Ending::by_client(None)))
    }

    /// Begins the conversation. Whether its token counts is asked by the first operation that needs one.
    fn init(&mut self, payload: Option<&str>, token: Option<Token>) -> io::Result<()> {
        self.due = None;
        self.payload = payload.map(Rc::from);
        self.token = token;
        self.say(&Message::Ack(None))
    }

    fn token_in(&self, payload: Option<&str>) -> Result<Option<Token>, Box<Ending>> {
        let (Some(payload), Some(messages)) = (payload, messages(&self.opened)) else { return Ok(None) };
        let found = credential::token(&messages.token, payload);
        found.map(|token| token.map(Rc::new)).map_err(|_| self.fault(Fault::Malformed))
    }

    /// Has an operation decided on.
    fn decide(&mut self, id: Box<str>, payload: &str) {
        let (worker, opened) = (Rc::clone(self.worker), Rc::clone(&self.opened));
        let (token, payload) = (self.token.clone(), Rc::<str>::from(payload));
        self.deciding = Some(Box::pin(async move {
            let (request, granted) = deciding::operation(worker, opened, token, Rc::clone(&payload)).await;
            Decided::Operation { id, request, payload, granted }
        }));
    }

    /// Has it decided whether all goes on under this token.
    fn renew(&mut self, token: Token, answer: Option<String>) -> io::Result<()> {
        let (worker, opened) = (Rc::clone(self.worker), Rc::clone(&self.opened));
        let latest = self.latest.clone();
        self.deciding = Some(Box::pin(async move {
            let granted = deciding::renewal(worker, opened, Rc::clone(&token), latest).await;
            Decided::Renewal { token, granted, answer }
        }));
        Ok(())
    }

    pub(super) fn renewed(
        &mut self,
        token: Token,
        granted: Result<Rc<Grant>, Denial>,
        answer: Option<String>,
    ) -> Result<(), Box<Ending>> {
        let grant = match granted {
            Ok(grant) => grant,
            Err(denial) => {
                let words = Words::of(Fault::Forbidden, self.conversation.protocol());
                let ending = Ending { end: StreamEnd::of(denial.reason), ..Ending::by_client(Some(words)) };
                return Err(Box::new(ending));
            }
        };
        self.token = Some(token);
        if let Some(leash) = &self.leash {
            leash.renew(&grant);
        }
        if self.latest.is_some() && grant.shadow().is_none() {
            self.latest = Some(grant);
        }
        let said = answer.map_or(Ok(()), |answer| self.client.say(&answer));
        said.map_err(|_| Box::new(Ending::by_client(None)))
    }
}
