//! One route's rules, compiled.

use crate::config::graphql::GraphQl;
use crate::graphql::plan::Plan;
use crate::graphql::rejected::Rejected;

/// What [`GraphQl`] says, ready for use. Made with the table of routes; one a route.
#[derive(Debug)]
pub struct Rules {
    /// As configured.
    pub config: GraphQl,
}

impl Rules {
    /// Compiles; cannot fail.
    pub fn compile(config: &GraphQl) -> Self {
        Self { config: config.clone() }
    }

    /// Plans a document.
    pub fn plan(&self, document: &str, serial: u64) -> Result<Plan, Rejected> {
        let _ = (document, serial);
        Err(Rejected::new("GRAPHQL_PARSE_FAILED", "not built yet"))
    }
}
