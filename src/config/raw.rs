//! raw (skeleton)
