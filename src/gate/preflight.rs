//! CORS (Fetch standard, "CORS protocol"): preflights answered here, and what an answer says to a browser.
//!
//! A preflight is `OPTIONS` with `Origin` and `Access-Control-Request-Method`, and nothing looser: any other
//! `OPTIONS` is a request like all others (market survey: gateways that skip every `OPTIONS`).

use std::sync::Arc;

use crate::config::Cors;
use crate::gate::{Field, Request};
use crate::path::Path;
use crate::policy::route::{CompiledRoute, Match};
use crate::snapshot::Snapshot;

/// A preflight that a route's rule answers. An origin, method or header that is not allowed gets an answer that
/// allows nothing; the browser does the rest.
#[derive(Debug)]
pub struct Preflight {
    /// The route that the request to come would match.
    pub route: Arc<CompiledRoute>,
    /// What to say.
    pub headers: Vec<(&'static str, String)>,
}

/// Answers a preflight; `None` when it is none, or its route has no CORS rule.
pub fn answer(snapshot: &Snapshot, request: &Request<'_>) -> Option<Preflight> {
    if request.method != "OPTIONS" {
        return None;
    }
    let origin = header(request.headers, "origin")?;
    let method = header(request.headers, "access-control-request-method")?;
    let Path::Canonical(path) = &request.path else { return None };
    let Match::Route(route) = snapshot.routes.find(method, request.host, path) else { return None };
    let cors = route.config.cors.as_ref()?;
    let wanted = header(request.headers, "access-control-request-headers").unwrap_or_default();
    let mut headers = answer_headers(cors, Some(origin));
    if cors.allows_origin(origin) && cors.allows_headers(wanted) {
        headers.push(("access-control-allow-methods", method.to_owned()));
        if !cors.headers.is_empty() {
            headers.push(("access-control-allow-headers", cors.headers.join(", ")));
        }
        headers.push(("access-control-max-age", cors.max_age.as_secs().to_string()));
    }
    Some(Preflight { route: Arc::clone(route), headers })
}

/// What any answer of a route with this rule says: granted, refused or forwarded.
pub fn answer_headers(cors: &Cors, origin: Option<&str>) -> Vec<(&'static str, String)> {
    let any = cors.any_origin();
    let mut headers = Vec::new();
    if !any {
        // The answer depends on the origin, also where there was none.
        headers.push(("vary", "Origin".to_owned()));
    }
    let Some(origin) = origin.filter(|origin| cors.allows_origin(origin)) else { return headers };
    headers.push(("access-control-allow-origin", if any { "*".to_owned() } else { origin.to_owned() }));
    if cors.credentials {
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    if !cors.expose.is_empty() {
        headers.push(("access-control-expose-headers", cors.expose.join(", ")));
    }
    headers
}

impl Cors {
    fn any_origin(&self) -> bool {
        self.origins.iter().any(|allowed| &**allowed == "*")
    }

    fn allows_origin(&self, origin: &str) -> bool {
        self.any_origin() || self.origins.iter().any(|allowed| &**allowed == origin)
    }

    fn allows_headers(&self, wanted: &str) -> bool {
        wanted
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .all(|name| self.headers.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)))
    }
}

/// The text of the first line of this name.
fn header<'a>(headers: &'a [Field<'a>], name: &str) -> Option<&'a str> {
    let field = headers.iter().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))?;
    std::str::from_utf8(field.value).ok().filter(|value| !value.is_empty())
}
