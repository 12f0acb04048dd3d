//! Trouble on order: a proxy of ours between the gateway and the upstream, on real sockets, that does at each point of
//! an exchange what a script tells it to. It counts what was delivered to it, which is what the upstream would have
//! acted on.

pub mod plan;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::harness::fault_proxy::plan::{Fault, Phase, Plan};
use crate::harness::reader::Head;
use crate::harness::upstream::Upstream;
use crate::harness::wait::pass;

/// How soon after belated octets a request has come that was written before they could be seen.
const CROSSING: Duration = Duration::from_micros(50);

/// A request as it was delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its head.
    pub head: Head,
    /// Octets of its body, framing included.
    pub body: usize,
    /// Whether the body came to its end.
    pub whole: bool,
    /// Counts connections from 0.
    pub connection: usize,
    /// When the gateway ended this connection while the exchange was being hung.
    pub ended: Option<Instant>,
}

type OnAccept = Box<dyn Fn(usize) -> Option<Fault> + Send + Sync>;
type OnRequest = Box<dyn Fn(&Head) -> Plan + Send + Sync>;

struct State {
    upstream: SocketAddr,
    on_accept: Mutex<Option<Arc<OnAccept>>>,
    on_request: Mutex<Option<Arc<OnRequest>>>,
    delivered: Mutex<Vec<Delivery>>,
    accepted: Mutex<usize>,
    crossed: AtomicUsize,
    stopping: AtomicBool,
}

/// The proxy.
pub struct FaultProxy {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

/// Whether a connection goes on.
enum Next {
    Again,
    End,
}

impl FaultProxy {
    /// Starts one that troubles nobody.
    pub fn before(upstream: &Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        SockRef::from(&listener).listen(2048).expect("a longer queue");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State {
            upstream: upstream.address,
            on_accept: Mutex::default(),
            on_request: Mutex::default(),
            delivered: Mutex::default(),
            accepted: Mutex::default(),
            crossed: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.accepted(stream));
            }
        });
        Self { address, state, acceptor: Some(acceptor) }
    }

    /// `http://address`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens to each connection, numbered from 0, before anything is read of it.
    pub fn on_accept(&self, script: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static) {
        *self.state.on_accept.lock().expect("no test panics in here") = Some(Arc::new(Box::new(script)));
    }

    /// What happens to each request, by its head.
    pub fn on_request(&self, script: impl Fn(&Head) -> Plan + Send + Sync + 'static) {
        *self.state.on_request.lock().expect("no test panics in here") = Some(Arc::new(Box::new(script)));
    }

    /// The same for every request.
    pub fn always(&self, plan: &Plan) {
        let plan = plan.clone();
        self.on_request(move |_| plan.clone());
    }

    /// The same for requests of this path, and no trouble for the others.
    pub fn on_path(&self, path: &'static str, plan: &Plan) {
        let plan = plan.clone();
        self.on_request(move |head| if head.path() == path { plan.clone() } else { Plan::new() });
    }

    /// What was delivered so far.
    pub fn delivered(&self) -> Vec<Delivery> {
        self.state.delivered.lock().expect("no test panics in here").clone()
    }

    /// How many requests of this path were delivered.
    pub fn count_of(&self, path: &str) -> usize {
        self.delivered().iter().filter(|delivery| delivery.head.path() == path).count()
    }

    /// How often the next request came right behind belated octets.
    pub fn crossed(&self) -> usize {
        self.state.crossed.load(Ordering::SeqCst)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        *self.state.accepted.lock().expect("no test panics in here")
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

impl State {
    fn accepted(&self, client: TcpStream) {
        let number = {
            let mut accepted = self.accepted.lock().expect("no test panics in here");
            *accepted += 1;
            *accepted - 1
        };
        client.set_nodelay(true).ok();
        let script = self.on_accept.lock().expect("no test panics in here").clone();
        let mut side = Side { state: self, client, upstream: None, input: Vec::new(), number };
        if let Some(fault) = script.and_then(|script| script(number))
            && !matches!(side.suffer(&fault, None), Ok(true))
        {
            return;
        }
        while matches!(side.exchange(), Ok(Next::Again)) {}
    }
}

/// One connection of the gateway's.
struct Side<'s> {
    state: &'s State,
    client: TcpStream,
    upstream: Option<TcpStream>,
    input: Vec<u8>,
    number: usize,
}

impl Side<'_> {
    /// Serves one request.
    fn exchange(&mut self) -> io::Result<Next> {
        let Some(length) = self.read_head()? else { return Ok(Next::End) };
        let octets: Vec<u8> = self.input.drain(..length).collect();
        let head = parse(&octets);
        let script = self.state.on_request.lock().expect("no test panics in here").clone();
        let plan = script.map(|script| script(&head)).unwrap_or_default();
        let place = {
            let mut delivered = self.state.delivered.lock().expect("no test panics in here");
            delivered.push(Delivery {
                head: head.clone(),
                body: 0,
                whole: false,
                connection: self.number,
                ended: None,
            });
            delivered.len() - 1
        };
        if !self.at(&plan, Phase::Head, place)? {
            return Ok(Next::End);
        }
        let Some(body) = self.read_body(&head, &plan, place)? else { return Ok(Next::End) };
        if plan.steps.iter().any(|(_, fault)| matches!(fault, Fault::Done)) {
            return Ok(Next::Again);
        }
        if !self.at(&plan, Phase::Body, place)? {
            return Ok(Next::End);
        }
        let answer = match &plan.answer {
            Some(answer) => answer.clone(),
            None => self.ask_upstream(&octets, &body, &head.method)?,
        };
        if !self.send_answer(&answer, &plan, place)? || !self.at(&plan, Phase::Answer, place)? {
            return Ok(Next::End);
        }
        match plan.idle {
            Some((wait, reset)) if !self.request_within(wait)? => {
                self.suffer(if reset { &Fault::Reset } else { &Fault::Close }, None)?;
                Ok(Next::End)
            }
            _ => Ok(Next::Again),
        }
    }

    /// What the plan has for this point; `false`: the connection is over.
    fn at(&mut self, plan: &Plan, phase: Phase, place: usize) -> io::Result<bool> {
        for (_, fault) in plan.steps.iter().filter(|(at, _)| *at == phase) {
            if !self.suffer(fault, Some(place))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `false`: the connection is over.
    fn suffer(&mut self, fault: &Fault, place: Option<usize>) -> io::Result<bool> {
        match fault {
            Fault::Reset => {
                SockRef::from(&self.client).set_linger(Some(Duration::ZERO))?;
                Ok(false)
            }
            Fault::Close => Ok(false),
            Fault::HalfClose => {
                self.client.shutdown(Shutdown::Write)?;
                self.drain(place);
                Ok(false)
            }
            Fault::Hang => {
                self.drain(place);
                Ok(false)
            }
            Fault::Deaf => {
                while !self.state.stopping.load(Ordering::SeqCst) {
                    pass(Duration::from_millis(20));
                }
                Ok(false)
            }
            Fault::Delay(time) => {
                pass(*time);
                Ok(true)
            }
            Fault::Write(octets) => self.client.write_all(octets).map(|()| true),
            Fault::Belated(octets) => self.belated(octets).map(|()| true),
            Fault::Done => Ok(true),
        }
    }

    /// Sends octets unless the next request is there, and counts it when that came right after them all the same.
    fn belated(&mut self, octets: &[u8]) -> io::Result<()> {
        self.client.set_nonblocking(true)?;
        if self.input.is_empty() && self.client.peek(&mut [0]).is_err() {
            self.client.write_all(octets)?;
            let end = Instant::now() + CROSSING;
            while Instant::now() < end {
                if self.client.peek(&mut [0]).is_ok_and(|count| count > 0) {
                    self.state.crossed.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
        }
        self.client.set_nonblocking(false)
    }

    /// Reads to the end of the connection, and notes when that came.
    fn drain(&mut self, place: Option<usize>) {
        let mut waste = [0; 16 << 10];
        while matches!(self.client.read(&mut waste), Ok(1..)) {}
        if let Some(place) = place {
            self.state.delivered.lock().expect("no test panics in here")[place].ended = Some(Instant::now());
        }
    }

    /// Whether octets are there within `wait`.
    fn request_within(&mut self, wait: Duration) -> io::Result<bool> {
        if !self.input.is_empty() {
            return Ok(true);
        }
        // A timeout of zero is none at all.
        self.client.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        let there = match self.client.peek(&mut [0]) {
            Ok(count) => Ok(count > 0),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        };
        self.client.set_read_timeout(None)?;
        there
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 << 10];
        let count = self.client.read(&mut piece)?;
        self.input.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    /// The length of the next head; `None` at the end of the connection.
    fn read_head(&mut self) -> io::Result<Option<usize>> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                return Ok(Some(end + 4));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// The body as it came, framing included; `None`: the connection is over.
    fn read_body(&mut self, head: &Head, plan: &Plan, place: usize) -> io::Result<Option<Vec<u8>>> {
        let length = head.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let chunked = head.header("transfer-encoding").is_some();
        let mut half_done = length == 0 && !chunked;
        loop {
            let there = if chunked { self.input.len() } else { self.input.len().min(length) };
            self.note(place, there, false);
            if !half_done && there > 0 && (chunked || there * 2 >= length) {
                half_done = true;
                if !self.at(plan, Phase::MidBody, place)? {
                    return Ok(None);
                }
            }
            let end = if chunked {
                find(&self.input, b"0\r\n\r\n").map(|at| at + 5)
            } else {
                Some(length).filter(|length| *length <= self.input.len())
            };
            if let Some(end) = end {
                self.note(place, end, true);
                return Ok(Some(self.input.drain(..end).collect()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn note(&self, place: usize, body: usize, whole: bool) {
        let mut delivered = self.state.delivered.lock().expect("no test panics in here");
        (delivered[place].body, delivered[place].whole) = (body, whole);
    }

    /// The upstream's answer, on a connection that lives as long as the gateway's.
    fn ask_upstream(&mut self, head: &[u8], body: &[u8], method: &str) -> io::Result<Vec<u8>> {
        if self.upstream.is_none() {
            let upstream = TcpStream::connect(self.state.upstream)?;
            upstream.set_nodelay(true)?;
            self.upstream = Some(upstream);
        }
        let Some(upstream) = &mut self.upstream else { return Err(ErrorKind::NotConnected.into()) };
        upstream.write_all(&[head, body].concat())?;
        let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
        loop {
            if let Some(end) = find(&answer, b"\r\n\r\n") {
                let length = match parse(&answer[..end + 4]).header("content-length") {
                    _ if method == "HEAD" => 0,
                    Some(value) => value.parse().unwrap_or(0),
                    None => return Err(ErrorKind::Unsupported.into()),
                };
                if answer.len() >= end + 4 + length {
                    return Ok(answer);
                }
            }
            match upstream.read(&mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&piece[..count]),
            }
        }
    }

    /// Sends an answer with what the plan has within it; `false`: the connection is over.
    fn send_answer(&mut self, answer: &[u8], plan: &Plan, place: usize) -> io::Result<bool> {
        let status = find(answer, b"\r\n").map_or(answer.len(), |at| at + 2);
        let head = find(answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let offset = |phase: Phase| match phase {
            Phase::StatusLine => Some(status),
            Phase::MidHead => Some((status + head) / 2),
            Phase::MidAnswer => Some(head + (answer.len() - head) / 2),
            Phase::Octet(count) => Some(count.min(answer.len())),
            Phase::Head | Phase::MidBody | Phase::Body | Phase::Answer => None,
        };
        let mut stops: Vec<(usize, Phase)> =
            plan.steps.iter().filter_map(|(phase, _)| Some((offset(*phase)?, *phase))).collect();
        stops.sort_by_key(|(at, _)| *at);
        stops.dedup();
        let mut sent = 0;
        for (at, phase) in stops {
            self.send(&answer[sent..at], plan.drip)?;
            sent = at;
            if !self.at(plan, phase, place)? {
                return Ok(false);
            }
        }
        self.send(&answer[sent..], plan.drip)?;
        Ok(true)
    }

    fn send(&mut self, octets: &[u8], drip: Option<Duration>) -> io::Result<()> {
        let Some(pause) = drip else { return self.client.write_all(octets) };
        for octet in octets {
            self.client.write_all(&[*octet])?;
            pass(pause);
        }
        Ok(())
    }
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

/// A start line and its fields.
fn parse(octets: &[u8]) -> Head {
    let text = String::from_utf8_lossy(octets);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let (method, target, version) = (word(), word(), word());
    let field =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Head { method, target, version, headers: lines.filter_map(field).collect() }
}
