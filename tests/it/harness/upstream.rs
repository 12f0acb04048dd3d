//! The upstream: records the raw octets it received and the requests it *believes* it received.
//!
//! Its parser is as lenient as a careless backend's (bare LF, a broken `Content-Length` read as nothing, any
//! mention of `chunked`), so that a request smuggled past the gateway shows up in the log as one more request.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use crate::harness::reader::{Head, Reader};
use crate::harness::wait::wait_until;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 2048;

/// A request as the upstream believes it got it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The head.
    pub head: Head,
    /// As much of the body as was read.
    pub body: Vec<u8>,
    /// Whether the body was read to its end.
    pub whole: bool,
    /// Counts connections from 0.
    pub connection: usize,
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It serves the next request.
    Keep,
    /// It is closed.
    Close,
}

/// One request being answered.
pub struct Exchange {
    /// The head; the body is read by [`Exchange::body`].
    pub request: Head,
    reader: Reader,
    output: TcpStream,
    state: Arc<State>,
    place: usize,
}

type Handler = Arc<dyn Fn(&mut Exchange) -> io::Result<Then> + Send + Sync>;

struct State {
    seen: Mutex<Vec<Seen>>,
    raw: Arc<Mutex<Vec<u8>>>,
    handlers: RwLock<VecDeque<(String, Handler)>>,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

/// A recording HTTP/1.1 server on loopback.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Upstream {
    /// Starts one that answers 200 to everything.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        // Hundreds may come at once, and one that is dropped comes again after a second: as long as the gateway waits.
        socket2::SockRef::from(&listener).listen(BACKLOG).expect("a longer queue");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State {
            seen: Mutex::default(),
            raw: Arc::default(),
            handlers: RwLock::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let upstream = Self { address, state, acceptor: Mutex::new(None) };
        upstream.accept_on(listener);
        upstream
    }

    /// `http://address`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests whose path (without query) is `path` so; `path` may end with `*`. The last one given
    /// counts.
    pub fn on(
        &self,
        path: &str,
        handler: impl Fn(&mut Exchange) -> io::Result<Then> + Send + Sync + 'static,
    ) {
        let mut handlers = self.state.handlers.write().expect("no test panics in here");
        handlers.push_front((path.to_owned(), Arc::new(handler)));
    }

    /// Answers requests for `path` with exactly these octets, the request's body read first.
    pub fn on_raw(&self, path: &str, answer: impl Into<Vec<u8>>, then: Then) {
        let answer = answer.into();
        self.on(path, move |exchange| {
            exchange.body()?;
            exchange.write(&answer)?;
            Ok(then)
        });
    }

    /// Every request so far, as believed.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("no test panics in here").clone()
    }

    /// The last request.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.requests().pop().expect("the upstream has got a request")
    }

    /// How many requests it believes it got.
    pub fn count(&self) -> usize {
        self.state.seen.lock().expect("no test panics in here").len()
    }

    /// How many of them were for this path (without query).
    pub fn count_of(&self, path: &str) -> usize {
        let seen = self.state.seen.lock().expect("no test panics in here");
        seen.iter().filter(|seen| seen.head.path() == path).count()
    }

    /// The octets received, all connections one after another as they came (the first 4 MiB).
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.state.raw.lock().expect("no test panics in here")).into_owned()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Refuses connections and cuts those that are open.
    pub fn go_down(&self) {
        self.stop();
        for stream in self.state.open.lock().expect("no test panics in here").drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Serves again, at the same address.
    pub fn come_up(&self) {
        let mut listener = None;
        wait_until("the upstream's port is free again", || {
            listener = TcpListener::bind(self.address).ok();
            listener.is_some()
        });
        self.accept_on(listener.expect("it was just bound"));
    }

    /// Cuts every open connection, as a server does whose keep-alive time has run out.
    pub fn cut_idle_connections(&self) {
        for stream in self.state.open.lock().expect("no test panics in here").drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    fn accept_on(&self, listener: TcpListener) {
        self.state.stopping.store(false, Ordering::SeqCst);
        let state = Arc::clone(&self.state);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if state.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        *self.acceptor.lock().expect("no test panics in here") = Some(acceptor);
    }

    fn stop(&self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.lock().expect("no test panics in here").take() {
            acceptor.join().ok();
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.go_down();
    }
}

impl Exchange {
    /// Reads the rest of the body and records it.
    pub fn body(&mut self) -> io::Result<Vec<u8>> {
        let body = self.reader.body(&self.request)?;
        let mut seen = self.state.seen.lock().expect("no test panics in here");
        seen[self.place].body.clone_from(&body);
        seen[self.place].whole = true;
        Ok(body)
    }

    /// Reads some octets of the connection as they come, without any framing; empty at its end.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        self.reader.some()
    }

    /// Sends octets.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.output.write_all(octets)
    }

    /// Reads the body and answers with a status, header lines and a body.
    pub fn answer(&mut self, status: u16, headers: &str, body: &[u8]) -> io::Result<Then> {
        self.body()?;
        self.answer_read(status, headers, body)
    }

    /// The same where the body was read already.
    pub fn answer_read(&mut self, status: u16, headers: &str, body: &[u8]) -> io::Result<Then> {
        let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        let mut octets = head.into_bytes();
        if self.request.method != "HEAD" {
            octets.extend_from_slice(body);
        }
        self.write(&octets)?;
        Ok(Then::Keep)
    }

    /// Resets the connection: the peer sees an error, not an orderly end.
    pub fn reset(&mut self) -> Then {
        socket2::SockRef::from(&self.output).set_linger(Some(std::time::Duration::ZERO)).ok();
        Then::Close
    }
}

/// Serves one connection until either side ends it.
fn serve(stream: TcpStream, state: &Arc<State>) {
    let connection = state.connections.fetch_add(1, Ordering::SeqCst);
    stream.set_nodelay(true).ok();
    let (Ok(output), Ok(kept)) = (stream.try_clone(), stream.try_clone()) else { return };
    state.open.lock().expect("no test panics in here").push(kept);
    let mut reader = Some(Reader::new(stream, Arc::clone(&state.raw)));
    while let Some(mut input) = reader.take() {
        let Ok(Some(head)) = input.head() else { break };
        let place = {
            let mut seen = state.seen.lock().expect("no test panics in here");
            seen.push(Seen { head: head.clone(), connection, ..Seen::default() });
            seen.len() - 1
        };
        let handler = find(state, head.path());
        let Ok(output) = output.try_clone() else { break };
        let mut exchange = Exchange { request: head, reader: input, output, state: Arc::clone(state), place };
        match handler(&mut exchange) {
            Ok(Then::Keep) => reader = Some(exchange.reader),
            Ok(Then::Close) | Err(_) => break,
        }
    }
    // The other clones of the socket keep it open: it ends here by being shut down, or reset where that was
    // asked for.
    state.open.lock().expect("no test panics in here").retain(
        |open| !matches!((open.peer_addr(), output.peer_addr()), (Ok(one), Ok(other)) if one == other),
    );
    let lingers = socket2::SockRef::from(&output).linger().ok().flatten().is_none();
    if lingers {
        output.shutdown(Shutdown::Both).ok();
    }
}

fn find(state: &State, path: &str) -> Handler {
    let handlers = state.handlers.read().expect("no test panics in here");
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    };
    match handlers.iter().find(|(pattern, _)| fits(pattern)) {
        Some((_, handler)) => Arc::clone(handler),
        None => Arc::new(default_answer),
    }
}

/// 200, a marker header, and a small JSON body that repeats nothing of the request.
fn default_answer(exchange: &mut Exchange) -> io::Result<Then> {
    exchange.answer(200, "Content-Type: application/json\r\nX-Upstream: yes\r\n", br#"{"ok":true}"#)
}
