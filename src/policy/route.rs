//! Routes, compiled for matching: the best whole path wins, whatever the order in the file.
//!
//! One tree of segments a host. A walk tries the literal child before the parameter before the rest, and steps
//! back where a branch has no route, so the first route it reaches is the best by config.md principle 2. A
//! node is visited at most once a request: the walk is bounded by the depth of the path and the size of the
//! table, never exponential.

mod segments;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::pattern::{HostPattern, PathPattern, Segment};
use crate::config::{Config, Require, Requirement, Route, TokenPlace, Upstream};
use crate::policy::identity::FieldNames;
use crate::policy::route::segments::BySegment;
use crate::tls::client::ClientTls;

/// The compiled table.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Arc<CompiledRoute>>,
    exact: HashMap<Box<str>, Tree>,
    /// Longest suffix first.
    suffixes: Vec<(Box<str>, Tree)>,
    any: Tree,
    issuers_by_iss: HashMap<Box<str>, usize>,
    identity: FieldNames,
    credentials: CredentialPlaces,
}

/// Every place where some issuer's tokens may stand: what stands there is not forwarded.
#[derive(Debug, Default)]
pub struct CredentialPlaces {
    /// Header names, `authorization` among them.
    pub headers: FieldNames,
    /// Cookie names.
    pub cookies: Vec<Box<str>>,
    /// Query parameters.
    pub parameters: Vec<Box<str>>,
}

/// One route and what it needs at hand.
#[derive(Debug)]
pub struct CompiledRoute {
    /// Its index in the table, in file order.
    pub index: usize,
    /// As configured.
    pub config: Arc<Route>,
    /// Where a grant goes; its index in the configuration.
    pub upstream_index: usize,
    /// Where a grant goes: only a grant hands it to a request.
    pub(crate) upstream: Arc<Upstream>,
    /// What its upstream's `https` peers are met with. Without, those cannot be reached.
    pub tls: Option<Arc<ClientTls>>,
    /// Where a token for this route may stand, each place once.
    pub places: Vec<TokenPlace>,
}

/// What a request matched.
#[derive(Debug)]
pub enum Match<'t> {
    /// This route.
    Route(&'t Arc<CompiledRoute>),
    /// The path is known and the method is not: `Allow` lists these.
    WrongMethod(Vec<&'t str>),
    /// Nothing: default deny.
    Nothing,
}

/// A tree of segments.
#[derive(Debug, Default)]
struct Tree {
    literals: HashMap<Box<str>, Self, BySegment>,
    parameter: Option<Box<Self>>,
    rest: Leaf,
    end: Leaf,
}

/// The routes of one path.
#[derive(Debug, Default)]
struct Leaf {
    by_method: Vec<(Box<str>, usize)>,
    any_method: Option<usize>,
}

impl Routes {
    /// Compiles; cannot fail. `https` peers cannot be reached: [`Routes::compile_with`].
    pub fn compile(config: &Config) -> Self {
        Self::compile_with(config, &[])
    }

    /// The same with what each upstream's `https` peers are met with, in the configuration's order.
    pub fn compile_with(config: &Config, clients: &[Option<Arc<ClientTls>>]) -> Self {
        let mut table = Self {
            identity: FieldNames::new(
                config.routes.iter().flat_map(|route| &route.forward.headers).map(|header| &*header.name),
            ),
            credentials: CredentialPlaces::of(config),
            ..Self::default()
        };
        for (index, issuer) in config.issuers.iter().enumerate() {
            table.issuers_by_iss.insert(issuer.issuer.clone(), index);
        }
        for (index, route) in config.routes.iter().enumerate() {
            table.host(&route.host).plant(&route.path, &route.methods, index);
            // A configuration whose routes name no upstream does not parse; an index past the end is
            // therefore never met, and the route would answer nothing rather than something.
            let Some(upstream) = config.upstreams.get(route.upstream) else { continue };
            table.routes.push(Arc::new(CompiledRoute {
                index,
                config: Arc::clone(route),
                upstream_index: route.upstream,
                upstream: Arc::clone(upstream),
                tls: clients.get(route.upstream).cloned().flatten(),
                places: places(config, route),
            }));
        }
        table.sort_suffixes();
        table
    }

    fn host(&mut self, host: &HostPattern) -> &mut Tree {
        match host {
            HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostPattern::Suffix(suffix) => {
                let place =
                    self.suffixes.iter().position(|(known, _)| known == suffix).unwrap_or_else(|| {
                        self.suffixes.push((suffix.clone(), Tree::default()));
                        self.suffixes.len() - 1
                    });
                &mut self.suffixes[place].1
            }
            HostPattern::Any => &mut self.any,
        }
    }

    fn sort_suffixes(&mut self) {
        self.suffixes.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    }

    /// The compiled routes, in file order.
    pub fn all(&self) -> &[Arc<CompiledRoute>] {
        &self.routes
    }

    /// Every header that some route fills: removed from every request on every route.
    pub fn identity_headers(&self) -> &FieldNames {
        &self.identity
    }

    /// Every place where a credential may stand.
    pub fn credential_places(&self) -> &CredentialPlaces {
        &self.credentials
    }

    /// The index of the issuer with this exact `iss`.
    pub fn issuer_by_iss(&self, iss: &str) -> Option<usize> {
        self.issuers_by_iss.get(iss).copied()
    }

    /// Matches. `host` is lower-case, without port or trailing dot.
    pub fn find<'t>(&'t self, method: &str, host: &str, path: &str) -> Match<'t> {
        let Some(leaf) = self.leaf(host, path) else { return Match::Nothing };
        match leaf.index(method).and_then(|index| self.routes.get(index)) {
            Some(route) => Match::Route(route),
            None => Match::WrongMethod(leaf.by_method.iter().map(|(known, _)| &**known).collect()),
        }
    }

    fn leaf(&self, host: &str, path: &str) -> Option<&Leaf> {
        let path = path.strip_prefix('/')?;
        if !self.exact.is_empty()
            && let Some(leaf) = self.exact.get(host).and_then(|tree| tree.find(Some(path)))
        {
            return Some(leaf);
        }
        self.suffixes
            .iter()
            // `*.example.com` is for names below it, never for the name itself.
            .filter(|(suffix, _)| host.len() > suffix.len() && host.ends_with(&**suffix))
            .find_map(|(_, tree)| tree.find(Some(path)))
            .or_else(|| self.any.find(Some(path)))
    }
}

impl Tree {
    fn plant(&mut self, path: &PathPattern, methods: &[Box<str>], index: usize) {
        let mut tree = self;
        for segment in &path.segments {
            tree = match segment {
                Segment::Literal(text) => tree.literals.entry(text.clone()).or_default(),
                Segment::Parameter(_) => tree.parameter.get_or_insert_default(),
                Segment::Rest(_) => return tree.rest.plant(methods, index),
            };
        }
        tree.end.plant(methods, index);
    }

    /// `rest` is what of the path is left, without its leading slash; `None` when nothing is.
    fn find(&self, rest: Option<&str>) -> Option<&Leaf> {
        let Some(rest) = rest else { return self.end.planted() };
        let (segment, after) = segments::first(rest);
        self.literals
            .get(segment)
            .and_then(|child| child.find(after))
            .or_else(|| {
                self.parameter.as_ref().filter(|_| !segment.is_empty()).and_then(|child| child.find(after))
            })
            .or_else(|| self.rest.planted())
    }
}

impl Leaf {
    fn plant(&mut self, methods: &[Box<str>], index: usize) {
        if methods.is_empty() {
            self.any_method = Some(index);
        }
        self.by_method.extend(methods.iter().map(|method| (method.clone(), index)));
    }

    fn index(&self, method: &str) -> Option<usize> {
        let named = self.by_method.iter().find(|(known, _)| &**known == method).map(|(_, index)| *index);
        named.or(self.any_method)
    }

    fn planted(&self) -> Option<&Self> {
        (self.any_method.is_some() || !self.by_method.is_empty()).then_some(self)
    }
}

impl CompiledRoute {
    /// What a token must have here; `None` where none is needed.
    pub fn requirement(&self) -> Option<&Requirement> {
        match &self.config.require {
            Require::Public => None,
            Require::Token(requirement) => Some(requirement),
        }
    }

    /// The path's parameters by name, for a path that this route matched.
    pub fn parameters<'r>(&'r self, path: &'r str) -> Vec<(&'r str, &'r str)> {
        let mut rest = path.strip_prefix('/');
        let mut found = Vec::new();
        for segment in &self.config.path.segments {
            let Some(left) = rest else { break };
            let (here, after) = match left.split_once('/') {
                Some((here, after)) => (here, Some(after)),
                None => (left, None),
            };
            match segment {
                Segment::Literal(_) => {}
                Segment::Parameter(name) => found.push((&**name, here)),
                Segment::Rest(name) => {
                    found.push((&**name, left));
                    break;
                }
            }
            rest = after;
        }
        found
    }
}

impl CredentialPlaces {
    fn of(config: &Config) -> Self {
        let mut headers = vec!["authorization"];
        let (mut cookies, mut parameters) = (Vec::new(), Vec::new());
        for place in config.issuers.iter().flat_map(|issuer| &issuer.from) {
            match place {
                TokenPlace::Bearer => {}
                TokenPlace::Header(name) => headers.push(name),
                TokenPlace::Cookie(name) => cookies.push(name.clone()),
                TokenPlace::Query(name) => parameters.push(name.clone()),
            }
        }
        Self { headers: FieldNames::new(headers), cookies, parameters }
    }
}

fn places(config: &Config, route: &Route) -> Vec<TokenPlace> {
    let mut places = Vec::new();
    if let Require::Token(requirement) = &route.require {
        for issuer in requirement.issuers.iter().filter_map(|index| config.issuers.get(*index)) {
            for place in &issuer.from {
                if !places.contains(place) {
                    places.push(place.clone());
                }
            }
        }
    }
    places
}

#[cfg(test)]
mod tests;
