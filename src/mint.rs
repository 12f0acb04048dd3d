//! What is made here: claims and tokens, keys and the texts they are written as. Pure: randomness and the time are
//! arguments.

pub mod api_key;
pub mod managed;
