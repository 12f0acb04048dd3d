//! Exponentiation against `num-bigint`, where carries are likeliest to go wrong.

use num_bigint::BigUint;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const EXPONENT: u32 = 65537;

/// Octets of lengths that each kernel has, its longest and others.
const LENGTHS: [usize; 8] = [256, 257, 259, 260, 384, 415, 416, 519];

/// A processor without the instructions has nothing here to be tested: it never comes this far.
fn modulus(octets: &[u8]) -> Option<Modulus> {
    let modulus = Modulus::new(octets);
    assert_eq!(modulus.is_some(), Level::new().as_avx512().is_some(), "{} octets", octets.len());
    modulus
}

/// Octets whose digits are all ones, all zeros or anything, in runs: what makes carries run far.
fn octets(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let run = (prop_oneof![Just(0x00), Just(0xff), Just(0x01), any::<u8>()], 1..60_usize);
    let runs = prop::collection::vec(run, 1..40).prop_map(move |runs| {
        let octets = runs.into_iter().flat_map(|(octet, count)| std::iter::repeat_n(octet, count));
        octets.chain(std::iter::repeat(0xa5)).take(length).collect::<Vec<u8>>()
    });
    prop_oneof![runs, prop::collection::vec(any::<u8>(), length)]
}

/// An odd number of this many octets.
fn odd(length: usize) -> impl Strategy<Value = Vec<u8>> {
    octets(length).prop_map(|mut octets| {
        octets[0] |= 0x80;
        if let Some(last) = octets.last_mut() {
            *last |= 1;
        }
        octets
    })
}

fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; length - octets.len()], octets].concat()
}

#[track_caller]
fn check(modulus: &Modulus, octets: &[u8], root: &BigUint) {
    let (length, number) = (octets.len(), BigUint::from_bytes_be(octets));
    let power = root.modpow(&BigUint::from(EXPONENT), &number);
    let root = padded(root, length);
    assert!(modulus.is_root(&root, &padded(&power, length)), "{number} {root:?}");
    for other in [&power + 1_u32, &power ^ (BigUint::from(1_u32) << (length * 8 - 1)), BigUint::ZERO] {
        if other != power && other.bits() <= 8 * length as u64 {
            assert!(!modulus.is_root(&root, &padded(&other, length)), "{number} {root:?}");
        }
    }
}

#[test]
fn powers_are_those_of_num_bigint() {
    for length in LENGTHS {
        let mut runner =
            TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
        let numbers = (odd(length), octets(length));
        let checked = runner.run(&numbers, |(octets, root)| {
            let Some(modulus) = modulus(&octets) else { return Ok(()) };
            check(&modulus, &octets, &(BigUint::from_bytes_be(&root) % BigUint::from_bytes_be(&octets)));
            Ok(())
        });
        checked.unwrap_or_else(|error| panic!("{length} octets: {error}"));
    }
}

#[test]
fn roots_at_the_ends_of_the_range() {
    for length in LENGTHS {
        let ones = vec![0xff; length];
        let sparse = [vec![0x80], vec![0; length - 2], vec![1]].concat();
        for octets in [ones, sparse] {
            let Some(modulus) = modulus(&octets) else { return };
            let number = BigUint::from_bytes_be(&octets);
            let half = &number >> 1;
            for root in [BigUint::ZERO, BigUint::from(1_u32), BigUint::from(2_u32), half, &number - 1_u32] {
                check(&modulus, &octets, &root);
            }
            // RSAVP1's first step: what is not below the modulus is no signature, whatever it would come to.
            let one = padded(&BigUint::from(1_u32), length);
            for root in [padded(&number, length), vec![0xff; length]] {
                assert!(!modulus.is_root(&root, &vec![0; length]));
                assert!(!modulus.is_root(&root, &one));
            }
        }
    }
}

/// A power of zero that is found as the modulus itself.
#[test]
fn what_is_found_is_less_the_modulus() {
    for length in LENGTHS {
        let root = (BigUint::from(1_u32) << (4 * length)) - 1_u32;
        let Some(modulus) = modulus(&(&root * &root).to_bytes_be()) else { return };
        assert!(modulus.is_root(&padded(&root, length), &vec![0; length]), "{length} octets");
    }
}

#[test]
fn longer_ones_are_the_librarys() {
    assert!(Modulus::new(&[0xff; 520]).is_none());
    assert!(Modulus::new(&[0xff; 1024]).is_none());
}
