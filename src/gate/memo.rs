//! memo (skeleton)
