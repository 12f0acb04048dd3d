//! Reserved event streams on their way: a request goes upstream with the name that its upstream knows, and the answer to a
//! reservation comes back with the name that the client is to use.

use std::borrow::Cow;

use crate::config::defaults::RESERVED_NAME;
use crate::gate::grant::Grant;
use crate::gate::reserved::{Promise, Reserved};
use crate::graphql::reserved;
use crate::http1::head::{Known, RequestHead, ResponseHead, octets, text};
use crate::proxy::anew::{self, Bound};
use crate::proxy::buffer::Buffer;
use crate::proxy::connection::Connection;
use crate::proxy::exchange;
use crate::proxy::forward::Forwarded;
use crate::proxy::reach::Link;
use crate::proxy::worker::random;

/// The line that a request goes on with, for what it has to do with a reserved stream.
pub(in crate::proxy) fn line(grant: &Grant) -> Option<(&'static str, &[u8])> {
    match grant.reserved()? {
        // The only form in which the name comes back.
        Reserved::Promised(_) => Some(("accept", b"text/plain")),
        Reserved::Named(name) => Some((reserved::FIELD, name.as_bytes())),
    }
}

/// Whether its answer is read here.
pub(in crate::proxy) fn is_read(grant: &Grant) -> bool {
    matches!(grant.reserved(), Some(Reserved::Promised(_)))
}

/// Whether a line of the client's stays behind for that.
pub(in crate::proxy) fn drops(grant: &Grant, name: &[u8]) -> bool {
    grant.reserved().is_some() && name.eq_ignore_ascii_case(reserved::FIELD.as_bytes())
}

/// The query that goes on: where a stream is named, it is so in a header alone.
pub(in crate::proxy) fn query<'q>(grant: &Grant, query: Cow<'q, str>) -> Option<Cow<'q, str>> {
    match grant.reserved() {
        Some(Reserved::Named(_)) if reserved::is_named_in(&query) => {
            reserved::unnamed(&query).map(Cow::Owned)
        }
        Some(Reserved::Named(_) | Reserved::Promised(_)) | None => Some(query),
    }
}

/// Whether a request says that it is about a reserved stream: its client goes by the status of an answer.
pub(in crate::proxy) fn concerns(head: &RequestHead, buffer: &[u8]) -> bool {
    let named = |name: &[u8]| name.eq_ignore_ascii_case(reserved::FIELD.as_bytes());
    matches!(octets(buffer, &head.method), b"PUT" | b"DELETE")
        || head.lines.iter().any(|line| named(octets(buffer, &line.name)))
        || head.query.as_ref().is_some_and(|query| reserved::is_named_in(text(buffer, query)))
}

/// Sends the answer to a reservation that is all sent, whose head was read into `connection.answer_head`.
pub(in crate::proxy) async fn give_back(
    connection: &mut Connection,
    grant: &Grant,
    promise: &Promise,
    link: Link,
    answer: Buffer,
) -> Forwarded {
    match connection.answer_head.status {
        201 => {}
        200..300 => return anew::failed(connection, answer, "an answer to a reservation that is none"),
        _ => return exchange::give_back(connection, grant, link, answer).await,
    }
    drop_names(&mut connection.answer_head, answer.filled());
    let bound = Bound { most: RESERVED_NAME, larger: "a name of an event stream past its bound" };
    anew::give_back(connection, grant, (link, answer), bound, |content| {
        let name = std::str::from_utf8(content).ok().map(str::trim_ascii_end);
        let sealed = name.and_then(|name| promise.seal(random().ok()?, name));
        sealed.map(String::into_bytes).ok_or("a reservation that names no event stream")
    })
    .await
}

/// Drops the lines in which an upstream could have said its own name for the stream.
fn drop_names(head: &mut ResponseHead, buffer: &[u8]) {
    const LINES: [&[u8]; 4] = [reserved::FIELD.as_bytes(), b"location", b"content-location", b"link"];
    for line in &mut head.lines {
        if LINES.iter().any(|name| octets(buffer, &line.name).eq_ignore_ascii_case(name)) {
            line.known = Known::HopByHop;
        }
    }
}
