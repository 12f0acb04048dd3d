//! Refusals on a connection: what the route says to them, and what becomes of a body that nobody reads.

use crate::gate::denial::{Denial, Refusal};
use crate::gate::preflight;
use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, Known, Line, octets};
use crate::policy::route::CompiledRoute;
use crate::proxy::access_log::Record;
use crate::proxy::connection::{Connection, Next};
use crate::proxy::judge::from_now;
use crate::proxy::refuse::operation::Said;
use crate::proxy::refuse::{self, Addition, Manner};
use crate::proxy::reserved;

impl Connection {
    /// Sends a refusal; its request's body is drained within bounds, or the connection ends.
    pub(in crate::proxy) async fn refuse(&mut self, denial: &Denial, record: &mut Record) -> (u16, Next) {
        let (close, mut body) = self.unread_body();
        let status = self.write_refusal(denial, record, close);
        (status, self.send_and_drain(&mut body, close).await)
    }

    /// Sends a refusal after the way upstream failed.
    pub(in crate::proxy) async fn fail(
        &mut self,
        denial: &Denial,
        record: &mut Record,
        close: bool,
    ) -> (u16, Next) {
        let status = self.write_refusal(denial, record, close);
        let next = match (self.send_out().await, close) {
            (Err(_), _) => Next::Abort,
            (Ok(()), true) => Next::Close,
            (Ok(()), false) => Next::Again,
        };
        (status, next)
    }

    fn write_refusal(&mut self, denial: &Denial, record: &mut Record, close: bool) -> u16 {
        let Self { out, cors, metadata, said, .. } = self;
        out.clear();
        let (metadata, oauth) = (metadata.as_deref(), record.is_oauth());
        let addition = Addition { cors, errors: record.errors(), metadata, said: *said, oauth };
        let manner = Manner { to_head: self.to_head, close, grpc: self.head.grpc };
        let status = refuse::respond(out, denial, &record.id, addition, manner);
        record.count(status);
        status
    }

    /// Works out what the route has to say to answers of ours while the head is still there: its CORS lines, and how a
    /// client of GraphQL is told.
    pub(in crate::proxy) fn note_route(&mut self, route: Option<&CompiledRoute>) {
        let Some(route) = route else { return };
        if let Some(cors) = &route.config.cors {
            self.cors = preflight::answer_headers(cors, self.origin());
        }
        if let Some(rules) = &route.graphql {
            let named = |line: &&Line| octets(self.head_octets(), &line.name).eq_ignore_ascii_case(b"accept");
            let accepted = self.head.lines.iter().filter(named);
            let accepted = accepted.map(|line| octets(self.head_octets(), &line.value));
            let said = Said::of(accepted, &rules.config);
            let by_status =
                rules.config.reserved_streams.is_some() && reserved::concerns(&self.head, self.head_octets());
            self.said = Some(if by_status { said.by_status() } else { said });
        }
    }

    /// Works out where the resource is described, for a challenge, while the head is still there.
    pub(in crate::proxy) fn note_metadata(&mut self, refusal: &Refusal) {
        let route = refusal.route.as_ref().filter(|_| matches!(refusal.denial.reason.status(), 401 | 403));
        let Some(path) = route.and_then(|route| route.resource.as_ref()) else { return };
        let way = self.downstream.way(&self.head, self.head_octets());
        self.metadata = Some(format!("{}://{}{path}", way.scheme, way.host).into());
    }

    /// Whether an answer that does not read the request's body ends the connection, and the body if it does not.
    pub(in crate::proxy) fn unread_body(&mut self) -> (bool, BodyReader) {
        let drain = self.worker.limits().drain as u64;
        let too_long = match self.head.framing {
            Framing::None => false,
            Framing::Length(length) => length > drain,
            Framing::Chunked => false,
            Framing::UntilClose => true,
        };
        // A client that waits to be told may send the body or not: there is no telling where the next head is.
        let unknown = self.head.expects_continue;
        let body = BodyReader::new(self.head.framing);
        self.input.consume(self.head.length);
        (too_long || unknown || self.is_last(), body)
    }

    pub(in crate::proxy) async fn send_and_drain(&mut self, body: &mut BodyReader, close: bool) -> Next {
        if self.send_out().await.is_err() {
            return Next::Abort;
        }
        if close || !self.drain(body).await { Next::Close } else { Next::Again }
    }

    /// Reads a refused body to its end, within `limits.drain` octets and `limits.header_time`.
    async fn drain(&mut self, body: &mut BodyReader) -> bool {
        let mut left = self.worker.limits().drain;
        let until = from_now(self.worker.limits().header_time);
        loop {
            match body.next(self.input.filled()) {
                Ok(Piece::End { skip }) => {
                    self.input.consume(skip);
                    return true;
                }
                Ok(Piece::Content { skip, length }) => {
                    self.input.consume(skip + length);
                    match left.checked_sub(length) {
                        Some(rest) => left = rest,
                        None => return false,
                    }
                }
                Ok(Piece::More { skip }) => {
                    self.input.consume(skip);
                    let room = crate::proxy::buffer::ROOM;
                    match self.deadline.within(until, self.input.fill(&mut self.stream, room)).await {
                        Ok(Ok(1..)) => {}
                        Ok(Ok(0) | Err(_)) | Err(_) => return false,
                    }
                }
                Err(_) => return false,
            }
        }
    }

    /// The request's `Origin`.
    fn origin(&self) -> Option<&str> {
        let line = self.head.lines.iter().find(|line| line.known == Known::Origin)?;
        std::str::from_utf8(octets(self.head_octets(), &line.value)).ok()
    }
}
