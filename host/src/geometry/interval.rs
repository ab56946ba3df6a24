//! f64 intervals and sums, rounded outward.
//!
//! `+ - * /` and the square root round to nearest (IEEE 754, 5.4.1), so the real result lies
//! between the neighbours of the computed one, underflow included. An infinity or a NaN that
//! overflow leaves stays one, or becomes the largest float on the safe side.

use std::ops::{Add, Mul, Neg, Sub};

/// All reals from `lo` to `hi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// The lower end.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
}

impl Interval {
    /// What lies within `relative * |value|` plus `absolute` of a stored number.
    pub fn stored(value: f32, relative: f32, absolute: f32) -> Self {
        let value = f64::from(value);
        let error = add_up(mul_up(f64::from(relative), value.abs()), f64::from(absolute));
        if relative == 0.0 && absolute == 0.0 {
            return Interval { lo: value, hi: value };
        }
        Interval { lo: (value - error).next_down(), hi: (value + error).next_up() }
    }

    /// The largest magnitude.
    pub fn magnitude(self) -> f64 {
        // A NaN end must not vanish in a maximum.
        if self.hi > -self.lo || self.hi.is_nan() { self.hi } else { -self.lo }
    }

    /// All `t * x` with `slope <= t <= 1`, for `0 <= slope <= 1`.
    pub fn relaxed(self, slope: f64) -> Self {
        let lo = if self.lo < 0.0 { self.lo } else { (slope * self.lo).next_down() };
        let hi = if self.hi > 0.0 { self.hi } else { (slope * self.hi).next_up() };
        Interval { lo, hi }
    }

    /// All `t * x` with `0 <= t <= most`.
    pub fn shrunk(self, most: f64) -> Self {
        let (lo, hi) = ((most * self.lo).next_down(), (most * self.hi).next_up());
        // So written that a NaN end stays.
        Interval { lo: if lo > 0.0 { 0.0 } else { lo }, hi: if hi < 0.0 { 0.0 } else { hi } }
    }
}

impl Neg for Interval {
    type Output = Self;
    fn neg(self) -> Self {
        Interval { lo: -self.hi, hi: -self.lo }
    }
}

impl Add for Interval {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Interval { lo: (self.lo + other.lo).next_down(), hi: (self.hi + other.hi).next_up() }
    }
}

impl Sub for Interval {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Interval { lo: (self.lo - other.hi).next_down(), hi: (self.hi - other.lo).next_up() }
    }
}

impl Mul for Interval {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let ends = [self.lo * other.lo, self.lo * other.hi, self.hi * other.lo, self.hi * other.hi];
        // `min` and `max` drop a NaN, which only an infinite end could make: kept by the sum.
        let keep = if ends.iter().sum::<f64>().is_nan() { f64::NAN } else { 0.0 };
        let lo = ends.into_iter().fold(f64::INFINITY, f64::min);
        let hi = ends.into_iter().fold(f64::NEG_INFINITY, f64::max);
        Interval { lo: lo.next_down() + keep, hi: hi.next_up() + keep }
    }
}

/// `a + b`, rounded up.
pub(crate) fn add_up(a: f64, b: f64) -> f64 {
    (a + b).next_up()
}

/// `a * b`, rounded up; 0 where a factor is.
pub(crate) fn mul_up(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { a * b } else { (a * b).next_up() }
}

/// `a / b`, rounded down, for `a >= 0` and `b > 0`; not negative.
pub(crate) fn div_down(a: f64, b: f64) -> f64 {
    let quotient = (a / b).next_down();
    if quotient < 0.0 { 0.0 } else { quotient }
}

/// The square root of `x >= 0`, rounded up; 0 of 0.
pub(crate) fn sqrt_up(x: f64) -> f64 {
    if x == 0.0 { x } else { x.sqrt().next_up() }
}

/// The Euclidean norm, rounded up; 0 exactly if every entry is.
pub(crate) fn norm_up(entries: impl Iterator<Item = f64>) -> f64 {
    sqrt_up(entries.filter(|x| *x != 0.0).fold(0.0, |sum, x| add_up(sum, mul_up(x, x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_enclose() {
        let third = Interval { lo: 1.0 / 3.0, hi: (1.0f64 / 3.0).next_up() };
        let one = third + third + third;
        assert!(one.lo < 1.0 && one.hi > 1.0 && one.hi - one.lo < 1e-15);
        let x = Interval { lo: -2.0, hi: 3.0 };
        let square = x * x;
        assert!(square.lo < -6.0 && square.lo > -6.001 && square.hi > 9.0 && square.hi < 9.001);
        assert_eq!((x.magnitude(), (x - x).magnitude() > 5.0), (3.0, true));
        let relaxed = Interval { lo: 2.0, hi: 3.0 }.relaxed(0.5);
        assert!(relaxed.lo < 1.0 && relaxed.hi == 3.0);
        let shrunk = Interval { lo: 2.0, hi: 3.0 }.shrunk(0.5);
        assert!(shrunk.lo == 0.0 && shrunk.hi > 1.5 && shrunk.hi < 1.501);
        let shrunk = (-Interval { lo: 2.0, hi: 3.0 }).shrunk(0.5);
        assert!(shrunk.hi == 0.0 && shrunk.lo < -1.5 && shrunk.lo > -1.501);
        assert!(Interval::stored(1.0, 0.25, 0.5).hi >= 1.75);
        assert!(sqrt_up(2.0) * sqrt_up(2.0) > 2.0 && sqrt_up(0.0) == 0.0);
        assert!(div_down(1.0, 3.0) < 1.0 / 3.0 && div_down(0.0, 3.0) == 0.0);
        assert!(norm_up([3.0, -4.0].into_iter()) > 5.0 && norm_up([0.0; 3].into_iter()) == 0.0);
    }

    #[test]
    fn nan_stays() {
        let nan = Interval { lo: f64::NAN, hi: f64::NAN };
        let one = Interval { lo: 1.0, hi: 1.0 };
        for x in [nan + one, nan - one, nan * one, one * nan, nan.shrunk(0.5), -nan] {
            assert!(x.lo.is_nan() && x.hi.is_nan() && x.magnitude().is_nan());
        }
        let infinite = Interval { lo: 0.0, hi: f64::INFINITY };
        assert!((infinite * infinite).hi.is_nan());
        assert!(norm_up([1.0, f64::NAN].into_iter()).is_nan());
    }
}
