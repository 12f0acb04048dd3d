//! How operations come, and what of a request's head has to be so that they are looked at.
//!
//! One form is taken for a body: JSON in UTF-8, as it is. Others are read in more than one way, or sent by any page without
//! asking first.

use smallvec::SmallVec;

use crate::graphql::parameters;
use crate::graphql::rejected::{Kind, Rejected};
use crate::graphql::reserved;
use crate::graphql::rules::Rules;

#[cfg(test)]
mod tests;

/// A request that brings operations, as far as they are concerned.
#[derive(Debug, Clone, Default)]
pub struct Incoming<'i> {
    /// A request, or a message.
    pub way: Way<'i>,
    /// The values of `Content-Type`, each line one.
    pub content_types: SmallVec<[&'i [u8]; 1]>,
    /// It names a `Content-Encoding`.
    pub encoded: bool,
    /// Its head announces a body of at least one octet.
    pub announces_body: bool,
    /// It has one of the fields that no page can make a browser send to another origin without asking first.
    pub preflighted: bool,
    /// Its answer is to go to an event stream that was reserved before, and nobody has said that this one may: what is
    /// answered there could be another's, or reach another. An answer that is an event stream itself is served.
    pub elsewhere: bool,
}

/// How operations come.
#[derive(Debug, Clone, Copy)]
pub enum Way<'i> {
    /// By a request.
    Request {
        /// As sent.
        method: &'i str,
        /// What follows `?`.
        query: Option<&'i str>,
        /// The body, whole; none as long as it has not been read.
        body: Option<&'i [u8]>,
    },
    /// In a message of a WebSocket: one operation, written as a body is.
    Message(&'i [u8]),
}

/// Fields that say that a script sent the request, and was let (Apollo's and graphql-http's conventions).
const PREFLIGHTED: &[&str] =
    &["x-apollo-operation-name", "apollo-require-preflight", "graphql-require-preflight"];

impl<'i> Incoming<'i> {
    /// Takes note of a line of the head.
    pub fn field(&mut self, name: &[u8], value: &'i [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            12 if is("content-type") => self.content_types.push(value),
            16 if is("content-encoding") => self.encoded = true,
            14 if is("content-length") => self.announces_body |= value != b"0",
            17 if is("transfer-encoding") => self.announces_body = true,
            23..=25 if !value.is_empty() && PREFLIGHTED.iter().any(|known| is(known)) => {
                self.preflighted = true;
            }
            28 if is(reserved::FIELD) => self.elsewhere = true,
            _ => {}
        }
    }

    /// Gives it the body.
    pub fn give(&mut self, octets: &'i [u8]) {
        if let Way::Request { body, .. } = &mut self.way {
            *body = Some(octets);
        }
    }

    /// Whether its body has to be read before anything more can be said; an error where that is not worth it. What
    /// passes this is for [`crate::graphql::asked::read`].
    pub fn wants_body(&self, rules: &Rules) -> Result<bool, Rejected> {
        let Way::Request { method, query, .. } = self.way else { return Ok(false) };
        if self.elsewhere {
            return Err(Rejected::new("BAD_REQUEST", "reserved event streams are not served"));
        }
        match method {
            "POST" => {
                self.is_json()?;
                // Servers differ in which of the two they run.
                if query.is_some_and(parameters::name_an_operation) {
                    return Err(Rejected::new("BAD_REQUEST", "a POST request whose URL names an operation"));
                }
                Ok(true)
            }
            "GET" | "HEAD" => {
                if self.announces_body {
                    return Err(unsupported("a GET request with a body"));
                }
                if !self.content_types.is_empty() {
                    self.is_json()?;
                }
                if rules.config.csrf && !self.preflighted && self.content_types.is_empty() {
                    return Err(Rejected::new(
                        "CSRF_ERROR",
                        "a request that any page could make a browser send: add the header graphql-require-preflight",
                    ));
                }
                Ok(false)
            }
            _ => Err(Rejected::of(Kind::Method, "METHOD_NOT_ALLOWED", "operations come by GET and POST")),
        }
    }

    fn is_json(&self) -> Result<(), Rejected> {
        let [one] = self.content_types.as_slice() else {
            return Err(unsupported("one Content-Type is needed: application/json"));
        };
        if self.encoded {
            return Err(unsupported("a body with a Content-Encoding"));
        }
        match is_json(one) {
            true => Ok(()),
            false => Err(unsupported("the Content-Type is not application/json in UTF-8")),
        }
    }
}

impl Default for Way<'_> {
    fn default() -> Self {
        Self::Message(&[])
    }
}

fn unsupported(message: &'static str) -> Rejected {
    Rejected::of(Kind::MediaType, "UNSUPPORTED_MEDIA_TYPE", message)
}

/// `application/json`, in UTF-8 if it says in what (RFC 9110 section 8.3.1). A value that is not well-formed is none.
fn is_json(value: &[u8]) -> bool {
    if value == b"application/json" {
        return true;
    }
    let mut parts = value.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
    let is_type = parts.next().is_some_and(|media| media.eq_ignore_ascii_case(b"application/json"));
    let mut charsets = 0;
    let well_formed = parts.all(|part| {
        let Some(at) = part.iter().position(|octet| *octet == b'=') else { return false };
        let (name, value) = part.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        if !name.eq_ignore_ascii_case(b"charset") {
            return is_token(name) && !value.contains(&b',');
        }
        charsets += 1;
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        quoted.unwrap_or(value).eq_ignore_ascii_case(b"utf-8")
    });
    is_type && well_formed && charsets <= 1
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-_.+".contains(octet))
}
