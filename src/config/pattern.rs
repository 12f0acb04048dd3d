//! Route keys: `[METHODS ][HOST]/PATH`.

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
    /// Upper-case methods; empty is any.
    pub methods: Vec<Box<str>>,
    /// The host part.
    pub host: HostPattern,
    /// The path part.
    pub path: PathPattern,
}

/// Reads a route key. The error is what is wrong, for the operator. Literal segments are put through
/// [`crate::path::canonical`]; a pattern in dangerous spelling is refused.
pub fn parse_key(key: &str) -> Result<RouteKey, String> {
    todo!()
}

impl PathPattern {
    /// As written: `/orders/{id}`.
    pub fn render(&self) -> String {
        todo!()
    }
}
