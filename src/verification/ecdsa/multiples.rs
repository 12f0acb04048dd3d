//! So many times a point, by multiples of it that were reckoned beforehand.
//!
//! A factor is written with digits that are zero or odd, may be negative and are as far apart as they are wide, and is cut
//! into slices of 32 bits. For each slice there are the odd multiples of the point shifted by as many bits, so that all
//! slices are doubled together: 32 doublings for two factors, and an addition for every digit that is not zero (B. Möller,
//! "Algorithms for multi-exponentiation", 2001).

use std::{array, iter};

use crate::ecdsa::point::{Affine, Jacobian};
use crate::ecdsa::residue::Limbs;

/// Bits of a slice.
const SLICE: usize = 32;

/// Slices of a factor.
const SLICES: usize = 256 / SLICE;

/// Places of a slice.
const PLACES: usize = SLICE + 1;

/// Odd multiples of a point, for each slice.
pub(super) struct Multiples([Box<[Affine]>; SLICES]);

impl Multiples {
    /// Of a point, for digits of this many bits.
    pub(super) fn of(point: Affine, bits: u32) -> Self {
        let each = 1_usize << (bits - 2);
        let shifted = |point: &Jacobian| Some((0..SLICE).fold(*point, |point, _| point.doubled()));
        let once: Vec<Jacobian> = iter::successors(Some(point.into()), shifted).take(SLICES).collect();
        let twice: Vec<Jacobian> = once.iter().map(|point| point.doubled()).collect();
        let odd = once.into_iter().zip(Affine::all_of(&twice)).flat_map(|(once, twice)| {
            iter::successors(Some(once), move |last| Some(last.plus(twice))).take(each)
        });
        let multiples = Affine::all_of(&odd.collect::<Vec<_>>());
        Self(array::from_fn(|slice| multiples[slice * each..][..each].into()))
    }

    /// Adds what the digits at this place of the slices stand for.
    fn add_to(&self, sum: &mut Jacobian, digits: &Digits, place: usize) {
        let mut slices = digits.slices[place];
        while slices != 0 {
            let slice = slices.trailing_zeros() as usize;
            slices &= slices - 1;
            let digit = digits.digits[slice][place];
            let multiple = self.0[slice][usize::from(digit.unsigned_abs() / 2)];
            *sum = sum.plus(multiple.negated_if(digit < 0));
        }
    }
}

/// A factor's digits. The highest slice may have one more.
pub(super) struct Digits {
    digits: [[i8; PLACES]; SLICES],
    /// Of each place: in which slices it is not zero, a bit for each.
    slices: [u8; PLACES],
}

impl Digits {
    /// Digits of so many bits.
    pub(super) fn of(factor: Limbs, bits: u32) -> Self {
        let mut digits = Self { digits: [[0; PLACES]; SLICES], slices: [0; PLACES] };
        let (mut at, mut carry) = (0, 0);
        while at < 256 {
            if bit(factor, at) == carry {
                at += 1;
                continue;
            }
            // Odd; if it is more than half of what so many bits write, the rest up to there is taken away instead.
            let digit = (0..bits as usize).map(|more| bit(factor, at + more) << more).sum::<i16>() + carry;
            carry = digit >> (bits - 1);
            digits.put(at / SLICE, at % SLICE, (digit - (carry << bits)) as i8);
            at += bits as usize;
        }
        if carry != 0 {
            digits.put(SLICES - 1, SLICE, 1);
        }
        digits
    }

    fn put(&mut self, slice: usize, place: usize, digit: i8) {
        self.digits[slice][place] = digit;
        self.slices[place] |= 1 << slice;
    }
}

fn bit(number: Limbs, at: usize) -> i16 {
    number.get(at / 64).map_or(0, |limb| (limb >> (at % 64) & 1) as i16)
}

/// The sum of two points, each taken so many times.
pub(super) fn sum(one: (&Multiples, &Digits), other: (&Multiples, &Digits)) -> Jacobian {
    let mut sum = Jacobian::INFINITY;
    for place in (0..PLACES).rev() {
        sum = sum.doubled();
        one.0.add_to(&mut sum, one.1, place);
        other.0.add_to(&mut sum, other.1, place);
    }
    sum
}
