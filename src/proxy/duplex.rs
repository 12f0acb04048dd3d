//! A request whose body is still arriving while it is sent, and perhaps while it is answered.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use tokio::time::Instant;

use crate::gate::grant::Grant;
use crate::http1::body::BodyReader;
use crate::proxy::access_log::Record;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::deadline::Deadline;
use crate::proxy::exchange::{
    Asking, Failure, Manner, answer_body, ending, finish, is_twofold, next, over, read_head, timed_out,
};
use crate::proxy::forward::{Forwarded, failed};
use crate::proxy::judge::from_now;
use crate::proxy::reach::Link;
use crate::proxy::relay::{self, HeldTo, Lost, Pace, Relayed, Sink};
use crate::proxy::stream::Halves;
use crate::proxy::worker::UpstreamView;

/// Sends the rest of `body`, and the answer back, both at once. The head is sent: the upstream can be asked.
pub(in crate::proxy) async fn stream(
    connection: &mut Connection,
    grant: &Grant,
    mut link: Link,
    mut body: BodyReader,
    (view, record): (&UpstreamView, &mut Record),
) -> Forwarded {
    if invite_body(connection).await.is_err() {
        return Forwarded::Answered(0, Next::Abort);
    }
    let worker = Rc::clone(&connection.worker);
    let (timeout, started) = (grant.upstream().response_timeout, Instant::now());
    let (last, messages) = (connection.is_last(), connection.has_messages());
    let held_to = Cell::new(if messages { HeldTo::Idle } else { HeldTo::Rate });
    let Connection { stream, deadline, input, out, head, answer_head, to_head, cors, stay, .. } = connection;
    let mut answer = worker.spares.lend_for(connection.downstream.version);
    let (reused, mut is_over) = (link.reused, pin!(over(&worker, grant, messages)));
    let (mut pace, mut pump_deadline) = (Pace::new(worker.limits(), &held_to), Deadline::new());
    // Both sockets in halves, for as long as both directions move.
    let ended = 'both: {
        let (client, upstream) = (Halves::of(stream), Halves::of(&mut link.stream));
        let (mut from_client, mut to_client) = client.both();
        let (mut from_upstream, mut to_upstream) = upstream.both();
        // Whether the body has got across whole, and whether its way has ended before that.
        let (done, mut broken) = (Cell::new(false), false);
        let sink = Sink::new(&mut to_upstream, timeout, head.framing, out);
        let pump =
            relay::pump(&mut from_client, input, &mut body, sink, &mut pace, &mut pump_deadline, &done);
        let (mut pump, mut until) = (pin!(pump), None);
        let asking = Asking { to_head: *to_head, handshake: None };
        let answered = loop {
            tokio::select! {
                biased;
                lost = &mut pump, if !broken => match lost {
                    Lost::Source(fault) => break Err(Failure::Client(fault)),
                    // An upstream that stopped reading may have answered all the same.
                    Lost::Sink | Lost::Stalled | Lost::Over(_) => {
                        (broken, until) = (true, Some(from_now(timeout)));
                    }
                },
                // The pump was asked just before: what it has done since counts now.
                () = poll_fn(|_| if done.get() { Poll::Ready(()) } else { Poll::Pending }), if until.is_none() => {
                    until = Some(from_now(timeout));
                }
                read = read_head(&mut from_upstream, &mut answer, answer_head, asking) => break read,
                why = &mut is_over => break Err(Failure::Over(why)),
                () = tokio::time::sleep_until(until.unwrap_or(started)), if until.is_some() => break Err(timed_out()),
            }
        };
        match answered {
            Err(failure) => break 'both Err(failure),
            Ok(()) if is_twofold(reused, &answer, answer_head) => break 'both Err(Failure::Twofold),
            Ok(()) => {}
        }
        held_to.set(HeldTo::Nothing);
        record.answered(started, &view.metrics);

        let last = last || !done.get() || worker.draining.get();
        let manner = Manner { http10: head.http10, last, own_cors: grant.cors().is_some(), cors };
        let mut answer_out = worker.spares.lend_out();
        let (framing, close) = manner.write(&mut answer_out, answer.filled(), answer_head);
        answer.consume(answer_head.length);
        let mut answer_body = answer_body(answer_head, head.takes_trailers);
        let ending = ending((&worker, grant), answer_head, (framing, messages), stay);
        let relayed = {
            let sink = Sink::new(&mut to_client, worker.limits().write_stall, framing, &mut answer_out);
            let relaying =
                relay::relay(&mut from_upstream, &mut answer, &mut answer_body, sink, deadline, ending);
            beside(pin!(relaying), pump, broken).await
        };
        worker.spares.take_back_out(answer_out);
        Ok((answer_head.status, relayed, done.get(), close))
    };
    match ended {
        Ok((status, relayed, sent, close)) => {
            finish(connection, link, answer, sent && matches!(relayed, Ok(Relayed::Whole)));
            Forwarded::Answered(status, next(connection, &relayed, close))
        }
        Err(failure) => failed(&worker, failure, Forwarded::Broken),
    }
}

/// Says that the body is wanted, to a client that waits to hear it (RFC 9110 section 10.1.1): only now, after the
/// decision.
pub(in crate::proxy) async fn invite_body(connection: &mut Connection) -> io::Result<()> {
    if connection.head.expects_continue && connection.input.is_empty() {
        connection.send_interim(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    Ok(())
}

/// Relays the answer while the body is pumped, or the client watched, beside it.
async fn beside(
    mut relaying: Pin<&mut impl Future<Output = Result<Relayed, Lost>>>,
    mut pump: Pin<&mut impl Future<Output = Lost>>,
    mut broken: bool,
) -> Result<Relayed, Lost> {
    loop {
        tokio::select! {
            biased;
            ended = &mut relaying => return ended,
            lost = &mut pump, if !broken => match lost {
                Lost::Source(_) => return Err(Lost::Sink),
                Lost::Sink | Lost::Stalled | Lost::Over(_) => broken = true,
            },
        }
    }
}
