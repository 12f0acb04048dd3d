//! A client that speaks HTTP/2. Streams are driven by a runtime of its own, so that tests stay plain code.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::harness::audit;
use crate::harness::client::{Request, Response};
use crate::harness::tls::TlsClient;
use crate::harness::wait::{PATIENCE, wait_until};

/// One connection.
pub struct Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// One request on it, and its answer.
pub struct Stream<'c> {
    client: &'c Client,
    method: String,
    to: SendStream<Bytes>,
    answer: ResponseFuture,
    body: Option<RecvStream>,
}

impl Client {
    /// Connects with prior knowledge.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, h2::client::Builder::new().enable_push(false))
    }

    /// The same with other settings.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, settings: &h2::client::Builder) -> Self {
        Self::over(settings, async {
            let socket = TcpStream::connect(address).await.expect("the gateway accepts");
            socket.set_nodelay(true).ok();
            socket
        })
    }

    /// Over TLS, agreed on by ALPN.
    #[track_caller]
    pub fn connect_tls(address: SocketAddr, client: &TlsClient, name: &str) -> Self {
        let connector = client.clone().offering(&["h2", "http/1.1"]).connector();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self::over(h2::client::Builder::new().enable_push(false), async {
            let socket = TcpStream::connect(address).await.expect("the gateway accepts");
            let stream = connector.connect(name, socket).await.expect("TLS with the gateway");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "HTTP/2 was not agreed on");
            stream
        })
    }

    #[track_caller]
    fn over<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        settings: &h2::client::Builder,
        wire: impl Future<Output = T>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (sender, driver) = runtime.block_on(async {
            let (sender, connection) = settings.handshake(wire.await).await.expect("a handshake");
            (sender, tokio::spawn(connection))
        });
        Self { runtime, sender, driver }
    }

    /// Sends a request and gives its whole answer.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.try_send(request).unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// The same, or why there is none.
    pub fn try_send(&self, request: &Request) -> Result<Response, h2::Error> {
        let mut stream = self.open(request, request.body.is_none())?;
        if let Some(body) = &request.body {
            // A refusal may come before the body was taken: what counts is what it says.
            stream.send_all(body).ok();
        }
        stream.answer()
    }

    /// Begins a request: `:authority` is its `Host`, and `content-length` is not said.
    pub fn open(&self, request: &Request, ends: bool) -> Result<Stream<'_>, h2::Error> {
        let host = &request.headers[0].1;
        let mut head = http::Request::builder().method(request.method.as_str());
        head = head.uri(format!("http://{host}{}", request.target)).version(http::Version::HTTP_2);
        for (name, value) in &request.headers[1..] {
            head = head.header(name.as_str(), value.as_str());
        }
        self.open_head(head.body(()).expect("a request that HTTP/2 can say"), ends)
    }

    /// Begins an extended CONNECT (RFC 8441 section 4) for `request`'s target, with its fields.
    pub fn extended_connect(&self, protocol: &'static str, request: &Request) -> Stream<'_> {
        wait_until("the gateway offers extended CONNECT", || {
            self.sender.is_extended_connect_protocol_enabled()
        });
        let mut head = http::Request::builder().method("CONNECT").version(http::Version::HTTP_2);
        head = head.uri(format!("http://{}{}", request.headers[0].1, request.target));
        for (name, value) in &request.headers[1..] {
            head = head.header(name.as_str(), value.as_str());
        }
        let mut head = head.body(()).expect("a request that HTTP/2 can say");
        head.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
        self.open_head(head, false).expect("a stream")
    }

    /// Begins a request as it is.
    pub fn open_head(&self, head: http::Request<()>, ends: bool) -> Result<Stream<'_>, h2::Error> {
        let method = head.method().to_string();
        let sender = self.sender.clone();
        let mut sender = self.wait(async { sender.ready().await })?;
        let (answer, to) = self.wait(async { sender.send_request(head, ends) })?;
        Ok(Stream { client: self, method, to, answer, body: None })
    }

    /// Whether the gateway ends the connection, and how.
    #[track_caller]
    pub fn ended(mut self) -> Result<(), h2::Error> {
        let driver = &mut self.driver;
        let ended = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, driver).await });
        ended.expect("the connection ends").expect("no panic")
    }

    #[track_caller]
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let waited = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await });
        waited.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain"))
    }
}

impl Stream<'_> {
    /// Sends some of the body, waiting for room.
    pub fn send_data(&mut self, data: &[u8], ends: bool) -> Result<(), h2::Error> {
        let client = self.client;
        let mut rest = Bytes::copy_from_slice(data);
        let to = &mut self.to;
        client.wait(async {
            while !rest.is_empty() {
                to.reserve_capacity(rest.len());
                let room = match to.capacity() {
                    0 => poll_fn(|context| to.poll_capacity(context)).await,
                    room => Some(Ok(room)),
                };
                let room = room.unwrap_or_else(|| Err(Reason::STREAM_CLOSED.into()))?;
                let piece = rest.split_to(room.min(rest.len()));
                to.send_data(piece, ends && rest.is_empty())?;
            }
            if ends && data.is_empty() { to.send_data(Bytes::new(), true) } else { Ok(()) }
        })
    }

    /// Sends the whole body.
    pub fn send_all(&mut self, data: &[u8]) -> Result<(), h2::Error> {
        self.send_data(data, true)
    }

    /// Ends the request with trailers.
    pub fn send_trailers(&mut self, trailers: &[(&'static str, &str)]) {
        let fields = trailers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), value.parse().expect("a field value"))
        });
        self.to.send_trailers(fields.collect()).expect("the stream is open");
    }

    /// Gives the request up.
    pub fn reset(&mut self) {
        self.to.send_reset(Reason::CANCEL);
    }

    /// Waits for the head of the answer.
    pub fn head(&mut self) -> Result<Response, h2::Error> {
        let answer = self.client.wait(&mut self.answer)?;
        let (head, body) = answer.into_parts();
        self.body = Some(body);
        Ok(Response { status: head.status.as_u16(), headers: lines(&head.headers), ..Response::default() })
    }

    /// Waits for the next of the answer's body; `None` at its end. [`Stream::head`] comes first.
    pub fn data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let body = self.body.as_mut().expect("the head came first");
        let data = self.client.wait(body.data());
        if let Some(Ok(data)) = &data {
            body.flow_control().release_capacity(data.len()).ok();
        }
        data
    }

    /// Waits for the trailers, behind the body.
    pub fn trailers(&mut self) -> Result<Vec<(String, String)>, h2::Error> {
        let body = self.body.as_mut().expect("the head came first");
        let trailers = self.client.wait(body.trailers())?;
        Ok(trailers.map(|fields| lines(&fields)).unwrap_or_default())
    }

    /// Waits for the whole answer.
    pub fn answer(&mut self) -> Result<Response, h2::Error> {
        let mut response = self.head()?;
        while let Some(data) = self.data() {
            response.body.extend_from_slice(&data?);
        }
        response.trailers = self.trailers()?;
        response.whole = true;
        audit::check(&response, &self.method);
        Ok(response)
    }

    /// How the gateway resets the request's side.
    pub fn reset_by(&mut self, patience: Duration) -> Option<Reason> {
        let to = &mut self.to;
        let reset = poll_fn(|context| to.poll_reset(context));
        let waited = self.client.runtime.block_on(async { tokio::time::timeout(patience, reset).await });
        waited.ok().and_then(Result::ok)
    }
}

fn lines(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    fields.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
