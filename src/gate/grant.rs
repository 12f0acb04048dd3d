//! grant (skeleton)
