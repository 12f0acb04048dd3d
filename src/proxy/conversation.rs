//! A WebSocket whose messages are GraphQL operations: the handshake is answered here, the protocol spoken here, and each
//! operation decided by itself before an upstream hears of it.
//!
//! One task serves it all. It hears the client, decides, and carries what comes back; what cannot be passed on is not
//! heard, so that no queue grows past [`HIGH`] and a message. The upstream is reached with the first operation that is
//! granted, once for each identity: an operation runs under the identity that it was granted, and under no other.
//!
//! A message within it is as much as a request: it is decided and counted as one, and held to its token for as long as
//! it runs. What ends the token ends the conversation; whoever has none goes on.
//!
//! A client that is silent is asked whether it is there (`messages.keep_alive`): no upstream could ask it through here.

mod deciding;
mod ending;
mod side;
mod talk;
mod upward;

use std::io;
use std::rc::Rc;

use crate::gate::conversation::Conversation;
use crate::gate::denial::{Denial, Reason};
use crate::http1::head::octets;
use crate::http1::websocket;
use crate::http1::write;
use crate::metrics::stream::StreamEnd;
use crate::proxy::access_log::Record;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::conversation::deciding::Opened;
use crate::proxy::conversation::talk::Talk;
use crate::proxy::parting::Stay;

/// Octets that wait for one end, past which nothing more is heard that could be for it.
const HIGH: usize = 64 * 1024;

/// Answers a handshake, and converses until either side ends it.
pub(in crate::proxy) async fn converse(
    connection: &mut Connection,
    conversation: Conversation,
    record: &mut Record,
) -> (u16, Next) {
    let worker = Rc::clone(&connection.worker);
    record.converses(conversation.route());
    let Some(opened) = take(connection, conversation) else {
        let denial = Denial::new(Reason::Internal, "a handshake without a key");
        record.failed(&denial);
        return connection.fail(&denial, record, true).await;
    };
    record.count(101);
    connection.stay = Some(Stay::on(&worker));
    if switch(connection, &opened).await.is_err() {
        worker.streams.closed(StreamEnd::Client);
        return (101, Next::Abort);
    }
    let come = connection.input.filled().to_vec();
    worker.spares.take_back(std::mem::take(&mut connection.input));
    let (next, over) = Talk::new(&worker, Rc::new(opened), &mut connection.stream, come).serve().await;
    connection.over = over;
    (101, next)
}

/// Takes the handshake off the connection.
fn take(connection: &mut Connection, conversation: Conversation) -> Option<Opened> {
    let octets_of = connection.input.filled();
    let accept = websocket::accept(octets(octets_of, connection.head.websocket.as_ref()?));
    let octets = octets_of.get(..connection.head.length)?.into();
    let head = std::mem::take(&mut connection.head);
    connection.input.consume(head.length);
    let downstream = connection.downstream.clone();
    Some(Opened { conversation, head, octets, downstream, accept })
}

/// Sends the 101, and gives back what an idle conversation has no use for.
async fn switch(connection: &mut Connection, opened: &Opened) -> io::Result<()> {
    let Connection { out, cors, .. } = connection;
    out.clear();
    let add: Vec<(&str, &str)> = cors.iter().map(|(name, value)| (*name, value.as_str())).collect();
    write::switching(out, &opened.accept, opened.conversation.protocol().name(), &add);
    connection.send_out().await?;
    connection.worker.spares.take_back_out(std::mem::take(&mut connection.out));
    Ok(())
}
