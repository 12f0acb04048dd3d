//! The answer to an operation that was sent on without some of its fields: read whole, told what was left out, sent.
//!
//! Nothing is kept from anybody here: what was left out was never run. An answer that is none to an operation, such as an
//! upstream's page for a fault of its own, goes on as it is. One that should be told of and cannot be, since it comes in
//! pieces, encoded, too large or broken, is not given: its client would take it for everything that was asked for.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::config::defaults::NARROWED_ANSWER;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::{Grant, Narrowed};
use crate::graphql::merged;
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
use crate::proxy::whole::Held;

/// What an answer is, by its head.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// One JSON text: it can be told what was left out.
    Json,
    /// No answer to an operation.
    Foreign,
    /// An answer that nothing can be told in.
    Closed(&'static str),
}

/// Sends the answer to a request that is all sent, whose head was read into `connection.answer_head`.
pub(in crate::proxy) async fn give_back(
    connection: &mut Connection,
    grant: &Grant,
    narrowed: &Narrowed,
    mut link: Link,
    mut answer: Buffer,
) -> Forwarded {
    match form(&connection.answer_head, answer.filled()) {
        Form::Foreign => return exchange::give_back(connection, grant, link, answer).await,
        Form::Closed(why) => return failed(connection, answer, why),
        Form::Json => {}
    }
    // It has gone on, and what it took is for others.
    if connection.inspected.take().is_some() {
        connection.out = connection.worker.spares.lend_out();
    }
    let mut held = Held::on(&connection.worker);
    let lines = answer.filled().get(..connection.answer_head.length).unwrap_or_default().to_vec();
    let content = match read(connection, grant, &mut link, &mut answer, &mut held).await {
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
    let Ok(merged) = merged::merge(&content, &narrowed.left_out) else {
        return failed(connection, answer, "an answer that is no GraphQL response");
    };
    drop(content);
    let last = connection.is_last();
    let Connection { worker, stream, deadline, out, head, answer_head, cors, .. } = connection;
    out.clear();
    about_other_octets(answer_head, &lines);
    answer_head.declared_length = Some(merged.len() as u64);
    answer_head.framing = Framing::Length(merged.len() as u64);
    let manner = Manner { http10: head.http10, last, own_cors: grant.cors().is_some(), cors };
    let (_, close) = manner.write(out, &lines, answer_head);
    let sent = relay::send(stream, out, &merged, worker.limits().write_stall, deadline).await;
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
    held: &mut Held,
) -> Result<Vec<u8>, Unread> {
    let until = from_now(grant.upstream().response_timeout);
    let Connection { worker, stream, deadline, input, answer_head, .. } = connection;
    answer.consume(answer_head.length);
    let whole = async {
        let mut over =
            pin!(unless(exchange::over(worker, grant, false), whole(link, answer, answer_head, held)));
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
    held: &mut Held,
) -> Result<Vec<u8>, &'static str> {
    const LARGE: &str = "an answer past its bound, to an operation that was sent on in part";
    if matches!(head.framing, Framing::Length(length) if length > NARROWED_ANSWER as u64) {
        return Err(LARGE);
    }
    let (mut reader, mut content) = (BodyReader::new(head.framing), Vec::new());
    loop {
        match reader.next(answer.filled()).map_err(|error| error.0)? {
            Piece::Content { skip, length } => {
                answer.consume(skip);
                if content.len() + length > NARROWED_ANSWER {
                    return Err(LARGE);
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
fn failed(connection: &Connection, answer: Buffer, why: &'static str) -> Forwarded {
    connection.worker.spares.take_back(answer);
    Forwarded::Failed(Denial::new(Reason::UpstreamFailed, why))
}

/// What the answer with this head is.
fn form(head: &ResponseHead, buffer: &[u8]) -> Form {
    let values = |wanted: &'static str| {
        let named = move |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
        let lines = head.lines.iter().filter(move |line| named(octets(buffer, &line.name)));
        lines.map(|line| octets(buffer, &line.value))
    };
    let kind = values("content-type").next().unwrap_or_default();
    let kind =
        kind.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    if kind == b"text/event-stream" || kind.starts_with(b"multipart/") {
        return Form::Closed("an answer in pieces to an operation that was sent on in part");
    }
    if head.framing == Framing::None || !(kind == b"application/json" || kind.ends_with(b"+json")) {
        return Form::Foreign;
    }
    let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if !values("content-encoding").all(plain) {
        return Form::Closed("an encoded answer to an operation that was sent on in part");
    }
    Form::Json
}
