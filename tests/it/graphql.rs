//! GraphQL in front of an upstream that knows nothing of permissions.

mod arguments;
mod bodies;
mod conversation;
mod filter;
mod operations;
mod persisted;
mod posted;
mod reserved;
mod streams;
mod told;
mod transport;
