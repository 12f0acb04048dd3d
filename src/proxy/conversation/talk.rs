//! One conversation while it lasts.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep};

use crate::config::graphql::Messages;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::{Grant, Identity};
use crate::graphql::conversation::fault::Fault;
use crate::graphql::conversation::message::{self, Message, Party, Protocol};
use crate::graphql::conversation::{Conversation, Said, credential};
use crate::http1::websocket::messages::{Sender, Violation};
use crate::metrics::stream::StreamEnd;
use crate::proxy::connection::Next;
use crate::proxy::conversation::HIGH;
use crate::proxy::conversation::deciding::{self, Granted, Opened, Token};
use crate::proxy::conversation::ending::{self, Ending, Words};
use crate::proxy::conversation::side::{Heard, Side};
use crate::proxy::conversation::upward::{Reach, Reached};
use crate::proxy::judge::from_now;
use crate::proxy::parting::HASTE;
use crate::proxy::recheck::Leash;
use crate::proxy::stream::Stream;
use crate::proxy::worker::Worker;

/// Conversations with upstreams at once, of one client's: one for nobody, one for a token, and some for the tokens that
/// come after it.
const UPSTREAMS: usize = 4;

/// Upstreams by the order in which they were reached.
pub(super) type Number = u32;

type Later<T> = Pin<Box<dyn Future<Output = T>>>;

/// One client's.
pub(super) struct Talk<'c> {
    worker: &'c Rc<Worker>,
    opened: Rc<Opened>,
    client: Side<&'c mut Stream>,
    conversation: Conversation<Number>,
    /// The token of `connection_init`, or a newer one.
    token: Option<Token>,
    /// The payload of `connection_init`.
    payload: Option<Rc<str>>,
    /// The grant by which the token was last found to count; none as long as nothing has needed one.
    latest: Option<Rc<Grant>>,
    leash: Option<Rc<Leash>>,
    /// Resolves when the token is over.
    over: Option<Later<Reason>>,
    goodbye: Later<()>,
    deciding: Option<Later<Decided>>,
    upward: BTreeMap<Number, Upward>,
    reached: Number,
    /// When `connection_init` is due.
    due: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// Who is heard first, in turns.
    upward_first: bool,
}

/// What was decided.
enum Decided {
    Operation { id: Box<str>, payload: Rc<str>, granted: Result<Granted, Denial> },
    Renewal { token: Token, granted: Result<Rc<Grant>, Denial>, answer: Option<String> },
}

/// A conversation with an upstream, and for whom it is.
struct Upward {
    upstream: Box<str>,
    /// The head of its handshake: whoever has the same has the same identity.
    head: Vec<u8>,
    state: State,
}

enum State {
    Opening(Later<Result<Reached, Denial>>, Vec<(Box<str>, Rc<[u8]>)>),
    Open(Reached),
}

/// What happens next.
enum Happened {
    Heard(Heard),
    Answered(Number, Heard),
    Opened(Number, Result<Reached, Denial>),
    Decided(Decided),
    Lost,
    Failed(Number),
    Goodbye,
    Over(Reason),
    Late,
    Stalled,
}

impl<'c> Talk<'c> {
    /// Over this stream, of which so much has come already.
    pub(super) fn new(
        worker: &'c Rc<Worker>,
        opened: Rc<Opened>,
        stream: &'c mut Stream,
        come: Vec<u8>,
    ) -> Self {
        let messages = messages(&opened);
        let (most, operations) = messages.map_or((0, 0), |messages| (messages.message, messages.operations));
        let due = messages.map(|messages| from_now(messages.init_time));
        let parting = Rc::clone(worker);
        Self {
            worker,
            client: Side::new(stream, Sender::Client, most, come),
            conversation: Conversation::new(opened.conversation.protocol(), operations),
            opened,
            token: None,
            payload: None,
            latest: None,
            leash: None,
            over: None,
            goodbye: Box::pin(async move { parting.parting.goodbye().await }),
            deciding: None,
            upward: BTreeMap::new(),
            reached: 0,
            due,
            timer: Box::pin(sleep(std::time::Duration::ZERO)),
            upward_first: false,
        }
    }

    /// Serves it to its end: what becomes of the client's connection, and why the token is over if that is why.
    pub(super) async fn serve(mut self) -> (Next, Option<Reason>) {
        let ending = loop {
            let happened = poll_fn(|context| self.poll(context)).await;
            if let Err(ending) = self.take(happened) {
                break *ending;
            }
        };
        self.end(ending).await
    }

    async fn end(mut self, ending: Ending) -> (Next, Option<Reason>) {
        let Ending { end, client, upstream, over } = ending;
        self.worker.streams.closed(over.map_or(end, StreamEnd::of));
        for upward in std::mem::take(&mut self.upward).into_values() {
            match upward.state {
                State::Open(reached) => ending::leave(self.worker, reached, &upstream),
                State::Opening(..) => {}
            }
        }
        let next = match client {
            // A client that has every word of it is let go in good order; any other sees a reset.
            Some(words) if ending::tell(&mut self.client, &words, HASTE).await => Next::Close,
            Some(_) | None => Next::Abort,
        };
        (next, over)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        if let Some(over) = &mut self.over
            && let Poll::Ready(why) = over.as_mut().poll(context)
        {
            return Poll::Ready(Happened::Over(why));
        }
        if self.goodbye.as_mut().poll(context).is_ready() {
            return Poll::Ready(Happened::Goodbye);
        }
        if let Poll::Ready(Err(_)) = self.client.poll_sent(context) {
            return Poll::Ready(Happened::Lost);
        }
        for (number, upward) in &mut self.upward {
            match &mut upward.state {
                State::Opening(opening, _) => {
                    if let Poll::Ready(opened) = opening.as_mut().poll(context) {
                        return Poll::Ready(Happened::Opened(*number, opened));
                    }
                }
                State::Open(reached) => {
                    if let Poll::Ready(Err(_)) = reached.side.poll_sent(context) {
                        return Poll::Ready(Happened::Failed(*number));
                    }
                }
            }
        }
        if let Some(deciding) = &mut self.deciding
            && let Poll::Ready(decided) = deciding.as_mut().poll(context)
        {
            self.deciding = None;
            return Poll::Ready(Happened::Decided(decided));
        }
        self.upward_first = !self.upward_first;
        let heard = if self.upward_first {
            self.poll_upward(context).or(|| self.poll_client(context))
        } else {
            self.poll_client(context).or(|| self.poll_upward(context))
        };
        heard.or(|| self.poll_overdue(context))
    }

    /// Hears an upstream, if the client takes what it is told.
    fn poll_upward(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        if self.client.waiting() >= HIGH {
            return Poll::Pending;
        }
        for (number, upward) in &mut self.upward {
            if let State::Open(reached) = &mut upward.state
                && let Poll::Ready(heard) = reached.side.poll_heard(context)
            {
                return Poll::Ready(Happened::Answered(*number, heard));
            }
        }
        Poll::Pending
    }

    /// Hears the client, if what it says can be decided on and passed on.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        let full = self.upward.values().any(|upward| upward.waiting() >= HIGH);
        if self.deciding.is_some() || full || self.client.waiting() >= HIGH {
            return Poll::Pending;
        }
        self.client.poll_heard(context).map(Happened::Heard)
    }

    /// Waits for what is due.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        let stall = self.worker.limits().write_stall;
        let stalls = self.upward.values().filter_map(|upward| match &upward.state {
            State::Open(reached) => reached.side.stalls_at(stall),
            State::Opening(..) => None,
        });
        let stalls = stalls.chain(self.client.stalls_at(stall)).min();
        let Some(due) = self.due.into_iter().chain(stalls).min() else { return Poll::Pending };
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        let late = self.due == Some(due);
        self.timer.as_mut().poll(context).map(|()| if late { Happened::Late } else { Happened::Stalled })
    }

    /// Takes what has happened; an error is the end.
    fn take(&mut self, happened: Happened) -> Result<(), Box<Ending>> {
        match happened {
            Happened::Heard(heard) => self.hear(heard),
            Happened::Answered(number, heard) => self.answered(number, heard),
            Happened::Opened(number, opened) => self.opened(number, opened),
            Happened::Decided(Decided::Operation { id, payload, granted }) => match granted {
                Ok(granted) => self.run(id, &payload, granted),
                Err(denial) => self.refuse(&id, &denial),
            },
            Happened::Decided(Decided::Renewal { token, granted, answer }) => {
                self.renewed(token, granted, answer)
            }
            Happened::Lost => Err(Box::new(Ending::by_client(None))),
            Happened::Failed(number) => self.failed(number, bad_gateway()),
            Happened::Goodbye => Err(Box::new(Ending {
                end: StreamEnd::Drained,
                client: Some(Words::new(ending::GOING_AWAY, "")),
                upstream: Words::new(ending::GOING_AWAY, ""),
                over: None,
            })),
            Happened::Over(why) => {
                let fault = match why {
                    Reason::Expired => Fault::Expired,
                    Reason::Revoked => Fault::Revoked,
                    _ => Fault::Forbidden,
                };
                let code = self.opened.conversation.route().config.streams.close;
                Err(Box::new(Ending {
                    end: StreamEnd::of(why),
                    client: Some(Words::of(fault, self.conversation.protocol())),
                    upstream: Words::new(code, why.code()),
                    over: Some(why),
                }))
            }
            Happened::Late => Err(self.fault(Fault::Late)),
            Happened::Stalled => Err(Box::new(Ending { end: StreamEnd::Stalled, ..Ending::by_client(None) })),
        }
    }

    /// The end by a fault of the client's.
    fn fault(&self, fault: Fault) -> Box<Ending> {
        Box::new(Ending::by_client(Some(Words::of(fault, self.conversation.protocol()))))
    }

    /// Hears the client.
    fn hear(&mut self, heard: Heard) -> Result<(), Box<Ending>> {
        let closing = |code| Err(Box::new(Ending::by_client(Some(Words::new(code, "")))));
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Nothing => return Ok(()),
            Heard::Binary => return closing(ending::UNSUPPORTED),
            Heard::TooLong => return closing(ending::TOO_BIG),
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
            Said::Init(payload) => self.init(payload),
            Said::Again(payload) => match self.token_in(payload)? {
                Some(token) => self.renew(token, self.word(&Message::Ack(None))),
                None => return Err(self.fault(Fault::TwoInits)),
            },
            Said::Ping(payload) => match self.token_in(payload)?.filter(|_| self.conversation.has_begun()) {
                Some(token) => self.renew(token, self.word(&Message::Pong(None))),
                None => self.say(&Message::Pong(payload)),
            },
            Said::Begin { id, payload } => {
                self.decide(id, payload);
                Ok(())
            }
            Said::Full { id } => {
                let denial = Denial::new(Reason::Overloaded, "too many operations at once");
                self.say(&Message::Error { id: (&*id).into(), payload: &deciding::error(&denial) })
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
    fn init(&mut self, payload: Option<&str>) -> io::Result<()> {
        self.due = None;
        self.payload = payload.map(Rc::from);
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
            let granted = deciding::operation(worker, opened, token, Rc::clone(&payload)).await;
            Decided::Operation { id, payload, granted }
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

    fn renewed(
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

    /// Runs an operation that was granted, under the identity of its grant.
    fn run(&mut self, id: Box<str>, payload: &Rc<str>, granted: Granted) -> Result<(), Box<Ending>> {
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
            ending::leave(self.worker, reached, &Words::new(ending::NORMAL, ""));
        }
    }

    /// An upstream was reached, or was not: then what waits for it is refused.
    fn opened(&mut self, number: Number, opened: Result<Reached, Denial>) -> Result<(), Box<Ending>> {
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
    fn stop(&mut self, id: &str) -> io::Result<()> {
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
    fn answered(&mut self, number: Number, heard: Heard) -> Result<(), Box<Ending>> {
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Nothing => return Ok(()),
            Heard::Close(Some((code, reason))) => return self.failed(number, Words::new(code, reason)),
            Heard::Close(None) => return self.failed(number, Words::new(ending::NORMAL, "")),
            Heard::Binary | Heard::TooLong | Heard::Violation(_) | Heard::Ended => {
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
            Some(next @ Message::Next { .. }) => match &next {
                Message::Next { id, .. } if self.conversation.place(id) == Some(number) => self.say(&next),
                _ => Ok(()),
            },
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
    fn failed(&mut self, number: Number, words: Words) -> Result<(), Box<Ending>> {
        self.upward.remove(&number);
        if !self.upward.is_empty() && !self.conversation.is_any_at(number) {
            return Ok(());
        }
        Err(Box::new(Ending::by_upstream(words)))
    }

    /// Refuses an operation, and nothing else.
    fn refuse(&mut self, id: &str, denial: &Denial) -> Result<(), Box<Ending>> {
        self.conversation.ended(id);
        let error = Message::Error { id: id.into(), payload: &deciding::error(denial) };
        self.say(&error).map_err(|_| Box::new(Ending::by_client(None)))
    }

    /// Says something to the client.
    fn say(&mut self, message: &Message<'_>) -> io::Result<()> {
        match self.word(message) {
            Some(text) => self.client.say(&text),
            None => Ok(()),
        }
    }

    fn word(&self, message: &Message<'_>) -> Option<String> {
        message::write(self.conversation.protocol(), Party::Server, message)
    }
}

impl Upward {
    /// Octets that wait for it.
    fn waiting(&self) -> usize {
        match &self.state {
            State::Opening(_, waiting) => waiting.iter().map(|(id, payload)| id.len() + payload.len()).sum(),
            State::Open(reached) => reached.side.waiting(),
        }
    }
}

/// One after the other, where the first has nothing.
trait Or {
    fn or(self, other: impl FnOnce() -> Self) -> Self;
}

impl Or for Poll<Happened> {
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Poll::Ready(happened) => Poll::Ready(happened),
            Poll::Pending => other(),
        }
    }
}

fn messages(opened: &Opened) -> Option<&Messages> {
    opened.conversation.route().graphql.as_ref().map(|rules| &rules.config.messages)
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

fn bad_gateway() -> Words {
    Words::new(ending::BAD_GATEWAY, "The upstream failed")
}
