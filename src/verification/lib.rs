//! Signatures that are verified faster than the library verifies them: with instructions that it does not use for it
//! ([`rsassa`]), or with what is known of a key beforehand ([`ecdsa`]).
//!
//! Both are public, signatures and the keys that verify them: nothing here has to take the same time for all of them, and
//! nothing here could sign. aws-lc-rs stays the judge of keys, makes the digests, and is what both are compared with, beside
//! `num-bigint` and, in the gateway's tests, Wycheproof.
//!
//! A package of its own, so that it is optimised where nothing else of ours is: unoptimised, a signature takes a millisecond.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

pub mod ecdsa;
pub mod rsassa;
