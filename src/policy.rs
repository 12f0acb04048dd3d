//! Compiled routes and what they require: matching, permissions, conditions.

pub mod condition;
pub mod identity;
pub mod requirement;
pub mod route;
