//! defaults (skeleton)
