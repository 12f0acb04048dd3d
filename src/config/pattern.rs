//! Route keys: `[METHODS ][HOST]/PATH`.

use std::fmt::Write as _;

use crate::config::defaults::ROUTE_KEY;
use crate::config::net;
use crate::config::problems::{Wrong, quoted};
use crate::path::{Path, canonical};

#[cfg(test)]
mod tests;

/// The hosts a route is for: exact, then `*.suffix`, then any (principle 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host, lower-case, without port or trailing dot.
    Exact(Box<str>),
    /// Any name that ends with this, which begins with a dot (`*.example.com` is `.example.com`).
    Suffix(Box<str>),
    /// Every host.
    Any,
}

/// A path of literal and parameter segments. `/` alone is one empty literal segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// What stands between the slashes.
    pub segments: Vec<Segment>,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// These octets, in canonical spelling; empty only as the last (a trailing slash).
    Literal(Box<str>),
    /// `{name}`: one segment that is not empty.
    Parameter(Box<str>),
    /// `{*name}`: what is left, last only; it may be empty after a slash.
    Rest(Box<str>),
}

/// A route key taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteKey {
    /// Upper-case methods, `HEAD` after the others where `GET` implies it; empty is any.
    pub methods: Vec<Box<str>>,
    /// The host part.
    pub host: HostPattern,
    /// The path part.
    pub path: PathPattern,
}

/// Reads a route key. The error is what is wrong, for the operator. Literal segments are put through
/// [`crate::path::canonical`]; a pattern in dangerous spelling is refused.
pub fn parse_key(key: &str) -> Result<RouteKey, String> {
    read_key(key).map_err(|wrong| match wrong.hint {
        Some(hint) => format!("{} {} ({hint})", quoted(key), wrong.what),
        None => format!("{} {}", quoted(key), wrong.what),
    })
}

/// The same, with the hint apart.
pub(crate) fn read_key(key: &str) -> Result<RouteKey, Wrong> {
    if key.len() > ROUTE_KEY {
        return Err(Wrong::is(format!("is longer than {ROUTE_KEY} characters")));
    }
    let (methods, rest) = match key.split_once(' ') {
        Some((methods, rest)) => (read_methods(methods)?, rest.trim_start_matches(' ')),
        None => (Vec::new(), key),
    };
    let Some(slash) = rest.find('/') else {
        return Err(Wrong::is("has no path").hint(EXAMPLE));
    };
    let (host, path) = rest.split_at(slash);
    Ok(RouteKey { methods, host: read_host(host)?, path: read_path(path)? })
}

impl PathPattern {
    /// The names of its parameters, from the left.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) | Segment::Rest(name) => Some(&**name),
            Segment::Literal(_) => None,
        })
    }

    /// As written: `/orders/{id}`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            // Writing to a `String` cannot fail.
            let _ = match segment {
                Segment::Literal(literal) => write!(text, "/{literal}"),
                Segment::Parameter(name) => write!(text, "/{{{name}}}"),
                Segment::Rest(name) => write!(text, "/{{*{name}}}"),
            };
        }
        text
    }
}

impl RouteKey {
    /// As written, `HEAD` beside `GET`.
    pub fn render(&self) -> String {
        render(&self.methods, &self.host, &self.path)
    }
}

/// Writes a route's key.
pub(crate) fn render(methods: &[Box<str>], host: &HostPattern, path: &PathPattern) -> String {
    let methods = if methods.is_empty() { String::new() } else { format!("{} ", methods.join(",")) };
    let host = match host {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
        HostPattern::Any => String::new(),
    };
    format!("{methods}{host}{}", path.render())
}

/// Methods are case-sensitive tokens (RFC 9110 section 9.1); ours are in upper case, as every registered one.
fn read_methods(text: &str) -> Result<Vec<Box<str>>, Wrong> {
    let mut methods: Vec<Box<str>> = Vec::new();
    for method in text.split(',') {
        if method.is_empty() {
            return Err(
                Wrong::is("has an empty method").hint("write methods without spaces: `POST,PUT /orders`")
            );
        }
        if !net::is_token(method) {
            return Err(Wrong::is(format!("has {} for a method", quoted(method))).hint(EXAMPLE));
        }
        if method.bytes().any(|b| b.is_ascii_lowercase()) {
            let upper = method.to_ascii_uppercase();
            return Err(Wrong::is("has a method in lower case").hint(format!("write `{upper}`")));
        }
        if matches!(method, "CONNECT" | "TRACE") {
            return Err(Wrong::is(format!("has the method {method}, which is never forwarded")));
        }
        if methods.len() >= METHODS {
            return Err(
                Wrong::is(format!("has more than {METHODS} methods")).hint("leave them out for every method")
            );
        }
        if methods.iter().any(|known| &**known == method) {
            return Err(Wrong::is(format!("has the method {method} twice")));
        }
        methods.push(method.into());
    }
    let has = |name: &str| methods.iter().any(|method| &**method == name);
    // RFC 9110 section 9.3.2: HEAD is GET without the content.
    if has("GET") && !has("HEAD") {
        methods.push("HEAD".into());
    }
    Ok(methods)
}

fn read_host(text: &str) -> Result<HostPattern, Wrong> {
    if text.is_empty() {
        return Ok(HostPattern::Any);
    }
    if text == "*" {
        return Err(Wrong::is("is for every host").hint("leave the `*` out"));
    }
    let wrong = |wrong: Wrong| Wrong { what: format!("has a host that {}", wrong.what), ..wrong };
    if let Some(suffix) = text.strip_prefix("*.") {
        if suffix.contains(['*', '[']) {
            return Err(Wrong::is("has a host pattern that is none").hint(SUFFIX));
        }
        return net::host(suffix)
            .map(|suffix| HostPattern::Suffix(format!(".{suffix}").into()))
            .map_err(wrong);
    }
    if text.contains('*') {
        return Err(Wrong::is("has a host pattern that is none").hint(SUFFIX));
    }
    if let (Some((_, port)), false) = (text.rsplit_once(':'), text.ends_with(']'))
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Wrong::is("has a host with a port").hint("leave the port out: it is not compared"));
    }
    net::host(text).map(|host| HostPattern::Exact(host.into())).map_err(wrong)
}

fn read_path(path: &str) -> Result<PathPattern, Wrong> {
    let written: Vec<&str> = path.split('/').skip(1).collect();
    let mut names: Vec<&str> = Vec::new();
    let mut literals = String::new();
    for (index, segment) in written.iter().enumerate() {
        literals.push('/');
        let Some(name) = parameter(segment)? else {
            literals.push_str(segment);
            continue;
        };
        if name.starts_with('*') && index + 1 < written.len() {
            return Err(
                Wrong::is(format!("has something behind {}", quoted(segment))).hint("`{*…}` stands last")
            );
        }
        let bare = name.trim_start_matches('*');
        if names.contains(&bare) {
            return Err(Wrong::is(format!("has the parameter {} twice", quoted(bare))));
        }
        if names.len() >= PARAMETERS {
            return Err(Wrong::is(format!("has more than {PARAMETERS} parameters")));
        }
        names.push(bare);
        // Stands for the parameter, so that what is around it is seen as it will be.
        literals.push('x');
    }
    let literals = canonical(&literals).map_err(|error| {
        Wrong::is(format!("has {error}")).hint("write characters beyond ASCII, spaces and the like as `%XX`")
    })?;
    let Path::Canonical(literals) = literals else {
        return Err(Wrong::is("has a path that another parser may read differently")
            .hint("leave out `//`, `/./`, `/../`, `;`, `\\` and their escapes"));
    };
    let segments = written.iter().zip(literals.split('/').skip(1)).map(|(written, literal)| {
        Ok(match parameter(written)? {
            Some(name) => match name.strip_prefix('*') {
                Some(rest) => Segment::Rest(rest.into()),
                None => Segment::Parameter(name.into()),
            },
            None => Segment::Literal(literal.into()),
        })
    });
    Ok(PathPattern { segments: segments.collect::<Result<_, _>>()? })
}

/// The name in `{name}` or, with its star, in `{*name}`.
fn parameter(segment: &str) -> Result<Option<&str>, Wrong> {
    if !segment.contains(['{', '}', '*']) || (segment.contains('*') && !segment.contains(['{', '}'])) {
        return match segment {
            "*" | "**" => Err(Wrong::is(format!("has the segment `{segment}`"))
                .hint("write `{name}` for one segment, `{*rest}` for what is left")),
            _ => Ok(None),
        };
    }
    let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
    let name = inner.map(|inner| inner.strip_prefix('*').unwrap_or(inner)).unwrap_or_default();
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(inner);
    }
    Err(Wrong::is(format!("has the segment {}", quoted(segment)))
        .hint("a parameter is a whole segment, `{name}` or `{*name}`; its name is letters, digits and `_`"))
}

/// For hints.
const SUFFIX: &str = "`*.` stands at the beginning alone, before a name: `*.example.com`";

/// Methods of one key: the registered ones are 40.
const METHODS: usize = 64;

/// Parameters of one key.
const PARAMETERS: usize = 64;

/// For hints.
const EXAMPLE: &str = "write `GET /orders/{id}`, `POST,PUT /orders` or `api.example.com/public/{*rest}`";
