//! The issuer: real keys, discovery and key set over real HTTP on loopback, and every way to be broken.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::keys::{Key, jwks};
use crate::harness::token::Token;
use crate::harness::upstream::{Exchange, Then, Upstream};
use crate::harness::wait::pause;

/// How the key endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As it should.
    None,
    /// Accepts, reads, and never answers.
    Hang,
    /// 500.
    ServerError,
    /// 404.
    NotFound,
    /// 200 with a page for people.
    Html,
    /// 200 with `{"keys":[]}`.
    EmptySet,
    /// 200 with half a document, framed as whole.
    Truncated,
    /// 200 with 200 MB of JSON.
    Huge,
    /// 200, one octet now and then, without end.
    Drip,
    /// Redirects to itself for ever.
    RedirectLoop,
    /// Redirects to another host name of the same server.
    RedirectElsewhere,
    /// Resets the connection.
    Reset,
    /// 200 with keys, none of which may be used (too short, for encryption, of unknown type).
    UselessKeys,
}

/// Every fault but [`Fault::None`].
pub const FAULTS: [Fault; 12] = [
    Fault::Hang,
    Fault::ServerError,
    Fault::NotFound,
    Fault::Html,
    Fault::EmptySet,
    Fault::Truncated,
    Fault::Huge,
    Fault::Drip,
    Fault::RedirectLoop,
    Fault::RedirectElsewhere,
    Fault::Reset,
    Fault::UselessKeys,
];

struct State {
    keys: Mutex<Vec<Key>>,
    beside: Mutex<Vec<Value>>,
    fault: Mutex<Fault>,
    fetches: AtomicUsize,
    not_modified: AtomicUsize,
    most_at_once: AtomicUsize,
    at_once: AtomicUsize,
    sent: AtomicUsize,
    over: AtomicBool,
}

/// An OpenID provider as far as a gateway sees one.
pub struct Issuer {
    /// `iss`, which is its address too.
    pub iss: String,
    server: Upstream,
    state: Arc<State>,
}

impl Issuer {
    /// One with an ES256 key `k1`.
    pub fn start() -> Self {
        Self::with_keys(vec![Key::new("ES256", "k1")])
    }

    /// One with these keys; the first signs.
    pub fn with_keys(keys: Vec<Key>) -> Self {
        let server = Upstream::start();
        let iss = server.url();
        let state = Arc::new(State {
            keys: Mutex::new(keys),
            beside: Mutex::default(),
            fault: Mutex::new(Fault::None),
            fetches: AtomicUsize::new(0),
            not_modified: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let metadata = json!({"issuer": iss, "jwks_uri": format!("{iss}/jwks.json")}).to_string();
        server.on("/.well-known/openid-configuration", move |exchange| {
            exchange.answer(200, "Content-Type: application/json\r\n", metadata.as_bytes())
        });
        let shared = Arc::clone(&state);
        server.on("/jwks.json", move |exchange| {
            shared.fetches.fetch_add(1, Ordering::SeqCst);
            let at_once = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            shared.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            let then = serve_keys(exchange, &shared);
            shared.at_once.fetch_sub(1, Ordering::SeqCst);
            then
        });
        Self { iss, server, state }
    }

    /// Serves another discovery document.
    pub fn set_metadata(&self, metadata: &Value) {
        let metadata = metadata.to_string();
        self.server.on("/.well-known/openid-configuration", move |exchange| {
            exchange.answer(200, "Content-Type: application/json\r\n", metadata.as_bytes())
        });
    }

    /// Requests for this path.
    pub fn hits(&self, path: &str) -> usize {
        self.server.count_of(path)
    }

    /// The key that signs.
    pub fn key(&self) -> Key {
        self.keys().first().cloned().expect("an issuer has a key")
    }

    /// The published keys.
    pub fn keys(&self) -> Vec<Key> {
        self.state.keys.lock().expect("no test panics in here").clone()
    }

    /// Publishes these keys instead; the first signs.
    pub fn publish(&self, keys: Vec<Key>) {
        *self.state.keys.lock().expect("no test panics in here") = keys;
    }

    /// Publishes these members of the set after the keys.
    pub fn publish_beside(&self, others: &[Value]) {
        *self.state.beside.lock().expect("no test panics in here") = others.to_vec();
    }

    /// Adds a new ES256 key of this name that signs from now on; the others stay published.
    pub fn rotate(&self, id: &str) -> Key {
        let key = Key::new("ES256", id);
        let mut keys = vec![key.clone()];
        keys.extend(self.keys());
        self.publish(keys);
        key
    }

    /// The key set document.
    pub fn jwks(&self) -> Value {
        jwks(&self.keys())
    }

    /// The key set's address.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks.json", self.iss)
    }

    /// A sound token, not signed yet.
    pub fn token(&self) -> Token {
        Token::new(&self.iss, &self.key())
    }

    /// A signed token with this scope.
    pub fn mint(&self, scope: &str) -> String {
        self.token().scope(scope).sign()
    }

    /// Breaks the key endpoint, or mends it.
    pub fn set_fault(&self, fault: Fault) {
        *self.state.fault.lock().expect("no test panics in here") = fault;
    }

    /// Fetches of the key set so far, whatever they were answered with.
    pub fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// Of which were answered 304.
    pub fn not_modified(&self) -> usize {
        self.state.not_modified.load(Ordering::SeqCst)
    }

    /// The most fetches that were being answered at the same time.
    pub fn most_at_once(&self) -> usize {
        self.state.most_at_once.load(Ordering::SeqCst)
    }

    /// Octets of huge and dripping bodies that went out.
    pub fn sent(&self) -> usize {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// Refuses connections.
    pub fn go_down(&self) {
        self.server.go_down();
    }

    /// Serves again, at the same address.
    pub fn come_up(&self) {
        self.server.come_up();
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
    }
}

fn serve_keys(exchange: &mut Exchange, state: &State) -> io::Result<Then> {
    const JSON: &str = "Content-Type: application/json\r\n";
    let keys = state.keys.lock().expect("no test panics in here").clone();
    let mut set = jwks(&keys);
    let beside = state.beside.lock().expect("no test panics in here").clone();
    set["keys"].as_array_mut().expect("a set has a list").extend(beside);
    let document = set.to_string();
    let fault = *state.fault.lock().expect("no test panics in here");
    match fault {
        Fault::None => {
            let tag = etag(&document);
            if exchange.request.header("if-none-match") == Some(tag.as_str()) {
                state.not_modified.fetch_add(1, Ordering::SeqCst);
                exchange.write(format!("HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n").as_bytes())?;
                return Ok(Then::Keep);
            }
            exchange.answer(200, &format!("{JSON}ETag: {tag}\r\n"), document.as_bytes())
        }
        Fault::Hang => {
            while !state.over.load(Ordering::SeqCst) {
                pause();
            }
            Ok(Then::Close)
        }
        Fault::ServerError => exchange.answer(500, JSON, b"{}"),
        Fault::NotFound => exchange.answer(404, "", b"nothing here"),
        Fault::Html => exchange.answer(200, "Content-Type: text/html\r\n", b"<!doctype html><p>Sign in"),
        Fault::EmptySet => exchange.answer(200, JSON, br#"{"keys":[]}"#),
        Fault::Truncated => exchange.answer(200, JSON, &document.as_bytes()[..document.len() / 2]),
        Fault::Huge => huge(exchange, state),
        Fault::Drip => drip(exchange, state),
        Fault::RedirectLoop => exchange.answer(302, "Location: /jwks.json\r\n", b""),
        Fault::RedirectElsewhere => {
            let port =
                exchange.request.header("host").and_then(|host| host.rsplit(':').next().map(str::to_owned));
            let line = format!("Location: http://localhost:{}/elsewhere\r\n", port.unwrap_or_default());
            exchange.answer(302, &line, b"")
        }
        Fault::Reset => Ok(exchange.reset()),
        Fault::UselessKeys => {
            let useless = json!({"keys": [
                {"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"},
                {"kty": "oct", "kid": "k1", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXM"},
                {"kty": "XYZ", "kid": "k1"},
            ]});
            exchange.answer(200, JSON, useless.to_string().as_bytes())
        }
    }
}

fn huge(exchange: &mut Exchange, state: &State) -> io::Result<Then> {
    const LENGTH: usize = 200_000_000;
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {LENGTH}\r\n\r\n");
    exchange.write(head.as_bytes())?;
    exchange.write(br#"{"keys":["#)?;
    let blanks = vec![b' '; 64 << 10];
    while state.sent.load(Ordering::SeqCst) < LENGTH {
        exchange.write(&blanks)?;
        state.sent.fetch_add(blanks.len(), Ordering::SeqCst);
    }
    Ok(Then::Close)
}

fn drip(exchange: &mut Exchange, state: &State) -> io::Result<Then> {
    exchange
        .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    while !state.over.load(Ordering::SeqCst) {
        exchange.write(b"1\r\n \r\n")?;
        state.sent.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            pause();
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// An entity tag that changes with the document.
fn etag(document: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    document.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
