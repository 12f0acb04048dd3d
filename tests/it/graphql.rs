//! GraphQL in front of an upstream that knows nothing of permissions.

mod conversation;
mod streams;
