//! Verdicts against the library's, and points against points.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair, ParsedPublicKey};
use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

const MESSAGE: &[u8] = b"header.payload";

const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

struct Both {
    key: EcdsaKeyPair,
    ours: Ecdsa,
    library: ParsedPublicKey,
}

impl Both {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let point = key.public_key().as_ref();
        let library = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).expect("a key");
        Self { ours: Ecdsa::new(point).expect("a key"), library, key }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }

    #[track_caller]
    fn verdict(&self, message: &[u8], signature: &[u8]) -> bool {
        let verdict = self.library.verify_sig(message, signature).is_ok();
        assert_eq!(self.ours.verifies(message, signature), verdict);
        verdict
    }
}

fn order() -> BigUint {
    BigUint::parse_bytes(ORDER.as_bytes(), 16).expect("a number")
}

fn octets(number: &BigUint) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; LENGTH - octets.len()], octets].concat()
}

#[test]
fn verdicts_are_the_librarys() {
    for round in 0..6_u8 {
        let both = Both::new();
        let message = [MESSAGE, &[round]].concat();
        let signature = both.sign(&message);
        assert!(both.verdict(&message, &signature));
        assert!(!both.verdict(MESSAGE, &signature));
        for at in (0..signature.len() * 8).step_by(7) {
            let mut broken = signature.clone();
            broken[at / 8] ^= 1 << (at % 8);
            assert!(!both.verdict(&message, &broken), "bit {at}");
        }
        for other in [&[&signature[..], &[0]].concat()[..], &signature[1..], &signature[..LENGTH], &[]] {
            assert!(!both.verdict(&message, other), "{} octets", other.len());
        }
        // The other signature of the same message is one as well (RFC 7518 does not forbid it), and no third is.
        let (r, s) =
            (BigUint::from_bytes_be(&signature[..LENGTH]), BigUint::from_bytes_be(&signature[LENGTH..]));
        assert!(both.verdict(&message, &[octets(&r), octets(&(order() - &s))].concat()));
        for other in [BigUint::ZERO, order(), order() - 1_u32, BigUint::from(1_u32)] {
            both.verdict(&message, &[octets(&other), octets(&s)].concat());
            both.verdict(&message, &[octets(&r), octets(&other)].concat());
        }
        if let Some(more) = Some(&s + order()).filter(|more| more.bits() <= 256) {
            assert!(!both.verdict(&message, &[octets(&r), octets(&more)].concat()));
        }
    }
}

/// So many times a point, a bit at a time.
fn taken(point: Affine, times: &BigUint) -> Jacobian {
    (0..256).rev().fold(Jacobian::INFINITY, |sum, bit| {
        let sum = sum.doubled();
        if times.bit(bit) { sum.plus(point) } else { sum }
    })
}

fn limbs(number: &BigUint) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, digit) in limbs.iter_mut().zip(number.iter_u64_digits()) {
        *limb = digit;
    }
    limbs
}

/// One of them may be at infinity, which no affine point is.
fn is_same(one: &Jacobian, other: &Jacobian) -> bool {
    match (one.is_infinity(), other.is_infinity()) {
        (false, false) => Affine::all_of(&[*one]) == Affine::all_of(&[*other]),
        (one, other) => one && other,
    }
}

fn factors() -> impl Strategy<Value = BigUint> {
    let octet = prop_oneof![Just(0x00_u8), Just(0xff), Just(0x80), Just(0x01), any::<u8>()];
    prop::collection::vec(octet, LENGTH).prop_map(|octets| BigUint::from_bytes_be(&octets))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_those_of_a_bit_at_a_time(one in factors(), other in factors(), times in 1..u32::MAX) {
        let point = Affine::all_of(&[taken(point::GENERATOR, &BigUint::from(times))])[0];
        let sum = multiples::sum(
            (&OF_GENERATOR, &Digits::of(limbs(&one), GENERATOR)),
            (&Multiples::of(point, KEY), &Digits::of(limbs(&other), KEY)),
        );
        let expected = taken(point::GENERATOR, &((one + other * times) % order()));
        prop_assert!(is_same(&sum, &expected));
    }
}

/// What additions do not know by themselves: the same point, the one across, and infinity.
#[test]
fn sums_that_meet_on_the_way() {
    let generator = point::GENERATOR;
    let factors = [1_u32, 2, 3, 15, 16, 17, 127, 128].map(BigUint::from);
    let factors = factors.iter().flat_map(|factor| [factor.clone(), order() - factor]).chain([BigUint::ZERO]);
    let factors: Vec<BigUint> = factors.collect();
    for times in [BigUint::from(1_u32), order() - 1_u32, BigUint::from(3_u32)] {
        let multiples = Multiples::of(Affine::all_of(&[taken(generator, &times)])[0], KEY);
        for one in &factors {
            for other in &factors {
                let sum = multiples::sum(
                    (&OF_GENERATOR, &Digits::of(limbs(one), GENERATOR)),
                    (&multiples, &Digits::of(limbs(other), KEY)),
                );
                let expected = taken(generator, &((one + other * &times) % order()));
                assert!(is_same(&sum, &expected), "{one} {other} {times}");
            }
        }
    }
}

/// r is an x modulo the order, and an x may be larger than that: some thirty signatures of 2^128 are so.
#[test]
fn an_x_beyond_the_order_counts() {
    let power = |exponent: u32| BigUint::from(1_u32) << exponent;
    let prime = power(256) - power(224) + power(192) + power(96) - 1_u32;
    let beyond = |x: &BigUint| {
        let b = BigUint::parse_bytes(b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b", 16);
        let square = (x.modpow(&3_u32.into(), &prime) + &prime * 3_u32 - x * 3_u32 + b.expect("b")) % &prime;
        let y = square.modpow(&((&prime + 1_u32) >> 2_u32), &prime);
        (&y * &y % &prime == square).then_some(y)
    };
    let (x, y) =
        (0_u32..).map(|more| order() + more).find_map(|x| beyond(&x).map(|y| (x, y))).expect("a point");
    let point = Affine::new(Field::read(&octets(&x)).expect("x"), Field::read(&octets(&y)).expect("y"));
    let point = Jacobian::from(point.expect("a point"));
    let r = Order::reduced(&octets(&x));
    assert!(is_x(&point, r), "x less the order");
    assert!(!is_x(&point.doubled(), r));
    assert!(!is_x(&point, r + Order::ONE));
}

fn hex(text: &str) -> Vec<u8> {
    octets(&BigUint::parse_bytes(text.as_bytes(), 16).expect("a number"))
}

/// Keys and signatures that were made for what they lead to; ours and the library say the same of them.
#[test]
fn signatures_that_lead_to_the_ends() {
    let verdict = |x: &str, y: &str, r: &str, s: &str| {
        let point = [vec![4], hex(x), hex(y)].concat();
        let signature = [hex(r), hex(s)].concat();
        let library = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &point).expect("a key");
        let verdict = library.verify_sig(MESSAGE, &signature).is_ok();
        assert_eq!(Ecdsa::new(&point).expect("a key").verifies(MESSAGE, &signature), verdict, "{r}");
        verdict
    };
    let (x, y) = (
        "3ecdad053e4709f89d73f0494388850eaa07d6207896ad8ad681be8e9c942591",
        "eeb2f7511b4cf3879c6b1940a18a5d6add7ce151be3bdd74a4b606b6670ac98c",
    );
    assert!(verdict(x, y, "3", "1"), "an x of the order and three");
    assert!(!verdict(x, y, "4", "1"));
    let (x, y) = (
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    );
    let infinity = "1c0143a70c42b74c720eb4d8e066fa549772d88245bcb71e491e6a53c428dabe";
    assert!(!verdict(x, y, infinity, "1"), "infinity");
}

#[test]
fn what_is_no_point_is_no_key() {
    let generator = Both::new().library.as_ref().to_vec();
    assert!(Ecdsa::new(&generator).is_some());
    for at in [0, 1, 40, 64] {
        let mut other = generator.clone();
        other[at] ^= 1;
        assert!(Ecdsa::new(&other).is_none(), "octet {at}");
    }
    assert!(Ecdsa::new(&generator[..64]).is_none());
    assert!(Ecdsa::new(&[&generator[..], &[0]].concat()).is_none());
    assert!(Ecdsa::new(&[0; 65]).is_none());
    assert!(Ecdsa::new(&[]).is_none());
}
