//! hyper as the oracle: driven over memory with the same octets, request by request.
//!
//! Also compiled into the fuzz targets, so it uses only hyper, bytes and this crate's `http1`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::rt::ReadBufCursor;
use hyper::{Request, Response, http};

use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::{Framing, HeadLimits, Line, RequestHead, ResponseHead, octets, text};

/// Bounds that hyper has too: 100 lines.
pub(crate) const LIMITS: HeadLimits = HeadLimits { line: 16 << 10, total: 32 << 10, lines: 100 };

/// What hyper's server made of one request.
pub(crate) struct SeenRequest {
    request: http::request::Parts,
    /// `None`: it was cut off, or broke its framing.
    body: Option<Vec<u8>>,
}

/// What hyper's client made of the response.
pub(crate) struct SeenResponse {
    response: http::response::Parts,
    body: Option<Vec<u8>>,
}

/// Asserts that every request accepted here is one to hyper, with the same meaning. Gives how many were.
pub(crate) fn compare_requests(input: &[u8]) -> usize {
    let seen = requests(input);
    let mut theirs = seen.iter();
    let mut head = RequestHead::default();
    let mut at = 0;
    for accepted in 0.. {
        let buffer = &input[at..];
        match head.read(buffer, &LIMITS) {
            Err(_) => return accepted,
            Ok(false) => {
                assert!(theirs.next().is_none(), "hyper has a request where none is complete");
                return accepted;
            }
            Ok(true) => {}
        }
        let seen = theirs.next().expect("hyper refuses or does not see a request that was accepted");
        same_request(buffer, &head, seen);
        let (content, length) = match body(head.framing, &buffer[head.length..]) {
            Err(()) => return accepted + 1,
            Ok(whole) => whole,
        };
        assert_eq!(seen.body.is_some(), length.is_some(), "one of us saw the end of the body");
        let Some(length) = length else { return accepted + 1 };
        assert_eq!(seen.body.as_deref(), Some(&content[..]), "body");
        if !head.keep_alive {
            return accepted + 1;
        }
        // hyper stops at a request that could upgrade; here `h2c` is ignored.
        if seen.request.headers.contains_key("upgrade") {
            return accepted + 1;
        }
        at += head.length + length;
    }
    unreachable!("a count that ends")
}

/// Asserts that a response accepted here is one to hyper, with the same meaning. Says whether it was.
pub(crate) fn compare_responses(input: &[u8], to_head: bool) -> bool {
    let seen = response(input, to_head);
    let mut head = ResponseHead::default();
    let mut at = 0;
    loop {
        let buffer = &input[at..];
        match head.read(buffer, &LIMITS, to_head) {
            Err(_) => return false,
            Ok(false) => {
                assert!(seen.is_none(), "hyper has a response where none is complete");
                return false;
            }
            Ok(true) => {}
        }
        at += head.length;
        if head.status >= 200 {
            let seen = seen.expect("hyper refuses a response that was accepted");
            assert_eq!(head.status, seen.response.status.as_u16());
            same_lines(buffer, &head.lines, &seen.response.headers);
            if let Ok((content, length)) = body(head.framing, &input[at..]) {
                assert_eq!(seen.body.is_some(), length.is_some(), "one of us saw the end of the body");
                assert!(length.is_none() || seen.body.as_deref() == Some(&content[..]), "body");
            }
            return true;
        }
    }
}

fn same_request(buffer: &[u8], head: &RequestHead, seen: &SeenRequest) {
    let theirs = &seen.request;
    assert_eq!(text(buffer, &head.method), theirs.method.as_str());
    assert_eq!(text(buffer, &head.path), theirs.uri.path());
    assert_eq!(head.query.as_ref().map(|query| text(buffer, query)), theirs.uri.query());
    assert_eq!(head.http10, theirs.version == hyper::Version::HTTP_10);
    let host = theirs.headers.get("host").expect("a Host");
    assert_eq!(octets(buffer, &head.authority), host.as_bytes());
    if let Some(authority) = theirs.uri.authority() {
        assert!(authority.host().trim_end_matches('.').eq_ignore_ascii_case(text(buffer, &head.host)));
    }
    same_lines(buffer, &head.lines, &theirs.headers);
}

fn same_lines(buffer: &[u8], lines: &[Line], theirs: &HeaderMap) {
    assert_eq!(lines.len(), theirs.len(), "as many lines");
    for line in lines {
        let mut values = theirs.get_all(text(buffer, &line.name)).iter();
        assert!(values.any(|value| value.as_bytes() == octets(buffer, &line.value)), "the same lines");
    }
}

/// Content and length of a body, or no length when its end is not there.
fn body(framing: Framing, input: &[u8]) -> Result<(Vec<u8>, Option<usize>), ()> {
    let mut reader = BodyReader::new(framing);
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        match reader.next(&input[at..]).map_err(|_| ())? {
            Piece::Content { skip, length } => {
                content.extend_from_slice(&input[at + skip..at + skip + length]);
                at += skip + length;
            }
            Piece::More { skip } => {
                assert_eq!(at + skip, input.len());
                let length = (framing == Framing::UntilClose).then_some(at);
                return Ok((content, length));
            }
            Piece::End { skip } => return Ok((content, Some(at + skip))),
        }
    }
}

/// The requests that hyper's server sees in these octets and an end of input.
fn requests(input: &[u8]) -> Vec<SeenRequest> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (request, body) = request.into_parts();
            let body = collect(body).await;
            let whole = body.is_some();
            seen.borrow_mut().push(SeenRequest { request, body });
            if whole { Ok(Response::new(Nothing)) } else { Err("cut off") }
        }
    });
    let wire = Wire { input: input.to_vec(), at: 0, open: true };
    let mut server = hyper::server::conn::http1::Builder::new();
    run(server.half_close(true).serve_connection(wire, service));
    seen.take()
}

/// The final response that hyper's client sees in these octets and an end of input.
fn response(input: &[u8], to_head: bool) -> Option<SeenResponse> {
    let wire = Wire { input: input.to_vec(), at: 0, open: false };
    let (mut sender, connection) = run(hyper::client::conn::http1::handshake(wire))?.ok()?;
    let method = if to_head { "HEAD" } else { "GET" };
    let request = Request::builder().method(method).uri("/").header("host", "a").body(Nothing).ok()?;
    let answer = async move {
        let (response, body) = sender.send_request(request).await.ok()?.into_parts();
        Some(SeenResponse { response, body: collect(body).await })
    };
    let mut connection = pin!(connection);
    let mut answer = pin!(answer);
    run(std::future::poll_fn(move |context| {
        let _ = connection.as_mut().poll(context);
        answer.as_mut().poll(context)
    }))?
}

/// Polls to the end. Nothing here waits for anything but itself.
fn run<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

async fn collect(body: Incoming) -> Option<Vec<u8>> {
    let mut body = pin!(body);
    let mut content = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        if let Some(data) = frame.ok()?.data_ref() {
            content.extend_from_slice(data);
        }
    }
    Some(content)
}

struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

/// A connection whose other end has said everything; what is written to it is forgotten.
struct Wire {
    input: Vec<u8>,
    at: usize,
    /// A server speaks only when it was spoken to.
    open: bool,
}

impl hyper::rt::Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.open {
            return Poll::Pending;
        }
        let end = self.input.len().min(self.at + buffer.remaining());
        buffer.put_slice(&self.input[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.open = true;
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
