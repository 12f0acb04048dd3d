//! Points of P-256 (SP 800-186 section 3.2.1.3): y^2 = x^3 - 3x + b.

use crate::ecdsa::residue::Field;

/// A point, not the one at infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    x: Field,
    y: Field,
}

/// A point as (x/z^2, y/z^3): with z = 0 the one at infinity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jacobian {
    x: Field,
    y: Field,
    z: Field,
}

/// The coefficient b of the curve.
const B: Field =
    Field::of([0x3bce_3c3e_27d2_604b, 0x651d_06b0_cc53_b0f6, 0xb3eb_bd55_7698_86bc, 0x5ac6_35d8_aa3a_93e7]);

/// The point that all are multiples of.
pub(super) const GENERATOR: Affine = Affine {
    x: Field::of([
        0xf4a1_3945_d898_c296,
        0x7703_7d81_2deb_33a0,
        0xf8bc_e6e5_63a4_40f2,
        0x6b17_d1f2_e12c_4247,
    ]),
    y: Field::of([
        0xcbb6_4068_37bf_51f5,
        0x2bce_3357_6b31_5ece,
        0x8ee7_eb4a_7c0f_9e16,
        0x4fe3_42e2_fe1a_7f9b,
    ]),
};

impl Affine {
    /// `None` where the curve has no such point.
    pub(super) fn new(x: Field, y: Field) -> Option<Self> {
        let three = Field::ONE.double() + Field::ONE;
        (y.square() == (x.square() - three) * x + B).then_some(Self { x, y })
    }

    /// This point, or else the one across.
    pub(super) fn negated_if(self, negated: bool) -> Self {
        Self { y: self.y.negated_if(negated), ..self }
    }

    /// These points as they are; none of them is at infinity. One inversion does for all of them (Montgomery's trick).
    pub(super) fn all_of(points: &[Jacobian]) -> Vec<Self> {
        let mut product = Field::ONE;
        let mut before = Vec::with_capacity(points.len());
        for point in points {
            before.push(product);
            product = product * point.z;
        }
        let mut inverse = product.inverse();
        let mut affine = Vec::with_capacity(points.len());
        for (point, before) in points.iter().zip(before).rev() {
            let one = inverse * before;
            inverse = inverse * point.z;
            let square = one.square();
            affine.push(Self { x: point.x * square, y: point.y * square * one });
        }
        affine.reverse();
        affine
    }
}

impl From<Affine> for Jacobian {
    fn from(Affine { x, y }: Affine) -> Self {
        Self { x, y, z: Field::ONE }
    }
}

impl Jacobian {
    pub(super) const INFINITY: Self = Self { x: Field::ONE, y: Field::ONE, z: Field::ZERO };

    pub(super) fn is_infinity(&self) -> bool {
        self.z == Field::ZERO
    }

    /// Whether this is its x. It is not at infinity.
    pub(super) fn has_x(&self, x: Field) -> bool {
        x * self.z.square() == self.x
    }

    /// "dbl-2001-b" of the Explicit-Formulas Database. Infinity stays there; no point of this curve has y = 0.
    pub(super) fn doubled(self) -> Self {
        let Self { x, y, z } = self;
        let (delta, gamma) = (z.square(), y.square());
        let beta = x * gamma;
        let product = (x - delta) * (x + delta);
        let alpha = product.double() + product;
        let four_beta = beta.double().double();
        let x = alpha.square() - four_beta.double();
        let z = (y + z).square() - gamma - delta;
        let y = alpha * (four_beta - x) - gamma.square().double().double().double();
        Self { x, y, z }
    }

    /// "madd" of the Explicit-Formulas Database, which does not know the cases that are told apart here.
    pub(super) fn plus(self, other: Affine) -> Self {
        if self.is_infinity() {
            return other.into();
        }
        let square = self.z.square();
        let across = other.x * square - self.x;
        let along = other.y * square * self.z - self.y;
        if across == Field::ZERO {
            return if along == Field::ZERO { self.doubled() } else { Self::INFINITY };
        }
        let across_2 = across.square();
        let across_3 = across_2 * across;
        let v = self.x * across_2;
        let x = along.square() - across_3 - v.double();
        let y = along * (v - x) - self.y * across_3;
        Self { x, y, z: self.z * across }
    }
}
