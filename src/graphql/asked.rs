//! What a request asks for: from its octets to the operations that the upstream will run.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::graphql::plan::{Needs, Plan, Planned};
use crate::graphql::plans::Plans;
use crate::graphql::rejected::Rejected;
use crate::graphql::rules::Rules;

/// A request that brings operations, as far as they are concerned.
#[derive(Debug, Clone, Default)]
pub struct Incoming<'i> {
    /// Its method, or nothing where it is a message.
    pub way: Way<'i>,
    /// The values of `Content-Type`, each line one.
    pub content_types: SmallVec<[&'i [u8]; 1]>,
    /// It names a `Content-Encoding`.
    pub encoded: bool,
    /// Its head announces a body of at least one octet.
    pub announces_body: bool,
    /// It has one of the fields that no page can make a browser send to another origin without asking first.
    pub preflighted: bool,
}

/// How operations come.
#[derive(Debug, Clone, Copy)]
pub enum Way<'i> {
    /// By a request.
    Request {
        /// As sent.
        method: &'i str,
        /// What follows `?`.
        query: Option<&'i str>,
        /// The body, whole; none as long as it has not been read.
        body: Option<&'i [u8]>,
    },
    /// In a message of a WebSocket: one operation, written as a body is.
    Message(&'i [u8]),
}

/// The operations of one request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In order; one unless it is a list.
    pub items: SmallVec<[Item; 1]>,
    /// What is sent on instead of what was sent: of a body, of a message, or of what follows `?` where it came by `GET`.
    /// None where that goes on as it is.
    pub instead: Option<Arc<[u8]>>,
    /// The request was a list.
    pub batch: bool,
    /// One of the documents is not on the safelist, which only logs that.
    pub unlisted: bool,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Item {
    /// The document's plan.
    pub plan: Arc<Plan>,
    /// Which of its operations.
    pub operation: usize,
}

/// Whether the body has to be read before anything more can be said. An error where that is not worth it.
pub fn wants_body(rules: &Rules, incoming: &Incoming<'_>) -> Result<bool, Rejected> {
    let _ = (rules, incoming);
    Ok(matches!(incoming.way, Way::Request { method: "POST", body: None, .. }))
}

/// Reads what is asked for. A body that has not been read is an empty one.
pub fn read(rules: &Arc<Rules>, plans: &mut Plans, incoming: &Incoming<'_>) -> Result<Asked, Rejected> {
    let _ = (rules, plans, incoming);
    Err(Rejected::new("BAD_REQUEST", "not built yet"))
}

impl Default for Way<'_> {
    fn default() -> Self {
        Self::Message(&[])
    }
}

impl<'i> Incoming<'i> {
    /// Takes note of a line of the head.
    pub fn field(&mut self, name: &[u8], value: &'i [u8]) {
        let _ = (name, value);
    }

    /// Gives it the body.
    pub fn give(&mut self, octets: &'i [u8]) {
        if let Way::Request { body, .. } = &mut self.way {
            *body = Some(octets);
        }
    }
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
