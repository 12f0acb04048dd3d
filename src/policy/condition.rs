//! CEL conditions: what an expression sees, and its verdict. An evaluation error refuses.

mod query;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelMap, CelMapKey};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use cel::{Context, Env, Value};

use crate::config::expression::Expression;
use crate::policy::condition::query::Query;
use crate::tls::facts::{ClientIdentity, TlsFacts};
use crate::token::json::document::{Members, Numeral, Value as Json};

/// What an expression may name. Built when it is asked for, a variable at a time.
pub struct Seen<'a> {
    /// The token's own members.
    pub claims: Members<'a>,
    /// The method.
    pub method: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The path's parameters.
    pub parameters: &'a [(&'a str, &'a str)],
    /// The query, undecoded.
    pub query: &'a str,
    /// Header lines in order: name as sent, value.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The client's address.
    pub peer: &'a str,
    /// What its handshake said; null on a plain connection.
    pub tls: Option<&'a TlsFacts>,
    /// What the fields at the root of an operation of GraphQL are asked with; none where nobody has looked: then whoever asks
    /// cannot be answered.
    pub arguments: Option<Members<'a>>,
    /// The moment, in seconds since 1970.
    pub now: i64,
}

/// Why an expression did not say `true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It said `false`.
    False,
    /// It could not be evaluated, or gave no boolean. The text names no values of the request.
    Error(&'static str),
}

/// Evaluates `expression`.
pub fn holds(expression: &Expression, seen: &Seen<'_>) -> Result<(), Failed> {
    static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
    let asking = Asking { seen, doubtful: Arc::default() };
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.set_variable_resolver(&asking);
    let said = expression.program().execute(&context);
    // Whatever the expression made of it: `error || true` is true.
    if asking.doubtful.load(Ordering::Relaxed) {
        return Err(Failed::Error(DOUBTFUL));
    }
    match said {
        Ok(Value::Bool(true)) => Ok(()),
        Ok(Value::Bool(false)) => Err(Failed::False),
        Ok(_) => Err(Failed::Error("the expression gave no boolean")),
        Err(_) => Err(Failed::Error("the expression could not be evaluated")),
    }
}

/// An expression that is being evaluated.
struct Asking<'s, 'a> {
    seen: &'s Seen<'a>,
    /// It asked for a parameter of the query that can be read in more than one way.
    doubtful: Arc<AtomicBool>,
}

impl VariableResolver for Asking<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "claims" => object(self.seen.claims),
            "request" => return self.seen.request(&self.doubtful).map(CowVal::Owned),
            "now" => Value::Int(self.seen.now),
            _ => return None,
        };
        value.try_into().ok().map(CowVal::Owned)
    }
}

impl Seen<'_> {
    fn request(&self, doubtful: &Arc<AtomicBool>) -> Option<Box<dyn Val>> {
        let plain = [
            ("method", Value::from(self.method)),
            ("path", Value::from(self.path)),
            ("params", map(self.parameters.iter().map(|(name, value)| (*name, Value::from(*value))))),
            ("headers", self.joined_headers()),
            ("peer", Value::from(self.peer)),
            ("tls", self.tls.map_or(Value::Null, handshake)),
        ];
        let mut members: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::with_capacity(plain.len() + 1);
        for (name, value) in plain {
            members.insert(name.into(), value.try_into().ok()?);
        }
        if let Some(arguments) = self.arguments {
            members.insert("arguments".into(), object(arguments).try_into().ok()?);
        }
        members.insert("query".into(), Box::new(Query::read(self.query, doubtful)));
        Some(Box::new(CelMap::from(members)))
    }

    /// Header values by lower-case name, repeated ones joined by `, `. Names that an upstream may fold into one
    /// (`X_Tenant`, `X-Tenant`) are one here.
    fn joined_headers(&self) -> Value {
        let mut all: HashMap<String, String> = HashMap::new();
        for (name, value) in self.headers {
            let value = String::from_utf8_lossy(value);
            all.entry(folded(name))
                .and_modify(|joined| {
                    joined.push_str(", ");
                    joined.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        map(all.into_iter().map(|(name, value)| (name, Value::from(value))))
    }
}

/// Lower case, and every octet that is no letter or digit as a hyphen.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Everything is there on every TLS connection, null where the client gave none: a condition that asks a client
/// without a certificate for its subject cannot be evaluated, and refuses.
fn handshake(facts: &TlsFacts) -> Value {
    map([
        ("version", Value::from(facts.version)),
        ("server_name", facts.server_name.as_deref().map_or(Value::Null, Value::from)),
        ("client", facts.client.as_deref().map_or(Value::Null, client)),
    ])
}

fn client(identity: &ClientIdentity) -> Value {
    let list = |names: &[String]| {
        Value::List(Arc::new(names.iter().map(|name| Value::from(name.as_str())).collect()))
    };
    map([
        ("subject", Value::from(identity.subject.as_str())),
        ("issuer", Value::from(identity.issuer.as_str())),
        ("serial", Value::from(identity.serial.as_str())),
        ("fingerprint", Value::from(identity.fingerprint.as_str())),
        ("dns", list(&identity.dns)),
        ("uri", list(&identity.uri)),
        ("email", list(&identity.email)),
        ("not_after", Value::Int(identity.not_after)),
    ])
}

fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (Key::String(Arc::new(key.into())), value));
    Value::Map(Map { map: Arc::new(entries.collect()) })
}

fn object(members: Members<'_>) -> Value {
    map(members.map(|(name, value)| (name, json(value))))
}

fn json(value: Json<'_>) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(Numeral::Natural(number)) => {
            i64::try_from(number).map_or(Value::UInt(number), Value::Int)
        }
        Json::Number(Numeral::Negative(number)) => Value::Int(number),
        Json::Number(Numeral::Float(number)) => Value::Float(number),
        Json::Text(text) => Value::from(text),
        Json::Array(items) => Value::List(Arc::new(items.map(json).collect())),
        Json::Object(members) => object(members),
    }
}

/// `application/x-www-form-urlencoded` decoding; what is not UTF-8 becomes U+FFFD, what is no escape stays.
pub fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let escape = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, escape) {
            (_, Some(octet)) => {
                octets.push(octet);
                rest = &after[2..];
            }
            (b'+', None) => {
                octets.push(b' ');
                rest = after;
            }
            (octet, None) => {
                octets.push(*octet);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

const DOUBTFUL: &str = "it asks for a query parameter that can be read in more than one way";

#[cfg(test)]
mod tests;
