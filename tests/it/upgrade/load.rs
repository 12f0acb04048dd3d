//! Twenty upgrades in a row under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::harness::api::Api;
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::process::{signal, wait_for_exit};
use crate::harness::wait::{PATIENCE, pause, wait_until};
use crate::harness::websocket::{CLOSE, Frame, TEXT, WebSocket, echo, handshake};
use crate::upgrade::{api, said, serving, start};

/// What became of the requests.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    /// Connections that were refused, or reset while they were made.
    refused: AtomicUsize,
    /// Requests that were sent and not answered, whole; messages without an echo and without a goodbye.
    lost: AtomicUsize,
    /// Answers that are not the upstream's.
    unexpected: AtomicUsize,
    /// Goodbyes of WebSockets: Close 1001.
    goodbyes: AtomicUsize,
}

/// Who asks, until told to stop.
struct Load {
    api: Api,
    stop: AtomicBool,
    requests: Tally,
    scrapes: Tally,
    messages: Tally,
    /// When a new process had taken over.
    takeovers: Mutex<Vec<Instant>>,
}

fn count(what: &AtomicUsize) {
    what.fetch_add(1, Ordering::SeqCst);
}

/// Waits for the next beat of a steady pace.
fn beat(next: &mut Instant, pace: Duration) {
    *next += pace;
    while let Some(left) = next.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

impl Load {
    fn new(api: Api) -> Self {
        let (requests, scrapes, messages) = Default::default();
        let (stop, takeovers) = Default::default();
        Self { api, stop, requests, scrapes, messages, takeovers }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// About 1,000 requests a second: on connections that are kept, busy ones and slow ones, and on new ones.
    fn requests<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        for _ in 0..6 {
            scope.spawn(|| self.client(true, Duration::from_millis(8)));
        }
        for _ in 0..4 {
            scope.spawn(|| self.client(false, Duration::from_millis(16)));
        }
        for slow in 0..30 {
            scope.spawn(move || self.client(true, Duration::from_millis(500 + 20 * slow)));
        }
        scope.spawn(|| self.scraper());
    }

    /// Asks again and again, at a steady pace: on one connection as long as it lasts, or on a new one each time.
    /// It does not look before it asks: a connection that was closed without a word is a request lost.
    fn client(&self, keep: bool, pace: Duration) {
        let (tally, address) = (&self.requests, self.api.gateway.ports.public);
        let (mut kept, mut next): (Option<Connection>, _) = (None, Instant::now());
        while self.goes_on() {
            beat(&mut next, pace);
            let connection = match kept.take() {
                Some(connection) => Ok(connection),
                None => Connection::from_source([127, 0, 0, 1].into(), address),
            };
            let Ok(mut connection) = connection else {
                count(&tally.refused);
                continue;
            };
            if connection.try_write(&Request::get("/health").octets()).is_err() {
                count(&tally.lost);
                continue;
            }
            match connection.wait("GET", PATIENCE) {
                Outcome::Answer(response) if response.status == 200 && response.whole => {
                    count(&tally.answered);
                    if keep && !response.closes() {
                        kept = Some(connection);
                    }
                }
                Outcome::Answer(_) => count(&tally.unexpected),
                Outcome::Closed | Outcome::Silence => count(&tally.lost),
            }
        }
    }

    /// Scrapes the admin listener all the while.
    fn scraper(&self) {
        let (tally, admin) = (&self.scrapes, self.api.gateway.ports.admin);
        while self.goes_on() {
            match scrape(admin) {
                Ok(text) if text.starts_with("HTTP/1.1 200 ") && text.contains("portcullis_process_id") => {
                    count(&tally.answered);
                }
                Ok(_) => count(&tally.unexpected),
                Err(_) => count(&tally.refused),
            }
            pause();
        }
    }

    /// Sends messages and hears their echoes, on a WebSocket and, when that says goodbye, on the next one. A message
    /// that the goodbye answers is sent again.
    fn talker(&self, number: usize) {
        let tally = &self.messages;
        let (mut next, mut message) = (Instant::now(), 0);
        while self.goes_on() {
            let opened = Instant::now();
            let mut socket = WebSocket::open(&self.api.gateway, &handshake("/ws"));
            while self.goes_on() {
                beat(&mut next, Duration::from_millis(100));
                let text = format!("{number}: {message}");
                socket.send(&Frame::new(TEXT, &text));
                match socket.receive() {
                    Some(frame) if frame == Frame::new(TEXT, &text).plain() => {
                        count(&tally.answered);
                        message += 1;
                    }
                    Some(frame) if frame.opcode == CLOSE && frame.code() == Some(1001) => {
                        count(if self.was_given_time(opened) { &tally.goodbyes } else { &tally.unexpected });
                        socket.send(&Frame::close(1001));
                        break;
                    }
                    Some(_) => count(&tally.unexpected),
                    None => {
                        count(&tally.lost);
                        break;
                    }
                }
            }
        }
    }

    /// Whether the process that a WebSocket was opened on had been taken over from for about as long as its grace.
    fn was_given_time(&self, opened: Instant) -> bool {
        let takeovers = self.takeovers.lock().expect("no test panics in here");
        takeovers.iter().any(|at| *at > opened && at.elapsed() > GRACE / 2 - Duration::from_millis(500))
    }

    /// Upgrades twenty times, every second time to another number of workers. The processes that were taken over
    /// from end by themselves.
    fn upgrades(&self) -> Child {
        let gateway = &self.api.gateway;
        let directory = gateway.directory.path();
        let mut running: Vec<Child> = Vec::new();
        for number in 0..UPGRADES {
            let workers = [2, 2, 4, 4, 1, 1, 3, 3][number % 8];
            gateway.rewrite(|text| {
                let (before, rest) = text.split_once("workers: ").expect("workers");
                let (_, after) = rest.split_once('\n').expect("a line");
                format!("{before}workers: {workers}\n{after}")
            });
            let new = start(directory, &format!("upgrade-{number}"));
            wait_until("it has taken over", || serving(&self.api) == Some(u64::from(new.id())));
            self.takeovers.lock().expect("no test panics in here").push(Instant::now());
            running.push(new);
        }
        let last = running.pop().expect("twenty upgrades");
        gateway.wait_for_exit(0);
        for (number, old) in running.iter_mut().enumerate() {
            assert_eq!(
                wait_for_exit(old).code(),
                Some(0),
                "{}",
                said(directory, &format!("upgrade-{number}"))
            );
        }
        last
    }

    /// Does all of it; the last process is left.
    fn run(&self, websockets: usize) {
        let begun = Instant::now();
        let mut last = std::thread::scope(|scope| {
            self.requests(scope);
            for number in 0..websockets {
                scope.spawn(move || self.talker(number));
            }
            wait_until("there is load", || {
                let enough = |tally: &Tally, least| tally.answered.load(Ordering::SeqCst) >= least;
                enough(&self.requests, 500) && enough(&self.messages, 3 * websockets)
            });
            let upgraded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.upgrades()));
            self.stop.store(true, Ordering::SeqCst);
            upgraded.expect("twenty upgrades")
        });
        // Nobody asks any more: what was refused or lost was so before.
        signal(&last, "TERM");
        assert_eq!(wait_for_exit(&mut last).code(), Some(0));
        let rate = self.requests.answered.load(Ordering::SeqCst) as f64 / begun.elapsed().as_secs_f64();
        eprintln!("{UPGRADES} upgrades in {:?}: {rate:.0} requests a second", begun.elapsed());
        let all = [("requests", &self.requests), ("scrapes", &self.scrapes), ("messages", &self.messages)];
        for (what, tally) in all {
            eprintln!("{what}: {tally:?}");
        }
        for (what, tally) in all {
            let bad = [&tally.refused, &tally.lost, &tally.unexpected].map(|bad| bad.load(Ordering::SeqCst));
            assert_eq!(bad, [0, 0, 0], "refused, lost, unexpected {what}: {tally:?}");
        }
    }
}

fn scrape(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

const UPGRADES: usize = 20;
const GRACE: Duration = Duration::from_secs(6);

#[test]
fn o6_twenty_upgrades_under_load_lose_nothing() {
    Load::new(api(|setup| setup.yaml_tail("shutdown_grace: 6s"))).run(0);
}

#[test]
fn o6_twenty_upgrades_with_a_hundred_websockets_lose_nothing() {
    let api = api(|setup| setup.yaml_tail("shutdown_grace: 6s").route("GET /ws", "public"));
    api.upstream.on("/ws", echo);
    let load = Load::new(api);
    load.run(100);
    assert!(load.messages.goodbyes.load(Ordering::SeqCst) >= 100, "each of them was told once at least");
}
