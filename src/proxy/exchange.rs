//! One request and its answer over one upstream connection.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::io::AsyncRead;
use tokio::time::Instant;

use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, HeadLimits, ResponseHead};
use crate::http1::websocket::Accept;
use crate::http1::write::{self, ResponseEdits};
use crate::metrics::stream::StreamEnd;
use crate::proxy::buffer::Buffer;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::deadline::{Deadline, Elapsed};
use crate::proxy::forward::Forwarded;
use crate::proxy::parting::{Farewell, Stay};
use crate::proxy::reach::Link;
use crate::proxy::recheck::{Leash, unless};
use crate::proxy::relay::{self, Ending, Fault, Lost, Relayed, Sink};
use crate::proxy::stream::Halves;
use crate::proxy::worker::Worker;

/// Interim answers (1xx) taken before the real one.
const INTERIM: usize = 16;

/// How soon most answers have begun: those that have not are held to their token.
const SOON: Duration = Duration::from_millis(250);

/// Bounds on an upstream's head: generous, and bounds.
const ANSWER_HEAD: HeadLimits = HeadLimits { line: 32 * 1024, total: 64 * 1024, lines: 200 };

/// Why an exchange brought no answer.
pub(in crate::proxy) enum Failure {
    /// Not one octet of the request was sent: it can go elsewhere, whatever it asks for.
    Unsent,
    /// The connection ended before the first octet of an answer. The peer may have acted all the same.
    Ended,
    /// More than one answer on a connection that had served others: which is this request's cannot be told.
    Twofold,
    /// The client is to blame, or gone.
    Client(Fault),
    /// An answer that is none, or none in time.
    Denied(Denial),
    /// Its token was revoked, or is over otherwise, before there was an answer.
    Over(Reason),
}

/// How an answer is given to this client.
pub(in crate::proxy) struct Manner<'m> {
    pub(in crate::proxy) http10: bool,
    /// The connection ends with it.
    pub(in crate::proxy) last: bool,
    /// The route's own CORS lines replace the upstream's.
    pub(in crate::proxy) own_cors: bool,
    pub(in crate::proxy) cors: &'m [(&'static str, String)],
}

impl Manner<'_> {
    /// Appends the answer's head, which was read from `answer`, as the client gets it, to `out`: how its body is framed there, and whether
    /// the connection ends with it.
    pub(in crate::proxy) fn write(
        &self,
        out: &mut Vec<u8>,
        answer: &[u8],
        head: &ResponseHead,
    ) -> (Framing, bool) {
        let framing = match head.framing {
            Framing::Chunked | Framing::UntilClose if self.http10 => Framing::UntilClose,
            Framing::Chunked | Framing::UntilClose => Framing::Chunked,
            Framing::None => Framing::None,
            Framing::Length(length) => Framing::Length(length),
        };
        let close = self.last || framing == Framing::UntilClose;
        let add: SmallVec<[(&str, &str); 4]> =
            self.cors.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (declared_length, own_cors) = (head.declared_length, self.own_cors);
        write::response_head(
            out,
            answer,
            head,
            &ResponseEdits { framing, declared_length, close, own_cors, add: &add },
        );
        (framing, close)
    }
}

/// Writes what is in `out` to the upstream.
pub(in crate::proxy) async fn begin(
    link: &mut Link,
    out: &[u8],
    timeout: Duration,
    deadline: &mut Deadline,
) -> Result<(), Failure> {
    let mut sent = 0;
    match relay::send_counting(&mut link.stream, (out, &[]), timeout, deadline, &mut sent).await {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(timed_out()),
        // What TLS has put on the wire before it failed is not known.
        Err(_) if sent == 0 && !link.stream.is_tls() => Err(Failure::Unsent),
        // A peer that stopped reading may have answered all the same: what it said is read next.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a whole request, which was `started` at this moment, and reads the head of its answer. One that is waited for
/// is held to its token.
pub(in crate::proxy) async fn send_whole(
    connection: &mut Connection,
    grant: &Grant,
    link: &mut Link,
    answer: &mut Buffer,
    started: Instant,
) -> Result<(), Failure> {
    let (timeout, messages) = (grant.upstream().response_timeout, connection.has_messages());
    let Connection { worker, stream, deadline, input, out, answer_head, to_head, handshake, .. } = connection;
    begin(link, out, timeout, deadline).await?;
    {
        let mut gone = pin!(relay::gone(stream, input));
        let asked = Asking { to_head: *to_head, handshake: handshake.as_ref() };
        let mut reading = pin!(read_head(&mut link.stream, answer, answer_head, asked));
        let mut either = pin!(poll_fn(|context| {
            if let Poll::Ready(read) = reading.as_mut().poll(context) {
                return Poll::Ready(read);
            }
            gone.as_mut().poll(context).map(|()| Err(Failure::Client(Fault::Gone)))
        }));
        match deadline.within(started + timeout.min(SOON), either.as_mut()).await {
            Ok(read) => read?,
            Err(Elapsed) => {
                // Boxed, as all that is rare: every connection would else carry the room for it.
                let read = Box::pin(unless(over(worker, grant, messages), either));
                match deadline.within(started + timeout, read).await {
                    Ok(read) => read.unwrap_or_else(|why| Err(Failure::Over(why)))?,
                    Err(Elapsed) => return Err(timed_out()),
                }
            }
        }
    }
    if is_twofold(link.reused, answer, answer_head) { Err(Failure::Twofold) } else { Ok(()) }
}

/// Resolves when the token of a request that has no answer yet is over. One that has only expired since it was let pass
/// does not count any less for that, but for a call of gRPC, whose messages are its answer.
pub(in crate::proxy) async fn over(worker: &Rc<Worker>, grant: &Grant, messages: bool) -> Reason {
    let Some(leash) = Leash::of(worker, grant) else { return std::future::pending().await };
    let why = leash.ended().await;
    if why == Reason::Expired && !messages { std::future::pending().await } else { why }
}

/// Whether octets that follow an answer are there as soon as its head is, on a connection that has served others:
/// then the first answer may be the belated second one to an earlier request. On a new connection the first answer is
/// this request's, and what follows is nobody's.
pub(in crate::proxy) fn is_twofold(reused: bool, answer: &Buffer, head: &ResponseHead) -> bool {
    let rest = &answer.filled()[head.length..];
    // A 101 has proved by its `Sec-WebSocket-Accept` which request it answers; what follows is the tunnel's.
    if !reused || rest.is_empty() || head.status == 101 {
        return false;
    }
    match head.framing {
        Framing::None => true,
        Framing::Length(length) => rest.len() as u64 > length,
        Framing::UntilClose => false,
        Framing::Chunked => {
            let (mut body, mut at) = (BodyReader::new(Framing::Chunked), 0);
            loop {
                match body.next(&rest[at..]) {
                    Ok(Piece::Content { skip, length }) => at += skip + length,
                    Ok(Piece::End { skip }) => return at + skip < rest.len(),
                    // What is broken is found out when it is relayed.
                    Ok(Piece::More { .. }) | Err(_) => return false,
                }
            }
        }
    }
}

pub(in crate::proxy) fn timed_out() -> Failure {
    Failure::Denied(Denial::new(Reason::UpstreamTimeout, "no answer within response_timeout"))
}

/// What an answer answers, as far as reading it goes.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Asking<'a> {
    pub(in crate::proxy) to_head: bool,
    /// A WebSocket handshake: what its 101 has to say.
    pub(in crate::proxy) handshake: Option<&'a Accept>,
}

/// Reads an answer's head, taking interim ones.
pub(in crate::proxy) async fn read_head(
    from: &mut (impl AsyncRead + Unpin),
    answer: &mut Buffer,
    head: &mut ResponseHead,
    asking: Asking<'_>,
) -> Result<(), Failure> {
    let garbage = |what: &'static str| Failure::Denied(Denial::new(Reason::UpstreamFailed, what));
    let mut interim = 0;
    loop {
        let read = match asking.handshake {
            None => head.read(answer.filled(), &ANSWER_HEAD, asking.to_head),
            Some(accept) => head.read_handshake(answer.filled(), &ANSWER_HEAD, accept),
        };
        match read {
            Err(error) => return Err(garbage(error.0)),
            Ok(true) if head.status >= 200 || head.status == 101 => return Ok(()),
            Ok(true) => {
                answer.consume(head.length);
                interim += 1;
                if interim > INTERIM {
                    return Err(garbage("too many interim answers"));
                }
                continue;
            }
            Ok(false) => {}
        }
        if answer.is_full(ANSWER_HEAD.total) {
            return Err(garbage("an answer's head past its bound"));
        }
        match answer.fill(from, ANSWER_HEAD.total).await {
            Ok(1..) => {}
            Ok(0) | Err(_) if answer.is_empty() => return Err(Failure::Ended),
            Ok(0) | Err(_) => return Err(garbage("the upstream closed within an answer's head")),
        }
    }
}

/// Sends the answer to a request that is all sent.
pub(in crate::proxy) async fn give_back(
    connection: &mut Connection,
    grant: &Grant,
    mut link: Link,
    mut answer: Buffer,
) -> Forwarded {
    // What came behind a handshake before its answer is no request: the client thought it had a tunnel.
    let early = connection.handshake.is_some() && !connection.input.is_empty();
    let last = connection.is_last() || early;
    let messages = connection.has_messages();
    if connection.inspected.take().is_some() {
        // It has gone on, and an answer may last: what it took is for others.
        connection.out = connection.worker.spares.lend_out();
    }
    let Connection { worker, stream, deadline, input, out, head, answer_head, cors, stay, .. } = connection;
    out.clear();
    let manner = Manner { http10: head.http10, last, own_cors: grant.cors().is_some(), cors };
    let (framing, close) = manner.write(out, answer.filled(), answer_head);
    answer.consume(answer_head.length);
    let mut body = answer_body(answer_head, head.takes_trailers);
    let ending = ending((worker, grant), answer_head, (framing, messages), stay);
    let stall = worker.limits().write_stall;
    let client = Halves::of(stream);
    let (mut from_client, mut to_client) = client.both();
    let sink = Sink::new(&mut to_client, stall, framing, out);
    let relayed = {
        let mut relaying =
            pin!(relay::relay(&mut link.stream, &mut answer, &mut body, sink, deadline, ending));
        let mut gone = pin!(relay::gone(&mut from_client, input));
        poll_fn(|context| match relaying.as_mut().poll(context) {
            Poll::Ready(relayed) => Poll::Ready(relayed),
            // The client's end is that of the way back.
            Poll::Pending => gone.as_mut().poll(context).map(|()| Err(Lost::Sink)),
        })
        .await
    };
    let status = answer_head.status;
    finish(connection, link, answer, matches!(relayed, Ok(Relayed::Whole)));
    Forwarded::Answered(status, next(connection, &relayed, close))
}

/// Reads an answer's body; its trailers are kept for a client that takes them.
pub(in crate::proxy) fn answer_body(head: &ResponseHead, takes_trailers: bool) -> BodyReader {
    match (head.framing, takes_trailers) {
        (Framing::Chunked, true) => BodyReader::keeping_trailers(Framing::Chunked),
        (framing, _) => BodyReader::new(framing),
    }
}

/// What may end this answer's body, which the client gets in this framing. An event stream in chunks, whose end can be
/// told from its being cut off, is one of the long streams. `messages` says that it is gRPC's: in chunks, it can have
/// trailers.
pub(in crate::proxy) fn ending<'w>(
    (worker, grant): (&'w Rc<Worker>, &'w Grant),
    head: &ResponseHead,
    (framing, messages): (Framing, bool),
    stay: &mut Option<Stay>,
) -> Ending<'w> {
    let is_long = head.event_stream && framing == Framing::Chunked;
    *stay = is_long.then(|| Stay::on(worker));
    let manner = match (is_long, messages && framing == Framing::Chunked) {
        (true, _) => relay::Manner::Events { cut: head.encoded || grant.route().graphql.is_some() },
        (false, true) => relay::Manner::Messages,
        (false, false) => relay::Manner::Octets,
    };
    let silence = grant.upstream().response_timeout;
    Ending { worker, grant, leash: None, framing: head.framing, silence, manner }
}

/// What becomes of the client's connection after an answer. The end of a long stream is counted, and of any other that
/// ended with its token.
pub(in crate::proxy) fn next(
    connection: &mut Connection,
    relayed: &Result<Relayed, Lost>,
    close: bool,
) -> Next {
    let end = match relayed {
        Ok(Relayed::Whole) | Err(Lost::Source(_)) => StreamEnd::Upstream,
        Ok(Relayed::Parted(Farewell::Leaving)) => StreamEnd::Drained,
        Ok(Relayed::Parted(Farewell::Over(why))) | Err(Lost::Over(why)) => {
            connection.over = Some(*why);
            StreamEnd::of(*why)
        }
        Err(Lost::Sink) => StreamEnd::Client,
        Err(Lost::Stalled) => StreamEnd::Stalled,
    };
    if connection.stay.is_some() || connection.over.is_some() {
        connection.worker.streams.closed(end);
    }
    match relayed {
        Err(_) => Next::Abort,
        Ok(Relayed::Whole) if !close => Next::Again,
        Ok(Relayed::Whole | Relayed::Parted(_)) => Next::Close,
    }
}

/// Puts an upstream connection back if its answer ended where it should and nothing followed.
pub(in crate::proxy) fn finish(connection: &Connection, link: Link, answer: Buffer, whole: bool) {
    let reusable = whole && connection.answer_head.keep_alive && answer.is_empty();
    connection.worker.spares.take_back(answer);
    if reusable {
        let worker = &connection.worker;
        worker.pool.keep(&link.chosen.address, link.secured, link.stream, worker.moment.get());
    }
}
