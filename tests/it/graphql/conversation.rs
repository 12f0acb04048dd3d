//! GraphQL over a WebSocket, in both protocols.

mod bounds;
mod identity;
mod lasting;
mod protocol;
pub mod spoken;
mod table;
mod upstreams;
mod ways;
