//! The messages of both protocols, read and written.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::graphql::conversation::ID;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `graphql-transport-ws`.
    Transport,
    /// `graphql-ws`, of `subscriptions-transport-ws`.
    Legacy,
}

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Party {
    Client,
    Server,
}

/// What a message says. Payloads are JSON as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'m> {
    /// `connection_init`, with an object or nothing.
    Init(Option<&'m str>),
    /// `connection_ack`, with an object or nothing.
    Ack(Option<&'m str>),
    /// `ping`, with an object or nothing.
    Ping(Option<&'m str>),
    /// `pong`, with an object or nothing.
    Pong(Option<&'m str>),
    /// `ka`: the other side is there.
    Alive,
    /// `connection_error`: there will be no conversation.
    NotBegun(Option<&'m str>),
    /// `subscribe` or `start`, with an object.
    Begin {
        /// The operation's id.
        id: Cow<'m, str>,
        /// What it is.
        payload: &'m str,
    },
    /// `next` or `data`: a result of it.
    Next {
        /// The operation's id.
        id: Cow<'m, str>,
        /// The result.
        payload: &'m str,
    },
    /// `error`: it was not run.
    Error {
        /// The operation's id.
        id: Cow<'m, str>,
        /// Why: an error, or a list of some.
        payload: &'m str,
    },
    /// `complete`, or `stop` of an older client.
    Complete {
        /// The operation's id.
        id: Cow<'m, str>,
    },
    /// `connection_terminate`.
    Terminate,
}

impl Protocol {
    /// As `Sec-WebSocket-Protocol` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transport => "graphql-transport-ws",
            Self::Legacy => "graphql-ws",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Transport, Self::Legacy].into_iter().find(|protocol| protocol.name() == name)
    }

    /// The one to speak of those that are offered: the newer, if it is among them.
    pub fn chosen<'o>(offered: impl Iterator<Item = &'o str>) -> Option<Self> {
        let known = offered.filter_map(Self::named);
        known.fold(None, |chosen, protocol| match chosen {
            Some(Self::Transport) => chosen,
            Some(Self::Legacy) | None => Some(protocol),
        })
    }
}

/// Reads a message. Members that no protocol knows are passed by.
///
/// `None` is what the protocol does not have: another shape, another type, a member that means something twice, an id or
/// a payload that is missing where it is needed.
pub fn read(protocol: Protocol, party: Party, text: &str) -> Option<Message<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let envelope = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok()?;
    let Envelope { kind, id, payload } = envelope;
    let kind = string(kind?)?;
    let payload = payload.map(RawValue::get).filter(|payload| *payload != "null");
    let id = || id.and_then(string).filter(|id| (1..=ID).contains(&id.len()));
    let object = || match payload {
        None => Some(None),
        Some(payload) => payload.starts_with('{').then_some(Some(payload)),
    };
    let operation = || Some((id()?, object()??));
    match (protocol, party, &*kind) {
        (_, Party::Client, "connection_init") => Some(Message::Init(object()?)),
        (_, Party::Server, "connection_ack") => Some(Message::Ack(object()?)),
        (Protocol::Transport, _, "ping") => Some(Message::Ping(object()?)),
        (Protocol::Transport, _, "pong") => Some(Message::Pong(object()?)),
        (Protocol::Transport, Party::Client, "subscribe") | (Protocol::Legacy, Party::Client, "start") => {
            operation().map(|(id, payload)| Message::Begin { id, payload })
        }
        (Protocol::Transport, Party::Server, "next") | (Protocol::Legacy, Party::Server, "data") => {
            operation().map(|(id, payload)| Message::Next { id, payload })
        }
        (_, Party::Server, "error") => Some(Message::Error { id: id()?, payload: payload.unwrap_or("null") }),
        (Protocol::Transport, _, "complete")
        | (Protocol::Legacy, Party::Server, "complete")
        | (Protocol::Legacy, Party::Client, "stop") => Some(Message::Complete { id: id()? }),
        (Protocol::Legacy, Party::Server, "ka") => Some(Message::Alive),
        (Protocol::Legacy, Party::Server, "connection_error") => Some(Message::NotBegun(payload)),
        (Protocol::Legacy, Party::Client, "connection_terminate") => Some(Message::Terminate),
        _ => None,
    }
}

/// Writes a message; `None` where the protocol has no word for it.
pub fn write(protocol: Protocol, party: Party, message: &Message<'_>) -> Option<String> {
    let (kind, id, payload) = match message {
        Message::Init(payload) => ("connection_init", None, payload.map(Cow::Borrowed)),
        Message::Ack(payload) => ("connection_ack", None, payload.map(Cow::Borrowed)),
        Message::NotBegun(payload) if protocol == Protocol::Legacy => {
            ("connection_error", None, payload.map(Cow::Borrowed))
        }
        Message::Ping(payload) if protocol == Protocol::Transport => {
            ("ping", None, payload.map(Cow::Borrowed))
        }
        Message::Pong(payload) if protocol == Protocol::Transport => {
            ("pong", None, payload.map(Cow::Borrowed))
        }
        Message::Alive if protocol == Protocol::Legacy => ("ka", None, None),
        Message::Terminate if protocol == Protocol::Legacy => ("connection_terminate", None, None),
        Message::NotBegun(_) | Message::Ping(_) | Message::Pong(_) | Message::Alive | Message::Terminate => {
            return None;
        }
        Message::Begin { id, payload } => {
            let kind = if protocol == Protocol::Transport { "subscribe" } else { "start" };
            (kind, Some(id), Some(Cow::Borrowed(*payload)))
        }
        Message::Next { id, payload } => {
            let kind = if protocol == Protocol::Transport { "next" } else { "data" };
            (kind, Some(id), Some(Cow::Borrowed(*payload)))
        }
        Message::Error { id, payload } => ("error", Some(id), Some(errors(protocol, payload))),
        Message::Complete { id } => {
            let stop = protocol == Protocol::Legacy && party == Party::Client;
            (if stop { "stop" } else { "complete" }, Some(id), None)
        }
    };
    let room = kind.len() + id.map_or(0, |id| id.len()) + payload.as_ref().map_or(0, |payload| payload.len());
    let mut text = String::with_capacity(room + 48);
    text.push_str("{\"type\":\"");
    text.push_str(kind);
    text.push('"');
    if let Some(id) = id {
        text.push_str(",\"id\":");
        text.push_str(&serde_json::Value::from(&**id).to_string());
    }
    if let Some(payload) = payload {
        text.push_str(",\"payload\":");
        text.push_str(&payload);
    }
    text.push('}');
    Some(text)
}

/// Errors as this protocol has them: the older one has one error, the newer a list of them.
fn errors(protocol: Protocol, payload: &str) -> Cow<'_, str> {
    let listed = payload.starts_with('[');
    match protocol {
        Protocol::Transport if listed => Cow::Borrowed(payload),
        Protocol::Transport => Cow::Owned(format!("[{payload}]")),
        Protocol::Legacy if listed => {
            let first = serde_json::from_str::<Vec<&RawValue>>(payload);
            let first = first.ok().and_then(|list| list.first().copied()).map(RawValue::get);
            Cow::Borrowed(first.unwrap_or("null"))
        }
        Protocol::Legacy => Cow::Borrowed(payload),
    }
}

/// A JSON string's text.
fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let within = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if within.contains('\\') {
        serde_json::from_str(value.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(within))
    }
}

/// A message's members that mean something.
#[derive(Default)]
struct Envelope<'m> {
    kind: Option<&'m RawValue>,
    id: Option<&'m RawValue>,
    payload: Option<&'m RawValue>,
}

struct Members;

/// A member's name: unescaped.
struct Name<'m>(Cow<'m, str>);

impl<'m> Visitor<'m> for Members {
    type Value = Envelope<'m>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'m>>(self, mut map: A) -> Result<Envelope<'m>, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(Name(name)) = map.next_key()? {
            // A parser that cares not for case would find it in these spellings too.
            let known = ["type", "id", "payload"].into_iter().find(|known| name.eq_ignore_ascii_case(known));
            let place = match known {
                Some("type") => &mut envelope.kind,
                Some("id") => &mut envelope.id,
                Some(_) => &mut envelope.payload,
                None => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if Some(&*name) != known || place.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a member stands twice, or in another case"));
            }
        }
        Ok(envelope)
    }
}

impl<'m> serde::Deserialize<'m> for Name<'m> {
    fn deserialize<D: Deserializer<'m>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'m> Visitor<'m> for Text {
            type Value = Name<'m>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'m str) -> Result<Name<'m>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'m>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
