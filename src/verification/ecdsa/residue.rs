//! Numbers modulo the two primes of P-256 (SP 800-186 section 3.2.1.3): the field's and the order of its points.
//!
//! They are kept as x * 2^256 modulo the prime, and multiplied as in P. L. Montgomery, "Modular Multiplication Without Trial
//! Division" (1985).

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::ops::{Add, Mul, Neg, Sub};

/// Words of a number, the lowest first.
pub(super) type Limbs = [u64; 4];

/// A prime between 2^255 and 2^256.
pub(super) trait Prime: Copy + PartialEq {
    const PRIME: Limbs;
}

/// The prime of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldPrime {}

/// The order of the group of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderPrime {}

impl Prime for FieldPrime {
    const PRIME: Limbs = [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];
}

impl Prime for OrderPrime {
    const PRIME: Limbs =
        [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000];
}

/// A coordinate.
pub(super) type Field = Residue<FieldPrime>;

/// How many times a point is taken.
pub(super) type Order = Residue<OrderPrime>;

/// A number modulo a prime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Residue<P>(Limbs, PhantomData<P>);

impl<P: Prime> Residue<P> {
    /// The prime.
    pub(super) const MODULUS: Limbs = P::PRIME;

    pub(super) const ZERO: Self = Self([0; 4], PhantomData);

    /// 2^256, as which one is kept.
    pub(super) const ONE: Self = Self(power_of_two(256, P::PRIME), PhantomData);

    /// 2^512: what takes a number into Montgomery's form.
    const SQUARE: Self = Self(power_of_two(512, P::PRIME), PhantomData);

    /// -1/prime, modulo 2^64.
    const INVERSE: u64 = {
        // Each step doubles the bits that are right; of an odd number, three are to begin with.
        let (mut inverse, mut step) = (P::PRIME[0], 0);
        while step < 5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(P::PRIME[0].wrapping_mul(inverse)));
            step += 1;
        }
        inverse.wrapping_neg()
    };

    /// Of a number below the prime.
    pub(super) const fn of(limbs: Limbs) -> Self {
        Self(product::<P>(limbs, Self::SQUARE.0), PhantomData)
    }

    /// Of 32 big-endian octets that write a number below the prime.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let limbs = limbs(octets)?;
        is_below(limbs, P::PRIME).then(|| Self::of(limbs))
    }

    /// Of 32 big-endian octets, whatever number they write; of others, zero.
    pub(super) fn reduced(octets: &[u8]) -> Self {
        limbs(octets).map_or(Self::ZERO, |limbs| Self::of(below::<P>(limbs, false)))
    }

    /// The number itself.
    pub(super) fn limbs(self) -> Limbs {
        product::<P>(self.0, [1, 0, 0, 0])
    }

    pub(super) fn square(self) -> Self {
        Self(squared::<P>(self.0), PhantomData)
    }

    pub(super) fn double(self) -> Self {
        self + self
    }

    /// The number, or else what it lacks to zero.
    pub(super) fn negated_if(self, negated: bool) -> Self {
        Self(chosen(negated, (-self).0, self.0), PhantomData)
    }

    /// 1/x; of zero, zero: x to the power of the prime less two (Fermat's little theorem), four bits at a time.
    pub(super) fn inverse(self) -> Self {
        let mut powers = [Self::ONE; 16];
        for at in 1..powers.len() {
            powers[at] = powers[at - 1] * self;
        }
        let [lowest, rest @ ..] = P::PRIME;
        let exponent = [lowest - 2, rest[0], rest[1], rest[2]];
        (0..64).rev().fold(Self::ONE, |power, at| {
            let four_bits = exponent[at / 16] >> (at % 16 * 4) & 0xf;
            power.square().square().square().square() * powers[four_bits as usize]
        })
    }
}

impl<P: Prime> Mul for Residue<P> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(product::<P>(self.0, other.0), PhantomData)
    }
}

impl<P: Prime> Add for Residue<P> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (sum, over) = add(self.0, other.0);
        Self(below::<P>(sum, over), PhantomData)
    }
}

impl<P: Prime> Sub for Residue<P> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let (difference, under) = subtract(self.0, other.0);
        Self(add(difference, chosen(under, P::PRIME, [0; 4])).0, PhantomData)
    }
}

impl<P: Prime> Neg for Residue<P> {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

/// `one + other`, if it is below the prime.
pub(super) fn sum_below<P: Prime>(one: Limbs, other: Limbs) -> Option<Limbs> {
    let (sum, over) = add(one, other);
    (!over && is_below(sum, P::PRIME)).then_some(sum)
}

fn limbs(octets: &[u8]) -> Option<Limbs> {
    let octets: &[u8; 32] = octets.try_into().ok()?;
    let mut limbs = [0; 4];
    for (limb, octets) in limbs.iter_mut().zip(octets.rchunks(8)) {
        *limb = octets.iter().fold(0, |limb, octet| limb << 8 | u64::from(*octet));
    }
    Some(limbs)
}

fn is_below(one: Limbs, other: Limbs) -> bool {
    subtract(one, other).1
}

/// `one * other / 2^256`, modulo the prime, below which both are.
#[inline]
const fn product<P: Prime>(one: Limbs, other: Limbs) -> Limbs {
    let (a, carried) = add_times([0; 4], one, other[0]);
    let (b, more) = add_times([a[1], a[2], a[3], carried], one, other[1]);
    let (c, most) = add_times([b[1], b[2], b[3], more], one, other[2]);
    let (d, last) = add_times([c[1], c[2], c[3], most], one, other[3]);
    divided::<P>([a[0], b[0], c[0], d[0]], [d[1], d[2], d[3], last])
}

/// The same of a number with itself: the products of two different limbs are in it twice.
#[inline]
fn squared<P: Prime>(one: Limbs) -> Limbs {
    let [x0, x1, x2, x3] = one;
    let ([a, b, c, d], _) = add_times([0; 4], [x1, x2, x3, 0], x0);
    let ([c, d, e, _], _) = add_times([c, d, 0, 0], [x2, x3, 0, 0], x1);
    let ([e, f, ..], _) = add_times([e, 0, 0, 0], [x3, 0, 0, 0], x2);
    let twice = [
        0,
        a << 1,
        b << 1 | a >> 63,
        c << 1 | b >> 63,
        d << 1 | c >> 63,
        e << 1 | d >> 63,
        f << 1 | e >> 63,
        f >> 63,
    ];
    let mut wide = [0; 8];
    let mut carry = 0;
    for at in 0..4 {
        let square = u128::from(one[at]) * u128::from(one[at]);
        let low = u128::from(square as u64) + u128::from(twice[2 * at]) + carry;
        let high = (square >> 64) + u128::from(twice[2 * at + 1]) + (low >> 64);
        (wide[2 * at], wide[2 * at + 1], carry) = (low as u64, high as u64, high >> 64);
    }
    let [a, b, c, d, e, f, g, h] = wide;
    divided::<P>([a, b, c, d], [e, f, g, h])
}

/// A number of eight limbs, divided by 2^256 modulo the prime. It is less than the prime's square.
#[inline(always)]
const fn divided<P: Prime>(mut low: Limbs, high: Limbs) -> Limbs {
    let (mut over, mut at) = (0, 0);
    while at < 4 {
        // So many times the prime as make the lowest limb zero.
        let times = low[0].wrapping_mul(Residue::<P>::INVERSE);
        let ([_, a, b, c], carried) = add_times(low, P::PRIME, times);
        let top = high[at] as u128 + carried as u128 + over as u128;
        (low, over) = ([a, b, c, top as u64], (top >> 64) as u64);
        at += 1;
    }
    below::<P>(low, over != 0)
}

/// `sum + factor * times`, and the limb above.
#[inline(always)]
const fn add_times(mut sum: Limbs, factor: Limbs, times: u64) -> (Limbs, u64) {
    let (mut carry, mut at) = (0, 0);
    while at < 4 {
        let wide = factor[at] as u128 * times as u128 + sum[at] as u128 + carry as u128;
        (sum[at], carry) = (wide as u64, (wide >> 64) as u64);
        at += 1;
    }
    (sum, carry)
}

/// A number less than twice the prime (with `over`, 2^256 more), less the prime if it is not below it.
#[inline]
const fn below<P: Prime>(number: Limbs, over: bool) -> Limbs {
    let (rest, under) = subtract(number, P::PRIME);
    chosen(under && !over, number, rest)
}

/// The first, or else the other: which of them is anybody's guess, and a processor's too, so that there is no branch.
#[inline]
const fn chosen(first: bool, one: Limbs, other: Limbs) -> Limbs {
    let mask = (first as u64).wrapping_neg();
    let [a, b, c, d] = one;
    let [e, f, g, h] = other;
    [a & mask | e & !mask, b & mask | f & !mask, c & mask | g & !mask, d & mask | h & !mask]
}

#[inline]
const fn add(one: Limbs, other: Limbs) -> (Limbs, bool) {
    let (a, carry) = carrying_add(one[0], other[0], false);
    let (b, carry) = carrying_add(one[1], other[1], carry);
    let (c, carry) = carrying_add(one[2], other[2], carry);
    let (d, carry) = carrying_add(one[3], other[3], carry);
    ([a, b, c, d], carry)
}

#[inline]
const fn subtract(one: Limbs, other: Limbs) -> (Limbs, bool) {
    let (a, borrow) = borrowing_sub(one[0], other[0], false);
    let (b, borrow) = borrowing_sub(one[1], other[1], borrow);
    let (c, borrow) = borrowing_sub(one[2], other[2], borrow);
    let (d, borrow) = borrowing_sub(one[3], other[3], borrow);
    ([a, b, c, d], borrow)
}

#[inline]
const fn carrying_add(one: u64, other: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = one.overflowing_add(other);
    let (sum, second) = sum.overflowing_add(carry as u64);
    (sum, first || second)
}

#[inline]
const fn borrowing_sub(one: u64, other: u64, borrow: bool) -> (u64, bool) {
    let (rest, first) = one.overflowing_sub(other);
    let (rest, second) = rest.overflowing_sub(borrow as u64);
    (rest, first || second)
}

/// 2 to a power, modulo a prime between 2^255 and 2^256.
const fn power_of_two(exponent: u32, prime: Limbs) -> Limbs {
    let (mut power, mut at) = ([1, 0, 0, 0], 0);
    while at < exponent {
        let (twice, over) = add(power, power);
        let (rest, under) = subtract(twice, prime);
        power = if under && !over { twice } else { rest };
        at += 1;
    }
    power
}
