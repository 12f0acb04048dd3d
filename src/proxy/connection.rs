//! A client's connection: heads in, answers out, in order, each wait bounded.

mod refusing;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use crate::gate::denial::{Advice, Denial, Reason};
use crate::http1::head::{HeadLimits, RequestError, RequestHead, ResponseHead, octets};
use crate::http1::websocket::Accept;
use crate::proxy::access_log::Record;
use crate::proxy::buffer::Buffer;
use crate::proxy::conversation;
use crate::proxy::deadline::Deadline;
use crate::proxy::downstream::{Downstream, Version};
use crate::proxy::endpoint;
use crate::proxy::forward::{self, Forwarded};
use crate::proxy::h2::server::{self, PREFACE};
use crate::proxy::inspected::{self, Inspected};
use crate::proxy::judge::{self, Asked, Judged, from_now};
use crate::proxy::parting::Stay;
use crate::proxy::refuse::operation::Said;
use crate::proxy::refuse::{self, Addition, Manner};
use crate::proxy::relay;
use crate::proxy::stream::Stream;
use crate::proxy::worker::{FAREWELL, Worker};

/// How long a connection that is being closed is read, so that the client sees the answer before the reset.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

/// A connection being served.
pub(in crate::proxy) struct Connection {
    pub(in crate::proxy) worker: Rc<Worker>,
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) downstream: Downstream,
    pub(in crate::proxy) deadline: Deadline,
    pub(in crate::proxy) input: Buffer,
    pub(in crate::proxy) out: Vec<u8>,
    pub(in crate::proxy) head: RequestHead,
    pub(in crate::proxy) answer_head: ResponseHead,
    /// The request is `HEAD`: its answer has no body.
    pub(in crate::proxy) to_head: bool,
    /// The request is a WebSocket handshake: what its 101 has to say.
    pub(in crate::proxy) handshake: Option<Accept>,
    /// The handshake itself, where it may be decided again.
    pub(in crate::proxy) opened: Option<Box<[u8]>>,
    /// A long stream is, or was, the last answer.
    pub(in crate::proxy) stay: Option<Stay>,
    /// Why the token of the last answer was over before the answer was.
    pub(in crate::proxy) over: Option<Reason>,
    /// What the matched route's CORS rule says to this request's origin.
    pub(in crate::proxy) cors: Vec<(&'static str, String)>,
    /// How a client of GraphQL is told of a refusal, where the matched route judges operations.
    said: Option<Said>,
    /// The request was decided by its body: its head is here, and no longer in the input.
    pub(in crate::proxy) inspected: Option<Box<Inspected>>,
    /// Where a challenge says that what the route wants of tokens is described.
    metadata: Option<Box<str>>,
    /// Waiting for a request: it can be closed without loss.
    idle: Rc<Cell<bool>>,
    /// A request was read and its answer is not all sent: dropped like this, the connection is reset.
    unfinished: bool,
    served: u64,
}

/// A connection while it is served.
struct Serving(Option<Connection>);

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Next {
    /// Another request may come.
    Again,
    /// The answer was sent: end it in good order.
    Close,
    /// End it at once; the answer, if any, must not look whole.
    Abort,
    /// It goes on as HTTP/2.
    Http2,
}

/// A head, or why there is none.
enum Arrival {
    Head,
    /// The client speaks HTTP/2.
    Preface,
    Refused(Denial),
    Gone,
}

impl Connection {
    pub(in crate::proxy) fn new(
        worker: Rc<Worker>,
        stream: Stream,
        downstream: Downstream,
        idle: Rc<Cell<bool>>,
    ) -> Self {
        Self {
            worker,
            stream,
            downstream,
            deadline: Deadline::new(),
            input: Buffer::default(),
            out: Vec::new(),
            head: RequestHead::default(),
            answer_head: ResponseHead::default(),
            to_head: false,
            handshake: None,
            opened: None,
            stay: None,
            over: None,
            cors: Vec::new(),
            said: None,
            inspected: None,
            metadata: None,
            idle,
            unfinished: false,
            served: 0,
        }
    }

    /// Serves it to its end.
    pub(in crate::proxy) async fn serve(self) {
        let mut serving = Serving(Some(self));
        while let Some(connection) = &mut serving.0 {
            let next = connection.one_request().await;
            if next == Next::Again {
                if !connection.input.is_empty() {
                    // What was asked for ahead may be refused without waiting for anything: others have turns, too.
                    consume_budget().await;
                }
                continue;
            }
            let Some(connection) = serving.0.take() else { return };
            match next {
                Next::Again => {}
                Next::Close => connection.close().await,
                Next::Abort => connection.abort(),
                Next::Http2 => Box::pin(connection.become_http2()).await,
            }
        }
    }

    /// Ends it with a reset: a client must not take what it has for everything there was.
    fn abort(mut self) {
        self.stream.abort();
    }

    async fn become_http2(self) {
        let ahead = Bytes::copy_from_slice(self.input.filled());
        self.worker.spares.take_back(self.input);
        self.worker.spares.take_back_out(self.out);
        server::serve(self.worker, self.stream, ahead, self.downstream, self.idle).await;
    }

    async fn one_request(&mut self) -> Next {
        // Some clients end a body with one CRLF too many (RFC 9112 section 2.2): that is no beginning of a head.
        if self.served > 0 && self.input.filled() == b"\r\n" {
            self.input.consume(2);
        }
        if self.input.is_empty() && !self.await_request().await {
            return Next::Close;
        }
        let started = Instant::now();
        self.worker.moment.set(started);
        let arrival = self.read_head(started).await;
        match arrival {
            Arrival::Gone => return Next::Close,
            Arrival::Preface => return Next::Http2,
            Arrival::Head | Arrival::Refused(_) => {}
        }
        self.served += 1;
        self.unfinished = true;
        let worker = Rc::clone(&self.worker);
        let logged = worker.shared.parts.access_log;
        let mut record = Record::begin(worker.ids.next(), started, self.downstream.address, logged);
        let (status, next) = match arrival {
            Arrival::Refused(denial) => self.refuse_head(denial, &mut record).await,
            Arrival::Head | Arrival::Preface | Arrival::Gone => self.answer(&mut record).await,
        };
        if let Some(why) = self.over.take() {
            record.failed(&Denial::new(why, "the stream ended with its token"));
        }
        self.worker.moment.set(record.end(status));
        self.unfinished = false;
        self.inspected = None;
        if next == Next::Again {
            self.stay = None;
        }
        if self.input.is_empty() {
            worker.spares.take_back(std::mem::take(&mut self.input));
            worker.spares.take_back_out(std::mem::take(&mut self.out));
        }
        next
    }

    /// Whether its request is a call of gRPC, whose messages come when there is something to say. What comes over HTTP/1.1
    /// is none, whatever it says.
    pub(in crate::proxy) fn has_messages(&self) -> bool {
        self.head.grpc && self.downstream.version == Version::Http2
    }

    /// Waits for the first octet of a request, holding no buffer. `false`: none will come.
    async fn await_request(&mut self) -> bool {
        // A request that was on its way when draining began is served still.
        let draining = self.worker.draining.get();
        let wait = if draining { FAREWELL } else { self.worker.limits().idle_time };
        self.idle.set(!draining);
        // Right after a request the moment is known.
        let now = if self.served > 0 { self.worker.moment.get() } else { Instant::now() };
        let readable = poll_fn(|context| self.stream.poll_readable(context));
        let readable = self.deadline.within(now + wait, readable).await;
        self.idle.set(false);
        if !matches!(readable, Ok(Ok(()))) {
            return false;
        }
        self.input = self.worker.spares.lend();
        self.out = self.worker.spares.lend_out();
        true
    }

    async fn read_head(&mut self, started: Instant) -> Arrival {
        let limits = self.worker.limits();
        let bounds =
            HeadLimits { line: limits.header_line, total: limits.header_total, lines: limits.headers };
        let until = started + limits.header_time;
        loop {
            match self.head.read(self.input.filled(), &bounds) {
                Ok(true) => return Arrival::Head,
                Ok(false) => {}
                Err(_) if self.begins_http2() => return Arrival::Preface,
                Err(error) => return Arrival::Refused(refused(error)),
            }
            // One octet past the bound is enough to tell a head that is too large.
            let most = bounds.total + 1;
            if self.input.is_full(most) {
                return Arrival::Refused(refused(RequestError::TooLarge));
            }
            match self.deadline.within(until, self.input.fill(&mut self.stream, most)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return Arrival::Gone,
                Err(_) if self.input.is_empty() => return Arrival::Gone,
                Err(_) => {
                    return Arrival::Refused(Denial::new(Reason::RequestTimeout, "the head took too long"));
                }
            }
        }
    }

    /// Whether what cannot be read as a request's head is how HTTP/2 begins (RFC 9113 section 3.3).
    fn begins_http2(&self) -> bool {
        let first = self.served == 0 && self.downstream.version == Version::Http1;
        first && self.input.filled().starts_with(PREFACE)
    }

    /// Refuses what was never understood: no route, no keeping the connection.
    async fn refuse_head(&mut self, denial: Denial, record: &mut Record) -> (u16, Next) {
        let snapshot = self.worker.shared.parts.reader.load();
        record.read(snapshot.generation, self.worker.view(&snapshot));
        drop(snapshot);
        record.refused(&denial.clone().into());
        self.out.clear();
        let manner = Manner { to_head: false, close: true, grpc: false };
        let status = refuse::respond(&mut self.out, &denial, &record.id, Addition::default(), manner);
        record.count(status);
        let next = if self.send_out().await.is_ok() { Next::Close } else { Next::Abort };
        (status, next)
    }

    /// Decides a request whose head was read, and answers it.
    async fn answer(&mut self, record: &mut Record) -> (u16, Next) {
        let method = octets(self.input.filled(), &self.head.method);
        // In HTTP/2 every client does (RFC 9113 section 8.1).
        self.head.takes_trailers |= self.downstream.version == Version::Http2;
        record.request(method, octets(self.input.filled(), &self.head.path));
        self.to_head = method == b"HEAD";
        self.cors.clear();
        self.metadata = None;
        self.said = None;
        self.out.clear();
        let worker = Rc::clone(&self.worker);
        let asked = Asked {
            head: &self.head,
            octets: self.input.filled(),
            downstream: &self.downstream,
            presented: None,
            message: None,
        };
        let mut judged = judge::judge(&worker, asked, &mut self.stream, &mut self.out, record).await;
        if let Judged::Body(asked) = judged {
            // Boxed, as all that is rare: every connection would else carry the room for it.
            judged = match Box::pin(inspected::judge(self, asked, record)).await {
                Ok(judged) => judged,
                Err(answered) => return answered,
            };
            record.waited();
        }
        record.decided();
        match judged {
            Judged::Refuse(refusal) => {
                record.refused(&refusal);
                self.note_route(refusal.route.as_deref());
                self.note_metadata(&refusal);
                self.refuse(&refusal.denial, record).await
            }
            Judged::Answer(called) => {
                self.note_route(Some(called.route()));
                // Boxed: every connection would else carry the room for it.
                Box::pin(endpoint::answer(self, &called, record)).await
            }
            Judged::Converse(conversation) => {
                self.note_route(Some(conversation.route()));
                // Boxed: every connection would else carry the room for it.
                Box::pin(conversation::converse(self, *conversation, record)).await
            }
            Judged::Gone | Judged::Body(_) => (0, Next::Abort),
            Judged::Preflight(answer) => {
                record.preflight(&answer.route);
                record.count(200);
                let (close, mut body) = self.unread_body();
                refuse::preflight(&mut self.out, &answer, close);
                (200, self.send_and_drain(&mut body, close).await)
            }
            Judged::Forward(grant) => {
                record.granted(&grant);
                self.note_route(Some(grant.route()));
                if let Some(asked) = grant.asked() {
                    inspected::make_ready(self, asked);
                }
                worker.turns.after_others().await;
                match forward::forward(self, &grant, record).await {
                    Forwarded::Answered(status, next) => (status, next),
                    Forwarded::Failed(denial) => {
                        record.failed(&denial);
                        self.fail(&denial, record, self.is_last()).await
                    }
                    Forwarded::Broken(denial) => {
                        record.failed(&denial);
                        self.fail(&denial, record, true).await
                    }
                }
            }
        }
    }

    /// The octets that hold the request's head.
    pub(in crate::proxy) fn head_octets(&self) -> &[u8] {
        self.inspected.as_ref().map_or(self.input.filled(), |inspected| &inspected.head)
    }

    /// Whether this answer says that the connection ends.
    pub(in crate::proxy) fn is_last(&self) -> bool {
        !self.head.keep_alive
            || self.downstream.version == Version::Http2
            || self.worker.draining.get()
            || self.served >= self.worker.limits().requests_per_connection
    }

    /// Sends what is in `out`, within `write_stall` for each piece of it that the client takes.
    pub(in crate::proxy) async fn send_out(&mut self) -> io::Result<()> {
        let Self { worker, stream, deadline, out, .. } = self;
        relay::send(stream, out, &[], worker.limits().write_stall, deadline).await?;
        out.clear();
        Ok(())
    }

    /// Sends an interim answer, within `write_stall`.
    pub(in crate::proxy) async fn send_interim(&mut self, answer: &[u8]) -> io::Result<()> {
        let stall = self.worker.limits().write_stall;
        relay::send(&mut self.stream, answer, &[], stall, &mut self.deadline).await
    }

    /// Ends the connection so that the answer arrives: says that nothing more is sent, then reads what the
    /// client still sends, within bounds. Closing with octets unread would reset what it has not read yet.
    async fn close(mut self) {
        let until = from_now(LINGER);
        let shut = self.deadline.within(until, self.stream.shutdown()).await;
        // A stream of HTTP/2 ends without any harm to what was sent on it.
        if !matches!(shut, Ok(Ok(()))) || self.downstream.version == Version::Http2 {
            return;
        }
        let mut left = self.worker.limits().drain;
        let mut waste = self.worker.spares.lend_out();
        waste.resize(4096, 0);
        while left > 0 {
            match self.deadline.within(until, self.stream.read(&mut waste)).await {
                Ok(Ok(count @ 1..)) => left = left.saturating_sub(count),
                Ok(Ok(0) | Err(_)) | Err(_) => break,
            }
        }
        self.worker.spares.take_back_out(waste);
    }
}

impl Drop for Serving {
    /// Cut off in the middle of an answer, at the end of a drain or by a fault: no client shall take what it has for
    /// everything there was (threats U4).
    fn drop(&mut self) {
        if let Some(connection) = self.0.take().filter(|connection| connection.unfinished) {
            connection.abort();
        }
    }
}

fn refused(error: RequestError) -> Denial {
    match error {
        RequestError::Malformed(what) => Denial::new(Reason::MalformedRequest, what),
        RequestError::Upgrade => Denial::new(Reason::MalformedRequest, "no such upgrade is offered"),
        RequestError::TooLarge => Denial::new(Reason::HeadersTooLarge, "a head past its bound"),
        RequestError::Method => Denial::new(Reason::MethodNotAllowed, "CONNECT and TRACE are never served")
            // RFC 9110 section 15.5.6 wants the field; what a route would allow is not known here.
            .advice(Advice::Allow(String::new())),
        RequestError::Expectation => {
            Denial::new(Reason::ExpectationFailed, "an expectation that cannot be met")
        }
    }
}

#[cfg(test)]
mod tests;
