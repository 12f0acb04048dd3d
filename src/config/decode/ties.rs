//! Routes that tie: same host, paths of the same shape, and a method in common (principle 2).

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::decode::report::Report;
use crate::config::pattern::{HostPattern, RouteKey, Segment};
use crate::config::problems::{Position, Problem, quoted};

/// The routes so far, by what could tie. A lookup a method, so that 100,000 routes are no problem.
#[derive(Default)]
pub(crate) struct Ties {
    seen: HashMap<Matched, Seen>,
}

/// What two routes that tie both match.
#[derive(PartialEq, Eq, Hash)]
struct Matched {
    host: HostPattern,
    path: String,
    method: Option<Box<str>>,
}

/// A route as written, and where.
type Seen = (Arc<str>, Position);

impl Ties {
    /// Adds a route, and reports one that it ties with.
    pub(crate) fn check(&mut self, report: &Report<'_>, key: &RouteKey, written: &str, at: Position) {
        if let Some((other, line)) = self.add(key, (written.into(), at)) {
            let what = format!("{} ties with {} in line {}", quoted(written), quoted(&other), line.line);
            let hint = "both match the same requests: keep one, or make their paths differ";
            report.problem(Problem::new(at, what).hint(hint));
        }
    }

    /// Adds a route; answers one that it ties with. A route without methods ranks below one with, so that it
    /// ties only with its like.
    fn add(&mut self, key: &RouteKey, seen: Seen) -> Option<Seen> {
        let (path, mut other) = (shape(key), None);
        let methods = key.methods.iter().cloned().map(Some);
        let any = key.methods.is_empty().then_some(None);
        for method in methods.chain(any) {
            let matched = Matched { host: key.host.clone(), path: path.clone(), method };
            other = other.or(self.seen.insert(matched, seen.clone()));
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
