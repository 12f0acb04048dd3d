//! The promises to users, each kept on real sockets by the real binary.
//!
//! A module a promise. The invariants of the threat model are asserted by the harness on every answer and at the
//! end of every gateway's life: nothing leaks through (I1), one interpretation (I2), identity is ours (I3), no
//! secret leaves (I4), bounded (I5), fail closed and keep serving (I6).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test binary: a failed expectation is a failed test, and nothing here is anybody's library"
)]

mod activation;
mod admin;
mod allow;
mod authority;
mod cache;
mod claims_to_headers;
mod conditions;
mod cors;
mod denials;
mod endpoints;
mod exhaustion;
#[cfg(feature = "external")]
mod external;
mod forwarding;
mod framing;
mod graphql;
mod harness;
mod http2;
mod identity_headers;
mod importing;
mod keys;
mod lasting;
mod limits;
mod listeners;
mod logs;
mod managing;
mod metrics;
mod openapi;
mod operating;
mod paths;
mod regressions;
mod reload;
mod revocation;
mod revoking;
mod scene;
mod shadow;
mod shutdown;
mod signatures;
mod stampede;
mod store;
mod streaming;
mod tls;
mod tokens;
mod unix_sockets;
mod upgrade;
mod upstream_faults;
mod websocket;
