//! f64 arithmetic that tells its own error, and the rounding to f32 at its end.
//!
//! An [`Approx`] stands for a real number `r` with `|r - value| <= error`. Each operation rounds to
//! nearest and *measures* what it lost instead of assuming the worst: the residual of a sum is
//! Knuth's TwoSum, that of a product, quotient or root comes from one fused multiply-add, all exact
//! (Muller et al., Handbook of Floating-Point Arithmetic, 4.3, 4.4, 4.7). So an operation that does
//! not round (adding 0, scaling by a power of two, any product of two f32) has error 0 by itself.
//! Errors are combined upwards: each rounded term is replaced by the next float above it.
//!
//! A residual can itself underflow when the operation takes place near the bottom of f64's range;
//! there 2^-1022 is added to it, which is more than any residual can lose (2^-1074).

/// Below this magnitude residuals may be inexact: 2^-900, far above 2^-1022 times 2^106.
const TINY: f64 = f64::from_bits((1023 - 900) << 52);

/// A weight that loses more than this share of itself has underflowed: 2^-20.
const WORST_WEIGHT: f64 = 1.0 / 1_048_576.0;

/// A real number within `error` of `value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Approx {
    /// The approximation.
    pub value: f64,
    /// How far off it is at most; not negative.
    pub error: f64,
}

impl Approx {
    /// 0.
    pub const ZERO: Self = Self::exact(0.0);
    /// 1.
    pub const ONE: Self = Self::exact(1.0);

    /// `value` itself.
    pub const fn exact(value: f64) -> Self {
        Approx { value, error: 0.0 }
    }

    /// What a stored weight stands for: within `relative * |weight|` of it.
    pub fn weight(weight: f32, relative: f64) -> Self {
        let value = f64::from(weight);
        Approx { value, error: mul_up(relative, value.abs()) }
    }

    /// Is it exactly `value`?
    pub fn is(self, value: f64) -> bool {
        self.value == value && self.error == 0.0
    }

    /// `-self`.
    pub fn neg(self) -> Self {
        Approx { value: -self.value, error: self.error }
    }

    /// `self + other`.
    pub fn add(self, other: Self) -> Self {
        if self.is(0.0) {
            return other;
        }
        if other.is(0.0) {
            return self;
        }
        let (a, b) = (self.value, other.value);
        let value = a + b;
        let b_part = value - a;
        let residual = (a - (value - b_part)) + (b - b_part);
        Approx { value, error: sum_up(&[residual.abs(), self.error, other.error]) }
    }

    /// `self * other`.
    pub fn mul(self, other: Self) -> Self {
        if self.is(1.0) {
            return other;
        }
        if other.is(1.0) {
            return self;
        }
        let (a, b) = (self.value, other.value);
        let value = a * b;
        if value == 0.0 && (self.is(0.0) || other.is(0.0)) {
            return Approx::ZERO;
        }
        let underflow = a != 0.0 && b != 0.0 && value.abs() < TINY;
        let residual = a.mul_add(b, -value).abs();
        Approx {
            value,
            error: sum_up(&[
                residual,
                if underflow { f64::MIN_POSITIVE } else { 0.0 },
                mul_up(a.abs(), other.error),
                mul_up(b.abs(), self.error),
                mul_up(self.error, other.error),
            ]),
        }
    }

    /// `self / other`; not finite unless `other` is certainly not 0.
    ///
    /// With `q` the rounded quotient, `|A/B - q| = |A - qB| / |B|
    /// <= (|a - qb| + e_a + |q| e_b) / (|b| - e_b)`.
    pub fn div(self, other: Self) -> Self {
        if other.is(1.0) {
            return self;
        }
        let (a, b) = (self.value, other.value);
        let divisor =
            if other.error == 0.0 { b.abs() } else { (b.abs() - other.error).next_down() };
        if divisor.is_nan() || divisor <= 0.0 {
            return Approx { value: f64::NAN, error: f64::INFINITY };
        }
        let value = a / b;
        let underflow = a != 0.0 && a.abs() < TINY;
        let residual = (-value).mul_add(b, a).abs();
        let numerator = sum_up(&[
            residual,
            if underflow { f64::MIN_POSITIVE } else { 0.0 },
            self.error,
            mul_up(value.abs(), other.error),
        ]);
        Approx { value, error: div_up(numerator, divisor) }
    }

    /// The root of a positive number; not finite for others.
    ///
    /// With `s` the rounded root, `|sqrt(V) - s| = |V - s^2| / (sqrt(V) + s) <= (|v - s^2| + e) / s`.
    pub fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        if value.is_nan() || value <= 0.0 || self.error >= self.value {
            return Approx { value: f64::NAN, error: f64::INFINITY };
        }
        let underflow = self.value < TINY;
        let residual = (-value).mul_add(value, self.value).abs();
        let numerator =
            sum_up(&[residual, if underflow { f64::MIN_POSITIVE } else { 0.0 }, self.error]);
        Approx { value, error: div_up(numerator, value) }
    }

    /// The nearest f32, and how far off it is at most; `None` if that is not finite.
    pub fn to_f32(self) -> Option<(f32, f64)> {
        let nearest = self.value as f32;
        // A difference of floats is 0 only if they are equal.
        let lost = (self.value - f64::from(nearest)).abs();
        let error = sum_up(&[if lost == 0.0 { 0.0 } else { lost.next_up() }, self.error]);
        (nearest.is_finite() && error.is_finite()).then_some((nearest, error))
    }

    /// The nearest f32 `w` and an `e` with `|self - w| <= e * |w|`.
    ///
    /// Errors: the magnitude is beyond f32, or so small that `w` would lose more than 2^-20 of
    /// itself.
    pub fn to_weight(self) -> Result<(f32, f64), OutOfRange> {
        let (weight, error) = self.to_f32().ok_or(OutOfRange::Large)?;
        if error == 0.0 {
            return Ok((weight, 0.0));
        }
        let relative = div_up(error, f64::from(weight).abs());
        // Also false for the infinity that a weight of 0 gives.
        if relative <= WORST_WEIGHT { Ok((weight, relative)) } else { Err(OutOfRange::Small) }
    }
}

/// A number that has no useful f32 beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfRange {
    /// Its magnitude is above f32's largest, or not a number.
    Large,
    /// Its magnitude is in or below f32's subnormal range.
    Small,
}

impl std::fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OutOfRange::Large => "not a finite f32",
            OutOfRange::Small => "too small for f32: it would lose more than 2^-20 of itself",
        })
    }
}

/// The relative error of a weight that was rounded with `first` and then, after an exact factor,
/// with `second`, each relative to the result: `first + second + first * second`, rounded up.
pub(super) fn compound(first: f64, second: f64) -> f64 {
    sum_up(&[first, second, mul_up(first, second)])
}

/// The least f32 not below `error`.
pub(super) fn f32_up(error: f64) -> f32 {
    let nearest = error as f32;
    if f64::from(nearest) < error { nearest.next_up() } else { nearest }
}

/// A sum of numbers >= 0, rounded up; exact while at most one is not 0.
fn sum_up(terms: &[f64]) -> f64 {
    terms.iter().fold(0.0, |sum: f64, &term| {
        if term == 0.0 {
            sum
        } else if sum == 0.0 {
            term
        } else {
            (sum + term).next_up()
        }
    })
}

/// A product of two numbers >= 0, rounded up.
fn mul_up(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { (a * b).next_up() }
}

/// A quotient of `a >= 0` and `b >= 0`, rounded up.
fn div_up(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { (a / b).next_up() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_operations_have_no_error() {
        let third = Approx::exact(f64::from(1.0_f32 / 3.0));
        let sevenths = Approx::exact(f64::from(5.0_f32 / 7.0));
        assert_eq!(third.mul(sevenths).error, 0.0);
        assert_eq!(third.add(Approx::ZERO), third);
        assert_eq!(third.div(Approx::exact(0.25)), Approx::exact(4.0 * third.value));
        assert_eq!(Approx::exact(2.25).sqrt(), Approx::exact(1.5));
        assert_eq!(Approx::exact(1e300).mul(Approx::ZERO), Approx::ZERO);
        assert_eq!(third.to_weight(), Ok((1.0_f32 / 3.0, 0.0)));
    }

    #[test]
    fn rounded_operations_measure_their_error() {
        // 1/3 in binary is 0.0101..., so the f64 below it is off by 1/3 * 2^-54.
        let third = Approx::ONE.div(Approx::exact(3.0));
        let off = 2f64.powi(-54) / 3.0;
        assert!(third.error >= off && third.error <= off * (1.0 + 1e-15));
        let root = Approx::exact(2.0).sqrt();
        // Twice what is lost, as sqrt(V) is left out of the divisor.
        let lost = 9.667_293_313_452_9e-17;
        assert!(root.error >= lost && root.error <= 2.001 * lost);
        let tenth = Approx::exact(0.1).add(Approx::exact(1e20));
        assert!(tenth.error >= 0.1 && tenth.error < 0.1 + 1e-15);
    }

    #[test]
    fn errors_of_operands_are_covered() {
        let a = Approx { value: 3.0, error: 0.5 };
        let b = Approx { value: -2.0, error: 0.25 };
        for (x, y) in [(2.5, -2.25), (2.5, -1.75), (3.5, -2.25), (3.5, -1.75)] {
            let within = |z: Approx, r: f64| (z.value - r).abs() <= z.error;
            assert!(within(a.add(b), x + y));
            assert!(within(a.mul(b), x * y));
            assert!(within(a.div(b), x / y));
            assert!(within(a.sqrt(), f64::sqrt(x)));
        }
        // The widest corner is met with equality in the product.
        assert!((a.mul(b).error - (3.5 * 2.25 - 6.0)).abs() < 1e-12);
    }

    #[test]
    fn division_by_what_may_be_zero_is_not_finite() {
        assert!(Approx::ONE.div(Approx::ZERO).to_f32().is_none());
        assert!(Approx::ONE.div(Approx { value: 0.5, error: 0.5 }).to_f32().is_none());
        assert!(Approx::exact(-1.0).sqrt().to_f32().is_none());
        assert!(Approx::ZERO.sqrt().to_f32().is_none());
    }

    #[test]
    fn rounding_to_f32_covers_the_loss() {
        let (w, e) = Approx::exact(0.1).to_weight().unwrap();
        assert_eq!(w, 0.1);
        let lost = (0.1 - f64::from(0.1_f32)).abs() / f64::from(0.1_f32);
        assert!(e >= lost && e <= lost * (1.0 + 1e-12) && e <= 2f64.powi(-24));
        assert_eq!(Approx::exact(1e39).to_weight(), Err(OutOfRange::Large));
        assert_eq!(Approx::exact(1e-60).to_weight(), Err(OutOfRange::Small));
        assert_eq!(Approx::exact(1.1e-42).to_weight(), Err(OutOfRange::Small));
        // A subnormal that is met exactly is fine.
        let subnormal = f32::from_bits(3);
        assert_eq!(Approx::exact(f64::from(subnormal)).to_weight(), Ok((subnormal, 0.0)));
    }

    #[test]
    fn products_near_the_bottom_keep_a_bound() {
        let tiny = Approx::exact(1e-200);
        let product = tiny.mul(tiny);
        assert!(product.error >= f64::MIN_POSITIVE);
        assert!(f32_up(product.error) > 0.0);
    }

    #[test]
    fn f32_up_is_above() {
        for e in [1e-9, 1e-60, 0.1, 0.5, 1e-45] {
            assert!(f64::from(f32_up(e)) >= e);
        }
        assert_eq!(f32_up(0.5), 0.5);
        assert_eq!(f32_up(0.0), 0.0);
    }
}
