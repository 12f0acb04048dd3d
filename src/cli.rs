//! cli (skeleton)
