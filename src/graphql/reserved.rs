//! Event streams that are reserved before they are opened (graphql-sse's single connection mode): what a request has to do
//! with one.
//!
//! `PUT` reserves a stream, and its answer names it; `GET` opens it; operations by `POST` and `GET` that name it are answered
//! in it; `DELETE` ends one of them. The name comes in a header or as a parameter. Servers differ in what they do with a
//! request that could be two of these, so that each is one here, or nothing.

use crate::graphql::parameters;
use crate::graphql::rejected::{Kind, Rejected};

#[cfg(test)]
mod tests;

/// The header that names a stream.
pub const FIELD: &str = "x-graphql-event-stream-token";

/// The parameter that does.
pub const PARAMETER: &str = "token";

/// What a request has to do with a reserved stream. Names are as the client sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act<'r> {
    /// It reserves one.
    Reserve,
    /// It opens the one of this name.
    Open(&'r [u8]),
    /// It is an operation that is answered there.
    Run(&'r [u8]),
    /// It ends an operation that is.
    Stop(&'r [u8]),
}

/// A request, as far as reserved streams are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Head<'r> {
    /// As sent.
    pub method: &'r str,
    /// What follows `?`.
    pub query: Option<&'r str>,
    /// [`PARAMETER`] is the name of a stream; else it is a credential.
    pub by_parameter: bool,
}

impl<'r> Act<'r> {
    /// What it is, by its head and the lines of it; none where it is an operation that is answered by itself, or nothing
    /// that is served.
    pub fn of(
        head: Head<'r>,
        lines: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<Option<Self>, Rejected> {
        let bad = |what: &'static str| Err(Rejected::new("BAD_REQUEST", what));
        let (mut name, mut names, mut events, mut body) = (None, 0, false, false);
        for (field, value) in lines {
            let is = |known: &str| field.eq_ignore_ascii_case(known.as_bytes());
            match field.len() {
                28 if is(FIELD) => (name, names) = (Some(value), names + 1),
                6 if is("accept") => events |= takes_events(value),
                14 if is("content-length") => body |= value != b"0",
                17 if is("transfer-encoding") => body = true,
                _ => {}
            }
        }
        for pair in head.query.filter(|_| head.by_parameter).into_iter().flat_map(|query| query.split('&')) {
            match pair.split_once('=') {
                Some((PARAMETER, value)) => (name, names) = (Some(value.as_bytes()), names + 1),
                _ if pair.split(';').any(names_a_stream) => {
                    return bad("a parameter that could be taken for the name of an event stream");
                }
                _ => {}
            }
        }
        if names > 1 {
            return bad("an event stream is named twice");
        }
        let operation = head.query.is_some_and(parameters::name_an_operation);
        let act = match (head.method, name) {
            ("POST" | "GET" | "HEAD", None) => return Ok(None),
            ("PUT", None) => Self::Reserve,
            ("GET", Some(name)) if events && !operation => Self::Open(name),
            ("POST" | "GET", Some(_)) if events => {
                return bad("an operation that names a reserved event stream is not answered by events");
            }
            ("POST" | "GET", Some(name)) => return Ok(Some(Self::Run(name))),
            ("DELETE", Some(_)) if events => return bad("a DELETE request is not answered by events"),
            ("DELETE", Some(name)) => Self::Stop(name),
            ("DELETE", None) => return bad("a DELETE request that names no event stream"),
            ("PUT", Some(_)) => return bad("a reservation that names an event stream"),
            _ => {
                let what = "no such method with event streams";
                return Err(Rejected::of(Kind::Method, "METHOD_NOT_ALLOWED", what));
            }
        };
        // Of what is no operation here none shall be taken from it.
        match (body, operation) {
            (true, _) => bad("a body where none is read"),
            (_, true) => bad("an operation in the URL of a request that brings none"),
            (false, false) => Ok(Some(act)),
        }
    }
}

/// Whether a query has a parameter that a server could take for the name of a stream.
pub fn is_named_in(query: &str) -> bool {
    query.split(['&', ';']).any(names_a_stream)
}

/// The query without the name of a stream; none where nothing else is in it.
pub fn unnamed(query: &str) -> Option<String> {
    let others: Vec<&str> = query.split('&').filter(|pair| !names_a_stream(pair)).collect();
    (!others.is_empty()).then(|| others.join("&"))
}

fn names_a_stream(pair: &str) -> bool {
    parameters::may_name(pair.split_once('=').map_or(pair, |(name, _)| name), PARAMETER)
}

/// Whether an `Accept` names event streams, whatever it says of them besides: servers look for the word alone.
fn takes_events(value: &[u8]) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    value.windows(EVENTS.len()).any(|part| part.eq_ignore_ascii_case(EVENTS))
}
