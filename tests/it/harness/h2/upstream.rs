//! An upstream that speaks HTTP/2 by prior knowledge, and records what it is asked.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::harness::reader::Head;
use crate::harness::upstream::Seen;

/// One request being answered.
pub struct Exchange {
    /// Its head, as one of HTTP/1.1 would be recorded.
    pub request: Head,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    to: Option<SendStream<Bytes>>,
    state: Arc<State>,
    place: usize,
}

/// What comes of answering.
pub type Answering = Pin<Box<dyn Future<Output = Result<(), h2::Error>> + Send>>;

type Handler = Arc<dyn Fn(Exchange) -> Answering + Send + Sync>;

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    trailers: Mutex<Vec<HeaderMap>>,
    resets: Mutex<Vec<Reason>>,
    handlers: RwLock<VecDeque<(String, Handler)>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    goodbye: Notify,
}

/// A recording HTTP/2 server on loopback.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    _runtime: Runtime,
}

impl Upstream {
    /// Starts one that answers 200 to everything.
    pub fn start() -> Self {
        Self::start_with(&Builder::new())
    }

    /// The same with other settings.
    pub fn start_with(settings: &Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State::default());
        runtime.spawn(accept(listener, settings.clone(), Arc::clone(&state)));
        Self { address, state, _runtime: runtime }
    }

    /// `h2c://address`.
    pub fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// Answers requests whose path (without query) is `path` so. The last one given counts.
    pub fn on(&self, path: &str, handler: impl Fn(Exchange) -> Answering + Send + Sync + 'static) {
        let mut handlers = self.state.handlers.write().expect("no test panics in here");
        handlers.push_front((path.to_owned(), Arc::new(handler)));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("no test panics in here").clone()
    }

    /// The last request.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.requests().pop().expect("the upstream has got a request")
    }

    /// How many requests it got.
    pub fn count(&self) -> usize {
        self.state.seen.lock().expect("no test panics in here").len()
    }

    /// Trailers that came with requests.
    pub fn trailers(&self) -> Vec<HeaderMap> {
        self.state.trailers.lock().expect("no test panics in here").clone()
    }

    /// How requests were reset that were being answered.
    pub fn resets(&self) -> Vec<Reason> {
        self.state.resets.lock().expect("no test panics in here").clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Says goodbye on every connection: what was begun is finished.
    pub fn say_goodbye(&self) {
        self.state.goodbye.notify_waiters();
    }
}

impl Exchange {
    /// Reads the rest of the body and records it, with what trails it.
    pub async fn body(&mut self) -> Result<Vec<u8>, h2::Error> {
        let mut body = Vec::new();
        while let Some(data) = self.body.data().await {
            let data = data?;
            self.body.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = self.body.trailers().await?;
        self.state.trailers.lock().expect("no test panics in here").extend(trailers);
        let mut seen = self.state.seen.lock().expect("no test panics in here");
        seen[self.place].body.clone_from(&body);
        seen[self.place].whole = true;
        Ok(body)
    }

    /// The next of the body as it comes; `None` at its end.
    pub async fn data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let data = self.body.data().await;
        if let Some(Ok(data)) = &data {
            self.body.flow_control().release_capacity(data.len()).ok();
        }
        data
    }

    /// Sends the head of the answer, with `x-upstream: yes`.
    pub fn head(&mut self, status: u16, lines: &[(&str, &str)], ends: bool) -> Result<(), h2::Error> {
        let mut head = Response::builder().status(status).header("x-upstream", "yes");
        for (name, value) in lines {
            head = head.header(*name, *value);
        }
        self.to = Some(self.respond.send_response(head.body(()).expect("an answer"), ends)?);
        Ok(())
    }

    /// Sends some of the answer's body, waiting for room.
    pub async fn send(&mut self, data: &[u8], ends: bool) -> Result<(), h2::Error> {
        let to = self.to.as_mut().expect("the head was sent");
        let mut rest = Bytes::copy_from_slice(data);
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
    }

    /// Ends the answer with trailers.
    pub fn trail(&mut self, lines: &[(&'static str, &'static str)]) -> Result<(), h2::Error> {
        let field = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        self.to.as_mut().expect("the head was sent").send_trailers(lines.iter().map(field).collect())
    }

    /// Reads the body and answers with a body.
    pub async fn answer(
        &mut self,
        status: u16,
        lines: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), h2::Error> {
        self.body().await?;
        let ends = body.is_empty() || self.request.method == "HEAD";
        self.head(status, lines, ends)?;
        if ends { Ok(()) } else { self.send(body, true).await }
    }

    /// Resets the stream.
    pub fn reset(&mut self, reason: Reason) {
        match &mut self.to {
            Some(to) => to.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Waits for the gateway to give the request up, and records how.
    pub async fn given_up(&mut self) -> Result<(), h2::Error> {
        let reason = match &mut self.to {
            Some(to) => poll_fn(|context| to.poll_reset(context)).await?,
            None => poll_fn(|context| self.respond.poll_reset(context)).await?,
        };
        self.state.resets.lock().expect("no test panics in here").push(reason);
        Ok(())
    }
}

async fn accept(listener: TcpListener, settings: Builder, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).ok();
        let (settings, state) = (settings.clone(), Arc::clone(&state));
        let number = state.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let Ok(mut connection) = settings.handshake(socket).await else { return };
            state.open.fetch_add(1, Ordering::SeqCst);
            let goodbye = state.goodbye.notified();
            let mut goodbye = std::pin::pin!(goodbye);
            let mut said = false;
            loop {
                let accepted = tokio::select! {
                    accepted = connection.accept() => accepted,
                    () = &mut goodbye, if !said => {
                        said = true;
                        connection.graceful_shutdown();
                        continue;
                    }
                };
                let Some(Ok((request, respond))) = accepted else { break };
                tokio::spawn(answer(request, respond, Arc::clone(&state), number));
            }
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn answer(
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    state: Arc<State>,
    connection: usize,
) {
    let (head, body) = request.into_parts();
    let mut headers: Vec<(String, String)> =
        head.uri.authority().map(|host| (":authority".to_owned(), host.to_string())).into_iter().collect();
    headers.extend(
        head.headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    );
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let head = Head { method: head.method.to_string(), target, version: "HTTP/2".to_owned(), headers };
    let place = {
        let mut seen = state.seen.lock().expect("no test panics in here");
        seen.push(Seen { head: head.clone(), connection, ..Seen::default() });
        seen.len() - 1
    };
    let handler = {
        let handlers = state.handlers.read().expect("no test panics in here");
        handlers.iter().find(|(path, _)| path == head.path()).map(|(_, handler)| Arc::clone(handler))
    };
    let mut exchange = Exchange { request: head, body, respond, to: None, state, place };
    // A handler that fails has lost its client, which is what some tests are about.
    let _ = match handler {
        Some(handler) => handler(exchange).await,
        None => exchange.answer(200, &[("content-type", "application/json")], br#"{"ok":true}"#).await,
    };
}
