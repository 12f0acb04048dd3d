//! The way upstream and back: a grant in, an answer out.
//!
//! A request whose body has arrived whole (most have none) is written at once and answered in turn; one whose
//! body is still on its way has both directions moving, and an upstream may answer before it has it all.
//!
//! Sent again only where that cannot make anything happen twice (RFC 9110 section 9.2.2): nothing was sent, or
//! the method is idempotent and the body whole in our hands; and then once.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Balance, UpstreamHost};
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::gate::reserved::Reserved;
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, octets};
use crate::http1::{websocket, write};
use crate::metrics::stream::StreamEnd;
use crate::proxy::access_log::Record;
use crate::proxy::buffer::Buffer;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::downstream::Version;
use crate::proxy::duplex;
use crate::proxy::exchange::{self, Failure};
use crate::proxy::judge::balance_key;
use crate::proxy::narrowed;
use crate::proxy::reach::{Link, Reaching, Tried, name_host, reach};
use crate::proxy::relay::Fault;
use crate::proxy::reserved;
use crate::proxy::tunnel;
use crate::proxy::worker::{UpstreamView, Worker};

/// How long a decision may take for the runtime's last look at its sockets to be trusted. That look is the older for
/// what other connections were served since, some milliseconds on a busy worker. What an upstream says before it is
/// asked belongs to an earlier request, whose client has gone with what it got; and one that has closed is not asked.
/// Where the decision took longer, or the request may not be sent again, a waiting connection is asked once more, which
/// is a system call.
const FRESH: Duration = Duration::from_micros(200);

/// What came of it.
pub(in crate::proxy) enum Forwarded {
    /// An answer was sent, or begun: its status (0 for none), and what becomes of the connection.
    Answered(u16, Next),
    /// Nothing was sent to the client yet: refuse with this. The request has been read to its end.
    Failed(Denial),
    /// The same, but where the next request would begin is not known: the connection ends.
    Broken(Denial),
}

/// Forwards the request whose head is written in `connection.out`.
pub(in crate::proxy) async fn forward(
    connection: &mut Connection,
    grant: &Grant,
    record: &mut Record,
) -> Forwarded {
    let method = octets(connection.head_octets(), &connection.head.method);
    // RFC 9110 section 9.2.2.
    let idempotent = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE");
    keep_handshake(connection, grant);
    connection.input.consume(connection.head.length);
    let mut body = BodyReader::new(connection.head.framing);
    let whole = match take_whole(connection, &mut body) {
        Ok(whole) => whole,
        Err(what) => return Forwarded::Broken(Denial::new(Reason::MalformedRequest, what)),
    };
    give_up_input(connection, whole);
    let fail = if whole { Forwarded::Failed } else { Forwarded::Broken };
    let view = upstream_view(&connection.worker, grant, record);
    // Held until there is nothing more to be had of the upstream, however that ends.
    let Some(_place) = view.metrics.enter(grant.upstream().max_requests) else {
        return fail(Denial::new(Reason::Overloaded, "the upstream has max_requests of them"));
    };
    let key = peer_key(grant, record.client);
    let (mut tried, mut again, look) = (Tried::new(), false, !idempotent || record.decision_took() > FRESH);
    loop {
        let mut link = match reach(Reaching::of(connection), grant, &view, &key, &mut tried, again).await {
            Ok(link) => link,
            Err(denial) => return fail(denial),
        };
        if grant.upstream().host == UpstreamHost::Upstream {
            name_host(&mut connection.out, &view.balancer.name_of(&link.chosen.address));
        }
        let failure = if look && link.reused && !link.stream.is_silent() {
            Failure::Unsent
        } else if whole {
            let mut answer = connection.worker.spares.lend_for(connection.downstream.version);
            // A connection that waits is sent on at once.
            let started = if link.reused && !again { record.decided_at() } else { Instant::now() };
            match exchange::send_whole(connection, grant, &mut link, &mut answer, started).await {
                Ok(()) => {
                    record.answered(started, &view.metrics);
                    if connection.answer_head.status == 101 {
                        record.count(101);
                        return Box::pin(tunnel::tunnel(connection, grant, link, answer)).await;
                    }
                    return give_back(connection, grant, link, answer).await;
                }
                Err(failure) => {
                    connection.worker.spares.take_back(answer);
                    failure
                }
            }
        } else {
            let timeout = grant.upstream().response_timeout;
            match exchange::begin(&mut link, &connection.out, timeout, &mut connection.deadline).await {
                Ok(()) => {
                    connection.out.clear();
                    // Boxed: every connection would else carry the room for this, idle ones too.
                    return Box::pin(duplex::stream(connection, grant, link, body, (&view, record))).await;
                }
                Err(failure) => failure,
            }
        };
        match failure {
            Failure::Unsent if !link.reused => tried.push(link.chosen.address.clone()),
            Failure::Unsent if !again => again = true,
            // It was refused, or overtaken by the peer's goodbye: nothing can happen twice.
            _ if link.stream.is_unprocessed() && !again => again = true,
            // The peer had closed a waiting connection, or was still answering on it: it may have acted on the
            // request all the same.
            Failure::Ended | Failure::Twofold if idempotent && link.reused && !again => again = true,
            failure @ (Failure::Unsent
            | Failure::Ended
            | Failure::Twofold
            | Failure::Client(_)
            | Failure::Denied(_)
            | Failure::Over(_)) => return failed(&connection.worker, failure, fail),
        }
    }
}

/// Sends the answer to a request that is all sent.
async fn give_back(connection: &mut Connection, grant: &Grant, link: Link, answer: Buffer) -> Forwarded {
    match (grant.narrowed(), grant.reserved()) {
        (None, None | Some(Reserved::Named(_))) => exchange::give_back(connection, grant, link, answer).await,
        // Boxed, as all that is rare: every connection would else carry the room for it.
        (Some(told), _) => Box::pin(narrowed::give_back(connection, grant, told, link, answer)).await,
        (None, Some(Reserved::Promised(promise))) => {
            Box::pin(reserved::give_back(connection, grant, promise, link, answer)).await
        }
    }
}

/// What its peer is chosen by, where it is not the peers' turn.
pub(in crate::proxy) fn peer_key(grant: &Grant, client: IpAddr) -> Vec<u8> {
    match grant.upstream().balance {
        Balance::ConsistentHash => balance_key(grant, client),
        Balance::RoundRobin | Balance::LeastRequests => Vec::new(),
    }
}

/// Gives the buffer back where a stream's only request has been read: many streams that wait shall not hold one each.
/// Behind a handshake more may come.
fn give_up_input(connection: &mut Connection, whole: bool) {
    let last = connection.downstream.version == Version::Http2 && connection.handshake.is_none();
    if whole && last && connection.input.is_empty() {
        connection.worker.spares.take_back(std::mem::take(&mut connection.input));
    }
}

/// A failure as what the client is told, by way of `fail`.
pub(in crate::proxy) fn failed(
    worker: &Worker,
    failure: Failure,
    fail: fn(Denial) -> Forwarded,
) -> Forwarded {
    let denial = match failure {
        Failure::Unsent | Failure::Ended => {
            Denial::new(Reason::UpstreamFailed, "the upstream closed without an answer")
        }
        Failure::Twofold => Denial::new(Reason::UpstreamFailed, "two answers to one request"),
        Failure::Client(Fault::Slow) => {
            Denial::new(Reason::RequestTimeout, "the body came slower than body_rate")
        }
        Failure::Client(Fault::Framing(what)) => Denial::new(Reason::MalformedRequest, what),
        Failure::Client(Fault::Gone) => return Forwarded::Answered(0, Next::Abort),
        Failure::Denied(denial) => denial,
        Failure::Over(why) => {
            worker.streams.closed(StreamEnd::of(why));
            Denial::new(why, "the token was over before there was an answer")
        }
    };
    fail(denial)
}

/// Keeps what is needed of a WebSocket's handshake once its octets are gone: what its 101 has to say, and all of it
/// where it may be decided again.
fn keep_handshake(connection: &mut Connection, grant: &Grant) {
    let (octets_of, length) = (connection.input.filled(), connection.head.length);
    // Told by the key that is sent on: the client's own.
    let key = connection.head.websocket.as_ref();
    connection.handshake = key.map(|key| websocket::accept(octets(octets_of, key)));
    connection.opened = match key {
        Some(_) if grant.route().reauthenticate().is_some() => octets_of.get(..length).map(Box::from),
        Some(_) | None => None,
    };
}

/// Takes a body that is all there into `out`, behind the head; `false` when some of it is yet to come.
fn take_whole(connection: &mut Connection, body: &mut BodyReader) -> Result<bool, &'static str> {
    if body.is_done() {
        return Ok(true);
    }
    let (start, mut look, mut at) = (connection.out.len(), body.clone(), 0);
    loop {
        let rest = &connection.input.filled()[at..];
        match look.next(rest).map_err(|error| error.0)? {
            Piece::Content { skip, length } => {
                let content = &rest[skip..skip + length];
                match connection.head.framing {
                    Framing::Chunked => {
                        write::chunk_size(&mut connection.out, length);
                        connection.out.extend_from_slice(content);
                        connection.out.extend_from_slice(b"\r\n");
                    }
                    Framing::None | Framing::Length(_) | Framing::UntilClose => {
                        connection.out.extend_from_slice(content)
                    }
                }
                at += skip + length;
            }
            Piece::More { .. } => {
                connection.out.truncate(start);
                return Ok(false);
            }
            Piece::End { skip } => {
                if connection.head.framing == Framing::Chunked {
                    connection.out.extend_from_slice(b"0\r\n\r\n");
                }
                connection.input.consume(at + skip);
                *body = look;
                return Ok(true);
            }
        }
    }
}

/// The upstream in the table by which it was granted.
pub(in crate::proxy) fn upstream_view(worker: &Worker, grant: &Grant, record: &Record) -> Rc<UpstreamView> {
    if let Some(found) = record.upstream_view(grant) {
        return Rc::clone(found);
    }
    let shared = &worker.shared;
    let metrics = shared.parts.metrics.upstream(&grant.upstream().name);
    Rc::new(UpstreamView { balancer: shared.balancers.get(grant.upstream(), grant.upstream_tls()), metrics })
}
