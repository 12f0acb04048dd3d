//! Whatever document the gateway takes, bluejay-parser takes with the same structure, and apollo-compiler where it takes it.
//!
//! The octets are read twice: as a document, and as numbers by which a document is made of others token by token, since
//! octets alone hardly ever make one.
#![no_main]

#[path = "../../documents/mutants.rs"]
mod mutants;
#[path = "../../documents/seeds.rs"]
mod seeds;
#[path = "../../documents/shapes.rs"]
mod shapes;

use libfuzzer_sys::fuzz_target;

use crate::mutants::{Chance, mutant};
use crate::seeds::SEEDS;

fuzz_target!(|octets: &[u8]| {
    if let Ok(text) = std::str::from_utf8(octets) {
        check(text);
    }
    let seed =
        octets.iter().fold(0_u64, |seed, octet| seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*octet));
    check(&mutant(SEEDS, &mut Chance(seed)));
});

fn check(text: &str) {
    let Some(read) = shapes::ours(text) else { return };
    assert_eq!(Some(&read), shapes::bluejay(text).as_ref(), "bluejay-parser: {text:?}");
    if let Some(other) = shapes::apollo(text) {
        assert_eq!(read, other, "apollo-compiler: {text:?}");
    }
}
