//! `require` of a route. Nothing in it is ever accepted and ignored.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::config::decode::fields::Fields;
use crate::config::decode::names::Names;
use crate::config::decode::value::Value;
use crate::config::expression::Expression;
use crate::config::problems::{Problem, Wrong, quoted};
use crate::config::shape;
use crate::config::{Require, Requirement};
use crate::token::scope::is_scope_token;

/// What the requirements of one file share.
pub(crate) struct Requirements<'n> {
    issuers: &'n Names<'n>,
    /// Those that count where a route names none.
    general: &'n [usize],
    /// That there is no issuer is said once.
    lacking: Cell<bool>,
    /// Compiled conditions: thousands of routes often share one, and compiling takes milliseconds.
    conditions: RefCell<HashMap<String, Result<Expression, String>>>,
}

impl<'n> Requirements<'n> {
    /// For routes that trust these issuers.
    pub(crate) fn new(issuers: &'n Names<'n>, general: &'n [usize]) -> Self {
        Self { issuers, general, lacking: Cell::new(false), conditions: RefCell::default() }
    }

    /// Reads a requirement in short or long form.
    pub(crate) fn read(&self, value: Value<'_>) -> Option<Require> {
        if value.is_scalar() {
            let word = value.word()?;
            return match &*word {
                "public" => Some(Require::Public),
                "authenticated" => self.token(value, Requirement::default()),
                _ => {
                    let scopes = vec![scope(value)?];
                    self.token(value, Requirement { scopes, ..Requirement::default() })
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
            scopes: scopes(&fields, "scopes"),
            any_scope: scopes(&fields, "any_scope"),
            when: fields.value("when").and_then(|value| self.condition(value)),
        };
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

fn scopes(fields: &Fields<'_>, name: &str) -> Vec<Box<str>> {
    fields.value(name).map(Value::some).unwrap_or_default().into_iter().filter_map(scope).collect()
}

/// Reads one required scope (RFC 6749 section 3.3). It is compared as it stands.
fn scope(value: Value<'_>) -> Option<Box<str>> {
    let scope: Box<str> = value.read(|text| {
        if text.contains(' ') {
            return Err(Wrong::is("is more than one scope")
                .hint("write a list: `{scopes: [orders:read, orders:write]}`"));
        }
        if text.contains(['{', '}']) {
            return Err(Wrong::is("is built from the request, which is not in this version"));
        }
        if is_scope_token(text) { Ok(Box::from(text)) } else { Err(Wrong::is("is no scope").hint(HINT)) }
    })?;
    if scope.contains('*') {
        let problem = Problem::new(value.node.at, format!("{} is compared as it stands", quoted(&scope)));
        value
            .report
            .warning(problem.hint("only granted scopes may be patterns (`scope_match` of the issuer)"));
    }
    Some(scope)
}

/// What a requirement can be.
pub(crate) const HINT: &str =
    "write a scope, `public`, `authenticated`, or a mapping with `issuers`, `scopes`, `any_scope` or `when`";
