//! One conversation while it lasts.

mod client;
mod upstream;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::config::defaults::MESSAGE_KEEP_ALIVE;
use crate::config::graphql::Messages;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::graphql::conversation::Conversation;
use crate::graphql::conversation::fault::Fault;
use crate::graphql::conversation::message::{self, Message, Party};
use crate::http1::websocket::messages::Sender;
use crate::metrics::stream::StreamEnd;
use crate::proxy::connection::Next;
use crate::proxy::conversation::HIGH;
use crate::proxy::conversation::deciding::{self, Granted, Opened, Token};
use crate::proxy::conversation::ending::{self, Ending, Words};
use crate::proxy::conversation::side::{Heard, Side};
use crate::proxy::conversation::talk::upstream::bad_gateway;
use crate::proxy::conversation::upward::Reached;
use crate::proxy::judge::from_now;
use crate::proxy::parting::HASTE;
use crate::proxy::recheck::Leash;
use crate::proxy::request_id::RequestId;
use crate::proxy::stream::Stream;
use crate::proxy::worker::Worker;

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
    silence: Silence,
    timer: Pin<Box<Sleep>>,
    /// Who is heard first, in turns.
    upward_first: bool,
}

/// What was decided.
enum Decided {
    Operation { id: Box<str>, request: RequestId, payload: Rc<str>, granted: Result<Granted, Denial> },
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
    Opening(Later<Result<Box<Reached>, Denial>>, Vec<(Box<str>, Rc<[u8]>)>),
    Open(Box<Reached>),
}

/// What happens next.
enum Happened {
    Heard(Heard),
    Answered(Number, Heard),
    Opened(Number, Result<Box<Reached>, Denial>),
    Decided(Decided),
    Lost,
    Failed(Number),
    Goodbye,
    Over(Reason),
    Late,
    /// A message has been on its way for too long.
    Lingering,
    Stalled,
    /// The client has been silent for long.
    Silent,
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
        let silence = Silence::new(messages);
        let parting = Rc::clone(worker);
        Self {
            worker,
            client: Side::new(stream, Sender::Client, most, come).counted(worker),
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
            silence,
            timer: Box::pin(sleep(Duration::ZERO)),
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
                State::Open(reached) => ending::leave(self.worker, *reached, &upstream),
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
            or(self.poll_upward(context), || self.poll_client(context))
        } else {
            or(self.poll_client(context), || self.poll_upward(context))
        };
        or(heard, || self.poll_overdue(context))
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

    /// Whether what the client says can be decided on and passed on.
    fn hears(&self) -> bool {
        let full = self.upward.values().any(|upward| upward.waiting() >= HIGH);
        self.deciding.is_none() && !full && self.client.waiting() < HIGH
    }

    /// Hears the client, if what it says can be decided on and passed on.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        if !self.hears() {
            return Poll::Pending;
        }
        let heard = self.client.poll_heard(context).map(Happened::Heard);
        if heard.is_ready() {
            self.silence.broken();
        }
        heard
    }

    /// Waits for what is due.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        let stall = self.worker.limits().write_stall;
        let stalls = self.upward.values().filter_map(|upward| match &upward.state {
            State::Open(reached) => reached.side.stalls_at(stall),
            State::Opening(..) => None,
        });
        let stalls = stalls.chain(self.client.stalls_at(stall)).min();
        let lingers = self.client.lingers_until(self.worker.limits().idle_time);
        let dues = [
            (self.due, Happened::Late),
            (lingers, Happened::Lingering),
            (stalls, Happened::Stalled),
            (self.silence.until, Happened::Silent),
        ];
        let dues = dues.into_iter().filter_map(|(due, what)| Some((due?, what)));
        let Some((due, what)) = dues.min_by_key(|(due, _)| *due) else { return Poll::Pending };
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(context).map(|()| what)
    }

    /// Takes what has happened; an error is the end.
    fn take(&mut self, happened: Happened) -> Result<(), Box<Ending>> {
        match happened {
            Happened::Heard(heard) => self.hear(heard),
            Happened::Answered(number, heard) => self.answered(number, heard),
            Happened::Opened(number, opened) => self.opened(number, opened),
            Happened::Decided(Decided::Operation { id, request, payload, granted }) => match granted {
                Ok(granted) => self.run(id, &payload, granted),
                Err(denial) => self.refuse_as(request, &id, &denial),
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
                let fault = Fault::of(why == Reason::Expired, why == Reason::Revoked);
                let code = self.opened.conversation.route().config.streams.close;
                Err(Box::new(Ending {
                    end: StreamEnd::of(why),
                    client: Some(Words::of(fault, self.conversation.protocol())),
                    upstream: Words::new(code, why.code()),
                    over: Some(why),
                }))
            }
            Happened::Late => Err(self.fault(Fault::Late)),
            Happened::Lingering => {
                let words = Words::new(ending::POLICY, "A message took too long");
                Err(Box::new(Ending { end: StreamEnd::Stalled, ..Ending::by_client(Some(words)) }))
            }
            Happened::Stalled => Err(Box::new(Ending { end: StreamEnd::Stalled, ..Ending::by_client(None) })),
            // It could not be heard, or is in the middle of a message: others see to these.
            Happened::Silent if !self.hears() || self.client.is_in_message() => {
                self.silence.broken();
                Ok(())
            }
            Happened::Silent if self.silence.is_asked() => self.take(Happened::Stalled),
            Happened::Silent => {
                self.silence.asked();
                self.client.ping();
                Ok(())
            }
        }
    }

    /// The end by a fault of the client's.
    fn fault(&self, fault: Fault) -> Box<Ending> {
        Box::new(Ending::by_client(Some(Words::of(fault, self.conversation.protocol()))))
    }

    /// Refuses an operation, and nothing else.
    fn refuse(&mut self, id: &str, denial: &Denial) -> Result<(), Box<Ending>> {
        self.refuse_as(self.worker.ids.next(), id, denial)
    }

    /// The same of a request that is known in the log.
    fn refuse_as(&mut self, request: RequestId, id: &str, denial: &Denial) -> Result<(), Box<Ending>> {
        self.conversation.ended(id);
        let payload = deciding::error(denial, request, &self.opened);
        let error = Message::Error { id: id.into(), payload: &payload };
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

/// How long a client has said nothing, and whether it was asked if it is there: the kernel finds out about hosts that are
/// gone, this about what stands before them, and it keeps open what closes silent connections.
struct Silence {
    most: Duration,
    until: Option<Instant>,
    asked: bool,
}

impl Silence {
    fn new(messages: Option<&Messages>) -> Self {
        let most = messages.map_or(MESSAGE_KEEP_ALIVE, |messages| messages.keep_alive);
        Self { most, until: Some(from_now(most)), asked: false }
    }

    /// It has said something.
    fn broken(&mut self) {
        (self.until, self.asked) = (Some(from_now(self.most)), false);
    }

    fn asked(&mut self) {
        (self.until, self.asked) = (Some(from_now(self.most)), true);
    }

    fn is_asked(&self) -> bool {
        self.asked
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

/// What has happened, or else what the other finds.
fn or(happened: Poll<Happened>, other: impl FnOnce() -> Poll<Happened>) -> Poll<Happened> {
    if happened.is_ready() { happened } else { other() }
}

fn messages(opened: &Opened) -> Option<&Messages> {
    opened.conversation.route().graphql.as_ref().map(|rules| &rules.config.messages)
}
