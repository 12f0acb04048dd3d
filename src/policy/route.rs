//! Routes, compiled for matching: the best whole path wins, whatever the order in the file.

use std::sync::Arc;

use crate::config::{Config, Route, Upstream};

/// The compiled table.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Arc<CompiledRoute>>,
}

/// One route and what it needs at hand.
#[derive(Debug)]
pub struct CompiledRoute {
    /// Its index in the table, in file order.
    pub index: usize,
    /// As configured.
    pub config: Arc<Route>,
    /// Where a grant goes.
    pub upstream: Arc<Upstream>,
}

/// What a request matched.
#[derive(Debug)]
pub enum Match<'t> {
    /// This route.
    Route(&'t Arc<CompiledRoute>),
    /// The path is known and the method is not: `Allow` lists these.
    WrongMethod(Vec<Box<str>>),
    /// Nothing: default deny.
    Nothing,
}

impl Routes {
    /// Compiles; cannot fail.
    pub fn compile(config: &Config) -> Self {
        todo!()
    }
    /// The compiled routes, in file order.
    pub fn all(&self) -> &[Arc<CompiledRoute>] {
        &self.routes
    }
    /// Every header that any route fills, as (lower-case name with every octet outside `a-z0-9` as `-`).
    pub fn identity_headers(&self) -> &[Box<str>] {
        todo!()
    }
    /// Matches. `host` is lower-case without port.
    pub fn find<'t>(&'t self, method: &str, host: &str, path: &str) -> Match<'t> {
        todo!()
    }
}
