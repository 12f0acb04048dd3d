//! Requests for the gateway's own endpoints: the body is read whole, the question asked, the answer written down.
//!
//! What an endpoint does is not known here. Its work may change something, so that once it has begun it goes on to its
//! end, whether its client still waits or not.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::config::defaults::{ENDPOINT_BODY, ENDPOINT_CALLS, ENDPOINT_TIME};
use crate::gate::call::{Call, Called};
use crate::gate::denial::{Denial, Reason};
use crate::http1::head::{Known, octets, text};
use crate::path::{self, Path};
use crate::proxy::access_log::Record;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::judge::{from_now, lower};
use crate::proxy::refuse;
use crate::proxy::relay;
use crate::proxy::whole::{self, Held};
use crate::proxy::worker::Worker;

/// One call that is being answered, until dropped: its worker does not end before.
struct Answering {
    worker: Rc<Worker>,
}

/// Answers a request that the gate has sent here, whose head is still in front of the input.
pub(in crate::proxy) async fn answer(
    connection: &mut Connection,
    called: &Called,
    record: &mut Record,
) -> (u16, Next) {
    record.called(called);
    let worker = Rc::clone(&connection.worker);
    let most = ENDPOINT_BODY.min(worker.limits().inspected_body);
    if whole::is_longer(connection.head.framing, most) {
        let denial = too_large();
        record.refused_after(&denial);
        return connection.refuse(&denial, record).await;
    }
    let mut call = call(connection, called, record);
    let mut held = Held::on(&worker);
    let denial = match whole::read(connection, most, &mut held).await {
        Ok(body) => {
            call.body = body;
            match Answering::on(&worker) {
                Some(answering) => return ask(connection, call, (held, answering), record).await,
                None => Denial::new(Reason::Overloaded, "too many calls of endpoints at once"),
            }
        }
        Err(why) => match why.denial(too_large) {
            Some(denial) => denial,
            None => return (0, Next::Abort),
        },
    };
    // A client that is slow to take its refusal leaves room for others meanwhile.
    drop(held);
    record.refused_after(&denial);
    // Only of a body that was read to its end is it known where the next request begins.
    connection.fail(&denial, record, true).await
}

/// Asks, and sends what comes of it. A client that leaves meanwhile leaves the work to go on without it.
async fn ask(
    connection: &mut Connection,
    call: Call,
    held: (Held, Answering),
    record: &mut Record,
) -> (u16, Next) {
    let ask = Arc::clone(&held.1.worker.shared.parts.ask_authority);
    let mut work = tokio::task::spawn_local(async move {
        let answered = ask(call).await;
        drop(held);
        answered
    });
    let waited = {
        let Connection { stream, input, deadline, .. } = connection;
        let mut gone = pin!(relay::gone(stream, input));
        let either = poll_fn(|context| match Pin::new(&mut work).poll(context) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending => gone.as_mut().poll(context).map(|()| None),
        });
        deadline.within(from_now(ENDPOINT_TIME), either).await
    };
    let close = connection.is_last();
    let denial = match waited {
        Ok(Some(Ok(answered))) => {
            record.made(answered.result);
            connection.out.clear();
            let manner = refuse::Manner { to_head: connection.to_head, close, grpc: false };
            match refuse::answered(&mut connection.out, &answered, &connection.cors, manner) {
                Ok(()) => {
                    record.count(answered.status);
                    let next = match (connection.send_out().await, close) {
                        (Err(_), _) => Next::Abort,
                        (Ok(()), true) => Next::Close,
                        (Ok(()), false) => Next::Again,
                    };
                    return (answered.status, next);
                }
                Err(what) => Denial::new(Reason::Internal, what),
            }
        }
        // A panic: the process's hook has counted it.
        Ok(Some(Err(_))) => Denial::new(Reason::Internal, "a fault of the endpoint itself"),
        Ok(None) => return (0, Next::Abort),
        Err(_) => Denial::new(Reason::Overloaded, "the endpoint took too long"),
    };
    record.failed(&denial);
    connection.fail(&denial, record, close).await
}

/// The call, but for its body.
fn call(connection: &Connection, called: &Called, record: &Record) -> Call {
    let (head, buffer) = (&connection.head, connection.input.filled());
    let way = connection.downstream.way(head, buffer);
    let lines = head.lines.iter();
    // What a hop says of itself, or a client of the way it came, is no part of the request.
    let lines = lines.filter(|line| !matches!(line.known, Known::HopByHop | Known::Forwarding | Known::Via));
    let lower_case = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase().into_boxed_str();
    Call {
        endpoint: Arc::clone(called.endpoint()),
        method: text(buffer, &head.method).into(),
        host: lower(way.host).into(),
        scheme: way.scheme,
        parameters: parameters(called, text(buffer, &head.path)),
        query: head.query.as_ref().map(|query| text(buffer, query).into()),
        headers: lines
            .map(|line| (lower_case(octets(buffer, &line.name)), octets(buffer, &line.value).into()))
            .collect(),
        body: Vec::new(),
        peer: way.client,
        request_id: record.id.hex().text().into(),
        caller: called.facts().cloned(),
        refused: called.refused().map(|denial| denial.reason),
    }
}

/// The path's parameters, their escapes decoded: what could be read in two ways is in no canonical path.
fn parameters(called: &Called, path: &str) -> Vec<(Box<str>, Box<str>)> {
    match path::canonical(path) {
        Ok(Path::Canonical(path)) => {
            let found = called.route().parameters(&path);
            found.into_iter().map(|(name, value)| (name.into(), path::decoded(value).into())).collect()
        }
        Ok(Path::Dangerous(path)) => {
            let found = called.route().parameters(path);
            found.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
        }
        Err(_) => Vec::new(),
    }
}

fn too_large() -> Denial {
    Denial::new(Reason::BodyTooLarge, "more than an endpoint takes")
}

impl Answering {
    /// `None` where too many are under way.
    fn on(worker: &Rc<Worker>) -> Option<Self> {
        let before = worker.shared.bodies.calls.fetch_add(1, Ordering::Relaxed);
        worker.answering.set(worker.answering.get() + 1);
        let answering = Self { worker: Rc::clone(worker) };
        (before < ENDPOINT_CALLS).then_some(answering)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.worker.shared.bodies.calls.fetch_sub(1, Ordering::Relaxed);
        self.worker.answering.set(self.worker.answering.get() - 1);
    }
}
