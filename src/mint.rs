//! What is minted here: texts and JSON made from templates, and what is random or signed in them.
//!
//! Pure: the time and every random octet are arguments.

pub mod api_key;
pub mod jwt;
pub mod managed;
pub mod opaque;
pub mod sealed;
pub mod template;

/// Fills octets with randomness, each time with other.
pub type Entropy<'e> = &'e mut dyn FnMut(&mut [u8]) -> Result<(), NoEntropy>;

/// There is no randomness to be had: nothing is minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no randomness to be had")]
pub struct NoEntropy;
