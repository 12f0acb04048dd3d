//! requirement (skeleton)
