//! What the holes of a template are filled with, of one request to an endpoint.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::authority::clock;
use crate::authority::credential::Principal;
use crate::authority::request::{self, Asked};
use crate::config::credential::Reader;
use crate::config::template::Source;
use crate::mint::opaque;

/// A token that was made.
pub struct Made {
    /// The name of its entry of `tokens`.
    pub name: Box<str>,
    /// The token.
    pub text: Zeroizing<String>,
    /// Seconds since 1970.
    pub expires: i64,
    /// It is good for nothing but the next pair.
    pub refresh: bool,
}

/// What is known so far.
#[derive(Clone, Copy)]
pub struct Filling<'f> {
    /// The request.
    pub asked: Option<Asked<'f>>,
    /// Whose credential it is.
    pub principal: Option<&'f Principal>,
    /// Whom the token is for.
    pub subject: Option<&'f str>,
    /// What was granted.
    pub scopes: Option<&'f [Box<str>]>,
    /// The family.
    pub session: Option<&'f str>,
    /// Seconds since 1970.
    pub now: i64,
    /// What was made.
    pub made: &'f [Made],
    /// Why nothing was.
    pub refusal: Option<Why<'f>>,
}

/// Why an endpoint refuses, as templates name it.
#[derive(Debug, Clone, Copy)]
pub struct Why<'f> {
    /// `{reason}`.
    pub reason: &'f str,
    /// `{message}`.
    pub message: &'f str,
    /// `{scope}`.
    pub scope: Option<&'f str>,
}

impl<'f> Filling<'f> {
    /// Of a request of which nothing else is known.
    pub fn new(asked: Option<Asked<'f>>, now: i64) -> Self {
        Self {
            asked,
            principal: None,
            subject: None,
            scopes: None,
            session: None,
            now,
            made: &[],
            refusal: None,
        }
    }

    /// What fills a hole; nothing where there is nothing.
    pub fn get(&self, source: &Source) -> Option<Value> {
        match source {
            Source::Credential(name) => self.principal?.member(name),
            Source::Body(name) => self.asked?.member(name),
            Source::Path(name) => self.read(&Reader::Path(name.clone())),
            Source::Query(name) => self.read(&Reader::Query(name.clone())),
            Source::Header(name) => self.read(&Reader::Header(name.clone())),
            Source::Subject => self.subject.map(Value::from),
            Source::Scopes => self.scopes.map(|scopes| json!(scopes)),
            Source::Scope => match self.refusal {
                Some(why) => why.scope.map(Value::from),
                None => self.scopes.map(|scopes| Value::from(scopes.join(" "))),
            },
            Source::Session => self.session.map(Value::from),
            Source::Now => Some(self.now.into()),
            Source::Uuid => opaque::uuid(&mut clock::fill).ok().map(Value::from),
            Source::Random(characters) => opaque::alphanumeric(*characters, &mut clock::fill)
                .ok()
                .map(|text| Value::from(text.as_str())),
            Source::Token(name) => self.made(name).map(|made| Value::from(made.text.as_str())),
            Source::Expires(name) => self.made(name).map(|made| made.expires.into()),
            Source::Lifetime(name) => self.made(name).map(|made| (made.expires - self.now).max(0).into()),
            Source::Reason => self.refusal.map(|why| why.reason.into()),
            Source::Message => self.refusal.map(|why| why.message.into()),
            Source::RequestId => self.asked.map(|asked| Value::from(&*asked.call.request_id)),
        }
    }

    fn read(&self, reader: &Reader) -> Option<Value> {
        self.asked?.value(reader).ok().flatten()
    }

    fn made(&self, name: &str) -> Option<&Made> {
        self.made.iter().find(|made| *made.name == *name)
    }
}

/// A value that depends on nothing but the moment or chance: made anew whenever a token is.
pub fn is_volatile(source: &Source) -> bool {
    match source {
        Source::Now | Source::Uuid | Source::Random(_) => true,
        Source::Credential(_)
        | Source::Body(_)
        | Source::Path(_)
        | Source::Query(_)
        | Source::Header(_)
        | Source::Subject
        | Source::Scopes
        | Source::Scope
        | Source::Session
        | Source::Token(_)
        | Source::Expires(_)
        | Source::Lifetime(_)
        | Source::Reason
        | Source::Message
        | Source::RequestId => false,
    }
}

/// The name of the family: another for every one that begins.
pub fn is_session(source: &Source) -> bool {
    matches!(source, Source::Session)
}

/// A member of an object by its name, or by an RFC 6901 pointer.
pub fn member(members: &Map<String, Value>, name: &str) -> Option<Value> {
    let found =
        if name.starts_with('/') { request::pointed(members, name) } else { members.get(name).cloned() };
    found.filter(|value| !value.is_null())
}
