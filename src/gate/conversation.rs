//! A WebSocket whose messages are GraphQL operations, each decided by itself.

use std::sync::Arc;

use crate::policy::route::CompiledRoute;

/// A handshake that the gateway answers by itself. Made by the gate alone; it knows no upstream: the grants of its messages
/// do.
#[derive(Debug)]
pub struct Conversation {
    pub(in crate::gate) route: Arc<CompiledRoute>,
}

impl Conversation {
    /// The route that it is on.
    pub fn route(&self) -> &Arc<CompiledRoute> {
        &self.route
    }
}
