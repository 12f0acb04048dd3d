//! Both ends of a conversation: an upstream that speaks the protocols and writes down what it hears, and a client.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::{Exchange, Then};
use crate::harness::wait::wait_until;
use crate::harness::websocket::{CLOSE, Frame, PING, PONG, Served, TEXT, WebSocket, answer_to, handshake};

pub const NEW: &str = "graphql-transport-ws";
pub const OLD: &str = "graphql-ws";
pub const BOTH: [&str; 2] = [NEW, OLD];

/// A mutation that `Mutation:Person:Create` allows.
pub const CREATE: &str = "mutation { CreatePerson(name: \"a\") { identifier } }";
pub const DELETE: &str = "mutation { DeletePerson(identifier: \"a\") { identifier } }";
pub const PUBLIC: &str = "{ Person { identifier } }";
pub const EVENTS: &str = "subscription { ThingCreateMutation { identifier } }";
/// A subscription that needs a token.
pub const MINE: &str = "subscription { mine { identifier } }";

/// Something that the upstream was told.
#[derive(Debug, Clone)]
pub struct Told {
    /// `X-Subject` of that one's handshake; empty where there was none.
    pub subject: String,
    /// The message; a Close frame is its code.
    pub message: Value,
}

/// What the upstream was told, in order.
#[derive(Clone, Default)]
pub struct Heard {
    told: Arc<Mutex<Vec<Told>>>,
}

/// A gateway, an upstream that speaks, and what that hears.
pub struct Scene {
    pub api: Api,
    pub heard: Heard,
}

/// A client.
pub struct Client {
    pub socket: WebSocket,
    pub protocol: &'static str,
}

/// The route, with more members of `graphql`, and of the route.
pub fn route(graphql: &str, members: &str) -> String {
    format!(
        r#"{{websocket: same_origin, forward: {{headers: {{X-Subject: sub}}}}{members}, require: {{issuers: [corp], graphql: {{
        permission: "{{operation}}:{{type}}:{{action}}", field: '^(?<action>[A-Z][a-z]+)(?<type>[A-Z]\w+)$',
        fields: {{Query.me: authenticated, Subscription.mine: authenticated}}, public: [Query, Subscription]{graphql}}}}}}}"#
    )
}

impl Scene {
    #[track_caller]
    pub fn new() -> Self {
        Self::with("", |setup| setup)
    }

    /// With more members of `graphql`, as `, a: b`.
    #[track_caller]
    pub fn with(graphql: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::routed(&route(graphql, ""), change)
    }

    #[track_caller]
    pub fn routed(route: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
            let setup = setup.issuer_with("corp", issuer, "leeway: 0s");
            change(setup.route("POST,GET /graphql", route))
        });
        Self::before(api)
    }

    /// `members` are the issuer's.
    #[track_caller]
    pub fn by(issuer: Issuer, route: &str, members: &str) -> Self {
        Self::before(Api::with_issuer(issuer, |setup, issuer| {
            setup.issuer_with("corp", issuer, members).route("POST,GET /graphql", route)
        }))
    }

    fn before(api: Api) -> Self {
        let heard = Heard::default();
        let hears = heard.clone();
        api.upstream.on("/graphql", move |exchange| serve(exchange, &hears, &BOTH));
        Self { api, heard }
    }

    /// The upstream speaks these alone.
    pub fn upstream_speaks(&self, protocols: &'static [&'static str]) {
        let hears = self.heard.clone();
        self.api.upstream.on("/graphql", move |exchange| serve(exchange, &hears, protocols));
    }

    pub fn handshake(protocol: &str) -> Request {
        handshake("/graphql").header("Sec-WebSocket-Protocol", protocol)
    }

    /// Opens one; nothing is said yet.
    #[track_caller]
    pub fn open(&self, protocol: &'static str) -> Client {
        self.open_by(protocol, &Self::handshake(protocol))
    }

    #[track_caller]
    pub fn open_by(&self, protocol: &'static str, request: &Request) -> Client {
        Client { socket: WebSocket::open(&self.api.gateway, request), protocol }
    }

    /// Opens one, and begins; the token is in the payload unless it is empty.
    #[track_caller]
    pub fn begin(&self, protocol: &'static str, token: &str) -> Client {
        let mut client = self.open(protocol);
        let payload =
            if token.is_empty() { json!({}) } else { json!({"Authorization": format!("Bearer {token}")}) };
        client.init(&payload);
        client
    }

    /// A token with these scopes.
    pub fn token(&self, scope: &str) -> String {
        self.api.issuer.token().scope(scope).sign()
    }
}

impl Heard {
    pub fn all(&self) -> Vec<Told> {
        self.told.lock().expect("no test panics in here").clone()
    }

    /// The messages of this type.
    pub fn of(&self, kinds: &[&str]) -> Vec<Told> {
        self.all().into_iter().filter(|told| kinds.iter().any(|kind| told.message["type"] == *kind)).collect()
    }

    /// The documents that ran.
    pub fn ran(&self) -> Vec<String> {
        let begun = self.of(&["subscribe", "start"]);
        begun
            .iter()
            .map(|told| told.message["payload"]["query"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[track_caller]
    pub fn wait(&self, what: &str, is: impl Fn(&Told) -> bool) {
        wait_until(what, || self.all().iter().any(&is));
    }

    fn note(&self, subject: &str, message: Value) {
        let told = Told { subject: subject.to_owned(), message };
        self.told.lock().expect("no test panics in here").push(told);
    }
}

impl Client {
    pub fn say(&mut self, message: &Value) {
        self.socket.send(&Frame::new(TEXT, message.to_string()));
    }

    /// Begins, and is acknowledged.
    #[track_caller]
    pub fn init(&mut self, payload: &Value) {
        self.say(&json!({"type": "connection_init", "payload": payload}));
        assert_eq!(self.hear()["type"], "connection_ack");
    }

    /// The next frame, but what only says that somebody is there.
    pub fn receive(&mut self) -> Option<Frame> {
        loop {
            let frame = self.socket.receive();
            if frame.as_ref().is_none_or(|frame| frame.payload != br#"{"type":"ka"}"#) {
                return frame;
            }
        }
    }

    /// The next message.
    #[track_caller]
    pub fn hear(&mut self) -> Value {
        let frame = self.receive().expect("a message");
        assert_eq!((frame.opcode, frame.last, frame.masked), (TEXT, true, false), "{frame:?}");
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    pub fn run(&mut self, id: &str, query: &str) {
        let kind = if self.protocol == NEW { "subscribe" } else { "start" };
        self.say(&json!({"id": id, "type": kind, "payload": {"query": query}}));
    }

    pub fn stop(&mut self, id: &str) {
        let kind = if self.protocol == NEW { "complete" } else { "stop" };
        self.say(&json!({"id": id, "type": kind}));
    }

    /// The result of an operation that goes on: who ran it.
    #[track_caller]
    pub fn result(&mut self, id: &str) -> String {
        let next = self.hear();
        let kind = if self.protocol == NEW { "next" } else { "data" };
        assert_eq!((next["type"].as_str(), next["id"].as_str()), (Some(kind), Some(id)), "{next}");
        next["payload"]["data"]["by"].as_str().expect("the upstream's answer").to_owned()
    }

    /// The result of an operation that has one.
    #[track_caller]
    pub fn only_result(&mut self, id: &str) -> String {
        let by = self.result(id);
        let complete = self.hear();
        assert_eq!((complete["type"].as_str(), complete["id"].as_str()), (Some("complete"), Some(id)));
        by
    }

    /// The same, where it matters which.
    #[track_caller]
    pub fn runs(&mut self, id: &str, which: &str) {
        let next = self.hear();
        assert!(next["payload"]["data"]["by"].is_string(), "{which}: {next}");
        assert_eq!(self.hear(), json!({"type": "complete", "id": id}), "{which}");
    }

    /// The operation is refused, with this code.
    #[track_caller]
    pub fn refused(&mut self, id: &str) -> String {
        let error = self.hear();
        assert_eq!((error["type"].as_str(), error["id"].as_str()), (Some("error"), Some(id)), "{error}");
        let payload = if self.protocol == NEW { &error["payload"][0] } else { &error["payload"] };
        assert!(payload["message"].is_string(), "{error}");
        payload["extensions"]["code"].as_str().expect("a code").to_owned()
    }

    /// It runs a public operation still.
    #[track_caller]
    pub fn goes_on(&mut self) {
        self.run("goes-on", PUBLIC);
        self.only_result("goes-on");
    }

    /// It ends with this code of the newer protocol, or with a message of the older one.
    #[track_caller]
    pub fn ends(&mut self, code: u16, reason: &str) {
        if self.protocol == OLD {
            let error = self.hear();
            assert_eq!(error["type"], "connection_error", "{error}");
            assert_eq!(error["payload"]["message"], reason, "{error}");
        }
        let frame = self.receive().expect("a Close frame");
        let code = if self.protocol == OLD { 1000 } else { code };
        assert_eq!(frame.code(), Some(code), "{frame:?}");
        assert_eq!(String::from_utf8_lossy(&frame.payload[2..]), reason);
        assert!(self.socket.connection.ends_well(), "nothing follows, and no reset");
    }

    /// It ends with this code, whatever is spoken.
    #[track_caller]
    pub fn closes(&mut self, code: u16) {
        let frame = self.receive().expect("a Close frame");
        assert_eq!(frame.code(), Some(code), "{frame:?}");
        assert!(self.socket.connection.ends_well(), "nothing follows, and no reset");
    }
}

/// Speaks the first of `protocols` that is offered.
fn serve(exchange: &mut Exchange, heard: &Heard, protocols: &[&str]) -> io::Result<Then> {
    if exchange.request.header("upgrade").is_none() {
        return exchange.answer(
            200,
            "Content-Type: application/json\r\nX-Upstream: yes\r\n",
            br#"{"data":{"by":""}}"#,
        );
    }
    let header = |name| exchange.request.header(name).unwrap_or_default().to_owned();
    let (key, subject, offered) =
        (header("sec-websocket-key"), header("x-subject"), header("sec-websocket-protocol"));
    heard.note(&subject, json!({"type": "offered", "protocols": offered}));
    let offered: Vec<&str> = offered.split(',').map(str::trim).collect();
    let Some(protocol) = protocols.iter().copied().find(|protocol| offered.contains(protocol)) else {
        return exchange.answer(400, "", b"no");
    };
    exchange.write(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n",
            answer_to(&key)
        )
        .as_bytes(),
    )?;
    let mut served = Served::new(exchange);
    while let Some(frame) = served.receive() {
        assert!(frame.masked, "a client's frame is masked: {frame:?}");
        match frame.opcode {
            CLOSE => {
                heard.note(&subject, json!({"type": "close", "code": frame.code()}));
                served.send(frame)?;
                break;
            }
            PING => served.send(Frame { opcode: PONG, ..frame })?,
            _ => {
                let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                heard.note(&subject, message.clone());
                if let Some(then) = answer(&mut served, protocol, &subject, &message)? {
                    return Ok(then);
                }
            }
        }
    }
    Ok(Then::Close)
}

fn answer(
    served: &mut Served<'_>,
    protocol: &str,
    subject: &str,
    message: &Value,
) -> io::Result<Option<Then>> {
    let (begin, next) = if protocol == NEW { ("subscribe", "next") } else { ("start", "data") };
    let mut say = |message: Value| served.send(Frame::new(TEXT, message.to_string()));
    let kind = message["type"].as_str().unwrap_or_default();
    if kind == "connection_init" {
        say(json!({"type": "connection_ack"}))?;
        say(if protocol == NEW { json!({"type": "ping"}) } else { json!({"type": "ka"}) })?;
    }
    if kind != begin {
        return Ok(None);
    }
    let query = message["payload"]["query"].as_str().unwrap_or_default();
    if query.contains("close4321") {
        served.send(Frame::new(CLOSE, [&4321_u16.to_be_bytes()[..], b"why"].concat()))?;
        return Ok(Some(Then::Close));
    }
    if query.contains("reset") {
        return Ok(Some(served.reset()));
    }
    if query.contains("large") {
        let data = json!({"by": subject, "large": "x".repeat(300 << 10)});
        say(json!({"type": next, "id": message["id"], "payload": {"data": data}}))?;
        say(json!({"type": "complete", "id": message["id"]}))?;
        return Ok(None);
    }
    if query.contains("fails") {
        let error = json!({"message": "no such field"});
        let payload = if protocol == NEW { json!([error]) } else { error };
        say(json!({"type": "error", "id": message["id"], "payload": payload}))?;
        return Ok(None);
    }
    say(json!({"type": next, "id": message["id"], "payload": {"data": {"by": subject}}}))?;
    // What was not asked for: the client never hears of it.
    say(json!({"type": next, "id": "nobodys", "payload": {"data": {"by": subject}}}))?;
    if !query.contains("subscription") {
        say(json!({"type": "complete", "id": message["id"]}))?;
    }
    Ok(None)
}
