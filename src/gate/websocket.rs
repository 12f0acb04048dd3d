//! Step 2 of a WebSocket handshake: whether the page that opens it may (threats S7, RFC 6455 section 10.2).
//!
//! It stands before the credential, and on public routes too: what it refuses is refused whoever asks, and
//! `enforce: shadow` does not relax it. A handshake without an `Origin` comes from no browser, so from no stranger's
//! page.

#[cfg(test)]
mod tests;

use crate::config::Route;
use crate::config::websocket::WebSocket;
use crate::gate::Request;
use crate::gate::denial::{Denial, Reason};

/// What a WebSocket handshake brings beyond what every request has.
#[derive(Debug, Clone, Copy)]
pub struct Handshake<'a> {
    /// Host and port as sent.
    pub authority: &'a str,
    /// It is known to have come over TLS. Where it is not, somebody before this gateway may have taken it off.
    pub secure: bool,
}

/// Lets a handshake on `route` in, and says why; a request that is none passes.
pub(in crate::gate) fn admit(request: &Request<'_>, route: &Route) -> Result<Option<&'static str>, Denial> {
    let Some(handshake) = &request.websocket else { return Ok(None) };
    if route.websocket == WebSocket::Never {
        return Err(refused("no WebSocket is offered on this route"));
    }
    let origin = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(b"origin"));
    let Some(origin) = origin else { return Ok(Some("no origin: not a browser")) };
    let origin = std::str::from_utf8(origin.value).unwrap_or_default();
    let listed = |origins: &[Box<str>]| origins.iter().any(|allowed| **allowed == *origin);
    match &route.websocket {
        WebSocket::Any => Ok(Some("any origin")),
        WebSocket::Origins(origins) if listed(origins) => Ok(Some("a listed origin")),
        WebSocket::SameOrigin if is_own(origin, request.host, handshake) => Ok(Some("the host's own origin")),
        // A handshake always brings cookies: a rule without credentials lets no page do that.
        WebSocket::SameOrigin
            if route.cors.as_ref().is_some_and(|cors| cors.credentials && listed(&cors.origins)) =>
        {
            Ok(Some("an origin of the CORS rule"))
        }
        WebSocket::SameOrigin | WebSocket::Origins(_) | WebSocket::Never => {
            Err(refused("a page of another origin opens a WebSocket"))
        }
    }
}

/// Whether an origin (RFC 6454 section 6.2) names the host and port that the handshake was sent to.
fn is_own(origin: &str, host: &str, handshake: &Handshake<'_>) -> bool {
    let (standard, rest) = match origin.split_once("://") {
        Some(("https", rest)) => ("443", rest),
        // A page that came in plain text may be anybody's on the way.
        Some(("http", rest)) if !handshake.secure => ("80", rest),
        Some(_) | None => return false,
    };
    let (name, port) = split(rest);
    let (_, asked) = split(handshake.authority);
    name.eq_ignore_ascii_case(host) && port.unwrap_or(standard) == asked.unwrap_or(standard)
}

/// Host and port; an IPv6 address keeps its brackets.
fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

fn refused(what: &'static str) -> Denial {
    Denial::new(Reason::ConditionFailed, what)
}
