//! A conversation with an upstream, for one identity: its handshake, its `connection_init`, and what waits for both.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use crate::config::UpstreamHost;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::graphql::conversation::credential;
use crate::graphql::conversation::message::{self, Message, Party, Protocol};
use crate::http1::head::{ResponseHead, octets};
use crate::http1::websocket::messages::Sender;
use crate::metrics::upstream::Held;
use crate::proxy::balance::Chosen;
use crate::proxy::conversation::deciding::{Granted, Opened};
use crate::proxy::conversation::side::{Heard, Side};
use crate::proxy::deadline::Deadline;
use crate::proxy::exchange::{self, Asking, Failure};
use crate::proxy::forward::peer_key;
use crate::proxy::reach::{Link, Reaching, Tried, name_host, reach};
use crate::proxy::stream::Stream;
use crate::proxy::worker::{UpstreamView, Worker};

/// Octets of one message of an upstream: of one result.
const RESULT: usize = 16 * 1024 * 1024;

/// A conversation that has begun.
pub(super) struct Reached {
    pub(super) side: Side<Stream>,
    pub(super) protocol: Protocol,
    /// Its place among the upstream's requests, and its peer's mark of being busy: as long as this lasts.
    pub(super) _held: (Held, Chosen),
}

/// What to reach an upstream with.
pub(super) struct Reach {
    pub(super) worker: Rc<Worker>,
    pub(super) opened: Rc<Opened>,
    pub(super) granted: Granted,
    /// The payload of the client's `connection_init`, as it came.
    pub(super) payload: Option<Rc<str>>,
}

impl Reach {
    /// Begins a conversation with the upstream that the grant leads to, within its `response_timeout`.
    pub(super) async fn begin(self) -> Result<Box<Reached>, Denial> {
        let Granted { grant, view, .. } = &self.granted;
        let Some(place) = view.metrics.hold(grant.upstream().max_requests) else {
            return Err(Denial::new(Reason::Overloaded, "the upstream has max_requests of them"));
        };
        let until = Instant::now() + grant.upstream().response_timeout;
        let connected = timeout_at(until, self.connect()).await.map_err(|_| late())?;
        let (link, protocol, come) = connected?;
        let Link { stream, chosen, .. } = link;
        let mut side = Side::new(stream, Sender::Server, RESULT, come).counted(&self.worker);
        timeout_at(until, self.introduce(&mut side, protocol)).await.map_err(|_| late())??;
        Ok(Box::new(Reached { side, protocol, _held: (place, chosen) }))
    }

    /// The upstream's 101, what it speaks, and what came behind it.
    async fn connect(&self) -> Result<(Link, Protocol, Vec<u8>), Denial> {
        let Granted { grant, view, .. } = &self.granted;
        let (mut deadline, mut tried) = (Deadline::new(), Tried::new());
        let mut out = self.head();
        loop {
            let mut link = self.reach(grant, view, &mut deadline, &mut tried).await?;
            if grant.upstream().host == UpstreamHost::Upstream {
                name_host(&mut out, &view.balancer.name_of(&link.chosen.address));
            }
            let timeout = grant.upstream().response_timeout;
            match exchange::begin(&mut link, &out, timeout, &mut deadline).await {
                Ok(()) => {}
                Err(Failure::Unsent) => {
                    tried.push(link.chosen.address.clone());
                    continue;
                }
                Err(failure) => return Err(denial(failure)),
            }
            let (mut answer, mut head) = (self.worker.spares.lend(), ResponseHead::default());
            let asking = Asking { to_head: false, handshake: Some(&self.opened.accept) };
            let read = exchange::read_head(&mut link.stream, &mut answer, &mut head, asking).await;
            let spoken = read.map_err(denial).and_then(|()| self.spoken(&head, answer.filled()));
            let come = answer.filled().get(head.length..).unwrap_or_default().to_vec();
            self.worker.spares.take_back(answer);
            return spoken.map(|protocol| (link, protocol, come));
        }
    }

    async fn reach(
        &self,
        grant: &Grant,
        view: &UpstreamView,
        deadline: &mut Deadline,
        tried: &mut Tried,
    ) -> Result<Link, Denial> {
        let reaching = Reaching { worker: &self.worker, deadline, alone: true };
        let key = peer_key(grant, self.opened.downstream.address);
        reach(reaching, grant, view, &key, tried, true).await
    }

    /// The handshake's head: it offers what the client has offered, first what is spoken with that.
    fn head(&self) -> Vec<u8> {
        let mut head = self.granted.head.clone();
        head.truncate(head.len().saturating_sub(2));
        head.extend_from_slice(b"Sec-WebSocket-Protocol: ");
        let offered: Vec<&str> = self.offered().map(Protocol::name).collect();
        head.extend_from_slice(offered.join(", ").as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        head
    }

    fn offered(&self) -> impl Iterator<Item = Protocol> {
        let conversation = &self.opened.conversation;
        let spoken = conversation.protocol();
        let other = [Protocol::Transport, Protocol::Legacy].into_iter().find(|other| *other != spoken);
        [Some(spoken), other.filter(|_| conversation.speaks_both())].into_iter().flatten()
    }

    /// What the upstream has chosen to speak.
    fn spoken(&self, head: &ResponseHead, buffer: &[u8]) -> Result<Protocol, Denial> {
        if head.status != 101 {
            return Err(failed("the upstream did not open a WebSocket"));
        }
        let values = |name: &'static [u8]| {
            let lines =
                head.lines.iter().filter(move |line| octets(buffer, &line.name).eq_ignore_ascii_case(name));
            lines.map(|line| octets(buffer, &line.value))
        };
        if values(b"sec-websocket-extensions").next().is_some() {
            return Err(failed("the upstream uses an extension that was not offered"));
        }
        let mut chosen = values(b"sec-websocket-protocol");
        let protocol =
            chosen.next().and_then(|name| std::str::from_utf8(name).ok()).and_then(Protocol::named);
        match protocol.filter(|protocol| self.offered().any(|offered| offered == *protocol)) {
            Some(protocol) if chosen.next().is_none() => Ok(protocol),
            Some(_) | None => Err(failed("the upstream speaks none of the protocols that were offered")),
        }
    }

    /// Sends `connection_init`, and waits for the answer to it.
    async fn introduce(&self, side: &mut Side<Stream>, protocol: Protocol) -> Result<(), Denial> {
        let lost = |_| failed("the upstream closed before it acknowledged the conversation");
        let payload = self.payload()?;
        let init = message::write(protocol, Party::Client, &Message::Init(payload.as_deref()));
        side.say(&init.unwrap_or_default()).map_err(lost)?;
        let side = RefCell::new(side);
        loop {
            let heard = poll_fn(|context| {
                let mut side = side.borrow_mut();
                if let Poll::Ready(Err(_)) = side.poll_sent(context) {
                    return Poll::Ready(Heard::Ended);
                }
                side.poll_heard(context)
            });
            let text = match heard.await {
                Heard::Text(text) => text,
                Heard::Nothing => continue,
                Heard::Binary
                | Heard::TooLong
                | Heard::NoRoom
                | Heard::Close(_)
                | Heard::Violation(_)
                | Heard::Ended => {
                    return Err(failed("the upstream did not acknowledge the conversation"));
                }
            };
            match message::read(protocol, Party::Server, &text) {
                Some(Message::Ack(_)) => return Ok(()),
                Some(Message::Ping(payload)) => {
                    let pong = message::write(protocol, Party::Client, &Message::Pong(payload));
                    side.borrow_mut().say(&pong.unwrap_or_default()).map_err(lost)?;
                }
                Some(Message::Pong(_) | Message::Alive) => {}
                Some(_) | None => {
                    return Err(failed("the upstream did not acknowledge the conversation"));
                }
            }
        }
    }

    /// The client's payload, without its token unless the route keeps that.
    fn payload(&self) -> Result<Option<String>, Denial> {
        let Some(payload) = &self.payload else { return Ok(None) };
        let route = self.opened.conversation.route();
        if route.config.forward.keep_authorization {
            return Ok(Some(String::from(&**payload)));
        }
        let places = route.graphql.as_ref().map(|rules| &*rules.config.messages.token).unwrap_or_default();
        let without = credential::without(places, payload);
        without.map(Some).map_err(|_| Denial::new(Reason::Internal, "a payload that was read before"))
    }
}

fn denial(failure: Failure) -> Denial {
    match failure {
        Failure::Denied(denial) => denial,
        Failure::Unsent | Failure::Ended | Failure::Twofold | Failure::Client(_) | Failure::Over(_) => {
            failed("the upstream closed without an answer")
        }
    }
}

fn failed(why: &'static str) -> Denial {
    Denial::new(Reason::UpstreamFailed, why)
}

fn late() -> Denial {
    Denial::new(Reason::UpstreamTimeout, "no conversation within response_timeout")
}
