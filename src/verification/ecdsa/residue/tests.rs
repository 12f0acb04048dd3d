//! Arithmetic against `num-bigint`, where carries are likeliest to go wrong.

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

fn big(limbs: Limbs) -> BigUint {
    let octets: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigUint::from_bytes_le(&octets)
}

fn octets(number: &BigUint) -> [u8; 32] {
    let octets = number.to_bytes_be();
    let mut padded = [0; 32];
    padded[32 - octets.len()..].copy_from_slice(&octets);
    padded
}

fn numbers() -> impl Strategy<Value = Limbs> {
    let limb = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(0xffff_ffff),
        Just(0xffff_ffff_0000_0000),
        Just(0xffff_ffff_0000_0001),
        any::<u64>()
    ];
    prop::array::uniform4(limb)
}

fn check<P: Prime>(one: Limbs, other: Limbs) {
    let prime = big(P::PRIME);
    let read = |limbs| Residue::<P>::reduced(&octets(&(big(limbs) % &prime)));
    let (a, b) = (big(one) % &prime, big(other) % &prime);
    let (x, y) = (read(one), read(other));
    assert_eq!(big(x.limbs()), a);
    assert_eq!(big((x * y).limbs()), &a * &b % &prime);
    assert_eq!(big((x + y).limbs()), (&a + &b) % &prime);
    assert_eq!(big((x - y).limbs()), (&a + &prime - &b) % &prime);
    assert_eq!(big((-x).limbs()), (&prime - &a) % &prime);
    assert_eq!(big(x.square().limbs()), &a * &a % &prime);
    assert_eq!(big(x.double().limbs()), (&a + &a) % &prime);
    assert_eq!(big(x.inverse().limbs()), a.modpow(&(&prime - 2_u32), &prime));
    assert_eq!(big(Residue::<P>::reduced(&octets(&big(one))).limbs()), a);
    let is_below = big(one) < prime;
    assert_eq!(Residue::<P>::read(&octets(&big(one))).is_some(), is_below);
    let sum = big(one) + big(other);
    assert_eq!(sum_below::<P>(one, other).map(big), (sum < prime).then_some(sum));
}

proptest! {
    #[test]
    fn numbers_are_those_of_num_bigint(one in numbers(), other in numbers()) {
        check::<FieldPrime>(one, other);
        check::<OrderPrime>(one, other);
    }
}

#[test]
fn numbers_at_the_ends_of_the_range() {
    for prime in [FieldPrime::PRIME, OrderPrime::PRIME] {
        let (less, more) = ([prime[0] - 1, prime[1], prime[2], prime[3]], add(prime, [1, 0, 0, 0]).0);
        for one in [[0; 4], [1, 0, 0, 0], less, prime, more, [u64::MAX; 4]] {
            for other in [[0; 4], [1, 0, 0, 0], less, prime, more, [u64::MAX; 4]] {
                check::<FieldPrime>(one, other);
                check::<OrderPrime>(one, other);
            }
        }
    }
}
