//! `require` of a route. Nothing in it is ever accepted and ignored.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use crate::config::decode::fields::Fields;
use crate::config::decode::graphql;
use crate::config::decode::names::Names;
use crate::config::decode::value::Value;
use crate::config::expression::Expression;
use crate::config::graphql::GraphQl;
use crate::config::limits::Limits;
use crate::config::problems::{Problem, Wrong, closest, quoted};
use crate::config::scope::{Built, BuiltScope, ScopePiece};
use crate::config::shape;
use crate::config::{Require, Requirement};
use crate::token::scope::is_scope_token;

/// What the requirements of one file share.
pub(crate) struct Requirements<'n> {
    issuers: &'n Names<'n>,
    /// Those that count where a route names none.
    general: &'n [usize],
    /// `limits.inspected_body`.
    inspected_body: usize,
    /// That there is no issuer is said once.
    lacking: Cell<bool>,
    /// Compiled conditions: thousands of routes often share one, and compiling takes milliseconds.
    conditions: RefCell<HashMap<String, Result<Expression, String>>>,
}

impl<'n> Requirements<'n> {
    /// For routes that trust these issuers, under these limits.
    pub(crate) fn new(issuers: &'n Names<'n>, general: &'n [usize], limits: &Limits) -> Self {
        let (lacking, inspected_body) = (Cell::new(false), limits.inspected_body);
        Self { issuers, general, inspected_body, lacking, conditions: RefCell::default() }
    }

    /// Reads a requirement in short or long form.
    /// Its scopes may be built from these parameters of the path.
    pub(crate) fn read(&self, value: Value<'_>, parameters: &[&str]) -> Option<Require> {
        if value.is_scalar() {
            let word = value.word()?;
            return match &*word {
                "public" => Some(Require::Public),
                "authenticated" => self.token(value, Requirement::default()),
                _ => {
                    let mut requirement = Requirement::default();
                    let read = scope(value, parameters)?;
                    requirement.take(vec![read], Vec::new());
                    self.token(value, requirement)
                }
            };
        }
        let fields = Fields::open(value, &shape::route::REQUIRE)?;
        if fields.is_empty() {
            value.problem_with_hint("a requirement that requires nothing", HINT);
            return None;
        }
        let issuers = fields.value("issuers").map(Value::some);
        let issuers =
            issuers.map(|list| list.into_iter().filter_map(|value| self.issuers.find(value)).collect());
        let mut requirement = Requirement {
            issuers: issuers.unwrap_or_default(),
            when: fields.value("when").and_then(|value| self.condition(value)),
            ..Requirement::default()
        };
        let names_arguments = requirement.when.as_ref().is_some_and(Expression::names_arguments);
        let graphql = fields.value("graphql").and_then(|value| graphql::graphql(value, self.inspected_body));
        requirement.graphql =
            graphql.map(|graphql| Arc::new(GraphQl { arguments: names_arguments, ..graphql }));
        if let (true, None, Some(when)) = (names_arguments, fields.entry("graphql"), fields.value("when")) {
            let what = "`request.arguments` is what operations of GraphQL are asked with, and there is no `graphql` here";
            when.problem(what);
        }
        requirement.take(scopes(&fields, "scopes", parameters), scopes(&fields, "any_scope", parameters));
        requirement.issuers.sort_unstable();
        requirement.issuers.dedup();
        self.token(value, requirement)
    }

    /// Fills in every issuer where none is named.
    fn token(&self, value: Value<'_>, mut requirement: Requirement) -> Option<Require> {
        if self.general.is_empty() && requirement.issuers.is_empty() {
            if !self.lacking.replace(true) {
                value.problem_with_hint(
                    "a token is required, and there is no issuer",
                    "name one under `issuers`",
                );
            }
            return None;
        }
        if requirement.issuers.is_empty() {
            requirement.issuers = self.general.to_vec();
        }
        Some(Require::Token(requirement))
    }

    fn condition(&self, value: Value<'_>) -> Option<Expression> {
        value.read(|source| {
            let mut conditions = self.conditions.borrow_mut();
            let compiled = match conditions.get(source) {
                Some(compiled) => compiled.clone(),
                None => {
                    let compiled = Expression::compile(source);
                    conditions.insert(source.to_owned(), compiled.clone());
                    compiled
                }
            };
            compiled.map_err(|what| Wrong::is(format!("cannot be used: {what}")))
        })
    }
}

/// A scope that was read.
enum Scope {
    Literal(Box<str>),
    Built(BuiltScope),
}

impl Requirement {
    /// Takes required scopes, the literal ones apart from those that are built.
    fn take(&mut self, scopes: Vec<Scope>, any_scope: Vec<Scope>) {
        let mut built = Built::default();
        for (read, literal, built) in [
            (scopes, &mut self.scopes, &mut built.scopes),
            (any_scope, &mut self.any_scope, &mut built.any_scope),
        ] {
            for scope in read {
                match scope {
                    Scope::Literal(scope) => literal.push(scope),
                    Scope::Built(scope) => built.push(scope),
                }
            }
        }
        self.built = (built != Built::default()).then(|| Box::new(built));
    }
}

fn scopes(fields: &Fields<'_>, name: &str, parameters: &[&str]) -> Vec<Scope> {
    let values = fields.value(name).map(Value::some).unwrap_or_default();
    values.into_iter().filter_map(|value| scope(value, parameters)).collect()
}

/// Reads one required scope (RFC 6749 section 3.3). It is compared as it stands, but for parameters of the path in it.
fn scope(value: Value<'_>, parameters: &[&str]) -> Option<Scope> {
    let (text, scope) = value.read(|text| {
        if text.contains(' ') {
            return Err(Wrong::is("is more than one scope")
                .hint("write a list: `{scopes: [orders:read, orders:write]}`"));
        }
        if !is_scope_token(text) {
            return Err(Wrong::is("is no scope").hint(HINT));
        }
        let scope = match text.contains(['{', '}']) {
            true => Scope::Built(built(text, parameters)?),
            false => Scope::Literal(text.into()),
        };
        Ok((text.to_owned(), scope))
    })?;
    if text.contains('*') {
        let problem = Problem::new(value.node.at, format!("{} is compared as it stands", quoted(&text)));
        value
            .report
            .warning(problem.hint("only granted scopes may be patterns (`scope_match` of the issuer)"));
    }
    Some(scope)
}

/// Reads a scope that nothing of a request is built into.
pub(crate) fn literal(value: Value<'_>) -> Option<Box<str>> {
    match scope(value, &[])? {
        Scope::Literal(scope) => Some(scope),
        // Without parameters there is nothing to build it from, which has been reported.
        Scope::Built(_) => None,
    }
}

/// Takes a scope with parameters apart.
fn built(text: &str, parameters: &[&str]) -> Result<BuiltScope, Wrong> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, brace) = rest.split_at(at);
        let hole = brace.strip_prefix('{').and_then(|after| after.split_once('}'));
        let Some((name, after)) = hole.filter(|(name, _)| !name.contains('{')) else {
            return Err(Wrong::is("has a brace without its pair").hint("write `read:orders/{id}`"));
        };
        if !parameters.contains(&name) {
            let wrong =
                Wrong::is(format!("is built from {}, which is no parameter of the path", quoted(name)));
            return Err(match closest(name, parameters.iter().copied()) {
                Some(near) => wrong.hint(format!("did you mean `{{{near}}}`?")),
                None => wrong.hint(
                    "a required scope is literal, or built from `{parameters}` of the route's own path",
                ),
            });
        }
        if !literal.is_empty() {
            pieces.push(ScopePiece::Literal(literal.into()));
        }
        pieces.push(ScopePiece::Parameter(name.into()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(ScopePiece::Literal(rest.into()));
    }
    Ok(BuiltScope(pieces))
}

/// What a requirement can be.
pub(crate) const HINT: &str = "write a scope, `public`, `authenticated`, or a mapping with `issuers`, `scopes`, `any_scope`, `when` or `graphql`";
