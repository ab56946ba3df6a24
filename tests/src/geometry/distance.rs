//! Exact distances, rational or square roots of rationals.

use std::cmp::Ordering;

use crate::rational::{Rational, Sign, abs, exact, sqrt_bounds};
use crate::region::Norm;

/// A distance, known exactly; negative for the wrong side of a decision boundary.
///
/// Ordered by value: a root equals the rational that it is.
#[derive(Clone, Debug)]
pub enum Distance {
    /// A rational.
    Exact(Rational),
    /// `sqrt(square)`, or its negative.
    Root {
        /// The square, `>= 0`.
        square: Rational,
        /// Whether the distance is `-sqrt(square)`.
        negative: bool,
    },
    /// Beyond every number: there is no such point.
    Infinite {
        /// Whether it is minus infinity.
        negative: bool,
    },
}

impl Distance {
    /// No distance.
    pub const ZERO: Distance = Distance::Exact(Rational::ZERO);

    /// Plus infinity.
    pub const INFINITE: Distance = Distance::Infinite { negative: false };

    /// The root of `square >= 0`.
    pub fn root(square: Rational) -> Self {
        Distance::Root { square, negative: false }
    }

    /// A float as the number it is, or an infinity; `None` if it is NaN.
    pub fn from_f64(x: f64) -> Option<Self> {
        if x.is_nan() {
            None
        } else if x.is_infinite() {
            Some(Distance::Infinite { negative: x < 0.0 })
        } else {
            Some(Distance::Exact(exact(x)))
        }
    }

    /// Whether `self >= x`, decided exactly; never for NaN.
    pub fn at_least(&self, x: impl Into<f64>) -> bool {
        Distance::from_f64(x.into()).is_some_and(|x| *self >= x)
    }

    /// Whether `self <= x`, decided exactly; never for NaN.
    pub fn at_most(&self, x: impl Into<f64>) -> bool {
        Distance::from_f64(x.into()).is_some_and(|x| *self <= x)
    }

    /// The largest f64 that is `<= self`; minus infinity below the finite ones.
    pub fn floor(&self) -> f64 {
        let mut near = self.estimate();
        while !self.at_least(near) {
            near = near.next_down();
        }
        while near < f64::INFINITY && self.at_least(near.next_up()) {
            near = near.next_up();
        }
        near
    }

    /// The smallest f64 that is `>= self`; plus infinity above the finite ones.
    pub fn ceil(&self) -> f64 {
        -(-self.clone()).floor()
    }

    /// The nearest f64, or one of the two around it.
    pub fn to_f64(&self) -> f64 {
        self.floor()
    }

    /// Whether it is below infinity and above minus infinity.
    pub fn is_finite(&self) -> bool {
        !matches!(self, Distance::Infinite { .. })
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.sign().is_lt()
    }

    /// `self^2`, if finite.
    pub fn square(&self) -> Option<Rational> {
        match self {
            Distance::Exact(value) => Some(value * value),
            Distance::Root { square, .. } => Some(square.clone()),
            Distance::Infinite { .. } => None,
        }
    }

    fn sign(&self) -> Ordering {
        let side = |negative: &bool| if *negative { Ordering::Less } else { Ordering::Greater };
        match self {
            Distance::Exact(value) => value.cmp(&Rational::ZERO),
            Distance::Root { square, .. } if square.is_zero() => Ordering::Equal,
            Distance::Root { negative, .. } | Distance::Infinite { negative } => side(negative),
        }
    }

    fn estimate(&self) -> f64 {
        match self {
            Distance::Exact(value) => value.to_f64_fast(),
            Distance::Root { square, negative } => {
                let root = sqrt_bounds(square).0.to_f64_fast();
                if *negative { -root } else { root }
            }
            Distance::Infinite { negative: true } => f64::NEG_INFINITY,
            Distance::Infinite { negative: false } => f64::INFINITY,
        }
    }
}

impl std::ops::Neg for Distance {
    type Output = Distance;

    fn neg(self) -> Distance {
        match self {
            Distance::Exact(value) => Distance::Exact(-value),
            Distance::Root { square, negative } => Distance::Root { square, negative: !negative },
            Distance::Infinite { negative } => Distance::Infinite { negative: !negative },
        }
    }
}

impl Ord for Distance {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Distance::Exact(a), Distance::Exact(b)) = (self, other) {
            return a.cmp(b);
        }
        let (sign, others) = (self.sign(), other.sign());
        if sign != others || sign.is_eq() {
            return sign.cmp(&others);
        }
        let sizes = match (self.square(), other.square()) {
            (Some(a), Some(b)) => a.cmp(&b),
            (finite, others) => finite.is_none().cmp(&others.is_none()),
        };
        if sign.is_lt() { sizes.reverse() } else { sizes }
    }
}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Distance {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Distance {}

/// `||x - u||`, exactly.
pub fn between(x: &[Rational], u: &[Rational], norm: Norm) -> Distance {
    assert_eq!(x.len(), u.len(), "two points of one space");
    let offsets: Vec<Rational> = x.iter().zip(u).map(|(x, u)| x - u).collect();
    length(&offsets, norm)
}

/// The norm of a vector.
pub(super) fn length(offsets: &[Rational], norm: Norm) -> Distance {
    let sizes = offsets.iter().map(abs);
    match norm {
        Norm::L1 => Distance::Exact(sizes.fold(Rational::ZERO, |sum, d| sum + d)),
        Norm::Linf => Distance::Exact(sizes.max().unwrap_or(Rational::ZERO)),
        Norm::L2 => Distance::root(sizes.fold(Rational::ZERO, |sum, d| sum + &d * &d)),
    }
}

/// Whether `x < 0`; a zero is not.
pub(super) fn is_negative(x: &Rational) -> bool {
    x.sign() == Sign::Negative && !x.is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_compare_as_numbers() {
        let two = Distance::Exact(exact(2.0));
        let root = |square: f64| Distance::root(exact(square));
        assert!(root(4.0) == two && root(3.0) < two && root(5.0) > two);
        assert!(-root(4.0) == -two.clone() && -root(5.0) < -two.clone() && -root(5.0) < root(3.0));
        assert!(-root(0.0) == Distance::ZERO && root(1e300) < Distance::INFINITE);
        assert!(-Distance::INFINITE < -root(1e300) && Distance::INFINITE == Distance::INFINITE);
    }

    #[test]
    fn floats_compare_exactly() {
        let root = Distance::root(exact(2.0));
        let near = 2f64.sqrt();
        assert!(root.at_most(near) && !root.at_most(near.next_down()));
        assert!(root.at_least(near.next_down()) && !root.at_least(near));
        assert_eq!((root.floor(), root.ceil()), (near.next_down(), near));
        assert_eq!(((-root.clone()).floor(), (-root).ceil()), (-near, -near.next_down()));
        assert!(!Distance::ZERO.at_least(f64::NAN) && !Distance::ZERO.at_most(f64::NAN));
        assert!(Distance::INFINITE.at_least(f64::INFINITY) && Distance::INFINITE.at_least(1e308));
        assert_eq!(Distance::INFINITE.floor(), f64::INFINITY);
        assert!(Distance::ZERO.at_most(0.0f32) && Distance::ZERO.at_least(-0.0f32));
    }

    #[test]
    fn lengths() {
        let v = [exact(3.0), exact(-4.0)];
        let three = [Norm::L1, Norm::L2, Norm::Linf].map(|norm| length(&v, norm).to_f64());
        assert_eq!(three, [7.0, 5.0, 4.0]);
    }
}
