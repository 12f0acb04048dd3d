//! Answers whose clients get another body: read whole, within bounds, and written anew.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, Known, ResponseHead, octets};
use crate::metrics::stream::StreamEnd;
use crate::proxy::buffer::{Buffer, ROOM};
use crate::proxy::connection::{Connection, Next};
use crate::proxy::exchange::{self, Manner};
use crate::proxy::forward::Forwarded;
use crate::proxy::judge::from_now;
use crate::proxy::reach::Link;
use crate::proxy::recheck::unless;
use crate::proxy::relay;
use crate::proxy::whole::{Held, is_longer};

/// How much of an answer is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Bound {
    /// Octets, at most.
    pub(in crate::proxy) most: usize,
    /// What an answer past it is.
    pub(in crate::proxy) larger: &'static str,
}

/// Sends the answer to a request that is all sent, whose head was read into `connection.answer_head`, with what `write`
/// makes of its body. What it makes nothing of is not given.
pub(in crate::proxy) async fn give_back(
    connection: &mut Connection,
    grant: &Grant,
    (mut link, mut answer): (Link, Buffer),
    bound: Bound,
    write: impl FnOnce(&[u8]) -> Result<Vec<u8>, &'static str>,
) -> Forwarded {
    // The request has gone on, and what it took is for others.
    if connection.inspected.take().is_some() {
        connection.out = connection.worker.spares.lend_out();
    }
    let mut held = Held::on(&connection.worker);
    let lines = answer.filled().get(..connection.answer_head.length).unwrap_or_default().to_vec();
    let content = match read(connection, grant, &mut link, &mut answer, (bound, &mut held)).await {
        Ok(content) => content,
        Err(Unread::Answer(why)) => return failed(connection, answer, why),
        Err(Unread::Over(why)) => {
            connection.worker.streams.closed(StreamEnd::of(why));
            connection.worker.spares.take_back(answer);
            return Forwarded::Failed(Denial::new(why, "the token was over before there was an answer"));
        }
        Err(Unread::Client) => {
            connection.worker.spares.take_back(answer);
            return Forwarded::Answered(0, Next::Abort);
        }
    };
    let written = match write(&content) {
        Ok(written) => written,
        Err(why) => return failed(connection, answer, why),
    };
    drop(content);
    let last = connection.is_last();
    let Connection { worker, stream, deadline, out, head, answer_head, cors, .. } = connection;
    out.clear();
    about_other_octets(answer_head, &lines);
    answer_head.declared_length = Some(written.len() as u64);
    answer_head.framing = Framing::Length(written.len() as u64);
    let manner = Manner { http10: head.http10, last, own_cors: grant.cors().is_some(), cors };
    let (_, close) = manner.write(out, &lines, answer_head);
    let sent = relay::send(stream, out, &written, worker.limits().write_stall, deadline).await;
    let status = answer_head.status;
    exchange::finish(connection, link, answer, true);
    let next = match (sent, close) {
        (Err(_), _) => Next::Abort,
        (Ok(()), true) => Next::Close,
        (Ok(()), false) => Next::Again,
    };
    Forwarded::Answered(status, next)
}

/// Why an answer could not be read.
enum Unread {
    /// It is at fault.
    Answer(&'static str),
    /// Its token was over before.
    Over(Reason),
    /// Its client went.
    Client,
}

/// Reads the answer's body whole, behind its head, within the time that its head may have taken.
async fn read(
    connection: &mut Connection,
    grant: &Grant,
    link: &mut Link,
    answer: &mut Buffer,
    (bound, held): (Bound, &mut Held),
) -> Result<Vec<u8>, Unread> {
    let until = from_now(grant.upstream().response_timeout);
    let Connection { worker, stream, deadline, input, answer_head, .. } = connection;
    answer.consume(answer_head.length);
    let whole = async {
        let mut over = pin!(unless(
            exchange::over(worker, grant, false),
            whole(link, answer, answer_head, (bound, held))
        ));
        let mut gone = pin!(relay::gone(stream, input));
        poll_fn(|context| match over.as_mut().poll(context) {
            Poll::Ready(Ok(read)) => Poll::Ready(read.map_err(Unread::Answer)),
            Poll::Ready(Err(why)) => Poll::Ready(Err(Unread::Over(why))),
            Poll::Pending => gone.as_mut().poll(context).map(|()| Err(Unread::Client)),
        })
        .await
    };
    match deadline.within(until, whole).await {
        Ok(read) => read,
        Err(_) => Err(Unread::Answer("an answer that took longer than response_timeout")),
    }
}

async fn whole(
    link: &mut Link,
    answer: &mut Buffer,
    head: &ResponseHead,
    (bound, held): (Bound, &mut Held),
) -> Result<Vec<u8>, &'static str> {
    if is_longer(head.framing, bound.most) {
        return Err(bound.larger);
    }
    let (mut reader, mut content) = (BodyReader::new(head.framing), Vec::new());
    loop {
        match reader.next(answer.filled()).map_err(|error| error.0)? {
            Piece::Content { skip, length } => {
                answer.consume(skip);
                if content.len() + length > bound.most {
                    return Err(bound.larger);
                }
                if !held.take(length) {
                    return Err("limits.inspected_total is held already");
                }
                content.extend_from_slice(answer.filled().get(..length).unwrap_or_default());
                answer.consume(length);
            }
            Piece::More { skip } => {
                answer.consume(skip);
                match answer.fill(&mut link.stream, ROOM).await {
                    Ok(1..) => {}
                    Ok(0) if head.framing == Framing::UntilClose => return Ok(content),
                    Ok(0) | Err(_) => return Err("the upstream closed within an answer"),
                }
            }
            Piece::End { skip } => {
                answer.consume(skip);
                return Ok(content);
            }
        }
    }
}

/// Drops what the head says of the octets that the upstream sent: the client gets others.
fn about_other_octets(head: &mut ResponseHead, buffer: &[u8]) {
    const LINES: [&[u8]; 6] =
        [b"etag", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"accept-ranges"];
    for line in &mut head.lines {
        if LINES.iter().any(|name| octets(buffer, &line.name).eq_ignore_ascii_case(name)) {
            line.known = Known::HopByHop;
        }
    }
}

/// The upstream's answer cannot be given.
pub(in crate::proxy) fn failed(connection: &Connection, answer: Buffer, why: &'static str) -> Forwarded {
    connection.worker.spares.take_back(answer);
    Forwarded::Failed(Denial::new(Reason::UpstreamFailed, why))
}
