//! A number to the power of 65537 modulo another, with AVX-512 IFMA: numbers are digits of 52 bits, eight to a vector,
//! multiplied as in P. L. Montgomery, "Modular Multiplication Without Trial Division" (1985), a digit at a time.
//!
//! R = 2^(52 * 8 * N) is more than four times the modulus (256 times, as it happens). So factors may be up to twice the
//! modulus, products stay below twice of it, and nothing is subtracted before the end (C. D. Walter, "Montgomery
//! exponentiation needs no final subtractions", 1999).
//!
//! That the processor has the instructions is proved by a value, [`Avx512`], without which the kernels cannot be called: the
//! one call that the compiler could not check for itself stands in `fearless_simd`.

#[cfg(test)]
mod tests;

use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512,
    _mm512_castsi512_si128, _mm512_cmpeq_epu64_mask, _mm512_cmpgt_epu64_mask, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_add_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_zextsi128_si512,
};
use std::array;

use fearless_simd::{Avx512, Level, SimdFrom, kernel, u64x8};

/// Bits of a digit.
const BITS: u32 = 52;

/// Bits that a digit leaves of a word.
const SPARE: u32 = 64 - BITS;

/// The bits of a digit.
const DIGIT: u64 = (1 << BITS) - 1;

/// Digits of a vector.
const LANES: usize = 8;

/// Octets of two digits.
const PAIR: usize = 2 * BITS as usize / 8;

/// 65537 is 2^16 + 1.
const SQUARINGS: usize = 16;

/// Below R: digits, the lowest first.
type Number<const N: usize> = [[u64; LANES]; N];

/// A number below R in vectors. Its digits may be larger while it is added up.
type Vectors<const N: usize> = [__m512i; N];

/// A modulus, in vectors enough for its length.
pub(super) enum Modulus {
    Of5(Box<Prepared<5>>),
    Of8(Box<Prepared<8>>),
    Of10(Box<Prepared<10>>),
}

/// A modulus, and what is known of it beforehand.
#[derive(Clone)]
pub(super) struct Prepared<const N: usize> {
    avx512: Avx512,
    modulus: Number<N>,
    /// R * R modulo it.
    square: Number<N>,
    /// -1/modulus, modulo 2^52.
    inverse: u64,
}

impl Modulus {
    /// Of an odd number without leading zeros. `None` where it is too long, or the processor lacks the instructions.
    pub(super) fn new(octets: &[u8]) -> Option<Self> {
        let avx512 = Level::new().as_avx512()?;
        // R is four times it and more.
        let fits = |vectors: usize| octets.len() * 8 + 2 <= vectors * LANES * BITS as usize;
        Some(match () {
            () if fits(5) => Self::Of5(Box::new(Prepared::new(avx512, octets))),
            () if fits(8) => Self::Of8(Box::new(Prepared::new(avx512, octets))),
            () if fits(10) => Self::Of10(Box::new(Prepared::new(avx512, octets))),
            () => return None,
        })
    }

    /// Whether `root` is below the modulus, and is `power` when raised to 65537 (RSAVP1, RFC 8017 section 5.2.2). Both are
    /// as many octets as the modulus.
    pub(super) fn is_root(&self, root: &[u8], power: &[u8]) -> bool {
        match self {
            Self::Of5(prepared) => prepared.is_root(raised_5, root, power),
            Self::Of8(prepared) => prepared.is_root(raised_8, root, power),
            Self::Of10(prepared) => prepared.is_root(raised_10, root, power),
        }
    }
}

kernel!(
    fn raised_5(avx512: Avx512, prepared: &Prepared<5>, base: &Number<5>) -> Number<5> {
        raised(avx512, prepared, base)
    }
);

kernel!(
    fn raised_8(avx512: Avx512, prepared: &Prepared<8>, base: &Number<8>) -> Number<8> {
        raised(avx512, prepared, base)
    }
);

kernel!(
    fn raised_10(avx512: Avx512, prepared: &Prepared<10>, base: &Number<10>) -> Number<10> {
        raised(avx512, prepared, base)
    }
);

/// A number to the power of 65537: less than twice the modulus.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn raised<const N: usize>(avx512: Avx512, prepared: &Prepared<N>, base: &Number<N>) -> Number<N> {
    let factors = Factors::of(prepared);
    // x stands for x * R; multiplying two of them leaves one R, and multiplying with a plain number none.
    let mut power = factors.product(&vectors(avx512, base), &prepared.square);
    for _ in 0..SQUARINGS {
        power = factors.product(&power, &digits(avx512, power));
    }
    digits(avx512, factors.product(&power, base))
}

/// What every product is made with.
struct Factors<const N: usize> {
    /// The modulus; the same one digit down; and two.
    modulus: [Vectors<N>; 3],
    /// Its three lowest digits.
    digits: [u64; 3],
    inverse: u64,
}

impl<const N: usize> Factors<N> {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn of(prepared: &Prepared<N>) -> Self {
        let modulus = vectors(prepared.avx512, &prepared.modulus);
        let [lowest, second, third, ..] = prepared.modulus[0];
        Self {
            modulus: [modulus, lowered(modulus), lowered(lowered(modulus))],
            digits: [lowest, second, third],
            inverse: prepared.inverse << SPARE,
        }
    }

    /// `one * other / R`, modulo the modulus.
    ///
    /// For each digit of `other`: add so many times `one`, then so many times the modulus as make the lowest digit zero, and
    /// drop that. How many times the modulus decides how many times the next, and everything waits for that chain. To keep it
    /// short, the vectors hear of the modulus two digits late; until then what it adds to the lowest digit is reckoned
    /// apart from them. For the same reason products are added up before they are added to the sum.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn product(&self, one: &Vectors<N>, other: &Number<N>) -> Vectors<N> {
        let [modulus, lowered_once, lowered_twice] = &self.modulus;
        let none = [_mm512_setzero_si512(); N];
        let (mut sum, mut high) = (none, none);
        // What the digit dropped last carries over, and how many times it was the modulus there and before.
        let (mut over, mut last, mut before) = (0, 0, 0);
        for &digit in other.as_flattened() {
            let (digit, times) = (broadcast(digit), broadcast(before >> SPARE));
            sum = added(sum, add_low(high, one, digit));
            high = add_high(none, one, digit);
            let lowest = low(sum[0]) + over + self.in_third(before) + self.in_second(last);
            // Of its lower bits, which become zero, a one is left over unless they are zero already.
            over = (lowest >> BITS) + u64::from(lowest & DIGIT != 0);
            before = last;
            last = lowest.wrapping_mul(self.inverse);
            let moduli = add_high(add_low(none, lowered_twice, times), lowered_once, times);
            sum = lowered(added(sum, moduli));
        }
        let (before, last) = (broadcast(before >> SPARE), broadcast(last >> SPARE));
        let moduli = add_high(add_low(high, lowered_twice, before), lowered_once, before);
        let moduli = add_high(add_low(moduli, lowered_once, last), modulus, last);
        let mut sum = added(sum, moduli);
        sum[0] = _mm512_add_epi64(sum[0], lone(over));
        settled(sum)
    }

    /// What so many times the modulus (shifted by [`SPARE`]) add to the second digit, but for what the lowest carries over.
    fn in_second(&self, times: u64) -> u64 {
        upper(times, self.digits[0]) + lower(times, self.digits[1])
    }

    /// Likewise to the third.
    fn in_third(&self, times: u64) -> u64 {
        upper(times, self.digits[1]) + lower(times, self.digits[2])
    }
}

/// The upper digit of a product whose first factor is shifted by [`SPARE`].
fn upper(shifted: u64, digit: u64) -> u64 {
    ((u128::from(shifted) * u128::from(digit)) >> 64) as u64
}

/// The lower digit.
fn lower(shifted: u64, digit: u64) -> u64 {
    shifted.wrapping_mul(digit) >> SPARE
}

#[target_feature(enable = "avx512f")]
#[inline]
fn broadcast(digit: u64) -> __m512i {
    _mm512_set1_epi64(digit.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn low(vector: __m512i) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(vector)).cast_unsigned()
}

/// Adds the lower halves of the digits' products.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn add_low<const N: usize>(sum: Vectors<N>, factor: &Vectors<N>, digit: __m512i) -> Vectors<N> {
    array::from_fn(|at| _mm512_madd52lo_epu64(sum[at], factor[at], digit))
}

/// Adds the upper halves of the digits' products, which belong a digit higher.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn add_high<const N: usize>(sum: Vectors<N>, factor: &Vectors<N>, digit: __m512i) -> Vectors<N> {
    array::from_fn(|at| _mm512_madd52hi_epu64(sum[at], factor[at], digit))
}

/// All digits one place down: the lowest is dropped.
#[target_feature(enable = "avx512f")]
#[inline]
fn lowered<const N: usize>(number: Vectors<N>) -> Vectors<N> {
    array::from_fn(|at| {
        let above = number.get(at + 1).copied().unwrap_or_else(|| _mm512_setzero_si512());
        _mm512_alignr_epi64::<1>(above, number[at])
    })
}

/// All digits one place up: nothing is in the highest.
#[target_feature(enable = "avx512f")]
#[inline]
fn raised_by_one<const N: usize>(number: Vectors<N>) -> Vectors<N> {
    array::from_fn(|at| {
        let below = at.checked_sub(1).map_or_else(|| _mm512_setzero_si512(), |at| number[at]);
        _mm512_alignr_epi64::<7>(number[at], below)
    })
}

/// A vector of one digit, the lowest.
#[target_feature(enable = "avx512f")]
#[inline]
fn lone(digit: u64) -> __m512i {
    _mm512_zextsi128_si512(_mm_cvtsi64_si128(digit.cast_signed()))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn vectors<const N: usize>(avx512: Avx512, number: &Number<N>) -> Vectors<N> {
    array::from_fn(|at| u64x8::simd_from(avx512, number[at]).into())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn digits<const N: usize>(avx512: Avx512, vectors: Vectors<N>) -> Number<N> {
    vectors.map(|vector| u64x8::simd_from(avx512, vector).into())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn added<const N: usize>(one: Vectors<N>, other: Vectors<N>) -> Vectors<N> {
    array::from_fn(|at| _mm512_add_epi64(one[at], other[at]))
}

/// Carries what is too large for a digit to the next one. The number is below R.
#[target_feature(enable = "avx512f")]
#[inline]
fn settled<const N: usize>(sum: Vectors<N>) -> Vectors<N> {
    let most = broadcast(DIGIT);
    let carries = sum.map(|vector| _mm512_srli_epi64::<BITS>(vector));
    let kept = sum.map(|vector| _mm512_and_si512(vector, most));
    let sum = added(kept, raised_by_one(carries));
    // Now a digit is a little too large at most: it carries a one, and so does the next if that makes it too large.
    let (mut carry, mut full) = (0_u128, 0_u128);
    for (at, vector) in sum.iter().enumerate() {
        carry |= u128::from(_mm512_cmpgt_epu64_mask(*vector, most)) << (LANES * at);
        full |= u128::from(_mm512_cmpeq_epu64_mask(*vector, most)) << (LANES * at);
    }
    let ones = ((carry << 1) + full) ^ full;
    let one = broadcast(1);
    array::from_fn(|at| {
        let with_one = _mm512_mask_add_epi64(sum[at], (ones >> (LANES * at)) as u8, sum[at], one);
        _mm512_and_si512(with_one, most)
    })
}

impl<const N: usize> Prepared<N> {
    fn new(avx512: Avx512, octets: &[u8]) -> Self {
        let modulus: Number<N> = number(octets);
        // Each step doubles the bits that are right; of an odd number, three are to begin with.
        let lowest = modulus[0][0];
        let inverse = (0..5).fold(lowest, |inverse, _| {
            inverse.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(inverse)))
        });
        // The highest bit of the modulus alone, which is less than it: from there to R * R bit by bit.
        let highest = octets.len() * 8 - 1 - octets.first().map_or(0, |first| first.leading_zeros() as usize);
        let mut square = [[0; LANES]; N];
        square.as_flattened_mut()[highest / BITS as usize] = 1 << (highest % BITS as usize);
        for _ in highest..2 * BITS as usize * LANES * N {
            double(&mut square);
            reduce(&mut square, &modulus);
        }
        Self { avx512, modulus, square, inverse: inverse.wrapping_neg() & DIGIT }
    }

    fn is_root(&self, raised: fn(Avx512, &Self, &Number<N>) -> Number<N>, root: &[u8], power: &[u8]) -> bool {
        let root = number(root);
        if !is_less(&root, &self.modulus) {
            return false;
        }
        // Less than twice the modulus, as every product is.
        let mut found = raised(self.avx512, self, &root);
        reduce(&mut found, &self.modulus);
        found == number(power)
    }
}

/// The number that big-endian octets write.
fn number<const N: usize>(octets: &[u8]) -> Number<N> {
    debug_assert!(octets.len() <= LANES * N / 2 * PAIR, "a number that does not fit");
    let mut number = [[0; LANES]; N];
    for (digits, octets) in number.as_flattened_mut().chunks_exact_mut(2).zip(octets.rchunks(PAIR)) {
        let mut wide = [0; 16];
        wide[16 - octets.len()..].copy_from_slice(octets);
        let wide = u128::from_be_bytes(wide);
        digits.copy_from_slice(&[wide as u64 & DIGIT, (wide >> BITS) as u64]);
    }
    number
}

fn is_less<const N: usize>(one: &Number<N>, other: &Number<N>) -> bool {
    one.as_flattened().iter().rev().lt(other.as_flattened().iter().rev())
}

/// Of a number less than twice the modulus: what is left of it.
fn reduce<const N: usize>(number: &mut Number<N>, modulus: &Number<N>) {
    if is_less(number, modulus) {
        return;
    }
    let mut borrow = 0;
    for (digit, less) in number.as_flattened_mut().iter_mut().zip(modulus.as_flattened()) {
        let rest = digit.wrapping_sub(*less).wrapping_sub(borrow);
        *digit = rest & DIGIT;
        borrow = rest >> 63;
    }
}

fn double<const N: usize>(number: &mut Number<N>) {
    let mut carry = 0;
    for digit in number.as_flattened_mut() {
        let twice = *digit << 1 | carry;
        *digit = twice & DIGIT;
        carry = twice >> BITS;
    }
}
