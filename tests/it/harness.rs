//! What the tests stand on: the real binary, real sockets, real keys, a recording upstream, a broken issuer.

pub mod api;
pub mod audit;
pub mod canary;
pub mod certificates;
pub mod client;
pub mod fault_proxy;
pub mod gateway;
pub mod h2;
pub mod issuer;
pub mod keys;
pub mod meter;
pub mod metrics;
pub mod process;
pub mod reader;
pub mod setup;
pub mod tls;
pub mod token;
pub mod upstream;
pub mod wait;
pub mod websocket;
pub mod wire;
