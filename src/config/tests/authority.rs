//! `credentials`, `tokens`, `endpoints`, `oauth`: what they come to.

mod accepted;
mod refused;
