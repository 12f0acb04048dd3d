//! The plans that a worker remembers, by the whole text of their documents.

use std::sync::Arc;

use crate::graphql::plan::Plan;
use crate::graphql::rejected::Rejected;
use crate::graphql::rules::Rules;

/// One worker's plans.
#[derive(Debug, Default)]
pub struct Plans {
    serial: u64,
}

impl Plans {
    /// The plan of a document under these rules: the one that is remembered, or a new one.
    pub fn plan(&mut self, rules: &Arc<Rules>, document: &str) -> Result<Arc<Plan>, Rejected> {
        self.serial += 1;
        rules.plan(document, self.serial).map(Arc::new)
    }
}
