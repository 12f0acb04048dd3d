//! GraphQL: from the octets of a request to the permissions that its operations need.
//!
//! One way for all that brings operations: a body, a query string, an item of a list, a message of a WebSocket. What the
//! upstream will run is what is judged here, or nothing is sent on.

pub mod accepted;
pub mod arguments;
pub mod asked;
pub mod conversation;
pub mod document;
pub mod envelope;
pub mod head;
mod members;
pub mod merged;
pub mod needs;
pub mod parameters;
pub mod persisted;
pub mod plan;
pub mod planning;
pub mod plans;
pub mod pruned;
pub mod rejected;
pub mod reserved;
pub mod rules;
pub mod schema;
