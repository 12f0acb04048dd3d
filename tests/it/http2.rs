//! HTTP/2 is the same gateway: what is decided, forwarded and refused in HTTP/1.1 is so in HTTP/2, in every
//! combination of the two sides.

mod downstream;
mod grpc;
mod hostile;
mod pairs;
pub mod scene;
mod trailers;
mod upstream;
mod websocket;
