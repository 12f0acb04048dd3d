use std::collections::HashSet;

use crate::gate::memo::fingerprint::{Fingerprints, PAIR, PAIRS};

/// A token's worth of octets that differ.
fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| {
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[(at * 7 + at / 65) % 65]
        })
        .collect()
}

#[test]
fn r2_every_octet_and_every_bit_of_a_token_counts() {
    let all = Fingerprints::new([1; 16]);
    for length in [1, 15, 16, 17, 40, 1023, 1024, 1025, 2500] {
        let mut seen = HashSet::from([all.of(&text(length))]);
        for at in 0..length {
            for bit in 0..8 {
                let mut other = text(length);
                other[at] ^= 1 << bit;
                assert!(seen.insert(all.of(&other)), "bit {bit} of octet {at} of {length}");
            }
        }
    }
}

#[test]
fn r2_a_token_is_none_of_its_beginnings_padded_or_not() {
    let all = Fingerprints::new([1; 16]);
    let mut seen = HashSet::new();
    for length in 0..3 * PAIRS * PAIR {
        assert!(seen.insert(all.of(&vec![0; length])), "{length} zeros");
        assert!(seen.insert(all.of(&text(length + 1))), "the first {length}");
    }
}

#[test]
fn r2_parts_that_change_places_make_another_token() {
    let all = Fingerprints::new([1; 16]);
    let token = text(3 * PAIRS * PAIR);
    for size in [1, 8, PAIR, PAIRS * PAIR] {
        let mut seen = HashSet::from([all.of(&token)]);
        for at in 0..token.len() / size - 1 {
            let mut other = token.clone();
            let (before, after) = other.split_at_mut((at + 1) * size);
            before[at * size..].swap_with_slice(&mut after[..size]);
            assert_eq!(seen.insert(all.of(&other)), other != token, "part {at} of {size} octets");
        }
    }
}

#[test]
fn r2_another_key_gives_other_fingerprints() {
    let token = text(800);
    let keys = (0..=255).map(|octet| Fingerprints::new([octet; 16]).of(&token));
    assert_eq!(keys.collect::<HashSet<_>>().len(), 256);
}

/// NH as its definition has it, word by word: a sum of products, each of two words that a key was added to.
#[test]
fn a_block_is_hashed_as_the_definition_says() {
    let all = Fingerprints::new([9; 16]);
    let key: Vec<u64> = all.pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    assert_eq!(key.iter().collect::<HashSet<_>>().len(), 2 * PAIRS + 2, "no word of the key stands twice");
    for length in [0, 3, 16, 64, 797, 1024] {
        let mut octets = text(length);
        octets.resize(length.div_ceil(PAIR) * PAIR, 0);
        let words: Vec<u64> = octets
            .chunks(8)
            .map(|word| word.iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
            .collect();
        let pass = |shift: usize| {
            (0..words.len() / 2).fold(0_u128, |sum, at| {
                let (one, other) = (2 * at, 2 * at + 1);
                let one = words[one].wrapping_add(key[one + shift]);
                let other = words[other].wrapping_add(key[other + shift]);
                sum.wrapping_add(u128::from(one) * u128::from(other))
            })
        };
        assert_eq!(all.block(&text(length)), (pass(0), pass(2)), "{length} octets");
    }
}
