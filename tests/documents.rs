//! Documents of GraphQL as the gateway reads them and as libraries do: whatever it takes they take, with the same structure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking and exports nothing"
)]

#[path = "documents/external.rs"]
#[cfg(feature = "external")]
mod external;
#[path = "documents/mutants.rs"]
mod mutants;
#[path = "documents/seeds.rs"]
mod seeds;
#[path = "documents/shapes.rs"]
mod shapes;
#[path = "documents/verdicts.rs"]
mod verdicts;

use crate::mutants::{Chance, mutant};
use crate::seeds::SEEDS;
use crate::shapes::{apollo, bluejay, ours};

/// Documents that every run makes. The fuzz target makes a million.
const MUTANTS: usize = 10_000;

#[test]
fn seeds_are_read_as_libraries_read_them() {
    for seed in SEEDS {
        let read = ours(seed);
        assert!(read.is_some(), "{seed}");
        assert_eq!(read, bluejay(seed), "{seed}");
    }
}

#[test]
fn u6_what_is_taken_libraries_take_with_the_same_structure() {
    let mut chance = Chance(7);
    let (mut taken, mut by_apollo) = (0, 0);
    for _ in 0..MUTANTS {
        let document = mutant(SEEDS, &mut chance);
        let Some(read) = ours(&document) else { continue };
        taken += 1;
        assert_eq!(Some(&read), bluejay(&document).as_ref(), "bluejay-parser: {document:?}");
        if let Some(other) = apollo(&document) {
            by_apollo += 1;
            assert_eq!(read, other, "apollo-compiler: {document:?}");
        } else {
            assert!(unknown_to_apollo(&document), "apollo-compiler: {document:?}");
        }
    }
    assert!(
        taken > MUTANTS / 10 && by_apollo > MUTANTS / 20,
        "{taken} taken, {by_apollo} by apollo-compiler"
    );
}

/// apollo-compiler 1 reads the edition of 2021: no descriptions of operations and variables, and no `\u{…}`.
fn unknown_to_apollo(document: &str) -> bool {
    document.contains('"')
}
