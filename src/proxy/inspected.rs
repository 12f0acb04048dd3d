//! Requests that are decided by their bodies: read whole, judged, and sent on as they were judged.
//!
//! Nothing of such a request goes upstream before all of it is here. It is then what any request is whose body had
//! arrived with its head.

use crate::config::limits::Limits;
use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::evidence::{BodyAsked, Evidence};
use crate::gate::grant::Grant;
use crate::graphql::asked::Asked as Operations;
use crate::http1::head::Framing;
use crate::proxy::access_log::Record;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::judge::{Asked, Judged, judge_with};
use crate::proxy::whole::{self, Held};

/// What is kept of a request whose body was read.
#[derive(Debug)]
pub(in crate::proxy) struct Inspected {
    /// Its head, as it came.
    pub(in crate::proxy) head: Box<[u8]>,
    /// Its body's share of what all may hold; given back when the body has gone on.
    _held: Held,
}

/// Reads the body that a decision needs, and decides. What is granted is in `connection.out`, its body behind the head;
/// the request is all read then. An error is an answer that was sent already.
pub(in crate::proxy) async fn judge(
    connection: &mut Connection,
    asked: BodyAsked,
    record: &mut Record,
) -> Result<Judged, (u16, Next)> {
    let most = most(&asked, connection.worker.limits());
    connection.note_route(Some(asked.route()));
    if whole::is_longer(connection.head.framing, most) {
        let refusal = asked.refused(too_large());
        record.refused(&refusal);
        return Err(connection.refuse(&refusal.denial, record).await);
    }
    let head: Box<[u8]> = connection.input.filled().get(..connection.head.length).unwrap_or_default().into();
    let mut held = Held::on(&connection.worker);
    let body = match whole::read(connection, most, &mut held).await {
        Ok(body) => body,
        Err(why) => {
            // A client that is slow to take its refusal leaves room for others meanwhile.
            drop(held);
            let Some(denial) = why.denial(too_large) else { return Err((0, Next::Abort)) };
            let refusal = asked.refused(denial);
            record.refused(&refusal);
            // Only of a body that was read to its end is it known where the next request begins.
            return Err(connection.fail(&refusal.denial, record, true).await);
        }
    };
    // From here on it is a request whose length is known, and that waits for nothing.
    connection.head.framing = Framing::Length(body.len() as u64);
    connection.head.expects_continue = false;
    connection.inspected = Some(Box::new(Inspected { head, _held: held }));
    let mut evidence = Evidence::with_body(body);
    let judged = decide(connection, &mut evidence, record).await;
    // Nothing of it is left to be read.
    connection.head.framing = Framing::None;
    connection.head.length = 0;
    match judged {
        Judged::Forward(grant) => {
            send_on(&mut connection.out, &grant, &evidence);
            Ok(Judged::Forward(grant))
        }
        // The table of routes has changed meanwhile: what they would do needs a request that is still to be read.
        Judged::Answer(_) | Judged::Converse(_) | Judged::Preflight(_) | Judged::Body(_) => {
            let denial = Denial::new(Reason::Overloaded, "the routes changed while the body was read");
            Ok(Judged::Refuse(Refusal::from(denial)))
        }
        judged @ (Judged::Refuse(_) | Judged::Gone) => Ok(judged),
    }
}

/// Puts what was judged behind the head, instead of the body that came with it: that is taken off the input.
fn replace(connection: &mut Connection, instead: &[u8]) {
    let Framing::Length(length) = connection.head.framing else { return };
    let head = connection.input.filled().get(..connection.head.length).unwrap_or_default().into();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    connection.input.consume(connection.head.length.saturating_add(length));
    connection.inspected = Some(Box::new(Inspected { head, _held: Held::on(&connection.worker) }));
    connection.head.framing = Framing::None;
    connection.head.length = 0;
    connection.out.extend_from_slice(instead);
}

/// Has what was judged sent on instead of a body that is here and was not set aside.
pub(in crate::proxy) fn make_ready(connection: &mut Connection, asked: &Operations) {
    if let Some(instead) = asked.instead.as_deref()
        && connection.inspected.is_none()
    {
        replace(connection, instead);
    }
}

async fn decide(connection: &mut Connection, evidence: &mut Evidence<'_>, record: &mut Record) -> Judged {
    let Connection { worker, stream, downstream, head, out, inspected, .. } = connection;
    let octets = inspected.as_ref().map_or(&[][..], |inspected| &inspected.head);
    out.clear();
    let asked = Asked { head, octets, downstream, presented: None, message: None };
    judge_with(worker, asked, evidence, stream, out, record).await
}

/// Puts behind the head what was judged: the body as it came, or what it was read as.
fn send_on(out: &mut Vec<u8>, grant: &Grant, evidence: &Evidence<'_>) {
    let instead = grant.asked().and_then(|asked| asked.instead.as_deref());
    let sent = instead.or(evidence.body.as_deref()).unwrap_or_default();
    out.extend_from_slice(sent);
}

fn most(asked: &BodyAsked, limits: &Limits) -> usize {
    asked.most.min(limits.inspected_body)
}

fn too_large() -> Denial {
    Denial::new(Reason::BodyTooLarge, "more than is taken of a request that is judged by its body")
}
