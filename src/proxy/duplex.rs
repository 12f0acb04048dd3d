//! A request whose body is still arriving while it is sent, and perhaps while it is answered.

use std::pin::pin;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::gate::grant::Grant;
use crate::http1::body::BodyReader;
use crate::http1::head::Framing;
use crate::proxy::access_log::Record;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::deadline::Deadline;
use crate::proxy::exchange::{Failure, Manner, finish, next, read_head, timed_out};
use crate::proxy::forward::{Forwarded, failed};
use crate::proxy::judge::from_now;
use crate::proxy::reach::Link;
use crate::proxy::relay::{self, Lost, Pace, Sink};
use crate::proxy::worker::UpstreamView;

/// Sends the request in `connection.out` and the rest of `body`, and the answer back, both at once.
pub(in crate::proxy) async fn stream(
    connection: &mut Connection,
    grant: &Grant,
    mut link: Link,
    mut body: BodyReader,
    (view, record): (&UpstreamView, &mut Record),
) -> Forwarded {
    // Only now: the decision has been made, and the body is wanted (RFC 9110 section 10.1.1).
    if connection.head.expects_continue
        && connection.input.is_empty()
        && connection.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
    {
        return Forwarded::Answered(0, Next::Abort);
    }
    let worker = Rc::clone(&connection.worker);
    let (timeout, started) = (grant.upstream().response_timeout, Instant::now());
    let last = connection.is_last();
    let Connection { stream, deadline, input, out, head, answer_head, to_head, cors, .. } = connection;
    let mut answer = worker.spares.lend();
    let (mut pace, mut pump_deadline) = (Pace::new(worker.limits()), Deadline::new());
    // Both sockets in halves, for as long as both directions move.
    let ended = 'both: {
        let (mut from_client, mut to_client) = stream.split();
        let (mut from_upstream, mut to_upstream) = link.stream.split();
        // `Some(whole)` once the body's way has ended.
        let mut pumped = None;
        let sink = Sink { to: &mut to_upstream, stall: timeout, framing: head.framing, out };
        let mut pump =
            pin!(relay::pump(&mut from_client, input, &mut body, sink, &mut pace, &mut pump_deadline));
        let mut until = None;
        let answered = loop {
            tokio::select! {
                biased;
                ended = &mut pump, if pumped.is_none() => {
                    if let Err(Lost::Source(fault)) = ended {
                        break Err(Failure::Client(fault));
                    }
                    // An upstream that stopped reading may have answered all the same.
                    pumped = Some(ended.is_ok());
                    until = Some(from_now(timeout));
                }
                read = read_head(&mut from_upstream, &mut answer, answer_head, *to_head) => break read,
                () = tokio::time::sleep_until(until.unwrap_or(started)), if until.is_some() => break Err(timed_out()),
            }
        };
        if let Err(failure) = answered {
            break 'both Err(failure);
        }
        record.upstream = Some(started.elapsed());
        view.metrics.observe(started.elapsed().as_secs_f64());

        let manner = Manner {
            http10: head.http10,
            last: last || pumped != Some(true),
            own_cors: grant.cors().is_some(),
            cors,
        };
        let mut answer_out = worker.spares.lend_out();
        let (framing, close) = manner.write(&mut answer_out, &answer, answer_head);
        answer.consume(answer_head.length);
        let mut answer_body = BodyReader::new(answer_head.framing);
        let until_close = answer_head.framing == Framing::UntilClose;
        let relayed = {
            let sink = Sink {
                to: &mut to_client,
                stall: worker.limits().write_stall,
                framing,
                out: &mut answer_out,
            };
            let relaying =
                relay::relay(&mut from_upstream, &mut answer, &mut answer_body, sink, deadline, until_close);
            let mut relaying = pin!(relaying);
            loop {
                tokio::select! {
                    biased;
                    ended = &mut relaying => break ended,
                    ended = &mut pump, if pumped.is_none() => match ended {
                        Err(Lost::Source(_)) => break Err(Lost::Sink),
                        ended => pumped = Some(ended.is_ok()),
                    },
                }
            }
        };
        worker.spares.take_back_out(answer_out);
        Ok((relayed.is_ok(), pumped == Some(true), close))
    };
    let status = answer_head.status;
    match ended {
        Ok((whole, pumped, close)) => {
            finish(connection, link, answer, whole && pumped);
            Forwarded::Answered(status, next(whole, close))
        }
        Err(failure) => failed(failure, Forwarded::Broken),
    }
}
