//! GraphQL in front of an upstream that knows nothing of permissions.

mod bodies;
mod conversation;
mod streams;
mod filter;
mod operations;
mod persisted;
mod posted;
mod told;
mod transport;
