//! CEL conditions: what an expression sees, and its verdict. An evaluation error refuses.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use cel::{Context, Env, Value};

use crate::config::expression::Expression;
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
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.set_variable_resolver(seen);
    match expression.program().execute(&context) {
        Ok(Value::Bool(true)) => Ok(()),
        Ok(Value::Bool(false)) => Err(Failed::False),
        Ok(_) => Err(Failed::Error("the expression gave no boolean")),
        Err(_) => Err(Failed::Error("the expression could not be evaluated")),
    }
}

impl VariableResolver for Seen<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "claims" => object(self.claims),
            "request" => self.request(),
            "now" => Value::Int(self.now),
            _ => return None,
        };
        value.try_into().ok().map(CowVal::Owned)
    }
}

impl Seen<'_> {
    fn request(&self) -> Value {
        map([
            ("method", Value::from(self.method)),
            ("path", Value::from(self.path)),
            ("params", map(self.parameters.iter().map(|(name, value)| (*name, Value::from(*value))))),
            ("query", map(self.query_parameters())),
            ("headers", self.joined_headers()),
            ("peer", Value::from(self.peer)),
            ("tls", self.tls.map_or(Value::Null, handshake)),
        ])
    }

    /// Query parameters, percent-decoded. One that stands twice is left out, so that asking for it refuses:
    /// upstreams differ in which of the two they read.
    fn query_parameters(&self) -> HashMap<String, Value> {
        let (mut all, mut twice) = (HashMap::new(), HashSet::new());
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name);
            if all.insert(name.clone(), Value::from(decoded(value))).is_some() {
                twice.insert(name);
            }
        }
        all.retain(|name, _| !twice.contains(name));
        all
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

#[cfg(test)]
mod tests;
