//! The least value seen so far, and a bound below what could not be represented.

use std::cmp::Ordering;

use super::Extreme;
use super::cell::point;
use super::forms::Row;
use crate::rational::{IBig, Rational, dyadic};

/// `num / den`, not reduced, `den > 0`: comparing is cheaper than reducing.
#[derive(Clone, Debug)]
pub(crate) struct Fraction {
    num: IBig,
    den: IBig,
}

impl Fraction {
    pub fn new(num: IBig, den: Option<&IBig>) -> Self {
        Fraction { num, den: den.expect("homogeneous coordinates").clone() }
    }

    pub fn rational(&self) -> Rational {
        Rational::from_parts_signed(self.num.clone(), self.den.clone())
    }
}

impl From<Rational> for Fraction {
    fn from(x: Rational) -> Self {
        let (num, den) = x.into_parts();
        Fraction { num, den: den.into() }
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.den == other.den {
            return self.num.cmp(&other.num);
        }
        (&self.num * &other.den).cmp(&(&other.num * &self.den))
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Fraction {}

/// A minimum under construction, in units of the layer's power of two.
#[derive(Clone, Default)]
pub(super) struct Best {
    /// The least value at a rational point of the region, and that point.
    inner: Option<(Fraction, Row)>,
    /// The least lower bound of a value at an irrational point.
    outer: Option<Rational>,
}

impl Best {
    pub fn inner(&self) -> Option<&Fraction> {
        self.inner.as_ref().map(|(value, _)| value)
    }

    pub fn outer(&self) -> Option<&Rational> {
        self.outer.as_ref()
    }

    /// A value taken at `at`.
    pub fn exact(&mut self, value: Fraction, at: impl FnOnce() -> Row) {
        if self.inner().is_none_or(|inner| value < *inner) {
            self.inner = Some((value, at()));
        }
    }

    /// A bound below a value taken at an irrational point.
    pub fn lower(&mut self, bound: Rational) {
        if self.outer().is_none_or(|outer| bound < *outer) {
            self.outer = Some(bound);
        }
    }

    /// The finished minimum, or of the negated function the maximum.
    pub fn finish(&self, exponent: i64, negate: bool) -> Option<Extreme> {
        let (value, at) = self.inner.as_ref()?;
        let value = value.rational();
        let outer = match &self.outer {
            Some(outer) if *outer < value => outer.clone(),
            _ => value.clone(),
        };
        let unit = dyadic(if negate { IBig::NEG_ONE } else { IBig::ONE }, exponent);
        Some(Extreme { outer: outer * &unit, inner: value * unit, at: point(at) })
    }
}
