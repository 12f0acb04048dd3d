//! HTTP/2, both sides, by prior knowledge: a client, an upstream and raw frames. They stand on the `h2` crate, as hyper does.

pub mod client;
pub mod frames;
pub mod upstream;
