//! One stream of a client, as the connection of one HTTP/1.1 request.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use tokio::io::ReadBuf;

use crate::http1::body::BodyReader;
use crate::http1::head::{Framing, Known, ResponseHead, octets};
use crate::http1::websocket::{self, Accept};
use crate::proxy::h2::OWN_HEAD;
use crate::proxy::h2::inbound::{Framed, Inbound, failed, field};
use crate::proxy::h2::outbound::Outbound;
use crate::proxy::worker::random;

/// A request's octets to read, and room for its answer's.
#[derive(Debug)]
pub(in crate::proxy) struct ClientStream {
    request: Inbound,
    answer: Answer,
    /// The request is `HEAD`: its answer has no body.
    to_head: bool,
    /// The request is a WebSocket handshake (RFC 8441), and this is what its 101 has to say.
    handshake: Option<Accept>,
    /// Streams of the connection that their client reset before they were answered, less those that it let be.
    reset_early: Rc<Cell<usize>>,
    /// This one was counted there, or will not be.
    counted: bool,
}

/// How far the answer is.
#[derive(Debug)]
enum Answer {
    /// Its head is awaited; what was written of it so far.
    Awaited(SendResponse<Bytes>, Vec<u8>),
    Begun(Outbound),
}

impl ClientStream {
    /// For a request that was accepted.
    pub(super) fn new(
        head: &Parts,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        reset_early: Rc<Cell<usize>>,
    ) -> Self {
        let socket = Socket::of(head);
        let framed = match body.is_end_stream() || head.headers.contains_key(header::CONTENT_LENGTH) {
            true => Framed::Plain,
            // What comes on a WebSocket's stream is no request's body.
            false if socket != Socket::None => Framed::Plain,
            // A request's trailers end here: what was decided on cannot be changed by what comes after it.
            false => Framed::Chunks,
        };
        Self {
            handshake: socket.accept(),
            request: Inbound::new(request_head(head, framed, &socket), body, framed),
            answer: Answer::Awaited(respond, Vec::new()),
            to_head: head.method == Method::HEAD,
            reset_early,
            counted: false,
        }
    }

    /// Resolves when a read would not wait: there is a request, so at once until that has been read.
    pub(in crate::proxy) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.request.poll_readable(context))? {
            false if self.handshake.is_none() => self.poll_gone(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads the request. Its end is no end of the client's: a half-closed stream is one that waits for its
    /// answer. What ends it is a reset. A WebSocket's stream ends as a connection does.
    pub(in crate::proxy) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.request.poll_read(context, into))? {
            false if self.handshake.is_none() => self.poll_gone(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Takes some octets of the answer.
    pub(in crate::proxy) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.answer {
            Answer::Awaited(..) => Poll::Ready(self.take_head(octets)),
            Answer::Begun(outbound) => outbound.poll_write(context, octets),
        }
    }

    /// Says that nothing more is written: a WebSocket may end anywhere, but an answer that is not whole is one that
    /// was broken off.
    pub(in crate::proxy) fn shut_down(&mut self) -> io::Result<()> {
        match &mut self.answer {
            Answer::Begun(outbound) if self.handshake.is_some() => outbound.end(),
            Answer::Begun(_) | Answer::Awaited(..) => {
                self.reset(Reason::INTERNAL_ERROR);
                Ok(())
            }
        }
    }

    /// Breaks the stream off: what was sent must not look whole.
    pub(in crate::proxy) fn abort(&mut self) {
        self.reset(Reason::INTERNAL_ERROR);
    }

    fn reset(&mut self, reason: Reason) {
        self.count();
        match &mut self.answer {
            Answer::Awaited(respond, _) => respond.send_reset(reason),
            Answer::Begun(outbound) => outbound.reset(reason),
        }
    }

    /// Resolves, with an error, when the client has reset the stream or is gone with its connection.
    pub(in crate::proxy) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reset = match &mut self.answer {
            Answer::Awaited(respond, _) => ready!(respond.poll_reset(context)),
            Answer::Begun(outbound) => ready!(outbound.poll_reset(context)),
        };
        Poll::Ready(Err(reset.map_or_else(failed, |_| io::ErrorKind::ConnectionReset.into())))
    }

    /// Counts the stream, once, before it is reset from here.
    fn count(&mut self) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let count = self.reset_early.get();
        match &mut self.answer {
            Answer::Awaited(respond, _) => {
                if let Poll::Ready(Ok(_)) = respond.poll_reset(&mut Context::from_waker(Waker::noop())) {
                    self.reset_early.set(count + 1);
                }
            }
            // Whoever lets requests be answered may give up others.
            Answer::Begun(_) => self.reset_early.set(count.saturating_sub(1)),
        }
    }

    /// Takes octets of the answer's head, and sends the head when it is all there.
    fn take_head(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Answer::Awaited(respond, so_far) = &mut self.answer else { return Ok(0) };
        let before = so_far.len();
        so_far.extend_from_slice(octets);
        let mut head = ResponseHead::default();
        let read = match &self.handshake {
            Some(accept) => head.read_handshake(so_far, &OWN_HEAD, accept),
            None => head.read(so_far, &OWN_HEAD, self.to_head),
        };
        if !read.map_err(|_| io::ErrorKind::InvalidData)? {
            return if so_far.len() > OWN_HEAD.total {
                Err(io::ErrorKind::InvalidData.into())
            } else {
                Ok(octets.len())
            };
        }
        let mut answer = response(so_far, &head)?;
        so_far.clear();
        if head.status == 101 {
            // RFC 8441 section 5: from here on DATA is the connection's octets.
            let to = respond.send_response(answer, false).map_err(failed)?;
            self.answer = Answer::Begun(Outbound::new(to, BodyReader::new(Framing::UntilClose), false));
        } else if head.status < 200 {
            respond.send_informational(answer).map_err(failed)?;
        } else {
            // RFC 8441 section 5: a 2xx would say that the tunnel is open, and an upstream that did not switch has opened none.
            if self.handshake.take().is_some() && answer.status().is_success() {
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
            }
            let ended = head.framing == Framing::None;
            let to = respond.send_response(answer, ended).map_err(failed)?;
            let body = BodyReader::keeping_trailers(head.framing);
            self.answer = Answer::Begun(Outbound::new(to, body, ended));
        }
        Ok(head.length - before)
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.count();
    }
}

/// What an extended CONNECT asks for (RFC 8441 section 4).
#[derive(Debug, PartialEq, Eq)]
enum Socket {
    /// It is none.
    None,
    /// A WebSocket; HTTP/1.1 wants a key for it (RFC 6455 section 4.1).
    Web(String),
    /// What is not served.
    Other,
}

impl Socket {
    fn of(head: &Parts) -> Self {
        match (head.extensions.get::<Protocol>(), random::<16>()) {
            (None, _) => Self::None,
            // The rest is as it was sent, and not fit to be repeated.
            (Some(protocol), Ok(key)) if protocol.as_str() == "websocket" => {
                Self::Web(base64_simd::STANDARD.encode_to_string(key))
            }
            (Some(_), _) => Self::Other,
        }
    }

    fn accept(&self) -> Option<Accept> {
        match self {
            Self::Web(key) => Some(websocket::accept(key.as_bytes())),
            Self::None | Self::Other => None,
        }
    }

    /// Appends the lines of a handshake; the version is the client's to say.
    fn lines(&self, out: &mut Vec<u8>) {
        let (to, key) = match self {
            Self::None => return,
            Self::Web(key) => ("websocket", Some(key)),
            Self::Other => ("other", None),
        };
        field(out, "connection", b"upgrade");
        field(out, "upgrade", to.as_bytes());
        if let Some(key) = key {
            field(out, "sec-websocket-key", key.as_bytes());
        }
    }
}

/// A request's head in HTTP/1.1. Whatever is wrong with it in HTTP/1.1 stays wrong, for the reader to refuse.
fn request_head(head: &Parts, framed: Framed, socket: &Socket) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let method = if *socket == Socket::None { head.method.as_str() } else { "GET" };
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    let path = head.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    let hosts = || head.headers.get_all(header::HOST).iter();
    // RFC 9113 section 8.3.1: where both are sent they have to agree. In absolute form the reader compares them.
    if let Some(authority) = authority
        && hosts().next().is_some()
    {
        let secure = head.uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        out.extend_from_slice(if secure { b"https://" } else { b"http://" });
        out.extend_from_slice(authority.as_bytes());
    }
    // `CONNECT` has no path, and is refused whatever its target.
    out.extend_from_slice(path.unwrap_or("/").as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(authority) = authority
        && hosts().next().is_none()
    {
        field(&mut out, "host", authority.as_bytes());
    }
    let mut crumbs = Vec::new();
    for (name, value) in &head.headers {
        // RFC 9113 section 8.2.3: a cookie may come in crumbs, and is put together before it leaves HTTP/2.
        if name == header::COOKIE {
            crumbs.extend_from_slice(if crumbs.is_empty() { b"" } else { b"; " });
            crumbs.extend_from_slice(value.as_bytes());
        } else {
            field(&mut out, name.as_str(), value.as_bytes());
        }
    }
    if !crumbs.is_empty() {
        field(&mut out, "cookie", &crumbs);
    }
    socket.lines(&mut out);
    if framed == Framed::Chunks {
        field(&mut out, "transfer-encoding", b"chunked");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// An answer's head in HTTP/2: its lines without those that speak of a connection (RFC 9113 section 8.2.2).
fn response(buffer: &[u8], head: &ResponseHead) -> io::Result<Response<()>> {
    let unfit = |_| io::Error::from(io::ErrorKind::InvalidData);
    let mut response = Response::new(());
    // RFC 8441 section 5: there is nothing to switch, so a 101 is a 200.
    let status = if head.status == 101 { 200 } else { head.status };
    *response.status_mut() =
        StatusCode::from_u16(status).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let fields = response.headers_mut();
    fields.reserve(head.lines.len());
    // An answer of gRPC that is all head has the fields of its trailers, and no others than it knows.
    let all_head = head.lines.iter().any(|line| octets(buffer, &line.name) == b"grpc-status");
    for line in &head.lines {
        match line.known {
            Known::HopByHop | Known::TransferEncoding => continue,
            Known::ContentLength if all_head => continue,
            Known::Host | Known::Authorization | Known::Cookie | Known::Origin | Known::ContentLength => {}
            Known::Expect | Known::Forwarding | Known::Via | Known::Cors | Known::Other => {}
        }
        let name = HeaderName::from_bytes(octets(buffer, &line.name))
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if head.status == 101 && name == header::SEC_WEBSOCKET_ACCEPT {
            continue;
        }
        let value = HeaderValue::from_bytes(octets(buffer, &line.value)).map_err(unfit)?;
        fields.append(name, value);
    }
    Ok(response)
}
