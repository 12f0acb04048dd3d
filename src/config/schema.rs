//! schema (skeleton)
