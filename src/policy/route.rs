//! Routes, compiled for matching: the best whole path wins, whatever the order in the file.
//!
//! One tree of segments a host ([`trees`]). A walk tries the literal child before the parameter before the rest, and steps
//! back where a branch has no route, so the first route it reaches is the best by config.md principle 2. A
//! node is visited at most once a request: the walk is bounded by the depth of the path and the size of the
//! table, never exponential.

mod segments;
mod trees;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::endpoint::{Action, Endpoint, Errors};
use crate::config::pattern::{HostPattern, Segment};
use crate::config::streams::Reauthenticate;
use crate::config::{Config, Issuer, KeySource, Require, Requirement, Route, TokenPlace, Upstream};
use crate::graphql::rules::Rules;
use crate::policy::identity::FieldNames;
use crate::policy::route::segments::BySegment;
use crate::policy::route::trees::{Leaf, Root, Trees};
use crate::tls::client::ClientTls;

/// The compiled table.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Arc<CompiledRoute>>,
    trees: Trees,
    exact: HashMap<Box<str>, Root, BySegment>,
    /// Longest suffix first.
    suffixes: Vec<(Box<str>, Root)>,
    any: Option<Root>,
    issuers_by_iss: HashMap<Box<str>, usize>,
    identity: FieldNames,
    credentials: CredentialPlaces,
    errors: Option<Arc<Errors>>,
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
    /// Who answers its requests.
    pub target: Target,
    /// Where a token for this route may stand, each place once.
    pub places: Vec<TokenPlace>,
    /// Those of its issuers whose tokens are looked up, by their index in the configuration.
    pub looked_up: Vec<usize>,
    /// What its operations need, where it judges them.
    pub graphql: Option<Arc<Rules>>,
    /// The path at which the protected resource is described (RFC 9728), for challenges.
    pub resource: Option<Arc<str>>,
}

/// Who answers a route's requests.
#[derive(Debug)]
pub enum Target {
    /// An upstream, by way of a grant.
    Upstream(Arc<Upward>),
    /// The gateway itself: nothing goes upstream.
    Endpoint(Arc<Endpoint>),
}

/// The way to an upstream: only a grant hands it to a request.
#[derive(Debug)]
pub struct Upward {
    /// Its index in the configuration.
    pub(crate) index: usize,
    /// Where it leads.
    pub(crate) upstream: Arc<Upstream>,
    /// What its `https` peers are met with. Without, those cannot be reached.
    pub(crate) tls: Option<Arc<ClientTls>>,
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
            errors: config.authority.errors.clone(),
            ..Self::default()
        };
        // Where several have one `iss`, it is in signed tokens that it has to be told by it whose they are.
        for wanted in [false, true] {
            let issuers = config.issuers.iter().enumerate();
            for (index, issuer) in issuers.filter(|(_, issuer)| is_looked_up(issuer) == wanted) {
                table.issuers_by_iss.entry(issuer.issuer.clone()).or_insert(index);
            }
        }
        let described: Vec<&Route> = config.routes.iter().map(|route| &**route).filter(describes).collect();
        for (index, route) in config.routes.iter().enumerate() {
            let root = table.host(&route.host);
            table.trees.plant(root, &route.path, &route.methods, index);
            // A configuration whose routes lead nowhere does not parse; an index past the end is
            // therefore never met, and the route would answer nothing rather than something.
            let Some(target) = Target::of(config, clients, route) else { continue };
            table.routes.push(Arc::new(CompiledRoute {
                index,
                config: Arc::clone(route),
                target,
                places: places(config, route),
                looked_up: looked_up(config, route),
                graphql: graphql(route),
                resource: resource(&described, route),
            }));
        }
        table.sort_suffixes();
        table
    }

    fn host(&mut self, host: &HostPattern) -> Root {
        let trees = &mut self.trees;
        match host {
            HostPattern::Exact(host) => *self.exact.entry(host.clone()).or_insert_with(|| trees.root()),
            HostPattern::Suffix(suffix) => {
                if let Some((_, root)) = self.suffixes.iter().find(|(known, _)| known == suffix) {
                    return *root;
                }
                let root = trees.root();
                self.suffixes.push((suffix.clone(), root));
                root
            }
            HostPattern::Any => *self.any.get_or_insert_with(|| trees.root()),
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

    /// What a request that no route matches is answered with.
    pub fn errors(&self) -> Option<&Errors> {
        self.errors.as_deref()
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
        match self.trees.route(leaf, method).and_then(|index| self.routes.get(index)) {
            Some(route) => Match::Route(route),
            None => Match::WrongMethod(self.trees.methods(leaf).collect()),
        }
    }

    fn leaf(&self, host: &str, path: &str) -> Option<&Leaf> {
        let path = path.strip_prefix('/')?;
        if !self.exact.is_empty()
            && let Some(leaf) = self.exact.get(host).and_then(|root| self.trees.find(*root, path))
        {
            return Some(leaf);
        }
        self.suffixes
            .iter()
            // `*.example.com` is for names below it, never for the name itself.
            .filter(|(suffix, _)| host.len() > suffix.len() && host.ends_with(&**suffix))
            .find_map(|(_, root)| self.trees.find(*root, path))
            .or_else(|| self.trees.find(self.any?, path))
    }
}

impl Target {
    fn of(config: &Config, clients: &[Option<Arc<ClientTls>>], route: &Route) -> Option<Self> {
        if let Some(endpoint) = &route.endpoint {
            return Some(Self::Endpoint(Arc::clone(endpoint)));
        }
        let index = route.upstream;
        let upstream = Arc::clone(config.upstreams.get(index)?);
        let tls = clients.get(index).cloned().flatten();
        Some(Self::Upstream(Arc::new(Upward { index, upstream, tls })))
    }
}

impl CompiledRoute {
    /// The way to its upstream, if it has one.
    pub(crate) fn upward(&self) -> Option<&Arc<Upward>> {
        match &self.target {
            Target::Upstream(upward) => Some(upward),
            Target::Endpoint(_) => None,
        }
    }

    /// What a token must have here; `None` where none is needed.
    pub fn requirement(&self) -> Option<&Requirement> {
        match &self.config.require {
            Require::Public => None,
            Require::Token(requirement) => Some(requirement),
        }
    }

    /// Whether tokens of the issuer at this index count here.
    pub fn trusts(&self, issuer: usize) -> bool {
        self.requirement().is_some_and(|requirement| requirement.issuers.contains(&issuer))
    }

    /// Which messages bring a new token here, where one is needed.
    pub fn reauthenticate(&self) -> Option<&Reauthenticate> {
        self.requirement().and(self.config.streams.reauthenticate.as_ref())
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

fn is_looked_up(issuer: &Issuer) -> bool {
    matches!(issuer.keys.value, KeySource::Records(_))
}

/// Those of the route's issuers whose tokens are looked up.
fn looked_up(config: &Config, route: &Route) -> Vec<usize> {
    let Require::Token(requirement) = &route.require else { return Vec::new() };
    let is = |index: &usize| config.issuers.get(*index).is_some_and(|issuer| is_looked_up(issuer));
    requirement.issuers.iter().copied().filter(is).collect()
}

fn graphql(route: &Route) -> Option<Arc<Rules>> {
    match &route.require {
        Require::Public => None,
        Require::Token(requirement) => {
            requirement.graphql.as_ref().map(|config| Arc::new(Rules::compile(config)))
        }
    }
}

/// Whether a route leads to where the protected resource is described.
fn describes(route: &&Route) -> bool {
    matches!(route.endpoint.as_ref().map(|endpoint| &endpoint.action), Some(Action::Resource))
}

/// Where on this route's host that is.
fn resource(described: &[&Route], route: &Route) -> Option<Arc<str>> {
    let reached = |other: &&&Route| other.host == route.host || other.host == HostPattern::Any;
    let literal = |segment: &Segment| match segment {
        Segment::Literal(text) => Some(format!("/{text}")),
        Segment::Parameter(_) | Segment::Rest(_) => None,
    };
    described
        .iter()
        .find(reached)?
        .path
        .segments
        .iter()
        .map(literal)
        .collect::<Option<String>>()
        .map(Arc::from)
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
