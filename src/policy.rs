//! Compiled routes and what they require.

pub mod condition;
pub mod requirement;
pub mod route;
