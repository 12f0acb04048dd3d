//! Real GraphQL servers, in a process of their own (`tests/graphql`), that say which fields at the root of operations they
//! have run: what was allowed and what ran can be compared.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::external::systems::Client;
use crate::harness::client::{Connection, Request, Response};
use crate::harness::websocket::{CLOSE, Frame, PING, PONG, TEXT, WebSocket, handshake};

/// The protocol of graphql-ws.
pub const NEWER: &str = "graphql-transport-ws";
/// That of subscriptions-transport-ws.
pub const ELDER: &str = "graphql-ws";

/// Some servers, until dropped.
pub struct Servers {
    process: Client,
    ports: Value,
}

impl Servers {
    /// `express-graphql`, Apollo Server 3 and handlers of one's own, on graphql-js 15.
    pub fn old() -> Self {
        Self::start(Client::node("../graphql/old.mjs", &[], &[]))
    }

    /// `graphql-yoga`, `mercurius` and `graphql-sse`, on graphql-js 16.
    pub fn new() -> Self {
        let mut process = Client::node("../graphql/new.mjs", &[], &[]);
        let ports = process.value("ports", json!({}));
        Self { process, ports }
    }

    /// `graphene-django`.
    pub fn graphene() -> Self {
        Self::start(Client::python("python-graphene", "../graphql/graphene_server.py", &[]))
    }

    /// A schema of TROMPA's shape, on Apollo Server 3.
    pub fn trompa() -> Self {
        Self::start(Client::node("../graphql/trompa.mjs", &[], &[]))
    }

    fn start(mut process: Client) -> Self {
        let ports = json!({"": process.value("port", json!({}))});
        Self { process, ports }
    }

    /// Where the server of this name listens; `""` is the only one.
    #[track_caller]
    pub fn address(&self, name: &str) -> SocketAddr {
        let port = self.ports[name].as_u64().and_then(|port| u16::try_from(port).ok());
        SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_else(|| panic!("no {name:?}: {}", self.ports))))
    }

    /// `http://` of the same.
    #[track_caller]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}", self.address(name))
    }

    /// Does an act of the process.
    #[track_caller]
    pub fn value(&mut self, act: &str) -> Value {
        self.process.value(act, json!({}))
    }

    /// The fields that ran since this was asked last: `Mutation.erase`.
    #[track_caller]
    pub fn ran(&mut self) -> Vec<String> {
        serde_json::from_value(self.value("ran")).expect("a list of fields")
    }
}

/// Sends a request on a connection of its own whose answer need not look like the gateway's.
#[track_caller]
pub fn send(address: SocketAddr, request: &Request) -> Response {
    Connection::open(address).unaudited().send(request)
}

/// `POST` of JSON as it stands.
pub fn post(target: &str, body: impl AsRef<[u8]>) -> Request {
    Request::post(target, body).header("Content-Type", "application/json")
}

/// `extensions.code` of every error in an answer.
pub fn codes(answer: &Value) -> Vec<String> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let code = |error: &Value| error["extensions"]["code"].as_str().unwrap_or("none").to_owned();
    errors.iter().map(code).collect()
}

/// One WebSocket that speaks GraphQL.
pub struct Talk {
    socket: WebSocket,
    protocol: &'static str,
}

/// What came over it.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message.
    Message(Value),
    /// The end, with its status where there was one.
    End(Option<u16>),
}

impl Talk {
    /// Opens one; nothing is said yet.
    #[track_caller]
    pub fn open(address: SocketAddr, target: &str, protocol: &'static str) -> Self {
        let mut connection = Connection::open(address).unaudited();
        connection.write(&handshake(target).header("Sec-WebSocket-Protocol", protocol).octets());
        Self { socket: WebSocket::opened(connection), protocol }
    }

    /// Opens one and says who it is; it has to be acknowledged.
    #[track_caller]
    pub fn begin(address: SocketAddr, target: &str, protocol: &'static str, token: Option<&str>) -> Self {
        let mut talk = Self::open(address, target, protocol);
        let payload = token.map_or(json!({}), |token| json!({"Authorization": format!("Bearer {token}")}));
        talk.say(&json!({"type": "connection_init", "payload": payload}));
        let ack = talk.hear();
        assert!(
            matches!(&ack, Heard::Message(ack) if ack["type"] == "connection_ack"),
            "{protocol}: {ack:?}"
        );
        talk
    }

    /// Sends a message.
    pub fn say(&mut self, message: &Value) {
        self.socket.send(&Frame::new(TEXT, message.to_string()));
    }

    /// Asks for an operation; `payload` is a body of HTTP.
    pub fn ask(&mut self, id: &str, payload: &Value) {
        let kind = if self.protocol == ELDER { "start" } else { "subscribe" };
        self.say(&json!({"id": id, "type": kind, "payload": payload}));
    }

    /// The next message that is about something.
    pub fn hear(&mut self) -> Heard {
        loop {
            match self.socket.receive() {
                None => return Heard::End(None),
                Some(frame) if frame.opcode == CLOSE => return Heard::End(frame.code()),
                Some(frame) if frame.opcode == PING => self.socket.send(&Frame::new(PONG, frame.payload)),
                Some(frame) => {
                    let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                    match message["type"].as_str() {
                        Some("ka" | "pong") => {}
                        Some("ping") => self.say(&json!({"type": "pong"})),
                        _ => return Heard::Message(message),
                    }
                }
            }
        }
    }

    /// Asks for an operation and waits for what comes of it first, as the answer of HTTP would be: `{"data": …}` or
    /// `{"errors": […]}`.
    #[track_caller]
    pub fn first(&mut self, id: &str, payload: &Value) -> Value {
        self.ask(id, payload);
        loop {
            let Heard::Message(message) = self.hear() else {
                panic!("closed instead of an answer to {payload}")
            };
            if message["id"] != id {
                continue;
            }
            return match message["type"].as_str() {
                Some("next" | "data") => message["payload"].clone(),
                Some("error") if message["payload"].is_array() => json!({"errors": message["payload"]}),
                Some("error") => json!({"errors": [message["payload"]]}),
                other => panic!("{other:?} instead of an answer to {payload}: {message}"),
            };
        }
    }
}
