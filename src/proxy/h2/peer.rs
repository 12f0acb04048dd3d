//! One stream to a peer, as an HTTP/1.1 connection that serves one request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use tokio::io::ReadBuf;

use crate::http1::body::BodyReader;
use crate::http1::head::{Framing, Known, RequestHead, octets};
use crate::proxy::h2::client::Lease;
use crate::proxy::h2::inbound::{Framed, Inbound, failed, field};
use crate::proxy::h2::outbound::Outbound;
use crate::proxy::h2::{OWN_HEAD, is_well_formed};

/// Room for a request, and its answer's octets to read.
#[derive(Debug)]
pub(in crate::proxy) struct PeerStream {
    asked: Asked,
    answer: Answer,
    /// `https`, else `http`.
    secure: bool,
    /// The peer has surely not begun with the request (RFC 9113 section 8.7).
    unprocessed: bool,
    lease: Lease,
}

/// How far the request is.
#[derive(Debug)]
enum Asked {
    /// Its head is awaited; what was written of it so far.
    Awaited(SendRequest<Bytes>, Vec<u8>),
    Begun(Outbound),
}

/// How far the answer is.
#[derive(Debug)]
enum Answer {
    /// Nothing was asked yet.
    None,
    /// To a request that is `HEAD`, or not.
    Awaited(ResponseFuture, Method),
    Begun(Inbound),
    /// There is none.
    Failed,
}

impl PeerStream {
    pub(super) fn new(sender: SendRequest<Bytes>, lease: Lease, secure: bool) -> Self {
        Self {
            asked: Asked::Awaited(sender, Vec::new()),
            answer: Answer::None,
            secure,
            unprocessed: false,
            lease,
        }
    }

    /// Whether the peer has surely not begun with the request, so that it can be sent again, whatever it asks for.
    pub(in crate::proxy) fn is_unprocessed(&self) -> bool {
        self.unprocessed
    }

    /// Breaks the stream off.
    pub(in crate::proxy) fn abort(&mut self) {
        self.reset(Reason::CANCEL);
    }

    fn reset(&mut self, reason: Reason) {
        if let Asked::Begun(outbound) = &mut self.asked {
            outbound.reset(reason);
        }
    }

    /// Takes some octets of the request.
    pub(in crate::proxy) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.asked {
            Asked::Awaited(sender, _) => {
                if let Err(error) = ready!(sender.poll_ready(context)) {
                    return Poll::Ready(Err(self.failed(error)));
                }
                Poll::Ready(self.take_head(octets))
            }
            Asked::Begun(outbound) => outbound.poll_write(context, octets),
        }
    }

    /// Reads the answer, and its end.
    pub(in crate::proxy) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.answer {
                Answer::None => return Poll::Pending,
                Answer::Awaited(answer, method) => match ready!(Pin::new(answer).poll(context)) {
                    Ok(answer) if !is_well_formed(answer.headers()) => {
                        self.lease.answered();
                        self.answer = Answer::Failed;
                        self.reset(Reason::PROTOCOL_ERROR);
                        return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                    }
                    Ok(answer) => {
                        self.lease.answered();
                        self.answer = Answer::Begun(begun(answer, method));
                    }
                    Err(error) => {
                        let error = self.failed(error);
                        self.answer = Answer::Failed;
                        return Poll::Ready(Err(error));
                    }
                },
                Answer::Begun(inbound) => return inbound.poll_read(context, into).map_ok(|_| ()),
                Answer::Failed => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
    }

    /// Takes octets of the request's head, and sends the head when it is all there.
    fn take_head(&mut self, octets: &[u8]) -> io::Result<usize> {
        let unfit = || io::Error::from(io::ErrorKind::InvalidData);
        let Asked::Awaited(sender, so_far) = &mut self.asked else { return Ok(0) };
        let before = so_far.len();
        so_far.extend_from_slice(octets);
        let mut head = RequestHead::default();
        if !head.read(so_far, &OWN_HEAD).map_err(|_| unfit())? {
            return if so_far.len() > OWN_HEAD.total { Err(unfit()) } else { Ok(octets.len()) };
        }
        let request = request(so_far, &head, self.secure).ok_or_else(unfit)?;
        let (method, ended) = (request.method().clone(), head.framing == Framing::None);
        match sender.send_request(request, ended) {
            Ok((answer, to)) => {
                self.lease.sent();
                self.asked = Asked::Begun(Outbound::new(to, BodyReader::new(head.framing), ended));
                self.answer = Answer::Awaited(answer, method);
                Ok(head.length - before)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Notes what an error says of the request.
    fn failed(&mut self, error: h2::Error) -> io::Error {
        self.lease.answered();
        // A GOAWAY reaches those streams only that the peer has not begun with.
        self.unprocessed = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
            || matches!(self.answer, Answer::None);
        failed(error)
    }
}

/// A request's head in HTTP/2 (RFC 9113 section 8.3.1), without what speaks of a connection. `None` is one that
/// cannot be said.
fn request(buffer: &[u8], head: &RequestHead, secure: bool) -> Option<Request<()>> {
    let mut target = octets(buffer, &head.path).to_vec();
    if let Some(query) = &head.query {
        target.push(b'?');
        target.extend_from_slice(octets(buffer, query));
    }
    let uri = Uri::builder()
        .scheme(if secure { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(Authority::try_from(octets(buffer, &head.authority)).ok()?)
        .path_and_query(PathAndQuery::try_from(target).ok()?)
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(octets(buffer, &head.method)).ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    let fields = request.headers_mut();
    fields.reserve(head.lines.len() + 1);
    for line in &head.lines {
        if matches!(line.known, Known::Host | Known::HopByHop | Known::TransferEncoding) {
            continue;
        }
        let name = HeaderName::from_bytes(octets(buffer, &line.name)).ok()?;
        fields.append(name, HeaderValue::from_bytes(octets(buffer, &line.value)).ok()?);
    }
    // What comes after the answer is taken, and passed on to whoever takes it too.
    fields.insert(header::TE, HeaderValue::from_static("trailers"));
    Some(request)
}

/// An answer, to be read as HTTP/1.1 that ends its connection.
fn begun(answer: Response<h2::RecvStream>, method: &Method) -> Inbound {
    let (head, body) = answer.into_parts();
    let bodiless = *method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || head.status.is_informational();
    let declared = head.headers.contains_key(header::CONTENT_LENGTH);
    let framed =
        if bodiless || declared || body.is_end_stream() { Framed::Plain } else { Framed::ChunksAndTrailers };
    let mut out = Vec::with_capacity(512);
    let reason = head.status.canonical_reason().unwrap_or_default();
    for part in ["HTTP/1.1 ", head.status.as_str(), " ", reason, "\r\nconnection: close\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in &head.headers {
        field(&mut out, name.as_str(), value.as_bytes());
    }
    match framed {
        Framed::Plain if !bodiless && !declared => field(&mut out, "content-length", b"0"),
        Framed::Plain => {}
        Framed::Chunks | Framed::ChunksAndTrailers => field(&mut out, "transfer-encoding", b"chunked"),
    }
    out.extend_from_slice(b"\r\n");
    Inbound::new(out, body, framed)
}
