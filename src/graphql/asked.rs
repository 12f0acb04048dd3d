//! What a request asks for: from its octets to the operations that the upstream will run.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::graphql::plan::{Needs, Plan, Planned};

/// The operations of one request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In order; one unless it is a list.
    pub items: SmallVec<[Item; 1]>,
    /// What is sent on instead of the body as sent; none where that is.
    pub instead: Option<Arc<[u8]>>,
    /// The request was a list.
    pub batch: bool,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Item {
    /// The document's plan.
    pub plan: Arc<Plan>,
    /// Which of its operations.
    pub operation: usize,
}

impl Asked {
    /// Whether none of it needs a token.
    pub fn is_public(&self) -> bool {
        self.items.iter().all(|item| item.needs().is_some_and(|needs| !needs.token))
    }
}

impl Item {
    /// The operation.
    pub fn planned(&self) -> Option<&Planned> {
        self.plan.operations.get(self.operation)
    }

    /// What it needs; none where there is no such operation, which then is for nobody.
    pub fn needs(&self) -> Option<&Needs> {
        self.planned().map(|planned| &planned.needs)
    }
}
