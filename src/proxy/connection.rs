//! A client's connection: heads in, answers out, in order, each wait bounded.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::gate::denial::{Advice, Denial, Reason, Refusal};
use crate::gate::preflight;
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, HeadLimits, Known, RequestError, RequestHead, ResponseHead, octets, text};
use crate::http1::websocket::Accept;
use crate::policy::route::CompiledRoute;
use crate::proxy::access_log::Record;
use crate::proxy::buffer::Buffer;
use crate::proxy::deadline::Deadline;
use crate::proxy::downstream::{Downstream, Version};
use crate::proxy::endpoint;
use crate::proxy::forward::{self, Forwarded};
use crate::proxy::h2::server::{self, PREFACE};
use crate::proxy::judge::{self, Asked, Judged, from_now};
use crate::proxy::parting::Stay;
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
        record.end(status);
        self.unfinished = false;
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
        let readable =
            self.deadline.at_most(wait, poll_fn(|context| self.stream.poll_readable(context))).await;
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
        let method = text(self.input.filled(), &self.head.method);
        // In HTTP/2 every client does (RFC 9113 section 8.1).
        self.head.takes_trailers |= self.downstream.version == Version::Http2;
        record.request(method, octets(self.input.filled(), &self.head.path));
        self.to_head = method == "HEAD";
        self.cors.clear();
        self.metadata = None;
        self.out.clear();
        let worker = Rc::clone(&self.worker);
        let asked = Asked {
            head: &self.head,
            octets: self.input.filled(),
            downstream: &self.downstream,
            presented: None,
        };
        let judged = judge::judge(&worker, asked, &mut self.stream, &mut self.out, record).await;
        record.decided = Some(Instant::now());
        match judged {
            Judged::Refuse(refusal) => {
                record.refused(&refusal);
                self.note_cors(refusal.route.as_deref());
                self.note_metadata(&refusal);
                self.refuse(&refusal.denial, record).await
            }
            Judged::Answer(called) => {
                self.note_cors(Some(called.route()));
                // Boxed: every connection would else carry the room for it.
                Box::pin(endpoint::answer(self, &called, record)).await
            }
            Judged::Gone => (0, Next::Abort),
            Judged::Preflight(answer) => {
                record.preflight(&answer.route);
                record.count(200);
                let (close, mut body) = self.unread_body();
                refuse::preflight(&mut self.out, &answer, close);
                (200, self.send_and_drain(&mut body, close).await)
            }
            Judged::Forward(grant) => {
                record.granted(&grant);
                self.note_cors(Some(grant.route()));
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

    /// Sends a refusal; its request's body is drained within bounds, or the connection ends.
    pub(in crate::proxy) async fn refuse(&mut self, denial: &Denial, record: &mut Record) -> (u16, Next) {
        let (close, mut body) = self.unread_body();
        let status = self.write_refusal(denial, record, close);
        (status, self.send_and_drain(&mut body, close).await)
    }

    /// Sends a refusal after the way upstream failed.
    pub(in crate::proxy) async fn fail(
        &mut self,
        denial: &Denial,
        record: &mut Record,
        close: bool,
    ) -> (u16, Next) {
        let status = self.write_refusal(denial, record, close);
        let next = match (self.send_out().await, close) {
            (Err(_), _) => Next::Abort,
            (Ok(()), true) => Next::Close,
            (Ok(()), false) => Next::Again,
        };
        (status, next)
    }

    fn write_refusal(&mut self, denial: &Denial, record: &mut Record, close: bool) -> u16 {
        let Self { out, cors, metadata, .. } = self;
        out.clear();
        let metadata = metadata.as_deref();
        let addition = Addition { cors, errors: record.errors(), metadata, oauth: record.is_oauth() };
        let manner = Manner { to_head: self.to_head, close, grpc: self.head.grpc };
        let status = refuse::respond(out, denial, &record.id, addition, manner);
        record.count(status);
        status
    }

    /// Works out the CORS lines while the head is still there.
    fn note_cors(&mut self, route: Option<&CompiledRoute>) {
        if let Some(cors) = route.and_then(|route| route.config.cors.as_ref()) {
            self.cors = preflight::answer_headers(cors, self.origin());
        }
    }

    /// Works out where the resource is described, for a challenge, while the head is still there.
    fn note_metadata(&mut self, refusal: &Refusal) {
        let route = refusal.route.as_ref().filter(|_| matches!(refusal.denial.reason.status(), 401 | 403));
        let Some(path) = route.and_then(|route| route.resource.as_ref()) else { return };
        let way = self.downstream.way(&self.head, self.input.filled());
        self.metadata = Some(format!("{}://{}{path}", way.scheme, way.host).into());
    }

    /// Whether an answer that does not read the request's body ends the connection, and the body if it does not.
    fn unread_body(&mut self) -> (bool, BodyReader) {
        let drain = self.worker.limits().drain as u64;
        let too_long = match self.head.framing {
            Framing::None => false,
            Framing::Length(length) => length > drain,
            Framing::Chunked => false,
            Framing::UntilClose => true,
        };
        // A client that waits to be told may send the body or not: there is no telling where the next head is.
        let unknown = self.head.expects_continue;
        let body = BodyReader::new(self.head.framing);
        self.input.consume(self.head.length);
        (too_long || unknown || self.is_last(), body)
    }

    /// Whether this answer says that the connection ends.
    pub(in crate::proxy) fn is_last(&self) -> bool {
        !self.head.keep_alive
            || self.downstream.version == Version::Http2
            || self.worker.draining.get()
            || self.served >= self.worker.limits().requests_per_connection
    }

    async fn send_and_drain(&mut self, body: &mut BodyReader, close: bool) -> Next {
        if self.send_out().await.is_err() {
            return Next::Abort;
        }
        if close || !self.drain(body).await { Next::Close } else { Next::Again }
    }

    /// Reads a refused body to its end, within `limits.drain` octets and `limits.header_time`.
    async fn drain(&mut self, body: &mut BodyReader) -> bool {
        let mut left = self.worker.limits().drain;
        let until = from_now(self.worker.limits().header_time);
        loop {
            match body.next(self.input.filled()) {
                Ok(Piece::End { skip }) => {
                    self.input.consume(skip);
                    return true;
                }
                Ok(Piece::Content { skip, length }) => {
                    self.input.consume(skip + length);
                    match left.checked_sub(length) {
                        Some(rest) => left = rest,
                        None => return false,
                    }
                }
                Ok(Piece::More { skip }) => {
                    self.input.consume(skip);
                    let room = crate::proxy::buffer::ROOM;
                    match self.deadline.within(until, self.input.fill(&mut self.stream, room)).await {
                        Ok(Ok(1..)) => {}
                        Ok(Ok(0) | Err(_)) | Err(_) => return false,
                    }
                }
                Err(_) => return false,
            }
        }
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

    /// The request's `Origin`.
    fn origin(&self) -> Option<&str> {
        let line = self.head.lines.iter().find(|line| line.known == Known::Origin)?;
        std::str::from_utf8(octets(self.input.filled(), &line.value)).ok()
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
