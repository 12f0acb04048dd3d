//! The answer to an operation that was sent on without some of its fields: read whole, told what was left out, sent.
//!
//! Nothing is kept from anybody here: what was left out was never run. An answer that is none to an operation, such as an
//! upstream's page for a fault of its own, goes on as it is. One that should be told of and cannot be, since it comes in
//! pieces, encoded, too large or broken, is not given: its client would take it for everything that was asked for.

use crate::config::defaults::NARROWED_ANSWER;
use crate::gate::grant::{Grant, Narrowed};
use crate::graphql::merged;
use crate::http1::head::{Framing, ResponseHead, octets};
use crate::proxy::anew::{self, Bound};
use crate::proxy::buffer::Buffer;
use crate::proxy::connection::Connection;
use crate::proxy::exchange;
use crate::proxy::forward::Forwarded;
use crate::proxy::reach::Link;

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
    link: Link,
    answer: Buffer,
) -> Forwarded {
    match form(&connection.answer_head, answer.filled()) {
        Form::Foreign => return exchange::give_back(connection, grant, link, answer).await,
        Form::Closed(why) => return anew::failed(connection, answer, why),
        Form::Json => {}
    }
    const LARGER: &str = "an answer past its bound, to an operation that was sent on in part";
    let bound = Bound { most: NARROWED_ANSWER, larger: LARGER };
    anew::give_back(connection, grant, (link, answer), bound, |content| {
        merged::merge(content, &narrowed.left_out).map_err(|_| "an answer that is no GraphQL response")
    })
    .await
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
