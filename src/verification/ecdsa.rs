//! ECDSA on P-256 with SHA-256 (FIPS 186-5 section 6.4.2), with multiples of each key reckoned beforehand: in two thirds of
//! the time that the library takes, which meets each key as if for the first time.

mod multiples;
mod point;
mod residue;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use aws_lc_rs::digest;

use crate::ecdsa::multiples::{Digits, Multiples};
use crate::ecdsa::point::{Affine, Jacobian};
use crate::ecdsa::residue::{Field, FieldPrime, Order};

/// Bits of a digit of the key's factor, and of the generator's: a key has 64 multiples (4 KiB), the generator 512.
const KEY: u32 = 5;
const GENERATOR: u32 = 8;

/// The generator's are the same for all keys.
static OF_GENERATOR: LazyLock<Multiples> = LazyLock::new(|| Multiples::of(point::GENERATOR, GENERATOR));

/// Octets of a number.
const LENGTH: usize = 32;

/// A key that verifies.
pub struct Ecdsa {
    multiples: Multiples,
}

impl Ecdsa {
    /// Of an uncompressed point (SEC 1 section 2.3.3). `None` where it is none of the curve's.
    pub fn new(point: &[u8]) -> Option<Self> {
        let (&4, coordinates) = point.split_first()? else { return None };
        let (x, y) = coordinates.split_at_checked(LENGTH)?;
        let point = Affine::new(Field::read(x)?, Field::read(y)?)?;
        // Before a request has to wait for them.
        LazyLock::force(&OF_GENERATOR);
        Some(Self { multiples: Multiples::of(point, KEY) })
    }

    /// Whether `signature`, the two numbers one after the other (RFC 7518 section 3.4), is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some((r, s)) = signature.split_at_checked(LENGTH) else { return false };
        // Neither may be zero (FIPS 186-5 section 6.4.2 step 1).
        let number = |octets| Order::read(octets).filter(|number| *number != Order::ZERO);
        let (Some(r), Some(s)) = (number(r), number(s)) else { return false };
        let message = Order::reduced(digest::digest(&digest::SHA256, message).as_ref());
        let inverse = s.inverse();
        let (of_generator, of_key) = ((message * inverse).limbs(), (r * inverse).limbs());
        let sum = multiples::sum(
            (&OF_GENERATOR, &Digits::of(of_generator, GENERATOR)),
            (&self.multiples, &Digits::of(of_key, KEY)),
        );
        is_x(&sum, r)
    }
}

/// Whether the point's x, modulo the order, is `r`. At infinity there is none (FIPS 186-5 section 6.4.2 step 7).
fn is_x(point: &Jacobian, r: Order) -> bool {
    if point.is_infinity() {
        return false;
    }
    // The prime is larger than the order, and less than twice it: there are two such x at most.
    let x = Field::of(r.limbs());
    let other = residue::sum_below::<FieldPrime>(r.limbs(), Order::MODULUS).map(Field::of);
    point.has_x(x) || other.is_some_and(|x| point.has_x(x))
}
