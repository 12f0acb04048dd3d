//! condition (skeleton)
