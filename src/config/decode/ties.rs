//! Routes that tie: same host, paths of the same shape, and a method in common (principle 2).

use std::collections::HashMap;

use crate::config::pattern::{HostPattern, RouteKey, Segment};
use crate::config::raw::Entry;

/// The routes so far, by what could tie. A lookup a method, so that 100,000 routes are no problem.
#[derive(Default)]
pub(crate) struct Ties<'a> {
    seen: HashMap<Matched, &'a Entry>,
}

/// What two routes that tie both match.
#[derive(PartialEq, Eq, Hash)]
struct Matched {
    host: HostPattern,
    path: String,
    method: Option<Box<str>>,
}

impl<'a> Ties<'a> {
    /// Adds a route; answers one that it ties with. A route without methods ranks below one with, so that it
    /// ties only with its like.
    pub(crate) fn add(&mut self, key: &RouteKey, entry: &'a Entry) -> Option<&'a Entry> {
        let (path, mut other) = (shape(key), None);
        let methods = key.methods.iter().cloned().map(Some);
        let any = key.methods.is_empty().then_some(None);
        for method in methods.chain(any) {
            let matched = Matched { host: key.host.clone(), path: path.clone(), method };
            other = other.or(self.seen.insert(matched, entry));
        }
        other
    }
}

/// The path with its parameters' names left out. No literal holds a brace.
fn shape(key: &RouteKey) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(literal) => format!("/{literal}"),
        Segment::Parameter(_) => "/{}".to_owned(),
        Segment::Rest(_) => "/{*}".to_owned(),
    };
    key.path.segments.iter().map(segment).collect()
}
