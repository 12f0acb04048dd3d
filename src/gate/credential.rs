//! Step 4: where the token stands.
//!
//! A token counts only where an issuer of the route looks for one; two filled places are `many_credentials`
//! (RFC 6750 section 2: "clients MUST NOT use more than one method").

use crate::config::TokenPlace;
use crate::gate::denial::{Advice, Denial, Reason};
use crate::gate::{Field, Request};
use crate::token::bearer::{self, Authorization};

/// What stood where a token stands.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// As sent, and not looked at: of octets that a memo knows, that was done when it learnt them.
    pub octets: &'a [u8],
    /// Their place; `None` where they came within the stream, and it is their issuer's.
    pub place: Option<&'a TokenPlace>,
}

impl<'a> Credential<'a> {
    /// The octets as the text that a token in this place has to be.
    pub fn token(&self) -> Result<&'a str, Denial> {
        match self.place {
            Some(TokenPlace::Bearer) => bearer::token(self.octets)
                .ok_or_else(|| invalid("an Authorization value that is no bearer token")),
            Some(TokenPlace::Header(_) | TokenPlace::Cookie(_) | TokenPlace::Query(_)) | None => {
                visible(self.octets)
            }
        }
    }

    /// Whether an issuer that looks for its tokens here finds it.
    pub fn counts_in(&self, places: &[TokenPlace]) -> bool {
        self.place.is_none_or(|place| places.contains(place))
    }
}

impl std::fmt::Display for Credential<'_> {
    /// Where it stands.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            Some(place) => place.fmt(f),
            None => f.write_str("a message"),
        }
    }
}

impl std::fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bearer => f.write_str("bearer"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Query(name) => write!(f, "query parameter {name}"),
        }
    }
}

/// Finds the one credential among `places`.
pub fn find<'a>(request: &Request<'a>, places: &'a [TokenPlace]) -> Result<Credential<'a>, Denial> {
    if let Some(octets) = request.presented {
        return Ok(Credential { octets, place: None });
    }
    let mut found: Option<Credential<'a>> = None;
    for place in places {
        let octets = match place {
            TokenPlace::Bearer => in_authorization(request.headers),
            TokenPlace::Header(name) => in_header(request.headers, name),
            TokenPlace::Cookie(name) => in_cookies(request.headers, name),
            TokenPlace::Query(name) => in_query(request.query, name),
        };
        // That what stood in an earlier place is no token at all is said first.
        if let (Some(first), false) = (&found, matches!(octets, Ok(None))) {
            first.token()?;
        }
        let Some(octets) = octets? else { continue };
        let here = Credential { octets, place: Some(place) };
        if found.replace(here).is_some() {
            here.token()?;
            return Err(many("tokens stand in two places"));
        }
    }
    found.ok_or_else(|| Denial::new(Reason::NoCredentials, "no token where the route's issuers look for one"))
}

fn in_authorization<'a>(headers: &'a [Field<'a>]) -> Result<Option<&'a [u8]>, Denial> {
    let Some(value) = only(headers, "authorization")? else { return Ok(None) };
    match bearer::parse(value) {
        Authorization::Bearer(octets) => Ok(Some(octets)),
        Authorization::OtherScheme => Ok(None),
        Authorization::Malformed => Err(invalid("an Authorization value that is no bearer token")),
    }
}

fn in_header<'a>(headers: &'a [Field<'a>], name: &str) -> Result<Option<&'a [u8]>, Denial> {
    Ok(only(headers, name)?.and_then(filled))
}

fn in_cookies<'a>(headers: &'a [Field<'a>], name: &str) -> Result<Option<&'a [u8]>, Denial> {
    let mut found = None;
    for field in headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie")) {
        for pair in field.value.split(|octet| *octet == b';') {
            let pair = pair.trim_ascii();
            let Some(at) = pair.iter().position(|octet| *octet == b'=') else { continue };
            // A cookie's name is case-sensitive (RFC 6265 section 4.1.1).
            if pair[..at].trim_ascii() != name.as_bytes() {
                continue;
            }
            if found.is_some() {
                return Err(many("the cookie stands twice"));
            }
            found = Some(pair[at + 1..].trim_ascii());
        }
    }
    Ok(found.and_then(filled))
}

fn in_query<'a>(query: Option<&'a str>, name: &str) -> Result<Option<&'a [u8]>, Denial> {
    let mut values = query.unwrap_or_default().split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    let found = values.next();
    if values.next().is_some() {
        return Err(many("the parameter stands twice"));
    }
    Ok(found.map(str::as_bytes).and_then(filled))
}

/// The value of the only line of this name.
fn only<'a>(headers: &'a [Field<'a>], name: &str) -> Result<Option<&'a [u8]>, Denial> {
    let mut lines = headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
    let found = lines.next();
    if lines.next().is_some() {
        return Err(invalid("a credential's header stands twice"));
    }
    Ok(found.map(|field| field.value))
}

/// An empty place holds nothing.
fn filled(value: &[u8]) -> Option<&[u8]> {
    (!value.is_empty()).then_some(value)
}

/// Visible ASCII is all that a token has.
fn visible(octets: &[u8]) -> Result<&str, Denial> {
    match std::str::from_utf8(octets) {
        Ok(text) if text.bytes().all(|octet| octet.is_ascii_graphic()) => Ok(text),
        Ok(_) | Err(_) => Err(invalid("octets that no token has")),
    }
}

fn invalid(detail: &'static str) -> Denial {
    Denial::new(Reason::MalformedRequest, detail).advice(Advice::InvalidRequest)
}

fn many(detail: &'static str) -> Denial {
    Denial::new(Reason::ManyCredentials, detail).advice(Advice::InvalidRequest)
}

#[cfg(test)]
mod tests;
