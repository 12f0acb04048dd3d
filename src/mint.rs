//! What is minted here: texts and JSON made from templates, and what is random or signed in them.
//!
//! Pure: the time and every random octet are arguments.

pub mod api_key;
pub mod template;
